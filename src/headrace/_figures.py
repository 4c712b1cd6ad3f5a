"""
Sums that say how they are known, and the rows of a usage summary made of them.

A sum of tokens is worth little if some exchanges told none. So every number is a `Figure`. Told by the vendor is
*reported*; told before the end of an answer that was cut is *partial*; counted from the words, where the vendor told
nothing, is *estimated*; and what nobody can tell is *unknown*, never 0. Plain frozen values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ._types import UsageSource

__all__ = ("Figure", "ModelUsage", "Timing", "UsageSummary")


@dataclass(frozen=True, slots=True)
class Figure:
    """
    A sum, and how it is known. Figures add up.

    Attributes:
        known: the sum of what is known.
        reported, partial, estimated: how many exchanges told it so.
        unknown: how many exchanges told nothing; they are not in `known`.
    """

    known: float = 0
    reported: int = 0
    partial: int = 0
    estimated: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, value: float | None, source: UsageSource) -> Figure:
        """One exchange's number; None is unknown, whatever the source."""
        if value is None or source == "unknown":
            return cls(unknown=1)
        return cls(value, **{source: 1})

    @property
    def value(self) -> float | None:
        """The sum; None where every exchange is unknown. Without an exchange it is 0, which is exact."""
        return None if self.source == "unknown" else self.known

    @property
    def source(self) -> UsageSource:
        """
        "reported": exact. "estimated": all is there, some of it by estimate. "partial": the true sum is more, since
        something is missing. "unknown": nothing is known.
        """
        told = self.reported + self.partial + self.estimated
        if self.unknown and not told:
            return "unknown"
        if self.unknown or self.partial:
            return "partial"
        return "estimated" if self.estimated else "reported"

    def __add__(self, other: Figure) -> Figure:
        return Figure(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def __str__(self) -> str:
        words: dict[UsageSource, str] = {"reported": "", "estimated": "about ", "partial": "at least "}
        return "unknown" if self.value is None else f"{words[self.source]}{self.value:,.10g}"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, of `count` exchanges together; `least` and `most` are None where there was none."""

    count: int = 0
    total: float = 0.0
    least: float | None = None
    most: float | None = None

    @classmethod
    def of(cls, seconds: float) -> Timing:
        """One exchange's time."""
        return cls(1, seconds, seconds, seconds)

    @property
    def mean(self) -> float | None:
        """The average; None where there was no exchange."""
        return self.total / self.count if self.count else None

    def __add__(self, other: Timing) -> Timing:
        if self.least is None or self.most is None:
            return other
        if other.least is None or other.most is None:
            return self
        least, most = min(self.least, other.least), max(self.most, other.most)
        return Timing(self.count + other.count, self.total + other.total, least, most)


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """
    What one model was asked for, and what that took.

    Attributes:
        provider, model: who was asked; "" in a total of several.
        requests: requests that were sent, repeated ones included.
        failed: requests that brought nothing: refused, or broken before any content.
        interrupted: answers that broke off after content.
        left: answers that the caller did not read to the end.
        prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens: as in `Usage`.
        cost: US dollars.
        first_chunk: from sending a request to its first content.
    """

    provider: str = ""
    model: str = ""
    requests: int = 0
    failed: int = 0
    interrupted: int = 0
    left: int = 0
    prompt_tokens: Figure = Figure()
    completion_tokens: Figure = Figure()
    cached_tokens: Figure = Figure()
    cache_write_tokens: Figure = Figure()
    reasoning_tokens: Figure = Figure()
    cost: Figure = Figure()
    first_chunk: Timing = Timing()

    def __add__(self, other: ModelUsage) -> ModelUsage:
        sums = [getattr(self, one.name) + getattr(other, one.name) for one in fields(self)[2:]]
        return ModelUsage(self.provider, self.model, *sums)


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """What a ledger holds at one moment: a row for each provider and model, in the order they were first asked."""

    models: tuple[ModelUsage, ...] = ()
    total: ModelUsage = field(default_factory=ModelUsage)
