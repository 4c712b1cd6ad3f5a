"""
Splitting: one response, read by several.

The parts have no task of their own. One of those that wait also waits for the pump; whoever is woken takes what is
there, without waiting in between, and lays it before all. So a cancelled reader loses nothing: it had taken nothing,
and another waits for the pump in its place. Knows the pump's bells and the machine, and no HTTP.
"""

from __future__ import annotations

import logging
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from anyio import BusyResourceError, Event, get_cancelled_exc_class
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._types import AIResponse, AIStreamChunk, State
from ..errors import StreamInterruptedError
from .machine import gone

if TYPE_CHECKING:
    from .stream import ChatStream

__all__ = ("Split", "StreamPart")

logger: Final = logging.getLogger("headrace")


class Lane:
    """What lies before one part. `left` says how it went away; `news` is not None while its part waits."""

    __slots__ = ("chunks", "left", "news")

    def __init__(self) -> None:
        self.chunks: deque[AIStreamChunk] = deque()
        self.left: Literal["cancelled", "closed"] | None = None
        self.news: Event | None = None

    def ring(self) -> None:
        """Wake its part, if it waits."""
        if self.news is not None:
            self.news.set()


class Split:
    """A source and the lanes of those who are still there. `over`: the ending lies before all of them."""

    source: ChatStream
    lanes: list[Lane]
    over: bool

    def __init__(self, source: ChatStream, lanes: int, buffer: int) -> None:
        self.source, self._buffer = source, buffer
        self.lanes = [Lane() for _ in range(lanes)]
        self.over = False
        self._watcher: Lane | None = None  # the one of the waiting that waits for the pump

    def pour(self) -> None:
        """Lay what has come before all, as far as the slowest has room."""
        source, machine, pump = self.source, self.source._machine, self.source._pump
        while not self.over and (machine.told or self._has_room()):  # one that was left brings nothing more
            if not machine.pending and not machine.told and (pump is None or not pump.over):
                break
            try:
                chunk = machine.take()
            except Exception:  # noqa: BLE001  # each part takes it from the machine, which repeats it for ever
                self.over = True
            else:
                self.over = chunk.is_final
                if chunk.is_marker:
                    logger.warning("%s", source._describe_cut())
                for lane in self.lanes:
                    lane.chunks.append(chunk)
            for lane in self.lanes:
                lane.ring()
        if pump is not None and pump.room.waiter is not None:
            pump.caught_up()

    async def wait(self, lane: Lane) -> None:
        """Until there may be something before `lane`, or a reason to look again."""
        pump = self.source._pump or self.source._start()
        if self._watcher is None and self._has_room():
            self._watcher = lane
            try:
                await pump.news.wait()
            finally:
                self._watcher = None
        else:
            lane.news = Event()
            try:
                await lane.news.wait()
            finally:
                lane.news = None

    def _pass_on(self) -> None:
        """Somebody waits for the pump as long as anybody waits and there is room."""
        if self._watcher is None and self._has_room():
            for lane in self.lanes:
                if lane.news is not None:
                    lane.news.set()
                    return

    def took(self) -> None:
        """A part has taken a chunk: the slowest may have room again."""
        self.pour()
        self._pass_on()

    def _has_room(self) -> bool:
        return all(len(lane.chunks) < self._buffer for lane in self.lanes)

    def leave(self, lane: Lane, how: Literal["cancelled", "closed"]) -> None:
        """One goes, and holds up nobody any more; with the last one goes the source."""
        if lane not in self.lanes:
            return
        lane.left = how
        self.lanes.remove(lane)
        lane.ring()
        if self.lanes:
            self.took()
        else:
            (self.source._pump or self.source._machine).leave(how)

    def forget(self, lane: Lane) -> None:
        """Its part was collected: any thread, any moment."""
        pump = self.source._pump
        if pump is None:
            self.leave(lane, "closed")
        else:
            pump.soon(self.leave, lane, "closed")


class StreamPart:
    """
    One of the readers of a response that was split; see `ChatStream.split`.

    Iterate it, in `async with` or not, in any task of the loop; one consumer at a time. It ends as the stream would:
    after exactly one final chunk, or by the stream's typed error. Leaving it ends this part alone.
    """

    def __init__(self, split: Split, lane: Lane) -> None:
        self._split, self._lane = split, lane
        self._busy = self._told = False

    def __repr__(self) -> str:
        return f"<StreamPart of {self._split.source!r} {self.state}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AIStreamChunk:
        """
        The next chunk. All parts are handed the same objects.

        Raises:
            StopAsyncIteration: after exactly one final chunk.
            ProviderError: the stream failed before its first content; the same again on every later read.
            ClosedResourceError: this part, or the stream, was left before its end was told.
            BusyResourceError: another task is reading this part.
            RuntimeError: neither the provider nor the stream was entered.
        """
        if self._busy:
            raise BusyResourceError("reading from")
        self._busy = True
        split, lane = self._split, self._lane
        try:
            await checkpoint_if_cancelled()
            while lane.left is None:
                split.pour()
                if lane.chunks or split.over:
                    break
                await split.wait(lane)
            if lane.left is None and (not lane.chunks or lane.chunks[0].is_final):
                await checkpoint()  # a cancellation that came with the ending wins over it
        except Exception:
            raise
        except BaseException as exc:
            self._leave(exc)
            raise
        finally:
            self._busy = False
        if lane.left is not None and not self._told:
            raise gone(lane.left)
        if not lane.chunks:
            return split.source._machine.take()  # raises, as it did when it was taken for all
        chunk = lane.chunks.popleft()
        self._told = chunk.is_final
        split.took()
        return chunk

    # ---------------------------------------------------------------- leaving

    def _leave(self, exc: BaseException | None = None) -> None:
        self._split.leave(self._lane, "cancelled" if isinstance(exc, get_cancelled_exc_class()) else "closed")

    async def aclose(self) -> None:
        """Leave this part. Idempotent; the last one to leave closes the stream, and returns when that is done."""
        self._leave()
        if not self._split.lanes:
            await self._split.source._settled()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._leave(exc)
        if not self._split.lanes:
            await self._split.source._settled()  # noqa: ASYNC102  # shielded there, and bounded by a response's closing

    def __del__(self) -> None:
        split = getattr(self, "_split", None)
        if split is not None and self._lane.left is None:
            split.forget(self._lane)

    # ---------------------------------------------------------------- what is known

    @property
    def _at_end(self) -> bool:
        return self._told or (self._split.over and not self._lane.chunks)

    @property
    def state(self) -> State:
        """What this part has been told; see `ChatStream.state`."""
        if self._lane.left is not None and not self._told:
            return self._lane.left
        if self._at_end:
            return self._split.source.state
        return "pending" if self._split.source._pump is None else "streaming"

    @property
    def response(self) -> AIResponse:
        """Everything that the stream has received so far, delivered or not."""
        return self._split.source.response

    @property
    def interruption(self) -> StreamInterruptedError | None:
        """Why the stream was cut after content had come, or None."""
        return self._split.source.interruption

    def raise_for_interruption(self) -> None:
        """
        Raise if the stream was cut; see `ChatStream.raise_for_interruption`.

        Raises:
            RuntimeError: this part has not been read to its end.
        """
        if not self._at_end:
            raise RuntimeError("this part of the stream has not been read to its end: iterate it")
        self._split.source.raise_for_interruption()
