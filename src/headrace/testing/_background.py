"""
The simulator in a thread with a loop of its own: for tests of any client, sync ones too.

What the test asks is asked in that thread, between two steps of the server: what a client has been sent is in the book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict, Unpack

from anyio import move_on_after
from anyio.from_thread import BlockingPortal, start_blocking_portal

if TYPE_CHECKING:
    from ..simulator import Exchange, Framing, Limits, Script, Simulator
    from ..simulator.faults import Fault

__all__ = ("BackgroundSimulator", "SimulatorOptions", "simulator_in_background")


class SimulatorOptions(TypedDict, total=False):
    """What a simulator takes; see `headrace.simulator.Simulator`."""

    seed: int
    host: str
    port: int
    pace: float
    limits: Mapping[str, Limits | None] | None
    faults: Sequence[Fault | Framing]


class BackgroundSimulator:
    """
    A running simulator, for any thread and any loop.

    Its methods wait for the simulator's thread, some microseconds long; `settled()` may take as long as it says.
    """

    def __init__(self, simulator: Simulator, portal: BlockingPortal) -> None:
        self._simulator, self._portal = simulator, portal
        self.url: str = simulator.url  # its address, without a vendor

    def __repr__(self) -> str:
        return f"<BackgroundSimulator {self.url}>"

    def base_url(self, vendor: str) -> str:
        """What a client of that vendor takes as its base URL: headrace's, and the vendor's own SDK."""
        return self._simulator.base_url(vendor)

    def play(self, vendor: str, *scripts: Script) -> None:
        """Queue scripts for the next requests to that vendor, first in, first out."""
        self._portal.call(self._simulator.play, vendor, *scripts)

    def fault(self, vendor: str, fault: Fault | str, *, text: str | None = None) -> None:
        """
        Let the next request to that vendor that has no script yet meet `fault`.

        Args:
            fault: of `headrace.simulator.faults`; or in the words of a request's header, such as
                "cut-fin; after_events=3". Several words are for one request.
            text: the words of the answer that it strikes; else seeded prose.

        Raises:
            ValueError: there is no such vendor, fault, or parameter; the text lists what there is.
        """
        from ..simulator import Framing, Script, faults

        wanted = faults.parse(fault) if isinstance(fault, str) else [fault]
        framing = next((one for one in wanted if isinstance(one, Framing)), Framing())
        broken = [one for one in wanted if not isinstance(one, Framing)]
        if len(broken) > 1:
            raise ValueError(f"{fault!r} is more than one fault: an answer breaks once")
        self.play(vendor, Script(text=text, fault=broken[0] if broken else None, framing=framing))

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All requests so far and what was sent for them. Ask anew for what came later."""
        return self._portal.call(lambda: tuple(self._simulator.exchanges))

    @property
    def requests(self) -> int:
        """How many requests came."""
        return len(self.exchanges)

    @property
    def open_connections(self) -> int:
        """How many connections are open: what a client keeps for later, too."""
        return self._portal.call(lambda: self._simulator.open_connections)

    def settled(self, within: float = 1.0) -> tuple[Exchange, ...]:
        """
        All exchanges, once each of them has ended; of a client that leaves, the server learns a moment later.

        Args:
            within: seconds. A loop of the calling thread stands still meanwhile.

        Raises:
            AssertionError: somebody still holds an answer open.
        """
        return self._portal.call(self._settled, within)

    async def _settled(self, within: float) -> tuple[Exchange, ...]:
        book = tuple(self._simulator.exchanges)
        with move_on_after(within):
            for exchange in book:
                await exchange.wait_ended()
        left = [f"{one.method} {one.path}" for one in book if one.ended == "open"]
        if left:
            raise AssertionError(f"still open after {within} s: {', '.join(left)}")
        return book


@contextmanager
def simulator_in_background(**options: Unpack[SimulatorOptions]) -> Iterator[BackgroundSimulator]:
    """
    A simulator that runs in a thread as long as the block; leaving closes all its connections.

    Args:
        options: see `Simulator`.

    Raises:
        ModuleNotFoundError: h11 is not installed: `pip install headrace[simulator]`.
    """
    from ..simulator import Simulator

    with start_blocking_portal() as portal:
        simulator = portal.call(lambda: Simulator(**options))  # what it waits on belongs to that loop
        with portal.wrap_async_context_manager(simulator):
            yield BackgroundSimulator(simulator, portal)
