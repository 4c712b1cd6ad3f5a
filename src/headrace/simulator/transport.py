"""
The in-memory side: an httpx transport that plays the same steps without sockets.

It waits by `anyio.sleep` alone, so a test's virtual time moves it. What needs a socket becomes the error that httpx
raises where a socket breaks in that way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import anyio
import anyio.lowlevel
import httpx

from .exchange import Exchange
from .steps import Cut, Head, Hold, Piece, Step, Wait

if TYPE_CHECKING:
    from ._simulator import Simulator

__all__ = ("SimulatorTransport",)


class SimulatorTransport(httpx.AsyncBaseTransport):
    """
    For `httpx.AsyncClient(transport=...)`.

    A connection is one while its response is open, or idle after a complete one; the next request takes it again.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._idle: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        connection = self._idle.pop() if self._idle else self._simulator.opened()
        headers = {name.lower(): value for name, value in request.headers.items()}
        exchange, steps = self._simulator.begin(
            request.method, request.url.raw_path.decode("ascii"), headers, body, connection
        )
        try:
            head = await self._head(exchange, steps)
        except BaseException:
            exchange.end("client left")
            self._simulator.closed()
            raise
        length = ("transfer-encoding", "chunked") if head.length is None else ("content-length", str(head.length))
        stream = _Body(self, exchange, head, steps)
        return httpx.Response(head.status, headers=[*head.headers, length], stream=stream, request=request)

    async def aclose(self) -> None:
        while self._idle:
            self._idle.pop()
            self._simulator.closed()

    async def _head(self, exchange: Exchange, steps: Iterator[Step]) -> Head:
        for step in steps:
            await anyio.lowlevel.checkpoint()
            match step:
                case Head():
                    exchange.status = step.status
                    return step
                case Wait():
                    await anyio.sleep(step.seconds)
                case Hold():
                    await anyio.sleep_forever()
                case Cut():
                    exchange.end("cut")
                    if step.reset:
                        raise httpx.ReadError("connection reset by peer")
                    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
                case Piece():
                    pass
        exchange.end("complete")
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

    def release(self, exchange: Exchange, *, keep: bool) -> None:
        """The response of `exchange` was closed; `keep` says whether its connection may be used again."""
        if exchange.ended == "complete" and keep:
            self._idle.append(exchange.connection)
        else:
            exchange.end("client left")
            self._simulator.closed()


class _Body(httpx.AsyncByteStream):
    """One body. A class iterator: an async generator's end would hang on whoever drops it."""

    def __init__(self, transport: SimulatorTransport, exchange: Exchange, head: Head, steps: Iterator[Step]) -> None:
        self._transport, self._exchange, self._steps = transport, exchange, steps
        self._length, self._true = head.length, head.true
        self._given = 0
        self._closed = False
        self._hidden = exchange.method == "HEAD"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if self._closed or self._exchange.ended != "open":
            raise StopAsyncIteration
        for step in self._steps:
            match step:
                case Piece():
                    self._exchange.sent(step, 0, len(step.data))
                    data = step.data
                    if self._length is not None:
                        data = data[: self._length - self._given]  # what is beyond belongs to no response
                    self._given += len(data)
                    if data and not self._hidden:
                        return data
                case Wait():
                    await anyio.sleep(step.seconds)
                case Hold():
                    await anyio.sleep_forever()
                case Cut():
                    self._exchange.end("cut")
                    raise httpx.ReadError("connection reset by peer") if step.reset else self._incomplete()
                case Head():
                    pass
        self._exchange.end("complete")
        if self._length is not None and self._given < self._length and not self._hidden:
            raise self._incomplete()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.release(self._exchange, keep=self._true)

    def _incomplete(self) -> httpx.RemoteProtocolError:
        what = "incomplete chunked read"
        if self._length is not None:
            what = f"received {self._given} bytes, expected {self._length}"
        return httpx.RemoteProtocolError(f"peer closed connection without sending complete message body ({what})")
