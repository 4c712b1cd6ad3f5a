"""
What a chunk of Chat Completions holds: its fields, its words, and which tool call a piece belongs to.

Only what is read has a field; msgspec skips the rest without building it. Knows no streams, no errors, no usage.
Source: OpenAI's API reference and SDK types, 2026-11; Mistral's and OpenRouter's for typed parts and reasoning details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from .._types import ToolCallDelta
from ._shared import as_map

__all__ = (
    "Choice",
    "Delta",
    "Event",
    "PlainDelta",
    "ToolCall",
    "ToolCalls",
    "decode_event",
    "decode_message",
    "decode_plain",
    "read_content",
)


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, object] | None = None


class ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    custom: dict[str, object] | None = None


class Delta(msgspec.Struct, gc=False):
    """A piece of an answer, or all of it: a `message` has the same fields."""

    content: str | list[object] | dict[str, object] | None = None
    reasoning_content: object = None
    reasoning: object = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: _Function | None = None
    reasoning_details: list[dict[str, object]] | None = None
    annotations: object = None
    audio: object = None
    images: object = None
    executed_tools: object = None
    context: object = None


class Choice(msgspec.Struct, gc=False):
    delta: Delta | None = None
    message: msgspec.Raw = msgspec.Raw()
    index: int | None = 0
    finish_reason: str | None = None
    logprobs: object = None
    usage: dict[str, object] | None = None
    error: object = None


class _Groq(msgspec.Struct, gc=False):
    usage: dict[str, object] | None = None
    error: object = None


class Event(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    model: str | None = None
    usage: dict[str, object] | None = None
    x_groq: _Groq | None = None
    error: object = None
    citations: list[object] | None = None
    search_results: list[object] | None = None
    moderation: object = None


# The common event, a piece of text, of reasoning or of calls: what is typed None must be absent or null, else the event
# does not fit and is read again with care. msgspec checks that in a third of the time that a row of conditions takes.


class _PlainFunction(_Function, gc=False):
    arguments: str | None = None


class _PlainToolCall(ToolCall, gc=False):
    function: _PlainFunction | None = None
    custom: None = None


class PlainDelta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: None = None
    tool_calls: list[_PlainToolCall] | None = None
    function_call: None = None
    reasoning_details: None = None
    annotations: None = None
    audio: None = None
    images: None = None
    executed_tools: None = None
    context: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    delta: PlainDelta
    index: Literal[0] = 0
    finish_reason: None = None
    logprobs: None = None
    usage: None = None
    error: None = None


class _PlainEvent(msgspec.Struct, gc=False):
    choices: tuple[_PlainChoice]
    model: str | None = None
    usage: None = None
    x_groq: None = None
    error: None = None
    citations: None = None
    search_results: None = None
    moderation: None = None


decode_event: Final = msgspec.json.Decoder(Event).decode
decode_message: Final = msgspec.json.Decoder(Delta | None).decode
decode_plain: Final = msgspec.json.Decoder(_PlainEvent).decode


# ---------------------------------------------------------------- content


def read_content(delta: Delta) -> tuple[str, str, list[Mapping[str, object]]]:
    """The words, the reasoning, and what is neither."""
    content, extra = delta.content, list[Mapping[str, object]]()
    thoughts = _thinking(delta.reasoning_content) or _thinking(delta.reasoning)
    details = delta.reasoning_details
    if details:  # they repeat the words, where there are any, and may hold what those lack: signatures
        thoughts = thoughts or "".join(_text(detail) or _text(detail, "summary") for detail in details)
        if any(detail.get("signature") or detail.get("data") for detail in details):
            extra.append({"reasoning_details": details})
    if isinstance(content, str):
        return content, thoughts, extra
    if isinstance(content, dict):  # Cloudflare, for an answer by schema
        extra.append({"content": content})
        return "", thoughts, extra
    words: list[str] = []
    for part in content or ():
        told = {"type": "text", "text": part} if isinstance(part, str) else as_map(part)
        kind = told.get("type")
        if kind == "text":
            words.append(_text(told))
        elif kind == "thinking":
            thoughts += _thinking(told.get("thinking"))
        else:
            if kind == "reasoning":  # Databricks, with a signature
                thoughts += _thinking(told.get("summary"))
            extra.append({"content": part})
    return "".join(words), thoughts, extra


def _text(part: Mapping[str, object], field: str = "text") -> str:
    text = part.get(field)
    return text if isinstance(text, str) else ""


def _thinking(value: object) -> str:
    """Thoughts as a text, as a part, or as a list of these."""
    if isinstance(value, str):
        return value
    return "".join(map(_thinking, value)) if isinstance(value, list) else _text(as_map(value))


class _Call(msgspec.Struct, gc=False):
    """What of a call has been said: its number in the answer, its id and its name."""

    number: int
    id: str = ""
    name: str = ""
    spoken: bool = False


def _is_another(call: _Call, ident: str, name: str) -> bool:
    """Whether a piece with this id and name is none of the call that has its index."""
    if ident and call.id:
        return ident != call.id
    return bool(call.spoken and name and call.name and name != call.name)


class ToolCalls:
    """
    Which call a piece belongs to. Ids and names are told once, although some servers repeat them.

    By its index, and a new id, or without ids a new name behind arguments, under a used index is a new call; without an
    index by its id; with neither, a name begins a new call and anything else continues the last one.
    """

    __slots__ = ("_count", "_known", "_last")

    def __init__(self) -> None:
        self._known: dict[int | str, _Call] = {}
        self._count = 0
        self._last: int | str = ""

    def __len__(self) -> int:
        return len(self._known)

    def take(self, calls: Sequence[ToolCall], function_call: _Function | None = None) -> tuple[ToolCallDelta, ...]:
        pieces = [self._piece(call.index, call.id or "", call.function) for call in calls if call.custom is None]
        if function_call is not None:  # before there were several: one, without an id
            pieces.append(self._piece(-1, "", function_call))
        return tuple(piece for piece in pieces if piece is not None)

    def _piece(self, index: int | None, ident: str, function: _Function | None) -> ToolCallDelta | None:
        name, arguments = (function.name or "", function.arguments or "") if function is not None else ("", "")
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if not (ident or name or arguments):
            return None
        key = index if index is not None else ident or (f"call {self._count}" if name else self._last)
        call = self._known.get(key)
        if call is None or _is_another(call, ident, name):
            call = self._known[key] = _Call(self._count)
            self._count += 1
        self._last = key
        piece = ToolCallDelta(call.number, "" if call.id else ident, "" if call.name else name, arguments)
        call.id, call.name = call.id or ident, call.name or name
        call.spoken |= bool(arguments)
        return piece if piece.id or piece.name or arguments else None
