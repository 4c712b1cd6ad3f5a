"""
Whether a model that came out of a store can be one, before anybody decides by it.

What others wrote may be of another version, or garbled, and a number that cannot be would keep all requests waiting for
ever, or let all of them go. Pure; `now` is the store's time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from ._bucket import INFLATION_MOST, Bucket
from ._window import SLOTS, Window
from .cost import TOTAL
from .model import LONGEST, STEADY, Member, Model

__all__ = ("is_sound",)

LATEST: Final = 86_400.0  # seconds: the longest that anything lies ahead, a window of a day
MEMBERS: Final = 10_000
DIMENSIONS: Final = 64
SKEW: Final = 1.0  # seconds between two readings of the store's clock that went another way


def is_sound(model: Model, now: float) -> bool:
    """Whether every number of it is one that can be."""
    return (
        len(model.members) <= MEMBERS
        and len(model.buckets) + len(model.windows) <= DIMENSIONS
        and 0 < model.pace <= STEADY
        and 0 < model.share <= 1
        and len(model.sent) == TOTAL + 1
        and _finite(model.sent)
        and min(model.seq, model.turns, model.answers, model.fails) >= 0
        and not (math.isnan(model.blocked) or model.blocked > now + LONGEST + SKEW)
        and not (math.isnan(model.next_at) or model.next_at > now + LATEST)
        and all(map(_bucket, model.buckets.values(), [now] * len(model.buckets)))
        and all(map(_window, model.windows.values(), [now] * len(model.windows)))
        and all(map(_member, model.members.values()))
    )


def _finite(numbers: Iterable[float]) -> bool:
    return all(map(math.isfinite, numbers))


def _bucket(bucket: Bucket, now: float) -> bool:
    return (
        0 <= bucket.measure <= TOTAL
        and _finite((bucket.limit, bucket.rate, bucket.level, bucket.at, bucket.corrected, bucket.grain, bucket.extra))
        and bucket.limit > 0
        and bucket.rate > 0
        and bucket.level <= bucket.limit * (1 + 1e-9)
        and bucket.at <= now + SKEW
        and bucket.grain >= 1
        and bucket.extra >= 0
        and 1 <= bucket.inflation <= INFLATION_MOST
    )


def _window(window: Window, now: float) -> bool:
    return (
        0 <= window.measure <= TOTAL
        and window.limit > 0
        and window.allowed > 0
        and 0 < window.share <= 1
        and 0 < window.span <= LATEST * 31
        and math.isfinite(window.ends)
        and window.ends <= now + window.span + SKEW
        and len(window.log) <= 2 * SLOTS
        and all(_finite(sent) and sent[1] >= 0 for sent in window.log)
    )


def _member(member: Member) -> bool:
    return (
        member.flying >= 0
        and len(member.doubt) == TOTAL + 1
        and _finite((*member.doubt, member.unbilled, member.joined, member.lease))
        and min(*member.doubt, member.unbilled) >= 0
    )
