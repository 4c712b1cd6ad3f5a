"""Over TLS, against a server whose certificate nobody knows until a test's own authority is trusted."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
import trustme

from headrace import AIGateway, AIMessage
from headrace.errors import ConnectionFailedError, TruncatedStreamError
from headrace.providers.grok import GrokProvider

from ..loops import ON_UVLOOP_TOO

pytestmark = ON_UVLOOP_TOO

KEY = "key-0123456789"
MESSAGES = [AIMessage("user", "Hello")]
WORDS = ["One ", "whole ", "answer."]


def event(**choice: object) -> bytes:
    data = b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTENT = b"".join(event(delta={"content": word}) for word in WORDS)
END = event(delta={}, finish_reason="stop") + b"0\r\n\r\n"


class Server:
    """
    One connection after the other, one request each. `received` is what came through TLS; the path of the request
    says what is answered: "/whole" all of it; "/cut" nothing behind the content, and the socket closed without TLS's
    goodbye; "/goodbye" the same with it.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.received, self.handshakes, self.failures = b"", 0, 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="tls server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.settimeout(5)
            try:
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self.handshakes += 1
                    self._answer(secure)
            except OSError:
                self.failures += 1

    def _answer(self, secure: ssl.SSLSocket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += secure.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:  # what is closed with bytes unread resets the connection
            body += secure.recv(65536)
        self.received += request
        how = request.split()[1].split(b"/")[1]
        secure.sendall(HEAD + CONTENT + (END if how == b"whole" else b""))
        if how == b"goodbye":
            secure.unwrap()
        elif how == b"cut":
            secure.shutdown(socket.SHUT_RDWR)  # of TCP: no close_notify


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    one = Server(context)
    yield one
    one.close()


def trusting(authority: trustme.CA) -> httpx.AsyncClient:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return httpx.AsyncClient(verify=context)


async def test_a_certificate_that_is_not_trusted_is_named_and_nothing_is_sent(server: Server) -> None:
    async with GrokProvider(KEY, base_url=f"https://localhost:{server.port}/whole/v1") as provider:
        with pytest.raises(ConnectionFailedError, match=r"(?i)certificate.verify.failed") as caught:
            await provider.chat(MESSAGES)
    assert KEY not in str(caught.value)
    assert f"the certificate of https://localhost:{server.port} could not be verified" in str(caught.value)
    assert "SSL_CERT_FILE" in str(caught.value)
    assert "sent again" not in str(caught.value)
    assert caught.value.retryable is False
    assert server.received == b""


async def test_a_gateway_asks_another_where_a_certificate_is_not_trusted(server: Server, authority: trustme.CA) -> None:
    async with trusting(authority) as client:
        stranger = GrokProvider(KEY, name="stranger", base_url=f"https://localhost:{server.port}/whole/v1")
        trusted = GrokProvider(
            KEY, name="trusted", base_url=f"https://localhost:{server.port}/whole/v1", http_client=client
        )
        async with AIGateway(stranger, trusted) as gateway:
            answer = await gateway.chat(MESSAGES)
    assert (answer.provider, answer.content) == ("trusted", "".join(WORDS))
    assert [attempt.error for attempt in answer.attempts] == ["ConnectionFailedError", None]


async def test_a_server_that_breaks_the_handshake_may_be_asked_again() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_hang_up, args=(listener,), daemon=True)
    thread.start()
    async with GrokProvider(KEY, base_url=f"https://localhost:{listener.getsockname()[1]}/v1") as provider:
        with pytest.raises(ConnectionFailedError, match="may be sent again") as caught:
            await provider.chat(MESSAGES)
    assert caught.value.retryable
    listener.close()
    thread.join(5)


def _hang_up(listener: socket.socket) -> None:
    with suppress(OSError):
        listener.accept()[0].close()


async def test_a_certificate_for_another_name_is_named_and_nothing_is_sent(
    server: Server, authority: trustme.CA
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("another.example").configure_cert(context)
    server._context = context
    async with trusting(authority) as client:
        async with GrokProvider(
            KEY, base_url=f"https://localhost:{server.port}/whole/v1", http_client=client
        ) as provider:
            with pytest.raises(ConnectionFailedError, match=r"(?i)hostname mismatch") as caught:
                await provider.chat(MESSAGES)
    assert "could not be verified" in str(caught.value)
    assert caught.value.retryable is False
    assert server.received == b""


async def test_a_client_that_trusts_the_authority_streams_a_whole_answer(server: Server, authority: trustme.CA) -> None:
    async with trusting(authority) as client:
        async with GrokProvider(
            KEY, base_url=f"https://localhost:{server.port}/whole/v1", http_client=client
        ) as provider:
            async with provider.chat_stream(MESSAGES) as stream:
                words = [chunk.content async for chunk in stream if not chunk.is_final]
    assert words == WORDS
    assert (stream.state, stream.response.finish_reason) == ("finished", "stop")
    assert f"bearer {KEY}".encode() in server.received.lower()


@pytest.mark.parametrize("how", ["cut", "goodbye"])
async def test_a_stream_that_ends_after_content_is_cut_with_or_without_a_goodbye_of_tls(
    server: Server, authority: trustme.CA, how: str
) -> None:
    async with trusting(authority) as client:
        async with GrokProvider(
            KEY, base_url=f"https://localhost:{server.port}/{how}/v1", http_client=client
        ) as provider:
            async with provider.chat_stream(MESSAGES) as stream:
                chunks = [chunk async for chunk in stream]
    assert [chunk.is_marker for chunk in chunks] == [False, False, False, True]
    assert stream.partial_content == "".join(WORDS)
    assert stream.state == "interrupted"
    assert stream.interruption is not None and isinstance(stream.interruption.cause, TruncatedStreamError)
