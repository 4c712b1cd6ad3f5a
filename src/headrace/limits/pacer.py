"""
The pacer: a request takes its place here before it is sent, and says afterwards what came of it.

`take` waits until the vendor's limits can pay for the request and a slot is free; `sample` corrects the model by the
head of the answer, `finish` settles at its end, `limited` learns from a refusal, `cancel` gives back what was never
sent. The one that is first in line sleeps until the moment its dimension can pay, all others until it is their turn.
Never queue in httpcore's pool: a waiter that is cancelled there leaves the pool unusable (httpcore #1093).

A pacer lives on one event loop. It may be handed to other sessions of that loop; the one that made it runs `run()`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from secrets import token_hex
from typing import Final

from anyio import CancelScope, Event, Lock, create_task_group, current_time, move_on_after, sleep_forever
from anyio.abc import TaskGroup

from .. import _clock
from .._checks import check_whole
from .._types import RateLimitInfo, Usage
from ..errors import RateLimitError
from ._lane import Lane, Ticket, Waiter
from ._news import News
from ._refusals import no_place, no_slot, too_large
from ._shared import Shared
from ._snapshot import Snapshot, as_info
from .cost import MEASURES, Cost
from .line import Turn
from .model import Model, Receipt, Refused, Wait, readings
from .policy import RateLimitPolicy
from .store import StoreError

__all__ = ("MAX_REQUESTS", "Pacer", "Snapshot", "Ticket")

SCOPES: Final = 1000  # of a pacer; a vendor has a few hundred models
ANSWER: Final = 1.5  # seconds; a store's first answer takes 1 s at most, and a change one more
GROWTH: Final = 1.25  # times what was let in: a talk is longer at its next turn, and may be cached to the same part
PARTING: Final = 0.5  # seconds, of the last word to a store
MAX_REQUESTS: Final = 100  # open exchanges of a session: httpx's own default for connections


class Pacer:
    """
    The places of one session.

    Args:
        policy: how to pace; see `RateLimitPolicy`.
        name: the provider's, for errors.
        max_requests: most exchanges that run at once.
        key: who is limited, such as vendor, address and a fingerprint of the API key; names the model in the store.
        blind: the vendor tells nothing of its limits before it refuses.
    """

    policy: RateLimitPolicy
    limit: int

    def __init__(
        self,
        policy: RateLimitPolicy | None = None,
        *,
        name: str = "",
        max_requests: int = MAX_REQUESTS,
        key: str = "",
        blind: bool = False,
    ) -> None:
        check_whole("max_requests", max_requests, least=1)
        self.policy, self.limit = policy or RateLimitPolicy(), max_requests
        self._name, self._key, self._blind = name, key, blind
        self._member = token_hex(6)
        self._held: dict[Ticket, None] = {}
        self._lanes: dict[str, Lane] = {}
        self._arrivals = count()
        self._tasks: TaskGroup | None = None
        self._turn = Lock()

    @property
    def taken(self) -> int:
        """How many places are held."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """How many requests wait for one."""
        return sum(lane.line.length for lane in self._lanes.values())

    def forecast(self, cost: Cost, *, scope: str = "", priority: int = 0) -> float:
        """Seconds that a request would wait if it came now; 0.0 where nothing is known."""
        lane = self._lane(scope)
        if not lane.paces:
            return 0.0
        wait = lane.model.forecast(lane.estimator.price(cost), lane.line.ahead(priority), current_time())
        return 0.0 if wait is None else wait.seconds

    def snapshot(self) -> tuple[Snapshot, ...]:
        """What is known of each scope, as it stands now."""
        now = current_time()
        return tuple(
            Snapshot(
                scope,
                tuple(lane.model.levels(now)),
                lane.flying,
                lane.line.length,
                max(0.0, lane.model.blocked - now),
            )
            for scope, lane in self._lanes.items()
        )

    def rate_limits(self) -> Mapping[str, RateLimitInfo]:
        """The same in the words of the vendors' headers: each scope's limits, extrapolated to now."""
        return {one.scope: as_info(one.levels, _clock.wall()) for one in self.snapshot() if one.levels}

    async def run(self) -> None:
        """
        Keep in step with the policy's store, until cancelled. Without a store there is nothing to do.

        Of several runs one does; when it ends, the next one takes over.
        """
        if self.policy.store is None:
            return
        connected = CancelScope(shield=True)
        async with self._turn, create_task_group() as tasks:
            tasks.start_soon(_within, connected, self.policy.store.run, name="pacer's store")
            try:
                async with create_task_group() as self._tasks:
                    for lane in self._lanes.values():
                        self._start(lane)
                    await sleep_forever()
            finally:
                self._tasks = None
                try:
                    await self._part()  # noqa: ASYNC102  # shielded there
                finally:
                    connected.cancel()

    async def _part(self) -> None:
        """Else the others learn nothing of what came last."""
        with move_on_after(PARTING, shield=True):
            for lane in tuple(self._lanes.values()):
                if lane.shared is not None:
                    await lane.shared.part()

    # ---------------------------------------------------------------- a place

    async def take(
        self,
        cost: Cost,
        *,
        scope: str = "",
        priority: int = 0,
        max_wait: float | None = None,
        deadline: float = math.inf,
        label: str = "exchange",
        again: Ticket | None = None,
    ) -> Ticket:
        """
        Wait for a place.

        Args:
            cost: what the request is thought to take.
            scope: what has limits of its own, such as the model.
            priority: higher goes first, equals in order of arrival.
            max_wait: seconds, in place of the policy's.
            deadline: the caller's, in the loop's time.
            label: what the place is for, in a few words.
            again: the ticket of the same request, which was refused: it stands where it stood.

        Raises:
            RateLimitError: the forecast is longer than the caller will wait, or the line is full. Nothing was sent.
            RequestTooLargeError: more than the limit will ever let in at once.
            ConcurrencyLimitError: no slot became free in time.
            StoreError: the store is away, and the policy asks to be told.
        """
        lane, now = self._lane(scope), current_time()
        lane.asked_at = now
        if self.policy.on_store_failure == "raise" and lane.shared is not None and (problem := lane.shared.problem):
            raise StoreError(str(problem)) from problem
        price = lane.estimator.price(cost)
        over = lane.model.too_large(price.charge) if lane.paces else None
        if over is not None and price.charge[over.measure] > GROWTH * lane.let_in.get(over.measure, 0.0):
            raise too_large(self._name, scope, over, price.charge[over.measure])
        arrival = next(self._arrivals) if again is None else again.arrival
        if (ticket := lane.at_once(label, cost, price, now, priority=priority, arrival=arrival)) is not None:
            return ticket
        until = min(now + (self.policy.max_wait if max_wait is None else max_wait), deadline)
        ends = until if lane.shared is None else min(max(until, now + ANSWER), deadline)
        waiter = Waiter(label, cost, until, ends, now)
        turn = Turn(waiter, price, priority, arrival)
        lane.line.join(turn)
        lane.advance(now)
        if (ticket := waiter.ticket) is not None:
            return ticket
        try:
            self._foretell(lane, turn, now, is_back=again is not None)
            ticket = await self._wait(lane, waiter)
            lane.news.granted(label, ticket.since - now, ticket.since)
            return ticket
        except BaseException:
            lane.line.leave(turn)
            if (ticket := waiter.ticket) is not None:
                self.cancel(ticket)
            lane.advance(current_time())
            raise

    def _foretell(self, lane: Lane, turn: Turn[Waiter], now: float, *, is_back: bool) -> None:
        """Say how long it will be; refuse at once what would be too long. Who `is_back` stands before its equals."""
        waiter, line = turn.owner, lane.line
        if is_back:
            before, ahead = line.before(turn)
        else:
            sums, ahead = line.ahead(turn.priority), line.count_ahead(turn.priority) - 1
            charge = turn.price.charge
            before = (sums[0] - charge[0], sums[1] - charge[1], sums[2] - charge[2], sums[3] - charge[3])
        wait = lane.model.forecast(turn.price, before, now) if lane.paces else None
        if line.length > self.policy.max_queue:
            raise self._refusal(lane, waiter, wait or Wait(math.inf), ahead, full=True)
        if wait is not None and now + wait.seconds > waiter.until:
            raise self._refusal(lane, waiter, wait, ahead)
        lane.news.held(waiter.label, wait, ahead, now)

    async def _wait(self, lane: Lane, waiter: Waiter) -> Ticket:
        """Until there is a ticket or an error."""
        while (ticket := waiter.ticket) is None:
            if waiter.error is not None:
                raise waiter.error
            if current_time() >= waiter.ends:
                raise self._late(lane, waiter)
            waiter.bell = Event()
            with CancelScope(deadline=min(waiter.ends, waiter.looks_at)):
                await waiter.bell.wait()
            if (now := current_time()) >= waiter.looks_at:
                waiter.looks_at = math.inf
                lane.advance(now)
        return ticket

    # ---------------------------------------------------------------- what came of it

    def sample(self, ticket: Ticket, info: RateLimitInfo) -> None:
        """The head of the answer: the vendor let it in."""
        lane, now = ticket.lane, current_time()
        told = readings(info) if info.dimensions else ()
        lane.tell(ticket, lambda model, receipt, at: model.sample(receipt, told, at), now)
        if told or lane.model.windows:
            lane.news.look(lane.model, now)
        if lane.line.length:
            lane.look(now)
            lane.advance(now)

    def finish(self, ticket: Ticket, usage: Usage | None = None) -> None:
        """The end of a request that was sent, whatever the end; `usage` if the vendor told it."""
        used = None if usage is None else usage["completion_tokens"]
        if usage is not None:
            ticket.lane.estimator.learn(ticket.cost, usage)
            ticket.lane.remember(ticket, usage)
        self._close(ticket, lambda model, receipt, now: model.settle(receipt, used, now))

    def limited(self, ticket: Ticket, error: RateLimitError) -> None:
        """The vendor refused it. The ticket is closed; `take(..., again=ticket)` stands in its place."""
        info = error.rate_limit
        told = Refused(
            readings(info) if info is not None else (),
            error.retry_after,
            MEASURES.get(error.dimension or ""),
            error.limit,
            error.kind,
            random.random(),  # noqa: S311  # parts those who were refused together
            error.dimension or "",
        )
        self._close(ticket, lambda model, receipt, now: model.refuse(receipt, told, now), urgent=True)
        now, news = current_time(), ticket.lane.news
        news.limited(error, error.retry_after, error.dimension, now)
        news.look(ticket.lane.model, now)

    def cancel(self, ticket: Ticket) -> None:
        """It was never handed to the wire: all comes back."""
        self._close(ticket, lambda model, receipt, now: model.cancel(receipt, now))

    def _close(self, ticket: Ticket, event: Callable[[Model, Receipt, float], None], *, urgent: bool = False) -> None:
        if not ticket.is_open:
            return
        ticket.is_open = False
        del self._held[ticket]
        lane, now = ticket.lane, current_time()
        lane.flying -= 1
        lane.tell(ticket, event, now, urgent=urgent)
        lane.look(now)
        if len(self._lanes) == 1:
            lane.advance(now)
        else:  # the slot is for whoever came first
            for other in sorted((lane for lane in self._lanes.values() if lane.line.length), key=_first):
                other.advance(now)

    # ---------------------------------------------------------------- lanes

    def _lane(self, scope: str) -> Lane:
        lane = self._lanes.get(scope)
        if lane is None:
            if len(self._lanes) >= SCOPES:
                self._forget()
            lane = self._lanes[scope] = Lane(
                scope,
                self._model(current_time()),
                paces=self.policy.pace,
                news=News(self._name, scope),
                slots=lambda: self.limit - len(self._held),
                opened=self._open,
                refusal=self._refusal,
            )
            if self.policy.store is not None and self.policy.pace:
                key = f"headrace:{{{self._key}}}:{scope}"
                lane.shared = Shared(lane, self.policy.store, key, self._member, new=self._model, away=self._away)
                self._start(lane)
        return lane

    def _forget(self) -> None:
        """The scopes of which nothing is open, least used first: names of models may come from anywhere."""
        idle = [lane for lane in self._lanes.values() if lane.is_idle]
        for lane in sorted(idle, key=lambda lane: lane.asked_at)[: SCOPES // 2]:
            del self._lanes[lane.scope]
            if lane.shared is not None:
                lane.shared.forget()

    def _model(self, now: float) -> Model:
        policy = self.policy
        model = Model(now, self._blind and not policy.limits, policy.share)
        model.watch(policy.limits or dict.fromkeys(("requests", "input_tokens", "tokens"), math.inf), now)
        return model

    def _start(self, lane: Lane) -> None:
        """A lane that was made before `run` is started by it."""
        if self._tasks is not None and lane.shared is not None:
            self._tasks.start_soon(lane.shared.run, name=f"pacer {lane.scope}")

    def _away(self, lane: Lane, exc: Exception) -> None:
        """The store is away: the own model decides, or everybody is told."""
        if self.policy.on_store_failure == "local":
            lane.advance(current_time())
            return
        for turn, _ in lane.line.in_order():
            turn.owner.error = exc
            lane.line.leave(turn)
            turn.owner.ring()

    def _open(self, ticket: Ticket) -> None:
        self._held[ticket] = None

    # ---------------------------------------------------------------- words

    def _refusal(self, lane: Lane, waiter: Waiter, wait: Wait, ahead: int, *, full: bool = False) -> RateLimitError:
        return no_place(
            self._name,
            lane.scope,
            wait,
            ahead=ahead,
            patience=waiter.until - waiter.since,
            full=full,
            wall=_clock.wall(),
        )

    def _late(self, lane: Lane, waiter: Waiter) -> Exception:
        """The time is over: for want of a slot, or of the limit."""
        now = current_time()
        if self.limit > len(self._held):
            wait, model = max(0.0, waiter.looks_at - now), lane.model
            by = Wait(wait, model.blocked_by, refused=True) if now < model.blocked else Wait(wait)
            return self._refusal(lane, waiter, by, max(0, lane.line.length - 1))
        held = sorted((ticket.since, ticket.label) for ticket in self._held)
        waited = round(waiter.until - waiter.since, 3)
        return no_slot(self._name, self.limit, waited, [(label, now - since) for since, label in held])


async def _within(scope: CancelScope, work: Callable[[], Awaitable[None]]) -> None:
    with scope:
        await work()


def _first(lane: Lane) -> tuple[int, int]:
    turn = lane.line.first()
    return (-turn.priority, turn.arrival) if turn is not None else (0, 0)
