"""
Who is measured where many streams, or the first words of one, are the question: three programs on one kind of client.

Each reads one answer in the format of Chat Completions. All of them have an httpx client with no bound on connections
and httpx's usual 20 idle ones, which is what headrace makes for itself. Knows no figure.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import httpx
import httpx_sse

from headrace import AIMessage
from headrace.providers.openai import OpenAIProvider

MESSAGES: Final = [AIMessage("user", "hi")]
BODY: Final = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
MOST: Final = 10_000  # streams at once

Pause = Callable[[], Awaitable[None]]
Read = Callable[[int, Pause], Awaitable[int]]  # one answer; at that piece (1 is the first) pause; gives the pieces


@asynccontextmanager
async def bare(base: str) -> AsyncIterator[Read]:
    """The bytes, and nothing else: what the transport takes. A piece is a read."""
    async with httpx.AsyncClient(timeout=600, limits=LIMITS) as client:

        async def read(at: int, pause: Pause) -> int:
            count = 0
            async with client.stream("POST", f"{base}/chat/completions", json=BODY) as response:
                async for _ in response.aiter_raw():
                    count += 1
                    if count == at:
                        await pause()
            return count

        yield read


@asynccontextmanager
async def by_hand(base: str) -> AsyncIterator[Read]:
    """
    What one writes by hand: httpx-sse and json.loads, and no promise at all. It reads on after `[DONE]`: one that
    leaves there, as many do, has its connection closed each time.
    """
    async with httpx.AsyncClient(timeout=600, limits=LIMITS) as client:

        async def read(at: int, pause: Pause) -> int:
            words = []
            async with httpx_sse.aconnect_sse(client, "POST", f"{base}/chat/completions", json=BODY) as events:
                async for event in events.aiter_sse():
                    if event.data == "[DONE]":
                        continue
                    data = json.loads(event.data)
                    word = data["choices"][0]["delta"].get("content") if data["choices"] else None
                    if word:
                        words.append(word)
                        if len(words) == at:
                            await pause()
            return len(words)

        yield read


@asynccontextmanager
async def ours(base: str) -> AsyncIterator[Read]:
    """headrace: all deadlines and guarantees on."""
    async with OpenAIProvider("k", base_url=base, max_requests=MOST) as provider:

        async def read(at: int, pause: Pause) -> int:
            count = 0
            async with provider.chat_stream(MESSAGES) as stream:
                async for chunk in stream:
                    if chunk.content:
                        count += 1
                        if count == at:
                            await pause()
            assert stream.state == "finished", stream.state
            return count

        yield read


BARE, BY_HAND, OURS = "bare httpx bytes", "hand-written loop", "headrace"
CLIENTS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Read]]]] = {
    BARE: bare,
    BY_HAND: by_hand,
    OURS: ours,
}
BACKENDS: Final = ("asyncio", "trio")
