"""The short way to a body: what one read brings at once, errors behind what came before them, and the public way."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import ModuleType

import httpx
import httpx2
import pytest
from anyio import BrokenResourceError, EndOfStream, create_task_group, create_tcp_listener, sleep
from anyio.abc import SocketAttribute, SocketStream
from h11 import RemoteProtocolError
from httpx_aiohttp import HttpxAiohttpClient

from headrace import AIMessage
from headrace._body import Body, Buffered, Direct, Layered, body_of
from headrace.errors import (
    AuthenticationError,
    CallerError,
    ConnectionFailedError,
    TruncatedStreamError,
    UndecodableEventError,
)
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults

from .leaks import nothing_left, session, soon

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
TWO = b"3\r\none\r\n3\r\ntwo\r\n"
END = b"0\r\n\r\n"
ENDINGS = pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nonetwo", "onetwo"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nonetwo", "onetwo"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo", "onetwo"),
        (HEAD + TWO + b"0\r\nx-late: 1\r\n\r\n", "onetwo"),
    ],
    ids=["length", "empty", "1.0", "until close", "trailers"],
)
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # where aiohttp runs


@asynccontextmanager
async def serving(*answers: bytes, reset: bool = False) -> AsyncIterator[tuple[str, list[int]]]:
    """A URL whose connections give these answers, one for each request, and close; the number of connections."""
    connections: list[int] = []

    async def handle(stream: SocketStream) -> None:
        connections.append(1)
        async with stream:
            with suppress(EndOfStream):  # a client that comes no more
                for answer in answers:
                    await stream.receive()
                    await stream.send(answer)
            if reset:
                stream.extra(SocketAttribute.raw_socket).setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s

    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as tasks:
        port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{port}/", connections
        tasks.cancel_scope.cancel()


async def pieces(body: Body) -> tuple[list[bytes], Exception | None]:
    found: list[bytes] = []
    while True:
        try:
            found.append(await body.__anext__())
        except StopAsyncIteration:
            return found, None
        except Exception as exc:
            return found, exc


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


async def test_what_one_read_brings_is_one_piece_and_the_connection_serves_again(library: ModuleType) -> None:
    answer = HEAD + TWO + END
    async with serving(answer, answer) as (url, connections), library.AsyncClient() as client:
        for _ in range(2):
            async with client.stream("GET", url) as response:
                body = body_of(response)
                assert type(body) is Direct
                assert await pieces(body) == ([b"onetwo"], None)
                assert await pieces(body) == ([], None)
        assert len(connections) == 1


@ENDINGS
async def test_a_body_may_end_in_any_way_that_http_knows(answer: bytes, words: str) -> None:
    async with serving(answer) as (url, _), httpx.AsyncClient() as client, client.stream("GET", url) as response:
        found, error = await pieces(body_of(response))
        assert (b"".join(found).decode(), error) == (words, None)


async def test_what_came_before_an_error_of_the_same_read_is_handed_on_first(library: ModuleType) -> None:
    async with serving(HEAD + TWO + b"no size\r\n") as (url, _), library.AsyncClient() as client:
        async with client.stream("GET", url) as response:
            body = body_of(response)
            found, error = await pieces(body)
            assert found == [b"onetwo"]
            assert isinstance(error, RemoteProtocolError)
            assert "illegal chunk header" in str(error)
            assert await pieces(body) == ([], error)


async def test_a_body_without_its_end_is_broken(library: ModuleType) -> None:
    async with serving(HEAD + TWO) as (url, _), library.AsyncClient() as client:
        async with client.stream("GET", url) as response:
            found, error = await pieces(body_of(response))
            assert found == [b"onetwo"]
            assert isinstance(error, RemoteProtocolError)
            assert "incomplete chunked read" in str(error)


async def test_a_reset_connection_is_broken_and_says_so(library: ModuleType) -> None:
    async with serving(HEAD, reset=True) as (url, _), library.AsyncClient() as client:
        async with client.stream("GET", url) as response:
            body = body_of(response)
            found, error = await pieces(body)
            assert found == []
            assert isinstance(error, BrokenResourceError)
            assert "reset by peer" in str(error)
            assert error.__cause__ is not None
            assert await pieces(body) == ([], error)


async def test_a_transport_without_httpcore_goes_the_public_way() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"one"))
    async with httpx.AsyncClient(transport=transport) as client, client.stream("GET", "http://x/") as response:
        body = body_of(response)
        assert type(body) is Layered
        assert await pieces(body) == ([b"one"], None)


async def test_bytes_behind_the_end_are_no_answer_to_the_next_request(library: ModuleType) -> None:
    answer = HEAD + TWO + END
    async with serving(answer + answer, answer) as (url, connections), library.AsyncClient() as client:
        for number in (1, 2):
            async with client.stream("GET", url) as response:
                assert await pieces(body_of(response)) == ([b"onetwo"], None)
            assert len(connections) == number


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_body_that_a_hook_has_read_is_what_was_kept(library: ModuleType, coding: str) -> None:
    async def read(response: httpx.Response) -> None:
        await response.aread()

    data = b'{"error": {"message": "no such key"}}'
    data = data if coding == "identity" else gzip.compress(data)
    head = f"HTTP/1.1 401 no\r\ncontent-encoding: {coding}\r\ncontent-length: {len(data)}\r\n\r\n".encode()
    async with serving(head + data) as (url, _), library.AsyncClient(event_hooks={"response": [read]}) as client:
        async with session(OpenAIProvider("k", base_url=url, http_client=client)) as provider:
            with pytest.raises(AuthenticationError, match="no such key"):
                await provider.chat([AIMessage("user", "hi")])


async def test_a_body_that_a_hook_has_read_and_not_kept_is_told_as_lost(library: ModuleType) -> None:
    async def read(response: httpx.Response) -> None:
        async for _ in response.aiter_raw():
            pass

    answer = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n") + TWO + END
    async with serving(answer) as (url, _), library.AsyncClient(event_hooks={"response": [read]}) as client:
        async with session(OpenAIProvider("k", base_url=url, http_client=client)) as provider:
            with pytest.raises(TruncatedStreamError, match="StreamConsumed"):
                await provider.chat([AIMessage("user", "hi")])


class Hidden(httpx.AsyncBaseTransport):
    """httpx's own transport behind somebody else's, which keeps its parser from sight."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, stream=Passed(response.stream))

    async def aclose(self) -> None:
        await self.inner.aclose()


