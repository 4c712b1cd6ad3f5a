"""
The stream machine: what came off the wire in, chunks and one ending out. No await, no clock, no socket.

The pump tells it what it received (`queue`, `sent`, `feed`, `fail`), the consumer asks it what comes next (`take`) or
turns away (`leave`). A row is the phase of the response, a column what arrives; a cell is the next phase or the ending.
`waiting` covers the states pending, queued and streaming before the first content; `+` means the error is kept.

    phase    content  proof   done         lost         fail         leave
    waiting  begun    bare    failed+      failed+      failed+      closed
    begun    begun    proven  unconfirmed  interrupted+ interrupted+ closed
    bare     proven   bare    finished     finished     failed+      closed
    proven   proven   proven  finished     finished     interrupted+ closed
    ended    ended    ended   ended        ended        ended        ended

The one way back is `again`: a failure before any content, told to nobody yet, becomes one of several attempts.

`proof` is a finish reason, `done` the vendor's sentinel. `bare` is a proof without any content. `lost` is the source's
end (`NetworkError`: EOF, a cut connection, a deadline, the session closed); `fail` is every other error, such as an
error event or one that cannot be decoded.

Two views: `received` is the ending of the response, `state` is what the consumer has been told of it. The second
follows the first only with the final chunk (or the raised error), so that it never depends on how fast the pump ran.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Literal

from anyio import ClosedResourceError

from .._schema import OutputFormat
from .._types import (
    AIResponse,
    AIStreamChunk,
    Attempt,
    ChunkMeta,
    RateLimitInfo,
    State,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from ..errors import (
    NetworkError,
    ProviderError,
    RateLimitError,
    StreamInterruptedError,
    TruncatedStreamError,
    error_info,
    error_told,
)
from .assembly import Turn, tool_calls
from .retold import Retold

__all__ = ("MARKER", "Due", "StreamMachine", "gone", "marker_chunk")

MARKER: Final = "\n\n[Response interrupted]"
Due = Literal["first_chunk", "next_chunk", "tail"]


def marker_chunk(
    marker: str, cause: Exception, partial: str, *, usage: Usage | None = None, rate_limit: RateLimitInfo | None = None
) -> AIStreamChunk:
    """The one chunk that tells of a cut. Its content is the marker, not the model's."""
    return AIStreamChunk(marker, True, usage, error_info(cause, partial), rate_limit, is_marker=True)


