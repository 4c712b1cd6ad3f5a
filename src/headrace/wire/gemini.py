"""
The Gemini generateContent format: requests out, events, whole answers and refusals in.

Each event is a whole GenerateContentResponse whose candidates carry the next parts. There is no sentinel: the proof of
the end is a `finishReason`, or a `promptFeedback.blockReason` without candidates. Parts and candidate fields that have
no field in our chunk are handed on as `chunk.extra`, in the vendor's words. Only the first candidate is read. Knows no
sockets, no clock, no retries, no models. Source: the generateContent reference and the vendor's SDK types, 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec

from .._types import (
    AIMessage,
    AIStreamChunk,
    ChunkMeta,
    GenerationConfig,
    ImagePart,
    ReasoningPart,
    ResponsePart,
    TextPart,
    ToolCallDelta,
    Usage,
    VendorPart,
)
from ..errors import ProviderError
from . import _gemini_request
from ._codec import Encoded, undecodable
from ._gemini_errors import typed_error
from ._gemini_parts import PartialArgs, citations
from ._shared import ITEMS, MALFORMED, as_count, as_map, as_text, is_deep, load
from .framing import SSE

__all__ = ("GeminiCodec",)

PROVIDER: Final = "gemini"

FINISH_REASONS: Final[Mapping[str, str]] = {
    "STOP": "stop",  # after a function call: "tool_calls"
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    # The same as numbers, which some proxies ask for (`enum-encoding=int`).
    "1": "stop",
    "2": "length",
    "3": "content_filter",
    "4": "content_filter",
    "7": "content_filter",
    "8": "content_filter",
    "9": "content_filter",
    "11": "content_filter",
}


# The common event, one piece of text and nothing to hand on: what does not fit these structs exactly is read again
# with care. With the usage of each event it takes three quarters of a bare json.loads, the careful way twice as long.

_T = TypeVar("_T")
_One: TypeAlias = Annotated[list[_T], msgspec.Meta(min_length=1, max_length=1)]


class _TextPart(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str
    thought: bool = False


class _TextContent(msgspec.Struct, gc=False):
    parts: _One[_TextPart]


class _Nothing(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """`{}`, which is what most events of a grounded answer have for metadata."""


class _TextCandidate(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: _TextContent
    index: Literal[0] = 0
    safety_ratings: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="safetyRatings")
    grounding: _Nothing | None = msgspec.field(default=None, name="groundingMetadata")


_Figure: TypeAlias = int | float | str | bool | None


class _TextResponse(msgspec.Struct, gc=False):
    candidates: _One[_TextCandidate]
    usage: dict[str, _Figure | list[dict[str, _Figure]]] | None = msgspec.field(default=None, name="usageMetadata")
    error: None = None


# Any event, in three steps, each of which skips what the next one reads. Plain is what fits a struct without a rest.


class _Response(msgspec.Struct, gc=False):
    candidates: list[msgspec.Raw] | None = None
    usage: dict[str, object] | None = msgspec.field(default=None, name="usageMetadata")
    model: str | None = msgspec.field(default=None, name="modelVersion")
    id: str | None = msgspec.field(default=None, name="responseId")
    feedback: dict[str, object] | None = msgspec.field(default=None, name="promptFeedback")
    error: object = None


class _Content(msgspec.Struct, gc=False):
    parts: list[msgspec.Raw] | None = None


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None
    finish_reason: str | int | None = msgspec.field(default=None, name="finishReason")
    index: int | None = None
    safety_ratings: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="safetyRatings")


class _PlainCandidate(_Candidate, gc=False, forbid_unknown_fields=True):
    """One with nothing to hand on."""

    token_count: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="tokenCount")
    average: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="avgLogprobs")


class _FunctionCall(msgspec.Struct, gc=False):
    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()
    partial: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="partialArgs")
    will_continue: bool | None = msgspec.field(default=None, name="willContinue")


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    thought: bool | None = None
    signature: str | None = msgspec.field(default=None, name="thoughtSignature")
    call: _FunctionCall | None = msgspec.field(default=None, name="functionCall")


class _PlainPart(_Part, gc=False, forbid_unknown_fields=True):
    """One with nothing to hand on but its signature."""


_READ: Final = frozenset({"content", "finishReason", "index", "safetyRatings", "tokenCount", "avgLogprobs"})

_decode_text: Final = msgspec.json.Decoder(_TextResponse).decode
_decode_response: Final = msgspec.json.Decoder(_Response).decode
_decode_plain_candidate: Final = msgspec.json.Decoder(_PlainCandidate).decode
_decode_candidate: Final = msgspec.json.Decoder(_Candidate).decode
_decode_plain_part: Final = msgspec.json.Decoder(_PlainPart).decode
_decode_part: Final = msgspec.json.Decoder(_Part).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, object]).decode


class GeminiCodec:
    """generateContent as a `Codec`."""

    __slots__ = ()
    provider: Final = PROVIDER
    stream_type: Final = SSE

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """See `Codec.encode`. `extra["generationConfig"]` is put over ours field by field, all else as it is."""
        return _gemini_request.encode(messages, config, model=model, stream=stream)

    def decoder(self, *, request_id: str | None = None) -> _Decoder:
        """See `Codec.decoder`."""
        return _Decoder(request_id)

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> list[AIStreamChunk]:
        """See `Codec.decode_body`. Takes the array of responses too that a stream without `alt=sse` is."""
        decoder = _Decoder(request_id)
        chunks: list[AIStreamChunk] = []
        try:
            text = body.decode()
            responses = msgspec.json.decode(text, type=list[msgspec.Raw]) if text.lstrip().startswith("[") else [text]
            for response in responses:
                data = response if isinstance(response, str) else bytes(response).decode()
                if (chunk := decoder.feed("message", data)) is not None:
                    chunks.append(chunk)
            if not chunks:
                raise ValueError("it holds neither candidates nor a block")
        except MALFORMED as exc:
            raise undecodable(PROVIDER, body.decode("utf-8", "replace"), exc, request_id=request_id) from exc
        meta = ChunkMeta(decoder.model, decoder.request_id, decoder.raw_finish_reason, load(body))
        chunks[-1].is_final, chunks[-1].meta = True, meta
        return chunks

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(PROVIDER, body, status=status, headers=headers, now=now)


class _Pieces:
    """What the parts of one event add up to."""

    __slots__ = ("calls", "content", "extra", "parts", "reasoning")

    def __init__(self) -> None:
        self.content = self.reasoning = ""
        self.calls: tuple[ToolCallDelta, ...] = ()
        self.extra: tuple[Mapping[str, object], ...] = ()
        self.parts: list[ResponsePart] = []


class _Decoder:
    """The state of one stream: its calls so far, and what its first and its last event told."""

    __slots__ = (
        "_begun",
        "_called",
        "_calls",
        "_cited",
        "_closed",
        "_partial",
        "_words",
        "model",
        "raw_finish_reason",
        "request_id",
    )

    def __init__(self, request_id: str | None) -> None:
        self.request_id = request_id
        self.model: str | None = None
        self.raw_finish_reason: str | None = None
        self._calls = 0
        self._begun = self._called = self._closed = False
        self._partial: PartialArgs | None = None  # of the call that comes in pieces
        self._words: list[str] = []  # grounding tells its places by them
        self._cited: set[tuple[object, ...]] = set()

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`. The format has no event names."""
        del event
        if self._begun and not self._closed:
            try:
                found = _decode_text(data)
                part = found.candidates[0].content.parts[0]
                told = None if found.usage is None else _usage(found.usage, ended=self.raw_finish_reason is not None)
                if part.thought:
                    return AIStreamChunk("", False, told, reasoning=part.text)
                self._words.append(part.text)
                return AIStreamChunk(part.text, False, told) if part.text or told is not None else None
            except MALFORMED:
                pass  # not the common event
        self._begun = True
        return None if self._closed else self._with_care(data)

    def _with_care(self, data: str) -> AIStreamChunk | None:
        try:
            found = _decode_response(data)
            if found.error:
                raise typed_error(PROVIDER, data, request_id=self.request_id)
            if is_deep(data):
                raise ValueError("it is nested too deep")
            return self._response(found)
        except MALFORMED as exc:
            return self._odd(data, exc)

    def _response(self, found: _Response) -> AIStreamChunk | None:
        pieces, reason = _Pieces(), None
        if found.candidates:
            reason = self._first_candidate(found.candidates, pieces)
        elif found.feedback and (blocked := found.feedback.get("blockReason")):
            reason, self.raw_finish_reason = "content_filter", str(blocked)
            pieces.extra = ({"promptFeedback": found.feedback},)
        told = None if found.usage is None else _usage(found.usage, ended=self.raw_finish_reason is not None)
        is_empty = not (pieces.content or pieces.reasoning or pieces.calls or pieces.extra)
        told_apart = any(not isinstance(part, TextPart) for part in pieces.parts)
        if is_empty and told is None and reason is None and (self.model is not None or found.model is None):
            return None
        self.model = self.model or found.model
        self.request_id = self.request_id or found.id
        return AIStreamChunk(
            pieces.content,
            usage=told,
            reasoning=pieces.reasoning,
            tool_calls=pieces.calls,
            finish_reason=reason,
            parts=tuple(pieces.parts) if told_apart else (),
            extra=pieces.extra,
            meta=ChunkMeta(self.model, self.request_id, self.raw_finish_reason),
        )

    def _first_candidate(self, candidates: Sequence[msgspec.Raw], pieces: _Pieces) -> str | None:
        """Read the candidate with index 0 into `pieces`; gives the finish reason in our words."""
        for raw in candidates:
            candidate, beside = _candidate(raw)
            if candidate.index:
                continue
            if candidate.content is not None:
                for part in candidate.content.parts or ():
                    self._part(part, pieces)
            pieces.extra += tuple({name: value} for name, value in beside.items() if value and name not in _READ)
            for citation in citations(as_map(beside.get("groundingMetadata")), "".join(self._words)):
                key = (citation.url, citation.title, citation.start, citation.end)
                if key not in self._cited:  # each event repeats what the ones before it said
                    self._cited.add(key)
                    if len(self._cited) > ITEMS:
                        raise ValueError(f"more than {ITEMS} sources")
                    pieces.parts.append(citation)
            if not candidate.finish_reason:
                return None
            self.raw_finish_reason = raw_reason = str(candidate.finish_reason)
            reason = FINISH_REASONS.get(raw_reason, raw_reason)
            if reason == "content_filter" and bytes(candidate.safety_ratings):
                pieces.extra += ({"safetyRatings": msgspec.json.decode(candidate.safety_ratings)},)
            return "tool_calls" if reason == "stop" and self._called else reason
        return None

    def _part(self, raw: msgspec.Raw, pieces: _Pieces) -> None:
        try:
            part: _Part = _decode_plain_part(raw)
            is_plain = part.signature is None
        except msgspec.ValidationError:
            part, is_plain = _decode_part(raw), False  # raises again where a known field has another type
        if part.signature is not None:
            pieces.parts.append(ReasoningPart("", part.signature, origin=PROVIDER))
        if part.text:
            if part.thought:
                pieces.reasoning += part.text
            else:
                pieces.content += part.text
                pieces.parts.append(TextPart(part.text))
                self._words.append(part.text)
        if part.call is not None:
            is_plain = self._function_call(part.call, pieces) and is_plain
        if not is_plain:
            found = _decode_object(raw)
            pieces.extra += (found,)
            if part.text is None and part.call is None:
                pieces.parts.append(_own(found))

    def _function_call(self, call: _FunctionCall, pieces: _Pieces) -> bool:
        """Add a call, or the next piece of one; False for a piece, which is handed on raw as well."""
        self._called = True
        if self._partial is None and not (call.will_continue or bytes(call.partial)):
            if not call.name:
                return False
            arguments = bytes(call.args).decode()
            arguments = "" if arguments == "null" else arguments
            pieces.calls += (ToolCallDelta(self._calls, call.id or "", call.name, arguments, ended=True),)
            self._calls += 1
            return True
        if self._partial is None:
            self._partial = PartialArgs()
            pieces.calls += (ToolCallDelta(self._calls, call.id or "", call.name or ""),)
        for piece in msgspec.json.decode(call.partial, type=list[dict[str, object]]) if bytes(call.partial) else ():
            self._partial.take(piece)
        if not call.will_continue:
            whole = msgspec.json.encode(self._partial.value).decode()
            pieces.calls += (ToolCallDelta(self._calls, arguments=whole, ended=True),)
            self._calls, self._partial = self._calls + 1, None
        return False

    def _odd(self, data: str, cause: Exception) -> AIStreamChunk | None:
        """What does not fit the structs: a gateway's `[DONE]`, an error of any shape."""
        if data.strip() == "[DONE]":
            self._closed = True
            return AIStreamChunk("", True)
        found = load(data)
        if any(as_map(item).get("error") for item in (found if isinstance(found, list) else (found,))):
            raise typed_error(PROVIDER, data, request_id=self.request_id)
        raise undecodable(PROVIDER, data, cause, request_id=self.request_id) from cause


