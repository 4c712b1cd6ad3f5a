"""
The only door to httpx: clients, exchanges, the byte guard. Its errors become ours here.

Takes an httpx or httpx2 client; what differs is the library whose classes are used. Runs in hosted tasks. Knows no
vendor: a refusal is handed on as it came, for the vendor's codec to read.

Works around: httpcore #1093 (a cancelled waiter kills the pool: never queue there), httpx #3686 (a request body left
suspended when the send is cancelled), a connection that is cancelled before its first request (dropped here).
"""

from __future__ import annotations

import importlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import ModuleType
from typing import TYPE_CHECKING, Final, Protocol, Self, cast

import httpx
from anyio import BrokenResourceError, ClosedResourceError, get_cancelled_exc_class, move_on_after
from h11 import RemoteProtocolError

from ._body import Body, body_of
from ._recorder import Tape
from ._units import lowered
from ._version import __version__
from .errors import (
    CallerError,
    ConnectionFailedError,
    HeadraceError,
    TruncatedStreamError,
    UndecodableEventError,
)
from .limits.pacing import AnyPacing
from .streaming.host import CLOSE, FLIGHT, Host
from .wire._shared import load
from .wire.events import Events, JsonLines, ServerEvent
from .wire.framing import NDJSON, SSE, Inflater, Lines, Undecodable, inflater

if TYPE_CHECKING:
    from .streaming.deadlines import Watch

__all__ = ("AsyncClient", "Exchange", "Refusal", "Session")

CONNECT: Final = 10.0  # seconds to reach the vendor; the SDKs' 5 is short for a phone
WHY: Final = 500  # characters of another library's error; some quote what came
REFUSAL_TEXT: Final = 64 << 10  # characters of a refusal's body
BODY_BYTES: Final = 64 << 20  # of a whole JSON answer; images come in base64
LIST_BYTES: Final = 8 << 20  # of the answer to a GET, such as a page of models; read, JSON takes thirty times its size
KEEPALIVE: Final = 20  # idle connections kept, httpx's own default

# RFC 9110 5.1 and 5.5, in ASCII. h11 checks as much; h2 (4.4) and other transports send a line break as it is.
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")

# What may be in an answer's content type where a type was asked for. JSON lines have no registered type: servers say
# x-ndjson, jsonl, json, and a proxy that drops it leaves text/plain (Go's own guess). A line is JSON or an error, and
# without its proof nothing counts as an end, so nothing false can pass. A page of HTML is still told as what it is.
TAKEN: Final[Mapping[str, tuple[str, ...]]] = {NDJSON: ("json", "text/plain")}


class AsyncClient(Protocol):
    """An `httpx.AsyncClient` or `httpx2.AsyncClient`, or a subclass of one. It is never closed here."""

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        ...

    @property
    def trust_env(self) -> bool:
        """Whether it reads proxies from the environment."""
        ...


