"""What a close reading found: clocks, clients, keys and last words in corners that the large tables do not reach."""

from __future__ import annotations

import gzip
import traceback
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from anyio import fail_after, sleep
from anyio.lowlevel import checkpoint

from headrace import AIMessage, AIResponse, AIStreamChunk, Deadlines, GenerationConfig, ToolCall
from headrace.errors import CallerError, ConnectionFailedError, OverloadedError, RateLimitError, StreamTimeoutError
from headrace.providers.base import BaseProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults
from headrace.wire.framing import Lines

MESSAGES = [AIMessage("user", "hi")]
KEY = "sk-SECRETKEY"
NOBODY = "http://127.0.0.1:9/v1"  # the discard port


class Stubborn(OpenAIProvider):
    """Asks again where it is refused: a provider of somebody else's may."""

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        try:
            async for chunk in super()._raw_chat_stream(messages, config):
                yield chunk
        except RateLimitError:
            async for chunk in super()._raw_chat_stream(messages, config):
                yield chunk


async def test_the_deadlines_run_again_after_a_refusal_that_was_caught() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(fault=faults.Refuse(status=429)), Script(fault=faults.Stall(after_events=0)))
        async with Stubborn(KEY, base_url=sim.base_url("openai"), deadlines=Deadlines(first_chunk=0.2)) as provider:
            with fail_after(5), pytest.raises(StreamTimeoutError) as late:
                await provider.chat(MESSAGES)
        assert late.value.kind == "first_chunk" and sim.requests == 2


async def test_the_time_for_a_key_is_not_the_vendors() -> None:
    async def key() -> str:
        await sleep(0.4)
        return KEY

    async with Simulator() as sim:
        async with OpenAIProvider(
            key, base_url=sim.base_url("openai"), deadlines=Deadlines(first_chunk=0.2)
        ) as provider:
            assert (await provider.chat(MESSAGES)).state == "finished"


class Delegating(BaseProvider):
    name = "delegating"

    def __init__(self, inner: OpenAIProvider) -> None:
        super().__init__()
        self.inner = inner

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        async for chunk in self.inner._raw_chat_stream(messages, config):
            yield chunk


