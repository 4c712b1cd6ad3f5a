"""
What a request takes of each limit, before it is known.

A request is priced in four measures, and every dimension that a vendor tells is charged in one of them. How far the
estimates of prompts are off, and how long answers are, is learned from the usage that vendors report. Knows no vendor
and no limit. Charging rules differ (some vendors count `max_tokens` when a request comes, some the words as they are
produced, some refund): what the price misses is corrected by the bucket that sees the vendor's own figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from .._types import AIMessage, GenerationConfig, Usage

__all__ = ("INPUT", "MEASURES", "OUTPUT", "REQUESTS", "TOTAL", "Amounts", "Cost", "Estimator", "Price", "estimate")

Amounts: TypeAlias = tuple[float, float, float, float]
"""One figure for each measure, in the order of the four constants."""

REQUESTS: Final = 0
INPUT: Final = 1
OUTPUT: Final = 2  # billed while it is produced, after the request was let in
TOTAL: Final = 3  # what may be needed at most: the prompt and `max_tokens`

MEASURES: Final[Mapping[str, int]] = {
    "requests": REQUESTS,
    "project_requests": REQUESTS,
    "input_tokens": INPUT,
    "uncached_input_tokens": INPUT,
    "output_tokens": OUTPUT,
    "tokens": TOTAL,
    "total_tokens": TOTAL,
    "project_tokens": TOTAL,
}

CHARACTERS: Final = 4  # of a token, in English prose; other scripts have fewer, which is learned
FRAME: Final = 4  # tokens around each message
OUTPUT_FIRST: Final = 200.0  # tokens of an answer before one was seen
OUTPUT_OVER: Final = 1.15  # an answer is priced a little above the mean: what is not used comes back at its end
SPREAD_FIRST: Final = 0.15  # relative error of an estimate before usage was seen
REMEMBERED: Final = 100  # answers that the means reach back


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What a request is thought to take: tokens of its prompt, and the most that it may generate (None: unsaid).

    `requests` is above 1 only where one call counts as several, such as a batch of embeddings.
    """

    input: float
    max_output: float | None = None
    requests: float = 1.0


class Price(NamedTuple):
    """A cost in the four measures, and the variance of each figure."""

    charge: Amounts
    doubt: Amounts


class Estimator:
    """Turns costs into prices, and learns from what was really used."""

    __slots__ = ("_bias", "_output", "_seen", "_variance")

    def __init__(self) -> None:
        self._bias, self._variance, self._seen = 0.0, SPREAD_FIRST**2, 4  # of the logarithm of used / estimated
        self._output = OUTPUT_FIRST

    def price(self, cost: Cost) -> Price:
        """What to reserve for `cost`."""
        prompt = cost.input * math.exp(self._bias)
        expected = OUTPUT_OVER * self._output
        if cost.max_output is not None:
            expected = min(expected, cost.max_output)
        most = expected if cost.max_output is None else cost.max_output
        doubt = self._variance * prompt * prompt
        return Price((cost.requests, prompt, expected, prompt + most), (0.0, doubt, 0.0, doubt))

    def learn(self, cost: Cost, usage: Usage) -> None:
        """Compare with what the vendor reports at the end."""
        used, produced = usage["prompt_tokens"], usage["completion_tokens"]
        self._seen = min(self._seen + 1, REMEMBERED)
        weight = 1 / self._seen
        if produced is not None and produced > 0:
            self._output += weight * (produced - self._output)
        if used is not None and used > 0 and cost.input > 0:
            off = min(3.0, max(-3.0, math.log(used / cost.input))) - self._bias
            self._bias += weight * off
            self._variance = (1 - weight) * (self._variance + weight * off * off)


def estimate(messages: Sequence[AIMessage], config: GenerationConfig) -> Cost:
    """A first guess from the text alone; images, documents and tools are learned as a part of the bias."""
    characters = sum(len(message.text) for message in messages)
    return Cost(characters / CHARACTERS + FRAME * len(messages), config.max_tokens)
