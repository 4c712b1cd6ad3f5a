"""
The rate-limit headers of one answer, read into a `RateLimitInfo`.

A header is an observation and never worth a reply: whatever cannot be read is left unknown and named in `skipped`.
Moments are the vendor's, whose clock may differ: they are moved to the reader's by the answer's own `Date`. Knows no
vendor (a `Dialect` brings the names), no clock, and does not judge: whether to wait is the pacer's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from .._types import LimitDimension, RateLimitInfo
from .._units import clock_ahead, parse_number, parse_reset_time
from .dialects import Dialect, Field, Unit
from .policies import read_policies

__all__ = ("READERS", "Parsed", "parse")

COUNT_MAX: Final = 1e15  # the largest limit seen is 1e10; Hugging Face sends 2**63, which no float holds, for "none"
SHARE_MAX: Final = 2.0  # a plan may be overdrawn a little; 42 would be a percentage, and no share
FARTHEST: Final = 10 * 366 * 86400.0  # seconds; the longest window is a month, and recordings are read years later


class Parsed(NamedTuple):
    """What was read. `skipped` has the lower-case names of headers whose values say nothing."""

    info: RateLimitInfo
    skipped: tuple[str, ...]


def _count(text: str, _now: float) -> float | None:
    """A whole number; 59.9 left is 59. Azure sends -1 where it does not count."""
    number = parse_number(text)
    return float(math.floor(number)) if number is not None and 0 <= number <= COUNT_MAX else None


def _time(text: str, now: float) -> float | None:
    """Unix seconds."""
    at = parse_reset_time(text, now=now)
    return at if at is not None and abs(at - now) <= FARTHEST else None


def _unused(text: str, _now: float) -> float | None:
    """What is left of a whole, where the share in use is told."""
    share = parse_number(text)
    return max(0.0, 1.0 - share) if share is not None and 0 <= share <= SHARE_MAX else None


def _whole(text: str, now: float) -> float | None:
    """The whole that a share is of."""
    return None if _unused(text, now) is None else 1.0


# The policy comes first: it says in which unit the other field counts.
_PARAMETERS: Final[Mapping[str, tuple[tuple[str, Field, Unit], ...]]] = {
    "ratelimit-policy": (("q", "limit", "count"),),
    "ratelimit": (("r", "remaining", "count"), ("t", "reset", "time")),
}

READERS: Final[Mapping[Unit, Callable[[str, float], float | None]]] = {
    "count": _count,
    "time": _time,
    "unused": _unused,
    "whole": _whole,
}


def parse(headers: Mapping[str, str], dialect: Dialect, *, now: float) -> Parsed:
    """
    Read the vendor's rate-limit headers from one response.

    Args:
        headers: names in any case, values as received.
        dialect: the vendor's row in `dialects.DIALECTS`.
        now: Unix seconds when the response head arrived; resets may be relative to it.

    Returns:
        Parsed(info, skipped). What the vendor did not send keeps its default; moments are those of the reader's clock.
        `reset_time` is that of the requests, else of the tokens, else the earliest of the others. Of several policies
        that count the same, the numbers of `info` are those of the one with the least left. A limit without its
        `remaining` leaves both numbers of `info` 0, for half a pair would read as an exhausted limit;
        `info.dimensions` has what was told of it.

    Raises:
        Nothing for bad values: they are left unknown and their header named in `skipped`.
    """
    names = dialect.headers
    found = {low: value for name, value in headers.items() if (low := str(name).lower()) in names}
    if not found:
        return Parsed(RateLimitInfo(), ())

    told: dict[str, dict[Field, float]] = {}  # dimensions in the order of the rows
    skipped: list[str] = []
    unlimited: set[str] = set()
    ahead = _ahead(headers, now)
    for header, dimension, part, unit in dialect.rows:
        if header not in found:
            continue
        number = READERS[unit](_text(found[header]), now - ahead)
        if number is None or (part == "limit" and number == 0):  # a limit of nothing is how Azure says it has none
            skipped.append(header)
            if part == "limit":
                unlimited.add(dimension)
        else:
            told.setdefault(dimension, {}).setdefault(part, number + ahead if unit == "time" else number)
    for dimension in unlimited:  # what is left of a limit that is none, and until when, are no figures either
        if "limit" not in told.get(dimension, {}):
            told.pop(dimension, None)
    named: dict[str, dict[Field, float]] = {}
    if dialect.policies:
        named = _policies(found, skipped, now)
        told |= named

    if not told:
        return Parsed(RateLimitInfo(), tuple(dict.fromkeys(skipped)))
    requests = _first(told, (*dialect.requests, *_tightest(named, "requests")))
    tokens = _first(told, (*dialect.tokens, *_tightest(named, "tokens")))
    limit_requests, remaining_requests = _pair(requests)
    limit_tokens, remaining_tokens = _pair(tokens)
    info = RateLimitInfo(
        limit_requests=limit_requests,
        remaining_requests=remaining_requests,
        reset_time=_reset(requests, tokens, told),
        limit_tokens=limit_tokens,
        remaining_tokens=remaining_tokens,
        dimensions=tuple(
            LimitDimension(name, said.get("limit"), said.get("remaining"), said.get("reset"))
            for name, said in told.items()
            if "limit" in said or "remaining" in said
        ),
        observed_at=now,
        source="headers",
    )
    return Parsed(info, tuple(dict.fromkeys(skipped)))  # a header of two rows is named once


def _ahead(headers: Mapping[str, str], now: float) -> float:
    """Whole seconds that the reader's clock is ahead of the vendor's, by the answer's `Date`."""
    return clock_ahead(next((_text(value) for name, value in headers.items() if str(name).lower() == "date"), ""), now)


