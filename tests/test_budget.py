"""A budget: what it lets through, what it says when it is spent, and when there is room again."""

from __future__ import annotations

import copy
import pickle

import pytest

from headrace import Budget
from headrace.errors import BudgetExceededError, CallerError

NOON = 1_795_003_200.0  # 2026-11-18 12:00:00 UTC


def test_a_budget_that_is_not_spent_lets_a_request_through() -> None:
    budget = Budget(cost=1.0, tokens=100)
    budget.check(now=NOON)
    budget.spend(cost=0.99, tokens=99, now=NOON)
    budget.check(now=NOON)
    assert (budget.spent("USD", now=NOON), budget.spent("tokens", now=NOON)) == (0.99, 99)


def test_a_budget_for_good_says_what_is_spent_and_never_has_room_again() -> None:
    budget = Budget(tokens=1000)
    budget.spend(cost=None, tokens=1200, now=NOON)
    with pytest.raises(BudgetExceededError) as caught:
        budget.check(now=NOON + 1e9)
    error = caught.value
    assert isinstance(error, CallerError)
    assert (error.unit, error.limit, error.spent, error.per) == ("tokens", 1000, 1200, None)
    assert error.retry_at is None and error.retry_after is None
    assert str(error) == (
        "the budget of 1,000 tokens is spent (1,200 tokens). Nothing was sent: this is your own limit; "
        "raise it in Budget(...) if the call matters more."
    )


def test_a_window_says_when_there_is_room_again() -> None:
    budget = Budget(cost=5.0, per=3600)  # in parts of a minute
    budget.spend(cost=2.5, tokens=None, now=NOON + 30)
    budget.spend(cost=2.6, tokens=None, now=NOON + 90)
    with pytest.raises(BudgetExceededError) as caught:
        budget.check(now=NOON + 600)
    error = caught.value
    assert (error.unit, error.limit, error.spent, error.per) == ("USD", 5.0, 5.1, 3600)
    assert error.retry_at == NOON + 60 + 3600, "the end of the first part, and a window later"
    assert error.retry_after == 3060
    assert str(error) == (
        "the budget of 5 USD per 3600 s is spent (5.1 USD). There is room again in 3060 s, at 2026-11-18 13:01:00 UTC. "
        "Nothing was sent: this is your own limit; raise it in Budget(...) if the call matters more."
    )


def test_there_is_room_at_the_moment_that_was_told_and_not_before() -> None:
    budget = Budget(tokens=10, per=60)
    budget.spend(cost=None, tokens=10, now=NOON + 0.5)
    with pytest.raises(BudgetExceededError) as caught:
        budget.check(now=NOON + 0.5)
    room = caught.value.retry_at
    assert room == NOON + 61
    with pytest.raises(BudgetExceededError):
        budget.check(now=room - 0.001)
    budget.check(now=room)


def test_as_much_of_the_window_as_is_needed_must_pass() -> None:
    budget = Budget(tokens=10, per=60)
    for second, tokens in ((0, 4), (10, 9), (20, 9)):
        budget.spend(cost=None, tokens=tokens, now=NOON + second)
    with pytest.raises(BudgetExceededError) as caught:
        budget.check(now=NOON + 30)
    assert caught.value.spent == 22
    assert caught.value.retry_at == NOON + 11 + 60, (
        "without the first 4 there are 18 yet, without the next 9 there are 9"
    )


def test_of_two_that_are_spent_the_one_with_room_last_is_told() -> None:
    budget = Budget(cost=1.0, tokens=10, per=60)
    budget.spend(cost=2.0, tokens=1, now=NOON)
    budget.spend(cost=0.0, tokens=10, now=NOON + 30)
    with pytest.raises(BudgetExceededError) as caught:
        budget.check(now=NOON + 31)
    assert (caught.value.unit, caught.value.retry_at) == ("tokens", NOON + 31 + 60)


def test_what_is_under_way_may_pass_it_and_nothing_after_that() -> None:
    """The promise: three are let through while nothing is known to be spent; their ends close the door."""
    budget = Budget(tokens=10)
    for _ in range(3):
        budget.check(now=NOON)
    for _ in range(3):
        budget.spend(cost=None, tokens=10, now=NOON)
    with pytest.raises(BudgetExceededError) as caught:
        budget.check(now=NOON)
    assert caught.value.spent == 30


def test_the_unknown_is_not_counted() -> None:
    budget = Budget(cost=1.0, tokens=1)
    budget.spend(cost=None, tokens=None, now=NOON)
    budget.check(now=NOON)
    assert budget.spent("USD", now=NOON) == 0


def test_a_window_holds_a_bounded_number_of_parts() -> None:
    budget = Budget(tokens=10**9, per=60)
    for tenth in range(2000):
        budget.spend(cost=0.0, tokens=1, now=NOON + tenth / 10)
    assert len(budget._slots) <= 62
    assert 600 <= budget.spent("tokens", now=NOON + 199.9) <= 610


def test_a_clock_that_is_put_back_loses_nothing() -> None:
    budget = Budget(tokens=10, per=60)
    budget.spend(cost=None, tokens=6, now=NOON)
    budget.spend(cost=None, tokens=6, now=NOON - 1000)
    with pytest.raises(BudgetExceededError):
        budget.check(now=NOON - 1000)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs cost="),
        ({"per": 60}, "needs cost="),
        ({"cost": 0}, "cost is 0"),
        ({"tokens": -1}, "tokens is -1"),
        ({"tokens": 1, "per": 0}, "per is 0"),
        ({"cost": float("nan")}, "cost is nan"),
    ],
    ids=str,
)
def test_a_budget_of_nothing_is_refused(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Budget(**arguments)


def test_its_error_travels_with_all_it_knows() -> None:
    error = BudgetExceededError("spent", unit="USD", limit=5.0, spent=5.1, per=60, retry_at=NOON, retry_after=3.0)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), vars(again)) == ("spent", vars(error))


def test_a_budget_shows_itself() -> None:
    assert repr(Budget(cost=5, per=3600)) == "Budget(cost=5, tokens=None, per=3600)"
