"""An httpx transport without a socket, whose bodies are class iterators: for virtual time, and for any cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias

import httpx
from anyio import sleep, sleep_forever
from anyio.lowlevel import checkpoint

from .foreign import HANG

__all__ = ("Canned", "Piece", "client")

Piece: TypeAlias = bytes | float | Exception


class Pieces(httpx.AsyncByteStream):
    """A body: bytes arrive, numbers are seconds of silence, exceptions are raised."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._left = list(reversed(pieces))
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await checkpoint()
        while self._left:
            piece = self._left.pop()
            if isinstance(piece, bytes):
                return piece
            if isinstance(piece, Exception):
                raise piece
            await (sleep_forever() if piece == HANG else sleep(piece))
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await checkpoint()
        self.closed = True


class Canned(httpx.AsyncBaseTransport):
    """Answers each request with a fresh body of the same pieces. `bodies` are those that were given out."""

    def __init__(self, pieces: Sequence[Piece], *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.pieces, self.status = pieces, status
        self.headers = {"content-type": "text/event-stream", **(headers or {})}
        self.bodies: list[Pieces] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await checkpoint()
        self.bodies.append(Pieces(self.pieces))
        return httpx.Response(self.status, headers=self.headers, stream=self.bodies[-1])


def client(pieces: Sequence[Piece], *, status: int = 200) -> httpx.AsyncClient:
    """A client that needs no closing: it holds nothing."""
    return httpx.AsyncClient(transport=Canned(pieces, status=status), trust_env=False)
