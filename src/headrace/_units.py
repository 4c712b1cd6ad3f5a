"""
Durations and dates as vendors write them: text in, seconds out.

Never raises on a bad value: a header nobody needs must not cost a reply. Knows no clock; `now` is an argument.
Sources: RFC 9110 10.2.3 (Retry-After), RFC 3339, Go's time.ParseDuration, the vendors' rate-limit pages (2026-11).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ("clock_ahead", "lowered", "parse_duration", "parse_number", "parse_reset_time", "parse_retry_after")

EPOCH_FROM: Final = 1e9  # a bare number below this is relative: 2001 as an instant, 31 years as a wait
EPOCH_MS_FROM: Final = 1e12  # above this it is milliseconds (OpenRouter): 2001 again
LATEST: Final = 253_402_300_800.0  # year 10000: what lies behind it is no date
DRIFT: Final = 5.0  # seconds; below, two clocks agree: `Date` has whole seconds, and the answer was on its way

_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d)")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def parse_number(value: str) -> float | None:
    """A finite decimal number (ASCII digits only), or None."""
    value = value.strip()
    if len(value) > 64 or not _NUMBER.fullmatch(value):
        return None
    return _finite(value)


def _finite(value: float | str) -> float | None:
    try:
        number = float(value)
    except OverflowError:  # an int of more than 308 digits
        return None
    return number if math.isfinite(number) else None


def parse_duration(value: str) -> float | None:
    """
    Seconds of a Go duration: `120ms`, `7.66s`, `6m0s`, `1h0m0s`, `34.4s`; None for anything else.

    Days are taken too: OpenAI sends `1d` for daily limits.
    """
    value = value.strip()
    total, end = 0.0, 0
    if not value or len(value) > 64:
        return None
    while end < len(value):
        term = _TERM.match(value, end)
        if term is None:
            return None
        total += float(term[1]) * _UNITS[term[2]]
        end = term.end()
    return total if math.isfinite(total) else None


def parse_date(value: str) -> float | None:
    """Unix seconds of an RFC 3339 instant or of an HTTP-date; None for anything else. No zone means UTC."""
    value = value.strip()
    if len(value) > 64:
        return None
    try:
        date = datetime.fromisoformat(value.upper())  # RFC 3339 allows a small t and z
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):  # the last for a zone of twenty digits
            return None
    try:
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def parse_reset_time(value: object, *, now: float) -> float | None:
    """
    Unix seconds at which a limit resets, or None if `value` says no such thing.

    A bare number is relative to `now` below 1e9, epoch seconds above that, epoch milliseconds above 1e12. Go
    durations are relative; RFC 3339 and HTTP-dates are instants. Negative and absurd values, and what is neither text
    nor a number, are None.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    number = parse_number(value) if isinstance(value, str) else _finite(value)
    text = value if isinstance(value, str) else ""
    if number is None:
        wait = parse_duration(text)
        at = now + wait if wait is not None else parse_date(text) if len(text.strip()) > 9 else None
    elif number < 0:
        return None
    elif number < EPOCH_FROM:
        at = now + number
    else:
        at = number if number < EPOCH_MS_FROM else number / 1000.0
    return at if at is not None and 0 <= at < LATEST else None


def clock_ahead(date: str, now: float) -> float:
    """Whole seconds that the reader's clock is ahead of the vendor's, by the answer's `Date`; 0.0 if it has none."""
    at = parse_date(date)
    off = 0.0 if at is None else now - at
    return float(round(off)) if abs(off) > DRIFT else 0.0


def parse_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """
    Seconds to wait, by an error's headers: `retry-after-ms`, else `retry-after` as a number or a date; else None.

    `headers` has lower-case names (see `lowered`). Meaningful for error statuses only: Anthropic, Together and Hugging
    Face send `retry-after` with good answers too. A `retry-after-ms: 0` beside `retry-after: 1` (Azure) says nothing.
    A wait of more than 31 years is read as an instant, as `parse_reset_time` does. An instant is one of the vendor's
    clock, which the answer's own `date` tells.
    """
    if (text := headers.get("retry-after-ms")) is not None and (ms := parse_number(text)) is not None:
        wait = ms / 1000.0
        if 0 < wait < EPOCH_FROM:
            return wait
    if (text := headers.get("retry-after")) is None:
        return None
    number = parse_number(text)
    if number is None:
        number = parse_duration(text)
    if number is None or number >= EPOCH_FROM:  # a date, or an instant in Unix time where a wait should stand
        at = parse_reset_time(text, now=now)
        return None if at is None else max(0.0, at + clock_ahead(headers.get("date", ""), now) - now)
    return number if number >= 0 else None


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with lower-case names; of a repeated name the last value."""
    return {str(name).lower(): str(value) for name, value in headers.items()}
