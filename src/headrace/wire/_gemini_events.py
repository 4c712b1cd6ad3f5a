"""
The shapes of Gemini's events, read in steps: the common event in one, any other with care.

What does not fit the first step exactly is read again; each step skips what the next one reads. Knows no chunks.
Source: the generateContent reference and the vendor's SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

__all__ = (
    "Candidate",
    "FunctionCall",
    "Part",
    "Response",
    "decode_response",
    "decode_text",
    "read_candidate",
    "read_part",
)

JSONObject: TypeAlias = dict[str, object]


# The common event, one piece of text and nothing to hand on: a fifth of a bare json.loads. Its usage, which is flat but
# for lists of flat objects, is kept as it is: every event repeats it, and few are asked for it.

_Figure: TypeAlias = int | float | str | bool | None


class _TextPart(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str
    thought: bool = False


class _TextContent(msgspec.Struct, gc=False):
    parts: tuple[_TextPart]


class _Nothing(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """`{}`, which is what most events of a grounded answer have for metadata."""


class _TextCandidate(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: _TextContent
    index: Literal[0] = 0
    safety_ratings: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="safetyRatings")
    grounding: _Nothing | None = msgspec.field(default=None, name="groundingMetadata")


class _TextResponse(msgspec.Struct, gc=False):
    candidates: tuple[_TextCandidate]
    usage: dict[str, _Figure | list[dict[str, _Figure]]] | None = msgspec.field(default=None, name="usageMetadata")
    error: None = None


# Any event. Plain is what fits a struct without a rest.


class Response(msgspec.Struct, gc=False):
    candidates: list[msgspec.Raw] | None = None
    usage: JSONObject | None = msgspec.field(default=None, name="usageMetadata")
    model: str | None = msgspec.field(default=None, name="modelVersion")
    id: str | None = msgspec.field(default=None, name="responseId")
    feedback: JSONObject | None = msgspec.field(default=None, name="promptFeedback")
    error: object = None


class _Content(msgspec.Struct, gc=False):
    parts: list[msgspec.Raw] | None = None


class Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None
    finish_reason: str | int | None = msgspec.field(default=None, name="finishReason")
    index: int | None = None
    safety_ratings: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="safetyRatings")


class _PlainCandidate(Candidate, gc=False, forbid_unknown_fields=True):
    """One with nothing to hand on."""

    token_count: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="tokenCount")
    average: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="avgLogprobs")


class FunctionCall(msgspec.Struct, gc=False):
    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()
    partial: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="partialArgs")
    will_continue: bool | None = msgspec.field(default=None, name="willContinue")


class Part(msgspec.Struct, gc=False):
    text: str | None = None
    thought: bool | None = None
    signature: str | None = msgspec.field(default=None, name="thoughtSignature")
    call: FunctionCall | None = msgspec.field(default=None, name="functionCall")


class _PlainPart(Part, gc=False, forbid_unknown_fields=True):
    """One with nothing to hand on but its signature."""


_READ: Final = frozenset({"content", "finishReason", "index", "safetyRatings", "tokenCount", "avgLogprobs"})

decode_text: Final = msgspec.json.Decoder(_TextResponse).decode
decode_response: Final = msgspec.json.Decoder(Response).decode
_decode_plain_candidate: Final = msgspec.json.Decoder(_PlainCandidate).decode
_decode_candidate: Final = msgspec.json.Decoder(Candidate).decode
_decode_plain_part: Final = msgspec.json.Decoder(_PlainPart).decode
_decode_part: Final = msgspec.json.Decoder(Part).decode
_decode_object: Final = msgspec.json.Decoder(JSONObject).decode


def read_candidate(raw: msgspec.Raw) -> tuple[Candidate, Mapping[str, object]]:
    """The candidate, and its fields that nobody reads here."""
    try:
        return _decode_plain_candidate(raw), {}
    except msgspec.ValidationError:
        found = _decode_candidate(raw)  # raises again where a known field has another type
        return found, {name: value for name, value in _decode_object(raw).items() if value and name not in _READ}


def read_part(raw: msgspec.Raw) -> tuple[Part, Mapping[str, object] | None]:
    """The part, and all of it as it came where it says more than words, thoughts or a whole call."""
    try:
        part: Part = _decode_plain_part(raw)
    except msgspec.ValidationError:
        part = _decode_part(raw)  # raises again where a known field has another type
        return part, _decode_object(raw)
    call = part.call
    is_plain = part.signature is None and (
        call is None or (bool(call.name) and not call.will_continue and not bytes(call.partial))
    )
    return part, None if is_plain else _decode_object(raw)
