"""
What does a streamed chunk cost? CPU microseconds of the client per chunk, the server in another process.

Peers are interleaved in one run, so that what slows the machine slows them all; the ratio of a peer is the median of
its ratios to the hand-written loop, round by round. CPU time of the process, so waiting costs nothing.

usage: python -m benchmarks.stream_overhead [--rounds N] [--chunks N] [--shape openai|responses|anthropic|gemini]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import anyio
import httpx
import httpx_sse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from headrace import AIMessage, Recorder
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider
from headrace.telemetry.otel import instrument

from ._bench import machine, source, table, versions

Runner = Callable[[], Awaitable[int]]
MESSAGES = [AIMessage("user", "hi")]
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
PACES = {"one event a read": (1, 300), "ten events a read": (10, 1000), "as fast as it comes": (1, 0)}
PROVIDERS = {
    "openai": OpenAIProvider,
    "responses": partial(OpenAIProvider, api="responses"),
    "anthropic": AnthropicProvider,
    "gemini": GeminiProvider,
}


def openai_text(data: dict) -> str | None:
    return data["choices"][0]["delta"].get("content") if data["choices"] else None


def responses_text(data: dict) -> str | None:
    return data["delta"] if data["type"] == "response.output_text.delta" else None


def anthropic_text(data: dict) -> str | None:
    return data["delta"].get("text") if data["type"] == "content_block_delta" else None


def gemini_text(data: dict) -> str | None:
    return data["candidates"][0]["content"]["parts"][0]["text"]


TEXT = {"openai": openai_text, "responses": responses_text, "anthropic": anthropic_text, "gemini": gemini_text}


async def bare(client: httpx.AsyncClient, url: str) -> int:
    """The bytes, and nothing else: what the transport costs."""
    count = 0
    async with client.stream("POST", url, json=BODY) as response:
        async for _ in response.aiter_raw():
            count += 1
    return count


async def hand(client: httpx.AsyncClient, url: str, shape: str) -> int:
    """What one writes by hand: httpx-sse and json.loads, and no promise at all."""
    text, parts = TEXT[shape], []
    async with httpx_sse.aconnect_sse(client, "POST", url, json=BODY) as events:
        async for event in events.aiter_sse():
            if event.data == "[DONE]":
                break
            word = text(json.loads(event.data))
            if word:
                parts.append(word)
    return len(parts)


async def ours(provider: OpenAIProvider | AnthropicProvider | GeminiProvider) -> int:
    """headrace: all deadlines and guarantees on."""
    count = 0
    async with provider.chat_stream(MESSAGES) as stream:
        async for chunk in stream:
            count += bool(chunk.content)
    assert stream.state == "finished", stream.state
    return count


async def observed(provider: OpenAIProvider) -> int:
    """The same with spans and metrics of the OpenTelemetry SDK; in all other runs nobody listens."""
    stop = instrument(TracerProvider(), MeterProvider([InMemoryMetricReader()]))
    try:
        return await ours(provider)
    finally:
        stop()


async def peers(stack: AsyncExitStack, base: str, shape: str, backend: str) -> dict[str, Runner]:
    """Everyone who is to be measured in this shape on this loop."""
    paths = {
        "openai": "/chat/completions",
        "responses": "/responses",
        "anthropic": "/v1/messages",
        "gemini": "/v1beta/models/m:stream",
    }
    url = base + paths[shape]
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
    provider = await stack.enter_async_context(PROVIDERS[shape](api_key="k", base_url=base))
    runs: dict[str, Runner] = {
        "bare httpx bytes": lambda: bare(client, url),
        "hand-written loop": lambda: hand(client, url, shape),
        "headrace": lambda: ours(provider),
    }
    if shape == "openai":
        recorded = await stack.enter_async_context(OpenAIProvider("k", base_url=base, recorder=Recorder()))
        runs |= {
            "headrace, with OpenTelemetry": lambda: observed(provider),
            "headrace, with a recorder": lambda: ours(recorded),
        }
    if shape in {"openai", "responses"} and backend == "asyncio":
        runs |= await openai_sdk(stack, base, shape)
    if shape == "anthropic" and backend == "asyncio":
        runs |= await anthropic_sdk(stack, base)
    return runs


async def openai_sdk(stack: AsyncExitStack, base: str, shape: str) -> dict[str, Runner]:
    try:
        import openai
    except ImportError:
        return {}
    client = await stack.enter_async_context(openai.AsyncOpenAI(api_key="k", base_url=base, max_retries=0))

    async def chat() -> int:
        count = 0
        messages = [{"role": "user", "content": "hi"}]
        async for chunk in await client.chat.completions.create(model="m", messages=messages, stream=True):
            count += bool(chunk.choices and chunk.choices[0].delta.content)
        return count

    async def responses() -> int:
        count = 0
        async for event in await client.responses.create(model="m", input="hi", stream=True):
            count += event.type == "response.output_text.delta"
        return count

    return {"openai SDK": chat if shape == "openai" else responses}


async def anthropic_sdk(stack: AsyncExitStack, base: str) -> dict[str, Runner]:
    try:
        import anthropic
    except ImportError:
        return {}
    client = await stack.enter_async_context(anthropic.AsyncAnthropic(api_key="k", base_url=base, max_retries=0))

    async def run() -> int:
        count = 0
        messages = [{"role": "user", "content": "hi"}]
        async for event in await client.messages.create(model="m", max_tokens=9, messages=messages, stream=True):
            count += event.type == "content_block_delta"
        return count

    return {"anthropic SDK": run}


async def measure(port: int, shape: str, pace: str, chunks: int, rounds: int, backend: str) -> list[list[str]]:
    per, gap = PACES[pace]
    base = f"http://127.0.0.1:{port}/{shape}/n-{chunks}/per-{per}/gap-{gap}"
    took: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        runs = await peers(stack, base, shape, backend)
        for number in range(rounds + 1):
            for name, run in runs.items():
                began = time.process_time()
                count = await run()
                cost = (time.process_time() - began) / chunks * 1e6
                assert count >= chunks, (name, count)
                if number:  # the first round warms up
                    took.setdefault(name, []).append(cost)
    by_hand = took["hand-written loop"]
    return [
        [
            shape,
            backend,
            pace,
            name,
            f"{statistics.median(costs):.1f}",
            f"{statistics.median(a / b for a, b in zip(costs, by_hand, strict=True)):.2f}",
        ]
        for name, costs in took.items()
    ]


def report(*, rounds: int = 11, chunks: int = 2000, shapes: tuple[str, ...] = tuple(TEXT)) -> str:
    """The section of docs/benchmarks.md."""
    rows: list[list[str]] = []
    with source() as port:
        for shape in shapes:
            for backend in ("asyncio", "trio"):
                for pace in PACES:
                    new = anyio.run(measure, port, shape, pace, chunks, rounds, backend, backend=backend)
                    rows += new
                    for row in new:
                        print("  ".join(f"{cell:>19}" for cell in row), flush=True)
    return "\n\n".join(
        (
            "## What a streamed chunk costs",
            (
                f"`python -m benchmarks.stream_overhead --rounds {rounds} --chunks {chunks}` on {machine()}; "
                f"{versions('anyio', 'trio', 'httpx', 'httpx-sse', 'msgspec', 'openai', 'anthropic')}."
            ),
            (
                "CPU microseconds of the client process per chunk, medians; the ratio is the median of the ratios to "
                "the hand-written loop (httpx-sse and `json.loads`, no deadlines, no recovery) within each round. "
                "The server runs in another process; headrace runs with all deadlines and guarantees on. Nobody "
                "listens to its telemetry but in the row that says so: spans and metrics cost what they cost once for "
                "a response."
            ),
            (
                "One event a read: the server rests 300 us after each event, so that each wakes the client by itself; "
                "as fast as it comes: one write an event without a rest; ten events a read: one write for ten, then a "
                "rest of 1 ms."
            ),
            table(["format", "loop", "arrival", "client", "us a chunk", "ratio"], rows),
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--shape", choices=[*TEXT], action="append")
    options = parser.parse_args()
    report(rounds=options.rounds, chunks=options.chunks, shapes=tuple(options.shape or TEXT))
