"""
Limits shared over Redis: one value a scope, changed by compare and set, by the server's clock.

`run` keeps one connection that serves all calls; a call that finds none, or no answer in time, is a `StoreError`, and
the pacer goes on alone meanwhile. Knows no model: bytes in, bytes out. What lies under a key and is not ours, or is
damaged, counts as absent and is replaced.

Needs Redis 6.2 or newer (Valkey too), and coredis, which runs on both loops. It is used below its client: there each
connecting that is cancelled takes a place of the pool for ever (6.9.0), and retries would send a change twice.

Commands: https://redis.io/docs/latest/commands/, read 2026-11-24.
"""

from __future__ import annotations

import logging
import math
import re
import ssl
from hashlib import sha1
from typing import Final

from anyio import CancelScope, Event, Lock, connect_tcp, connect_unix, current_time, fail_after, move_on_after, sleep
from anyio.abc import ByteStream

from .._checks import check_number
from . import _redis_url
from .store import KEPT, Stored, StoreError

try:
    from coredis.connection import BaseConnection, TCPLocation
    from coredis.exceptions import NoScriptError
except ImportError as _exc:
    raise ImportError("sharing limits over Redis needs coredis: pip install 'headrace[redis]'") from _exc

__all__ = ("RedisStore",)

TIMEOUT: Final = 0.25  # seconds; a request waits meanwhile. A server nearby answers in less than 1 ms
FIRST: Final = 1.0  # the same, at least, until the first connection is there: TCP, TLS and greeting are five ways
CONNECT: Final = 5.0  # seconds, of TCP and TLS
GREETING: Final = 30.0  # seconds from there to the server's hello
RETRY: Final = 0.5  # seconds between two connections
FORMAT: Final = 1  # of what lies under a key; a higher one is a newer release's, and is left alone
MOST: Final = 262_144  # bytes under a key; a model takes 1 to 2 kB, and 0.2 kB for each process that shares it

# A value is a line and the model; the line tells format, version, and length of the model. The version is the time of
# the change. So a model that was begun anew is not taken for the lost one; and one that a server whose clock is ahead
# has left to another (a failover) is not taken up: its buckets would not refill before that time has come. What is no
# string is an error value here, and SET replaces it. 2^53 microseconds end in the year 2255.
SCRIPT: Final = r"""
local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
if type(value) ~= 'string' then value = '?' end
local version = tonumber(string.match(value, '^headrace %d+ (%d+) %d+\n') or 0)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if version > now + 1000000 then version, value = 0, '?' end
if not ARGV[2] or tonumber(ARGV[2]) ~= version then return {0, version, now, value} end
version = math.max(version + 1, now)
local head = string.format('headrace %s %.0f %d\n', ARGV[3], version, #ARGV[4])
redis.call('SET', KEYS[1], head .. ARGV[4], 'EX', ARGV[5])
return {1, version, now, ''}
"""
_SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
_HEAD: Final = re.compile(rb"headrace (\d{1,9}) \d{1,16} (\d{1,9})\n")
_log: Final = logging.getLogger("headrace")