async def test_a_provider_within_another_sends_through_its_own_client() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(429, json={"error": {"message": "slow down"}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with OpenAIProvider(KEY, base_url="http://inner.test/v1", http_client=client) as inner:
            async with Delegating(inner) as outer:
                with pytest.raises(RateLimitError):
                    await outer.chat(MESSAGES)
    assert seen == ["inner.test"]


async def test_an_answer_of_a_provider_with_only_chat_keeps_calls_and_invents_no_ending() -> None:
    class Plain(BaseProvider):
        async def chat(self, messages: object, config: GenerationConfig | None = None) -> AIResponse:
            return AIResponse("hello", "plain", "m", tool_calls=(ToolCall("1", "f", "{}"),))

    async with Plain() as provider:
        answer = await provider.chat_stream(MESSAGES).collect()
    assert answer.tool_calls == (ToolCall("1", "f", "{}"),)
    assert (answer.finish_reason, answer.state) == (None, "unconfirmed")


async def test_headers_of_the_caller_replace_the_providers_whatever_their_case() -> None:
    async with Simulator() as sim:
        headers = {"AUTHORIZATION": "Bearer other", "Accept-Encoding": "gzip"}
        async with OpenAIProvider(KEY, base_url=sim.base_url("openai"), headers=headers) as provider:
            await provider.chat(MESSAGES)
        assert sim.exchanges[-1].headers["authorization"] == "Bearer other"
        assert sim.exchanges[-1].headers["accept-encoding"] == "gzip"


async def test_no_key_hangs_on_an_error_or_in_the_locals_of_its_traceback() -> None:
    async with OpenAIProvider(KEY, base_url=NOBODY) as provider:
        with pytest.raises(ConnectionFailedError) as caught:
            await provider.chat(MESSAGES)
    link: BaseException | None = caught.value
    while link is not None:
        assert getattr(link, "_request", None) is None
        link = link.__cause__ or link.__context__
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "ConnectError" in shown and KEY not in shown


@pytest.mark.parametrize("value", ["schlüssel-SECRETKEY", "SECRETKEY\r\nx: y"], ids=["not ascii", "line break"])
async def test_a_header_that_cannot_be_sent_is_the_callers_error_and_not_shown(value: str) -> None:
    async with Simulator() as sim:
        async with OpenAIProvider(KEY, base_url=sim.base_url("openai"), headers={"x-token": value}) as provider:
            with pytest.raises(CallerError, match="cannot be sent") as caught:
                await provider.chat(MESSAGES)
    assert caught.value.__context__ is None and "SECRETKEY" not in str(caught.value)


@pytest.mark.parametrize("target", ["mailto:a@b.example", "http://xn--a/", "/" + "a" * 65530])
async def test_a_redirect_to_no_url_is_the_servers_fault(target: str) -> None:
    """httpx reads the target although it does not follow it."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(302, headers={"location": target})))
    async with http, OpenAIProvider(KEY, http_client=http) as provider:
        with pytest.raises(ConnectionFailedError):
            await provider.chat(MESSAGES)


async def test_a_value_error_of_a_transport_of_the_callers_passes() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise ValueError("my own")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        async with OpenAIProvider(KEY, http_client=http) as provider:
            with pytest.raises(ValueError, match="my own"):
                await provider.list_models()


async def test_a_key_that_a_proxy_quotes_is_masked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": {"message": f"Received={request.headers['authorization']}"}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with OpenAIProvider(KEY, base_url="http://proxy.test/v1", http_client=client) as provider:
            with pytest.raises(Exception, match=r"Received=Bearer \*\*\*") as caught:
                await provider.chat(MESSAGES)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://u:pw-SECRET@proxy.test/v1", "https://x.test/v1?key=SECRET", "https://[::1", "x.test/SECRET", "https://"],
)
def test_a_base_url_that_cannot_serve_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        OpenAIProvider(KEY, base_url=url)
    assert "SECRET" not in str(caught.value)


def test_the_scheme_of_a_base_url_may_be_in_capitals() -> None:
    assert OpenAIProvider(KEY, base_url="HTTPS://x.test/v1/").base_url == "https://x.test/v1"


async def test_a_closed_client_is_the_callers_error() -> None:
    client = httpx.AsyncClient()
    await client.aclose()
    async with OpenAIProvider(KEY, http_client=client) as provider:
        with pytest.raises(CallerError, match="http_client that was given is closed"):
            await provider.chat(MESSAGES)


async def test_an_error_without_framing_counts_without_a_last_line_end() -> None:
    body = (
        b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n'
        b'{"error":{"code":503,"message":"no capacity","status":"UNAVAILABLE"}}'
    )

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        async with GeminiProvider(KEY, base_url="http://x.test", http_client=client) as provider:
            async with provider.chat_stream(MESSAGES) as stream:
                chunks = [chunk async for chunk in stream]
    assert chunks[0].content == "a" and chunks[-1].is_marker
    assert stream.interruption is not None and isinstance(stream.interruption.cause, OverloadedError)


def test_every_member_of_a_gzip_body_is_read() -> None:
    members = b"".join(gzip.compress(f"data: {n}\n\n".encode()) for n in range(5))
    frame = Lines("gzip")
    assert "".join(frame.feed(members[i : i + 7]) for i in range(0, len(members), 7)) == "".join(
        f"data: {n}\n\n" for n in range(5)
    )


async def test_a_stream_that_is_left_at_once_says_so_in_both_states() -> None:
    async with Simulator() as sim, OpenAIProvider(KEY, base_url=sim.base_url("openai")) as provider:
        stream = provider.chat_stream(MESSAGES)
        stream._start()
        await stream.aclose()
        await checkpoint()
        assert (stream.state, stream.response.state) == ("closed", "closed")


async def test_the_traceback_of_a_repeated_cut_does_not_grow() -> None:
    async def source() -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk("a")
        raise OSError("gone")

    recovered = BaseProvider()._stream_with_recovery(source())
    assert [(await anext(recovered)).is_marker for _ in range(2)] == [False, True]
    depths = set()
    for _ in range(3):
        with pytest.raises(Exception, match="interrupted") as caught:
            await anext(recovered)
        depths.add(len(caught.traceback))
    assert len(depths) == 1
