"""
What an event and an output item of the Responses API hold: their fields, their words, their tool calls.

Only what is read has a field; msgspec skips the rest without building it, above all the request that every `response`
repeats. Knows no streams, no errors, no usage. Source: OpenAI's API reference and SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from .._types import ToolCallDelta
from ._shared import as_map

__all__ = ("NO_INDEX", "Calls", "Event", "Item", "Response", "decode_event", "decode_plain", "decode_type", "read_item")

NO_INDEX: Final = -1  # for a server that does not say to which item an event belongs


class Response(msgspec.Struct, gc=False):
    """The answer, as far as it is known: whole in the event that ends the stream."""

    status: str | None = None
    model: str | None = None
    output: list[dict[str, object]] | None = None
    usage: dict[str, object] | None = None
    error: object = None
    incomplete_details: object = None


class Event(msgspec.Struct, gc=False):
    """The fields of all events that are read."""

    delta: str | None = None
    arguments: str | None = None
    output_index: int | None = None
    item_id: str | None = None
    item: dict[str, object] | None = None
    annotation: dict[str, object] | None = None
    logprobs: list[object] | None = None
    response: Response | None = None

    @property
    def index(self) -> int:
        return NO_INDEX if self.output_index is None else self.output_index


class _Type(msgspec.Struct, gc=False):
    type: str | None = None


# The common event, one piece of text: what does not fit is read again with care.


class _PlainEvent(msgspec.Struct, gc=False):
    type: Literal["response.output_text.delta"]
    delta: str
    output_index: int = NO_INDEX
    logprobs: Annotated[list[object], msgspec.Meta(max_length=0)] | None = None


decode_type: Final = msgspec.json.Decoder(_Type).decode
decode_event: Final = msgspec.json.Decoder(Event).decode
decode_plain: Final = msgspec.json.Decoder(_PlainEvent).decode


# ---------------------------------------------------------------- items


WordKind: TypeAlias = Literal["content", "reasoning", "refusal"]


class Item:
    """What an item of the output brings. `extra` has its objects for which there is no field, as they are."""

    __slots__ = ("annotations", "extra", "is_call", "logprobs", "words")

    def __init__(self) -> None:
        self.words: dict[WordKind, str] = {"content": "", "reasoning": "", "refusal": ""}
        self.annotations: list[Mapping[str, object]] = []
        self.logprobs: list[Mapping[str, object]] = []
        self.extra: list[Mapping[str, object]] = []
        self.is_call = False


def read_item(item: Mapping[str, object]) -> Item:
    """
    An item that is whole.

    Calls of hosted tools, images, and what will be invented yet are handed on as they are. A call of a custom tool is
    too: its input is text of any grammar, and in an answer of xAI's it is a call that xAI has run already.
    """
    found = Item()
    match item.get("type"):
        case "message":
            for part in _objects(item.get("content")):
                _read_part(part, found)
        case "reasoning":
            found.words["reasoning"] = _texts(item.get("summary")) + _texts(item.get("content"))
            if item.get("encrypted_content"):  # it must go back with the next turn
                found.extra.append(item)
        case "function_call":
            found.is_call = True
            if item.get("namespace"):  # it must go back with the call
                found.extra.append(item)
        case _:
            found.extra.append(item)
    return found


def _read_part(part: Mapping[str, object], found: Item) -> None:
    match part.get("type"):
        case "output_text" | "text":
            found.words["content"] += _string(part.get("text"))
            found.annotations += _objects(part.get("annotations"))
            found.logprobs += _objects(part.get("logprobs"))
        case "refusal":
            found.words["refusal"] += _string(part.get("refusal"))
        case _:
            found.extra.append(part)


def _objects(value: object) -> list[Mapping[str, object]]:
    return [as_map(part) for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(parts: object) -> str:
    return "".join(_string(part.get("text")) for part in _objects(parts))


# ---------------------------------------------------------------- tool calls


class _Call(msgspec.Struct, gc=False):
    """What of a call has been said: its number among the calls, its id and name, whether there were arguments."""

    number: int
    id: str = ""
    name: str = ""
    spoken: bool = False
    ended: bool = False


class Calls:
    """
    The function calls of one answer, and what of each has been told.

    An event belongs to a call by its place in the output, else by its item's id: there are servers that leave out the
    first, and servers that make up the second anew for each event.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int | str, _Call] = {}

    def __len__(self) -> int:
        return len(self._known)

    def began(self, index: int, item: Mapping[str, object]) -> ToolCallDelta | None:
        """An item was added. Its arguments come in pieces, or with its end."""
        return self._piece(self._call(index, item.get("id")), item)

    def arguments(self, index: int, ident: str | None, text: str, *, whole: bool = False) -> ToolCallDelta | None:
        """A piece of the arguments, or the `whole` of them, which says nothing new after pieces."""
        call = self._call(index, ident)
        return self._piece(call, {}, "" if whole and call.spoken else text)

    def ended(self, index: int, item: Mapping[str, object]) -> ToolCallDelta | None:
        """An item is done: the rest of its call. One that was cut by a limit is done as well, but has not ended."""
        call = self._call(index, item.get("id"))
        text = "" if call.spoken else _string(item.get("arguments"))
        return self._piece(call, item, text, ended=item.get("status") != "incomplete")

    def _call(self, index: int, ident: object) -> _Call:
        key = index if index != NO_INDEX else _string(ident)
        call = self._known.get(key)
        if call is None:
            call = self._known[key] = _Call(len(self._known))
        return call

    def _piece(
        self, call: _Call, item: Mapping[str, object], arguments: str = "", *, ended: bool = False
    ) -> ToolCallDelta | None:
        ident = "" if call.id else _string(item.get("call_id"))
        name = "" if call.name else _string(item.get("name"))
        ended = ended and not call.ended
        if not (ident or name or arguments or ended):
            return None
        call.id, call.name = call.id or ident, call.name or name
        call.spoken |= bool(arguments)
        call.ended |= ended
        return ToolCallDelta(call.number, ident, name, arguments, ended)
