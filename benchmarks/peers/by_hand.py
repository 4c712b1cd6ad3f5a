"""
What one writes by hand, with httpx-sse and json.loads, no deadlines and no promise. And what lies below: httpx handing
on bytes that nobody looks at, and the loop alone, reading a socket: no client can cost less than that.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import httpx
import httpx_sse

from ._worker import HELLO, MESSAGES, Read, Seen, serve

CHAT = {"model": "m", "messages": MESSAGES, "stream": True}


def openai(data: dict, seen: Seen) -> None:
    for choice in data["choices"]:
        seen.words.append(choice["delta"].get("content") or "")
        seen.ended |= choice.get("finish_reason") is not None


def responses(data: dict, seen: Seen) -> None:
    if data["type"] == "response.output_text.delta":
        seen.words.append(data["delta"])
    seen.ended |= data["type"] == "response.completed"


def anthropic(data: dict, seen: Seen) -> None:
    if data["type"] == "content_block_delta":
        seen.words.append(data["delta"]["text"])
    seen.ended |= data["type"] == "message_stop"


def gemini(data: dict, seen: Seen) -> None:
    for candidate in data["candidates"]:
        seen.words += [part["text"] for part in candidate["content"]["parts"]]
        seen.ended |= "finishReason" in candidate


# shape: path, headers, body, what is read of an event
SHAPES: dict[str, tuple[str, dict, dict, Callable[[dict, Seen], None]]] = {
    "openai": ("/chat/completions", {"authorization": "Bearer k"}, CHAT, openai),
    "responses": (
        "/responses",
        {"authorization": "Bearer k"},
        {"model": "m", "input": HELLO, "stream": True},
        responses,
    ),
    "anthropic": (
        "/v1/messages",
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
        {**CHAT, "max_tokens": 999},
        anthropic,
    ),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"x-goog-api-key": "k"},
        {"contents": [{"role": "user", "parts": [{"text": HELLO}]}]},
        gemini,
    ),
}


@asynccontextmanager
async def loop(
    shape: str, url: str, patience: float, *, make: type[httpx.AsyncClient] = httpx.AsyncClient
) -> AsyncIterator[Read]:
    path, headers, body, take = SHAPES[shape]
    async with make(timeout=patience, headers=headers) as client:

        async def read(seen: Seen) -> None:
            async with httpx_sse.aconnect_sse(client, "POST", url + path, json=body) as events:
                async for event in events.aiter_sse():
                    if event.data == "[DONE]":
                        break
                    take(json.loads(event.data), seen)

        yield read


@asynccontextmanager
async def bytes_alone(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    """What the transport costs: nothing is decoded, so there are no words."""
    path, headers, body, _ = SHAPES[shape]
    async with httpx.AsyncClient(timeout=patience, headers=headers) as client:

        async def read(seen: Seen) -> None:
            async with client.stream("POST", url + path, json=body) as response:
                async for _ in response.aiter_raw():
                    pass

        yield read


class Reader(asyncio.Protocol):
    """What the loop's socket brings, for one who awaits it."""

    def __init__(self) -> None:
        self.data, self.waiter = b"", None

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.waiter is not None:
            self.waiter.set_result(None)
            self.waiter = None

    async def read(self) -> bytes:
        if not self.data:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        data, self.data = self.data, b""
        return data


@asynccontextmanager
async def socket(shape: str, url: str, patience: float) -> AsyncIterator[Read]:
    """What the loop and the kernel cost: HTTP is not looked at, but for the end of the chunks."""
    at = urlsplit(url)
    path, _, body, _ = SHAPES[shape]
    data = json.dumps(body).encode()
    request = (
        b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % ((at.path + path).encode(), len(data)) + data
    )
    if sys.argv[1] == "trio":
        import trio

        stream = await trio.open_tcp_stream(at.hostname, at.port)
        send, receive, close = stream.send_all, stream.receive_some, stream.aclose
    else:
        transport, reader = await asyncio.get_running_loop().create_connection(Reader, at.hostname, at.port)

        async def send(data: bytes) -> None:
            transport.write(data)

        async def close() -> None:
            transport.close()

        receive = reader.read

    async def read(seen: Seen) -> None:
        await send(request)
        while not (await receive()).endswith(b"0\r\n\r\n"):
            pass

    try:
        yield read
    finally:
        await close()


if __name__ == "__main__":
    serve(
        {shape: partial(loop, shape) for shape in SHAPES}
        | {f"{shape} bytes": partial(bytes_alone, shape) for shape in SHAPES}
        | {f"{shape} socket": partial(socket, shape) for shape in SHAPES}
    )
