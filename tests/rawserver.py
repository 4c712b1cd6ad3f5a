"""
A loopback HTTP server in a thread of its own that plays scripts: one URL, one script, whatever is asked.

A script's steps are bytes (sent as one HTTP chunk), numbers (seconds of pause), gates (wait for the test) and faults.
The server counts what it saw, so a test can ask the far end of the wire what is still open. Knows no event format.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Self, TypeAlias

__all__ = ("Fault", "Gate", "RawServer", "Step")


class Fault(Enum):
    """How an answer goes wrong. The first two stand anywhere in a script and hold for all of it."""

    NO_HEAD = auto()  # the request is read and never answered
    UNFRAMED = auto()  # no chunked framing: only the closed connection ends the body
    HANG = auto()  # silence until the client goes
    FIN = auto()  # the connection is closed in the middle of the body
    RST = auto()  # the connection is reset in the middle of the body


class Gate:
    """A step that waits until the test opens it, from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._event = loop, asyncio.Event()

    def open(self) -> None:
        """Let the script go on."""
        self._loop.call_soon_threadsafe(self._event.set)

    async def passed(self) -> None:
        """Wait. For the server."""
        await self._event.wait()


Step: TypeAlias = bytes | float | Gate | Fault


@dataclass(frozen=True)
class _Script:
    steps: tuple[Step, ...]
    status: int
    headers: Mapping[str, str]


class RawServer:
    """
    The server. `with` starts and stops it.

    Attributes:
        requests, connections: how many came, ever.
        open: connections that are open now.
        sent: bytes of bodies that the kernel took, ever.
        last_headers: of the latest request, names in lower case.
    """

    def __init__(self) -> None:
        self.requests = self.connections = self.open = self.sent = 0
        self.last_headers: dict[str, str] = {}
        self._scripts: dict[str, _Script] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="raw server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def play(self, *steps: Step, status: int = 200, headers: Mapping[str, str] | None = None) -> str:
        """A base URL; every request below it is answered with this script: events, unless `headers` say else."""
        name = f"s{len(self._scripts)}"
        self._scripts[name] = _Script(steps, status, {"Content-Type": "text/event-stream", **(headers or {})})
        return f"http://127.0.0.1:{self.port}/{name}"

    def gate(self) -> Gate:
        """A closed gate, to be put into a script."""
        return Gate(self._loop)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self.open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection can take another."""
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        self.last_headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        await reader.readexactly(int(self.last_headers.get("content-length", "0")))
        self.requests += 1
        script = self._scripts[start.split()[1].split("/")[1]]
        if Fault.NO_HEAD in script.steps:
            return await _silent(reader)
        unframed = Fault.UNFRAMED in script.steps
        framing = ("Connection", "close") if unframed else ("Transfer-Encoding", "chunked")
        head = "".join(f"{name}: {value}\r\n" for name, value in (*script.headers.items(), framing))
        writer.write(f"HTTP/1.1 {script.status} {HTTPStatus(script.status).phrase}\r\n{head}\r\n".encode())
        for step in script.steps:
            if isinstance(step, bytes):
                writer.write(step if unframed else b"%x\r\n%b\r\n" % (len(step), step))
                await writer.drain()
                self.sent += len(step)
            elif isinstance(step, Gate):
                await step.passed()
            elif isinstance(step, int | float):
                await asyncio.sleep(step)
            elif step is Fault.HANG:
                return await _silent(reader)
            elif step is Fault.FIN:
                return False
            elif step is Fault.RST:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
        if not unframed:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return not unframed


async def _silent(reader: asyncio.StreamReader) -> bool:
    while await reader.read(4096):
        pass
    return False
