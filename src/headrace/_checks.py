"""
What a caller gives: a number that cannot be is a ValueError, a value of another type a TypeError. The message says
which, what it is, and what it must be.

Here, when it is given: a wrong one would come to light as a wait without end or in a place that does not know its name,
or vanish (JSON has no NaN).
"""

from __future__ import annotations

import inspect
import math

__all__ = ("check_function", "check_number", "check_type", "check_whole")


def check_number(
    name: str,
    value: object,
    must: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    endless: bool = False,
) -> None:
    """
    Check that `value` is a number within these bounds. True and False are none, nor is NaN.

    Args:
        name: what it is called.
        must: what is said that it must be, such as "a number of seconds above 0".
        endless: whether it may be infinite.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not above < value or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}: it must be {must}")
    if not endless and math.isinf(value):
        raise ValueError(f"{name} is {value!r}: it must be {must}, and finite")


def check_whole(name: str, value: object, *, least: int | None = None) -> None:
    """
    Check that `value` is an int, of at least `least`. True and False are none.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name} is {value!r}: it must be a whole number{bound}")


def check_type(name: str, value: object, kind: type | tuple[type, ...], must: str) -> None:
    """
    Check that `value` is of this type, or of one of these.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r:.80}: it must be {must}")


def check_function(name: str, value: object) -> None:
    """
    Check that `value` can be called, and does its work at once: what an `async def` gives would never be awaited.

    Raises:
        TypeError: it cannot, or does not.
    """
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} is {value!r:.80}: it must be a function, and no `async def`")
