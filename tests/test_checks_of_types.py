"""Values of another type are told when they are given, by their names, and nothing is sent."""

from __future__ import annotations

import re
from typing import Any

import pytest

from headrace import AIGateway, AIMessage, GenerationConfig, Tool
from headrace.errors import RateLimitError
from headrace.gateway import FallbackPolicy
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Simulator

HELLO = AIMessage("user", "Hello")

OPTIONS: dict[str, Any] = {
    "model": 5,
    "stop_sequences": "stop",
    "stop_sequences[1]": ["a", None],
    "tools": Tool("f"),
    "tools[0]": [print],
    "tool_choice": 5,
    "parallel_tool_calls": "no",
    "cache": "key",
    "metadata": "me",
    "service_tier": 5,
    "stream": "no",
    "extra": "x",
    "deadlines": 5,
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_of_another_type_is_named(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(name)} is .*: it must be "):
        GenerationConfig(**{name.partition("[")[0]: OPTIONS[name]})


def test_options_of_the_right_types_pass() -> None:
    GenerationConfig(stop_sequences=("a", "b"), tools=[Tool("f")], metadata={}, extra={}, stream=False)


MESSAGES: list[tuple[Any, str]] = [
    ("Hello", "messages is 'Hello': it must be a list"),
    (None, "messages is None: it must be a list"),
    (HELLO, r"messages is AIMessage\(.*: it must be a list"),
    ((one for one in [HELLO]), "messages is <generator .*: it must be a list"),
    ([HELLO, {"role": "user", "content": "x"}], r"messages\[1\] is {.*: it must be an AIMessage"),
    (["Hello"], r"messages\[0\] is 'Hello': it must be an AIMessage"),
]


@pytest.mark.parametrize(("messages", "told"), MESSAGES, ids=["text", "none", "one", "generator", "dict", "texts"])
async def test_what_is_no_conversation_is_told_by_provider_and_gateway(messages: Any, told: str) -> None:
    async with Simulator() as sim:
        provider = AnthropicProvider("key", base_url=sim.base_url("anthropic"))
        async with AIGateway(provider) as gateway:
            for ask in (provider.chat, gateway.chat, provider.count_tokens, gateway.count_tokens):
                with pytest.raises(TypeError, match=f"^{told}"):
                    await ask(messages)
            for stream in (provider.chat_stream, gateway.chat_stream):
                with pytest.raises(TypeError, match=r"^config is {'max_tokens': 5}: it must be a GenerationConfig$"):
                    stream([HELLO], {"max_tokens": 5})
        assert sim.requests == 0


async def test_texts_to_embed_are_texts() -> None:
    async with Simulator() as sim, OpenAIProvider("key", base_url=sim.base_url("openai")) as provider:
        with pytest.raises(TypeError, match=r"^texts\[1\] is 1: it must be a text$"):
            await provider.embed(["a", 1])
        assert sim.requests == 0


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("name", 5), ("model", 5), ("deadlines", 5), ("marker", None), ("strict_options", "no"), ("recorder", True)],
)
def test_a_providers_option_of_another_type_is_named(name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} is {wrong!r}: it must be "):
        OpenAIProvider("key", **{name: wrong})


def test_an_option_that_other_clients_have_is_told_by_its_name_here() -> None:
    with pytest.raises(TypeError, match=r"^OpenAIProvider has no option 'timeout': see deadlines=Deadlines\(total="):
        OpenAIProvider("key", timeout=5)
    with pytest.raises(TypeError, match=r"^OpenAIProvider has no option 'colour'$"):
        OpenAIProvider("key", colour=5)


@pytest.mark.parametrize("wrong", [OpenAIProvider, "openai", []], ids=["class", "name", "list"])
def test_a_gateway_takes_providers_alone(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^provider is .*: it must be a provider that was made"):
        AIGateway(wrong)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("fallback", False), ("fallback", True), ("fallback", ["openai"]), ("budget", 5), ("recorder", "records")],
)
def test_a_gateways_option_of_another_type_is_named(name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} is {re.escape(repr(wrong))}: it must be a "):
        AIGateway(OpenAIProvider("key"), **{name: wrong})


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([RateLimitError], "rules is [<class 'headrace.errors.RateLimitError'>]: it must be a mapping"),
        ({"RateLimitError": False}, "rules names 'RateLimitError': it must be the class of an error"),
        ({int: False}, "rules names <class 'int'>: it must be the class of an error"),
        ({RateLimitError: "no"}, "rules[RateLimitError] is 'no': it must be True or False"),
    ],
    ids=["list", "name", "no-error", "text"],
)
def test_a_rule_that_would_never_hold_is_told(rules: Any, told: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(told)}"):
        FallbackPolicy(rules=rules)


def test_a_provider_is_no_name_to_fall_back_to() -> None:
    gpt = OpenAIProvider("key")
    with pytest.raises(TypeError, match=r"^fallback\[0\] is <.*: it must be a text, such as"):
        AIGateway(gpt).chat_stream([HELLO], fallback=[gpt])


def test_one_name_is_no_list_to_fall_back_to() -> None:
    with pytest.raises(TypeError, match=r"^fallback is 'openai': it must be a list, such as \['openai'\]$"):
        AIGateway(OpenAIProvider("key")).chat_stream([HELLO], fallback="openai")


def test_limits_of_another_type_are_told_when_they_are_given() -> None:
    with pytest.raises(TypeError, match=r"limits is \{'requests': 3\}: it must be a RateLimitPolicy, or a pacer"):
        OpenAIProvider("key", limits={"requests": 3})


def test_an_address_is_no_store() -> None:
    """The call hung."""
    with pytest.raises(TypeError, match=r"^store is a str: it must be a store"):  # the address may hold a password
        RateLimitPolicy(store="redis://:pass@localhost")
