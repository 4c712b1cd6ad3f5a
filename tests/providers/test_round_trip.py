"""
A conversation goes on: reasoning, tools and all, with the same vendor and with another.

The simulator checks what the vendors check: its own signatures, encrypted reasoning, results without calls.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace import AIMessage, GenerationConfig, Tool, ToolCall, ToolResultPart
from headrace.providers import BaseProvider, load_provider
from headrace.simulator import Script, Simulator
from headrace.telemetry import Event, add_hook

KINDS = {
    "anthropic": {},
    "gemini": {},
    "openai-chat": {"api": "chat"},
    "openai-responses": {"api": "responses"},
    "grok-chat": {"api": "chat"},
    "grok-responses": {"api": "responses"},
    "ollama": {"model": "qwen3:8b"},
}
THOUGHT = Script(reasoning="Rome is meant.", text="", tool_calls=(("weather", '{"city": "Rome", "days": 1.0}'),))


def weather(city: str, days: float) -> str:
    """Tell the weather of a city."""
    return f"{city}: sun for {days} days"


TOOL = Tool.of(weather)
ASK = GenerationConfig(tools=[TOOL])


@pytest.fixture
def events() -> Iterator[list[Event]]:
    heard: list[Event] = []
    remove = add_hook(heard.append)
    yield heard
    remove()


def made(kind: str, sim: Simulator) -> BaseProvider:
    vendor = kind.partition("-")[0]
    return load_provider(vendor)("k", base_url=sim.base_url(vendor), **KINDS[kind])


async def first_turns(provider: BaseProvider, sim: Simulator, *, stream: bool | None) -> list[AIMessage]:
    """A question, what the model made of it, and the tool's answer."""
    sim.play(provider.name, THOUGHT)
    messages = [AIMessage("system", "Be brief."), AIMessage("user", "How is Rome?")]
    answer = await provider.chat(messages, GenerationConfig(tools=[TOOL], stream=stream))
    (call,) = answer.tool_calls
    assert isinstance(call, ToolCall) and call.input == {"city": "Rome", "days": 1.0}
    messages.append(answer.to_message())
    messages.append(AIMessage("tool", [await TOOL.run(call)]))
    assert messages[-1].content == [ToolResultPart(call.id, "Rome: sun for 1.0 days", "weather")]
    return messages


@pytest.mark.parametrize("stream", [None, False], ids=["stream", "plain"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_conversation_with_reasoning_and_tools_goes_on(
    kind: str, stream: bool | None, events: list[Event]
) -> None:
    async with Simulator() as sim, made(kind, sim) as provider:
        messages = await first_turns(provider, sim, stream=stream)
        sim.play(provider.name, Script(text="It is sunny."))
        answer = await provider.chat(messages, ASK)
        assert (answer.content, answer.state) == ("It is sunny.", "finished")
        messages += [answer.to_message(), AIMessage("user", "Thanks.")]
        assert (await provider.chat(messages, ASK)).state == "finished"
    unsigned = kind.endswith("chat")  # Chat Completions has no field in which these two take reasoning back
    dropped = {event.name for event in events if event.name.endswith("_dropped")}
    assert dropped <= ({"content_dropped"} if unsigned else set())


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("here", KINDS)
async def test_a_conversation_moves_to_any_other_vendor(here: str, there: str) -> None:
    async with Simulator() as sim, made(here, sim) as first, made(there, sim) as second:
        messages = await first_turns(first, sim, stream=None)
        sim.play(second.name, Script(text="It is sunny."))
        answer = await second.chat(messages, ASK)
        assert (answer.content, answer.state) == ("It is sunny.", "finished")
