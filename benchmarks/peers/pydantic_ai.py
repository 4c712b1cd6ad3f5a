"""
pydantic-ai: `direct.model_request_stream()`, its leanest way to a stream: no agent, no grouping of what arrives. Asked
for whole, an agent's `run_stream()` and `get_output()`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anthropic
import openai
from pydantic_ai import Agent, ModelRequest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from ._worker import HELLO, Read, Seen, serve


@asynccontextmanager
async def chat(url: str, patience: float) -> AsyncIterator[Model]:
    async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, timeout=patience) as client:
        yield OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def responses(url: str, patience: float) -> AsyncIterator[Model]:
    async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, timeout=patience) as client:
        yield OpenAIResponsesModel("m", provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def messages(url: str, patience: float) -> AsyncIterator[Model]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0, timeout=patience) as client:
        yield AnthropicModel("m", provider=AnthropicProvider(anthropic_client=client))


MODELS = {"openai": chat, "responses": responses, "anthropic": messages}


@asynccontextmanager
async def loop(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    async with MODELS[shape](url, patience) as model:

        async def read(seen: Seen) -> None:
            async with model_request_stream(model, [ModelRequest.user_text_prompt(HELLO)]) as stream:
                async for event in stream:
                    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                        seen.words.append(event.delta.content_delta)
                    elif isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                        seen.words.append(event.part.content)
                seen.ended = stream.get().finish_reason is not None

        yield read


@asynccontextmanager
async def whole(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    async with MODELS[shape](url, patience) as model:

        async def read(seen: Seen) -> None:
            async with Agent(model, retries=0).run_stream(HELLO) as result:
                seen.words.append(await result.get_output())
                seen.ended = result.response.finish_reason is not None

        yield read


if __name__ == "__main__":
    serve(
        {shape: partial(loop, shape) for shape in MODELS}
        | {f"{shape} whole": partial(whole, shape) for shape in MODELS}
    )
