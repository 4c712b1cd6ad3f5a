"""
Rate limits as vendors keep them: buckets that refill all the time, or windows that begin anew.

Pure arithmetic; the time is an argument. What is charged, and when, is the vendor's business. Rules: "token bucket
algorithm ... continuously replenished up to your maximum limit" (Anthropic, rate limits); resets tell when a bucket is
full, not when one request fits, and refused requests count as well (OpenAI, rate limits); a day's requests come back
one by one (Groq's headers, 2025) or at midnight Pacific time (Gemini, rate limits); Google's refusals name a limit by
the minute and the seconds to the next one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ("Buckets", "Denial", "Limits", "Reading")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Most requests and tokens in `window` seconds, and requests in a day; None is no such limit, 0 lets nobody in.

    `input_tokens` and `output_tokens` are Anthropic's. The defaults are too high to be met by accident. `hidden`: the
    requests are limited by the same rate over so many seconds as well, and nobody is told.
    """

    requests: int | None = 100_000
    requests_day: int | None = None
    tokens: int | None = 100_000_000
    input_tokens: int | None = None
    output_tokens: int | None = None
    window: float = 60.0
    hidden: float | None = None


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
    """So much in `span` seconds, coming back all the time."""

    capacity: int
    span: float
    level: float
    at: float

    def refill(self, now: float) -> None:
        self.level = min(float(self.capacity), self.level + max(0.0, now - self.at) * self.capacity / self.span)
        self.at = max(self.at, now)

    def wait(self, missing: float) -> float:
        """Seconds until so much has come in; one span where nothing ever will."""
        return missing * self.span / self.capacity if self.capacity else self.span * (missing > 0)


@dataclass(slots=True)
class _Window:
    """So much in each window of `span` seconds; the next one begins at `ends`."""

    capacity: int
    span: float
    level: float
    ends: float
    at: float = 0.0

    def refill(self, now: float) -> None:
        if now >= self.ends:
            self.ends += self.span * (math.floor((now - self.ends) / self.span) + 1)
            self.level = float(self.capacity)
        self.at = now

    def wait(self, missing: float) -> float:
        """Seconds until the next window, if anything is missing."""
        return self.ends - self.at if missing > 0 else 0.0


HIDDEN: Final = "hidden"
DAY: Final = 86_400.0
MIDNIGHT: Final = 28_800.0  # of Pacific standard time, in seconds of the UTC day


class Buckets:
    """
    The buckets of one vendor.

    Args:
        limits: how much they hold.
        now: Unix seconds.
        phase: None refills all the time; else windows, of which the next one begins in this share of a window, and
            days that begin at midnight Pacific time.
        refusals_count: whether a refused request is counted as one, too.
    """

    def __init__(self, limits: Limits, now: float, *, phase: float | None = None, refusals_count: bool = False) -> None:
        self._refusals_count = refusals_count
        self._buckets: dict[str, _Bucket | _Window] = {}
        for name in ("requests", "requests_day", "tokens", "input_tokens", "output_tokens"):
            capacity: int | None = getattr(limits, name)
            if capacity is None:
                continue
            span = DAY if name == "requests_day" else limits.window
            if phase is None:
                self._buckets[name] = _Bucket(capacity, span, float(capacity), now)
            else:
                ends = now + (DAY - (now - MIDNIGHT) % DAY if name == "requests_day" else phase * span)
                self._buckets[name] = _Window(capacity, span, float(capacity), ends, now)
        if limits.hidden is not None and limits.requests is not None:
            most = max(1, math.ceil(limits.requests * limits.hidden / limits.window))
            self._buckets[HIDDEN] = _Bucket(most, limits.hidden, float(most), now)

    def admit(self, cost: Mapping[str, int], now: float) -> Denial | None:
        """Take `cost` from the buckets and return None, or take nothing and say which is too empty."""
        denials = []
        cost = {**cost, HIDDEN: cost.get("requests", 0)}
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            # A bucket that is only charged afterwards lets nobody in while it is in debt.
            missing = cost.get(name, 0) - bucket.level if name in cost else -bucket.level
            if missing > 1e-9:  # a whole unit refilled in floating point may lack a hair
                told = "requests" if name == HIDDEN else name
                denials.append(Denial(told, bucket.capacity, max(0, math.floor(bucket.level)), bucket.wait(missing)))
        if denials:
            requests = self._buckets.get("requests")
            if self._refusals_count and requests is not None and requests.level >= 1:
                requests.level -= 1
            return max(denials, key=lambda denial: denial.wait)
        self.charge(cost, now)
        return None

    def charge(self, cost: Mapping[str, int], now: float) -> None:
        """Take `cost`, into debt if need be."""
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            bucket.level -= cost.get(name, 0)

    def read(self, now: float) -> dict[str, Reading]:
        """Every bucket that is told, for the headers."""
        readings = {}
        for name, bucket in self._buckets.items():
            if name == HIDDEN:
                continue
            bucket.refill(now)
            remaining = max(0, math.floor(bucket.level + 1e-9))
            full_in = bucket.wait(bucket.capacity - bucket.level)
            readings[name] = Reading(bucket.capacity, remaining, full_in, now + full_in)
        return readings