class RedisStore:
    """
    Shares rate limits with all who use the same key at the vendor and the same Redis.

    Given as `RateLimitPolicy(store=...)`; one store may serve several providers of one event loop. Nodes of a Redis
    cluster are not followed.

    Args:
        url: `redis://[[user]:password@]host[:port][/database]`, `rediss://...` for TLS, or
            `unix://[[user]:password@]/path/of/socket[?db=database]`; user and password percent-encoded.
        timeout: seconds that a call takes at most; until there is a first connection, 1 s at least.
        ssl_context: for `rediss://`, in place of the default one, which trusts what the system trusts.

    Raises:
        ValueError: the URL is none of these. The error does not show it.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT, ssl_context: ssl.SSLContext | None = None) -> None:
        check_number("timeout", timeout, "a number of seconds above 0", above=0)
        self._address, self._timeout, self._tls = _redis_url.parse(url), timeout, None
        if self._address.scheme == "rediss":
            self._tls = ssl_context or ssl.create_default_context()
        self._turn = Lock()
        self._connection: BaseConnection | None = None
        self._why, self._known = "", Event()  # why there is none; whether one of the two is known
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"RedisStore('{self._address}')"

    async def run(self) -> None:
        """Keep a connection, until cancelled. Of several runs one does; when it ends, the next one takes over."""
        async with self._turn:
            try:
                while True:
                    self._why = await self._connect()
                    self._connection = None
                    self._known.set()
                    await sleep(RETRY)
            finally:
                self._connection, self._why, self._known = None, "", Event()

    async def load(self, key: str) -> Stored:
        """What lies under `key`."""
        return await self._ask(key, b"")

    async def swap(self, key: str, version: int, blob: bytes) -> Stored:
        """Put `blob` there if `version` is still right."""
        if len(blob) > MOST - 100:  # the line before it
            raise StoreError(
                f"{self._address}: a model of {len(blob)} bytes is too large to be shared, {MOST} are the most. "
                f"Too many processes share {key!r}: let them use several keys of the vendor."
            )
        return await self._ask(key, blob, version, FORMAT, blob, int(KEPT))

    # ---------------------------------------------------------------- the connection

    async def _connect(self) -> str:
        """One connection, from its beginning to its end. Returns why it ended."""
        greeting = CancelScope()

        def greeted(connection: BaseConnection) -> None:
            greeting.deadline = math.inf
            self._connection, self._why = connection, ""
            self._known.set()

        try:
            with fail_after(CONNECT):
                stream = await self._open()
            connection = _Connection(stream, self._address)
            connection.register_connect_callback(greeted)
            greeting.deadline = current_time() + GREETING
            with greeting:
                await connection.run()
            why = "the connection was lost"
        except Exception as exc:  # noqa: BLE001  # whatever comes of an answer that is no Redis'
            why = self._words(exc)
        return f"it took the connection, and said nothing for {GREETING:g} s" if greeting.cancel_called else why

    async def _open(self) -> ByteStream:
        address = self._address
        if address.path:
            return await connect_unix(address.path)
        if self._tls is None:
            return await connect_tcp(address.host, address.port)
        return await connect_tcp(address.host, address.port, ssl_context=self._tls, tls_standard_compatible=False)

    # ---------------------------------------------------------------- a call

    async def _ask(self, key: str, blob: bytes, *change: int | bytes) -> Stored:
        """One call of the script, in time. A failure ends the connection too: the address may lead elsewhere now."""
        seconds = self._timeout if self._known.is_set() else max(self._timeout, FIRST)
        connection, answer, cause, why = None, None, None, f"no answer in {seconds:g} s"
        with move_on_after(seconds):
            await self._known.wait()
            connection = self._connection
            try:
                answer = None if connection is None else await _call(connection, key, change)
            except Exception as exc:  # noqa: BLE001  # whatever breaks the connection comes out here
                cause, why = exc, self._words(exc)
        match answer:
            case [int(won), int(version), int(now), bytes(value)]:
                return Stored(version, blob if won else self._model(key, value), now / 1e6, bool(won))
        if connection is not None:
            connection.invalidate()
        raise StoreError(
            f"{self._address} cannot be used: {self._why or why}. Check that the server runs, that it can be reached "
            "from here, and that it takes the URL's user and password. It is asked again by itself."
        ) from cause

    def _model(self, key: str, value: bytes) -> bytes:
        """The model in `value`; no bytes where there is none of ours."""
        head = _HEAD.match(value)
        if head is not None and int(head[1]) > FORMAT:
            raise StoreError(
                f"{self._address}: a newer release of headrace shares {key!r}, in a format that this one does not "
                "know. Bring all processes to the same release."
            )
        if head is not None and int(head[1]) == FORMAT and len(value) - head.end() == int(head[2]):
            return value[head.end() :]
        if value and key not in self._told:
            self._told.add(key)
            _log.warning("%s: what lies under %r is older, damaged or not ours: it is replaced", self._address, key)
        return b""

    def _words(self, exc: Exception) -> str:
        """What went wrong, and what caused it. An old server repeats what it does not understand, the password too."""
        said = [str(one).rstrip(".") for one in (exc, exc.__cause__) if one is not None]
        words = ": ".join([type(exc).__name__, *filter(None, said)])
        password = self._address.password
        return words.replace(password.reveal(), "***") if password else words


class _Connection(BaseConnection):
    """coredis' connection, over a stream that is open: where it cannot open its own, it leaves its buffers unclosed."""

    def __init__(self, stream: ByteStream, address: _redis_url.Address) -> None:
        super().__init__(
            TCPLocation(address.host or address.path, address.port),
            username=address.user or None,
            password=address.password.reveal() or None,
            db=address.database,
        )
        self._opened = stream

    async def _connect(self) -> ByteStream:
        return self._opened

    def describe(self) -> str:
        return f"headrace to {self.location}"


async def _call(connection: BaseConnection, key: str, change: tuple[int | bytes, ...]) -> object:
    """The script's answer. A server that does not know it by its name (yet, or any more) is sent the whole."""
    try:
        return await connection.create_request(b"EVALSHA", _SHA, 1, key, MOST, *change)
    except NoScriptError:
        return await connection.create_request(b"EVAL", SCRIPT, 1, key, MOST, *change)
