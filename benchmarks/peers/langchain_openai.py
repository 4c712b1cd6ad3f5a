"""langchain-openai: `ChatOpenAI.astream()`, over chat completions and over responses; and asked for whole."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}  # nothing is told to its makers

from langchain_openai import ChatOpenAI

from ._worker import HELLO, Read, Seen, serve


def connect(url: str, patience: float, **more: bool) -> ChatOpenAI:
    return ChatOpenAI(
        model="m",
        api_key="k",
        base_url=url,
        max_retries=0,
        timeout=patience,
        stream_chunk_timeout=patience,
        **more,
    )


def ended(told: dict) -> bool:
    return "finish_reason" in told or told.get("status") == "completed"


@asynccontextmanager
async def stream(responses: bool, url: str, patience: float) -> AsyncIterator[Read]:
    model = connect(url, patience, use_responses_api=responses)

    async def read(seen: Seen) -> None:
        async for chunk in model.astream(HELLO):
            seen.words.append(chunk.text)
            seen.ended |= ended(chunk.response_metadata)

    yield read


@asynccontextmanager
async def whole(url: str, patience: float) -> AsyncIterator[Read]:
    model = connect(url, patience, streaming=True)

    async def read(seen: Seen) -> None:
        answer = await model.ainvoke(HELLO)
        seen.words.append(answer.text)
        seen.ended = ended(answer.response_metadata)

    yield read


if __name__ == "__main__":
    serve({"openai": partial(stream, False), "responses": partial(stream, True), "openai whole": whole})
