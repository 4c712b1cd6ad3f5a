"""The ledger: what it counts, and how each number says how it is known."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal

import pytest

from headrace import (
    AIMessage,
    AIResponse,
    Budget,
    EmbeddingResponse,
    Figure,
    ImagePart,
    Ledger,
    ModelUsage,
    ToolCall,
    Usage,
)
from headrace import _usage as usage_module
from headrace._clock import replaced
from headrace._figures import Timing
from headrace._prices import list_prices
from headrace.errors import (
    AllProvidersFailedError,
    BudgetExceededError,
    CallerError,
    ConnectionFailedError,
    OverloadedError,
    RateLimitError,
    TruncatedStreamError,
)
from headrace.telemetry import Asked, Observer, Operation

HELLO = [AIMessage("user", "Hello there")]
ASKED = Asked("chat", "anthropic", "claude-sonnet-4-5", messages=HELLO)


def told(prompt: int | None, completion: int | None, source: str = "reported", cached: int | None = 0) -> Usage:
    total = None if prompt is None or completion is None else prompt + completion
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "cached_tokens": cached,
        "cache_write_tokens": None,
        "reasoning_tokens": 0,
        "source": source,
        "raw": None,
    }


def answer(usage: Usage | None = None, state: str = "finished", content: str = "Hello!") -> AIResponse:
    return AIResponse(content, "anthropic", "claude-sonnet-4-5-20250929", usage, state=state)


@pytest.fixture
def no_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where genai-prices is not installed."""
    monkeypatch.setattr(usage_module, "list_prices", lambda: None)


