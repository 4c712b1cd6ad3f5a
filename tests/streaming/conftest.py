"""What the stream tests share: the raw server, the check that nothing is left, a provider on each kind of client."""

from __future__ import annotations

import gc
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Protocol, Unpack

import httpx
import httpx2
import pytest

from headrace.providers.base import ProviderOptions
from headrace.providers.openai import OpenAIProvider

from ..leaks import nothing_left, soon
from ..rawserver import RawServer


class Make(Protocol):
    """A provider for a script's URL."""

    def __call__(self, url: str, **options: Unpack[ProviderOptions]) -> OpenAIProvider: ...


@pytest.fixture(scope="session", autouse=True)
def small_heap() -> Iterator[None]:
    """Each leak check collects garbage; what the imports made need not be looked at each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def server() -> Iterator[RawServer]:
    with RawServer() as running:
        yield running


@pytest.fixture
async def leak_check(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """For async tests: `pytestmark = pytest.mark.usefixtures("leak_check")`."""
    async with nothing_left():
        yield
        if "server" in request.fixturenames:
            server: RawServer = request.getfixturevalue("server")
            await soon(lambda: server.open == 0)


@cache
def tls() -> ssl.SSLContext:
    """One for all clients: reading the certificates takes longer than most tests."""
    return ssl.create_default_context()


CLIENTS: dict[str, Callable[[], httpx.AsyncClient | httpx2.AsyncClient]] = {
    "httpx": lambda: httpx.AsyncClient(verify=tls()),
    "httpx2": lambda: httpx2.AsyncClient(verify=tls()),
}


@pytest.fixture(params=["own", "httpx", "httpx2"])
async def make(
    request: pytest.FixtureRequest, leak_check: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """A provider with a client of its own, or with an injected one, which must be open when all is over."""
    monkeypatch.setattr("httpx._transports.default.create_ssl_context", lambda **_: tls())
    client = None if request.param == "own" else CLIENTS[request.param]()

    def made(url: str, **options: Unpack[ProviderOptions]) -> OpenAIProvider:
        return OpenAIProvider(api_key="k", base_url=url, **{"http_client": client, **options})

    yield made
    if client is not None:
        assert not client.is_closed
        await client.aclose()
