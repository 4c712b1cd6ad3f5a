"""
The public API's types, as both type checkers reveal them: what stands behind each line is compared with what they say.

Never run; see `tests/test_types.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import reveal_type

from headrace import (
    AIGateway,
    AIMessage,
    AIStreamChunk,
    Budget,
    Deadlines,
    GenerationConfig,
    Ledger,
    RateLimitError,
    RateLimitInfo,
    Recording,
    StreamInterruptedError,
    Tool,
    sse,
)
from headrace.gateway import get_gateway
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.providers import load_provider
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.ollama import OllamaProvider
from headrace.providers.openai import OpenAIProvider
from headrace.replay import replay
from headrace.simulator import Simulator
from headrace.telemetry import add_hook
from headrace.testing import assert_idle, simulator_in_background


@dataclass
class City:
    """What a model fills in."""

    name: str


def weather(city: str) -> str:
    """A tool."""
    return city


MESSAGES = [AIMessage("user", "Hello")]


async def providers() -> None:
    reveal_type(AnthropicProvider("k"))  # AnthropicProvider
    reveal_type(load_provider("openai"))  # type[BaseProvider]
    reveal_type(OpenAIProvider(api="responses").model)  # str
    async with GeminiProvider("k") as gemini, GrokProvider("k") as grok, OllamaProvider() as ollama:
        reveal_type(gemini)  # GeminiProvider
        reveal_type(grok)  # GrokProvider
        reveal_type(ollama)  # OllamaProvider
        reveal_type(await gemini.chat(MESSAGES))  # AIResponse
        reveal_type(await gemini.generate("Hello"))  # AIResponse
        reveal_type(await gemini.embed(["Hello"]))  # EmbeddingResponse
        reveal_type(await gemini.count_tokens(MESSAGES))  # int
        reveal_type(await gemini.list_models())  # tuple[ModelInfo, ...]
        reveal_type(gemini.rate_limit())  # RateLimitInfo | None
        reveal_type(gemini.rate_limits())  # Mapping[str, RateLimitInfo]
        reveal_type(await assert_idle(gemini))  # None


async def stream(claude: AnthropicProvider) -> None:
    reveal_type(claude.chat_stream(MESSAGES, GenerationConfig(max_tokens=5)))  # ChatStream
    async with claude.chat_stream(MESSAGES) as told:
        reveal_type(told)  # ChatStream
        async for chunk in told:
            reveal_type(chunk)  # AIStreamChunk
            reveal_type(chunk.content)  # str
            reveal_type(chunk.rate_limit)  # RateLimitInfo | None
            reveal_type(chunk.tool_calls)  # tuple[ToolCallDelta, ...]
        reveal_type(told.partial_content)  # str
        reveal_type(told.response)  # AIResponse
        reveal_type(told.interruption)  # StreamInterruptedError | None
        reveal_type(await told.collect())  # AIResponse
        reveal_type(told.split(2))  # tuple[StreamPart, ...]
        reveal_type(sse.encode(told))  # EventStream
    reveal_type(claude._stream_with_recovery(claude._raw_chat_stream(MESSAGES)))  # Recovery


async def answers(claude: AnthropicProvider) -> None:
    answer = await claude.chat(MESSAGES, GenerationConfig(response_format=City, tools=[Tool.of(weather)]))
    reveal_type(answer.content)  # str
    reveal_type(answer.finish_reason)  # str | None
    reveal_type(answer.tool_calls)  # tuple[ToolCall | PartialToolCall, ...]
    reveal_type(answer.attempts)  # tuple[Attempt, ...]
    reveal_type(answer.parse(City))  # City
    reveal_type(answer.to_message())  # AIMessage
    reveal_type(Tool.of(weather))  # Tool
    if answer.usage is not None:
        reveal_type(answer.usage["prompt_tokens"])  # int | None


async def gateway() -> None:
    reveal_type(AIGateway.from_env())  # AIGateway
    reveal_type(AIGateway.from_config("gateway.toml"))  # AIGateway
    async with get_gateway() as door:
        reveal_type(door)  # AIGateway
        reveal_type(door.chat_stream(MESSAGES))  # ChatStream
        reveal_type(await door.generate("Hello", model="openai/m"))  # AIResponse
        reveal_type(door.get_provider("openai"))  # BaseProvider
        reveal_type(door.get_usage_summary())  # UsageSummary
        reveal_type(door.limits())  # Mapping[str, Mapping[str, RateLimitInfo]]


def errors(cut: StreamInterruptedError, refused: RateLimitError) -> None:
    reveal_type(cut.partial_content)  # str
    reveal_type(cut.cause)  # Exception
    reveal_type(cut.response)  # AIResponse | None
    reveal_type(cut.recording)  # Recording | None
    reveal_type(refused.retry_after)  # float | None
    reveal_type(refused.sent)  # bool


def values(info: RateLimitInfo, chunk: AIStreamChunk) -> None:
    reveal_type(info.usage_percentage)  # float
    reveal_type(info.seconds_until_reset)  # float | None
    reveal_type(info.pressure())  # float
    reveal_type(chunk.is_marker)  # bool
    reveal_type(Deadlines(total=60.0).total)  # float | None
    reveal_type(RateLimitPolicy(max_wait=0.0).max_wait)  # float
    reveal_type(Pacer().rate_limits())  # Mapping[str, RateLimitInfo]
    reveal_type(Ledger(budget=Budget(tokens=5)).summary().total)  # ModelUsage


async def around() -> None:
    reveal_type(add_hook(print)())  # None
    async with Simulator() as sim:
        reveal_type(sim)  # Simulator
        reveal_type(sim.base_url("openai"))  # str
    with simulator_in_background() as server:
        reveal_type(server)  # BackgroundSimulator
    async with replay(Recording.load("last.jsonl")) as played:
        reveal_type(played)  # ChatStream
