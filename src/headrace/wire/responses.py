"""
The Responses API, as OpenAI defined it and others speak it: requests out, events, answers and refusals in.

A stream is events that tell their type in their data. Words come in deltas; what has no deltas comes with the item that
is done, or with the whole answer in the event that ends the stream, and is told once, whichever brings it first. That
last event is the proof of the end, and nothing counts after it; `[DONE]` alone proves nothing. Content without a field
of its own (citations, hosted tools, images, encrypted reasoning) is handed on as `chunk.extra`, the vendor's objects as
they are. Knows no sockets, no clock, no retries, no models. Source: OpenAI's API reference and SDK types, docs.x.ai,
2026-11; the servers' own answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import msgspec

from .._types import AIMessage, AIStreamChunk, ChunkMeta, GenerationConfig, ToolCallDelta, Usage
from ..errors import ProviderError
from . import _responses_request
from ._codec import Encoded, SaidThenFailed, undecodable
from ._openai_errors import has_error, typed_error
from ._responses_errors import event_error
from ._responses_items import Calls, Event, Response, decode_event, decode_plain, decode_type, read_item
from ._responses_request import GROK, OPENAI, Quirks
from ._shared import MALFORMED, as_count, as_map, as_text, load, usage

__all__ = ("GROK", "OPENAI", "Quirks", "ResponsesCodec")

_Kind: TypeAlias = Literal["content", "reasoning", "refusal", "extra"]  # fields of a chunk

_DELTAS: Final[Mapping[str, _Kind]] = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}
_RUNNING: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
# The event that ends the stream, and the status that it means where the answer inside names none.
_ENDS: Final[Mapping[str, str]] = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    "response.done": "completed",
}
_ENDED: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})
_AUDIO: Final = frozenset({"response.audio.delta", "response.audio.transcript.delta"})  # no item repeats them

FINISH_REASONS: Final[Mapping[str, str]] = {"max_output_tokens": "length"}  # content_filter is ours already


@dataclass(frozen=True, slots=True)
class ResponsesCodec:
    """The Responses API as a `Codec`. `provider` is for errors; `quirks` say how the server differs."""

    provider: str = "openai"
    quirks: Quirks = OPENAI

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """See `Codec.encode`."""
        return _responses_request.encode(self.provider, self.quirks, messages, config, model=model, stream=stream)

    def decoder(self, *, request_id: str | None = None) -> ResponsesDecoder:
        """See `Codec.decoder`."""
        return ResponsesDecoder(self, request_id)

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> AIStreamChunk:
        """See `Codec.decode_body`."""
        try:
            value: object = msgspec.json.decode(body)
            if "output" not in as_map(value) and has_error(value):
                raise typed_error(self.provider, body.decode(), request_id=request_id, is_error=True)
            response = msgspec.convert(value, Response)
            if response.output is None:
                raise ValueError("no output")
            status = response.status or ""
            if status not in _ENDED:
                raise ValueError(f"an answer of status {response.status!r} has not ended")
        except MALFORMED as exc:
            raise undecodable(self.provider, body.decode(errors="replace"), exc, request_id=request_id) from exc
        # A whole answer is a stream of its last event.
        chunk = ResponsesDecoder(self, request_id).end(response, status)
        chunk.meta = replace(chunk.meta or ChunkMeta(), raw_response=value)
        return chunk

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(self.provider, body, status=status, headers=headers, now=now)


class ResponsesDecoder:
    """One stream of the Responses API; see `StreamDecoder`."""

    __slots__ = ("_annotated", "_calls", "_index", "_model", "_open", "_provider", "_request_id", "_told")

    def __init__(self, codec: ResponsesCodec, request_id: str | None) -> None:
        self._provider, self._request_id = codec.provider, request_id
        self._model: str | None = None
        self._calls = Calls()
        self._told: dict[int, set[_Kind]] = {}  # what of which item has been told
        self._annotated: dict[int, int] = {}  # how many annotations of which item have been told
        self._open: dict[int, str | None] = {}  # the ids of the items that have begun and are not done
        self._index: int | None = None  # the item whose text was told last

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`."""
        try:
            told = decode_plain(data)
        except MALFORMED:
            pass  # not the common event
        else:
            if told.output_index == self._index and told.delta:
                return AIStreamChunk(told.delta)
        return self._with_care(event, data)

    def _with_care(self, event: str, data: str) -> AIStreamChunk | None:
        if not data.strip():
            return None
        if data.lstrip().startswith("[DONE]"):
            return AIStreamChunk("", is_final=True)
        try:
            kind = decode_type(data).type
            if kind is None:  # then the event's own line may say it
                kind = "error" if has_error(load(data)) else event
            if kind == "error" or event == "error":
                raise self._error(load(data), data)
            if kind in _AUDIO:
                return AIStreamChunk("", extra=(as_map(msgspec.json.decode(data)),))
            return self._take(kind, data)
        except MALFORMED as exc:
            if event == "error" or has_error(load(data)):
                raise self._error(None, data) from None
            raise undecodable(self._provider, data, exc, request_id=self._request_id) from exc

    def _take(self, kind: str, data: str) -> AIStreamChunk | None:
        """The chunk for an event of this type; None for one that is not known, or repeats what has been said."""
        if kind in _DELTAS:
            return self._delta(_DELTAS[kind], decode_event(data))
        if kind in _ENDS:
            told = decode_event(data)
            response = told.response or Response()
            status = response.status or ""
            return self.end(response, status if status in _ENDED else _ENDS[kind])
        if kind in _RUNNING:
            return self._running(decode_event(data).response)
        match kind:
            case "response.output_item.added":
                told = decode_event(data)
                return self._began(told.index, told.item or {})
            case "response.function_call_arguments.delta":
                told = decode_event(data)
                return _of_call(self._calls.arguments(told.index, told.item_id, told.delta or ""))
            case "response.function_call_arguments.done":
                told = decode_event(data)
                return _of_call(self._calls.arguments(told.index, told.item_id, told.arguments or "", whole=True))
            case "response.output_text.annotation.added":
                return self._annotation(decode_event(data))
            case "response.output_item.done":
                told = decode_event(data)
                self._open.pop(told.index, None)
                return self._whole(told.index, told.item or {}, self._of_item(told.index) - {"extra"})
            case _:
                return None

    # ---------------------------------------------------------------- pieces

    def _delta(self, kind: _Kind, event: Event) -> AIStreamChunk | None:
        text = event.delta
        if not text:
            return None
        self._of_item(event.index).add(kind)
        if kind == "reasoning":
            return AIStreamChunk("", reasoning=text)
        if kind == "refusal":
            return AIStreamChunk("", refusal=text)
        self._index = event.index  # from now on its deltas are the common event
        return AIStreamChunk(text, extra=({"logprobs": event.logprobs},) if event.logprobs else ())

    def _began(self, index: int, item: Mapping[str, object]) -> AIStreamChunk | None:
        self._open[index] = as_text(item.get("id"))
        return _of_call(self._calls.began(index, item)) if item.get("type") == "function_call" else None

    def _annotation(self, event: Event) -> AIStreamChunk | None:
        if not event.annotation:
            return None
        self._of_item(event.index).add("extra")
        self._annotated[event.index] = self._annotated.get(event.index, 0) + 1
        return AIStreamChunk("", extra=(event.annotation,))

    def _running(self, response: Response | None) -> AIStreamChunk | None:
        if response is None or not response.model or response.model == self._model:
            return None
        self._model = response.model
        return AIStreamChunk("", meta=ChunkMeta(response.model, self._request_id))

    def _of_item(self, index: int) -> set[_Kind]:
        return self._told.setdefault(index, set())

    # ---------------------------------------------------------------- what is whole

    def _whole(self, index: int, item: Mapping[str, object], told: Set[_Kind]) -> AIStreamChunk | None:
        """What an item brings beside the kinds that have been `told`; None if that is nothing."""
        found = read_item(item)
        words: dict[_Kind, str] = {kind: text for kind, text in found.words.items() if text and kind not in told}
        extra = [] if "extra" in told else [*found.annotations[self._annotated.get(index, 0) :], *found.extra]
        if found.logprobs and "content" in words:
            extra.append({"logprobs": found.logprobs})
        call = self._calls.ended(index, item) if found.is_call else None
        if not (words or extra or call):
            return None
        self._of_item(index).update(words, ("extra",) if extra else ())
        return AIStreamChunk(
            words.get("content", ""),
            reasoning=words.get("reasoning", ""),
            refusal=words.get("refusal", ""),
            tool_calls=(call,) if call is not None else (),
            extra=tuple(extra),
        )

    def end(self, response: Response, status: str) -> AIStreamChunk:
        """The chunk for an answer that ended with this status, with whatever of it has not been told."""
        chunk = self._rest(response.output or ())
        if status == "failed":
            failure = self._error({"error": response.error or {"message": "the response failed"}})
            if chunk.content or chunk.reasoning or chunk.refusal or chunk.tool_calls:
                raise SaidThenFailed(chunk, failure)
            raise failure
        why = as_text(as_map(response.incomplete_details).get("reason")) if status == "incomplete" else None
        chunk.is_final, chunk.finish_reason = True, self._finish_reason(status, why)
        chunk.usage = _usage(response.usage) if response.usage else None
        chunk.meta = ChunkMeta(response.model or None, self._request_id, f"{status}:{why}" if why else status)
        return chunk

    def _rest(self, output: Sequence[Mapping[str, object]]) -> AIStreamChunk:
        """
        What of the whole output has not been told.

        That is the rest of an item that began and that no event told to be done (OpenAI leaves that out for some).
        Else items are not matched with those of the events, and of a kind that any event brought, all has been told:
        there are servers whose last event has the whole answer, or none of it, or other ids and places than before.
        """
        told, called = self._kinds(), bool(self._calls)
        began = {ident: index for index, ident in self._open.items() if ident}
        wholes = list[AIStreamChunk | None]()
        for place, item in enumerate(output):
            index = began.get(as_text(item.get("id")) or "")
            if index is not None:
                wholes.append(self._whole(index, item, self._of_item(index) - {"extra"}))
            elif not (called and item.get("type") == "function_call"):
                wholes.append(self._whole(place, item, told))
        found = [whole for whole in wholes if whole is not None]
        return AIStreamChunk(
            "".join(whole.content for whole in found),
            reasoning="".join(whole.reasoning for whole in found),
            refusal="".join(whole.refusal for whole in found),
            tool_calls=tuple(call for whole in found for call in whole.tool_calls),
            extra=tuple(item for whole in found for item in whole.extra),
        )

    def _kinds(self) -> Set[_Kind]:
        """Of what kinds anything has been told."""
        return set[_Kind]().union(*self._told.values())

    def _finish_reason(self, status: str, why: str | None) -> str:
        if status != "completed":
            return FINISH_REASONS.get(why, why) if why else status
        if self._calls:
            return "tool_calls"
        told = self._kinds()
        return "refusal" if "refusal" in told and "content" not in told else "stop"

    def _error(self, value: object, data: str = "") -> ProviderError:
        return event_error(self._provider, value, data, request_id=self._request_id)


def _of_call(piece: ToolCallDelta | None) -> AIStreamChunk | None:
    return None if piece is None else AIStreamChunk("", tool_calls=(piece,))


def _usage(raw: Mapping[str, object]) -> Usage:
    inputs, outputs = as_map(raw.get("input_tokens_details")), as_map(raw.get("output_tokens_details"))
    return usage(
        prompt=as_count(raw.get("input_tokens")),
        completion=as_count(raw.get("output_tokens")),
        total=as_count(raw.get("total_tokens")),
        cached=as_count(inputs.get("cached_tokens")),
        cache_write=as_count(inputs.get("cache_write_tokens")),
        reasoning=as_count(outputs.get("reasoning_tokens")),
        raw=raw,
    )
