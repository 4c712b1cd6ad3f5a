"""headrace, all deadlines and guarantees on; alone, observed by OpenTelemetry, with a recorder, and asked for whole."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from headrace import AIMessage, Deadlines, Recorder, StreamInterruptedError
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider

from ._worker import HELLO, Read, Seen, serve

ASKED = [AIMessage("user", HELLO)]
PROVIDERS: dict[str, Any] = {
    "openai": OpenAIProvider,
    "responses": partial(OpenAIProvider, api="responses"),
    "anthropic": AnthropicProvider,
    "gemini": GeminiProvider,
}


def patient(shape: str, url: str, patience: float, **more: Any) -> Any:
    deadlines = Deadlines(first_chunk=patience, next_chunk=patience, idle=patience)
    return PROVIDERS[shape]("k", base_url=url, deadlines=deadlines, **more)


@asynccontextmanager
async def loop(shape: str, raises: bool, url: str, patience: float, **more: Any) -> AsyncIterator[Read]:
    async with patient(shape, url, patience, **more) as provider:

        async def read(seen: Seen) -> None:
            async with provider.chat_stream(ASKED) as stream:
                async for chunk in stream:
                    if not chunk.is_marker:
                        seen.words.append(chunk.content)
                    seen.ended |= chunk.is_final and chunk.error is None
            if raises:
                stream.raise_for_interruption()

        yield read


@asynccontextmanager
async def observed(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    """With spans and metrics of the OpenTelemetry SDK; in the other programs nobody listens."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from headrace.telemetry.otel import instrument

    stop = instrument(TracerProvider(), MeterProvider([InMemoryMetricReader()]))
    try:
        async with loop(shape, True, url, patience) as read:
            yield read
    finally:
        stop()


@asynccontextmanager
async def recorded(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    async with loop(shape, True, url, patience, recorder=Recorder()) as read:
        yield read


@asynccontextmanager
async def whole(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    async with patient(shape, url, patience) as provider:

        async def read(seen: Seen) -> None:
            try:
                answer = await provider.chat(ASKED)
            except StreamInterruptedError as error:
                seen.words.append(error.partial_content)
                raise
            seen.words.append(answer.content)
            seen.ended = answer.finish_reason is not None

        yield read


if __name__ == "__main__":
    logging.getLogger("headrace").setLevel(logging.ERROR)  # each cut is one warning
    serve(
        {shape: partial(loop, shape, True) for shape in PROVIDERS}
        | {f"{shape} quiet": partial(loop, shape, False) for shape in PROVIDERS}
        | {f"{shape} observed": partial(observed, shape) for shape in PROVIDERS}
        | {f"{shape} recorded": partial(recorded, shape) for shape in PROVIDERS}
        | {f"{shape} whole": partial(whole, shape) for shape in PROVIDERS}
    )
