"""The public API as a type checker sees it. Checked by `make type`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import assert_type

import httpx
import httpx2

from headrace import (
    AIGateway,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    ChatStream,
    Deadlines,
    GenerationConfig,
    PartialToolCall,
    RateLimitInfo,
    StreamInterruptedError,
    ToolCall,
    Usage,
)
from headrace.limits.policy import RateLimitPolicy
from headrace.providers import BaseProvider, load_provider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider
from headrace.testing import assert_idle


class Mine(BaseProvider):
    name = "mine"

    async def initialize(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk("hello", finish_reason="stop")


async def key() -> str:
    return "k"


async def use() -> None:
    OpenAIProvider(lambda: "k", base_url="http://x/v1", http_client=httpx.AsyncClient())
    OpenAIProvider(key, http_client=httpx2.AsyncClient(), deadlines=Deadlines(total=60.0), max_requests=5)
    GeminiProvider("k", api_version="v1", model="gemini-3.8-flash", limits=RateLimitPolicy(max_wait=0.0))
    async with Mine() as provider:
        assert_type(provider, Mine)
        stream = provider.chat_stream([AIMessage("user", "hi")], GenerationConfig(max_tokens=5))
        assert_type(stream, ChatStream)
        async with stream as entered:
            assert_type(entered, ChatStream)
            async for chunk in stream:
                assert_type(chunk, AIStreamChunk)
                assert_type(chunk.usage, Usage | None)
        assert_type(await stream.collect(), AIResponse)
        assert_type(stream.rate_limit, RateLimitInfo | None)
        assert_type(stream.interruption, StreamInterruptedError | None)
        assert_type(stream.response.tool_calls, tuple[ToolCall | PartialToolCall, ...])
        await assert_idle(provider)
    async with AIGateway(Mine()) as gateway:
        assert_type(await gateway.generate("hi", model="mine/m"), AIResponse)
    assert_type(load_provider("openai"), type[BaseProvider])
