"""
The google-genai SDK: generateContent, read chunk by chunk. It has no call that streams and gives the whole.

The HTTP client that it makes itself runs on asyncio alone; on trio it is given one, by its own option.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import sniffio
from google import genai

from ._worker import HELLO, Read, Seen, serve


def reader(client: genai.Client) -> Read:
    async def read(seen: Seen) -> None:
        async for chunk in await client.aio.models.generate_content_stream(model="m", contents=HELLO):
            seen.words.append(chunk.text or "")
            seen.ended |= any(one.finish_reason is not None for one in chunk.candidates or ())

    return read


@asynccontextmanager
async def generate(url: str, patience: float) -> AsyncIterator[Read]:
    options = genai.types.HttpOptions(base_url=url, timeout=int(patience * 1000))
    if sniffio.current_async_library() == "trio":
        async with httpx2.AsyncClient() as options.httpx_async_client:
            yield reader(genai.Client(api_key="k", http_options=options))
        return
    client = genai.Client(api_key="k", http_options=options)
    try:
        yield reader(client)
    finally:
        await client.aio.aclose()


if __name__ == "__main__":
    serve({"gemini": generate})
