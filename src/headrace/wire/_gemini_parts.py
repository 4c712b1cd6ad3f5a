"""
What the parts of one event add up to, and parts that have no field of their own in a chunk.

A chunk tells thoughts, words and calls one kind behind the other. Where the event mixed them, or has signatures, images
or other things between them, the chunk's `parts` repeat words and calls in their places. Knows no streams.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from .._types import ImagePart, ReasoningPart, ResponsePart, TextPart, ToolCall, ToolCallDelta, VendorPart
from ._shared import as_map, as_text

__all__ = ("PROVIDER", "Pieces", "bare", "own_part")

PROVIDER: Final = "gemini"
_STANDARD: Final = str.maketrans("-_", "+/")  # bytes in JSON may come in either alphabet (protobuf's JSON mapping)


class Pieces:
    """The fields of a chunk, as they grow."""

    __slots__ = ("_has_order", "_order", "calls", "content", "extra", "reasoning")

    def __init__(self) -> None:
        self.content = self.reasoning = ""
        self.calls: tuple[ToolCallDelta, ...] = ()
        self.extra: tuple[Mapping[str, object], ...] = ()
        self._order: list[ResponsePart] = []
        self._has_order = False  # beyond that of a chunk's fields

    @property
    def are_there(self) -> bool:
        """Whether anything came."""
        return bool(self.content or self.reasoning or self.calls or self.extra)

    @property
    def parts(self) -> tuple[ResponsePart, ...]:
        """For the chunk: all but thoughts in the vendor's order, where the other fields do not tell it."""
        return tuple(self._order) if self._has_order else ()

    def words(self, text: str) -> None:
        """The next words."""
        self._has_order |= bool(self.calls)
        self.content += text
        self._order.append(TextPart(text))

    def call(self, piece: ToolCallDelta) -> None:
        """A whole call, or a piece of one, which has no place of its own."""
        self.calls += (piece,)
        if piece.name and piece.ended:
            self._order.append(ToolCall(piece.id, piece.name, piece.arguments, origin=PROVIDER))

    def part(self, *parts: ResponsePart) -> None:
        """What stands behind all that came."""
        self._has_order = True
        self._order += parts

    def hand_on(self, *found: Mapping[str, object]) -> None:
        """What is handed on as it came."""
        self.extra += found


def own_part(found: Mapping[str, object]) -> tuple[ResponsePart, ...]:
    """A part that is neither words nor a call: an image with its signature, or what goes back as it came."""
    signature, data = found.get("thoughtSignature"), as_map(found.get("inlineData"))
    kind, text = as_text(data.get("mimeType")) or "", data.get("data")
    if kind.startswith("image/") and isinstance(text, str) and not found.get("thought"):  # a draft is no answer
        image = ImagePart(base64.b64decode(text.translate(_STANDARD) + "=="), kind)
        return (bare(signature), image) if isinstance(signature, str) else (image,)
    if found.keys() <= {"text", "thought", "thoughtSignature"}:  # a signature that stands by itself
        return (VendorPart(PROVIDER, {"text": "", **found}, TextPart("")),)
    return (VendorPart(PROVIDER, found),)


def bare(signature: str) -> ReasoningPart:
    """A signature, which belongs to the part behind it."""
    return ReasoningPart("", signature, origin=PROVIDER)
