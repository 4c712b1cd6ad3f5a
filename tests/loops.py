"""Event loops for tests: virtual time on both backends, shuffled task order on asyncio, uvloop beside them."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable

import pytest
import trio.testing

# For what meets real sockets: uvloop's streams, futures and cancellation are its own.
ON_UVLOOP_TOO = pytest.mark.parametrize(
    "anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True}), "trio"], ids=["asyncio", "uvloop", "trio"]
)


class _Jumping(selectors.DefaultSelector):
    """A selector that never waits: with nothing to do, the loop's time jumps to its next timer."""

    loop: AutojumpLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("deadlock: every task waits and no timer is set")
            self.loop.virtual += timeout
        return events


class AutojumpLoop(asyncio.SelectorEventLoop):
    """asyncio in virtual time. Without real sockets only: the clock would jump while bytes are in flight."""

    def __init__(self) -> None:
        selector = _Jumping()
        selector.loop, self.virtual = self, 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual


class ShuffleLoop(asyncio.SelectorEventLoop):
    """asyncio with the ready task steps in random order; what transports call keeps its order."""

    rng = random.Random(0)

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]  # no public way to the order
        places = [
            i for i, handle in enumerate(ready) if isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)
        ]
        if len(places) > 1:
            handles = [ready[i] for i in places]
            self.rng.shuffle(handles)
            for i, handle in zip(places, handles, strict=True):
                ready[i] = handle
        super()._run_once()  # type: ignore[misc]


Backend = tuple[str, dict[str, object]]
VIRTUAL: dict[str, Callable[[], Backend]] = {
    "asyncio": lambda: ("asyncio", {"loop_factory": AutojumpLoop}),
    "trio": lambda: ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}),
}
