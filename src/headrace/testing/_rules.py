"""
A contract as a table of rules: each says in words what must hold, and has a check that can fail.

`keep` runs them one after the other; whatever goes wrong becomes an AssertionError that begins with the rule's words.
Knows neither providers nor pacers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from anyio import move_on_after

__all__ = ("WITHIN", "Rule", "keep", "must")

T = TypeVar("T")

WITHIN: Final = 5.0  # seconds for each rule; right ones take milliseconds


class Rule(NamedTuple, Generic[T]):
    """What must hold, in words, and the check: it returns, or raises for a broken rule."""

    words: str
    check: Callable[[T], Awaitable[None]]


def must(true: object, detail: str) -> None:
    """Raise AssertionError with what was found instead."""
    if not true:
        raise AssertionError(detail)


async def keep(rules: Sequence[Rule[T]], subject: T, *, within: float) -> None:
    """
    Check the rules in their order.

    Raises:
        AssertionError: the first that is broken, in words, and what was seen.
    """
    for rule in rules:
        with move_on_after(within) as scope:
            try:
                await rule.check(subject)
            except AssertionError as exc:
                raise AssertionError(f"broken: {rule.words}: {exc}") from exc.__cause__
            except Exception as exc:
                raise AssertionError(f"broken: {rule.words}: {exc!r} was raised") from exc
        if scope.cancelled_caught:
            raise AssertionError(f"broken: {rule.words}: nothing more happened within {within} s")
