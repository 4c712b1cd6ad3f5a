"""Depth, size and compression, on every path on which bytes of a vendor come in; and where their words may lead."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import httpx
import pytest
from anyio.lowlevel import checkpoint

from headrace import AIMessage, GenerationConfig, ImagePart
from headrace.errors import BrokenResponseError, HeadraceError, ProviderError, RefusedError, UnsupportedOptionError
from headrace.providers._vendor import VendorProvider
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.ollama import OllamaProvider
from headrace.providers.openai import OpenAIProvider

KEY = "key-0123456789"
MESSAGES = [AIMessage("user", "Hello")]
PROVIDERS: Mapping[str, type[VendorProvider]] = {
    "anthropic": AnthropicProvider,
    "openai": OpenAIProvider,
    "gemini": GeminiProvider,
    "grok": GrokProvider,
    "ollama": OllamaProvider,
}
JSON = {"content-type": "application/json"}
PLAIN = GenerationConfig(stream=False)
DEEP = b"[" * 100_000
NESTED = b'{"data":[{"id":%b}],"models":[%b],"embeddings":%b,"error":%b}' % ((b"[" * 50_000 + b"]" * 50_000,) * 4)

Handler = Callable[[httpx.Request], httpx.Response]


def stream_type(vendor: str) -> Mapping[str, str]:
    return {"content-type": "application/x-ndjson" if vendor == "ollama" else "text/event-stream"}


def framed(vendor: str, data: bytes) -> bytes:
    return data + b"\n" if vendor == "ollama" else b"data: " + data + b"\n\n"


async def ask(vendor: str, answer: Handler, call: str = "chat", config: GenerationConfig | None = None) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with PROVIDERS[vendor](KEY, http_client=client, model="m") as provider:
            if call == "chat":
                await provider.chat(MESSAGES, config)
            elif call == "embed":
                await provider.embed(["x"], model="m")
            elif call == "count_tokens":
                await provider.count_tokens(MESSAGES)
            else:
                await provider.list_models()


@pytest.mark.parametrize("data", [DEEP, NESTED], ids=["open", "whole"])
@pytest.mark.parametrize("call", ["chat", "plain", "refused", "embed", "count_tokens", "list_models"])
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_json_of_any_depth_is_a_typed_error_on_every_path(vendor: str, call: str, data: bytes) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if call == "chat":
            return httpx.Response(200, headers=stream_type(vendor), content=framed(vendor, data))
        return httpx.Response(400 if call == "refused" else 200, headers=JSON, content=data)

    name, config = ("chat", PLAIN) if call == "plain" else ("chat" if call == "refused" else call, None)
    with pytest.raises((ProviderError, UnsupportedOptionError)) as caught:
        await ask(vendor, answer, name, config)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("arguments", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, "9" * 100_000])
async def test_arguments_of_a_call_of_any_depth_are_kept_and_are_no_call(arguments: str) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": arguments}}
    event = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=stream_type("grok"), content=framed("grok", json.dumps(event).encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with GrokProvider(KEY, http_client=client, model="m") as provider:
            (found,) = (await provider.chat(MESSAGES)).tool_calls
    assert type(found).__name__ == "PartialToolCall"
    assert found.arguments == arguments


class Endless(httpx.AsyncByteStream):
    """The same piece for ever; `given` counts the bytes that were taken."""

    def __init__(self, piece: bytes, head: bytes = b"") -> None:
        self.piece, self.head, self.given = piece, head, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.head:
            yield self.head
        while True:
            await checkpoint()
            self.given += len(self.piece)
            yield self.piece


ENDLESS = {
    "line": (b"a" * 1_000_000, b""),
    "event": (b"data: " + b"a" * 1_000_000 + b"\n", b""),
    "comments": (b":" + b"a" * 1_000_000 + b"\n\n", b""),
    "object without framing": (b"1," * 500_000, b'{"error":['),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_what_has_no_end_is_left_within_a_bound(vendor: str, name: str) -> None:
    body = Endless(*ENDLESS[name])
    with pytest.raises(BrokenResponseError):
        await ask(vendor, lambda _: httpx.Response(200, headers=stream_type(vendor), stream=body))
    assert body.given <= 20_000_000


@pytest.mark.parametrize(("call", "most"), [("plain", 66_000_000), ("list_models", 8_400_000), ("refused", 2_000_000)])
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_so_is_a_body_without_an_end(vendor: str, call: str, most: int) -> None:
    body = Endless(b" " * 1_000_000, b"[")
    status, name = (400 if call == "refused" else 200), ("list_models" if call == "list_models" else "chat")
    with pytest.raises(ProviderError):
        await ask(
            vendor,
            lambda _: httpx.Response(status, headers=JSON, stream=body),
            name,
            PLAIN if call == "plain" else None,
        )
    assert body.given <= most + 2_000_000


ZEROS = b"\0" * (64 << 20)
PACKED = {
    "gzip": gzip.compress(ZEROS),
    "deflate": zlib.compress(ZEROS),
    "gzip, gzip": gzip.compress(gzip.compress(ZEROS)),
    "br": b"\x1b" + b"\0" * 64,
    "zstd": b"\x28\xb5\x2f\xfd" + b"\0" * 64,
}


@pytest.mark.parametrize("how", ["stream", "plain", "refused"])
@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_bomb_is_a_typed_error_whatever_packed_it(vendor: str, coding: str, how: str) -> None:
    kind = stream_type(vendor) if how == "stream" else JSON

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        packed = httpx.ByteStream(PACKED[coding])
        return httpx.Response(
            400 if how == "refused" else 200, headers={**kind, "content-encoding": coding}, stream=packed
        )

    tracemalloc.start()
    try:
        with pytest.raises(RefusedError if how == "refused" else BrokenResponseError) as caught:
            await ask(vendor, answer, config=PLAIN if how == "plain" else None)
        assert tracemalloc.get_traced_memory()[1] < 48 << 20  # of 64 MiB
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000
    assert how == "refused" or "expand to" in str(caught.value) or "is compressed with" in str(caught.value)


async def test_a_cursor_of_the_vendors_reaches_no_other_field_of_the_query() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"models": [], "nextPageToken": "x&key=evil#/../\r\ny: z"})

    await ask("gemini", answer, "list_models")
    assert [url.path for url in asked] == ["/v1beta/models"] * 2
    assert dict(asked[1].params) == {"pageSize": "1000", "pageToken": "x&key=evil#/../\r\ny: z"}


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_url_in_a_message_is_passed_on_and_never_fetched(vendor: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(500)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with PROVIDERS[vendor](KEY, http_client=client, model="m") as provider:
            with pytest.raises(HeadraceError):
                await provider.chat([AIMessage("user", [ImagePart("http://169.254.169.254/latest/meta-data")])])
    assert "169.254.169.254" not in asked
    assert len(asked) <= 1


@pytest.mark.parametrize("form", [str, lambda path: path.as_uri()], ids=["path", "file-url"])
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_string_is_never_taken_for_a_file(vendor: str, form: Callable[[Path], str], tmp_path: Path) -> None:
    """Only a `Path` is read: strings come from outside, and a file of the server's must not go to a vendor."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"the secret of the server")
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(500)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with PROVIDERS[vendor](KEY, http_client=client, model="m") as provider:
            for source, is_read in ((form(secret), False), (secret, True)):
                sent.clear()
                with pytest.raises(HeadraceError):
                    await provider.chat([AIMessage("user", [ImagePart(source)])])
                assert any(b64encode(secret.read_bytes()) in body for body in sent) is is_read


async def test_a_list_of_models_without_an_end_is_left() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        models = [{"id": f"m{number}", "type": "model"} for number in range(1000)]
        return httpx.Response(200, json={"data": models, "has_more": True, "last_id": f"after-{len(asked)}"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        async with AnthropicProvider("key-0123456789", http_client=http) as provider:
            assert len(await provider.list_models()) == 10_000
    assert len(asked) == 10
