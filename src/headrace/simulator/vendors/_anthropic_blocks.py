"""
What an Anthropic answer is made of: thinking, the server's own search, words, an ending with calls of tools.

A `Block` is told by its start and its deltas, and stands whole in a plain answer. Thinking is signed and goes back
unchanged; redacted thinking comes whole, as data; with `display: omitted` there is the signature alone. A call that
thinking went before is marked in its id, so that the next request can be checked. Sources:
docs.claude.com/en/docs/build-with-claude/extended-thinking, /en/docs/agents-and-tools/tool-use/web-search-tool,
read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._base import Turn

__all__ = ("Block", "Delta", "blocks", "text")


@dataclass(frozen=True, slots=True)
class Delta:
    """One delta, and the words that it carries."""

    fields: Mapping[str, object]
    text: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One content block: as it starts, what comes then, and the whole of it."""

    start: Mapping[str, object]
    deltas: Sequence[Delta]
    whole: Mapping[str, object]


def blocks(turn: Turn) -> list[Block]:
    """The content of an answer."""
    script = turn.script
    made = [_thinking(turn)] if script.reasoning else []
    if script.citations:
        made += _search(turn)
    if turn.pieces:
        made.append(text(turn, turn.pieces))
    return made + [_call(turn, name, arguments) for name, arguments in script.tool_calls]


def _thinking(turn: Turn) -> Block:
    seal = turn.request.seal
    if turn.script.redacted:
        block = {"type": "redacted_thinking", "data": seal.sign("redacted", "", turn.ident)}
        return Block(block, (), block)
    shown = "".join(turn.thoughts)
    signature = seal.sign("thinking", shown, turn.ident)
    deltas = [Delta({"type": "thinking_delta", "thinking": thought}, reasoning=thought) for thought in turn.thoughts]
    return Block(
        {"type": "thinking", "thinking": "", "signature": ""},
        [*deltas, Delta({"type": "signature_delta", "signature": signature})],
        {"type": "thinking", "thinking": shown, "signature": signature},
    )


def _search(turn: Turn) -> list[Block]:
    ident, query = turn.id("srvtoolu_01", 22), json.dumps({"query": "what the question is about"})
    call = {"type": "server_tool_use", "id": ident, "name": "web_search", "input": {}}
    found = [
        {
            "type": "web_search_result",
            "title": one.title,
            "url": one.url,
            "encrypted_content": turn.request.seal.sign("page", one.text, turn.ident),
            "page_age": None,
        }
        for one in turn.script.citations
    ]
    result = {"type": "web_search_tool_result", "tool_use_id": ident, "content": found}
    return [
        Block(call, _fragments(turn, query), {**call, "input": json.loads(query)}),
        Block(result, (), result),
    ]


def text(turn: Turn, pieces: Sequence[str]) -> Block:
    """Words, and before them what they rest on."""
    cited = [
        {
            "type": "web_search_result_location",
            "cited_text": one.text,
            "url": one.url,
            "title": one.title,
            "encrypted_index": turn.request.seal.sign("place", one.text, turn.ident),
        }
        for one in turn.script.citations
    ]
    citing: dict[str, object] = {"citations": cited} if cited else {}
    start = {"type": "text", "text": "", **({"citations": []} if cited else {})}
    deltas = [
        *(Delta({"type": "citations_delta", "citation": one}) for one in cited),
        *(Delta({"type": "text_delta", "text": piece}, text=piece) for piece in pieces),
    ]
    return Block(start, deltas, {"type": "text", "text": "".join(pieces), **citing})


def _call(turn: Turn, name: str, arguments: str) -> Block:
    ident = turn.id("toolu_01", 22)
    if turn.script.reasoning:
        ident = ident[:-4] + turn.request.seal.mark(ident[:-4])
    call = {"type": "tool_use", "id": ident, "name": name, "input": {}}
    return Block(call, _fragments(turn, arguments), {**call, "input": _decoded(arguments)})


def _decoded(arguments: str) -> object:
    """What is in a plain answer; of arguments that end too early (`max_tokens`) there is nothing."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {}


def _fragments(turn: Turn, arguments: str) -> list[Delta]:
    return [
        Delta({"type": "input_json_delta", "partial_json": fragment}) for fragment in ("", *turn.fragments(arguments))
    ]
