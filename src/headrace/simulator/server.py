"""
The socket side: accepts connections, reads requests with h11, plays the steps of their answers.

Plain non-blocking sockets under `anyio.wait_readable` and `wait_writable`, not anyio's streams: those may buffer, and
the ground truth is what the *kernel* took. A fault can then write what h11 would not, and reset by SO_LINGER.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio
import anyio.lowlevel
import h11

from .exchange import Exchange
from .steps import Cut, Head, Hold, Piece, Step, Wait

if TYPE_CHECKING:
    from ._simulator import Simulator

__all__ = ("Server",)

READ: Final = 2**16
HEAD_LIMIT: Final = 2**16  # bytes of a request's head
KEPT: Final = 32 * 2**20 + 1  # bytes of a request's body that are kept: enough to know that it is too large
UNREAD_AHEAD: Final = 2**20  # what a client may send on ahead while it is being answered, before nobody watches it


class ClientLeftError(Exception):
    """The peer is gone."""


class Server:
    """A listening socket and the tasks of its connections. Leaving it closes all of them, at once."""

    def __init__(self, simulator: Simulator, host: str, port: int) -> None:
        self._simulator, self._host, self._wanted = simulator, host, port
        self._group = anyio.create_task_group()
        self.port: int = 0

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind((self._host, self._wanted))
            listener.listen(1024)
            await self._group.__aenter__()
        except BaseException:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._group.start_soon(self._accept, listener, name="simulator accept")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # The group is not shown the body's exception: alone it must leave, not in an ExceptionGroup.
        self._group.cancel_scope.shield = True
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)  # noqa: ASYNC102  # shielded above, and cancelled

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    peer, _ = listener.accept()
                except BlockingIOError:
                    await anyio.wait_readable(listener)
                    continue
                except OSError:  # the peer was faster to leave than we to accept, or no descriptors are left
                    await anyio.sleep(0.01)
                    continue
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._group.start_soon(self._serve, peer, name="simulator connection")
                await anyio.lowlevel.checkpoint()

    async def _serve(self, peer: socket.socket) -> None:
        connection = _Connection(peer, self._simulator)
        try:
            await connection.serve()
        finally:
            connection.close()


class _Connection:
    """One connection: requests one after the other, until either side has enough."""

    def __init__(self, peer: socket.socket, simulator: Simulator) -> None:
        self._peer, self._simulator = peer, simulator
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._ahead = bytearray()  # read while an answer was played, for the next request
        self._number = simulator.opened()

    def close(self) -> None:
        self._peer.close()
        self._simulator.closed()

    async def serve(self) -> None:
        try:
            while (request := await self._request()) is not None:
                head, body = request
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}
                exchange, steps = self._simulator.begin(
                    head.method.decode("ascii"), head.target.decode("latin-1"), headers, body, self._number
                )
                try:
                    await self._answer(exchange, steps)
                finally:
                    exchange.end("closed")  # where nothing else was said: the simulator is being left
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as exc:
            await self._reject(exc)
        except ClientLeftError:
            pass

    # ---- requests

    async def _request(self) -> tuple[h11.Request, bytes] | None:
        """The next request, or None where the peer has closed instead."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._send_all(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
                self._http.receive_data(await self._receive())
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data[: KEPT - len(body)]
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return head, bytes(body)
            else:
                return None

    async def _reject(self, exc: h11.RemoteProtocolError) -> None:
        """What is not HTTP gets the status that h11 suggests, and the connection closes."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        body = f"{exc}\n".encode()
        head = h11.Response(
            status_code=exc.error_status_hint,
            headers=[("content-type", "text/plain"), ("content-length", str(len(body))), ("connection", "close")],
        )
        with suppress(ClientLeftError):
            await self._send_all((self._http.send(head) or b"") + body)

    # ---- answers

    async def _answer(self, exchange: Exchange, steps: Iterator[Step]) -> None:
        """Play the steps while somebody listens."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, exchange, group.cancel_scope, name="simulator watch")
            try:
                await self._play(exchange, steps)
            except ClientLeftError:
                exchange.end("client left")
            group.cancel_scope.cancel()
        if exchange.ended == "client left":
            raise ClientLeftError

    async def _watch(self, exchange: Exchange, scope: anyio.CancelScope) -> None:
        try:
            while len(self._ahead) < UNREAD_AHEAD:
                data = await self._read()
                if not data:
                    break
                self._ahead += data
            else:
                return
        except ClientLeftError:
            pass
        exchange.end("client left")
        scope.cancel()

    async def _play(self, exchange: Exchange, steps: Iterator[Step]) -> None:
        head: Head | None = None
        for step in steps:
            match step:
                case Head():
                    head = step
                    exchange.status = head.status
                    await self._send_all(self._encoded(head))
                case Piece() if head is not None and step.data and exchange.method != "HEAD":
                    await self._send_piece(exchange, step, head)
                case Wait():
                    await anyio.sleep(step.seconds)
                case Hold():
                    await anyio.sleep_forever()
                case Cut():
                    await self._cut(exchange, reset=step.reset)
                    return
                case Piece():
                    pass
        if head is not None and head.true:
            await self._send_all(self._http.send(h11.EndOfMessage()) or b"")
        else:
            self._peer.shutdown(socket.SHUT_WR)
        exchange.end("complete")
        await anyio.lowlevel.checkpoint()

    def _encoded(self, head: Head) -> bytes:
        length = (("transfer-encoding", "chunked"),) if head.length is None else (("content-length", str(head.length)),)
        headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in (*head.headers, *length)
        ]
        return self._http.send(h11.Response(status_code=head.status, headers=headers)) or b""

    async def _send_piece(self, exchange: Exchange, piece: Piece, head: Head) -> None:
        data = self._http.send(h11.Data(data=piece.data)) or b"" if head.true else piece.data
        coding = len(data) - len(piece.data)  # chunked: a line before, an empty one after
        count = told = 0
        while count < len(data):
            count += await self._send_some(memoryview(data)[count:])
            # No await between the kernel's word and the book: nobody can have read what is not written there.
            body = min(max(0, count - max(0, coding - 2)), len(piece.data))
            exchange.sent(piece, told, body)
            told = body
        if head.true and exchange.bytes_sent == head.length:
            exchange.end("complete")  # who counts the bytes may leave now
        await anyio.lowlevel.checkpoint()

    async def _cut(self, exchange: Exchange, *, reset: bool) -> None:
        """The connection closes when the answer's group is left: not under a task that waits for it."""
        if reset:
            await self._drained()
            layout = "hh" if sys.platform == "win32" else "ii"
            self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0))
        exchange.end("cut")

    async def _drained(self) -> None:
        """A reset throws away what the peer's kernel has not taken yet; the truth says that it was sent."""
        try:
            from fcntl import ioctl
            from termios import TIOCOUTQ
        except ImportError:
            return
        while struct.unpack("i", ioctl(self._peer, TIOCOUTQ, b"\0" * 4))[0]:  # noqa: ASYNC110  # the kernel has no event for it
            await anyio.sleep(0.001)

    # ---- bytes

    async def _receive(self) -> bytes:
        if self._ahead:
            data, self._ahead = bytes(self._ahead), bytearray()
            return data
        return await self._read()

    async def _read(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self._peer.recv(READ)
            except BlockingIOError:
                await anyio.wait_readable(self._peer)
            except OSError as exc:
                raise ClientLeftError from exc

    async def _send_all(self, data: bytes) -> None:
        """Hand over all of it. No checkpoint after the last byte."""
        count = 0
        while count < len(data):
            count += await self._send_some(memoryview(data)[count:])

    async def _send_some(self, data: memoryview) -> int:
        while True:
            try:
                return self._peer.send(data)
            except BlockingIOError:
                await anyio.wait_writable(self._peer)
            except OSError as exc:
                raise ClientLeftError from exc
