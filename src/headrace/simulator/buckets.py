"""
Rate limits as vendors keep them: token buckets that refill all the time.

Pure arithmetic; the time is an argument. Rules: "token bucket algorithm ... continuously replenished up to your maximum
limit" (Anthropic, rate limits); resets tell when a bucket is full, not when one request fits (OpenAI, rate limits).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ("Buckets", "Denial", "Limits", "Reading")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Most requests and tokens in `window` seconds; None is no such limit.

    `input_tokens` and `output_tokens` are Anthropic's. The defaults are too high to be met by accident.
    """

    requests: int | None = 100_000
    tokens: int | None = 100_000_000
    input_tokens: int | None = None
    output_tokens: int | None = None
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One bucket as headers tell it: full again in `full_in` seconds, at `full_at`."""

    limit: int
    remaining: int
    full_in: float
    full_at: float


@dataclass(frozen=True, slots=True)
class Denial:
    """Which bucket is empty, and in how many seconds the request would fit."""

    dimension: str
    limit: int
    remaining: int
    wait: float


@dataclass(slots=True)
class _Bucket:
    capacity: int
    rate: float  # units a second
    level: float
    at: float

    def refill(self, now: float) -> None:
        self.level = min(float(self.capacity), self.level + max(0.0, now - self.at) * self.rate)
        self.at = max(self.at, now)


class Buckets:
    """The buckets of one vendor. `now` is Unix seconds."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._buckets = {
            name: _Bucket(capacity, capacity / limits.window, float(capacity), now)
            for name in ("requests", "tokens", "input_tokens", "output_tokens")
            if (capacity := getattr(limits, name)) is not None
        }

    def admit(self, cost: Mapping[str, int], now: float) -> Denial | None:
        """Take `cost` from the buckets and return None, or take nothing and say which is too empty."""
        denials = []
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            # A bucket that is only charged afterwards lets nobody in while it is in debt.
            missing = cost.get(name, 0) - bucket.level if name in cost else -bucket.level
            if missing > 1e-9:  # a whole unit refilled in floating point may lack a hair
                denials.append(Denial(name, bucket.capacity, max(0, math.floor(bucket.level)), missing / bucket.rate))
        if denials:
            return max(denials, key=lambda denial: denial.wait)
        self.charge(cost, now)
        return None

    def charge(self, cost: Mapping[str, int], now: float) -> None:
        """Take `cost`, into debt if need be."""
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            bucket.level -= cost.get(name, 0)

    def read(self, now: float) -> dict[str, Reading]:
        """Every bucket, for the headers."""
        readings = {}
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            remaining = max(0, math.floor(bucket.level + 1e-9))
            full_in = (bucket.capacity - bucket.level) / bucket.rate
            readings[name] = Reading(bucket.capacity, remaining, full_in, now + full_in)
        return readings
