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

    @property
    def seconds_until_reset(self) -> float | None:
        """Seconds until the reset, never negative; None when it is unknown."""
        return None if self.reset_time is None else max(0.0, self.reset_time - _clock.wall())
