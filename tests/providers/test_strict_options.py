"""An option that is not taken: an error before any request, or left out and told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from headrace import AIMessage, GenerationConfig, Reasoning, ReasoningPart, TextPart
from headrace.errors import CallerError, UnsupportedOptionError
from headrace.providers import BaseProvider, load_provider
from headrace.simulator import Script, Simulator
from headrace.telemetry import Event, add_hook


@pytest.fixture
def events() -> Iterator[list[Event]]:
    heard: list[Event] = []
    remove = add_hook(heard.append)
    yield heard
    remove()


def dropped(events: list[Event]) -> list[Event]:
    """What was left out of a request; a call also tells of limits."""
    return [event for event in events if event.name.endswith("_dropped")]


def made(vendor: str, sim: Simulator, **options: object) -> BaseProvider:
    return load_provider(vendor)("k", base_url=sim.base_url(vendor), **options)


CASES = [
    pytest.param("anthropic", GenerationConfig(temperature=0.5), "temperature", id="the model"),
    pytest.param("anthropic", GenerationConfig(seed=7), "seed", id="the format"),
    pytest.param("openai", GenerationConfig(top_k=5), "top_k", id="the other format"),
]


@pytest.mark.parametrize(("vendor", "config", "option"), CASES)
async def test_an_option_that_is_not_taken_is_an_error_and_nothing_is_sent(
    vendor: str, config: GenerationConfig, option: str
) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        with pytest.raises(UnsupportedOptionError) as caught:
            await provider.generate("hi", config)
        assert sim.requests == 0
    assert caught.value.option == option


@pytest.mark.parametrize(("vendor", "config", "option"), CASES)
async def test_without_strict_options_it_is_left_out_and_told(
    vendor: str, config: GenerationConfig, option: str, events: list[Event]
) -> None:
    async with Simulator() as sim, made(vendor, sim, strict_options=False) as provider:
        assert (await provider.generate("hi", config)).state == "finished"
        assert option not in sim.exchanges[0].body
    (event,) = dropped(events)
    assert (event.name, event.provider, event.data["option"]) == ("option_dropped", vendor, option)
    assert event.model == provider.model
    assert getattr(config, option) is not None  # the caller's own config is left alone


async def test_what_hangs_on_a_reasoning_that_is_left_out_is_left_out_as_well(events: list[Event]) -> None:
    """`show` has no field; without "none" the model reasons, and answers 400 to a temperature then."""
    config = GenerationConfig(reasoning=Reasoning(effort="none", show=True), temperature=0.5, top_p=0.5)
    async with Simulator() as sim, made("openai", sim, strict_options=False) as provider:
        await provider.generate("hi", config)
        assert sim.exchanges[0].body.keys() == {"model", "messages", "stream", "stream_options"}
    assert [event.data["option"] for event in dropped(events)] == ["reasoning", "temperature", "top_p"]


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini", "grok", "ollama"])
async def test_a_list_of_none_asks_for_nothing(vendor: str, events: list[Event]) -> None:
    """`tools` of an agent that has none (yet): most vendors answer 400 to an empty list. Grok takes no stop at all."""
    config = GenerationConfig(tools=[], stop_sequences=())
    async with Simulator() as sim, made(vendor, sim) as provider:
        await provider.generate("hi", config)
        await provider.generate("hi")
        empty, plain = (exchange.body for exchange in sim.exchanges if exchange.body)
    assert empty == plain
    assert dropped(events) == []
    assert (config.tools, config.stop_sequences) == ([], ())  # the caller's own


async def test_a_prefill_that_the_model_refuses_is_an_error_all_the_same() -> None:
    turns = [AIMessage("user", "hi"), AIMessage("assistant", "I")]
    async with Simulator() as sim, made("anthropic", sim, strict_options=False) as provider:
        with pytest.raises(UnsupportedOptionError) as caught:
            await provider.chat(turns)
        assert sim.requests == 0
    assert caught.value.option == "messages"


async def test_what_a_vendor_cannot_carry_is_told(events: list[Event]) -> None:
    turns = [
        AIMessage("user", "hi"),
        AIMessage("assistant", [ReasoningPart("hm", "sig", origin="gemini"), TextPart("yes")]),
        AIMessage("user", "why?"),
    ]
    async with Simulator() as sim, made("anthropic", sim) as provider:
        await provider.chat(turns)
    (event,) = dropped(events)
    assert (event.name, event.message) == ("content_dropped", "anthropic: the reasoning of gemini: left out")


@dataclass
class Place:
    city: str


async def test_a_type_is_sent_as_its_schema_and_parsed_on_the_way_back() -> None:
    async with Simulator() as sim, made("gemini", sim) as provider:
        sim.play("gemini", Script(text='{"city":"Rome"}'))
        answer = await provider.generate("Where?", GenerationConfig(response_format=Place))
        sent = sim.exchanges[0].body["generationConfig"]["responseJsonSchema"]
    assert answer.parse() == Place("Rome")
    assert answer.parse(Place).city == "Rome"
    assert (sent["title"], sent["required"]) == ("Place", ["city"])


@pytest.mark.parametrize("wanted", [int, list])
async def test_a_type_without_fields_is_refused_before_it_is_sent(wanted: type) -> None:
    async with Simulator() as sim, made("gemini", sim) as provider:
        with pytest.raises(CallerError, match="no type with fields"):
            await provider.generate("Where?", GenerationConfig(response_format=wanted))
        assert sim.requests == 0


@pytest.mark.parametrize(("budget", "most"), [(2_048, 18_432), (60_000, 64_000), (63_999, 64_000)])
async def test_a_large_budget_leaves_max_tokens_within_what_the_model_writes(budget: int, most: int) -> None:
    """The vendor wants max_tokens, above the budget and within the model's 64,000; 76,384 was an answer 400."""
    config = GenerationConfig(model="claude-opus-4-5", reasoning=budget)
    async with Simulator() as sim, made("anthropic", sim) as provider:
        await provider.generate("hi", config)
        assert sim.exchanges[0].body["max_tokens"] == most


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini", "grok", "ollama"])
@pytest.mark.parametrize("strict", [True, False])
async def test_extra_cannot_ask_for_another_answer_than_is_read(vendor: str, strict: bool) -> None:
    async with Simulator() as sim, made(vendor, sim, strict_options=strict) as provider:
        with pytest.raises(CallerError, match=r"Leave it out of extra, and say GenerationConfig\(stream=False\)"):
            await provider.generate("hi", GenerationConfig(extra={"stream": False}))
        assert all(one.method == "GET" for one in sim.exchanges)  # which model there is
        if vendor != "gemini":  # whose format has no such field
            plain = GenerationConfig(stream=False, extra={"stream": False})
            assert (await provider.generate("hi", plain)).state == "finished"
