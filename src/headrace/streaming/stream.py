"""
ChatStream: one response, as its consumer holds it.

Iterate it, in `async with` or on an open provider, or `collect()` it. A thin shell: the machine decides what comes
next, the pump reads and rings when there is something to take. It holds no scope, so any task of its loop may use it.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final, Literal, Self
from weakref import ref

from anyio import BusyResourceError, CancelScope, get_cancelled_exc_class
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled, current_token

from .._checks import check_whole
from .._types import AIResponse, AIStreamChunk, RateLimitInfo, State
from ..errors import StreamInterruptedError
from .host import Host, not_open
from .machine import StreamMachine
from .pump import Plan, Pump
from .split import Split, StreamPart

__all__ = ("ChatStream",)

logger: Final = logging.getLogger("headrace")


class ChatStream:
    """
    One response of a model.

    ```python
    async with provider.chat_stream(messages) as stream:
        async for chunk in stream:
            print(chunk.content, end="")
    stream.raise_for_interruption()
    ```

    Nothing is sent before the first read. A failure before the first content is raised as the typed error it is. After
    that, all that came is delivered, then one marker chunk, and the iteration ends quietly; `interruption` has the
    error, `raise_for_interruption()` and `collect()` raise it. A stream whose end is not proven is never reported as
    finished.

    One consumer at a time. Leave it by its `async with` block or `aclose()`; a plain `async for` on an open provider is
    cleaned up when the handle is dropped.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._machine = StreamMachine(
            provider=plan.provider, model=plan.model, marker=plan.marker, response_format=plan.response_format
        )
        self._private: Host | None = None
        self._pump: Pump | None = None
        self._busy = self._collecting = False
        self._split: ref[Split] | None = None
        self._check = checkpoint_if_cancelled

    def __repr__(self) -> str:
        return f"<ChatStream {self._plan.provider}/{self._plan.model} {self.state}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AIStreamChunk:
        """
        The next chunk.

        Raises:
            StopAsyncIteration: after exactly one final chunk.
            ProviderError: the stream failed before its first content; the same again on every later read.
            ClosedResourceError: the stream was left before its end was told.
            BusyResourceError: another task is reading.
            RuntimeError: neither the provider nor the stream was entered.
        """
        if self._busy:
            raise BusyResourceError("reading from")
        self._busy = True
        machine, at_end = self._machine, False
        try:
            if (pump := self._pump) is None and not machine.told:
                await self._check()
                pump = self._start()
            if machine.pending or pump is None:
                await self._check()  # a scope that is already cancelled is honoured although chunks lie ready
            else:
                while not (machine.pending or pump.over or machine.told):
                    await pump.news.wait()
                if at_end := not machine.pending:
                    await checkpoint()  # a cancellation that came with the ending wins over it
        except Exception:
            raise
        except BaseException as exc:
            self._leave(exc)
            raise
        finally:
            self._busy = False
        chunk = machine.take()
        if pump is not None and pump.room.waiter is not None:
            pump.caught_up()
        if at_end and chunk.is_marker and not self._collecting:
            logger.warning("%s", self._describe_cut())
        return chunk

    def _start(self) -> Pump:
        host = self._private or self._plan.host()
        if host is None or not host.is_open:
            raise not_open()
        self._check = current_token().backend_class.checkpoint_if_cancelled  # half the price of anyio's, once a chunk
        self._pump = Pump(host, self._plan, self._machine)
        return self._pump

    def _describe_cut(self) -> str:
        """For the log: no word of the model's."""
        cut = self._machine.interruption
        kind = type(cut.cause).__name__ if cut is not None else "unknown"
        length = len(self.partial_content)
        return f"stream {self._plan.provider}/{self._plan.model} was interrupted after {length} characters: {kind}"

    # ---------------------------------------------------------------- leaving

    def _leave(self, exc: BaseException | None = None) -> None:
        how: Literal["cancelled", "closed"] = "cancelled" if isinstance(exc, get_cancelled_exc_class()) else "closed"
        (self._pump or self._machine).leave(how)
        if self._split is not None and (split := self._split()) is not None:
            split.pour()  # the parts that wait for the slowest wait no longer

    async def _settled(self) -> None:
        if self._pump is not None:
            with CancelScope(shield=True):  # short: the pump has been told to end
                await self._pump.done.wait()

    async def aclose(self) -> None:
        """Leave the stream. Idempotent, legal from any task of the loop; returns when the response is closed."""
        self._leave()
        await self._settled()

    async def __aenter__(self) -> Self:
        host = self._plan.host()
        if self._pump is None and self._private is None and (host is None or not host.is_open):
            self._private = await self._plan.new_host().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._leave(exc)
        private, self._private = self._private, None
        if private is None:
            await self._settled()  # noqa: ASYNC102  # shielded there, and bounded by the closing of a response
        else:
            await private.__aexit__(kind, exc, tb)  # noqa: ASYNC102  # the same; waits for the pump, too

    def __del__(self) -> None:
        pump = getattr(self, "_pump", None)
        if pump is not None:
            pump.forget()

    # ---------------------------------------------------------------- the whole answer

    async def collect(self) -> AIResponse:
        """
        Read to the end and return the whole answer; again and again the same.

        Raises:
            StreamInterruptedError: the stream was cut; `.partial_content` and `.response` have what came.
            ProviderError: it failed before its first content.
            ClosedResourceError, BusyResourceError, RuntimeError: as a read would.
        """
        self._collecting, before = True, self._collecting
        try:
            async for _ in self:
                pass
        finally:
            self._collecting = before  # a second reader that is refused must not silence the first
        self.raise_for_interruption()
        return self.response

    def raise_for_interruption(self) -> None:
        """
        Raise if the stream was cut; the default of a stream is to say it by its marker and be quiet.

        Raises:
            StreamInterruptedError: it was cut after content had come.
            ProviderError: it failed before.
            RuntimeError: the stream has not been read to its end.
        """
        if not self._machine.told:
            raise RuntimeError("the stream has not been read to its end: iterate it, or use `await stream.collect()`")
        if self.state == "failed":
            self._machine.take()
        if self.state == "interrupted":
            self._machine.raise_cut()

    def split(self, n: int, *, buffer: int = 64) -> tuple[StreamPart, ...]:
        """
        Let `n` readers have the whole response, each at its own pace; the slowest sets the pace of all.

        From now on the stream is read by its parts alone; what was read before is not repeated. A part that is left
        holds up nobody; when the last one is left the response is closed. The final chunk or the error reaches each.

        Args:
            n: readers, at least 1.
            buffer: chunks that one may be ahead of the slowest, at least 1.

        Raises:
            BusyResourceError: the stream is being read, or was split already.
            ValueError: `n` or `buffer` is below 1.
        """
        for name, value in (("n", n), ("buffer", buffer)):
            check_whole(name, value, least=1)
        if self._busy:
            raise BusyResourceError("splitting")
        self._busy = True  # for good
        split = Split(self, n, buffer)
        self._split = ref(split)
        return tuple(StreamPart(split, lane) for lane in split.lanes)

    # ---------------------------------------------------------------- what is known

    @property
    def state(self) -> State:
        """What the consumer has been told: an ending only with the final chunk, the raised error, or the leaving."""
        return self._machine.state

    @property
    def partial_content(self) -> str:
        """Every word received so far, delivered or not; never the marker."""
        return self._machine.partial_content

    @property
    def response(self) -> AIResponse:
        """Everything received so far; its `state` is what was received."""
        return self._machine.response

    @property
    def interruption(self) -> StreamInterruptedError | None:
        """Why the stream was cut after content had come, or None."""
        return self._machine.interruption

    @property
    def rate_limit(self) -> RateLimitInfo | None:
        """The vendor's limits as this response's headers told them; None before the headers."""
        return self._machine.rate_limit
