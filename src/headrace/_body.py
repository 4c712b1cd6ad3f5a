"""
The bytes of a response's body, in as few steps as can be: an HTTP response of httpx or httpx2 in, bytes out.

httpx hands a body on in pieces as the server framed them, most often one for each event, through five generators, and
httpcore opens a cancel scope for each read. `Direct` asks httpcore's HTTP/1.1 parser and the socket's own stream
instead, for all that one read brings. `Buffered` asks aiohttp's reader, where httpx stands on aiohttp: it keeps what
aiohttp drops when a connection breaks. Where none of them is found (HTTP/2, another transport, another version) the
public way serves: slower. Who closes the response, and gives its connection back, is the same.

Knows no events, no clocks and no vendor. Each piece is what has come since the last; an error comes after what came
before it.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol, TypeAlias, cast

import h11
from anyio import BrokenResourceError, CancelScope, EndOfStream
from anyio.lowlevel import current_token

__all__ = ("Body", "body_of")

READ: Final = 64 << 10  # bytes asked of the socket at once, as httpcore does
LIBRARIES: Final = frozenset({"aiohttp", "anyio", "httpcore", "httpcore2", "httpx", "httpx2", "httpx_aiohttp", "trio"})
PIECE: Final = 1 << 20  # bytes; the bounds of what is unfinished are counted by the piece
READS: Final = ("exception", "at_eof", "_read_nowait", "_wait")  # of aiohttp's reader

Receive: TypeAlias = Callable[[int], Awaitable[bytes]]  # of an anyio stream, or a trio stream: at most so many bytes


class Body(Protocol):
    """
    The pieces of one body.

    A read raises StopAsyncIteration when the body is complete. That it broke is told by h11's RemoteProtocolError, by
    anyio's BrokenResourceError, or by the errors of the library that the response is of.
    """

    async def __anext__(self) -> bytes: ...

    async def unwind(self) -> None:
        """End the reading of a body that has not come to its end."""
        ...


class Direct:
    """The body of an HTTP/1.1 response, a read at a time. An error is raised again and again."""

    def __init__(self, parser: h11.Connection, receive: Receive) -> None:
        self._parser, self._receive = parser, receive
        self._over = False
        self._broken: Exception | None = None  # to be raised when what came before it has been handed on

    async def __anext__(self) -> bytes:
        while True:
            if data := self._parsed():
                return data
            if self._broken is not None:
                raise self._broken
            if self._over:
                raise StopAsyncIteration
            try:
                self._parser.receive_data(await self._receive(READ))
            except EndOfStream:
                self._parser.receive_data(b"")
            except Exception as exc:  # noqa: BLE001  # anyio's, trio's or ssl's own
                self._broken, self._over = _broken_by(exc), True

    def _parsed(self) -> bytes:
        """All of the body that has been read and not been handed on."""
        pieces: list[bytes] = []
        following = self._parser.next_event
        try:
            while not self._over:
                event = following()
                if type(event) is h11.Data:
                    pieces.append(event.data)
                elif event is h11.NEED_DATA:
                    break
                else:
                    self._over = True
                    if self._parser.trailing_data[0]:  # no answer to anything: the next request would get it as its own
                        self._parser.send_failed()  # so this connection is not used again
        except h11.RemoteProtocolError as exc:
            self._broken, self._over = exc, True
        return b"".join(pieces)

    async def unwind(self) -> None:
        """Nothing is suspended here."""


class Content(Protocol):
    """What is used of aiohttp's StreamReader."""

    _buffer: deque[bytes]

    def exception(self) -> Exception | None: ...
    def at_eof(self) -> bool: ...
    def _read_nowait(self, n: int) -> bytes: ...
    async def _wait(self, func_name: str) -> None: ...