class Refusal(HeadraceError):  # noqa: N818  # no error of ours: the codec makes one of it
    """The answer is not what was asked for: a status other than 200, or another kind of content. For the codec."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        super().__init__(status)
        self.status, self.headers, self.text = status, headers, text


class Session(Host):
    """A client and the task group that hosts every exchange made with it; `owner` is the provider that opened it."""

    def __init__(
        self,
        name: str = "",
        *,
        owner: object = None,
        http_client: AsyncClient | None = None,
        pacer: AnyPacing | None = None,
    ) -> None:
        super().__init__(name, pacer=pacer)
        self.owner = owner
        self._given = http_client
        self._client: httpx.AsyncClient | None = None
        self._library = httpx if http_client is None else _library_of(http_client)

    @property
    def client(self) -> httpx.AsyncClient:
        """The client: the given one, else one of our own, made at the first request."""
        if self._client is None:
            if self._given is not None:
                self._client = cast("httpx.AsyncClient", self._given)  # httpx2's has the same methods
            else:
                try:
                    self._client = httpx.AsyncClient(
                        limits=httpx.Limits(max_connections=None, max_keepalive_connections=KEEPALIVE),
                        follow_redirects=False,
                        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none is kept, none is sent
                    )
                except (ValueError, OSError, ImportError) as exc:  # its text may hold a proxy's password
                    raise CallerError(
                        f"{self.name}: no HTTP client can be made ({type(exc).__name__}): check the proxies and "
                        "certificates of the environment (HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE, ...)"
                    ) from None
        return self._client

    def busy_connections(self) -> list[str]:
        """Those of the client's pool that are not idle, as the pool describes them; [] where it cannot be seen."""
        return [
            text
            for pool in _pools(self._client)
            for one in getattr(pool, "connections", ())
            if "IDLE" not in (text := repr(one))
        ]

    async def aclose_resources(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._given is None:
            with move_on_after(CLOSE, shield=True):
                await client.aclose()

    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        accept: str = SSE,
        tape: Tape | None = None,
    ) -> Exchange:
        """
        Send a request; return the open response, to be used in `async with`. Call it in a hosted task.

        Args:
            accept: the media type that the answer must have; see `TAKEN`.
            tape: records what comes.

        Raises:
            Refusal: any status but 200, or an answer of another media type. Its body got 2 s and 64 K characters.
            ConnectionFailedError: no response head came; not `retryable` where the certificate could not be verified.
            CallerError: the URL or a header cannot be sent.
        """
        flight = FLIGHT.get()
        watch = None if flight is None else flight.watch
        if self.client.is_closed:
            raise CallerError(f"{self.name}: the http_client that was given is closed. Keep it open while it is used.")
        lib, unsendable, unread = self._library, "", ""
        request: httpx.Request | None = None
        try:
            request = self._request(method, url, headers, body, accept)
            if watch is not None:
                watch.stamped = True
                watch.handed_over()
            assert request is not None
            try:
                response = await self.client.send(request, stream=True, auth=None, follow_redirects=False)
            except get_cancelled_exc_class():
                await self._drop_orphans()  # noqa: ASYNC102  # shielded there, with a bound
                raise
        except (lib.LocalProtocolError, lib.UnsupportedProtocol, lib.InvalidURL, UnicodeError) as exc:
            if request is not None and _is_of_answer(exc):
                unread = _named(exc)
            else:
                unsendable = type(exc).__name__  # its text may quote a header, thus the key: it is not even the context
        except _let_through(self.client) as exc:  # they hold the request's headers, too
            unsendable, unread = (type(exc).__name__, "") if isinstance(exc, ValueError) else ("", _named(exc))
        except (lib.HTTPError, OSError, BrokenResourceError, ClosedResourceError) as exc:
            raise self._no_answer(url, exc) from _bare(exc)
        except ValueError as exc:
            if not _is_of_answer(exc):
                raise
            unread = _named(exc)
        finally:
            headers, request = {}, None  # nor does a traceback's view of the locals show the key, whatever is raised
        if unsendable:
            raise CallerError(
                f"{self.name}: the request cannot be sent ({unsendable}): check the base URL {_origin(url)!r}, "
                "and the API key and headers for line breaks and characters outside ASCII."
            )
        if unread:
            raise ConnectionFailedError(self._unanswered(url, unread), provider=self.name)
        exchange = Exchange(response, watch, provider=self.name, library=lib, accept=accept, tape=tape)
        if response.status_code == 200 and any(kind in exchange.content_type for kind in TAKEN.get(accept, (accept,))):
            return exchange
        if watch is not None:
            watch.off()  # a refusal whose body breaks or stalls is that refusal; it has a bound of its own
        async with exchange:
            text = await exchange.refusal_text()
        raise Refusal(response.status_code, exchange.headers, text)

    def _no_answer(self, url: str, exc: Exception) -> ConnectionFailedError:
        """No response head came. A certificate that is not trusted is the same the next time, and nothing was sent."""
        if _is_distrust(exc):
            return ConnectionFailedError(
                f"{self.name}: the certificate of {_origin(url)} could not be verified ({_named(exc)}). "
                "Nothing was sent. Check base_url and this machine's clock; trust an authority of your own, such as "
                "that of a company's proxy, by SSL_CERT_FILE or an http_client= with verify=.",
                provider=self.name,
                retryable=False,
            )
        return ConnectionFailedError(self._unanswered(url, _named(exc)), provider=self.name)

    def _unanswered(self, url: str, why: str) -> str:
        return f"{self.name}: no answer from {_origin(url)} ({why}). The request may be sent again."

    async def _drop_orphans(self) -> None:
        """
        Close the connections that no request holds. httpcore (1.0.9, httpcore2 2.16 as well) makes a suspension between
        a connection's connecting and its first request; one whose request is cancelled there stays in the pool, open
        and neither idle nor closed, for as long as the pool lives.
        """
        for pool in _pools(self._client):
            held = {id(getattr(one, "connection", None)) for one in getattr(pool, "_requests", ())}
            kept = getattr(pool, "_connections", None)
            if not isinstance(kept, list):
                continue  # another version, which may not have this fault
            for one in [one for one in kept if id(one) not in held and not (one.is_idle() or one.is_closed())]:
                kept.remove(one)
                with move_on_after(CLOSE, shield=True):
                    await one.aclose()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, accept: str
    ) -> httpx.Request | None:
        lib = self._library
        if not all(_NAME.fullmatch(str(name)) and _VALUE.fullmatch(str(value)) for name, value in headers.items()):
            raise lib.LocalProtocolError("a header that HTTP cannot carry")
        request = self.client.build_request(
            method,
            url,
            content=body,
            headers={
                "accept": accept,
                "accept-encoding": "identity",
                "user-agent": f"headrace/{__version__}",
                **({"content-type": "application/json"} if body is not None else {}),
                **lowered(headers),
            },
            timeout=lib.Timeout(None, connect=CONNECT),  # all other waits are the watch's
        )
        if body is not None:
            request.stream = _body_class(lib)(body)
        return request


