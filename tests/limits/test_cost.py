"""Prices of requests: four measures, corrected by what vendors report."""

from __future__ import annotations

import math

import pytest

from headrace import AIMessage, GenerationConfig
from headrace._types import Usage
from headrace.limits.cost import INPUT, OUTPUT, REQUESTS, TOTAL, Cost, Estimator, estimate


def usage(prompt: int | None, produced: int | None) -> Usage:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": produced,
        "total_tokens": None,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "reported",
        "raw": None,
    }


def test_the_text_is_a_token_for_each_four_characters_and_four_for_each_message() -> None:
    messages = [AIMessage("system", "x" * 40), AIMessage("user", "y" * 400)]
    assert estimate(messages, GenerationConfig(max_tokens=512)) == Cost(110 + 8, 512)
    assert estimate([], GenerationConfig()) == Cost(0, None)


@pytest.mark.parametrize(
    ("cost", "charge"),
    [
        pytest.param(Cost(1000, 100), (1.0, 1000.0, 100.0, 1100.0), id="no more than max_tokens can be produced"),
        pytest.param(Cost(1000, 4000), (1.0, 1000.0, 230.0, 5000.0), id="answers are thought to be of mean length"),
        pytest.param(Cost(1000), (1.0, 1000.0, 230.0, 1230.0), id="without max_tokens the expected is the most"),
        pytest.param(Cost(30, 0, requests=7), (7.0, 30.0, 0.0, 30.0), id="a batch counts as several"),
    ],
)
def test_a_price_has_a_figure_for_each_measure(cost: Cost, charge: tuple[float, ...]) -> None:
    price = Estimator().price(cost)
    assert price.charge == pytest.approx(charge)
    assert (price.doubt[REQUESTS], price.doubt[OUTPUT]) == (0.0, 0.0)
    assert price.doubt[INPUT] == price.doubt[TOTAL] == pytest.approx((0.15 * cost.input) ** 2)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_wrong_guess_of_prompts_is_learned(factor: float) -> None:
    estimator = Estimator()
    for _ in range(100):
        estimator.learn(Cost(1000, 100), usage(int(1000 * factor), 50))
    price = estimator.price(Cost(400, 100))
    assert price.charge[INPUT] == pytest.approx(400 * factor, rel=0.05)
    assert math.sqrt(price.doubt[INPUT]) < 0.15 * price.charge[INPUT]


def test_guesses_that_scatter_are_doubted_more() -> None:
    steady, wild = Estimator(), Estimator()
    for number in range(60):
        steady.learn(Cost(1000), usage(1000, None))
        wild.learn(Cost(1000), usage(500 if number % 2 else 2000, None))
    assert wild.price(Cost(1000)).doubt[INPUT] > 50 * steady.price(Cost(1000)).doubt[INPUT]


def test_the_length_of_answers_is_learned() -> None:
    estimator = Estimator()
    for _ in range(200):
        estimator.learn(Cost(100, 4000), usage(100, 1000))
    assert estimator.price(Cost(100, 4000)).charge[OUTPUT] == pytest.approx(1150, rel=0.05)


def test_what_a_vendor_does_not_report_teaches_nothing() -> None:
    estimator = Estimator()
    before = estimator.price(Cost(300, 100))
    for _ in range(20):
        estimator.learn(Cost(300, 100), usage(None, None))
        estimator.learn(Cost(300, 100), usage(0, 0))
    assert estimator.price(Cost(300, 100)) == before


def test_an_absurd_report_does_not_run_away() -> None:
    """A prompt of a million where ten were sent: the price grows by a bounded factor."""
    estimator = Estimator()
    for _ in range(100):
        estimator.learn(Cost(10), usage(10**9, None))
    assert estimator.price(Cost(10)).charge[INPUT] <= 10 * math.exp(3.0)
