"""
A stream source in a process of its own: `python -m benchmarks._source PORT`.

POST anything to /<shape>/n-<events>/per-<events a write>/gap-<microseconds between writes>/...; the answer is that many
word events in the shape's format, each in its own HTTP chunk, then the shape's proper end. Speaks just enough HTTP.

With `rest` in the path nothing comes after the words, and the connection stays open until the client closes it; with
`close` each answer has a connection of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from functools import cache

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req_1\r\nx-ratelimit-limit-requests: 10000000\r\nx-ratelimit-remaining-requests: 9999999\r\n"
    b"x-ratelimit-reset-requests: 0s\r\n\r\n"
)  # limits are told, and so far away that nobody is paced: hundreds of requests a second come here
HEAD_CLOSE = HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
BACKLOG = 4096  # connections that may wait to be accepted: where one finds no place, it tries again after a second


def sse(value: object, event: str = "") -> bytes:
    line = b"event: %b\n" % event.encode() if event else b""
    return line + b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def openai_events(n: int) -> list[bytes]:
    def chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, object]:
        return {
            "id": "chatcmpl-BxYz0123456789abcdefghijklmn",
            "object": "chat.completion.chunk",
            "created": 1763800000,
            "model": "gpt-6.1-terra",
            "service_tier": "default",
            "system_fingerprint": "fp_0123456789",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
            "usage": None,
            "obfuscation": "a1b2c3d4",
        }

    usage = {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": n + 10}
    words = [sse(chunk({"content": f" token{i}"})) for i in range(n)]
    return [*words, sse(chunk({}, "stop")), sse({**chunk({}), "choices": [], "usage": usage}), b"data: [DONE]\n\n"]


def responses_events(n: int) -> list[bytes]:
    number = 0

    def event(kind: str, **rest: object) -> bytes:
        nonlocal number
        number += 1
        return sse({"type": kind, "sequence_number": number, **rest}, kind)

    def response(status: str, **rest: object) -> dict[str, object]:
        return {"id": "resp_1", "object": "response", "status": status, "model": "gpt-6.1-terra", "tools": [], **rest}

    at = {"item_id": "msg_0123456789abcdef0123456789abcdef0123456789abcdef", "output_index": 0, "content_index": 0}
    whole = "".join(f" token{i}" for i in range(n))
    part = {"type": "output_text", "text": whole, "annotations": [], "logprobs": []}
    message = {"id": at["item_id"], "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {"input_tokens": 10, "output_tokens": n, "total_tokens": n + 10}
    return [
        event("response.created", response=response("in_progress", output=[])),
        event("response.in_progress", response=response("in_progress", output=[])),
        event("response.output_item.added", output_index=0, item={**message, "status": "in_progress", "content": []}),
        event("response.content_part.added", **at, part={**part, "text": ""}),
        *(
            event("response.output_text.delta", **at, delta=f" token{i}", logprobs=[], obfuscation="a1b2c3d4")
            for i in range(n)
        ),
        event("response.output_text.done", **at, text=whole, logprobs=[]),
        event("response.content_part.done", **at, part=part),
        event("response.output_item.done", output_index=0, item=message),
        event("response.completed", response=response("completed", output=[message], usage=usage)),
    ]


def anthropic_events(n: int) -> list[bytes]:
    def event(kind: str, **rest: object) -> bytes:
        return sse({"type": kind, **rest}, kind)

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    words = [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": f" token{i}"}) for i in range(n)
    ]
    return [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *words,
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": n}),
        event("message_stop"),
    ]


def gemini_events(n: int) -> list[bytes]:
    def event(text: str, reason: str | None = None) -> bytes:
        candidate: dict[str, object] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        usage = {"promptTokenCount": 10, "candidatesTokenCount": n, "totalTokenCount": n + 10}
        return sse(
            {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3.8-flash", "responseId": "r1"}
        )

    return [*(event(f" token{i}") for i in range(n - 1)), event(f" token{n - 1}", "STOP")]


SHAPES = {
    "openai": openai_events,
    "responses": responses_events,
    "anthropic": anthropic_events,
    "gemini": gemini_events,
}


@cache
def writes(shape: str, n: int, per: int) -> list[bytes]:
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in SHAPES[shape](n)]
    return [b"".join(chunks[i : i + per]) for i in range(0, len(chunks), per)]


@cache
def words(shape: str, n: int) -> bytes:
    """That many word events in one write, and no end."""
    return b"".join(writes(shape, n, 1)[:n])


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            length = next((int(line[15:]) for line in head if line.lower().startswith("content-length:")), 0)
            await reader.readexactly(length)
            _, shape, n, per, gap, *rest = head[0].split(" ")[1].split("/")
            pause = int(gap.removeprefix("gap-")) * 1e-6
            writer.write(HEAD if "close" not in rest else HEAD_CLOSE)
            if "rest" in rest:
                writer.write(words(shape, int(n.removeprefix("n-"))))
                await reader.read()
                return
            for data in writes(shape, int(n.removeprefix("n-")), int(per.removeprefix("per-"))):
                due = time.perf_counter() + pause
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0)
                while time.perf_counter() < due:  # the loop's timers are too coarse
                    pass
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            if "close" in rest:
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one file a connection
    server = await asyncio.start_server(handle, "127.0.0.1", port, backlog=BACKLOG)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