def _policies(found: Mapping[str, str], skipped: list[str], now: float) -> dict[str, dict[Field, float]]:
    """What `RateLimit-Policy` (its q, in units of qu) and `RateLimit` (its r and t) tell of each policy."""
    told: dict[str, dict[Field, float]] = {}
    units: dict[str, str] = {}
    for header, parts in _PARAMETERS.items():
        if header not in found:
            continue
        readable = False
        for name, parameters in read_policies(_text(found[header])).items():
            unit = units.setdefault(name, parameters.get("qu", "requests").replace("-", "_"))
            for key, part, kind in parts:
                number = READERS[kind](parameters.get(key, ""), now)
                if number is not None and (number > 0 or part != "limit"):
                    told.setdefault(f"{unit}:{name}", {})[part], readable = number, True
        if not readable:
            skipped.append(header)
    return told


def _tightest(named: Mapping[str, Mapping[Field, float]], unit: str) -> list[str]:
    """The policies that count this, that with the least left first; what tells no rest is no pressure."""
    mine = [name for name in named if name.startswith(f"{unit}:")]
    return sorted(mine, key=lambda name: named[name].get("remaining", math.inf))


def _text(value: object) -> str:
    """The value as text: a mapping made by hand may hold numbers, and what is no number says nothing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and abs(value) <= COUNT_MAX else ""


def _first(told: Mapping[str, dict[Field, float]], names: tuple[str, ...]) -> Mapping[Field, float]:
    for name in names:
        if "limit" in (said := told.get(name, {})) or "remaining" in said:
            return said
    return {}


def _pair(said: Mapping[Field, float]) -> tuple[int, int]:
    """Limit and remaining. The rest without its limit is told too (Azure); the limit without its rest is not."""
    if "remaining" not in said:
        return 0, 0
    return int(said.get("limit", 0)), int(said["remaining"])


def _reset(
    requests: Mapping[Field, float], tokens: Mapping[Field, float], told: Mapping[str, Mapping[Field, float]]
) -> float | None:
    for said in (requests, tokens):
        if "reset" in said:
            return said["reset"]
    return min((said["reset"] for said in told.values() if "reset" in said), default=None)
