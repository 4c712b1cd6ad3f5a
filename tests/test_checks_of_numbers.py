"""Numbers that cannot be are told when they are given, by their names: no wait without end, nothing that vanishes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from headrace import AIGateway, AIMessage, Budget, Deadlines, GenerationConfig, Recorder
from headrace.gateway import FallbackPolicy
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.limits.redis import RedisStore
from headrace.providers.base import BaseProvider
from headrace.providers.openai import OpenAIProvider

Make = Callable[[Any], object]


def split(n: int, buffer: int) -> object:
    return OpenAIProvider("key").chat_stream([AIMessage("user", "Hello")]).split(n, buffer=buffer)


# name: how it is given, one that is good, and whether it may be infinite. What is None here is no number of ours.
WHOLE: dict[str, tuple[Make, int]] = {
    "max_tokens": (lambda value: GenerationConfig(max_tokens=value), 1),
    "max_attempts": (lambda value: GenerationConfig(max_attempts=value), 1),
    "max_queue": (lambda value: RateLimitPolicy(max_queue=value), 0),
    "provider: max_requests": (lambda value: OpenAIProvider("key", max_requests=value), 1),
    "provider: max_attempts": (lambda value: BaseProvider(max_attempts=value), 1),
    "pacer: max_requests": (lambda value: Pacer(max_requests=value), 1),
    "max_bytes": (lambda value: Recorder(max_bytes=value), 1),
    "keep": (lambda value: Recorder(keep=value), 1),
    "n": (lambda value: split(value, 1), 1),
    "buffer": (lambda value: split(1, value), 1),
}
NUMBERS: dict[str, tuple[Make, float, bool]] = {
    "temperature": (lambda value: GenerationConfig(temperature=value), 0, False),
    "top_p": (lambda value: GenerationConfig(top_p=value), 1, False),
    "config: max_wait": (lambda value: GenerationConfig(max_wait=value), 0, True),
    "max_wait": (lambda value: RateLimitPolicy(max_wait=value), 0, True),
    "share": (lambda value: RateLimitPolicy(share=value), 1, False),
    "the limit of requests": (lambda value: RateLimitPolicy(limits={"requests": value}), 0.5, False),
    "deadline first_chunk": (lambda value: Deadlines(first_chunk=value), 1, True),
    "deadline next_chunk": (lambda value: Deadlines(next_chunk=value), 1, True),
    "deadline idle": (lambda value: Deadlines(idle=value), 1, True),
    "deadline total": (lambda value: Deadlines(total=value), 1, True),
    "patience": (lambda value: FallbackPolicy(patience=value), 0, True),
    "cost": (lambda value: Budget(cost=value), 0.01, False),
    "tokens": (lambda value: Budget(tokens=value), 1, False),
    "per": (lambda value: Budget(tokens=1, per=value), 1, False),
    "every": (lambda value: AIGateway(OpenAIProvider("key")).watch_limits(every=value), 0.5, False),
    "timeout": (lambda value: RedisStore("redis://localhost", timeout=value), 1, False),
}


@pytest.mark.parametrize("wrong", [-1, -math.inf, math.inf, math.nan, 1.5, True, "1", b"1", [1]], ids=repr)
@pytest.mark.parametrize("name", WHOLE)
def test_a_count_that_cannot_be_is_told_by_its_name(name: str, wrong: object) -> None:
    make, good = WHOLE[name]
    make(good)
    with pytest.raises(
        ValueError, match=rf"^{name.rpartition(': ')[2]} is .*: it must be a whole number of at least \d$"
    ):
        make(wrong)


@pytest.mark.parametrize("wrong", [-1, -math.inf, math.nan, True, "1", b"1", [1]], ids=repr)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_be_is_told_by_its_name(name: str, wrong: object) -> None:
    make, good, _ = NUMBERS[name]
    make(good)
    with pytest.raises(ValueError, match=rf"^{name.rpartition(': ')[2]} is .*: it must be a number"):
        make(wrong)


@pytest.mark.parametrize("name", NUMBERS)
def test_only_a_wait_may_be_endless(name: str) -> None:
    make, _, endless = NUMBERS[name]
    if endless:
        make(math.inf)
    else:
        with pytest.raises(ValueError, match=r" is inf: it must be a number"):
            make(math.inf)


@pytest.mark.parametrize("name", ["top_k", "seed", "priority"])
def test_what_servers_give_a_meaning_below_0_may_be_below_0(name: str) -> None:
    GenerationConfig(**{name: -1})  # type: ignore[arg-type]  # a name of the table
    with pytest.raises(ValueError, match=rf"^{name} is 1.5: it must be a whole number$"):
        GenerationConfig(**{name: 1.5})  # type: ignore[arg-type]
