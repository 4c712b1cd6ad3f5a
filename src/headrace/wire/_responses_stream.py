"""
One stream of the Responses API.

Its events tell their type in their data. Words come in deltas; what has no deltas comes with the item that is done, or
with the whole answer in the event that ends the stream, and is told once, whichever brings it first. That last event is
the proof of the end, and nothing counts after it; `[DONE]` alone proves nothing. What is no words and no function call
(citations, hosted tools, images, encrypted reasoning) comes as parts, and as `chunk.extra`, the vendor's objects as
they are. Source: OpenAI's API reference and SDK types, docs.x.ai, 2026-11; the servers' own answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final, Literal, TypeAlias

import msgspec

from .._types import AIStreamChunk, ChunkMeta, ResponsePart, TextPart, ToolCallDelta, Usage
from ..errors import ProviderError
from ._codec import SaidThenFailed, joined, undecodable
from ._openai_errors import has_error
from ._openai_parts import citation
from ._responses_calls import Calls
from ._responses_errors import event_error
from ._responses_items import Event, Piece, Response, decode_event, decode_piece, decode_type, frame, read_item
from ._shared import ITEMS, MALFORMED, as_count, as_map, as_text, is_deep, load, usage

__all__ = ("ENDED", "ResponsesDecoder")

_Kind: TypeAlias = Literal["content", "reasoning", "refusal", "extra"]  # fields of a chunk

_TEXT: Final = "response.output_text.delta"
_DELTAS: Final[Mapping[str, _Kind]] = {
    _TEXT: "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}
_DONE: Final[Mapping[str, _Kind]] = {kind.removesuffix("delta") + "done": word for kind, word in _DELTAS.items()}
_RUNNING: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
# The event that ends the stream, and the status that it means where the answer inside names none.
_ENDS: Final[Mapping[str, str]] = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    "response.done": "completed",
}
ENDED: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})
_AUDIO: Final = frozenset({"response.audio.delta", "response.audio.transcript.delta"})  # no item repeats them

FINISH_REASONS: Final[Mapping[str, str]] = {"max_output_tokens": "length"}  # content_filter is ours already


class ResponsesDecoder:
    """One stream of the Responses API; see `StreamDecoder`."""

    __slots__ = (
        "_annotated",
        "_at_once",
        "_calls",
        "_framed",
        "_index",
        "_item_at",
        "_length",
        "_model",
        "_open",
        "_part_at",
        "_provider",
        "_request_id",
        "_told",
    )

    def __init__(self, provider: str, request_id: str | None) -> None:
        self._provider, self._request_id = provider, request_id
        self._model: str | None = None
        self._calls = Calls()
        self._told: dict[int, set[_Kind]] = {}  # what of which item has been told
        self._at_once: dict[int, _Kind] = {}  # what of which item came without pieces
        self._annotated: dict[int, int] = {}  # how many annotations of which item have been told
        self._open: dict[int, str | None] = {}  # the ids of the items that have begun and are not done
        self._framed: set[int] = set()  # the items whose frame has been told
        self._index: int | None = None  # the item whose text was told last
        # Where in the content the last item and its last part begin, and how long all is that is done.
        self._item_at = self._part_at = self._length = 0

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """See `StreamDecoder.feed`."""
        try:
            told = decode_piece(data)
        except MALFORMED:
            pass  # not the common event
        else:
            if told.output_index == self._index and told.type == _TEXT and told.delta:
                return AIStreamChunk(told.delta)
            if event != "error" and self._items() <= ITEMS:
                return self._piece(told)
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
            if is_deep(data):
                raise ValueError("it is nested too deep")
            if kind in _AUDIO:
                return AIStreamChunk("", extra=(as_map(msgspec.json.decode(data)),))
            if self._items() > ITEMS:
                raise ValueError(f"more than {ITEMS} items")
            return self._take(kind, data)
        except MALFORMED as exc:
            if event == "error" or has_error(load(data)):
                raise self._error(None, data) from None
            raise undecodable(self._provider, data, exc, request_id=self._request_id) from exc

    def _take(self, kind: str, data: str) -> AIStreamChunk | None:
        """The chunk for an event of this type; None for one that is not known, or repeats what has been said."""
        if kind in _DELTAS:
            told = decode_event(data)
            return self._delta(_DELTAS[kind], told.index, told.delta, told.logprobs)
        if kind in _DONE:
            return self._said(_DONE[kind], decode_event(data))
        if kind in _ENDS:
            told = decode_event(data)
            response = told.response or Response()
            status = response.status or ""
            rest = self.rest(response.output or ())
            return self.end(response, status if status in ENDED else _ENDS[kind], rest)
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
            case "response.content_part.added":
                self._part_at = self._length
                return None
            case "response.output_item.done":
                told = decode_event(data)
                self._open.pop(told.index, None)
                return self._whole(told.index, told.item or {}, self._of_item(told.index) - {"extra"}, at=self._item_at)
            case _:
                return None

    # ---------------------------------------------------------------- pieces

    def _items(self) -> int:
        return len(self._told) + len(self._open) + len(self._calls)

    def _piece(self, told: Piece) -> AIStreamChunk | None:
        if (kind := _DELTAS.get(told.type)) is not None:
            return self._delta(kind, told.output_index, told.delta)
        return _of_call(self._calls.arguments(told.output_index, told.item_id, told.delta))

    def _delta(
        self, kind: _Kind, index: int, text: str | None, logprobs: list[object] | None = None
    ) -> AIStreamChunk | None:
        if not text:
            return None
        self._of_item(index).add(kind)
        if kind == "reasoning":
            return AIStreamChunk("", reasoning=text)
        if kind == "refusal":
            return AIStreamChunk("", refusal=text)
        self._index = index  # from now on its deltas are the common event
        return AIStreamChunk(text, extra=({"logprobs": logprobs},) if logprobs else ())

    def _said(self, kind: _Kind, event: Event) -> AIStreamChunk | None:
        """Words that are done: told piece by piece before, in an event that may have had another place, or not yet."""
        index, text = event.index, event.text or event.refusal or ""
        if kind == "content":
            self._length += len(text)
        in_pieces = kind in (self._of_item(index) if kind in self._at_once.values() else self._kinds())
        if in_pieces and self._at_once.get(index) != kind:
            return None
        self._at_once[index] = kind
        return self._delta(kind, index, text)

    def _began(self, index: int, item: Mapping[str, object]) -> AIStreamChunk | None:
        self._open[index] = as_text(item.get("id"))
        self._item_at = self._part_at = self._length
        call = self._calls.began(index, item) if item.get("type") == "function_call" else None
        parts = self._frame(index, item)
        return AIStreamChunk("", tool_calls=() if call is None else (call,), parts=parts) if call or parts else None

    def _frame(self, index: int, item: Mapping[str, object]) -> tuple[ResponsePart, ...]:
        """What the vendor says of a message or a call beside its words, before them and once."""
        found = () if index in self._framed else frame(item, provider=self._provider)
        if found:
            self._framed.add(index)
        return found

    def _annotation(self, event: Event) -> AIStreamChunk | None:
        if not event.annotation:
            return None
        self._of_item(event.index).add("extra")
        self._annotated[event.index] = self._annotated.get(event.index, 0) + 1
        return AIStreamChunk("", parts=(citation(event.annotation, base=self._part_at),), extra=(event.annotation,))

    def _running(self, response: Response | None) -> AIStreamChunk | None:
        if response is None or not response.model or response.model == self._model:
            return None
        self._model = response.model
        return AIStreamChunk("", meta=ChunkMeta(response.model, self._request_id))

    def _of_item(self, index: int) -> set[_Kind]:
        return self._told.setdefault(index, set())

    # ---------------------------------------------------------------- what is whole

    def _whole(self, index: int, item: Mapping[str, object], told: Set[_Kind], *, at: int) -> AIStreamChunk | None:
        """What an item brings beside the kinds that have been `told`; None if that is nothing. `at` is its place."""
        found = read_item(item, provider=self._provider, base=at)
        self._item_at = self._part_at = self._length = at + found.length
        words: dict[_Kind, str] = {kind: text for kind, text in found.words.items() if text and kind not in told}
        parts: list[ResponsePart] = []
        extra: list[Mapping[str, object]] = []
        call = self._calls.ended(index, item) if found.is_call else None
        if words or call:
            parts += self._frame(index, item)
        if parts and "content" in words:
            parts.append(TextPart(words["content"]))  # behind what belongs to it
        if "extra" not in told:
            citations = found.citations[self._annotated.get(index, 0) :]
            parts += [*citations, *found.parts]
            extra += [*(one.raw for one in citations if one.raw is not None), *found.extra]
        if found.logprobs and "content" in words:
            extra.append({"logprobs": found.logprobs})
        if not (words or parts or extra or call):
            return None
        self._of_item(index).update(words, ("extra",) if parts or extra else ())
        return AIStreamChunk(
            words.get("content", ""),
            reasoning=words.get("reasoning", ""),
            refusal=words.get("refusal", ""),
            tool_calls=(call,) if call is not None else (),
            parts=tuple(parts),
            extra=tuple(extra),
        )

    def end(self, response: Response, status: str, rest: Sequence[AIStreamChunk]) -> AIStreamChunk:
        """The chunk for an answer that ended with this status, with the `rest` of it."""
        chunk = joined(rest)
        chunk.usage = _usage(response.usage) if response.usage else None
        if status == "failed":
            failure = self._error({"error": response.error or {"message": "the response failed"}})
            raise SaidThenFailed(chunk, failure) if chunk != AIStreamChunk("") else failure
        why = as_text(as_map(response.incomplete_details).get("reason")) if status == "incomplete" else None
        chunk.is_final, chunk.finish_reason = True, self._finish_reason(status, why)
        chunk.meta = ChunkMeta(response.model or None, self._request_id, f"{status}:{why}" if why else status)
        return chunk

    def rest(self, output: Sequence[Mapping[str, object]]) -> list[AIStreamChunk]:
        """
        What of the whole output has not been told, item by item.

        That is the rest of an item that began and that no event told to be done (OpenAI leaves that out for some).
        Else items are not matched with those of the events, and of a kind that any event brought, all has been told:
        there are servers whose last event has the whole answer, or none of it, or other ids and places than before.
        """
        told, called = self._kinds(), bool(self._calls)
        began = {ident: index for index, ident in self._open.items() if ident}
        found = list[AIStreamChunk | None]()
        self._length = 0
        for place, item in enumerate(output):
            index = began.get(as_text(item.get("id")) or "")
            if index is not None:
                found.append(self._whole(index, item, self._of_item(index) - {"extra"}, at=self._length))
            elif not (called and item.get("type") == "function_call"):
                found.append(self._whole(place, item, told, at=self._length))
        return [chunk for chunk in found if chunk is not None]

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
