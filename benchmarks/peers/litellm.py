"""litellm: `acompletion(stream=True)`, which gives chunks in OpenAI's format from either vendor."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

# Read when it is imported: without them it asks GitHub for its tables.
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}

import litellm

from ._worker import MESSAGES, Read, Seen, serve

litellm.telemetry = False
litellm.suppress_debug_info = True


@asynccontextmanager
async def completion(vendor: str, url: str, patience: float) -> AsyncIterator[Read]:
    async def read(seen: Seen) -> None:
        answer = await litellm.acompletion(
            model=f"{vendor}/m",
            messages=MESSAGES,
            stream=True,
            api_key="k",
            api_base=url,
            max_tokens=999,
            timeout=patience,
            stream_timeout=patience,
            max_retries=0,
            num_retries=0,
        )
        async for chunk in answer:
            for choice in chunk.choices:
                seen.words.append(choice.delta.content or "")
                seen.ended |= choice.finish_reason is not None

    yield read


if __name__ == "__main__":
    serve({vendor: partial(completion, vendor) for vendor in ("openai", "anthropic")})
