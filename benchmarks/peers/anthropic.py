"""The anthropic SDK: messages, read event by event, and asked for whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic

from ._worker import MESSAGES, Read, Seen, serve


def connect(url: str, patience: float) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0, timeout=patience)


@asynccontextmanager
async def messages(url: str, patience: float) -> AsyncIterator[Read]:
    async with connect(url, patience) as client:

        async def read(seen: Seen) -> None:
            async for event in await client.messages.create(model="m", max_tokens=999, messages=MESSAGES, stream=True):
                if event.type == "content_block_delta":
                    seen.words.append(event.delta.text)
                seen.ended |= event.type == "message_stop"

        yield read


@asynccontextmanager
async def whole(url: str, patience: float) -> AsyncIterator[Read]:
    async with connect(url, patience) as client:

        async def read(seen: Seen) -> None:
            async with client.messages.stream(model="m", max_tokens=999, messages=MESSAGES) as stream:
                answer = await stream.get_final_message()
            seen.words += [block.text for block in answer.content]
            seen.ended = answer.stop_reason is not None

        yield read


if __name__ == "__main__":
    serve({"anthropic": messages, "anthropic whole": whole})
