"""The line: by priority, then by arrival; it can be left anywhere, and knows what stands before any place."""

from __future__ import annotations

import pytest

from headrace.limits.cost import Price
from headrace.limits.line import Line, Turn

NONE = (0.0, 0.0, 0.0, 0.0)


def turn(owner: str, arrival: int, priority: int = 0, tokens: float = 0.0) -> Turn[str]:
    return Turn(owner, Price((1.0, tokens, 0.0, tokens), NONE), priority, arrival)


def served(line: Line[str]) -> list[str]:
    order = []
    while (first := line.first()) is not None:
        order.append(first.owner)
        line.leave(first)
    return order


def test_a_higher_priority_is_first_and_equals_come_in_order_of_arrival() -> None:
    line: Line[str] = Line()
    for owner, arrival, priority in (("a", 1, 0), ("b", 2, 0), ("urgent", 3, 5), ("c", 4, 0), ("low", 0, -1)):
        line.join(turn(owner, arrival, priority))
    assert line.length == 5
    assert served(line) == ["urgent", "a", "b", "c", "low"]
    assert line.length == 0


@pytest.mark.parametrize("leaving", ["a", "b", "c"])
def test_whoever_leaves_is_skipped_wherever_it_stood(leaving: str) -> None:
    line: Line[str] = Line()
    turns = {owner: turn(owner, arrival) for arrival, owner in enumerate("abc")}
    for each in turns.values():
        line.join(each)
    line.leave(turns[leaving])
    line.leave(turns[leaving])  # twice is once
    assert line.length == 2
    assert served(line) == [owner for owner in "abc" if owner != leaving]


def test_one_that_comes_back_with_its_arrival_stands_where_it_stood() -> None:
    line: Line[str] = Line()
    line.join(turn("later", 8))
    line.join(turn("earlier", 3))
    assert served(line) == ["earlier", "later"]


def test_what_stands_before_a_newcomer_is_what_its_priority_cannot_pass() -> None:
    line: Line[str] = Line()
    line.join(turn("low", 0, priority=-1, tokens=100))
    line.join(turn("usual", 1, tokens=20))
    line.join(turn("urgent", 2, priority=3, tokens=3))
    assert line.ahead(-1) == (3.0, 123.0, 0.0, 123.0)
    assert line.ahead(0) == (2.0, 23.0, 0.0, 23.0)
    assert line.ahead(3) == (1.0, 3.0, 0.0, 3.0)
    assert line.ahead(4) == NONE
    assert [line.count_ahead(priority) for priority in (-1, 0, 3, 4)] == [3, 2, 1, 0]


def test_everybody_is_listed_with_what_stands_before_it() -> None:
    line: Line[str] = Line()
    for owner, arrival, tokens in (("a", 0, 10), ("gone", 1, 99), ("b", 2, 5)):
        line.join(turn(owner, arrival, tokens=tokens))
    gone = next(each for each, _ in line.in_order() if each.owner == "gone")
    line.leave(gone)
    assert [(each.owner, ahead[1]) for each, ahead in line.in_order()] == [("a", 0.0), ("b", 10.0)]


def test_an_empty_line_is_behind_nobody_and_keeps_no_rest_of_sums() -> None:
    """Sums of floats do not come back to zero by themselves."""
    line: Line[str] = Line()
    turns = [turn("x", arrival, tokens=0.1 * arrival) for arrival in range(10)]
    for each in turns:
        line.join(each)
    for each in turns:
        line.leave(each)
    assert line.first() is None
    assert line.ahead(0) == NONE


def test_who_leaves_while_all_are_listed_is_before_nobody() -> None:
    line: Line[str] = Line()
    for arrival, (owner, tokens) in enumerate((("large", 900.0), ("a", 10.0), ("b", 5.0))):
        line.join(turn(owner, arrival, tokens=tokens))
    ahead = {}
    for each, sums in line.in_order():
        ahead[each.owner] = sums[1]
        if each.owner == "large":
            line.leave(each)
    assert ahead == {"large": 0.0, "a": 0.0, "b": 10.0}


def test_one_that_came_back_knows_what_stands_before_it() -> None:
    line: Line[str] = Line()
    back = turn("back", 2, tokens=100)
    for each in (turn("earlier", 1, tokens=7), turn("later", 3, tokens=20), turn("urgent", 4, 5, tokens=1), back):
        line.join(each)
    assert line.before(back) == ((2.0, 8.0, 0.0, 8.0), 2)


def test_who_left_is_not_kept_while_the_first_stays() -> None:
    line: Line[str] = Line()
    line.join(turn("stays", 0))
    for arrival in range(1, 5001):
        gone = turn("gone", arrival)
        line.join(gone)
        line.leave(gone)
    assert len(line._heap) < 100
    line.join(turn("last", 6000))
    assert served(line) == ["stays", "last"]