class Passed(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self.inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.inner:
            yield piece

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_the_public_way_leaves_no_generator_to_the_garbage_collector() -> None:
    """Those of httpx are suspended when an event cannot be decoded; `Layered.unwind` finishes them."""
    async with nothing_left():
        async with Simulator() as sim, httpx.AsyncClient(transport=Hidden()) as client:
            sim.play("openai", Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1)))
            async with session(OpenAIProvider("k", base_url=sim.base_url("openai"), http_client=client)) as provider:
                words = [chunk.content async for chunk in provider.chat_stream([AIMessage("user", "hi")])]
    assert words == ["One", provider.marker]


async def test_a_piece_that_is_larger_than_an_event_may_be_loses_nothing_before_that_event() -> None:
    word = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
    body = word % b"One" + word % b" two" + word % (b"x" * (17 << 20))
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        async with session(OpenAIProvider("k", base_url="http://x/", http_client=client)) as provider:
            async with provider.chat_stream([AIMessage("user", "hi")]) as stream:
                words = [chunk.content async for chunk in stream]
    assert words == ["One", " two", provider.marker]
    assert isinstance(stream.interruption and stream.interruption.cause, UndecodableEventError)


class Louder(httpx.AsyncHTTPTransport):
    """Somebody's transport that changes what is read, and hands on every name of what it wraps."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.stream = Loud(response.stream)
        return response


class Loud(httpx.AsyncByteStream):
    def __init__(self, inner: object) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.inner:  # type: ignore[attr-defined]  # a stream of httpx
            yield piece.upper()


async def test_a_stream_of_somebody_else_is_not_passed_by() -> None:
    async with serving(HEAD + TWO + END) as (url, _), httpx.AsyncClient(transport=Louder()) as client:
        async with client.stream("GET", url) as response:
            found, error = await pieces(body_of(response))
            assert (b"".join(found), error) == (b"ONETWO", None)


@on_asyncio
@ENDINGS
async def test_a_body_on_aiohttp_may_end_in_any_way_that_http_knows(answer: bytes, words: str) -> None:
    async with serving(answer) as (url, _), HttpxAiohttpClient() as client, client.stream("GET", url) as response:
        body = body_of(response)
        assert type(body) is Buffered
        found, error = await pieces(body)
        assert (b"".join(found).decode(), error) == (words, None)
        assert await pieces(body) == ([], None)


@on_asyncio
async def test_what_one_read_of_aiohttp_brings_is_one_piece_and_the_connection_serves_again() -> None:
    answer = HEAD + TWO + END
    async with serving(answer, answer) as (url, connections), HttpxAiohttpClient() as client:
        for _ in range(2):
            async with client.stream("GET", url) as response:
                assert await pieces(body_of(response)) == ([b"onetwo"], None)
        assert len(connections) == 1


@on_asyncio
async def test_what_aiohttp_has_read_when_the_connection_breaks_is_handed_on_first() -> None:
    async with serving(HEAD + TWO) as (url, _), HttpxAiohttpClient() as client:
        async with client.stream("GET", url) as response:
            content = response.stream._stream._aiohttp_response.content
            await soon(lambda: content.exception() is not None)  # a reader that is late
            body = body_of(response)
            found, error = await pieces(body)
            assert found == [b"onetwo"]
            assert isinstance(error, BrokenResourceError)
            assert error.__cause__ is content.exception()
            assert await pieces(body) == ([], error)


@on_asyncio
async def test_a_slow_reader_on_aiohttp_has_every_word_before_the_cut() -> None:
    words = tuple(f"word{number:04} " for number in range(1000))
    async with nothing_left():
        async with Simulator() as sim, HttpxAiohttpClient() as client:
            sim.play("openai", Script(pieces=words, fault=faults.CutFin(after_pieces=999)))
            async with session(OpenAIProvider("k", base_url=sim.base_url("openai"), http_client=client)) as provider:
                got: list[str] = []
                async with provider.chat_stream([AIMessage("user", "hi")]) as stream:
                    async for chunk in stream:
                        if not got:
                            await sleep(0.3)  # the rest is read meanwhile, and the connection breaks
                        got.append(chunk.content)
    assert got == [*words[:999], provider.marker]
    assert isinstance(stream.interruption and stream.interruption.cause, TruncatedStreamError)


@on_asyncio
@pytest.mark.parametrize(
    "answer", [b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"x" * (1 << 20)], ids=["no head", "huge"]
)
async def test_what_aiohttp_says_of_a_head_is_a_typed_error_without_the_key(answer: bytes) -> None:
    async with serving(answer) as (url, _), HttpxAiohttpClient() as client:
        async with session(OpenAIProvider("SECRETKEY", base_url=url, http_client=client)) as provider:
            with pytest.raises(ConnectionFailedError, match=r"no answer from .*ClientResponseError") as caught:
                await provider.chat([AIMessage("user", "hi")])
    assert caught.value.retryable
    assert caught.value.__context__ is None
    assert len(str(caught.value)) < 1000


@on_asyncio
async def test_a_header_that_aiohttp_cannot_send_is_the_callers_error() -> None:
    async with serving() as (url, connections), HttpxAiohttpClient() as client:
        options = {"base_url": url, "http_client": client, "headers": {"x-token": "SECRETKEY\r\nx: y"}}
        async with session(OpenAIProvider("k", **options)) as provider:
            with pytest.raises(CallerError, match="cannot be sent") as caught:
                await provider.chat([AIMessage("user", "hi")])
    assert caught.value.__context__ is None and "SECRETKEY" not in str(caught.value)
    assert connections in ([], [1])


@on_asyncio
async def test_nothing_of_aiohttp_hangs_on_the_error_of_a_connection_that_fails() -> None:
    async with HttpxAiohttpClient() as client:
        async with session(OpenAIProvider("SECRETKEY", base_url="http://127.0.0.1:9", http_client=client)) as provider:
            with pytest.raises(ConnectionFailedError, match="Cannot connect to host") as caught:
                await provider.chat([AIMessage("user", "hi")])
    link: BaseException | None = caught.value
    while link is not None:
        assert not type(link).__module__.startswith("aiohttp")
        link = link.__cause__ or link.__context__
