"""The events that the scripts are made of, written out, and what the tests ask of chunks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Final

from headrace import AIMessage, AIStreamChunk

MESSAGES: Final = [AIMessage("user", "hi")]

ROLE: Final = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
A: Final = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
B: Final = b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}]}\n\n'
C: Final = b'data: {"choices":[{"index":0,"delta":{"content":"c"},"finish_reason":null}]}\n\n'
FINISH: Final = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE: Final = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}\n\n'
DONE: Final = b"data: [DONE]\n\n"
ERROR: Final = b'data: {"error":{"type":"server_error","message":"boom"}}\n\n'
PING: Final = b": ping\n\n"
BROKEN: Final = b"data: {nope\n\n"


def word(text: str) -> bytes:
    """An event with these words; for those that need no escape in JSON."""
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text.encode()


async def drain(chunks: AsyncIterable[AIStreamChunk]) -> list[AIStreamChunk]:
    """All of them."""
    return [chunk async for chunk in chunks]


def text(chunks: Iterable[AIStreamChunk]) -> str:
    """The model's words."""
    return "".join(chunk.content for chunk in chunks if not chunk.is_marker)
