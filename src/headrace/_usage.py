"""
The usage ledger: what was asked of each model, what that took, and what is not known of it.

What a vendor does not tell is estimated from the words where there are words, and unknown where there are none. An
exchange that the vendor refused takes part in no sum, since vendors bill none. Costs are tokens times prices: they are
never more than estimated. Knows no vendor, no wire and no task; a ledger belongs to one event loop.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from . import _clock
from ._budget import Budget
from ._checks import check_number
from ._figures import Figure, ModelUsage, Timing, UsageSummary
from ._prices import Prices, list_prices
from ._types import AIMessage, AIResponse, EmbeddingResponse, State, TextPart, Usage, UsageSource
from .errors import AllProvidersFailedError, CallerError, RefusedError
from .telemetry import Answer, Asked, Observation, ending

__all__ = ("Ledger",)

CHARACTERS: Final = 4  # of a token, in English prose; other scripts have fewer, so an estimate is low rather than high
FRAME: Final = 4  # tokens around each message
BILLED: Final = frozenset({"chat", "embeddings"})  # counts of tokens and lists of models are not
PROBE: Final = 1000  # tokens, to ask whether there is a price

_log: Final = logging.getLogger("headrace")


class Ledger:
    """
    Counts what exchanges take. It is an `Observer`: give it to `telemetry.add_observer`, or to whoever makes exchanges.

    Args:
        budget: what may be spent. `check` asks it; the ledger tells it what was spent.
        prices: the caller's prices, which go over the public lists. The lists are used where genai-prices is installed.
        clock: seconds, for the time to the first chunk.
    """

    def __init__(
        self,
        *,
        budget: Budget | None = None,
        prices: Prices | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._prices = [one for one in (prices, list_prices()) if one is not None]
        self._clock = clock
        self._rows: dict[tuple[str, str], ModelUsage] = {}

    def summary(self) -> UsageSummary:
        """What has been counted so far. An answer counts when it has ended, its request when it is sent."""
        rows = tuple(self._rows.values())
        return UsageSummary(rows, sum(rows, ModelUsage()))

    def check(self, provider: str, model: str) -> None:
        """
        Whether the budget lets a request to this model be sent.

        Raises:
            BudgetExceededError: what is known to be spent has reached it.
            CallerError: it is in money, and this model has no known price.
        """
        if self.budget is None:
            return
        self.budget.check(now=_clock.wall())
        if self.budget.cost is not None and self._price(provider, (model,), _tokens(PROBE, 0, "estimated")) is None:
            raise CallerError(
                f"a budget in money cannot be kept for {provider}/{model}: its price is not known. Nothing was sent. "
                "Give prices= a function that knows it (0.0 if it is free), install headrace[prices], or budget tokens."
            )

    def observe(self, asked: Asked) -> Observation:
        """See `Observer`."""
        return _Exchange(self, asked, self._clock)

    def sent(self, asked: Asked) -> None:
        """A request was handed to the wire."""
        self._count(asked, ModelUsage(requests=1))

    def add(
        self, asked: Asked, answer: Answer, error: BaseException | None = None, *, first_chunk: float | None = None
    ) -> None:
        """
        A request that was sent has ended.

        Args:
            asked: whom it was sent to, and what for.
            answer: what was received; None if nothing was.
            error: the failure or the cut, if there was one.
            first_chunk: seconds from sending it to its first content; None if there was none.
        """
        state = ending(answer, error)
        row = ModelUsage(
            failed=int(state == "failed"),
            interrupted=int(state == "interrupted"),
            left=int(state in {"cancelled", "closed"}),
            first_chunk=Timing() if first_chunk is None else Timing.of(first_chunk),
        )
        if isinstance(error, AllProvidersFailedError):
            error = error.cause  # of the last request; those before it were told when they failed
        # What told tokens was let in: an answer that ended with an error event, batches before a refusal.
        is_told = isinstance(answer, EmbeddingResponse) or (answer is not None and answer.usage is not None)
        is_free = state == "failed" and isinstance(error, RefusedError) and not is_told
        if asked.operation in BILLED and not is_free:
            row += self._taken(asked, answer, state)
        self._count(asked, row)

    def _taken(self, asked: Asked, answer: Answer, state: State) -> ModelUsage:
        """The tokens of an exchange and their cost, which the budget is told."""
        usage = _known(asked, answer, state)
        source = usage["source"]
        names = (asked.model,) if answer is None else tuple(dict.fromkeys((answer.model, asked.model)))
        least = _least(usage)
        cost = None if least is None else self._price(asked.provider, names, least)
        if self.budget is not None and least is not None:
            self.budget.spend(cost=cost, tokens=least["total_tokens"], now=_clock.wall())
        return ModelUsage(
            prompt_tokens=Figure.of(usage["prompt_tokens"], source),
            completion_tokens=Figure.of(usage["completion_tokens"], source),
            cached_tokens=Figure.of(usage["cached_tokens"], source),
            cache_write_tokens=Figure.of(usage["cache_write_tokens"], source),
            reasoning_tokens=Figure.of(usage["reasoning_tokens"], source),
            cost=Figure.of(cost, "unknown" if least is None else least["source"]),
        )

    def _price(self, provider: str, names: Sequence[str], usage: Usage) -> float | None:
        """The first price that is known, for the name that the vendor gave the model or for the one it was asked by."""
        for prices in self._prices:
            for name in names:
                try:
                    price = prices(provider, name, usage)
                    if price is None:
                        continue
                    cost = float(price)  # of a Decimal, too
                    check_number("the price", cost, "US dollars, 0 or more", least=0)
                except Exception:  # noqa: BLE001  # the caller's function; its failure is not the call's
                    _log.exception("the price of %s/%s could not be told", provider, name)
                    continue
                return cost
        return None

    def _count(self, asked: Asked, row: ModelUsage) -> None:
        key = (asked.provider, asked.model)
        self._rows[key] = self._rows.get(key, ModelUsage(*key)) + row


class _Exchange:
    """One exchange of a ledger; see `Observation`. Of several requests the last one bears the answer."""

    __slots__ = ("_asked", "_clock", "_first_chunk", "_ledger", "_sent_at")

    def __init__(self, ledger: Ledger, asked: Asked, clock: Callable[[], float]) -> None:
        self._ledger, self._asked, self._clock = ledger, asked, clock
        self._sent_at: float | None = None
        self._first_chunk: float | None = None

    def sent(self, waited: float, attempt: Asked) -> None:
        del waited
        self._asked, self._sent_at = attempt, self._clock()
        self._ledger.sent(attempt)

    def failed(self, error: Exception) -> None:
        self.ended(None, error)
        self._sent_at = self._first_chunk = None

    def begun(self) -> None:
        if self._sent_at is not None:
            self._first_chunk = self._clock() - self._sent_at

    def ended(self, answer: Answer, error: BaseException | None) -> None:
        if self._sent_at is not None:  # what was never sent took nothing
            self._ledger.add(self._asked, answer, error, first_chunk=self._first_chunk)


# ---------------------------------------------------------------- what is known of an exchange


def _known(asked: Asked, answer: Answer, state: State) -> Usage:
    """The usage that the vendor told; what it did not tell is estimated from the words that came."""
    if isinstance(answer, EmbeddingResponse):
        usage = _tokens(None, 0, "unknown") if answer.usage is None else answer.usage.copy()
        usage["completion_tokens"] = 0  # vectors are no tokens
        usage["total_tokens"] = usage["prompt_tokens"]
        if state != "finished" and usage["source"] == "reported":
            usage["source"] = "partial"  # of the batches that came before it broke
        return usage
    if answer is None:
        return _tokens(None, None, "unknown")
    if answer.usage is not None and answer.usage["source"] in {"reported", "estimated"}:
        return answer.usage
    words = _estimated(answer)
    if answer.usage is None or answer.usage["source"] == "unknown":
        if state == "failed":
            return _tokens(None, None, "unknown")  # lost before any answer: perhaps nobody ever read the prompt
        prompt = None if asked.messages is None else _estimated_prompt(asked.messages)
        return _tokens(prompt, words, "estimated")
    usage = answer.usage.copy()  # cut: what was told at its beginning counts few of the words that came
    told, prompt = usage["completion_tokens"], usage["prompt_tokens"]
    usage["completion_tokens"] = most = words if told is None else max(told, words or 0)
    usage["total_tokens"] = None if prompt is None or most is None else prompt + most
    return usage


def _least(usage: Usage) -> Usage | None:
    """What was taken at least, to be priced: as exact as an estimate, or a part. None where nothing is known."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    if prompt is None and completion is None:
        return None
    least = usage.copy()
    least["prompt_tokens"], least["completion_tokens"] = prompt or 0, completion or 0
    if prompt is None or completion is None:
        least["source"] = "partial"
    elif usage["source"] == "reported":
        least["source"] = "estimated"  # by a price list
    if least["total_tokens"] is None:
        least["total_tokens"] = (prompt or 0) + (completion or 0)
    return least


def _estimated(answer: AIResponse) -> int | None:
    """Tokens of the words that came; None where there are none, which tells nothing of what was generated."""
    length = len(answer.content) + len(answer.reasoning) + len(answer.refusal)
    length += sum(len(call.name) + len(call.arguments) for call in answer.tool_calls)
    return math.ceil(length / CHARACTERS) or None


def _estimated_prompt(messages: Sequence[AIMessage]) -> int | None:
    """Tokens of a conversation in words; None where it has other parts, which nobody can count by their length."""
    if not all(isinstance(part, TextPart) for message in messages for part in message.parts):
        return None
    return sum(FRAME + math.ceil(len(message.text) / CHARACTERS) for message in messages)


def _tokens(prompt: int | None, completion: int | None, source: UsageSource) -> Usage:
    total = None if prompt is None or completion is None else prompt + completion
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": source,
        "raw": None,
    }
