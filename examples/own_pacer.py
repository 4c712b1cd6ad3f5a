"""
A pacer of your own: so many requests at once, and no more, in order of priority and arrival. Take it as a template.

`limits=` takes any object with these methods (`headrace.limits.pacing.Pacing`). Where a service of yours hands out the
places, ask it in `take` and tell it in `finish`. Run as it stands, it checks itself against what a session asks of a
pacer, and paces eight requests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from headrace import AIMessage, RateLimitInfo, Usage
from headrace.errors import ConcurrencyLimitError, RateLimitError
from headrace.limits.cost import Cost
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Simulator
from headrace.testing import check_pacer


@dataclass(eq=False, slots=True)
class Ticket:
    """A place, or the turn of one who waits for it."""

    priority: int
    given: anyio.Event = field(default_factory=anyio.Event)


class Turnstile:
    """Lets `places` in at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: set[Ticket] = set()
        self._line: list[Ticket] = []  # by priority, then by arrival

    @property
    def taken(self) -> int:
        return len(self._inside)

    def forecast(self, cost: Cost, *, scope: str = "", priority: int = 0) -> float:  # noqa: ARG002  # it knows no times
        return 0.0

    def rate_limits(self) -> Mapping[str, RateLimitInfo]:
        return {}

    async def take(
        self,
        cost: Cost,  # noqa: ARG002  # every request is one here
        *,
        scope: str = "",  # noqa: ARG002  # one line for all models
        priority: int = 0,
        max_wait: float | None = None,
        deadline: float = math.inf,
        label: str = "exchange",  # noqa: ARG002  # for those who show who waits
        again: Ticket | None = None,  # noqa: ARG002  # who was refused stands behind the others
    ) -> Ticket:
        mine = Ticket(priority)
        before = [one for one in self._line if one.priority >= priority]
        self._line.insert(len(before), mine)
        self._let_in()
        patience = math.inf if max_wait is None else max_wait
        try:
            with anyio.move_on_at(min(deadline, anyio.current_time() + patience)):
                await mine.given.wait()
            if not mine.given.is_set():
                raise ConcurrencyLimitError(f"all {self._places} places are taken")
        except BaseException:  # a refusal or a cancellation; the place may have been given in the same step
            self._leave(mine)
            raise
        return mine

    def sample(self, ticket: Ticket, info: RateLimitInfo) -> None:
        """What the vendor tells is not needed here."""

    def finish(self, ticket: Ticket, usage: Usage | None = None) -> None:  # noqa: ARG002  # not needed either
        self._leave(ticket)

    def limited(self, ticket: Ticket, error: RateLimitError) -> None:  # noqa: ARG002  # the same
        self._leave(ticket)

    def cancel(self, ticket: Ticket) -> None:
        self._leave(ticket)

    def _let_in(self) -> None:
        while self._line and len(self._inside) < self._places:
            following = self._line.pop(0)
            self._inside.add(following)
            following.given.set()

    def _leave(self, ticket: Ticket) -> None:
        if ticket in self._line:
            self._line.remove(ticket)
        self._inside.discard(ticket)  # a second time it is nothing
        self._let_in()


async def main() -> None:
    await check_pacer(lambda: Turnstile(places=1))
    print("Turnstile keeps every rule.")
    pacer, most = Turnstile(places=3), 0
    async with (
        Simulator() as sim,
        OpenAIProvider("any-key", base_url=sim.base_url("openai"), limits=pacer) as openai,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            nonlocal most
            async with openai.chat_stream([AIMessage("user", "What is a headrace?")]) as stream:
                async for _ in stream:
                    most = max(most, pacer.taken)

        for _ in range(8):
            tasks.start_soon(ask)
    print(f"{len(sim.exchanges)} requests, {most} at once")


if __name__ == "__main__":
    anyio.run(main)
