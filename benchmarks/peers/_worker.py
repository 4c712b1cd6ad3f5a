"""
The inside of a worker: one client, driven by lines of JSON on stdin, answering on stdout. The standard library alone.

    {"program", "url", "patience"}            one answer, read on this worker's loop
        -> {"cpu_us", "pieces", "sha1"}       CPU time of the whole process meanwhile; how many pieces had text
    {"program", "urls", "patience", "bound"}  answers that may break, read at once, each with a client of its own
        -> {"answers": [{"how", "words", "ended"}]}, in the order of `urls`; `how` is `returned`, `raised` or `hangs`

An exception comes back as {"error": its class, "says": its text}. `patience` is the client's read timeout in seconds.
A program is what one writes with that client: it takes an address and a patience, and gives what reads one answer.

usage: python -m benchmarks.peers.NAME asyncio|trio
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TextIO

HELLO = "What is a headrace?"
MESSAGES = [{"role": "user", "content": HELLO}]


class Seen:
    """What a program has of an answer: its words, and whether it met the end signal that the client documents."""

    __slots__ = ("ended", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ended = False


Job = dict[str, Any]  # or its answer
Read = Callable[[Seen], Awaitable[None]]
Program = Callable[[str, float], AbstractAsyncContextManager[Read]]


async def ending(read: Read, bound: float) -> Job:
    """How one answer ends, as the program sees it."""
    seen = Seen()
    task = asyncio.ensure_future(read(seen))
    await asyncio.wait([task], timeout=bound)
    kept = {"words": "".join(seen.words), "ended": seen.ended}
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
        return {"how": "hangs", **kept}
    error = task.exception()
    return {"how": "raised", "error": type(error).__name__, **kept} if error else {"how": "returned", **kept}


async def watched(program: Program, job: Job) -> Job:
    """How each answer ends. All clients are made before one asks: that may take a while, and no clock runs yet."""
    async with AsyncExitStack() as stack:
        reads = [await stack.enter_async_context(program(url, job["patience"])) for url in job["urls"]]
        return {"answers": await asyncio.gather(*(ending(read, job["bound"]) for read in reads))}


async def read_once(program: Program, job: Job, opened: dict[tuple[str, str], Read], stack: AsyncExitStack) -> Job:
    """One answer with a client that stays open for the next."""
    key = job["program"], job["url"]
    if key not in opened:
        opened[key] = await stack.enter_async_context(program(job["url"], job["patience"]))
    read, seen = opened[key], Seen()
    began = time.process_time()
    await read(seen)
    took = time.process_time() - began
    pieces = [word for word in seen.words if word]
    return {"cpu_us": took * 1e6, "pieces": len(pieces), "sha1": hashlib.sha1("".join(pieces).encode()).hexdigest()}


async def work(programs: Mapping[str, Program], answers: TextIO) -> None:
    """One job after the other, until stdin ends. Nothing else wants this loop, so reading may block it."""
    opened: dict[tuple[str, str], Read] = {}
    async with AsyncExitStack() as stack:
        for line in sys.stdin:
            job = json.loads(line)
            program = programs[job["program"]]
            try:
                if "urls" in job:
                    answer = await watched(program, job)
                else:
                    answer = await read_once(program, job, opened, stack)
            except Exception as error:
                answer = {"error": type(error).__name__, "says": str(error)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def serve(programs: Mapping[str, Program]) -> None:
    """Be the worker. What libraries print goes to stderr: stdout is for answers."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers.write('{"ready": true}\n')
    answers.flush()
    if sys.argv[1] == "trio":
        import trio

        trio.run(work, programs, answers)
    else:
        asyncio.run(work(programs, answers))
