"""The openai SDK: chat completions and responses, read event by event, and asked for whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai

from ._worker import HELLO, MESSAGES, Read, Seen, serve


def connect(url: str, patience: float) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, timeout=patience)


@asynccontextmanager
async def chat(url: str, patience: float) -> AsyncIterator[Read]:
    async with connect(url, patience) as client:

        async def read(seen: Seen) -> None:
            async for chunk in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                for choice in chunk.choices:
                    seen.words.append(choice.delta.content or "")
                    seen.ended |= choice.finish_reason is not None

        yield read


@asynccontextmanager
async def responses(url: str, patience: float) -> AsyncIterator[Read]:
    async with connect(url, patience) as client:

        async def read(seen: Seen) -> None:
            async for event in await client.responses.create(model="m", input=HELLO, stream=True):
                if event.type == "response.output_text.delta":
                    seen.words.append(event.delta)
                seen.ended |= event.type == "response.completed"

        yield read


@asynccontextmanager
async def whole(url: str, patience: float) -> AsyncIterator[Read]:
    async with connect(url, patience) as client:

        async def read(seen: Seen) -> None:
            async with client.chat.completions.stream(model="m", messages=MESSAGES) as stream:
                answer = await stream.get_final_completion()
            seen.words.append(answer.choices[0].message.content or "")
            seen.ended = answer.choices[0].finish_reason is not None

        yield read


if __name__ == "__main__":
    serve({"openai": chat, "responses": responses, "openai whole": whole})
