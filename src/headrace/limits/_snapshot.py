"""
What a pacer knows at one moment, as values.

Plain; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from .._types import LimitDimension, RateLimitInfo
from .model import Level

__all__ = ("Level", "Snapshot", "as_info")


class Snapshot(NamedTuple):
    """
    One scope of a pacer at one moment.

    `levels` are the limits that are known; `flying` requests are open and `waiting` wait; `blocked` is seconds for
    which the vendor's refusal keeps all away.
    """

    scope: str
    levels: tuple[Level, ...]
    flying: int
    waiting: int
    blocked: float


def as_info(levels: Sequence[Level], wall: float) -> RateLimitInfo:
    """The same in the words of the vendors' headers; `wall` is the time in Unix seconds."""
    found = {one.name: LimitDimension(one.name, one.limit, one.left, wall + one.full_in) for one in levels}
    requests, tokens = _first(found, "requests"), _first(found, "tokens")
    return RateLimitInfo(
        limit_requests=_whole(requests, "limit"),
        remaining_requests=_whole(requests, "remaining"),
        reset_time=None if requests is None else requests.reset_at,
        limit_tokens=_whole(tokens, "limit"),
        remaining_tokens=_whole(tokens, "remaining"),
        dimensions=tuple(found.values()),
        observed_at=wall,
        source="pacer",
    )


def _first(found: Mapping[str, LimitDimension], word: str) -> LimitDimension | None:
    return next((one for name, one in found.items() if name.partition("_")[0] == word), None)


def _whole(dimension: LimitDimension | None, name: Literal["limit", "remaining"]) -> int:
    value = None if dimension is None else dimension.limit if name == "limit" else dimension.remaining
    return 0 if value is None else int(value)
