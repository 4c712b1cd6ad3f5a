"""
The Anthropic Messages format: requests out, events, whole answers and refusals in.

Grammar of a stream: `message_start`, then content blocks (start, deltas, stop), `message_delta` with the stop reason,
`message_stop`. Only the last is proof of the end, so the stop reason is held back until then. `ping` and unknown events
are skipped; deltas and blocks without a field of their own are handed on as `chunk.extra`, in the vendor's words plus
the block's `index`. What must go back unchanged in the next turn (thinking with its signature, tools that the vendor
runs) is a part as well, once its block has ended. Knows no sockets, no clock, no retries, no models.
Source: the streaming page and the vendor's SDK types, anthropic-version 2026-10-21.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NoReturn

import msgspec

from .._types import (
    AIMessage,
    AIStreamChunk,
    ChunkMeta,
    Citation,
    GenerationConfig,
    ReasoningPart,
    ResponsePart,
    TextPart,
    ToolCallDelta,
    Usage,
    VendorPart,
)
from ..errors import ProviderError
from . import _anthropic_request
from ._anthropic_errors import typed_error
from ._anthropic_events import (
    TOLD,
    Block,
    Delta,
    Ending,
    Event,
    Message,
    decode_answer,
    decode_block,
    decode_ending,
    decode_event,
    decode_object,
)
from ._anthropic_request import DEFAULT_MAX_TOKENS
from ._codec import Encoded, undecodable
from ._shared import ITEMS, MALFORMED, as_count, as_map, as_text, is_deep, load, usage
from .framing import SSE

__all__ = ("DEFAULT_MAX_TOKENS", "AnthropicCodec")

PROVIDER: Final = "anthropic"

FINISH_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",  # as there, the turn goes on when what came is sent back
}

# Entries of `usage.iterations` that the totals leave out.
_APART: Final = frozenset({"compaction", "advisor_message"})

_EVENTS: Final = frozenset({
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
})  # fmt: skip
_CONTENT: Final = {  # event: where its content lies, and the kinds of it that have a field in our chunk
    "content_block_start": ("content_block", frozenset({"text", "thinking", "tool_use"})),
    "content_block_delta": ("delta", frozenset({"text_delta", "thinking_delta", "input_json_delta"})),
}


@dataclass(frozen=True, slots=True)
class AnthropicCodec:
    """Messages as a `Codec`. `most` is what the model writes at most, in tokens; None is unknown."""

    provider: ClassVar[str] = PROVIDER
    stream_type: ClassVar[str] = SSE
    most: int | None = None

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """See `Codec.encode`. The vendor asks for `max_tokens`: where it is not given, `DEFAULT_MAX_TOKENS` is sent."""
        return _anthropic_request.encode(messages, config, model=model, stream=stream, most=self.most)

    def decoder(self, *, request_id: str | None = None) -> _Decoder:
        """See `Codec.decoder`."""
        return _Decoder(request_id)

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> list[AIStreamChunk]:
        """See `Codec.decode_body`."""
        try:
            answer = decode_answer(body)
            if is_deep(body):
                raise ValueError("it is nested too deep")
            blocks = _Decoder(request_id)
            chunks: list[AIStreamChunk | None] = []
            for index, block in enumerate(answer.content):
                chunks += blocks.start(index, block), blocks.stop(index)
        except MALFORMED as exc:
            text = body.decode("utf-8", "replace")
            if as_map(load(text)).get("error"):
                raise typed_error(PROVIDER, text, request_id=request_id) from None
            raise undecodable(PROVIDER, text, exc, request_id=request_id) from exc
        chunks.append(
            AIStreamChunk(
                "",
                is_final=True,
                usage=_usage(answer.usage, ended=True),
                finish_reason=_finish_reason(answer.stop_reason),
                extra=_ending_extra({name: getattr(answer, name) for name in TOLD}),
                meta=ChunkMeta(answer.model, request_id, answer.stop_reason, load(body)),
            )
        )
        return [chunk for chunk in chunks if chunk is not None]

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(PROVIDER, body, status=status, headers=headers, now=now)


class _Call:
    """An open `tool_use` block: which call of the answer it is, and the input that came with its start or in pieces."""

    __slots__ = ("given", "in_pieces", "number")

    def __init__(self, number: int, given: msgspec.Raw) -> None:
        self.number, self.given, self.in_pieces = number, given, False


class _Thinking:
    """An open `thinking` block."""

    __slots__ = ("pieces", "signature")

    def __init__(self, text: str | None, signature: str | None) -> None:
        self.pieces, self.signature = [text or ""], signature


class _Own:
    """An open block that is the vendor's own: as it started, and the pieces of its input."""

    __slots__ = ("block", "input")

    def __init__(self, block: Mapping[str, object]) -> None:
        self.block, self.input = block, list[str]()

    def set(self, delta: Mapping[str, object]) -> None:
        """The summary of a compaction, which comes at once, or its signature."""
        self.block = {**self.block, **{name: value for name, value in delta.items() if name != "type"}}

    def whole(self) -> Mapping[str, object] | None:
        """The block as it goes back; None where its input was cut by a limit: nobody would take that back."""
        given = "".join(self.input)
        try:
            return {**self.block, "input": decode_object(given)} if given else self.block
        except MALFORMED:
            return None