class Buffered:
    """
    The body of an aiohttp response, a read at a time. An error is raised again and again.

    aiohttp's own reads raise once the connection has broken, whatever lies in its buffer (3.14): here that comes first.
    """

    def __init__(self, content: Content) -> None:
        self._content, self._buffer = content, content._buffer
        self._broken: Exception | None = None

    async def __anext__(self) -> bytes:
        content, buffer = self._content, self._buffer
        while not buffer:
            if self._broken is None and (exc := content.exception()) is not None:
                self._broken = _broken_by(exc)
            if self._broken is not None:
                raise self._broken
            if content.at_eof():
                raise StopAsyncIteration
            try:
                await content._wait("read")
            except Exception as exc:  # noqa: BLE001  # aiohttp's own
                self._broken = _broken_by(exc)
        if len(buffer) > 1:  # one piece for each event: taken one by one, each would cost as much as all
            whole = b"".join(buffer)
            buffer.clear()
            buffer.append(whole)
        return content._read_nowait(-1)

    async def unwind(self) -> None:
        """Nothing is suspended here."""


class Layered:
    """The body of any response, as its library hands it on, at most `PIECE` at once: some hand on the whole."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream, self._over = aiter(stream), False
        self._rest = b""

    async def __anext__(self) -> bytes:
        """The next piece; what it raises is the library's own."""
        try:
            data = self._rest or await self._stream.__anext__()
        except StopAsyncIteration:
            self._over = True
            raise
        self._rest = data[PIECE:]
        return data[:PIECE]

    async def unwind(self) -> None:
        """
        Finish httpx's nested generators from the inside: one more read, in a scope that is already cancelled, raises in
        the innermost and passes through all. (aclose() of the outermost leaves the others to the garbage collector.)
        """
        if self._over:
            return
        with CancelScope(shield=True) as scope, suppress(Exception):
            scope.cancel()
            for _ in range(1000):  # what httpcore had read already; a mock without a checkpoint may never end
                await self._stream.__anext__()


class Response(Protocol):
    """An open response of httpx or httpx2."""

    @property
    def stream(self) -> object:
        """Its body, as it is read from the connection."""
        ...

    @property
    def is_stream_consumed(self) -> bool:
        """Whether somebody has read it; what was read is kept, decompressed."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """What is kept."""
        ...


def body_of(response: Response) -> Body:
    """The body of an open response, read already (by the client's own hooks) or not."""
    if response.is_stream_consumed:  # the connection is free, perhaps another request's: nothing of it is read here
        return Layered(response.aiter_bytes())
    inner = _down(response, "stream", "_stream")
    content = _down(inner, "_aiohttp_response", "content")
    if isinstance(getattr(content, "_buffer", None), deque) and all(callable(getattr(content, n, None)) for n in READS):
        return Buffered(cast("Content", content))
    inner = _down(inner, "_httpcore_stream", "_stream", "_connection")
    parser = getattr(inner, "_h11_state", None)
    receive = _receive_of(_down(inner, "_network_stream", "_stream"))
    if isinstance(parser, h11.Connection) and receive is not None:
        return Direct(parser, receive)
    return Layered(cast("AsyncIterator[bytes]", response.stream))


def _down(owner: object, *names: str) -> object:
    """What lies within `owner`, if all on the way is of classes whose reading is known: nobody else's is passed by."""
    for name in names:
        owner = getattr(owner, name, None)
        if type(owner).__module__.partition(".")[0] not in LIBRARIES:
            return None
    return owner


def _receive_of(stream: object) -> Receive | None:
    """How to read from anyio's stream, or trio's."""
    plain = getattr(_down(stream, "socket"), "_sock", None)
    if not isinstance(plain, socket.socket):  # anyio's, and all that is encrypted
        receive = getattr(stream, "receive", None) or getattr(stream, "receive_some", None)
        return cast("Receive", receive) if callable(receive) else None
    wait_readable = current_token().backend_class.wait_readable  # anyio's, without its lookup each time

    async def receive_plain(size: int) -> bytes:
        """Wait, then read. trio reads, is refused, waits, and reads: 20 us more for each read that is waited for."""
        while True:
            await wait_readable(plain)
            try:
                return plain.recv(size)
            except BlockingIOError:  # woken for nothing
                continue

    return receive_plain


def _broken_by(cause: Exception) -> BrokenResourceError:
    broken = BrokenResourceError(str(cause) or str(cause.__cause__ or ""))
    broken.__cause__ = cause
    return broken