def _own(part: Mapping[str, object]) -> ResponsePart:
    """A part that is neither words nor a call: an image, or what only the vendor understands."""
    data = as_map(part.get("inlineData"))
    kind, text = as_text(data.get("mimeType")) or "", data.get("data")
    if kind.startswith("image/") and isinstance(text, str):
        return ImagePart(base64.b64decode(text), kind)
    return VendorPart(PROVIDER, {name: value for name, value in part.items() if name != "thoughtSignature"})


def _candidate(raw: msgspec.Raw) -> tuple[_Candidate, Mapping[str, object]]:
    """The candidate, and all its fields where there are some to hand on."""
    try:
        return _decode_plain_candidate(raw), {}
    except msgspec.ValidationError:
        return _decode_candidate(raw), _decode_object(raw)


def _usage(raw: Mapping[str, object], *, ended: bool) -> Usage:
    """What tools put into the prompt is counted beside it, and thoughts beside the words."""
    count = raw.get
    prompt, tools = as_count(count("promptTokenCount")), as_count(count("toolUsePromptTokenCount"))
    words, thoughts = as_count(count("candidatesTokenCount")), as_count(count("thoughtsTokenCount"))
    return {
        "prompt_tokens": None if prompt is None else prompt + (tools or 0),
        "completion_tokens": None if words is None and thoughts is None else (words or 0) + (thoughts or 0),
        "total_tokens": as_count(count("totalTokenCount")),
        "cached_tokens": as_count(count("cachedContentTokenCount")),
        "cache_write_tokens": None,
        "reasoning_tokens": thoughts,
        "source": "reported" if ended else "partial",
        "raw": raw,
    }
