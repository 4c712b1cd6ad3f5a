"""
What a pacer says when it gives no place: which limit, how much of it is left, when to come back, and what helps.

Values in, errors out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from ..errors import ConcurrencyLimitError, RateLimitError, RequestTooLargeError
from ._bucket import Reading
from .model import OVERLOADED, Wait

__all__ = ("no_place", "no_slot", "too_large")

DAY: Final = 86_400.0  # seconds: from here on a time of day says too little


def no_place(
    provider: str, scope: str, wait: Wait, *, ahead: int, patience: float, full: bool, wall: float
) -> RateLimitError:
    """
    A request that would wait for too long, or that finds the line full.

    Args:
        provider, scope: whose limits.
        wait: the forecast.
        ahead: how many stand before it.
        patience: seconds that it would wait.
        full: whether the line is full.
        wall: Unix seconds.
    """
    limit, left, needed = wait.limit, wait.remaining, wait.needed
    known = math.isfinite(wait.seconds)
    why = "the line is full (max_queue)" if full else f"no place within {max(0.0, patience):.3g} s"
    short = ""
    if limit is not None and left is not None and needed is not None:
        short = f" {wait.dimension}: {max(0.0, left):,.0f} of {limit:,.0f} are left, this request needs ~{needed:,.0f}."
    elif wait.refused:
        short = f" The vendor refused a request{_for(wait.dimension)}."
    when = ""
    if known:
        moment = ""
        with suppress(ValueError, OverflowError):  # thousands of years: a long line before a small limit
            then = datetime.fromtimestamp(wall + wait.seconds, UTC)
            moment = f" ({then:%Y-%m-%d %H:%M:%S}Z)" if wait.seconds >= DAY else f" ({then:%H:%M:%S}Z)"
        when = f" Next place in {wait.seconds:.1f} s{moment}, {ahead} ahead."
    helps = f"Raise max_wait above {math.ceil(wait.seconds)}" if known and not full else "Come back later"
    less = ", lower max_tokens or send less" if "tokens" in wait.dimension and not wait.refused else ""
    return RateLimitError(
        f"{_what(provider, scope)}: {why}.{short}{when} Nothing was sent: this is foreseen from what the vendor told. "
        f"{helps}{less}, or ask the vendor for a higher limit.",
        provider=provider,
        retry_after=wait.seconds if known else None,
        retry_at=wall + wait.seconds if known else None,
        dimension=wait.dimension if wait.dimension not in {"", OVERLOADED} else None,
        limit=limit,
        remaining=None if left is None else max(0.0, left),
        needed=needed,
        kind="overload" if wait.dimension == OVERLOADED else "rate",
        source="pacer",
        sent=False,
    )


def too_large(provider: str, scope: str, over: Reading, needed: float) -> RequestTooLargeError:
    """A request that the limit would never let in."""
    return RequestTooLargeError(
        f"{_what(provider, scope)}: this request needs ~{needed:,.0f} {over.name}, and the limit is {over.limit:,.0f}: "
        "it would never be let in. Nothing was sent. Send less, or lower max_tokens.",
        provider=provider,
    )


def no_slot(provider: str, limit: int, waited: float, held: Iterable[tuple[str, float]]) -> ConcurrencyLimitError:
    """All slots stayed taken; `held` are the labels of their holders with the seconds since they took them."""
    holders = tuple(f"{label} (open {seconds:.1f} s)" for label, seconds in held)
    shown = ", ".join(holders[:3]) + (f" and {len(holders) - 3} more" if len(holders) > 3 else "")
    return ConcurrencyLimitError(
        f"{provider or 'session'}: no slot within {waited:g} s, all {limit} are held by {shown}. "
        "Close streams that are no longer read, raise max_requests, or give a longer max_wait.",
        limit=limit,
        waited=waited,
        holders=holders,
    )


def _for(dimension: str) -> str:
    if dimension == OVERLOADED:
        return ", as it has no capacity"
    return f" for its limit of {dimension}" if dimension else ""


def _what(provider: str, scope: str) -> str:
    return f"{provider or 'session'}{':' if scope else ''}{scope}"
