"""HTTP/2, by a client of the caller's own: streams that share a connection, and each way in which one of them ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any, Self

import httpx
import httpx2
import pytest
from anyio import create_task_group
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from headrace import AIMessage, Deadlines
from headrace.errors import (
    CallerError,
    ConnectionFailedError,
    NetworkError,
    RateLimitError,
    StreamInterruptedError,
    StreamTimeoutError,
    TruncatedStreamError,
)
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.grok import GrokProvider

from .leaks import nothing_left, session
from .loops import ON_UVLOOP_TOO

pytestmark = [ON_UVLOOP_TOO, pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])]

MESSAGES = [AIMessage("user", "Hello")]
WORDS = ["One ", "two ", "three"]


def event(**choice: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


class Server:
    """HTTP/2 without TLS, to a client that knows it. The first part of a path says how its answer ends."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        h2 = H2Connection(H2Configuration(client_side=False))
        h2.initiate_connection()
        paths: dict[int, str] = {}
        with client, suppress(OSError, ProtocolError):
            client.sendall(h2.data_to_send())
            while data := client.recv(65536):
                for told in h2.receive_data(data):
                    match told:
                        case RequestReceived():
                            head = {name.decode(): value.decode() for name, value in told.headers}
                            paths[told.stream_id] = head[":path"].split("/")[1]
                        case DataReceived():
                            h2.acknowledge_received_data(told.flow_controlled_length, told.stream_id)
                        case StreamEnded():
                            self.requests.append(paths[told.stream_id])
                            if not self._answer(client, h2, told.stream_id, paths[told.stream_id]):
                                return
                        case StreamReset():
                            self.requests.append(f"{paths[told.stream_id]} reset")
                client.sendall(h2.data_to_send())

    def _answer(self, client: socket.socket, h2: H2Connection, number: int, how: str) -> bool:
        """Whether the connection goes on."""
        if how == "refused":
            h2.send_headers(number, [(":status", "429"), ("retry-after", "7"), ("content-type", "application/json")])
            h2.send_data(number, b'{"error":{"message":"slow down"}}', end_stream=True)
            return True
        if how == "no-number":
            h2.send_headers(number, [(":status", "200 OK")], end_stream=True)
            return True
        if how == "no-frame":
            client.sendall(bytes([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]))  # a window that grows by nothing
            return False
        h2.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
        for word in WORDS:
            h2.send_data(number, event(delta={"content": word}))
            client.sendall(h2.data_to_send())
        if how in {"goaway", "closed"}:
            time.sleep(0.2)  # see below: what was not read by then may be lost
        match how:
            case "whole":
                h2.send_data(number, event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n", end_stream=True)
            case "ended":
                h2.end_stream(number)
            case "reset":
                h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
            case "reset-quietly":
                h2.reset_stream(number, ErrorCodes.NO_ERROR)
            case "goaway":
                h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=0)
                client.sendall(h2.data_to_send())
                return False
            case "closed":
                return False
        return True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        yield one


def grok(server: Server, how: str, client: Any, **options: Any) -> GrokProvider:
    return GrokProvider("key-0123456789", base_url=f"{server.url}/{how}/v1", http_client=client, **options)


def speaks(library: ModuleType) -> Any:
    return library.AsyncClient(http1=False, http2=True, trust_env=False)


