"""
Server-sent events: a stream of chunks in, what a browser's `EventSource` reads out.

Knows no web framework and no HTTP: `encode()` gives bytes, `HEADERS` what goes before them. What it sends of an error
is its type, a fixed sentence and the seconds to wait; the vendor's words stay on the server. Format: the WHATWG HTML
standard, 9.2, server-sent events.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from . import errors
from ._types import AIStreamChunk, ErrorInfo

__all__ = ("HEADERS", "EventStream", "Source", "encode")

HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would collect the events otherwise
}

RETRY_MS: Final = (
    2**31 - 1
)  # the longest a browser's timer takes: an EventSource that is cut must not ask, and pay, again

SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (  # the first that fits
    (errors.RateLimitError, "Too many requests for now. Please try again later."),
    (errors.QuotaExceededError, "The quota of this service is used up."),
    (errors.BudgetExceededError, "The budget of this service is used up."),
    (errors.ContentRefusedError, "This request is not answered, for its content."),
    (errors.ContextLengthError, "The conversation is too long."),
    (errors.RequestTooLargeError, "The request is too large."),
    (TimeoutError, "The model took too long."),
    (errors.NetworkError, "The connection to the model was lost."),
    (errors.BrokenResponseError, "The model's answer could not be read."),
    (errors.AllProvidersFailedError, "No model could be reached."),
    (errors.ServerError, "The model's server failed."),
)
OTHERWISE: Final = "The answer could not be completed."


class Source(Protocol):
    """What is encoded: a `ChatStream`, a part of one, or any other iterator of chunks that can be closed."""

    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> AIStreamChunk: ...
    async def aclose(self) -> None: ...


def encode(stream: Source, *, details: bool = False) -> EventStream:
    """
    Server-sent events of a stream of chunks.

    ```js
    const source = new EventSource("/chat?q=...");
    source.onmessage = (event) => { const told = JSON.parse(event.data); text += told.content + (told.refusal ?? "") };
    source.addEventListener("interrupted", (event) => { show(JSON.parse(event.data)) });
    source.addEventListener("failed", (event) => { show(JSON.parse(event.data)) });
    source.addEventListener("end", () => source.close());
    ```

    The events, each with the next number as its id and one JSON object as its data:

    - (no name, `onmessage`): `content`, and where they are not empty `reasoning`, `refusal`, `tool_calls`.
    - `interrupted`: the stream was cut after content: `marker`, `type`, `message`, `retry_after` (seconds or null).
    - `failed`: it failed before any: the same without `marker`.
    - `end`, always the last: `finish_reason` and `usage`, or null. The page closes its EventSource here; a browser
      takes any other end for a lost connection, and asks again.

    A browser that asks again all the same sends the header `Last-Event-ID`: answer it with status 204, after which
    EventSource gives up. What was generated meanwhile is not kept here.

    Args:
        stream: read by nobody else from here on; leaving the events closes it, and with it the vendor's response.
        details: send the error's own message, which may hold words of the vendor, in place of the fixed sentence.
    """
    return EventStream(stream, details=details)


class EventStream:
    """
    The events of one stream, as bytes; see `encode`. A class, so that it may be left at any moment.

    Iterate it in `async with`, or `aclose()` it in the end: a browser that goes away ends the vendor's response then.
    """

    def __init__(self, stream: Source, *, details: bool = False) -> None:
        self._stream, self._details = stream, details
        self._ready: deque[bytes] = deque([b"retry: %d\n\n" % RETRY_MS])
        self._number, self._over = 0, False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """
        The next event, with the empty line that ends it.

        Raises:
            StopAsyncIteration: after `end`.
            BusyResourceError, ClosedResourceError, RuntimeError: as reading the stream would.
        """
        while not self._ready:  # a chunk may have nothing for a page: a signature, a source
            if self._over:
                raise StopAsyncIteration
            try:
                self._chunk(await anext(self._stream))
            except StopAsyncIteration:
                self._end(None)
            except errors.HeadraceError as exc:
                retry_after = getattr(exc, "retry_after", None)
                self._event("failed", {**self._told(exc, str(exc)), "retry_after": retry_after})
                self._end(None)
        return self._ready.popleft()

    def _chunk(self, chunk: AIStreamChunk) -> None:
        if chunk.error is not None:
            self._event("interrupted", {"marker": chunk.content, **self._cut(chunk.error)})
        elif chunk.content or chunk.reasoning or chunk.refusal or chunk.tool_calls:
            data: dict[str, object] = {"content": chunk.content}
            more = {"reasoning": chunk.reasoning, "refusal": chunk.refusal, "tool_calls": chunk.tool_calls}
            self._event("", data | {name: value for name, value in more.items() if value})
        if chunk.is_final:
            self._end(chunk)

    def _cut(self, error: ErrorInfo) -> dict[str, object]:
        kind = getattr(errors, error["type"], None)
        known = kind if isinstance(kind, type) and issubclass(kind, Exception) else Exception
        message = error["message"] if self._details else sentence(known)
        return {"type": error["type"], "message": message, "retry_after": error["retry_after"]}

    def _told(self, exc: Exception, words: str) -> dict[str, object]:
        return {"type": type(exc).__name__, "message": words if self._details else sentence(type(exc))}

    def _end(self, final: AIStreamChunk | None) -> None:
        self._over = True
        usage = None if final is None or final.usage is None else {**final.usage}
        if usage is not None:
            usage.pop("raw", None)  # the vendor's own
        self._event("end", {"finish_reason": None if final is None else final.finish_reason, "usage": usage})

    def _event(self, name: str, data: dict[str, object]) -> None:
        """JSON has no line breaks, so its data is one line."""
        self._number += 1
        head = f"event: {name}\n" if name else ""
        self._ready.append(b"%sid: %d\ndata: %s\n\n" % (head.encode(), self._number, msgspec.json.encode(data)))

    async def aclose(self) -> None:
        """Leave: the stream is closed. Idempotent."""
        self._over = True
        self._ready.clear()
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()  # noqa: ASYNC102  # a stream's closing is shielded and bounded


def sentence(kind: type[Exception]) -> str:
    """What a reader of the page may be told of an error of this kind."""
    return next((words for known, words in SENTENCES if issubclass(kind, known)), OTHERWISE)