class Clock:
    """Seconds by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# ---------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("figure", "value", "source", "words"),
    [
        (Figure(), 0, "reported", "0"),
        (Figure.of(1204, "reported"), 1204, "reported", "1,204"),
        (Figure.of(0, "reported"), 0, "reported", "0"),
        (Figure.of(7, "partial"), 7, "partial", "at least 7"),
        (Figure.of(7, "estimated"), 7, "estimated", "about 7"),
        (Figure.of(None, "reported"), None, "unknown", "unknown"),
        (Figure.of(9, "unknown"), None, "unknown", "unknown"),
        (Figure.of(5, "reported") + Figure.of(7, "reported"), 12, "reported", "12"),
        (Figure.of(5, "reported") + Figure.of(7, "estimated"), 12, "estimated", "about 12"),
        (Figure.of(5, "reported") + Figure.of(7, "partial"), 12, "partial", "at least 12"),
        (Figure.of(5, "estimated") + Figure.of(None, "unknown"), 5, "partial", "at least 5"),
        (Figure() + Figure.of(None, "unknown"), None, "unknown", "unknown"),
        (Figure.of(0, "reported") + Figure.of(None, "unknown"), 0, "partial", "at least 0"),
        (Figure.of(0.0125, "estimated"), 0.0125, "estimated", "about 0.0125"),
    ],
    ids=str,
)
def test_a_sum_says_how_it_is_known(figure: Figure, value: float | None, source: str, words: str) -> None:
    assert (figure.value, figure.source, str(figure)) == (value, source, words)


def test_a_figure_counts_what_stands_behind_it() -> None:
    figure = Figure.of(5, "reported") + Figure.of(7, "partial") + Figure.of(1, "estimated") + Figure.of(None, "unknown")
    assert figure == Figure(known=13, reported=1, partial=1, estimated=1, unknown=1)
    assert Figure.of(9, "unknown") == Figure(unknown=1)


def test_times_add_up_and_no_time_is_no_zero() -> None:
    nothing = Timing()
    assert (nothing.mean, nothing.least, nothing.most) == (None, None, None)
    both = nothing + Timing.of(1.0) + Timing.of(3.0) + nothing
    assert (both.count, both.total, both.least, both.most, both.mean) == (2, 4.0, 1.0, 3.0, 2.0)


# ---------------------------------------------------------------- what an exchange took


@pytest.mark.parametrize(
    ("usage", "state", "content", "prompt", "completion"),
    [
        (told(11, 300), "finished", "Hello!", "11", "300"),
        (told(11, None), "finished", "Hello!", "11", "unknown"),
        (told(11, 1, "partial"), "interrupted", "x" * 400, "at least 11", "at least 100"),
        (told(11, 300, "partial"), "interrupted", "x" * 400, "at least 11", "at least 300"),
        (told(11, None, "partial"), "cancelled", "x" * 400, "at least 11", "at least 100"),
        (None, "interrupted", "x" * 401, "about 7", "about 101"),
        (None, "closed", "", "about 7", "unknown"),
        (told(None, None, "unknown"), "finished", "x" * 8, "about 7", "about 2"),
    ],
    ids=[
        "reported",
        "reported-in-part",
        "cut-told-less-than-came",
        "cut-told-more-than-came",
        "cut-told-the-prompt",
        "cut-told-nothing",
        "left-before-any-word",
        "told-that-it-is-unknown",
    ],
)
@pytest.mark.usefixtures("no_lists")
def test_tokens_are_told_or_estimated_or_unknown(
    usage: Usage | None, state: str, content: str, prompt: str, completion: str
) -> None:
    ledger = Ledger()
    ledger.add(ASKED, answer(usage, state, content))
    (row,) = ledger.summary().models
    assert (str(row.prompt_tokens), str(row.completion_tokens)) == (prompt, completion)


@pytest.mark.usefixtures("no_lists")
def test_each_kind_of_token_has_its_own_figure() -> None:
    usage = told(100, 50, cached=80)
    usage["cache_write_tokens"], usage["reasoning_tokens"] = 10, None
    ledger = Ledger()
    ledger.add(ASKED, answer(usage))
    (row,) = ledger.summary().models
    assert row.cached_tokens == Figure(80, reported=1)
    assert row.cache_write_tokens == Figure(10, reported=1)
    assert row.reasoning_tokens == Figure(unknown=1)
    assert row.cost == Figure(unknown=1)


@pytest.mark.usefixtures("no_lists")
def test_words_of_every_kind_count_in_an_estimate() -> None:
    cut = replace(
        answer(None, "interrupted", "x" * 40),
        reasoning="y" * 40,
        refusal="z" * 40,
        tool_calls=(ToolCall("1", "weigh", '{"sacks": 3333}'),),
    )
    ledger = Ledger()
    ledger.add(ASKED, cut)
    assert ledger.summary().total.completion_tokens == Figure(35, estimated=1)  # (120 + 5 + 15) / 4


@pytest.mark.usefixtures("no_lists")
def test_a_prompt_with_an_image_cannot_be_estimated() -> None:
    ledger = Ledger()
    messages = [AIMessage("user", [ImagePart("https://mill.example/wheel.png")])]
    ledger.add(replace(ASKED, messages=messages), answer(None, "interrupted"))
    assert ledger.summary().total.prompt_tokens == Figure(unknown=1)


@pytest.mark.usefixtures("no_lists")
def test_vectors_have_no_completion() -> None:
    ledger = Ledger(prices=lambda provider, model, usage: 0.5)
    asked = Asked("embeddings", "openai", "text-embedding-3-small")
    ledger.add(asked, EmbeddingResponse(((1.0,),), "openai", "text-embedding-3-small", told(9, None)))
    (row,) = ledger.summary().models
    assert row.prompt_tokens == Figure(9, reported=1)
    assert row.completion_tokens == Figure(0, reported=1)
    assert row.cost == Figure(0.5, estimated=1)


@pytest.mark.parametrize(
    ("state", "error", "row"),
    [
        ("finished", None, (0, 0, 0)),
        ("unconfirmed", None, (0, 0, 0)),
        ("failed", ConnectionFailedError("gone"), (1, 0, 0)),
        ("interrupted", TruncatedStreamError("cut"), (0, 1, 0)),
        ("cancelled", None, (0, 0, 1)),
        ("closed", None, (0, 0, 1)),
    ],
)
@pytest.mark.usefixtures("no_lists")
def test_endings_are_counted(state: str, error: Exception | None, row: tuple[int, int, int]) -> None:
    ledger = Ledger()
    ledger.add(ASKED, answer(None, state), error)
    total = ledger.summary().total
    assert (total.failed, total.interrupted, total.left) == row


@pytest.mark.usefixtures("no_lists")
def test_vectors_that_were_not_waited_for_took_an_unknown_amount() -> None:
    ledger = Ledger()
    ledger.add(Asked("embeddings", "openai", "text-embedding-3-small"), None, KeyboardInterrupt())
    total = ledger.summary().total
    assert (total.failed, total.left, total.prompt_tokens) == (0, 1, Figure(unknown=1))


@pytest.mark.usefixtures("no_lists")
def test_a_refusal_takes_nothing_and_a_lost_request_an_unknown_amount() -> None:
    ledger = Ledger()
    ledger.add(ASKED, None, RateLimitError("later"))
    assert ledger.summary().total == ModelUsage(failed=1)
    ledger.add(ASKED, None, ConnectionFailedError("gone"))
    assert ledger.summary().total.prompt_tokens == Figure(unknown=1)
    ledger.add(ASKED, answer(None, "failed", ""), ConnectionFailedError("gone"))
    assert ledger.summary().total.prompt_tokens == Figure(unknown=2)
    ledger.add(ASKED, answer(told(11, 1, "partial"), "failed", ""), TruncatedStreamError("cut"))
    assert ledger.summary().total.prompt_tokens == Figure(11, unknown=2, partial=1), "what was told counts"


@pytest.mark.usefixtures("no_lists")
def test_a_refusal_is_free_where_all_providers_failed() -> None:
    ledger = Ledger()
    refusal = AllProvidersFailedError("all", cause=OverloadedError("no room"))
    ledger.add(ASKED, answer(None, "failed", ""), refusal)
    assert ledger.summary().total == ModelUsage(failed=1)
    ledger.add(ASKED, answer(None, "failed", ""), AllProvidersFailedError("all", cause=ConnectionFailedError("gone")))
    assert ledger.summary().total.prompt_tokens == Figure(unknown=1)


@pytest.mark.usefixtures("no_lists")
def test_tokens_that_were_told_before_an_error_event_count() -> None:
    ledger = Ledger()
    ledger.add(ASKED, answer(told(50, 1, "partial"), "failed", ""), OverloadedError("no room"))
    assert ledger.summary().total.prompt_tokens == Figure(50, partial=1)


@pytest.mark.parametrize("operation", ["count_tokens", "list_models"])
@pytest.mark.usefixtures("no_lists")
def test_what_is_free_takes_part_in_no_sum(operation: Operation) -> None:
    ledger = Ledger()
    ledger.add(ASKED, answer(told(11, 300)))
    one = ledger.observe(Asked(operation, "anthropic", "claude-sonnet-4-5"))
    one.sent(0.0, Asked(operation, "anthropic", "claude-sonnet-4-5"))
    one.ended(None, None)
    total = ledger.summary().total
    assert (total.requests, str(total.prompt_tokens), str(total.completion_tokens)) == (1, "11", "300")


@pytest.mark.usefixtures("no_lists")
def test_a_refusal_in_the_middle_of_an_answer_does_not_make_it_free() -> None:
    ledger = Ledger()
    ledger.add(ASKED, answer(told(11, 300, "partial"), "interrupted"), OverloadedError("no room"))
    assert ledger.summary().total.completion_tokens == Figure(300, partial=1)


# ---------------------------------------------------------------- as an observer


def test_a_ledger_is_an_observer() -> None:
    observer: Observer = Ledger()
    assert observer.observe(ASKED) is not None


@pytest.mark.usefixtures("no_lists")
def test_an_exchange_counts_when_it_is_sent_and_when_it_ends() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    one = ledger.observe(ASKED)
    assert ledger.summary().models == ()
    one.sent(5.0, ASKED)
    assert ledger.summary().total == ModelUsage(requests=1)
    clock.now += 0.25
    one.begun()
    clock.now += 9
    one.ended(answer(told(11, 300)), None)
    (row,) = ledger.summary().models
    assert (row.provider, row.model, row.requests) == ("anthropic", "claude-sonnet-4-5", 1)
    assert row.first_chunk == Timing(1, 0.25, 0.25, 0.25), "waiting for the turn does not count"


@pytest.mark.usefixtures("no_lists")
def test_what_was_never_sent_is_not_counted() -> None:
    ledger = Ledger()
    ledger.observe(ASKED).ended(answer(None, "cancelled", ""), None)
    assert ledger.summary().models == ()


@pytest.mark.usefixtures("no_lists")
def test_attempts_are_counted_where_they_were_made() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    other = Asked("chat", "openai", "gpt-4o", messages=HELLO)
    one = ledger.observe(ASKED)
    one.sent(0.0, ASKED)
    one.failed(OverloadedError("no room"))
    one.sent(0.0, ASKED)
    one.failed(ConnectionFailedError("gone"))
    clock.now += 60
    one.sent(0.0, other)
    clock.now += 2
    one.begun()
    one.ended(replace(answer(told(11, 300)), provider="openai", model="gpt-4o"), None)
    first, second = ledger.summary().models
    assert (first.provider, first.requests, first.failed, first.prompt_tokens) == ("anthropic", 2, 2, Figure(unknown=1))
    assert (second.provider, second.requests, second.failed) == ("openai", 1, 0)
    assert second.first_chunk.total == 2.0
    total = ledger.summary().total
    assert (total.provider, total.requests, total.failed) == ("", 3, 2)
    assert str(total.prompt_tokens) == "at least 11"


@pytest.mark.usefixtures("no_lists")
def test_an_attempt_that_the_pacer_refuses_after_another_is_not_counted_twice() -> None:
    ledger = Ledger()
    one = ledger.observe(ASKED)
    one.sent(0.0, ASKED)
    one.failed(OverloadedError("no room"))
    one.ended(None, RateLimitError("later", sent=False, source="pacer"))
    assert ledger.summary().total == ModelUsage(requests=1, failed=1)


def test_a_summary_does_not_change() -> None:
    ledger = Ledger()
    before = ledger.summary()
    ledger.add(ASKED, answer(told(1, 1)))
    assert before.models == ()
    with pytest.raises(FrozenInstanceError):
        before.total.requests = 3  # type: ignore[misc]


# ---------------------------------------------------------------- prices


@pytest.mark.usefixtures("no_lists")
def test_a_cost_is_never_more_than_estimated() -> None:
    ledger = Ledger(prices=lambda provider, model, usage: 0.25)
    ledger.add(ASKED, answer(told(11, 300)))
    ledger.add(ASKED, answer(told(11, 3, "partial"), "interrupted"))
    ledger.add(ASKED, None, ConnectionFailedError("gone"))
    assert ledger.summary().total.cost == Figure(0.5, estimated=1, partial=1, unknown=1)


@pytest.mark.usefixtures("no_lists")
def test_a_price_is_asked_for_what_was_taken_at_least() -> None:
    asked: list[tuple[int | None, int | None]] = []

    def prices(provider: str, model: str, usage: Usage) -> float:
        asked.append((usage["prompt_tokens"], usage["completion_tokens"]))
        return 1.0

    ledger = Ledger(prices=prices)
    ledger.add(ASKED, answer(told(11, None)))
    assert asked == [(11, 0)]
    assert ledger.summary().total.cost == Figure(1.0, partial=1)
    assert ledger.summary().total.completion_tokens == Figure(unknown=1)


@pytest.mark.usefixtures("no_lists")
def test_a_price_is_known_by_the_name_of_the_answer_or_of_the_question() -> None:
    asked: list[str] = []

    def prices(provider: str, model: str, usage: Usage) -> float | None:
        asked.append(model)
        return 1.0 if model == "claude-sonnet-4-5" else None

    ledger = Ledger(prices=prices)
    ledger.add(ASKED, answer(told(11, 300)))
    assert asked == ["claude-sonnet-4-5-20250929", "claude-sonnet-4-5"]
    assert ledger.summary().total.cost == Figure(1.0, estimated=1)


@pytest.mark.usefixtures("no_lists")
def test_a_price_function_that_fails_is_logged_and_the_cost_unknown(caplog: pytest.LogCaptureFixture) -> None:
    def prices(provider: str, model: str, usage: Usage) -> float:
        raise ZeroDivisionError("a bad price")

    ledger = Ledger(prices=prices)
    with caplog.at_level(logging.ERROR, "headrace"):
        ledger.add(ASKED, answer(told(11, 300)))
    assert ledger.summary().total.cost == Figure(unknown=1)
    assert "a bad price" in caplog.text


@pytest.mark.usefixtures("no_lists")
def test_a_price_may_be_any_number_of_dollars() -> None:
    budget = Budget(cost=1)
    ledger = Ledger(prices=lambda *_: Decimal("0.25"), budget=budget)  # type: ignore[arg-type]  # as untyped code may
    ledger.add(ASKED, answer(told(11, 300)))
    total = ledger.summary().total
    assert (total.cost, total.prompt_tokens.known, budget.spent("USD", now=time.time())) == (
        Figure(0.25, estimated=1),
        11,
        0.25,
    )


@pytest.mark.parametrize("price", [math.nan, math.inf, -1.0, "free"])
@pytest.mark.usefixtures("no_lists")
def test_what_is_no_price_is_logged_and_the_cost_unknown(price: float, caplog: pytest.LogCaptureFixture) -> None:
    budget = Budget(cost=1)
    ledger = Ledger(prices=lambda *_: price, budget=budget)
    ledger.add(ASKED, answer(told(11, 300)))
    total = ledger.summary().total
    assert (total.cost, total.prompt_tokens.known, budget.spent("USD", now=time.time())) == (Figure(unknown=1), 11, 0.0)
    assert "could not be told" in caplog.text


def test_the_callers_prices_go_over_the_lists() -> None:
    def prices(provider: str, model: str, usage: Usage) -> float | None:
        return 123.0 if provider == "anthropic" else None

    ledger = Ledger(prices=prices)
    ledger.add(ASKED, answer(told(1000, 100)))
    other = Asked("chat", "openai", "gpt-4o")
    ledger.add(other, AIResponse("Hello!", "openai", "gpt-4o", told(1000, 100)))
    assert [row.cost.value for row in ledger.summary().models] == [123.0, 0.0035]


@pytest.mark.parametrize(
    ("provider", "model", "usage", "cost"),
    [
        ("anthropic", "claude-sonnet-4-5", told(1000, 100), 0.0045),
        ("anthropic", "claude-sonnet-4-5", told(1000, 100, cached=900), 0.00207),
        ("openai", "gpt-4o", told(1000, 1000), 0.0125),
        ("openai", "text-embedding-3-small", told(1000, 0), 0.00002),
        ("gemini", "gemini-2.5-flash", told(1000, 1000), 0.0028),
        ("grok", "grok-4", told(1000, 1000), 0.018),
        ("ollama", "llama3", told(1000, 1000), None),
        ("anthropic", "no-such-model", told(1000, 1000), None),
        ("openai", "whisper-1", told(1000, 1000), None),
        ("openai", "gpt-4o", told(1000, 1000, cached=2000), None),
        ("openai", "gpt-4o", told(1000, None), None),
    ],
    ids=[
        "plain",
        "cached-is-cheaper",
        "openai",
        "embeddings",
        "gemini-is-google",
        "grok-is-x-ai",
        "unknown-provider",
        "unknown-model",
        "priced-by-the-minute",
        "contradictory-counts",
        "unknown-tokens",
    ],
)
def test_list_prices(provider: str, model: str, usage: Usage, cost: float | None) -> None:
    prices = list_prices()
    assert prices is not None, "genai-prices is not installed"
    assert prices(provider, model, usage) == cost


def test_without_the_extra_there_are_no_list_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "genai_prices", None)
    assert list_prices() is None
    ledger = Ledger()
    ledger.add(ASKED, answer(told(1000, 100)))
    assert ledger.summary().total.cost == Figure(unknown=1)


# ---------------------------------------------------------------- with a budget


def test_a_ledger_without_a_budget_lets_all_through() -> None:
    ledger = Ledger()
    ledger.check("ollama", "llama3")
    assert ledger.budget is None


def test_what_exchanges_take_is_taken_from_the_budget() -> None:
    ledger = Ledger(budget=Budget(tokens=400, per=60))
    with replaced(lambda: 1_000_000.0):
        ledger.check("anthropic", "claude-sonnet-4-5")
        ledger.add(ASKED, answer(told(11, 300)))
        ledger.check("anthropic", "claude-sonnet-4-5")
        ledger.add(ASKED, answer(None, "interrupted", "x" * 400))  # about 7 and 100
        with pytest.raises(BudgetExceededError) as caught:
            ledger.check("anthropic", "claude-sonnet-4-5")
    assert caught.value.spent == 418
    with replaced(lambda: 1_000_061.0):
        ledger.check("anthropic", "claude-sonnet-4-5")


def test_the_total_that_the_vendor_bills_is_what_counts() -> None:
    usage = told(11, 300)
    usage["total_tokens"] = 500
    ledger = Ledger(budget=Budget(tokens=500))
    ledger.add(ASKED, answer(usage))
    with pytest.raises(BudgetExceededError):
        ledger.check("anthropic", "claude-sonnet-4-5")


def test_money_is_taken_from_the_budget() -> None:
    ledger = Ledger(budget=Budget(cost=0.004))
    ledger.add(ASKED, answer(told(1000, 100)))
    with pytest.raises(BudgetExceededError, match=r"the budget of 0\.004 USD is spent \(0\.0045 USD\)"):
        ledger.check("anthropic", "claude-sonnet-4-5")


def test_a_budget_in_money_refuses_a_model_without_a_price() -> None:
    ledger = Ledger(budget=Budget(cost=5.0))
    ledger.check("openai", "text-embedding-3-small")
    with pytest.raises(CallerError, match="cannot be kept for ollama/llama3: its price is not known") as caught:
        ledger.check("ollama", "llama3")
    assert not isinstance(caught.value, BudgetExceededError)
    free = Ledger(budget=Budget(cost=5.0), prices=lambda provider, model, usage: 0.0)
    free.check("ollama", "llama3")
    assert free.summary().models == ()
    Ledger(budget=Budget(tokens=5)).check("ollama", "llama3")


def test_one_budget_of_two_ledgers_is_theirs_together() -> None:
    budget = Budget(tokens=300)
    one, other = Ledger(budget=budget), Ledger(budget=budget)
    one.add(ASKED, answer(told(11, 300)))
    with pytest.raises(BudgetExceededError):
        other.check("anthropic", "claude-sonnet-4-5")
