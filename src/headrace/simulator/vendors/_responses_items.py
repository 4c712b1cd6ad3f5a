"""
What a Responses answer is made of: reasoning, the vendor's search, an image, the message, calls of functions.

An `Item` is told from its added form over its events to its done form, which is also what a plain answer carries. What
was thought comes back encrypted where `include` asks for it; a call that thoughts went before is marked in its id, so
that the next request can be checked. Source: platform.openai.com/docs/api-reference/responses-streaming, read 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.simulator.steps import FrameKind

from ._base import Turn, listed

__all__ = ("Event", "Item", "items")


@dataclass(frozen=True, slots=True)
class Event:
    """One event inside an item: `name` after `response.`, and its own fields."""

    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    kind: FrameKind = "head"
    text: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One item. `kind` is "content" where its done form brings what no event has brought."""

    added: Mapping[str, object]
    done: Mapping[str, object]
    events: Sequence[Event] = ()
    kind: FrameKind = "head"


def items(turn: Turn, *, whole_calls: bool, status: str) -> list[Item]:
    """The items of an answer; the last word of it has the given `status`."""
    script = turn.script
    made = [_reasoning(turn)] if script.reasoning else []
    if script.citations:
        made.append(_search(turn))
    if script.image:
        made.append(_image(turn))
    if turn.pieces or turn.refusal:
        made.append(_message(turn, "completed" if script.tool_calls else status))
    for index, (name, arguments) in enumerate(script.tool_calls):
        last = index == len(script.tool_calls) - 1
        deltas = [arguments] if whole_calls else turn.fragments(arguments)
        made.append(_call(turn, index, name, deltas, status if last else "completed"))
    return made


def _reasoning(turn: Turn) -> Item:
    bare: dict[str, object] = {"id": f"rs_{turn.ident:032x}", "type": "reasoning", "summary": []}
    if "reasoning.encrypted_content" in listed(turn.request.fields.get("include")):
        bare["encrypted_content"] = turn.request.seal.sign("reasoning", "", turn.ident)
    if not turn.thoughts:
        return Item(bare, bare)
    text, at = "".join(turn.thoughts), {"summary_index": 0}
    whole = {"type": "summary_text", "text": text}
    deltas = [
        Event("reasoning_summary_text.delta", {**at, "delta": thought}, "content", reasoning=thought)
        for thought in turn.thoughts
    ]
    events = [
        Event("reasoning_summary_part.added", {**at, "part": {"type": "summary_text", "text": ""}}),
        *deltas,
        Event("reasoning_summary_text.done", {**at, "text": text}),
        Event("reasoning_summary_part.done", {**at, "part": whole}),
    ]
    return Item(bare, {**bare, "summary": [whole]}, events)


def _search(turn: Turn) -> Item:
    query = "what the question is about"
    bare = {"id": f"ws_{turn.ident:032x}", "type": "web_search_call"}
    events = [Event(f"web_search_call.{state}") for state in ("in_progress", "searching", "completed")]
    return Item(
        {**bare, "status": "in_progress", "action": {"type": "search"}},
        {**bare, "status": "completed", "action": {"type": "search", "query": query, "queries": [query]}},
        events,
    )


def _image(turn: Turn) -> Item:
    bare = {"id": f"ig_{turn.ident:032x}", "type": "image_generation_call"}
    done = {
        **bare,
        "status": "completed",
        "background": "opaque",
        "output_format": "png",
        "quality": "medium",
        "size": "1024x1024",
        "revised_prompt": "What was asked for, drawn.",
        "result": base64.b64encode(turn.script.image).decode(),
    }
    events = [Event(f"image_generation_call.{state}") for state in ("in_progress", "generating", "completed")]
    return Item({**bare, "status": "in_progress"}, done, events, "content")


def _message(turn: Turn, status: str) -> Item:
    bare = {"id": f"msg_{turn.ident:032x}", "type": "message", "role": "assistant"}
    parts, events = list[dict[str, object]](), list[Event]()
    if turn.pieces:
        part, told = _text(turn)
        parts, events = [part], told
    if turn.refusal:
        part, told = _refusal(turn, len(parts))
        parts, events = [*parts, part], [*events, *told]
    added = {**bare, "status": "in_progress", "content": []}
    return Item(added, {**bare, "status": status, "content": parts}, events)


def _text(turn: Turn) -> tuple[dict[str, object], list[Event]]:
    at, text = {"content_index": 0}, "".join(turn.pieces)
    notes = [
        {"type": "url_citation", "start_index": 0, "end_index": len(text), "title": one.title, "url": one.url}
        for one in turn.script.citations
    ]
    empty: dict[str, object] = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    whole = {**empty, "annotations": notes, "text": text}
    deltas = [
        Event("output_text.delta", {**at, "delta": piece, "logprobs": []}, "content", text=piece)
        for piece in turn.pieces
    ]
    added = [
        Event("output_text.annotation.added", {**at, "annotation_index": index, "annotation": note}, "content")
        for index, note in enumerate(notes)
    ]
    events = [
        Event("content_part.added", {**at, "part": empty}),
        *deltas,
        *added,
        Event("output_text.done", {**at, "text": text, "logprobs": []}),
        Event("content_part.done", {**at, "part": whole}),
    ]
    return whole, events


def _refusal(turn: Turn, index: int) -> tuple[dict[str, object], list[Event]]:
    at, text = {"content_index": index}, "".join(turn.refusal)
    whole: dict[str, object] = {"type": "refusal", "refusal": text}
    events = [
        Event("content_part.added", {**at, "part": {"type": "refusal", "refusal": ""}}),
        *(Event("refusal.delta", {**at, "delta": piece}, "content") for piece in turn.refusal),
        Event("refusal.done", {**at, "refusal": text}),
        Event("content_part.done", {**at, "part": whole}),
    ]
    return whole, events


def _call(turn: Turn, index: int, name: str, deltas: list[str], status: str) -> Item:
    ident, arguments = f"fc_{turn.ident:032x}{index:04x}", "".join(deltas)
    if turn.script.reasoning:
        ident += turn.request.seal.mark(ident)
    bare = {"id": ident, "type": "function_call", "call_id": turn.id("call_"), "name": name}
    events = [
        *(Event("function_call_arguments.delta", {"delta": delta}, "content") for delta in deltas),
        Event("function_call_arguments.done", {"arguments": arguments}),
    ]
    added = {**bare, "status": "in_progress", "arguments": ""}
    return Item(added, {**bare, "status": status, "arguments": arguments}, events)
