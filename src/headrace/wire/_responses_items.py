"""
What an event and an output item of the Responses API hold: their fields, their words, what they are as parts.

Only what is read has a field; msgspec skips the rest without building it, above all the request that every `response`
repeats. Knows no streams, no errors, no usage. Source: OpenAI's API reference and SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from .._types import Citation, ReasoningPart, ResponsePart, TextPart, VendorPart
from ._openai_parts import citation, image
from ._shared import as_map, as_text

__all__ = (
    "FRAMES",
    "NO_INDEX",
    "Event",
    "Item",
    "Piece",
    "Response",
    "decode_event",
    "decode_piece",
    "decode_type",
    "frame",
    "read_item",
)

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
    text: str | None = None
    refusal: str | None = None
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


# The common event, a piece of words or of a call's arguments: what does not fit is read again with care.


class Piece(msgspec.Struct, gc=False):
    type: Literal[
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta",
    ]
    delta: str
    output_index: int = NO_INDEX
    item_id: str | None = None
    logprobs: tuple[()] | None = None


decode_type: Final = msgspec.json.Decoder(_Type).decode
decode_event: Final = msgspec.json.Decoder(Event).decode
decode_piece: Final = msgspec.json.Decoder(Piece).decode


# ---------------------------------------------------------------- items


WordKind: TypeAlias = Literal["content", "reasoning", "refusal"]


class Item:
    """
    What an item of the output brings.

    Attributes:
        words: by their kind.
        citations: the sources of the words.
        parts, extra: what is no words and no call: with a type, and as it came.
        length: how many characters of content it has.
    """

    __slots__ = ("citations", "extra", "is_call", "length", "logprobs", "parts", "words")

    def __init__(self) -> None:
        self.words: dict[WordKind, str] = {"content": "", "reasoning": "", "refusal": ""}
        self.citations: list[Citation] = []
        self.parts: list[ResponsePart] = []
        self.extra: list[Mapping[str, object]] = []
        self.logprobs: list[Mapping[str, object]] = []
        self.is_call = False
        self.length = 0


def read_item(item: Mapping[str, object], *, provider: str, base: int) -> Item:
    """
    An item that is whole.

    Calls of hosted tools, and what will be invented yet, are handed on as they are. A call of a custom tool is too: its
    input is text of any grammar, and in an answer of xAI's it is a call that xAI has run already.

    Args:
        base: how many characters of content came before it.
    """
    found = Item()
    match item.get("type"):
        case "message":
            for part in _objects(item.get("content")):
                _read_part(part, found, base)
        case "reasoning":
            text = found.words["reasoning"] = _texts(item.get("summary")) + _texts(item.get("content"))
            if item.get("encrypted_content"):  # it must go back with the next turn; without, it is not taken back
                found.extra.append(item)
                shared = ReasoningPart(text, origin=provider) if text else None
                found.parts.append(VendorPart(provider, item, shared))
        case "function_call":
            found.is_call = True
            if item.get("namespace"):
                found.extra.append(item)
        case "image_generation_call":
            found.extra.append(item)
            made = image(item.get("result"), f"image/{as_text(item.get('output_format')) or 'png'}")
            found.parts.append(VendorPart(provider, item, made))
        case _:
            found.extra.append(item)
            found.parts.append(VendorPart(provider, item))
    return found


def _read_part(part: Mapping[str, object], found: Item, base: int) -> None:
    match part.get("type"):
        case "output_text" | "text":
            text = _string(part.get("text"))
            found.citations += [citation(raw, base=base + found.length) for raw in _objects(part.get("annotations"))]
            found.words["content"] += text
            found.length += len(text)
            found.logprobs += _objects(part.get("logprobs"))
        case "refusal":
            found.words["refusal"] += _string(part.get("refusal"))
        case _:
            found.extra.append(part)


# What of an item is neither words nor a call's own, and must go back with them.
FRAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("phase",),
    "function_call": ("namespace", "caller", "async"),
}


def frame(item: Mapping[str, object], *, provider: str) -> tuple[VendorPart, ...]:
    """A part that stands before the words or the call of an item, if there is more to it. To others it says nothing."""
    kind = as_text(item.get("type")) or ""
    told = {key: item[key] for key in FRAMES.get(kind, ()) if item.get(key)}
    return (VendorPart(provider, {"type": kind, **told}, TextPart("")),) if told else ()


def _objects(value: object) -> list[Mapping[str, object]]:
    return [as_map(part) for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(parts: object) -> str:
    return "".join(_string(part.get("text")) for part in _objects(parts))
