"""
The Gemini generateContent format: requests out, events, whole answers and refusals in.

Each event is a whole GenerateContentResponse whose candidates carry the next parts. There is no sentinel: the proof of
the end is a `finishReason`, or a `promptFeedback.blockReason` without candidates. Parts and candidate fields that have
no field in our chunk are handed on as `chunk.extra`, in the vendor's words; parts that must go back unchanged are parts
as well. Only the first candidate is read. Every event repeats the usage so far: it is kept as it came, and told when
somebody asks. Knows no sockets, no clock, no retries, no models. Source: the generateContent reference and the vendor's
SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

import msgspec

from .._types import (
    AIMessage,
    AIStreamChunk,
    ChunkMeta,
    GenerationConfig,
    ReasoningPart,
    ResponsePart,
    TextPart,
    ToolCallDelta,
    Usage,
)
from ..errors import ProviderError
from . import _gemini_request
from ._codec import Encoded, SaidThenFailed, joined, undecodable
from ._gemini_args import PartialArgs
from ._gemini_errors import typed_error
from ._gemini_events import (
    FunctionCall,
    Part,
    Response,
    decode_response,
    decode_text,
    read_candidate,
    read_part,
)
from ._gemini_grounding import citations
from ._gemini_parts import PROVIDER, Pieces, bare, own_part
from ._shared import ITEMS, MALFORMED, as_count, as_map, is_deep, load
from .framing import SSE

__all__ = ("GeminiCodec",)

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
        except ProviderError as exc:
            if not chunks:
                raise
            chunk = joined(chunks)  # an array whose last one is an error
            chunk.usage, chunk.meta = decoder.usage(), ChunkMeta(decoder.model, decoder.request_id)
            raise SaidThenFailed(chunk, exc) from None
        last = chunks[-1]
        last.is_final, last.usage = True, decoder.usage()
        last.meta = ChunkMeta(decoder.model, decoder.request_id, decoder.raw_finish_reason, load(body))
        return chunks

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(PROVIDER, body, status=status, headers=headers, now=now)


class _Decoder:
    """The state of one stream: what its first and its last event told, its calls, and what later events refer to."""

    __slots__ = (
        "_begun",
        "_called",
        "_cited",
        "_closed",
        "_partial",
        "_thoughts",
        "_usage",
        "_words",
        "model",
        "raw_finish_reason",
        "request_id",
    )

    def __init__(self, request_id: str | None) -> None:
        self.request_id = request_id
        self.model: str | None = None
        self.raw_finish_reason: str | None = None
        self._begun = self._closed = False  # whether a chunk has told where usage is told; whether nothing counts now
        self._called = 0
        self._partial: PartialArgs | None = None  # the call that comes in pieces
        self._usage: Mapping[str, object] = {}
        self._words: list[str] = []  # grounding tells its places by them
        self._thoughts: list[str] = []  # those since the last words: a signature is theirs together
        self._cited: set[tuple[object, ...]] = set()

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`. The format has no event names."""
        del event
        if self._begun and not self._closed:
            try:
                found = decode_text(data)
            except MALFORMED:
                pass  # not the common event
            else:
                self._usage = found.usage or self._usage
                part = found.candidates[0].content.parts[0]
                if not (text := part.text):
                    return None
                if part.thought:
                    self._thoughts.append(text)
                    return AIStreamChunk("", reasoning=text)
                if self._thoughts:
                    self._thoughts.clear()
                self._words.append(text)
                return AIStreamChunk(text)
        return None if self._closed else self._with_care(data)

    def usage(self) -> Usage | None:
        """The usage that was told last."""
        return _usage(self._usage, ended=self.raw_finish_reason is not None) if self._usage else None

    def _with_care(self, data: str) -> AIStreamChunk | None:
        try:
            found = decode_response(data)
            if found.error and not (found.candidates or found.usage):
                raise typed_error(PROVIDER, data, request_id=self.request_id)
            if is_deep(data):
                raise ValueError("it is nested too deep")
            chunk = self._response(found)
        except MALFORMED as exc:
            return self._odd(data, exc)
        return self._with_error(chunk, data) if found.error else chunk

    def _with_error(self, chunk: AIStreamChunk | None, data: str) -> NoReturn:
        """An error beside words or usage, which are not lost; a finish reason there proves nothing."""
        error = typed_error(PROVIDER, data, request_id=self.request_id)
        if chunk is None:
            raise error
        chunk.finish_reason = None
        raise SaidThenFailed(chunk, error)

    def _response(self, found: Response) -> AIStreamChunk | None:
        pieces, reason, told = Pieces(), None, None
        if found.candidates:
            reason = self._first_candidate(found.candidates, pieces)
        if found.feedback and (blocked := found.feedback.get("blockReason")):
            self._break_call(pieces)
            reason, self.raw_finish_reason = "content_filter", str(blocked)
            pieces.hand_on({"promptFeedback": found.feedback})
        if found.usage:
            self._usage = found.usage
            told = self.usage()
        is_news = self.model is None and found.model is not None
        if not (pieces.are_there or told is not None or reason is not None or is_news):
            return None
        self._begun = True
        self.model = self.model or found.model
        self.request_id = self.request_id or found.id
        return AIStreamChunk(
            pieces.content,
            usage=told,
            reasoning=pieces.reasoning,
            tool_calls=pieces.calls,
            finish_reason=reason,
            parts=pieces.parts,
            extra=pieces.extra,
            meta=ChunkMeta(self.model, self.request_id, self.raw_finish_reason, usage=self.usage),
        )

    def _first_candidate(self, candidates: Sequence[msgspec.Raw], pieces: Pieces) -> str | None:
        """Read the candidate with index 0 into `pieces`; gives the finish reason in our words."""
        for raw in candidates:
            candidate, beside = read_candidate(raw)
            if candidate.index:
                continue
            if candidate.content is not None:
                for part in candidate.content.parts or ():
                    self._part(part, pieces)
            pieces.hand_on(*({name: value} for name, value in beside.items()))
            if grounding := as_map(beside.get("groundingMetadata")):
                self._ground(grounding, pieces)
            if not candidate.finish_reason:
                return None
            self._break_call(pieces)
            self.raw_finish_reason = raw_reason = str(candidate.finish_reason)
            reason = FINISH_REASONS.get(raw_reason, raw_reason)
            if reason == "content_filter" and bytes(candidate.safety_ratings):
                pieces.hand_on({"safetyRatings": msgspec.json.decode(candidate.safety_ratings)})
            return "tool_calls" if reason == "stop" and self._called else reason
        return None

    def _part(self, raw: msgspec.Raw, pieces: Pieces) -> None:
        part, found = read_part(raw)
        if found is not None:
            pieces.hand_on(found)
        if part.call is None and part.thought and part.text is not None and (part.text or self._thoughts):
            self._thought(part.text, part.signature, pieces)
            return
        self._thoughts.clear()
        if part.text or part.call is not None:
            self._said(part, pieces)
        elif found is not None:
            pieces.part(*own_part(found))

    def _thought(self, text: str, signature: str | None, pieces: Pieces) -> None:
        """The next thoughts; a signature is of all since the last words."""
        if text:
            self._thoughts.append(text)
            pieces.reasoning += text
        if signature is not None:
            pieces.part(ReasoningPart("".join(self._thoughts), signature, origin=PROVIDER))
            self._thoughts.clear()

    def _said(self, part: Part, pieces: Pieces) -> None:
        """Words or a call, behind their signature."""
        if part.signature is not None:
            pieces.part(bare(part.signature))
        if part.text:
            self._words.append(part.text)
            pieces.words(part.text)
            if part.signature is not None:
                pieces.part(TextPart(""))  # the signature is not of the words that follow
        if part.call is not None:
            self._call(part.call, pieces)

    def _call(self, call: FunctionCall, pieces: Pieces) -> None:
        """A call, or the next piece of one, which the vendor's own words in `extra` tell as well."""
        going_on = self._partial
        if going_on is not None and call.name and not going_on.goes_on_in(call):
            self._break_call(pieces)
        if self._partial is None:
            if not call.name:
                return  # a piece of nothing
            if not (call.will_continue or bytes(call.partial)):
                arguments = bytes(call.args).decode()
                arguments = "" if arguments == "null" else arguments
                pieces.call(ToolCallDelta(self._called, call.id or "", call.name, arguments, ended=True))
                self._called += 1
                return
            self._partial = PartialArgs(call.name, call.args, call.id)
            pieces.call(ToolCallDelta(self._called, call.id or "", call.name))
            self._called += 1
        if bytes(call.partial):
            self._partial.take(call.partial)
        if not call.will_continue:
            pieces.call(ToolCallDelta(self._called - 1, arguments=self._partial.joined(), ended=True))
            self._partial = None

    def _break_call(self, pieces: Pieces) -> None:
        """The call that comes in pieces will not be whole: its object stays open, so nobody can run it."""
        if self._partial is not None:
            pieces.call(ToolCallDelta(self._called - 1, arguments=self._partial.joined().removesuffix("}")))
            self._partial = None

    def _ground(self, grounding: Mapping[str, object], pieces: Pieces) -> None:
        """Sources; events repeat those of the events before them."""
        found: list[ResponsePart] = []
        for citation in citations(grounding, "".join(self._words)):
            key = (citation.url, citation.title, citation.start, citation.end)
            if key not in self._cited:
                self._cited.add(key)
                found.append(citation)
        if len(self._cited) > ITEMS:
            raise ValueError(f"more than {ITEMS} sources")
        if found:
            pieces.part(*found)

    def _odd(self, data: str, cause: Exception) -> AIStreamChunk | None:
        """What does not fit the structs: a gateway's `[DONE]`, an error of any shape."""
        if data.strip() == "[DONE]":
            self._closed = True
            return AIStreamChunk("", True)
        found = load(data)
        if any(as_map(item).get("error") for item in (found if isinstance(found, list) else (found,))):
            raise typed_error(PROVIDER, data, request_id=self.request_id)
        raise undecodable(PROVIDER, data, cause, request_id=self.request_id) from cause


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