class Exchange:
    """An open response. `async with` closes it."""

    def __init__(
        self,
        response: httpx.Response,
        watch: Watch | None,
        *,
        provider: str,
        library: ModuleType = httpx,
        accept: str = SSE,
        tape: Tape | None = None,
    ) -> None:
        self.status = response.status_code
        self.headers = lowered(response.headers)
        if response.is_stream_consumed:  # by a hook of the given client: what is kept of it is decompressed
            self.headers.pop("content-encoding", None)
        self.content_type = self.headers.get("content-type", "").lower()
        self._response, self._provider = response, provider
        if tape is not None:
            tape.head(self.status, self.headers)
        self.guard = Guard(
            response, self.headers, watch, provider=provider, library=library, lines=accept == NDJSON, tape=tape
        )

    @property
    def events(self) -> AsyncIterator[list[ServerEvent]]:
        """
        The events as they come: each time a list, never empty, of those that one read has completed. An event is its
        name and its data; of JSON lines each is one, named "message".
        """
        return self.guard

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close inside out: httpx's generators, then the response."""
        await self.guard.unwind()  # noqa: ASYNC102  # shielded there, and it waits for nothing
        with move_on_after(CLOSE, shield=True):
            await self._response.aclose()

    async def body(self, most: int = BODY_BYTES) -> bytes:
        """
        The whole body.

        Raises:
            TruncatedStreamError: it was cut.
            UndecodableEventError: it is longer than `most` bytes, or not of its coding.
        """
        parts: list[bytes] = []
        size = 0
        while part := await self.guard.read():
            parts.append(part)
            size += len(part)
            if size > most:
                raise self.guard.undecodable(Undecodable(f"the body is longer than {most} bytes"))
        return b"".join(parts)

    async def refusal_text(self) -> str:
        """What can be had of a refusal's body within 2 s: at most 64 K characters, wrong bytes replaced."""
        data = bytearray()
        with move_on_after(CLOSE), suppress(HeadraceError):
            while (room := 4 * REFUSAL_TEXT - len(data)) and (part := await self.guard.read()):
                data += part[:room]
        return data.decode(errors="replace")[:REFUSAL_TEXT].strip()


