"""
How each vendor spells its limits: header names as rows of a table.

Data only. A row says: this header tells that field of that dimension, written in that unit. A vendor that is new, or a
header that a vendor adds, is a row here and nothing elsewhere; a new way of writing a value is a unit in
`headers.READERS`. Two rows may read the same header (one value that tells two things). A dimension's name ends in its
window where that is known, from the header's name or from the vendor; else what the window is follows from the reset:
the same names are per minute with OpenAI, may be per 10 s with Azure, and are per day with Groq.

Sources, read 2026-11: platform.openai.com/docs/guides/rate-limits, platform.claude.com/docs/en/api/rate-limits,
console.groq.com/docs/rate-limits, inference-docs.cerebras.ai/support/rate-limits, docs.fireworks.ai/serverless/
rate-limits, docs.together.ai/docs/rate-limits, openrouter.ai/docs/api-reference/limits, and
draft-ietf-httpapi-ratelimit-headers-11. Google sends no such headers. xAI and Mistral document none; xAI's servers send
OpenAI's without the resets, Mistral's send two sets, an old one and a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ("DIALECTS", "POLICY_HEADERS", "Dialect", "Field", "Row", "Unit")

Field: TypeAlias = Literal["limit", "remaining", "reset"]
Unit: TypeAlias = Literal["count", "time", "unused", "whole"]

POLICY_HEADERS: Final = frozenset({"ratelimit", "ratelimit-policy"})


class Row(NamedTuple):
    """
    One header.

    `header` in lower case. `unit` "count" is a number of requests or tokens; "time" is whatever
    `_units.parse_reset_time` understands: durations, seconds, dates. Of a share in use, "unused" is what is left of 1,
    and "whole" is that 1.
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
        requests, tokens: the dimensions that `limit_requests` and `limit_tokens` may stand for, first one told wins.
        policies: whether `RateLimit` and `RateLimit-Policy` are read, too. Their dimensions have no rows, for the
            server names them: "requests:burst" is what the policy "burst" counts.
        headers: the names alone, to see quickly that an answer has none of them.
    """

    name: str
    rows: tuple[Row, ...] = ()
    requests: tuple[str, ...] = ("requests",)
    tokens: tuple[str, ...] = ("tokens",)
    policies: bool = False
    headers: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(dict.fromkeys(self.rows)))  # two vendors' rows may have one in common
        names = {row.header for row in self.rows} | (POLICY_HEADERS if self.policies else set())
        object.__setattr__(self, "headers", frozenset(names))


_UNITS: Final[Mapping[Field, Unit]] = {"limit": "count", "remaining": "count", "reset": "time"}
_SHARE: Final[tuple[tuple[str, Field, Unit], ...]] = (
    ("utilization", "limit", "whole"),
    ("utilization", "remaining", "unused"),
    ("reset", "reset", "time"),
)


def _series(pattern: str, names: Iterable[str] | Mapping[str, str]) -> tuple[Row, ...]:
    """
    The rows for names that differ by rule: `pattern` has places for {name} and {field}.

    A mapping says which dimension each name stands for, where that is another word.
    """
    pairs = names.items() if isinstance(names, Mapping) else [(name, name.replace("-", "_")) for name in names]
    return tuple(
        Row(pattern.format(name=name, field=part), dimension, part, unit)
        for name, dimension in pairs
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

# A subscription's limits are shares of what the plan gives in five hours and in a week, some models' apart (both
# spellings of the last occur). Nobody documents them.
_UNIFIED: Final = tuple(
    Row(f"anthropic-ratelimit-unified-{window}-{name}", f"unified_{window.replace('-', '_')}", part, unit)
    for window in ("5h", "7d", "7d_oi", "7d-sonnet", "7d_sonnet")
    for name, part, unit in _SHARE
)

# Claude served through other clouds has x-ratelimit-* names, so Anthropic's row reads both.
_XRATELIMIT: Final = _series("x-ratelimit-{field}-{name}", ("requests", "tokens"))

# Groq has the same names for a day's requests and a minute's tokens.
_GROQ: Final = _series("x-ratelimit-{field}-{name}", {"requests": "requests_day", "tokens": "tokens_minute"})

# Cerebras, and what the Hugging Face router hands on from the provider behind it. The total of tokens counts cached
# ones as well.
_WINDOWS: Final = ("minute", "hour", "day")
_WINDOWED: Final = _series(
    "x-ratelimit-{field}-{name}",
    [f"{kind}-{window}" for kind in ("requests", "tokens", "total-tokens") for window in _WINDOWS],
)

# Mistral counts by the size of the model. The set of 2024 tells each minute twice, with the reset in the first row
# only; that of 2025 tells no reset at all. Neither row reads `query-cost`, what the request itself took.
_MISTRAL: Final = (
    *_series("x-ratelimit-{field}-{name}", {"req-minute": "requests_minute", "tokens-minute": "tokens_minute"}),
    *_series("ratelimitbysize-{field}", {"": "tokens_minute"}),
    *_series("x-ratelimitbysize-{field}-{name}", {"minute": "tokens_minute", "month": "tokens_month"}),
)

# OpenRouter's reset is epoch milliseconds, Together's seconds to wait: `parse_reset_time` tells them apart by size.
_BARE: Final = _series("x-ratelimit-{field}", {"": "requests"})
_TOGETHER: Final = (*_BARE, *_series("x-tokenlimit-{field}", {"": "tokens"}))

# Fireworks has three buckets: all input, input that was not cached, and output.
_FIREWORKS: Final = _series(
    "x-ratelimit-{field}-{name}",
    {
        "tokens-prompt": "input_tokens",
        "tokens-cache-adjusted-prompt": "uncached_input_tokens",
        "tokens-generated": "output_tokens",
    },
)

# The first drafts of the IETF had three headers; proxies still send them.
_EARLY: Final = _series("ratelimit-{field}", {"": "requests"})

_REQUESTS: Final = ("requests", *(f"requests_{window}" for window in _WINDOWS))
_TOKENS: Final = ("tokens", "input_tokens", *(f"tokens_{window}" for window in _WINDOWS))

_ROWS: Final = (
    Dialect("openai", _OPENAI),
    Dialect("anthropic", _ANTHROPIC + _UNIFIED + _XRATELIMIT, tokens=("tokens", "input_tokens")),
    Dialect("gemini"),
    Dialect("grok", _XRATELIMIT),
    Dialect("groq", _GROQ, requests=_REQUESTS, tokens=_TOKENS),
    Dialect("azure", _XRATELIMIT),
    Dialect("cerebras", _WINDOWED, requests=_REQUESTS, tokens=_TOKENS),
    Dialect("mistral", _MISTRAL, requests=_REQUESTS, tokens=_TOKENS),
    Dialect("openrouter", _BARE),
    Dialect("together", _TOGETHER),
    Dialect("fireworks", _FIREWORKS + _XRATELIMIT, tokens=("tokens", "input_tokens")),
    Dialect(
        "huggingface", _XRATELIMIT + _WINDOWED + _TOGETHER + _EARLY, requests=_REQUESTS, tokens=_TOKENS, policies=True
    ),
    Dialect(
        "any",
        _OPENAI + _ANTHROPIC + _UNIFIED + _WINDOWED + _MISTRAL + _FIREWORKS + _TOGETHER + _EARLY,
        requests=_REQUESTS,
        tokens=_TOKENS,
        policies=True,
    ),
)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({row.name: row for row in _ROWS})
