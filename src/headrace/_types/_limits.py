"""
What a vendor's last answer told of its limits.

Plain values. How the headers of each vendor are read is `limits/`'s to know.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import _clock

__all__ = ("LimitDimension", "RateLimitInfo")


@dataclass(frozen=True, slots=True)
class LimitDimension:
    """
    One limit among those a vendor counts.

    `name` such as "requests", "tokens", "input_tokens"; None means unsaid; `reset_at` in Unix seconds.
    """

    name: str
    limit: float | None
    remaining: float | None = None
    reset_at: float | None = None

    def left(self, told_at: float, now: float) -> float | None:
        """
        How much is left at `now`, as buckets refill: evenly, to be whole at `reset_at`. None if that is unsaid.

        Args:
            told_at: Unix seconds when it was told.
            now: Unix seconds; a clock that was put back stands still at `told_at`.
        """
        if self.remaining is None or self.limit is None or self.reset_at is None:
            return self.remaining
        now = max(now, told_at)
        if now >= self.reset_at:
            return self.limit
        return self.remaining + (self.limit - self.remaining) * (now - told_at) / (self.reset_at - told_at)

    def wait(self, amount: float, told_at: float, now: float) -> float | None:
        """Seconds from `now` until `amount` is free; None if it will never be, or if that is unknown."""
        left = self.left(told_at, now)
        if left is not None and amount <= left:
            return 0.0
        if left is None or self.limit is None or self.reset_at is None or amount > self.limit:
            return None
        return (amount - left) / (self.limit - left) * (self.reset_at - max(now, told_at))


@dataclass(slots=True)
class RateLimitInfo:
    """
    The vendor's limits as its last answer told them.

    Attributes:
        limit_requests: requests per window; 0 means the vendor did not say.
        remaining_requests: of those, left in this window.
        reset_time: Unix seconds at which the window is whole again.
        limit_tokens, remaining_tokens: the same for tokens.
        dimensions: every limit that was told, these included.
        observed_at: Unix seconds when it was told; None if never.
        source: "headers", "body" or "".
    """

    limit_requests: int = 0
    remaining_requests: int = 0
    reset_time: float | None = None
    limit_tokens: int = 0
    remaining_tokens: int = 0
    dimensions: tuple[LimitDimension, ...] = ()
    observed_at: float | None = None
    source: str = ""

    @property
    def usage_percentage(self) -> float:
        """Share of the requests used, 0.0 to 1.0; 0.0 when the limit is unknown."""
        if self.limit_requests <= 0:
            return 0.0
        return min(1.0, max(0.0, (self.limit_requests - self.remaining_requests) / self.limit_requests))

    @property
    def is_approaching_limit(self) -> bool:
        """Whether 80 % of the requests or more are used."""
        return self.usage_percentage >= 0.8

    def pressure(self, now: float | None = None) -> float:
        """
        How much of the tightest limit is used, 0.0 to 1.0, over all dimensions that were told, extrapolated to `now`.

        A header is old when it arrives, and buckets refill all the time: what was told is taken to come back evenly
        until its reset. Drives pacing, hooks and routing; `usage_percentage` stays what was told of requests.

        Args:
            now: Unix seconds; the present by default.
        """
        at = _clock.wall() if now is None else now
        told_at = at if self.observed_at is None else self.observed_at
        used = 0.0
        for one in self.dimensions:
            left = one.left(told_at, at)
            if left is not None and one.limit:
                used = max(used, 1 - left / one.limit)
        return min(1.0, used)

    def seconds_until(self, *, requests: float = 0, tokens: float = 0, now: float | None = None) -> float | None:
        """
        Seconds until so many requests and tokens are free, by the same extrapolation; 0.0 if they are.

        `tokens` are asked of every dimension of tokens (of all, of input, of output), whatever its window.

        Args:
            now: Unix seconds; the present by default.

        Returns:
            None for two reasons. It is unknown: no dimension counts what is asked, or one that has too little left
            told no reset. Or it is never: more is asked than a limit holds when it is full.
        """
        at = _clock.wall() if now is None else now
        told_at = at if self.observed_at is None else self.observed_at
        longest = 0.0
        for word, amount in (("requests", requests), ("tokens", tokens)):
            if not amount:
                continue
            told = [one for one in self.dimensions if word in one.name.partition(":")[0] and one.remaining is not None]
            if not told:
                return None
            for one in told:
                wait = one.wait(amount, told_at, at)
                if wait is None:
                    return None
                longest = max(longest, wait)
        return longest

    @property
    def seconds_until_reset(self) -> float | None:
        """Seconds until the reset, never negative; None when it is unknown."""
        return None if self.reset_time is None else max(0.0, self.reset_time - _clock.wall())
