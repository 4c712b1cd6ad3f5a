"""
The pacer under any order of events: no reservation is lost or doubled, no level passes its bucket, the line is kept,
and nobody starves. A state machine of hypothesis drives it on a loop in virtual time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace import RateLimitInfo, Usage, _clock
from headrace._types import LimitDimension
from headrace.errors import ConcurrencyLimitError, OverloadedError, RateLimitError, RequestTooLargeError
from headrace.limits.cost import Cost
from headrace.limits.pacer import Pacer, Ticket
from headrace.limits.policy import RateLimitPolicy

from ..loops import AutojumpLoop

T = TypeVar("T")
SLOTS = 4
LIMIT = 30.0  # requests and a hundred times that in tokens, a minute
WALL = 1_790_000_000.0

amounts = st.floats(0, 3000)
waits = st.sampled_from([0.0, 1.0, 30.0, 600.0])


USAGE: Usage = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "cached_tokens": None,
    "cache_write_tokens": None,
    "reasoning_tokens": None,
    "source": "reported",
    "raw": None,
}


class Asker:
    """One who wants a place: a task that waits for it, and what came of that."""

    def __init__(self, arrival: int, priority: int, max_wait: float, task: asyncio.Task[Ticket]) -> None:
        self.arrival, self.priority, self.max_wait, self.task = arrival, priority, max_wait, task


class PacerStates(RuleBasedStateMachine):
    """`open` holds the tickets that were given and not closed; `waiting` those who wait; the rest is over."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = AutojumpLoop()
        self.clock = _clock.replaced(lambda: WALL + self.loop.virtual)
        self.clock.__enter__()
        self.pacer = Pacer(RateLimitPolicy(max_wait=600.0), name="v", max_requests=SLOTS)
        self.arrivals, self.order = 0, list[Asker]()
        self.waiting: list[Asker] = []
        self.open: list[Ticket] = []
        self.refused: list[Ticket] = []

    def teardown(self) -> None:
        """Nobody starves: when all who hold a place go on giving it back, all who wait are served or told."""
        for _ in range(200):
            self.run(self._settled())
            if not self.waiting and not self.open:
                break
            for ticket in tuple(self.open):
                self.open.remove(ticket)
                self.do(partial(self.pacer.finish, ticket))
            self.run(asyncio.sleep(20))
        assert not self.waiting
        assert (self.pacer.taken, self.pacer.waiting) == (0, 0)
        self.check()
        self.clock.__exit__(None, None, None)
        self.loop.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run it on the machine's own loop."""
        return self.loop.run_until_complete(work)

    def do(self, what: Callable[[], object]) -> None:
        """Call it in a task of the loop, and let all others go as far as they can."""

        async def work() -> None:
            what()
            await self._settled()

        self.run(work())

    async def _settled(self) -> None:
        """Let every task go as far as it can without time; then take note of who is served."""
        for _ in range(5):
            await asyncio.sleep(0)
        self.note()

    def note(self) -> None:
        """Who has come to an end."""
        for asker in [one for one in self.waiting if one.task.done()]:
            self.waiting.remove(asker)
            if asker.task.cancelled():
                continue
            error = asker.task.exception()
            if error is None:
                self.open.append(asker.task.result())
            else:
                assert isinstance(error, RateLimitError | RequestTooLargeError | ConcurrencyLimitError), error

    # ---------------------------------------------------------------- what may happen

    @rule(tokens=amounts, priority=st.integers(0, 2), max_wait=waits, again=st.booleans())
    def ask(self, tokens: float, priority: int, max_wait: float, again: bool) -> None:
        """Somebody wants a place, or the one that was refused wants it once more."""
        ticket = self.refused.pop() if again and self.refused else None

        async def start() -> asyncio.Task[Ticket]:
            cost = Cost(tokens, 10)
            return asyncio.ensure_future(self.pacer.take(cost, priority=priority, max_wait=max_wait, again=ticket))

        task = self.run(start())
        self.arrivals += 1
        self.waiting.append(Asker(self.arrivals, priority, max_wait, task))
        self.run(self._settled())

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 100))
    def cancel_a_waiter(self, which: int) -> None:
        """It goes away."""
        self.waiting[which % len(self.waiting)].task.cancel()
        self.run(self._settled())

    @precondition(lambda self: self.waiting and self.open)
    @rule(which=st.integers(0, 100))
    def cancel_a_waiter_as_a_place_becomes_free(self, which: int) -> None:
        """In one step of the loop, so that it may have been given the place already."""
        ticket, asker = self.open.pop(), self.waiting[which % len(self.waiting)]

        def both() -> None:
            self.pacer.finish(ticket)
            asker.task.cancel()

        self.do(both)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 100), left=st.floats(0, LIMIT), late=st.floats(0, 30))
    def sample(self, which: int, left: float, late: float) -> None:
        """An answer tells its limits, true or not, in any order."""
        info = RateLimitInfo(
            dimensions=(
                LimitDimension("requests", LIMIT, math.floor(left), WALL + self.loop.virtual + late),
                LimitDimension("tokens", 100 * LIMIT, math.floor(100 * left), WALL + self.loop.virtual + late),
            ),
            observed_at=WALL + self.loop.virtual,
            source="headers",
        )
        self.do(partial(self.pacer.sample, self.open[which % len(self.open)], info))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 100), how=st.sampled_from(["finish", "usage", "cancel", "limited", "overload"]))
    def close(self, which: int, how: str) -> None:
        """The end of an exchange, whatever it is; and once more, which is nothing."""
        ticket = self.open.pop(which % len(self.open))
        ends: dict[str, Callable[[], object]] = {
            "finish": partial(self.pacer.finish, ticket),
            "usage": partial(self.pacer.finish, ticket, USAGE),
            "cancel": partial(self.pacer.cancel, ticket),
            "limited": partial(self.pacer.limited, ticket, RateLimitError("no", retry_after=3.0)),
            "overload": partial(self.pacer.limited, ticket, OverloadedError("no", kind="overload", retry_after=1.0)),
        }
        self.do(ends[how])
        self.do(ends[how])
        if how in {"limited", "overload"}:
            self.refused.append(ticket)

    @rule(seconds=st.sampled_from([0.01, 1.0, 10.0, 61.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        """A little or an hour."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await self._settled()

        self.run(wait())

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def check(self) -> None:
        """Nothing is lost or doubled."""
        pacer = self.pacer
        assert pacer.taken == len(self.open) <= SLOTS
        assert pacer.waiting == len(self.waiting)
        for lane in pacer._lanes.values():
            model = lane.model
            assert lane.flying == sum(member.flying for member in model.members.values()) == len(self.open)
            for name, bucket in model.buckets.items():
                assert bucket.level <= bucket.limit + 1e-6, name
                assert math.isfinite(bucket.level)
                assert bucket.inflation >= 1
            for member in model.members.values():
                assert all(doubt >= 0 for doubt in member.doubt)
                if not member.flying:
                    assert sum(member.doubt) == pytest.approx(0, abs=1e-3)
                    assert member.unbilled == pytest.approx(0, abs=1e-3)
            assert all(amount >= -1e-3 for amount in model.sent)

    @invariant()
    def the_line_is_kept(self) -> None:
        """Who still waits came later, or has a lower priority, than who is first in line."""
        for lane in self.pacer._lanes.values():
            turns = [turn for turn, _ in lane.line.in_order()]
            assert turns == sorted(turns, key=lambda turn: (-turn.priority, turn.arrival))
            assert all(turn.is_open for turn in turns)


class OrderStates(RuleBasedStateMachine):
    """With limits that are known and kept, places are given exactly by priority and arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = AutojumpLoop()
        self.pacer = Pacer(RateLimitPolicy(pace=False, max_wait=1e9), name="v", max_requests=1)
        self.holder = self.loop.run_until_complete(self.pacer.take(Cost(0.0)))
        self.asked: list[tuple[int, int]] = []
        self.tasks: dict[tuple[int, int], asyncio.Task[Ticket]] = {}
        self.count = 0

    def teardown(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()

    @rule(priority=st.integers(-1, 1))
    def ask(self, priority: int) -> None:
        self.count += 1
        turn = (-priority, self.count)

        async def start() -> None:
            self.tasks[turn] = asyncio.ensure_future(self.pacer.take(Cost(0.0), priority=priority))
            await asyncio.sleep(0)

        self.loop.run_until_complete(start())
        self.asked.append(turn)

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 100))
    def leave(self, which: int) -> None:
        turn = self.asked.pop(which % len(self.asked))
        self.tasks.pop(turn).cancel()
        self.loop.run_until_complete(asyncio.sleep(0.01))

    @precondition(lambda self: self.asked)
    @rule()
    def give(self) -> None:
        async def finish() -> None:
            self.pacer.finish(self.holder)
            await asyncio.sleep(0.01)

        self.loop.run_until_complete(finish())
        served = [turn for turn, task in self.tasks.items() if task.done()]
        assert served == [min(self.asked)]
        self.asked.remove(served[0])
        self.holder = self.tasks.pop(served[0]).result()


SETTINGS = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
PacerStates.TestCase.settings = SETTINGS
OrderStates.TestCase.settings = SETTINGS
TestPacerStates = PacerStates.TestCase
TestOrderStates = OrderStates.TestCase
