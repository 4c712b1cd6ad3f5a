"""
Ollama's own chat format: requests out, lines of JSON, whole answers and refusals in.

A stream is one object a line: pieces of `message` with words, thinking, or whole tool calls, whose arguments are an
object and keep their digits here; the last one has `done: true` and the reason, which is the proof of the end. Without
a reason it is not: a server writes none for an answer that was broken off (those before 2024-05 never did), so such a
stream is unconfirmed. A line `{"error": "..."}` ends a stream that has failed. Counts of tokens come with the last
line; one that is missing is unknown (the server leaves out zeros), and durations, in nanoseconds, stay in
`usage["raw"]`. Knows no sockets, no clock, no retries, no models.
Source: docs.ollama.com/api/chat, /api/errors and the server's own types, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from .._types import AIMessage, AIStreamChunk, ChunkMeta, GenerationConfig, ToolCallDelta, Usage
from ..errors import ProviderError
from . import _ollama_request
from ._codec import Encoded, SaidThenFailed, undecodable
from ._ollama_errors import typed_error
from ._shared import MALFORMED, as_count, as_map, is_deep, load, usage
from .framing import NDJSON

__all__ = ("OllamaCodec",)

PROVIDER: Final = "ollama"


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw()


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None
    images: list[object] | None = None


class _Line(msgspec.Struct, gc=False):
    model: str | None = None
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    error: object = None
    logprobs: object = None


# The common line, one piece of text or of thinking: what is typed None must be absent or null, else the line does not
# fit and is read again with care.


class _PlainMessage(msgspec.Struct, gc=False):
    content: str = ""
    thinking: str = ""
    tool_calls: None = None
    images: None = None


class _PlainLine(msgspec.Struct, gc=False):
    message: _PlainMessage
    done: bool
    model: str | None = None
    error: None = None
    logprobs: None = None


_decode_plain: Final = msgspec.json.Decoder(_PlainLine).decode
_decode_line: Final = msgspec.json.Decoder(_Line).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, object]).decode


class OllamaCodec:
    """`/api/chat` as a `Codec`."""

    __slots__ = ()
    provider: Final = PROVIDER
    stream_type: Final = NDJSON

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """
        See `Codec.encode`.

        `truncate: false` is sent, so that a conversation that is too long is refused and not silently cut; `extra` can
        override it. `tool_choice` takes "auto" only, and an image must be given by its bytes.
        """
        return _ollama_request.encode(messages, config, model=model, stream=stream)

    def decoder(self, *, request_id: str | None = None) -> _Decoder:
        """See `Codec.decoder`."""
        return _Decoder(request_id)

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> list[AIStreamChunk]:
        """See `Codec.decode_body`. A whole answer is a stream of its last line."""
        try:
            text = body.decode()
            line = _decode_line(text)
            if is_deep(text):
                raise ValueError("it is nested too deep")
            if line.message is None and not line.error:
                raise ValueError("no message")
        except MALFORMED as exc:
            text = body.decode("utf-8", "replace")
            raise undecodable(PROVIDER, text, exc, request_id=request_id) from exc
        chunk = _Decoder(request_id).take(line, text) or AIStreamChunk("")
        chunk.is_final, chunk.meta = True, replace(chunk.meta or ChunkMeta(), raw_response=load(text))
        return [chunk]

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(body, status=status, headers=headers, now=now)


class _Decoder:
    """The state of one stream: the model's name, and how many tools it has called."""

    __slots__ = ("_called", "_model", "_request_id")

    def __init__(self, request_id: str | None = None) -> None:
        self._request_id = request_id
        self._model: str | None = None
        self._called = 0

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`. A line has no event name."""
        del event
        try:
            told = _decode_plain(data)
        except MALFORMED:
            pass  # not the common line
        else:
            if not told.done and told.model == self._model:
                message = told.message
                if message.thinking:
                    return AIStreamChunk(message.content, reasoning=message.thinking)
                return AIStreamChunk(message.content) if message.content else None
        return self._with_care(data)

    def _with_care(self, data: str) -> AIStreamChunk | None:
        try:
            line = _decode_line(data)
            if is_deep(data):
                raise ValueError("it is nested too deep")
        except MALFORMED as exc:
            if as_map(load(data)).get("error"):
                raise self._error(data) from None
            raise undecodable(PROVIDER, data, exc, request_id=self._request_id) from exc
        return self.take(line, data)

    def take(self, line: _Line, data: str) -> AIStreamChunk | None:
        """The chunk for a line that has been read, or None if it brings nothing. `data` is its text."""
        message = line.message or _Message()
        try:
            chunk = AIStreamChunk(
                message.content or "",
                reasoning=message.thinking or "",
                tool_calls=tuple(self._call(call) for call in message.tool_calls or ()),
                extra=_extra(line, message),
                usage=_usage(data) if line.done else None,
            )
        except MALFORMED as exc:
            raise undecodable(PROVIDER, data, exc, request_id=self._request_id) from exc
        says = bool(chunk.content or chunk.reasoning or chunk.tool_calls or chunk.extra)
        if line.error:
            if says or chunk.usage is not None:
                raise SaidThenFailed(chunk, self._error(data))
            raise self._error(data)
        named = line.model is not None and line.model != self._model
        if line.done:
            chunk.is_final = not line.done_reason
            chunk.finish_reason = self._finish_reason(line.done_reason)
        elif not says and not named:
            return None
        if line.done or named:
            self._model = line.model or self._model
            chunk.meta = ChunkMeta(line.model, self._request_id, (line.done_reason or None) if line.done else None)
        return chunk

    def _call(self, call: _ToolCall) -> ToolCallDelta:
        """A call comes whole. A few servers of this format write its arguments as a string, as others have them."""
        raw = bytes(call.function.arguments)
        value = msgspec.json.decode(raw) if raw else None
        arguments = value if isinstance(value, str) else "" if value is None else raw.decode()
        number, self._called = self._called, self._called + 1
        return ToolCallDelta(number, call.id or "", call.function.name, arguments, ended=True)

    def _finish_reason(self, reason: str | None) -> str | None:
        """`stop` is also said of an answer that calls tools. `load` and `unload` answer requests without messages."""
        return "tool_calls" if reason == "stop" and self._called else reason or None

    def _error(self, data: str) -> ProviderError:
        return typed_error(data, request_id=self._request_id)


def _extra(line: _Line, message: _Message) -> tuple[Mapping[str, object], ...]:
    found = {"images": message.images, "logprobs": line.logprobs}
    return tuple({name: value} for name, value in found.items() if value)


def _usage(data: str) -> Usage | None:
    """From the last line, which is read a second time: it comes once."""
    raw = {name: value for name, value in _decode_object(data).items() if name.endswith(("_count", "_duration"))}
    if not raw:
        return None
    return usage(prompt=as_count(raw.get("prompt_eval_count")), completion=as_count(raw.get("eval_count")), raw=raw)
