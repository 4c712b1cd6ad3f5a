"""
How each vendor spells its limits: header names as rows of a table.

Data only. A row says: this header tells that field of that dimension, written in that unit. A vendor that is new, or a
header that a vendor adds, is a row here and nothing elsewhere; a new way of writing a value is a unit in
`headers.READERS`. Two rows may read the same header (one value that tells two things). Knows no window lengths: Groq's
requests are per day and its tokens per minute under the same names, so what a window is follows from its reset.

Sources, read 2026-11: platform.openai.com/docs/guides/rate-limits, platform.claude.com/docs/en/api/rate-limits. Google
sends no such headers. xAI documents none; its servers send OpenAI's without the resets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ("DIALECTS", "Dialect", "Field", "Row", "Unit")

Field: TypeAlias = Literal["limit", "remaining", "reset"]
Unit: TypeAlias = Literal["count", "time"]


class Row(NamedTuple):
    """
    One header.

    `header` in lower case. `unit` "count" is a number of requests or tokens; "time" is whatever
    `_units.parse_reset_time` understands: durations, seconds, dates.
    """

    header: str
    dimension: str
    field: Field
    unit: Unit


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    One vendor's headers.

    Attributes:
        name: the vendor's.
        rows: of two that tell the same field of the same dimension, the earlier one wins.
        tokens: the dimensions that `limit_tokens` may stand for, the first one told wins.
        headers: the names alone, to see quickly that an answer has none of them.
    """

    name: str
    rows: tuple[Row, ...] = ()
    tokens: tuple[str, ...] = ("tokens",)
    headers: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", frozenset(row.header for row in self.rows))


_UNITS: Final[Mapping[Field, Unit]] = {"limit": "count", "remaining": "count", "reset": "time"}


def _series(pattern: str, names: Iterable[str]) -> tuple[Row, ...]:
    """The rows for names that differ by rule: `pattern` has places for {name} and {field}."""
    return tuple(
        Row(pattern.format(name=name, field=part), name.replace("-", "_"), part, unit)
        for name in names
        for part, unit in _UNITS.items()
    )


# `project` limits come beside the organisation's when one is set (2026-06). Both spellings of `usage based` occur;
# nobody documents them. Input images are counted for vision models.
_OPENAI: Final = _series(
    "x-ratelimit-{field}-{name}",
    (
        "requests",
        "tokens",
        "project-requests",
        "project-tokens",
        "input-images",
        "tokens-usage-based",
        "tokens_usage_based",
    ),
)

# `tokens` is the most restrictive limit in force rather than the sum of the two below; `priority` and `fast` have
# buckets of their own.
_ANTHROPIC: Final = (
    *_series("anthropic-ratelimit-{name}-{field}", ("requests", "tokens", "input-tokens", "output-tokens")),
    *_series(
        "anthropic-{name}-{field}",
        ("priority-input-tokens", "priority-output-tokens", "fast-input-tokens", "fast-output-tokens"),
    ),
)

# Claude served through other clouds has x-ratelimit-* names, so Anthropic's row reads both.
_XRATELIMIT: Final = _series("x-ratelimit-{field}-{name}", ("requests", "tokens"))

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "openai": Dialect("openai", _OPENAI),
        "anthropic": Dialect("anthropic", _ANTHROPIC + _XRATELIMIT, tokens=("tokens", "input_tokens")),
        "gemini": Dialect("gemini"),
        "grok": Dialect("grok", _XRATELIMIT),
        "any": Dialect("any", _OPENAI + _ANTHROPIC, tokens=("tokens", "input_tokens")),
    }
)
