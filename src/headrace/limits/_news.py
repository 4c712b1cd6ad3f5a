"""
What a pacer tells beside its results, as events of `telemetry`: at most one of a kind and scope in a second.

Decides nothing and changes nothing; it looks at a model and says what is new in it. `now` is the loop's time.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from ..telemetry import Event, EventName, emit
from .model import Level, Model, Wait

__all__ = ("News",)

APPROACHING: Final = 0.8  # of the tightest dimension is used
FAR: Final = 0.25  # of a limit is left: nothing is near
RELEASED: Final = 0.7  # apart from the other, so that it does not flap
APART: Final = 1.0  # seconds between two events of a kind
LONG: Final = 1.0  # seconds of a wait that a person may wonder at


class News:
    """The events of one scope. `provider` and `scope` are their names in them; a scope is usually a model."""

    def __init__(self, provider: str, scope: str) -> None:
        self._provider, self._scope = provider, scope
        self._told: dict[EventName, float] = {}
        self._known: dict[str, tuple[float, float]] = {}
        self._is_tight = self._is_away = False

    @property
    def _what(self) -> str:
        return f"{self._provider or 'session'}{':' if self._scope else ''}{self._scope}"

    def held(self, label: str, wait: Wait | None, ahead: int, now: float) -> None:
        """A request must wait; of a scope of which nothing is known nobody can say how long."""
        seconds = None if wait is None or wait.seconds == math.inf else wait.seconds
        how_long = "for an answer to another" if seconds is None else f"{seconds:.1f} s"
        why = f" for {wait.dimension}" if wait is not None and wait.dimension else ""
        self._tell(
            "request_held",
            f"{self._what}: {label} waits {how_long}{why} ({ahead} ahead)",
            now,
            level=logging.INFO if seconds is not None and seconds > LONG else logging.DEBUG,
            seconds=seconds,
            dimension=wait.dimension if wait is not None else "",
            ahead=ahead,
        )

    def granted(self, label: str, waited: float, now: float) -> None:
        """A request that waited has its place."""
        self._tell("request_granted", f"{self._what}: {label} goes after {waited:.1f} s", now, waited=waited)

    def limited(self, error: Exception, retry_after: float | None, dimension: str | None, now: float) -> None:
        """The vendor refused."""
        self._tell(
            "rate_limited",
            f"{self._what}: the vendor refused: {error}",
            now,
            retry_after=retry_after,
            dimension=dimension,
        )

    def store(self, problem: Exception | None, now: float) -> None:
        """The store is away, or back."""
        if (problem is not None) == self._is_away:
            return
        self._is_away = problem is not None
        if problem is None:
            self._tell("store_recovered", f"{self._what}: the store is back: limits are shared again", now)
        else:
            self._tell("store_degraded", f"{self._what}: the store is away, limits are kept here alone: {problem}", now)

    def look(self, model: Model, now: float) -> None:
        """After an answer: what is new in the model."""
        if not model.windows and not self._is_tight:  # the usual case, once a request
            for name, bucket in model.buckets.items():
                if bucket.level < FAR * bucket.limit or self._known.get(name) != (bucket.limit, bucket.rate):
                    break
            else:
                return
        tightest: Level | None = None
        for level in model.levels(now):
            if tightest is None or level.used > tightest.used:
                tightest = level
            known, new = self._known.get(level.name), (level.limit, level.rate)
            if known != new:
                self._known[level.name] = new
                self._tell(
                    "limits_learned",
                    f"{self._what}: {level.name} are limited to {level.limit:,.0f}, {level.rate * 60:,.0f} a minute",
                    now,
                    dimension=level.name,
                    limit=level.limit,
                    rate=level.rate,
                )
        if tightest is None or (self._is_tight and tightest.used > RELEASED):
            return
        if not self._is_tight and tightest.used < APPROACHING:
            return
        self._is_tight = not self._is_tight
        self._tell(
            "rate_limit_approaching" if self._is_tight else "rate_limit_released",
            f"{self._what}: {tightest.used:.0%} of {tightest.limit:,.0f} {tightest.name} are used",
            now,
            dimension=tightest.name,
            used=tightest.used,
            limit=tightest.limit,
        )

    def _tell(self, name: EventName, message: str, now: float, *, level: int | None = None, **data: object) -> None:
        last = self._told.get(name, -math.inf)
        if now - last < APART and name != "limits_learned":  # each of those is told once
            return
        self._told[name] = now
        emit(Event(name, self._provider, self._scope, message, data), level=level)