class _Decoder:
    """The state of one stream: open tool calls, usage so far, and the stop reason that awaits its proof."""

    __slots__ = (
        "_bare",
        "_called",
        "_calls",
        "_ended",
        "_ending",
        "_model",
        "_open",
        "_request_id",
        "_stop_reason",
        "_usage",
        "_was_text",
    )

    def __init__(self, request_id: str | None = None) -> None:
        self._request_id = request_id
        self._calls: dict[int, _Call] = {}  # by block index
        self._open: dict[int, _Thinking | _Own] = {}  # the same
        self._called = 0
        self._bare: int | None = None  # the call whose block has just ended without any input
        self._was_text = False  # the last block that began
        self._usage: dict[str, object] = {}
        self._model: str | None = None
        self._stop_reason: str | None = None
        self._ending: dict[str, object] = {}
        self._ended = False

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`. What follows `message_stop` (a gateway's `[DONE]`) is None."""
        if self._ended:
            return None
        try:
            found = decode_event(data)
            if found.type == "content_block_delta" and (delta := found.delta) is not None:
                if delta.type == "text_delta":
                    return AIStreamChunk(delta.text) if delta.text else None
                return self._delta(found.index, delta, data)
            if is_deep(data):
                raise ValueError("it is nested too deep")
            return self._rest(event, found, data)
        except MALFORMED as exc:
            return self._odd(event, data, exc)

    def _delta(self, index: int, delta: Delta, data: str) -> AIStreamChunk | None:
        block = self._open.get(index)
        if delta.type == "thinking_delta":
            if not delta.thinking:
                return None
            if isinstance(block, _Thinking):
                block.pieces.append(delta.thinking)
            return AIStreamChunk("", reasoning=delta.thinking)
        if delta.type == "input_json_delta" and not isinstance(block, _Own):
            if not delta.partial_json:
                return None  # the first one is usually empty
            if (call := self._calls.get(index)) is not None:
                call.given, call.in_pieces = msgspec.Raw(), True
                return AIStreamChunk("", tool_calls=(ToolCallDelta(call.number, arguments=delta.partial_json),))
        if is_deep(data):
            raise ValueError("it is nested too deep")
        found = as_map(decode_object(data)["delta"])
        if isinstance(block, _Own) and delta.partial_json:
            block.input.append(delta.partial_json)
        if isinstance(block, _Own) and delta.type in {"compaction_delta", "signature_delta"}:
            block.set(found)
        if isinstance(block, _Thinking) and isinstance(signature := found.get("signature"), str):
            block.signature = signature
        cited = (_citation(found.get("citation")),) if delta.type == "citations_delta" else ()
        return _handed_on(index, found, cited)

    def _rest(self, event: str, found: Event, data: str) -> AIStreamChunk | None:
        kind = found.type or event
        if "error" in {kind, event} or found.error is not None:
            self._fail(data)
        if kind == "content_block_start" and bytes(found.content_block):
            return self.start(found.index, found.content_block)
        if kind == "content_block_stop":
            return self.stop(found.index)
        if kind == "message_start":
            return self._message_start(found.message or Message())
        if kind == "message_delta":
            return self._message_delta(decode_ending(data))
        if kind == "message_stop":
            return self._final()
        if kind in _EVENTS:
            raise ValueError(f"a {kind} without its content")
        return None

    def start(self, index: int, raw: msgspec.Raw) -> AIStreamChunk | None:
        """The beginning of a content block, which in a whole answer is all of it."""
        bare, self._bare = self._bare, None
        chunk = self._start(index, raw)
        if bare is not None:
            chunk = chunk or AIStreamChunk("")
            chunk.tool_calls = (ToolCallDelta(bare, ended=True), *chunk.tool_calls)
        return chunk

    def _start(self, index: int, raw: msgspec.Raw) -> AIStreamChunk | None:
        block = decode_block(raw)
        if len(self._open) + len(self._calls) >= ITEMS:
            raise ValueError(f"more than {ITEMS} blocks are open")
        was_text, self._was_text = self._was_text, block.type == "text"
        if block.type == "text":
            cited = tuple({"type": "citations_delta", "index": index, "citation": it} for it in block.citations or ())
            parts: tuple[ResponsePart, ...] = tuple(_citation(it) for it in block.citations or ())
            if was_text:
                words = (TextPart(block.text),) if block.text else ()
                parts = (TextPart(""), *words, *parts)
            return AIStreamChunk(block.text or "", extra=cited, parts=parts) if block.text or parts else None
        if block.type == "thinking":
            self._open[index] = _Thinking(block.thinking, block.signature)
            signature = {"type": "signature_delta", "index": index, "signature": block.signature}
            if not block.thinking and not block.signature:
                return None
            return AIStreamChunk("", reasoning=block.thinking or "", extra=(signature,) if block.signature else ())
        if block.type == "tool_use":
            self._calls[index] = call = _Call(self._called, block.input)
            self._called += 1
            told = _beside_call(block)
            return AIStreamChunk(
                "",
                tool_calls=(ToolCallDelta(call.number, block.id, block.name),),
                parts=(VendorPart(PROVIDER, {"type": "tool_use", **told}, TextPart("")),) if told else (),
                extra=({"type": "tool_use", "index": index, "id": block.id, **told},) if told else (),
            )
        found = decode_object(raw)
        if block.type == "redacted_thinking" and isinstance(data := found.get("data"), str):
            return _handed_on(index, found, (ReasoningPart("", data=data, origin=PROVIDER),))
        self._open[index] = _Own(found)
        return _handed_on(index, found)

    def stop(self, index: int) -> AIStreamChunk | None:
        """
        The end of a content block: what was said of it is whole. But for a call without input: a limit, too, ends the
        block of a call whose input was to come. It is whole if another block follows, or the answer ends by itself.
        """
        block = self._open.pop(index, None)
        if isinstance(block, _Thinking):
            text = "".join(block.pieces)
            if not block.signature:
                return None  # nobody would take it back
            return AIStreamChunk("", parts=(ReasoningPart(text, block.signature, origin=PROVIDER),))
        if isinstance(block, _Own):
            whole = block.whole()
            return None if whole is None else AIStreamChunk("", parts=(VendorPart(PROVIDER, whole),))
        call = self._calls.pop(index, None)
        if call is None:
            return None
        given = bytes(call.given).decode() if bytes(call.given) and msgspec.json.decode(call.given) else ""
        if not (given or call.in_pieces):
            self._bare = call.number
            return None
        return AIStreamChunk("", tool_calls=(ToolCallDelta(call.number, arguments=given, ended=True),))

    def _message_start(self, message: Message) -> AIStreamChunk:
        self._model = message.model
        self._usage |= message.usage or {}
        return AIStreamChunk("", usage=self._usage_so_far(), meta=ChunkMeta(self._model, self._request_id))

    def _message_delta(self, ending: Ending) -> AIStreamChunk | None:
        self._usage |= {name: value for name, value in (ending.usage or {}).items() if value is not None}
        self._ending |= ending.delta or {}
        beside = {name: getattr(ending, name) for name in ("context_management", "input_transformations")}
        self._ending |= {name: value for name, value in beside.items() if value is not None}
        if len(self._usage) + len(self._ending) > ITEMS:
            raise ValueError(f"more than {ITEMS} fields")
        reason = self._ending.pop("stop_reason", None)
        if reason is not None:
            if not isinstance(reason, str):
                raise ValueError("stop_reason is no string")
            self._stop_reason = reason
        return AIStreamChunk("", usage=self._usage_so_far()) if self._usage else None

    def _final(self) -> AIStreamChunk:
        self._ended = True
        return AIStreamChunk(
            "",
            is_final=True,
            usage=self._usage_so_far(),
            finish_reason=_finish_reason(self._stop_reason),
            extra=_ending_extra(self._ending),
            meta=ChunkMeta(self._model, self._request_id, self._stop_reason),
        )

    def _usage_so_far(self) -> Usage | None:
        return _usage(dict(self._usage), ended=self._stop_reason is not None)

    def _odd(self, event: str, data: str, cause: Exception) -> AIStreamChunk | None:
        """What does not fit the structs: a gateway's `[DONE]`, an error of any shape, content of a new kind."""
        if data.strip() == "[DONE]":
            return self._final()
        found = as_map(load(data))
        kind = found.get("type", event)
        if "error" in (kind, event) or found.get("error"):
            self._fail(data)
        if found and isinstance(kind, str) and kind not in _EVENTS:
            return None
        name, known = _CONTENT.get(str(kind), ("", frozenset()))
        content, index = as_map(found.get(name)), found.get("index", 0)
        is_new = isinstance(content.get("type"), str) and content["type"] not in known
        if is_new and isinstance(index, int) and not is_deep(data) and len(self._open) < ITEMS:
            if kind == "content_block_start":
                self._open[index] = _Own(content)
            return _handed_on(index, content)
        raise undecodable(PROVIDER, data, cause, request_id=self._request_id) from cause

    def _fail(self, data: str) -> NoReturn:
        raise typed_error(PROVIDER, data, request_id=self._request_id, is_error=True)


def _handed_on(index: int, content: Mapping[str, object], parts: tuple[ResponsePart, ...] = ()) -> AIStreamChunk:
    return AIStreamChunk("", extra=({"type": content.get("type"), "index": index, **content},), parts=parts)


def _beside_call(block: Block) -> Mapping[str, object]:
    """What the vendor says of a call beside its name and input, unless the model itself called a tool of its own."""
    told: dict[str, object] = {}
    if (caller := as_map(block.caller)) and caller.get("type") != "direct":
        told["caller"] = caller
    if block.toolset_name:
        told["toolset_name"] = block.toolset_name
    return told


def _citation(raw: object) -> Citation:
    found = as_map(raw)
    return Citation(
        as_text(found.get("url")) or as_text(found.get("source")),
        as_text(found.get("title")) or as_text(found.get("document_title")),
        as_text(found.get("cited_text")) or "",
        raw=found,
    )


def _ending_extra(ending: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    told = {name: value for name, value in ending.items() if value is not None}
    return ({"type": "message_delta", **told},) if told else ()


def _finish_reason(stop_reason: str | None) -> str | None:
    return None if stop_reason is None else FINISH_REASONS.get(stop_reason, stop_reason)


def _usage(raw: Mapping[str, object] | None, *, ended: bool) -> Usage | None:
    """
    `input_tokens` is what no cache gave: the total input is that, the tokens written to caches, and those read.

    What the vendor summarised, or asked another model, in between is billed as well, and stands beside the totals.
    """
    if not raw:
        return None
    iterations = raw.get("iterations")
    apart = (
        [as_map(one) for one in iterations if as_map(one).get("type") in _APART] if isinstance(iterations, list) else ()
    )

    def count(name: str) -> int | None:
        told = as_count(raw.get(name))
        more = sum(as_count(one.get(name)) or 0 for one in apart)
        return (told or 0) + more if more else told

    fresh, written, cached = map(count, ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"))
    return usage(
        prompt=None if fresh is None else fresh + (written or 0) + (cached or 0),
        completion=count("output_tokens"),
        cached=cached,
        cache_write=written,
        reasoning=as_count(as_map(raw.get("output_tokens_details")).get("thinking_tokens")),
        source="reported" if ended else "partial",
        raw=raw,
    )
