"""
A small service on both loops: streams, tools, typed answers, a gateway, a provider and an observer of its own.

Knows the installed package alone. Each `assert_type` is what a program's own types are built upon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import assert_type

import anyio

from headrace import (
    AIGateway,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    GenerationConfig,
    RateLimitError,
    RateLimitInfo,
    StreamInterruptedError,
    Usage,
)
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.base import BaseProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults
from headrace.telemetry import Event, add_hook


@dataclass
class City:
    """What the model is asked to fill in."""

    name: str
    people: int


class Echo(BaseProvider):
    """A provider of the program's own."""

    name = "echo"

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        for word in messages[-1].text.split():
            yield AIStreamChunk(word + " ")
        yield AIStreamChunk("", finish_reason="stop")


async def streamed(provider: BaseProvider) -> str:
    """Every word, and whether it was cut."""
    words: list[str] = []
    async with provider.chat_stream([AIMessage("user", "one two three")]) as stream:
        async for chunk in stream:
            assert_type(chunk, AIStreamChunk)
            assert_type(chunk.usage, Usage | None)
            if not chunk.is_marker:
                words.append(chunk.content)
    assert_type(stream.interruption, StreamInterruptedError | None)
    assert_type(stream.rate_limit, RateLimitInfo | None)
    return "".join(words)


async def typed(provider: BaseProvider) -> City:
    """An answer as a type."""
    answer = await provider.generate("Rome?", GenerationConfig(response_format=City))
    assert_type(answer, AIResponse)
    city = answer.parse(City)
    assert_type(city, City)
    return city


async def main() -> None:
    told: list[Event] = []
    stop = add_hook(told.append)
    async with Simulator() as sim:
        claude = AnthropicProvider("any-key", base_url=sim.base_url("anthropic"), limits=RateLimitPolicy(max_wait=5.0))
        gpt = OpenAIProvider("any-key", base_url=sim.base_url("openai"))
        async with AIGateway(claude, gpt, Echo()) as gateway:
            assert_type(gateway, AIGateway)
            sim.play("anthropic", Script(fault=faults.Refuse(status=529)))
            answer = await gateway.generate("Hello")
            assert (answer.provider, len(answer.attempts)) == ("openai", 2)
            assert await streamed(gateway.get_provider("echo")) == "one two three "
            sim.play("openai", Script(text='{"name": "Rome", "people": 2800000}'))
            assert await typed(gpt) == City("Rome", 2_800_000)
            sim.play("openai", Script(text="One two three", fault=faults.CutFin(after_pieces=1)))
            try:
                await gpt.generate("Count")
            except StreamInterruptedError as cut:
                assert_type(cut.partial_content, str)
                assert_type(cut.response, AIResponse | None)
                assert cut.partial_content == "One"
            sim.play("openai", Script(fault=faults.Refuse(status=429, retry_after=3)))
            try:
                await gpt.generate("Again")
            except RateLimitError as refused:
                assert_type(refused.retry_after, float | None)
                assert refused.retry_after == 3
    stop()
    assert any(event.name == "attempt_failed" for event in told), told


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
        print(f"{backend}: as it should be")
