"""any-llm: `acompletion(stream=True)` of a client made once; chunks are in OpenAI's format from either vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from any_llm import AnyLLM

from ._worker import MESSAGES, Read, Seen, serve


@asynccontextmanager
async def completion(vendor: str, url: str, patience: float) -> AsyncIterator[Read]:
    client = AnyLLM.create(vendor, api_key="k", api_base=url, max_retries=0, timeout=patience)

    async def read(seen: Seen) -> None:
        async for chunk in await client.acompletion(model="m", messages=MESSAGES, max_tokens=999, stream=True):
            for choice in chunk.choices:
                seen.words.append(choice.delta.content or "")
                seen.ended |= choice.finish_reason is not None

    yield read


if __name__ == "__main__":
    serve({vendor: partial(completion, vendor) for vendor in ("openai", "anthropic")})
