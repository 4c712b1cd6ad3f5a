"""By a proxy, as in many a company: a tunnel for https, whole addresses for http; the same promises."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Self
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest
import trustme

from headrace import AIMessage
from headrace.errors import ConnectionFailedError
from headrace.providers.grok import GrokProvider

from .leaks import nothing_left, session
from .loops import ON_UVLOOP_TOO
from .rawserver import Fault, RawServer
from .security.test_tls import Server, authority, server

__all__ = ("authority", "server")  # fixtures

pytestmark = ON_UVLOOP_TOO

MESSAGES = [AIMessage("user", "Hello")]
KEY = "key-0123456789"


class Proxy:
    """A proxy. `asked` has the first line of each request; `refuses` is a status line that answers all of them."""

    def __init__(self, refuses: bytes = b"") -> None:
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        self._refuses = refuses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            line, rest = head.split(b"\r\n", 1)
            method, target, version = line.decode().split()
            self.asked.append(f"{method} {target}")
            self.heads.append(head)
            if self._refuses:
                client.sendall(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % self._refuses)
                return
            at = urlsplit(target if "//" in target else f"//{target}")
            with socket.create_connection((at.hostname, at.port)) as origin:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    origin.sendall(f"{method} {at.path} {version}\r\n".encode() + rest)
                back = threading.Thread(target=copied, args=(origin, client), daemon=True)
                back.start()
                copied(client, origin)
                back.join(5)


def copied(source: socket.socket, sink: socket.socket) -> None:
    """What comes from one goes to the other, its end as well."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def event(**choice: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


WORDS = [event(delta={"content": word}) for word in ("One ", "two ", "three")]


@pytest.fixture
def raw() -> Iterator[RawServer]:
    with RawServer() as one:
        yield one


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_a_plain_address_is_asked_through_the_proxy_and_a_cut_loses_nothing(
    raw: RawServer, library: ModuleType
) -> None:
    url = raw.play(*WORDS, Fault.FIN)
    with Proxy() as proxy:
        async with nothing_left():
            async with library.AsyncClient(proxy=proxy.url) as client:
                async with session(GrokProvider(KEY, base_url=url, http_client=client)) as provider:
                    async with provider.chat_stream(MESSAGES) as stream:
                        chunks = [chunk.content async for chunk in stream]
    assert chunks == ["One ", "two ", "three", provider.marker]
    assert proxy.asked == [f"POST {url}/chat/completions"]


async def test_a_secure_address_goes_through_a_tunnel_that_sees_no_key(
    server: Server, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with nothing_left():
            async with session(GrokProvider(KEY, base_url=f"https://localhost:{server.port}/whole/v1")) as provider:
                answer = await provider.chat(MESSAGES)
                async with GrokProvider(KEY, base_url=f"https://localhost:{server.port}/cut/v1") as other:
                    async with other.chat_stream(MESSAGES) as stream:
                        cut = [chunk.content async for chunk in stream]
    assert answer.content == "One whole answer."
    assert cut == ["One ", "whole ", "answer.", other.marker]
    assert proxy.asked == [f"CONNECT localhost:{server.port}"] * 2
    assert not any(KEY.encode() in head for head in proxy.heads)
    assert KEY.encode() in server.received


async def test_a_proxy_that_refuses_the_tunnel_is_named_and_its_password_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Proxy(refuses=b"407 Proxy Authentication Required") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//miller:pass-0123@"))
        async with session(GrokProvider(KEY, base_url=f"https://localhost:{server.port}/whole/v1")) as provider:
            with pytest.raises(ConnectionFailedError, match=r"ProxyError.*407 Proxy Authentication Required") as caught:
                await provider.chat(MESSAGES)
    assert "pass-0123" not in str(caught.value)
    assert server.received == b""