class Guard:
    """
    The events of a response, over bytes that are read, timed and counted here.

    `at_eof` is set before the last events, those without their line end or blank line, so that an event which only EOF
    completed can be told from others. A lost connection completes none, but one that shows by itself to be whole.
    """

    def __init__(
        self,
        response: httpx.Response,
        headers: Mapping[str, str],
        watch: Watch | None,
        *,
        provider: str,
        library: ModuleType,
        lines: bool,
        tape: Tape | None = None,
    ) -> None:
        self.headers = headers
        self.at_eof = False
        self._cut_by: TruncatedStreamError | None = None  # to be raised when what came before it has been handed on
        self._provider, self._request_id = provider, request_id(headers)
        self._stamp = _nothing if watch is None else watch.stamp
        self._opened = time.monotonic()
        self._body = body_of(response)
        if tape is not None:
            self._body = _Taped(self._body, tape, headers)
        self._lost = (
            library.HTTPError,
            library.StreamError,
            OSError,
            BrokenResourceError,
            ClosedResourceError,
            RemoteProtocolError,
        )
        self._lines: Lines | None = None
        self._events: Events | JsonLines = JsonLines() if lines else Events()
        self._inflate: Inflater | None = None
        self._opened_raw = self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[ServerEvent]:
        try:
            if (lines := self._lines) is None:
                lines = self._lines = Lines(self.headers.get("content-encoding", ""))
            while not self._closed:
                if (broken := self._cut_by or lines.broken or self._events.broken) is not None:
                    raise broken  # not after the next bytes, which may never come
                if self.at_eof:
                    break
                try:
                    data = await self._body.__anext__()
                except StopAsyncIteration:
                    self.at_eof = True
                    events = self._events.end(lines.end())
                else:
                    self._stamp()
                    events = self._events.feed(lines.feed(data))
                if events:
                    lines.unread = 0  # the bound on what is unfinished counts from here
                    return events
        except Undecodable as exc:
            raise self.undecodable(exc) from exc
        except HeadraceError:  # a recording's own, played back; a deadline is an OSError, too
            raise
        except self._lost as exc:
            self._cut_by = self._cut(exc)
            self._cut_by.__cause__ = _bare(exc)
            if events := self._unfinished():
                return events
            raise self._cut_by from self._cut_by.__cause__
        raise StopAsyncIteration

    def _unfinished(self) -> list[ServerEvent]:
        """
        When the connection is lost: the event of which only its line end or its blank line has not come. A JSON object
        shows where it ends; of anything else there may have been more.
        """
        try:
            events = [] if self._lines is None else self._events.end(self._lines.end())
        except Undecodable:
            return []
        return [event for event in events if isinstance(load(event[1]), dict)]

    async def read(self) -> bytes:
        """The next bytes of the body, decompressed; not as events. Empty at its end."""
        try:
            if not self._opened_raw:
                self._inflate, self._opened_raw = inflater(self.headers.get("content-encoding", "")), True
            while not self._closed:
                data = await self._body.__anext__()
                self._stamp()
                if self._inflate is not None:
                    data = self._inflate.feed(data)
                    if self._inflate.broken is not None:
                        raise self._inflate.broken  # half a body is none
                if data:
                    return data
        except StopAsyncIteration:
            self.at_eof = True
        except Undecodable as exc:
            raise self.undecodable(exc) from exc
        except HeadraceError:  # a recording's own, played back; a deadline is an OSError, too
            raise
        except self._lost as exc:
            raise self._cut(exc) from _bare(exc)
        return b""

    def undecodable(self, cause: Undecodable) -> UndecodableEventError:
        """The typed error for bytes that are not what they should be."""
        return UndecodableEventError(
            f"{self._provider}: the response cannot be decoded: {cause}.",
            provider=self._provider,
            status=200,
            request_id=self._request_id,
        )

    def _cut(self, exc: Exception) -> TruncatedStreamError:
        return TruncatedStreamError(
            f"{self._provider}: the connection was lost {time.monotonic() - self._opened:.1f} s into the response "
            f"({_named(exc)}). The request may be sent again.",
            provider=self._provider,
            request_id=self._request_id,
        )

    async def unwind(self) -> None:
        """The reading ends here, wherever it stands."""
        self._closed = True
        if not self.at_eof:
            await self._body.unwind()


class _Taped:
    """A body, recorded as it passes."""

    def __init__(self, body: Body, tape: Tape, headers: Mapping[str, str]) -> None:
        self._body, self._tape, self._over = body, tape, False
        self._inflate: Inflater | None = None
        with suppress(Undecodable):  # the guard says so
            self._inflate = inflater(headers.get("content-encoding", ""))

    async def __anext__(self) -> bytes:
        try:
            data = await self._body.__anext__()
        except BaseException as exc:
            if not self._over:  # what has been cancelled ends like one that came to its end, when it is unwound
                ended = isinstance(exc, StopAsyncIteration)
                self._tape.ending = "eof" if ended else "cut" if isinstance(exc, Exception) else "left"
            self._over = True
            raise
        with suppress(Undecodable):  # the same
            self._tape.add(data if self._inflate is None else self._inflate.feed(data))
        return data

    async def unwind(self) -> None:
        await self._body.unwind()


