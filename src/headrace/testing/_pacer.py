"""
What `limits=` asks of a pacer, run against one of anybody's. The rules are those that `Pacing` states.

A pacer is tried with one place: whoever has it holds up all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from anyio import CancelScope, create_task_group, current_time, wait_all_tasks_blocked

from .._types import LimitDimension, RateLimitInfo, Usage
from ..errors import ConcurrencyLimitError, RateLimitError
from ..limits.cost import Cost
from ..limits.pacing import AnyPacing
from ._rules import WITHIN, Rule, keep, must

__all__ = ("MakePacer", "check_pacer")

MakePacer: TypeAlias = Callable[[], AnyPacing]

SMALL: Final = Cost(1.0)
PATIENT: Final = 60.0
AFTER, BEFORE, LONG_BEFORE = (
    "after its place was given, in the same step",
    "before that, in the same step",
    "long before",
)
USAGE: Final = Usage(
    prompt_tokens=3,
    completion_tokens=4,
    total_tokens=7,
    cached_tokens=None,
    cache_write_tokens=None,
    reasoning_tokens=None,
    source="reported",
    raw={},
)
TOLD: Final = RateLimitInfo(
    limit_requests=100,
    remaining_requests=99,
    dimensions=(LimitDimension("requests", 100.0, 99.0, None),),
    source="headers",
)


async def check_pacer(make: MakePacer, *, within: float = WITHIN) -> None:
    """
    Run a pacer against what a session asks of it; see `headrace.limits.pacing.Pacing`.

    Args:
        make: gives a new pacer that has one place, such as `lambda: Pacer(max_requests=1)`; called in the event loop.
        within: seconds for each rule.

    Raises:
        AssertionError: a rule is broken; the text says which, in words, and what was seen.
    """
    await keep(RULES, make, within=within)


# ---------------------------------------------------------------- whose turn it is


async def _arrival(make: MakePacer) -> None:
    order = await _served(make(), (("first", 0), ("second", 0), ("third", 0)))
    must(order == ["first", "second", "third"], f"the order was {order}")


async def _priority(make: MakePacer) -> None:
    order = await _served(make(), (("low", -1), ("first", 0), ("second", 0), ("urgent", 5)))
    must(order == ["urgent", "first", "second", "low"], f"the order was {order}")


async def _served(pacer: AnyPacing, waiters: Sequence[tuple[str, int]]) -> list[str]:
    """Who waits behind the holder of the place, in the order in which they got it."""
    order: list[str] = []

    async def wait(label: str, priority: int) -> None:
        ticket = await pacer.take(SMALL, priority=priority, max_wait=PATIENT, label=label)
        must(pacer.taken == 1, f"{pacer.taken} hold the one place")
        order.append(label)
        pacer.finish(ticket)

    held = await pacer.take(SMALL, max_wait=PATIENT)
    async with create_task_group() as tasks:
        for label, priority in waiters:
            tasks.start_soon(wait, label, priority)
            await wait_all_tasks_blocked()
        must(not order, f"{order} did not wait for the place")
        pacer.finish(held)
    return order


# ---------------------------------------------------------------- what becomes of a place


async def _cancelled_waiter(make: MakePacer) -> None:
    for when in (AFTER, BEFORE, LONG_BEFORE):
        pacer, scope = make(), CancelScope()
        held = await pacer.take(SMALL, max_wait=PATIENT)
        async with create_task_group() as tasks:
            tasks.start_soon(_wait_in, scope, pacer)
            await wait_all_tasks_blocked()
            if when == AFTER:
                pacer.finish(held)
            scope.cancel()
            if when == LONG_BEFORE:
                await wait_all_tasks_blocked()
            if when != AFTER:
                pacer.finish(held)
        must(pacer.taken == 0, f"cancelled {when}, it still holds {pacer.taken}")
        await _is_free(pacer)


async def _wait_in(scope: CancelScope, pacer: AnyPacing) -> None:
    with scope:
        pacer.cancel(await pacer.take(SMALL, max_wait=PATIENT))


async def _given_back(make: MakePacer) -> None:
    for settle in (_finish, _finish_with_usage, _limit, _cancel):
        pacer = make()
        settle(pacer, await pacer.take(SMALL, max_wait=PATIENT))
        must(pacer.taken == 0, f"after {settle.__name__.strip('_')} {pacer.taken} places are held")


async def _settled_once(make: MakePacer) -> None:
    for again in (_finish, _limit, _cancel):
        pacer = make()
        ticket = await pacer.take(SMALL, max_wait=PATIENT)
        pacer.finish(ticket)
        held = await pacer.take(SMALL, max_wait=PATIENT)
        again(pacer, ticket)
        must(pacer.taken == 1, f"a second {again.__name__.strip('_')} leaves {pacer.taken} places held, not 1")
        pacer.finish(held)


async def _stands_again(make: MakePacer) -> None:
    pacer = make()
    ticket = await pacer.take(SMALL, max_wait=PATIENT)
    _limit(pacer, ticket)
    try:
        following = await pacer.take(SMALL, max_wait=1.0, again=ticket)
    except RateLimitError as exc:  # of a vendor that has just refused, nobody knows when it will let anybody in
        must(not exc.sent, "it is refused, with an error that says that it was sent")
        return
    must(pacer.taken == 1, f"{pacer.taken} places are held")
    pacer.finish(following)
    must(pacer.taken == 0, "its place is not given back")


async def _is_free(pacer: AnyPacing) -> None:
    must(pacer.taken == 0, f"{pacer.taken} places are still held")
    pacer.finish(await pacer.take(SMALL, max_wait=PATIENT))


def _finish(pacer: AnyPacing, ticket: object) -> None:
    pacer.finish(ticket)


def _finish_with_usage(pacer: AnyPacing, ticket: object) -> None:
    pacer.finish(ticket, USAGE)


def _limit(pacer: AnyPacing, ticket: object) -> None:
    pacer.limited(ticket, RateLimitError("too much", retry_after=0.01))


def _cancel(pacer: AnyPacing, ticket: object) -> None:
    pacer.cancel(ticket)


# ---------------------------------------------------------------- refusals, and what is told


async def _refusal(make: MakePacer) -> None:
    pacer = make()
    held = await pacer.take(SMALL, max_wait=PATIENT)
    now = current_time()
    for words, max_wait, deadline in (
        ("without patience", 0.0, now + PATIENT),
        ("after its max_wait", 0.05, now + PATIENT),
        ("at the caller's deadline", PATIENT, now + 0.1),
    ):
        try:
            await pacer.take(SMALL, max_wait=max_wait, deadline=deadline)
        except ConcurrencyLimitError:
            pass
        except RateLimitError as exc:
            must(not exc.sent, f"{words} the RateLimitError says that the request was sent")
        except Exception as exc:
            raise AssertionError(f"{words} it raises {exc!r}") from exc
        else:
            raise AssertionError(f"{words} it gives a second place where there is one")
    pacer.finish(held)
    await _is_free(pacer)


async def _told(make: MakePacer) -> None:
    pacer = make()
    _look(pacer)
    ticket = await pacer.take(SMALL, scope="model", max_wait=PATIENT)
    for info in (RateLimitInfo(), TOLD):
        pacer.sample(ticket, info)
        _look(pacer)
    pacer.finish(ticket, USAGE)
    _look(pacer)


def _look(pacer: AnyPacing) -> None:
    must(isinstance(pacer.rate_limits(), Mapping), "rate_limits() gives no mapping")
    seconds = pacer.forecast(SMALL, scope="model")
    must(seconds >= 0, f"forecast() gives {seconds!r} seconds")


RULES: Final[Sequence[Rule[MakePacer]]] = (
    Rule("equals are served in order of arrival, one at a time", _arrival),
    Rule("higher priorities go first", _priority),
    Rule("a waiter that is cancelled costs nobody a place", _cancelled_waiter),
    Rule("each of finish(), limited() and cancel() gives the place back", _given_back),
    Rule("a ticket is settled once", _settled_once),
    Rule("one that was refused may stand in line again", _stands_again),
    Rule("who would wait too long is refused with RateLimitError (sent=False) or ConcurrencyLimitError", _refusal),
    Rule("sample(), rate_limits() and forecast() answer at any moment", _told),
)
