"""
A key is in the header of its request and nowhere else, whoever looks: at each local of each frame of an error and of
all that it came from (as `pytest --showlocals` and error reporters do), at objects, at what a hostile vendor quotes.
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import httpx
import pytest
from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint

from headrace import AIGateway, AIMessage, AIResponse, GenerationConfig, Recorder
from headrace.errors import ConnectionFailedError, HeadraceError, MissingKeyError, ProviderError, ServerError
from headrace.providers._vendor import VendorProvider
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.compatible import CompatibleProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.ollama import OllamaProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults

KEY = "sk-live-7Gq0hTabcdef"
MESSAGES = [AIMessage("user", "Hello")]
PROVIDERS: Mapping[str, type[VendorProvider]] = {
    "anthropic": AnthropicProvider,
    "openai": OpenAIProvider,
    "gemini": GeminiProvider,
    "grok": GrokProvider,
    "ollama": OllamaProvider,
}
EVENTS = {"content-type": "text/event-stream"}
LINES = {"content-type": "application/x-ndjson"}
PLAIN = GenerationConfig(stream=False)
Handler = Callable[[httpx.Request], httpx.Response]


def links(error: BaseException | None) -> Iterator[BaseException]:
    """It and all that it came from, contexts included that are not shown by default."""
    seen: list[BaseException] = []
    todo = [error]
    while todo:
        one = todo.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        yield one
        todo += [one.__cause__, one.__context__, getattr(one, "cause", None)]


def found(error: BaseException) -> list[str]:
    """Where the key shows itself. The test's own frames, which hold it, are left out."""
    places = []
    for one in links(error):
        kind = type(one).__name__
        if KEY in f"{one}{one!r}{vars(one)!r}{one.args!r}":
            places.append(kind)
        frame = one.__traceback__
        while frame is not None:
            code = frame.tb_frame.f_code
            if code.co_filename != __file__:
                shown = {name: repr(value) for name, value in frame.tb_frame.f_locals.items()}
                places += [f"{kind}: {code.co_qualname}: {name}" for name, text in shown.items() if KEY in text]
            frame = frame.tb_next
    if isinstance(error, HeadraceError) and KEY.encode() in pickle.dumps(error):
        places.append("pickle")
    return places


FAILURES: Mapping[str, faults.Fault] = {
    "401": faults.Refuse(status=401),
    "429": faults.Refuse(status=429),
    "500-cut": faults.Refuse(status=500, body="cut"),
    "no-head": faults.NoHead(),
    "html": faults.HtmlBody(),
    "redirect": faults.Redirect(),
    "cut": faults.CutFin(after_pieces=1),
    "error": faults.ErrorEvent(after_pieces=1),
    "malformed": faults.Malformed(after_pieces=1),
}


@pytest.mark.parametrize("where", ["api_key", "headers"])
@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_no_frame_of_an_error_shows_the_key(vendor: str, name: str, where: str) -> None:
    key, headers = (KEY, {}) if where == "api_key" else ("other-key-0123", {"x-proxy-key": KEY})
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("a", "b"), fault=FAILURES[name]))
        async with PROVIDERS[vendor](key, headers=headers, base_url=sim.base_url(vendor), model="m") as provider:
            with pytest.raises(HeadraceError) as caught:
                await provider.chat(MESSAGES)
        assert KEY in "".join(sim.exchanges[0].headers.values())
    assert found(caught.value) == []


class Stopped(BaseException):
    """What passes through everything, as a KeyboardInterrupt does, which the test's own loop would not survive."""