async def test_a_whole_answer_is_whole_and_the_connection_is_kept(server: Server, library: ModuleType) -> None:
    async with nothing_left():
        async with speaks(library) as client, session(grok(server, "whole", client)) as provider:
            for _ in range(3):
                async with provider.chat_stream(MESSAGES) as stream:
                    chunks = [chunk async for chunk in stream]
                assert [chunk.content for chunk in chunks] == [*WORDS, ""]
                assert chunks[-1].finish_reason == "stop"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("ended", TruncatedStreamError),
        ("reset", NetworkError),
        ("reset-quietly", NetworkError),
        ("goaway", NetworkError),
        ("closed", NetworkError),
        ("silent", StreamTimeoutError),
    ],
)
async def test_no_word_is_lost_and_the_next_call_is_answered(
    server: Server, library: ModuleType, how: str, cause: type[Exception]
) -> None:
    deadlines = Deadlines(idle=0.5 if how == "silent" else 30)
    async with nothing_left():
        async with speaks(library) as client:
            async with session(grok(server, how, client, deadlines=deadlines)) as provider:
                async with provider.chat_stream(MESSAGES) as stream:
                    words = [chunk.content async for chunk in stream]
                if how in {"goaway", "closed"}:
                    # httpcore acknowledges a piece before it hands it on, and loses it where nobody reads that.
                    assert words[-1] == provider.marker
                    assert words[:-1] == WORDS[: len(words) - 1]
                else:
                    assert words == [*WORDS, provider.marker]
                with pytest.raises(StreamInterruptedError) as caught:
                    stream.raise_for_interruption()
                assert isinstance(caught.value.cause, cause)
            async with session(grok(server, "whole", client)) as other:
                assert (await other.chat(MESSAGES)).content == "".join(WORDS)
    assert server.requests == [how, "whole"]


async def test_a_refusal_says_when_to_come_back(server: Server, library: ModuleType) -> None:
    async with nothing_left(), speaks(library) as client, session(grok(server, "refused", client)) as provider:
        with pytest.raises(RateLimitError) as caught:
            await provider.chat(MESSAGES)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 7


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "SECRET\r\nx-evil: 1"},
        {"x-a": "SECRET\n"},
        {"x-a": "SECRET\0"},
        {"x-a\r\nx-evil": "1"},
        {"x a": "SECRET"},
    ],
    ids=["lines", "line break", "null", "lines of a name", "space in a name"],
)
async def test_a_header_that_http_cannot_carry_is_refused(
    server: Server, library: ModuleType, headers: dict[str, str]
) -> None:
    """h2 sends it as it is; a proxy that speaks HTTP/1.1 to the vendor may make two headers or two requests of it."""
    async with nothing_left(), speaks(library) as client:
        async with session(grok(server, "whole", client, headers=headers)) as provider:
            with pytest.raises(CallerError, match="line breaks") as caught:
                await provider.chat(MESSAGES)
    assert server.requests == []
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("how", ["no-number", "no-frame"])
async def test_an_answer_that_is_no_http_is_the_servers_fault(server: Server, library: ModuleType, how: str) -> None:
    """httpcore says of these that the request was wrong, or fails by its own conversion."""
    async with nothing_left(), speaks(library) as client, session(grok(server, how, client)) as provider:
        with pytest.raises(ConnectionFailedError) as caught:
            await provider.chat(MESSAGES)
    assert caught.value.retryable


@pytest.mark.parametrize("how", ["reset", "silent", "left"])
async def test_one_that_breaks_or_is_left_takes_nobody_along(server: Server, library: ModuleType, how: str) -> None:
    """All share one connection."""
    found: list[str] = []

    async def ask(provider: GrokProvider) -> None:
        found.append((await provider.chat(MESSAGES)).content)

    async with nothing_left(), speaks(library) as client:
        options = {"limits": RateLimitPolicy(pace=False)}
        async with (
            session(grok(server, "whole", client, **options)) as whole,
            session(grok(server, how, client, deadlines=Deadlines(idle=0.5), **options)) as other,
        ):
            await whole.chat(MESSAGES)  # so that there is a connection to share
            async with other.chat_stream(MESSAGES) as stream:
                await anext(stream)
                async with create_task_group() as tasks:
                    for _ in range(5):
                        tasks.start_soon(ask, whole)
                if how != "left":
                    async for _ in stream:
                        pass
            assert stream.state == ("closed" if how == "left" else "interrupted")
            assert stream.partial_content == "".join(WORDS)
            await ask(whole)
    assert found == ["".join(WORDS)] * 6
    assert server.connections == 1
