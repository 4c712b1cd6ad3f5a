"""
Chat Completions, as OpenAI defined it and many servers speak it: requests out, events, answers and refusals in.

A stream is chunks of `choices`, of which only the one with index 0 is read. Its `finish_reason` is the proof of the
end; `[DONE]` is the sentinel after it, which also follows an error, and which some servers never send. Read as well is
what servers add to the format: reasoning in either of two fields, text in typed parts, usage in four places, tool calls
whole or without an index, errors beside choices. Citations, images and reasoning that must go back come as parts; they,
and content without a type of its own, are handed on as `chunk.extra` too, one mapping from the vendor's key to its
value. Knows no sockets, no clock, no retries, no models, and no vendor by name.
Source: OpenAI's API reference and SDK types, docs.x.ai, 2026-11; the servers' own answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import msgspec

from .._types import AIMessage, AIStreamChunk, ChunkMeta, GenerationConfig, ResponsePart, Usage, UsageSource
from ..errors import ProviderError
from . import _openai_request
from ._codec import Encoded, SaidThenFailed, undecodable
from ._openai_beside_words import CustomCalls, Details, Sources, annotated, images
from ._openai_chunks import (
    Choice,
    Delta,
    Event,
    PlainDelta,
    ToolCalls,
    decode_event,
    decode_message,
    decode_plain,
    read_content,
)
from ._openai_errors import has_error, typed_error
from ._openai_quirks import COMPATIBLE, GROK, OPENAI, Quirks
from ._shared import ITEMS, MALFORMED, as_count, as_map, dump, is_deep, load, usage
from .framing import SSE

__all__ = ("COMPATIBLE", "GROK", "OPENAI", "ChatCodec", "Quirks")

# What servers say that speak for other vendors' models, too; all others are ours already, or unknown.
FINISH_REASONS: Final[Mapping[str, str]] = {
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
}


@dataclass(frozen=True, slots=True)
class ChatCodec:
    """Chat Completions as a `Codec`. `provider` is for errors; `quirks` say how the server differs."""

    stream_type: ClassVar[str] = SSE
    provider: str = "openai"
    quirks: Quirks = OPENAI

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """See `Codec.encode`."""
        return _openai_request.encode(self.provider, self.quirks, messages, config, model=model, stream=stream)

    def decoder(self, *, request_id: str | None = None) -> ChatDecoder:
        """See `Codec.decoder`."""
        return ChatDecoder(self, request_id)

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> list[AIStreamChunk]:
        """See `Codec.decode_body`."""
        try:
            value: object = msgspec.json.decode(body)
            if has_error(value) and not as_map(value).get("choices"):
                raise typed_error(self.provider, body.decode(), request_id=request_id, is_error=True)
            event = msgspec.convert(_as_event(value), Event)
            if event.choices is None:
                raise ValueError("no choices")
            if is_deep(body):
                raise ValueError("it is nested too deep")
        except MALFORMED as exc:
            raise undecodable(self.provider, body.decode(errors="replace"), exc, request_id=request_id) from exc
        # A whole answer is a stream of one event, after which every tool call has ended; one without arguments only if
        # the model ended the answer.
        chunk = ChatDecoder(self, request_id).take(event) or AIStreamChunk("")
        meta = chunk.meta or ChunkMeta(request_id=request_id)
        chunk.meta, chunk.is_final = replace(meta, raw_response=value), True
        is_ended = chunk.finish_reason in {"stop", "tool_calls"}
        chunk.tool_calls = tuple(replace(call, ended=is_ended or bool(call.arguments)) for call in chunk.tool_calls)
        return [chunk]

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(self.provider, body, status=status, headers=headers, now=now)


def _first(choices: list[Choice]) -> Choice:
    """The choice that is read: of several answers to one request, the one with index 0."""
    for choice in choices:
        if not choice.index:
            return choice
    return Choice()


def _as_event(value: object) -> object:
    """A whole answer in the form of an event: what is a `message` there is a `delta` here."""
    answer = as_map(value)
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return value
    return {**answer, "choices": [_as_delta(as_map(choice)) for choice in choices]}


def _as_delta(choice: Mapping[str, object]) -> Mapping[str, object]:
    return {**{name: value for name, value in choice.items() if name != "message"}, "delta": choice.get("message")}


class ChatDecoder:
    """One stream of Chat Completions; see `StreamDecoder`."""

    __slots__ = (
        "_calls",
        "_customs",
        "_details",
        "_finished",
        "_model",
        "_provider",
        "_quirks",
        "_refused",
        "_request_id",
        "_sources",
    )

    def __init__(self, codec: ChatCodec, request_id: str | None) -> None:
        self._provider, self._quirks, self._request_id = codec.provider, codec.quirks, request_id
        self._model: str | None = None
        self._refused = self._finished = False
        self._calls, self._customs = ToolCalls(), CustomCalls()
        self._details, self._sources = Details(), Sources()

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`."""
        try:
            told = decode_plain(data)
        except MALFORMED:
            pass  # not the common event
        else:
            if told.model == self._model and event != "error":
                delta = told.choices[0].delta
                if delta.tool_calls:
                    return self._called(delta, data)
                text = delta.content
                if thoughts := delta.reasoning_content or delta.reasoning:
                    return AIStreamChunk(text or "", reasoning=thoughts)
                return AIStreamChunk(text) if text else None
        return self._with_care(event, data)

    def _called(self, delta: PlainDelta, data: str) -> AIStreamChunk | None:
        """A piece of calls, before which the reasoning has ended."""
        tool_calls = self._calls.take(delta.tool_calls or ())
        self._check_items(data)
        text, thoughts = delta.content or "", delta.reasoning_content or delta.reasoning or ""
        if not (text or thoughts or tool_calls):
            return None
        parts = self._details.take(self._provider) if tool_calls else ()
        return AIStreamChunk(text, reasoning=thoughts, tool_calls=tool_calls, parts=parts)

    def _check_items(self, data: str) -> None:
        if len(self._calls) + len(self._customs) + len(self._details) + len(self._sources) > ITEMS:
            cause = ValueError(f"more than {ITEMS} calls, details and sources")
            raise undecodable(self._provider, data, cause, request_id=self._request_id)

    def _with_care(self, event: str, data: str) -> AIStreamChunk | None:
        if event == "error":
            raise self._error(data)
        if data.startswith("[DONE]"):
            return self._done()
        try:
            told = decode_event(data)
            if is_deep(data):
                raise ValueError("it is nested too deep")
        except MALFORMED as exc:
            return self._no_event(data, exc)
        if told.choices is None and has_error(load(data)):
            raise self._error(data)
        chunk = self.take(told)
        self._check_items(data)
        return chunk

    def take(self, event: Event) -> AIStreamChunk | None:
        """The chunk for an event that has been read, or None if it brings nothing."""
        choice = _first(event.choices or [])
        delta = choice.delta or self._whole(choice) or Delta()
        content, thoughts, extra = read_content(delta)
        refusal = delta.refusal or ""
        tool_calls = self._calls.take(delta.tool_calls or (), delta.function_call)
        self._refused |= bool(refusal)
        reason = choice.finish_reason or None
        tokens = event.usage or (event.x_groq.usage if event.x_groq is not None else None) or choice.usage
        extra += self._customs.add(delta.tool_calls or ())
        parts = self._parts(event, delta, extra, ended=bool(tool_calls or reason))
        parts += self._customs.take(self._provider) if reason else ()
        extra += _extra(event, choice, delta)
        error = event.error or choice.error or (event.x_groq.error if event.x_groq is not None else None)
        if reason == "error":
            error = error or {"message": "the answer ended with finish_reason 'error'"}
        meta = self._meta(event.model, reason)
        if error:
            reason = None  # it is no proof of an end beside an error
        self._finished |= reason is not None
        failure = self._error(dump({"error": error}, provider=self._provider).decode()) if error else None
        if not (content or thoughts or refusal or tool_calls or parts or extra or tokens):
            if failure is not None and (meta is None or meta.raw_finish_reason is None):
                raise failure
            if meta is None:
                return None
        chunk = AIStreamChunk(
            content,
            usage=self._usage(tokens) if tokens else None,
            reasoning=thoughts,
            refusal=refusal,
            tool_calls=tool_calls,
            finish_reason=self._finish_reason(reason),
            parts=parts,
            extra=tuple(extra),
            meta=meta,
        )
        if failure is not None:
            raise SaidThenFailed(chunk, failure)
        return chunk

    def _parts(
        self, event: Event, delta: Delta, extra: list[Mapping[str, object]], *, ended: bool
    ) -> tuple[ResponsePart, ...]:
        """What has a type here; what of it is a list of sources goes into `extra` as well. `ended` is the reasoning."""
        if delta.reasoning_details:
            self._details.add(delta.reasoning_details)
        lists, sources = self._sources.take(event) if event.citations or event.search_results else ([], [])
        extra += lists
        details = self._details.take(self._provider) if ended else ()
        return (*details, *images(delta), *annotated(delta), *sources)

    def _whole(self, choice: Choice) -> Delta | None:
        """The `message` of a choice without a delta: a few servers stream their whole answer as one event."""
        try:
            return decode_message(choice.message) if bytes(choice.message) else None
        except MALFORMED as exc:
            raise undecodable(
                self._provider, bytes(choice.message).decode(errors="replace"), exc, request_id=self._request_id
            ) from exc

    def _done(self) -> AIStreamChunk:
        parts = (*self._details.take(self._provider), *self._customs.take(self._provider))
        return AIStreamChunk("", is_final=True, parts=parts)

    def _no_event(self, data: str, cause: Exception) -> AIStreamChunk | None:
        text = data.strip()
        if not text:
            return None
        if text.startswith("[DONE]"):
            return self._done()
        if has_error(load(text)):
            raise self._error(text)
        raise undecodable(self._provider, data, cause, request_id=self._request_id) from cause

    def _error(self, body: str) -> ProviderError:
        return typed_error(self._provider, body, request_id=self._request_id, is_error=True)

    def _meta(self, model: str | None, reason: str | None) -> ChunkMeta | None:
        if reason is None and (not model or model == self._model):
            return None
        self._model = model or self._model
        return ChunkMeta(model or None, self._request_id, reason)

    def _finish_reason(self, reason: str | None) -> str | None:
        if reason is None:
            return None
        reason = FINISH_REASONS.get(reason, reason)
        if reason == "stop" and self._refused:
            return "refusal"
        return "tool_calls" if reason == "stop" and self._calls else reason  # a call that was asked for by its name

    def _usage(self, raw: Mapping[str, object]) -> Usage:
        inputs, outputs = as_map(raw.get("prompt_tokens_details")), as_map(raw.get("completion_tokens_details"))
        prompt, completion = as_count(raw.get("prompt_tokens")), as_count(raw.get("completion_tokens"))
        total = as_count(raw.get("total_tokens"))
        cached = _one_of((inputs.get("cached_tokens"), *map(raw.get, _CACHED)))
        reasoning = _one_of((outputs.get("reasoning_tokens"), raw.get("reasoning_tokens")))
        if self._quirks.reasoning_apart and prompt is not None and completion is not None:
            if cached is not None and cached > prompt:  # then the cached ones stand beside the prompt's
                prompt += cached
            # Unless the total shows that they are counted in already.
            if reasoning and (total is None or total > prompt + completion):
                completion += reasoning
            total = prompt + completion
        # What comes before the finish reason is a running count (Perplexity sends it with every event).
        source: UsageSource = "reported" if self._finished else "partial"
        return usage(
            prompt=prompt,
            completion=completion,
            total=total,
            cached=cached,
            cache_write=_one_of((inputs.get("cache_write_tokens"), raw.get("cache_creation_input_tokens"))),
            reasoning=reasoning,
            source=source,
            raw=raw,
        )


# Where servers tell of the prompt what their cache gave, if not in the details: DeepSeek, Moonshot, Databricks.
_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")


def _one_of(values: Iterable[object]) -> int | None:
    """The first that is a count."""
    return next((count for value in values if (count := as_count(value)) is not None), None)


def _extra(event: Event, choice: Choice, delta: Delta) -> list[Mapping[str, object]]:
    """The vendor's objects for what is no words, as they came."""
    found: list[Mapping[str, object]] = [
        {name: value}
        for name in ("annotations", "audio", "images", "executed_tools", "context")
        if (value := getattr(delta, name))
    ]
    if event.moderation:
        found.append({"moderation": event.moderation})
    if choice.logprobs and any(as_map(choice.logprobs).values()):
        found.append({"logprobs": choice.logprobs})
    return found