@pytest.mark.parametrize("raised", [RuntimeError, Stopped, httpx.ConnectError, OSError])
async def test_nor_does_a_frame_of_what_a_transport_raises(raised: type[BaseException]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise raised("no")

    caught: list[BaseException] = []
    try:
        async with client(answer) as http, OpenAIProvider(KEY, http_client=http) as provider:
            await provider.list_models()
    except BaseException as exc:
        caught.append(exc)
    assert isinstance(caught[0], ConnectionFailedError if issubclass(raised, httpx.HTTPError | OSError) else raised)
    assert found(caught[0]) == []


async def test_nor_does_a_frame_of_a_cancellation() -> None:
    caught: list[BaseException] = []
    async with Simulator() as sim, OpenAIProvider(KEY, base_url=sim.base_url("openai")) as provider:
        sim.play("openai", Script(fault=faults.NoHead()))

        async def ask(scope: CancelScope) -> None:
            with scope:
                try:
                    await provider.chat(MESSAGES)
                except BaseException as exc:
                    caught.append(exc)
                    raise

        async with create_task_group() as tasks:
            scope = CancelScope()
            tasks.start_soon(ask, scope)
            while not sim.requests:
                await checkpoint()
            scope.cancel()
    assert found(caught[0]) == []


def client(answer: Handler) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def says(content: str, headers: Mapping[str, str] = EVENTS, status: int = 200) -> Handler:
    return lambda _: httpx.Response(status, headers=headers, content=content.encode())


class Cut(httpx.AsyncByteStream):
    """A body that breaks; the error quotes what came, as h11's does."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        raise httpx.RemoteProtocolError(f"illegal chunk header: {KEY.encode()!r}")


BEGUN = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
QUOTING: Mapping[str, tuple[type[VendorProvider], Handler]] = {
    "event": (OpenAIProvider, says(f'data: {{"error":{{"message":"bad key {KEY}","code":"{KEY}"}}}}\n\n')),
    "event-anthropic": (
        AnthropicProvider,
        says(f'event: error\ndata: {{"type":"error","error":{{"type":"x","message":"bad {KEY}"}}}}\n\n'),
    ),
    "event-gemini": (GeminiProvider, says(f'data: {{"error":{{"code":500,"message":"bad {KEY}"}}}}\n\n')),
    "line-ollama": (OllamaProvider, says(f'{{"error":"bad {KEY}"}}\n', LINES)),
    "event-midway": (GrokProvider, says(f'{BEGUN}data: {{"error":{{"message":"bad key {KEY}"}}}}\n\n')),
    "no-json": (GrokProvider, says(f"data: {{bad {KEY}\n\n")),
    "other-json": (GrokProvider, says(f'{BEGUN}data: {{"choices":"{KEY}"}}\n\n')),
    "body": (OpenAIProvider, says(f'{{"error":{{"message":"bad {KEY}"}}}}', status=401)),
    "request-id": (OpenAIProvider, says("{}", {"x-request-id": KEY}, 500)),
    "content-type": (OpenAIProvider, says("{}", {"content-type": f"text/{KEY}"})),
    "content-encoding": (
        OpenAIProvider,
        lambda _: httpx.Response(200, headers={**EVENTS, "content-encoding": KEY}, stream=Cut()),
    ),
    "location": (OpenAIProvider, says("", {"location": f"https://{KEY}.example/?key={KEY}"}, 302)),
}


@pytest.mark.parametrize("where", ["api_key", "headers"])
@pytest.mark.parametrize("how", QUOTING)
async def test_a_credential_that_is_quoted_in_an_answer_is_masked_in_its_error(how: str, where: str) -> None:
    kind, answer = QUOTING[how]
    key, headers = (KEY, {}) if where == "api_key" else ("other-key-0123", {"x-proxy-token": KEY})
    async with client(answer) as http:
        async with kind(key, http_client=http, headers=headers, model="m") as provider:
            with pytest.raises(HeadraceError) as caught:
                await provider.chat(MESSAGES)
    cause = getattr(caught.value, "cause", caught.value)
    assert "***" in f"{cause}{vars(cause)}"
    assert not [place for place in found(caught.value) if "_raw_chat_stream" not in place]  # holds what the vendor sent


@pytest.mark.parametrize("call", ["list_models", "embed", "plain chat"])
async def test_nor_is_it_in_the_error_of_a_plain_answer(call: str) -> None:
    async with client(
        says(json.dumps({"error": {"message": f"bad {KEY}"}}), {"content-type": "application/json"})
    ) as http:
        async with OpenAIProvider(KEY, http_client=http, model="m") as provider:
            with pytest.raises(ProviderError, match=r"\*\*\*") as caught:
                if call == "list_models":
                    await provider.list_models()
                elif call == "embed":
                    await provider.embed(["x"], model="m")
                else:
                    await provider.chat(MESSAGES, PLAIN)
    assert [place for place in found(caught.value) if "_raw_chat_stream" not in place] == []


LIMIT: Mapping[str, str] = {"ratelimit-policy": f'"{KEY}";q=10;w=60', "ratelimit": f'"{KEY}";r=1;t=30'}


async def test_nor_is_it_in_the_error_of_a_plain_answer_that_breaks() -> None:
    head = {"content-type": "application/json", "x-request-id": KEY}
    async with client(lambda _: httpx.Response(200, headers=head, stream=Cut())) as http:
        async with OpenAIProvider(KEY, http_client=http) as provider:
            with pytest.raises(ProviderError, match=r"\*\*\*") as caught:
                await provider.list_models()
    assert caught.value.request_id == "***"
    assert found(caught.value) == []


@pytest.mark.parametrize("call", ["refused", "stream", "list_models"])
async def test_nor_is_it_in_the_name_of_a_limit(call: str, caplog: pytest.LogCaptureFixture) -> None:
    """A policy's name is the vendor's own word, and is told in events and in the log."""
    caplog.set_level(logging.DEBUG, "headrace")
    kind = "application/json" if call == "list_models" else "text/event-stream"
    answer = says('{"data":[]}', {"content-type": kind, **LIMIT}, 429 if call == "refused" else 200)
    async with (
        client(answer) as http,
        CompatibleProvider(KEY, base_url="https://proxy.example/v1", http_client=http, model="m") as provider,
    ):
        if call == "list_models":
            await provider.list_models()
        else:
            with pytest.raises(HeadraceError) as caught:
                await provider.chat(MESSAGES)
            assert [place for place in found(caught.value) if "_raw_chat_stream" not in place] == []
        told = f"{provider.rate_limits()}{caplog.text}"
    assert "requests:***" in told
    assert KEY not in told


async def test_words_of_an_answer_are_never_masked() -> None:
    """A model that repeats what the user has shown it must be quoted as it spoke."""
    said = f'data: {{"choices":[{{"delta":{{"content":"{KEY}"}},"finish_reason":"stop"}}]}}\n\n'
    async with client(says(said)) as http, GrokProvider(KEY, http_client=http, model="m") as provider:
        answer = await provider.chat(MESSAGES)
    assert isinstance(answer, AIResponse)
    assert answer.content == KEY


async def test_a_recording_masks_the_credentials_of_headers_by_their_names() -> None:
    recorder = Recorder()
    async with client(says(f'data: {{"error":{{"message":"{KEY}"}}}}\n\n', {**EVENTS, "x-echo": KEY})) as http:
        async with OpenAIProvider(
            "other-key-0123", http_client=http, headers={"x-proxy-token": KEY}, recorder=recorder
        ) as provider:
            with pytest.raises(ServerError):
                await provider.chat(MESSAGES)
    (recording,) = recorder.recordings
    assert KEY not in f"{recording.headers}{recording.frames}{recording.message}{recording.request}"
    assert recording.frames


async def test_no_object_shows_a_key_or_a_header() -> None:
    provider = OpenAIProvider(KEY, headers={"x-proxy-token": KEY, "authorization": f"Bearer {KEY}"})
    gateway = AIGateway(provider)
    async with gateway:
        stream = gateway.chat_stream(MESSAGES)
        for one in (provider, gateway, stream, stream._plan, stream.response):
            shown = f"{one!r}{one}" + (repr(vars(one)) if hasattr(one, "__dict__") else "")
            assert KEY not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(provider)


async def give_line_break() -> str:
    return f"{KEY}\n"


@pytest.mark.parametrize(
    "give",
    [lambda: f"{KEY}\n", give_line_break, lambda: KEY.encode(), lambda: None],
    ids=["line break", "line break, async", "bytes", "none"],
)
async def test_what_a_callable_gives_wrongly_is_told_without_being_shown(give: Callable[[], str]) -> None:
    async with Simulator() as sim, OpenAIProvider(give, base_url=sim.base_url("openai")) as provider:
        with pytest.raises(MissingKeyError, match=r"^openai: the ") as caught:
            await provider.chat(MESSAGES)
        assert sim.requests == 0
    assert found(caught.value) == []


@pytest.mark.parametrize(
    "options", [{"api_key": KEY.encode()}, {"headers": {"x-token": KEY.encode()}}, {"headers": {"x": None}}]
)
def test_a_key_or_header_that_is_no_text_is_told_when_the_provider_is_made(options: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=r"^openai: .*is of type (bytes|NoneType)") as caught:
        OpenAIProvider(**options)  # type: ignore[arg-type]  # that is the point
    assert KEY not in str(caught.value)


async def test_a_header_of_the_callers_wins_and_is_sent_once() -> None:
    """`headers=` may bring another way to say who one is; then the key's own header is replaced, not doubled."""
    async with Simulator() as sim:
        async with OpenAIProvider(
            "other-key-0123", base_url=sim.base_url("openai"), headers={"AUTHORIZATION": f"Bearer {KEY}"}
        ) as provider:
            await provider.chat(MESSAGES)
    assert sim.exchanges[0].headers["authorization"] == f"Bearer {KEY}"


async def test_extra_reaches_the_body_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    extra = {"headers": {"authorization": "Bearer evil"}, "authorization": "evil", "base_url": "http://evil.example"}
    async with Simulator() as sim, OpenAIProvider(KEY, base_url=sim.base_url("openai")) as provider:
        await provider.chat(MESSAGES, GenerationConfig(extra=extra))
    assert sim.exchanges[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in caplog.text