class StreamMachine:
    """
    One response: its record, its phase, its ending.

    Attributes:
        received: the state of the response itself.
        error: why it failed, if it did; `interruption` wraps it if content had come.
        due: which deadline counts now.
        answered: whether the vendor let the request in; then it may bill it, whatever follows.
        pending: the chunks that were received and not yet taken.
        ended: whether the response has ended; from then on nothing that arrives changes anything.
    """

    __slots__ = (
        "_attempts",
        "_begun",
        "_content",
        "_cut",
        "_early",
        "_extra",
        "_is_whole",
        "_left",
        "_length",
        "_meta",
        "_model",
        "_proven",
        "_provider",
        "_reasoning",
        "_refusal",
        "_response_format",
        "_retold",
        "_tell_usage",
        "_told",
        "_tools",
        "_turn",
        "_usage",
        "answered",
        "due",
        "ended",
        "error",
        "finish_reason",
        "marker",
        "pending",
        "rate_limit",
        "received",
    )
    marker: str
    ended: bool
    answered: bool

    def __init__(
        self,
        *,
        provider: str = "",
        model: str = "",
        marker: str = MARKER,
        response_format: OutputFormat | None = None,
    ) -> None:
        self.marker, self._response_format = marker, response_format
        self.received: State = "pending"
        self.due: Due = "first_chunk"
        self.ended = self.answered = False
        self.error: Exception | None = None
        self.finish_reason: str | None = None
        self.rate_limit: RateLimitInfo | None = None
        self._provider, self._model = provider, model
        self._usage: Usage | None = None
        self._tell_usage: Callable[[], Usage | None] | None = None  # what has it until the end, when asked
        self._meta = ChunkMeta()
        self._attempts: list[Attempt] = []  # those that failed, and were followed by others
        self._is_whole = False  # whether the error is of all of them
        self._begun = self._proven = self._told = False
        self._left: Literal["cancelled", "closed"] | None = None
        self._retold: Retold[Exception] | None = None
        self._cut: Retold[StreamInterruptedError] | None = None
        # The record. Delivered chunks are forgotten, their words are not.
        self.pending: deque[AIStreamChunk] = deque()  # not yet delivered
        self._content: list[str] = []
        self._length = 0  # of it, in characters: where something stands in the text, without joining it each time
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._tools: list[ToolCallDelta] = []
        self._extra: list[Mapping[str, object]] = []
        self._turn = Turn(provider)
        self._early: list[AIStreamChunk] = []  # came before the first content, delivered with it

    # ---------------------------------------------------------------- from the wire

    def queue(self) -> None:
        """The request waits for its slot."""
        if not self.ended:
            self.received = "queued"

    def sent(self) -> None:
        """The request is handed to the wire."""
        if not self.ended:
            self.received = "streaming"

    def feed(self, chunk: AIStreamChunk) -> bool:
        """Take a raw chunk; from now on it belongs to the stream. True: there is a new chunk to `take`."""
        if self.ended:
            return False  # the drain after the end cannot change it
        if (
            chunk.usage is None
            and chunk.finish_reason is None
            and chunk.meta is None
            and chunk.rate_limit is None
            and not (chunk.is_final or chunk.is_marker)
        ):
            return self._record(chunk)
        return self._feed_rare(chunk)

    def _feed_rare(self, chunk: AIStreamChunk) -> bool:
        """
        A chunk that says more than words, which only the final chunk shall bear: another one delivers the words. The
        source's own is left as it was: it may be a constant, and come again.
        """
        self._usage = chunk.usage or self._usage
        self.rate_limit = chunk.rate_limit or self.rate_limit
        if chunk.meta is not None:
            self._meta = _merged(self._meta, chunk.meta)
            self._tell_usage = chunk.meta.usage or self._tell_usage
        if chunk.is_marker:  # another stream's, handed on: that one was cut, and its marker is nobody's words
            self.fail(error_told(chunk.error))
            return False
        new = self._record(
            AIStreamChunk(
                chunk.content,
                reasoning=chunk.reasoning,
                refusal=chunk.refusal,
                tool_calls=chunk.tool_calls,
                parts=chunk.parts,
                extra=chunk.extra,
            )
        )
        if chunk.finish_reason is not None:
            self.finish_reason, self._proven, self.due = chunk.finish_reason, True, "tail"
        if chunk.is_final:
            self._done()
        return new

    def _record(self, chunk: AIStreamChunk) -> bool:
        """Record before anybody is told: what is delivered is always a prefix of what was received."""
        if chunk.content:
            self._content.append(chunk.content)
            self._length += len(chunk.content)
        elif not (chunk.reasoning or chunk.refusal or chunk.tool_calls):
            return self._record_extra(chunk)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
            self._turn.reasoning(self._length - len(chunk.content), chunk.reasoning)
        if chunk.refusal:
            self._refusal.append(chunk.refusal)
        if chunk.parts or chunk.extra:
            self._record_beside(chunk)
        if chunk.tool_calls:
            self._tools.extend(chunk.tool_calls)
            for delta in chunk.tool_calls:
                self._turn.call(self._length, delta.index)
        if not self._begun:
            chunk = self._begin(chunk)
        self.pending.append(chunk)
        return True

    def _begin(self, chunk: AIStreamChunk) -> AIStreamChunk:
        """The first content, with what came before it."""
        self._begun = True
        for early in reversed(self._early):
            chunk = replace(chunk, extra=early.extra + chunk.extra, parts=early.parts + chunk.parts)
        self._early.clear()
        if not self._proven:
            self.due = "next_chunk"
        return chunk

    def _record_extra(self, chunk: AIStreamChunk) -> bool:
        """What brings no words is no beginning: until the first content it waits: no empty chunk precedes that."""
        if not (chunk.extra or chunk.parts):
            return False
        self._record_beside(chunk)
        if not self._begun:
            self._early.append(chunk)
            return False
        self.pending.append(chunk)
        return True

    def _record_beside(self, chunk: AIStreamChunk) -> None:
        """
        Parts stand behind the words of their chunk, unless a part repeats these words, which tells their place; and so
        with the calls that came whole.
        """
        self._extra.extend(chunk.extra)
        if not chunk.parts:
            return
        at = self._length
        if any(isinstance(part, TextPart) and part.text for part in chunk.parts):
            at -= len(chunk.content)
        whole = (piece for piece in chunk.tool_calls if piece.name and piece.ended)
        for part in chunk.parts:
            if isinstance(part, TextPart) and part.text:
                at += len(part.text)
            elif isinstance(part, ToolCall) and (call := next(whole, None)) is not None:
                self._turn.call(at, call.index)
            else:
                self._turn.part(at, part)

    def _done(self) -> None:
        if self._proven:
            self._end("finished")
        elif self._begun:
            self._end("unconfirmed")
        else:
            self._keep(
                TruncatedStreamError(
                    f"{self._provider or 'stream'}: the stream was closed without content and without a finish reason. "
                    "The request may be sent again.",
                    provider=self._provider,
                )
            )

    def fail(self, exc: Exception) -> None:
        """The source raised. A loss of the source after the proof is the usual ending, whatever its form."""
        if self.ended:
            return
        if self._proven and isinstance(exc, NetworkError):
            self._end("finished")
        else:
            self._keep(exc)

    def _keep(self, exc: Exception) -> None:
        """The failure, which is all that is known of a response whose head was a refusal."""
        if isinstance(exc, ProviderError):
            self._meta = _merged(ChunkMeta(request_id=exc.request_id), self._meta)
            exc.request_id = exc.request_id or self._meta.request_id
        if isinstance(exc, RateLimitError):
            self.rate_limit = self.rate_limit or exc.rate_limit
        self._told_as(exc)
        self._end("interrupted" if self._begun else "failed")
        if self._begun:
            cut = StreamInterruptedError(self.partial_content, exc)
            cut.response = self.response
            self._cut = Retold(cut)

    def _told_as(self, error: Exception) -> None:
        self.error, self._retold = error, Retold(error)

    @property
    def refused(self) -> Exception | None:
        """The failure before any answer of which nobody has been told yet, so that somebody else may be asked."""
        if self.received != "failed" or self._proven or self._told or self._left is not None:
            return None
        return self.error

    def ask(self, provider: str, model: str, passed: Iterable[Attempt] = ()) -> None:
        """Who is asked for the response, and who was passed over for it."""
        self._attempts.extend(passed)
        if provider != self._provider:
            self._provider, self._turn = provider, Turn(provider)
        self._model = model

    def again(self) -> None:
        """Another attempt follows one that was `refused`, of which nothing else is kept."""
        assert self.refused is not None
        self._attempts.append(self._attempt())
        self._turn = Turn(self._provider)
        self._meta, self._usage, self._tell_usage = ChunkMeta(), None, None
        self.rate_limit = self.finish_reason = None
        self._early.clear()
        self._extra.clear()
        self.error = self._retold = None
        self.ended, self.answered, self.received, self.due = False, False, "queued", "first_chunk"

    def stand(self, refusal: Exception) -> None:
        """The attempt that was to follow is not made: the one before it was the last."""
        if not self.ended:
            self.answered = self._attempts.pop().billed
            self._keep(refusal)

    def replace(self, error: Exception | None) -> None:
        """The error to be told of all attempts together, in place of the last one's."""
        if error is not None and self.refused is not None:
            self._attempts.append(self._attempt())
            self._is_whole = True
            self._told_as(error)

    def _end(self, state: State) -> None:
        self._usage, self._tell_usage = self._last_usage(), None
        self.ended, self.received, self.due = True, state, "tail"

    # ---------------------------------------------------------------- to the consumer

    def take(self) -> AIStreamChunk:
        """
        The next chunk; after the last one the final chunk, once.

        Raises:
            StopAsyncIteration: after the final chunk, for ever.
            ClosedResourceError: the stream was left, for ever.
            Exception: the typed error of a stream that failed before its first content, for ever.
        """
        if self._left is not None:
            raise gone(self._left)
        if self.pending:
            return self.pending.popleft()
        assert self.ended, "take() before there was anything to take"
        if self.received == "failed":
            assert self._retold is not None
            self._told = True
            raise self._retold.again()
        if self._told:
            raise StopAsyncIteration
        self._told = True
        if self.error is not None:
            return marker_chunk(
                self.marker, self.error, self.partial_content, usage=self.usage, rate_limit=self.rate_limit
            )
        final = AIStreamChunk("", True, self.usage, None, self.rate_limit, finish_reason=self.finish_reason)
        for early in self._early:  # an answer without content
            final.extra, final.parts = final.extra + early.extra, final.parts + early.parts
        self._early.clear()
        return final

    def leave(self, how: Literal["cancelled", "closed"]) -> None:
        """The consumer turned away: nothing more is delivered, all that was received stays readable."""
        if not self._told and self._left is None:
            self._left = how
        if not self.ended:
            self._end(how)

    def raise_cut(self) -> None:
        """Raise `interruption`, if there is one."""
        if self._cut is not None:
            raise self._cut.again()

    @property
    def interruption(self) -> StreamInterruptedError | None:
        """The cut after content had come, as it is raised."""
        return None if self._cut is None else self._cut.shown()

    @property
    def state(self) -> State:
        """What the consumer has been told."""
        if self._left is not None:
            return self._left
        return "streaming" if self.ended and not self._told else self.received

    @property
    def told(self) -> bool:
        """Whether the consumer knows an ending."""
        return self._told or self._left is not None

    @property
    def begun(self) -> bool:
        """Whether content has come."""
        return self._begun

    @property
    def partial_content(self) -> str:
        """Every word received."""
        return _joined(self._content)

    @property
    def usage(self) -> Usage | None:
        """The last usage told; "partial" where the response has no proof of its end."""
        usage = self._last_usage()
        if usage is not None and usage["source"] == "reported" and not self._proven and self.received != "unconfirmed":
            usage = usage.copy()
            usage["source"] = "partial"
        return usage

    def _last_usage(self) -> Usage | None:
        told = self._tell_usage() if self._tell_usage is not None else None
        return told or self._usage

    @property
    def response(self) -> AIResponse:
        """What has been received, at any moment."""
        text = self.partial_content
        why = self.finish_reason or self.received
        calls = tool_calls(self._tools, ended=self._proven, why=why, origin=self._provider)
        return AIResponse(
            text,
            self._provider,
            self._meta.model or self._model,
            self.usage,
            self.finish_reason,
            self._meta.raw_response,
            reasoning=_joined(self._reasoning),
            refusal=_joined(self._refusal),
            tool_calls=tuple(calls.values()),
            rate_limit=self.rate_limit,
            state=self.received,
            request_id=self._meta.request_id,
            attempts=self._all_attempts(),
            raw_finish_reason=self._meta.raw_finish_reason,
            extra=tuple(self._extra),
            parts=self._turn.parts(text, calls),
            response_format=self._response_format,
        )

    def _all_attempts(self) -> tuple[Attempt, ...]:
        if self._is_whole or self.received in {"pending", "queued"}:
            return tuple(self._attempts)
        return (*self._attempts, self._attempt())

    def _attempt(self) -> Attempt:
        """The one that goes on, or was the last."""
        kind, message = (None, None) if self.error is None else (type(self.error).__name__, str(self.error))
        return Attempt(self._provider, self._meta.model or self._model, kind, message, self.answered)


def gone(how: Literal["cancelled", "closed"]) -> ClosedResourceError:
    """The error of a read after the leaving. Who bounds a read by a timeout, and reads on, meets the first."""
    what = "cancelled, by you or by a timeout" if how == "cancelled" else "left"
    return ClosedResourceError(f"the stream was {what}: nothing more comes. What came is in .response.")


def _joined(pieces: list[str]) -> str:
    """The pieces as one text, which takes their place: a record of many small strings is mostly overhead."""
    if len(pieces) > 1:
        pieces[:] = ("".join(pieces),)
    return pieces[0] if pieces else ""


def _merged(old: ChunkMeta, new: ChunkMeta) -> ChunkMeta:
    """What the later one says; where it is silent, what the earlier said."""
    return ChunkMeta(
        new.model or old.model,
        new.request_id or old.request_id,
        new.raw_finish_reason or old.raw_finish_reason,
        old.raw_response if new.raw_response is None else new.raw_response,
    )
