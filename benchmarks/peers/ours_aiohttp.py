"""headrace, and the loop by hand, with an httpx client that stands on aiohttp: asyncio alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from httpx_aiohttp import HttpxAiohttpClient

from . import by_hand, ours
from ._worker import Read, serve


@asynccontextmanager
async def loop(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    async with (
        HttpxAiohttpClient() as client,
        ours.loop(shape, True, url, patience, http_client=client) as read,
    ):
        yield read


if __name__ == "__main__":
    serve(
        {shape: partial(loop, shape) for shape in ours.PROVIDERS}
        | {f"{shape} by_hand": partial(by_hand.loop, shape, make=HttpxAiohttpClient) for shape in by_hand.SHAPES}
    )