def request_id(headers: Mapping[str, str]) -> str | None:
    """The vendor's id of a request, from lower-case headers."""
    return headers.get("request-id") or headers.get("x-request-id")


def _pools(client: object) -> list[object]:
    """The connection pools of a client, its proxies' as well. httpx and httpcore show them nowhere else."""
    mounts = getattr(client, "_mounts", None)
    transports = [getattr(client, "_transport", None), *(mounts.values() if isinstance(mounts, dict) else ())]
    return [pool for one in transports if (pool := getattr(one, "_pool", None)) is not None]


def _library_of(client: object) -> ModuleType:
    """httpx or httpx2, by the class that `client` descends from."""
    for kind in type(client).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in {"httpx", "httpx2"} and kind.__name__ == "AsyncClient":
            return importlib.import_module(name)
    raise TypeError(
        f"http_client is {type(client).__name__!r}: pass an httpx.AsyncClient or httpx2.AsyncClient, not a sync Client"
    )


@cache
def _body_class(library: ModuleType) -> Callable[[bytes], httpx.AsyncByteStream]:
    """A request body that is no generator, of the class that the library's own check wants."""
    base = cast("type[httpx.AsyncByteStream]", library.AsyncByteStream)

    class Body(base):  # type: ignore[valid-type, misc]  # a base known at run time
        def __init__(self, data: bytes) -> None:
            self._data, self._left = data, [data]

        def __aiter__(self) -> AsyncIterator[bytes]:
            self._left = [self._data]
            return cast("AsyncIterator[bytes]", self)

        async def __anext__(self) -> bytes:
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop()

    return Body


def _let_through(client: object) -> tuple[type[Exception], ...]:
    """What httpx-aiohttp (0.2) does not make an error of httpx: aiohttp's of a head, ValueError of what is sent."""
    transport = type(getattr(client, "_transport", None)).__module__.partition(".")[0]
    if transport != "httpx_aiohttp":
        return ()
    kind: type[Exception] = importlib.import_module("aiohttp").ClientError
    return kind, ValueError


def _is_of_answer(exc: BaseException) -> bool:
    """
    Whether an error of sending, whose kind is usually the caller's fault, comes from what a server answered.

    httpx reads the target of a redirect that it does not follow, by idna as well; httpcore (1.0.9, httpcore2 2.16)
    makes local errors of h2's, and an int of an HTTP/2 status, whatever it is.
    """
    link: BaseException | None = exc
    while link is not None:
        if type(link).__name__ == "InvalidURL" or type(link).__module__.partition(".")[0] in {"h2", "idna"}:
            return True
        frame, link = link.__traceback__, link.__cause__ or link.__context__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return (
        type(exc) is ValueError
        and frame is not None
        and frame.tb_frame.f_globals.get("__name__", "").partition(".")[0] in {"httpcore", "httpcore2"}
    )


def _bare(exc: BaseException) -> BaseException:
    """The error without what hangs on it: httpx's request, aiohttp's errors, and the frames of both hold the key."""
    link: BaseException | None = exc
    while link is not None:
        if type(link.__cause__ or link.__context__).__module__.partition(".")[0] == "aiohttp":
            link.__cause__ = link.__context__ = None
        if getattr(link, "_request", None) is not None:
            link._request = None  # type: ignore[attr-defined]  # httpx's only way to take it off
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return exc


def _nothing() -> None:
    """For a response that nobody times."""


def _origin(url: str) -> str:
    """Scheme and host of a URL: a query or user part may hold a key."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"


def _is_distrust(exc: BaseException) -> bool:
    """Whether a certificate could not be verified, at the root of an error of the HTTP stack."""
    link: BaseException | None = exc
    while link is not None and not isinstance(link, ssl.SSLCertVerificationError):
        link = link.__cause__ or link.__context__
    return link is not None


def _named(exc: Exception) -> str:
    """Its class, and the first words that there are in it and in what it came from: trio's errors have none."""
    link: BaseException | None = exc
    while link is not None and not str(link):
        link = link.__cause__ or link.__context__
    return type(exc).__name__ if link is None else f"{type(exc).__name__}: {str(link)[:WHY]}"
