"""Slots: bounded, by priority, in order among equals; a waiter that leaves costs nobody a slot."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from anyio import CancelScope, create_task_group, current_time, sleep, wait_all_tasks_blocked

from headrace.errors import ConcurrencyLimitError
from headrace.streaming.slots import Slots

pytestmark = pytest.mark.virtual


@dataclass(frozen=True)
class Holder:
    label: str


def names(*labels: str) -> list[Holder]:
    return [Holder(label) for label in labels]


async def test_the_highest_priority_is_served_first_and_equals_in_order() -> None:
    slots, order = Slots(1), []
    first = Holder("first")
    await slots.take(first, max_wait=0)

    async def wait(holder: Holder, priority: int) -> None:
        await slots.take(holder, max_wait=60, priority=priority)
        order.append(holder.label)
        slots.free(holder)

    async with create_task_group() as tasks:
        for label, priority in (("a", 0), ("b", 0), ("urgent", 5), ("c", 0), ("low", -1)):
            tasks.start_soon(wait, Holder(label), priority)
            await wait_all_tasks_blocked()
        slots.free(first)
    assert order == ["urgent", "a", "b", "c", "low"]
    assert slots.taken == 0


async def test_a_waiter_waits_as_long_as_it_is_willing_and_names_the_holders() -> None:
    slots = Slots(2, "openai")
    for holder in names("stream openai/big", "stream openai/small"):
        await slots.take(holder, max_wait=0)
        await sleep(5)
    began = current_time()
    with pytest.raises(ConcurrencyLimitError) as refused:
        await slots.take(Holder("late"), max_wait=30)
    assert current_time() - began == pytest.approx(30)
    assert (refused.value.limit, refused.value.waited) == (2, 30)
    assert refused.value.holders == ("stream openai/big (open 40.0 s)", "stream openai/small (open 35.0 s)")
    assert "openai: no slot within 30 s, all 2 are held by stream openai/big (open 40.0 s)" in str(refused.value)
    assert slots.taken == 2


async def test_without_patience_there_is_no_wait() -> None:
    slots = Slots(1)
    await slots.take(Holder("a"), max_wait=0)
    began = current_time()
    with pytest.raises(ConcurrencyLimitError):
        await slots.take(Holder("b"), max_wait=0)
    assert current_time() == began


@pytest.mark.parametrize("granted_first", [True, False])
async def test_a_cancelled_waiter_costs_nobody_a_slot(granted_first: bool) -> None:
    """The slot becomes free and the waiter is cancelled in one step, in both orders."""
    slots, (a, b, c) = Slots(1), names("a", "b", "c")
    await slots.take(a, max_wait=0)
    scope = CancelScope()

    async def wait() -> None:
        with scope:
            await slots.take(b, max_wait=60)
            slots.free(b)

    async with create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        if granted_first:
            slots.free(a)
        scope.cancel()
        if not granted_first:
            slots.free(a)
    await slots.take(c, max_wait=0)
    assert slots.taken == 1


async def test_giving_back_what_was_not_taken_is_nothing() -> None:
    slots = Slots(1)
    slots.free(Holder("nobody"))
    await slots.take(Holder("a"), max_wait=0)
    assert slots.taken == 1


def test_there_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least one exchange"):
        Slots(0)
