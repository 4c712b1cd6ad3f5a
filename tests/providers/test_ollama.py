"""Ollama's server: its address, its key, its models, its state, and the default model where nobody names one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from headrace import AIMessage, Deadlines, GenerationConfig, ModelInfo
from headrace.errors import (
    ConnectionFailedError,
    MissingKeyError,
    NotFoundError,
    StreamTimeoutError,
    UndecodableEventError,
    UnexpectedResponseError,
)
from headrace.limits.policy import RateLimitPolicy
from headrace.providers import load_provider
from headrace.providers.ollama import LoadedModel, OllamaModel, OllamaProvider, OllamaStatus, address
from headrace.simulator import Script, Simulator
from headrace.testing import assert_idle

from ..leaks import nothing_left
from ..rawserver import Fault, RawServer

HI = [AIMessage("user", "Hi")]
JSON = {"Content-Type": "application/json; charset=utf-8"}
DONE = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop"}'


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with nothing_left(), Simulator() as running:
        yield running


def provider(sim: Simulator, **options: object) -> OllamaProvider:
    return OllamaProvider(base_url=sim.base_url("ollama"), **options)  # type: ignore[arg-type]  # its own options


# ---------------------------------------------------------------- the address


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:1234", "http://gpu-box:1234"),
        ("gpu-box:1234/", "http://gpu-box:1234/"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("http://0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("::", "http://[::1]:11434"),
        ("[::]:1234", "http://[::1]:1234"),
        ("::1", "http://[::1]:11434"),
        ("fe80::7", "http://[fe80::7]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("http://gpu-box", "http://gpu-box"),
        ("https://gpu-box", "https://gpu-box"),
        ("https://gpu-box:8443/ollama", "https://gpu-box:8443/ollama"),
        ("gpu-box/ollama", "http://gpu-box:11434/ollama"),
        (' "gpu-box" ', "http://gpu-box:11434"),
    ],
)
def test_an_address_may_lack_scheme_and_port(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(host) == url
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert OllamaProvider().base_url == url.rstrip("/")
    if host:
        monkeypatch.setenv("OLLAMA_HOST", "elsewhere")
        assert OllamaProvider(base_url=host).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "host", ["user:pw@gpu-box", "http://user:pw@gpu-box", "ftp://gpu-box", "gpu-box?x=1", "http://[::1", "a:b:c@d:1"]
)
def test_an_address_that_is_none_is_refused_without_being_shown(host: str) -> None:
    with pytest.raises(ValueError, match=r"^ollama: the base_url") as caught:
        OllamaProvider(base_url=host)
    assert "pw" not in str(caught.value)


# ---------------------------------------------------------------- the key


async def test_without_a_key_none_is_sent_and_the_environments_stays_here(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "sk-cloud")
    async with provider(sim, model="m") as ollama:
        assert ollama.is_available()
        await ollama.chat(HI)
    assert "authorization" not in sim.exchanges[0].headers


async def test_a_key_that_is_given_is_sent(sim: Simulator) -> None:
    async with OllamaProvider("k", base_url=sim.base_url("ollama"), model="m") as ollama:
        await ollama.chat(HI)
    assert sim.exchanges[0].headers["authorization"] == "Bearer k"


@pytest.mark.parametrize("cloud", ["https://ollama.com", "https://OLLAMA.com/"])
async def test_the_cloud_has_the_environments_key_by_https_and_cannot_do_without(
    cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not OllamaProvider(base_url=cloud).is_available()
    async with OllamaProvider(base_url=cloud, model="m") as ollama:
        with pytest.raises(MissingKeyError, match="OLLAMA_API_KEY"):
            await ollama.chat(HI)
        assert "OLLAMA_API_KEY" in ((await ollama.check_status()).error or "")
    monkeypatch.setenv("OLLAMA_API_KEY", "sk-cloud")
    assert OllamaProvider(base_url=cloud).is_available()
    assert not OllamaProvider(base_url="http://ollama.com").is_available()
    assert OllamaProvider(base_url="https://notollama.com")._environment_key() is None


# ---------------------------------------------------------------- models

EMBEDDER = OllamaModel(
    "nomic-embed-text:latest",
    "ollama",
    "nomic-embed-text:latest",
    size_bytes=274302450,
    modified_at=1793693667.512734,  # 2026-11-03T09:14:27.512734+01:00
    family="nomic-bert",
    parameter_size="137M",
    quantization="F16",
)


async def test_the_installed_models_are_told_with_size_date_family_and_quantization(sim: Simulator) -> None:
    async with provider(sim) as ollama:
        first, second = await ollama.list_models()
    assert first == EMBEDDER
    assert isinstance(second, ModelInfo)
    assert (second.id, second.family, second.parameter_size, second.quantization) == (
        "llama3.2:latest",
        "llama",
        "3.2B",
        "Q4_K_M",
    )
    assert (second.context_tokens, second.capabilities, second.size_bytes) == (None, (), 2019393189)
    assert second.raw is not None
    assert second.raw["name"] == "llama3.2:latest"
    assert [(one.method, one.path) for one in sim.exchanges] == [("GET", "/ollama/api/tags")]


async def test_each_is_shown_when_its_context_is_asked_for(sim: Simulator) -> None:
    async with provider(sim) as ollama:
        models = await ollama.list_models(show=True)
        await assert_idle(ollama)
    assert [(one.context_tokens, one.capabilities, one.only_embeds) for one in models] == [
        (2048, ("embedding",), True),
        (131072, ("completion", "tools"), False),
    ]
    assert [one.body for one in sim.exchanges[1:]] == [
        {"model": "nomic-embed-text:latest"},
        {"model": "llama3.2:latest"},
    ]


async def test_a_provider_that_was_not_entered_opens_a_session_for_each_question(sim: Simulator) -> None:
    ollama = provider(sim)
    assert len(await ollama.list_models()) == 2
    assert (await ollama.check_status()).running
    await sim.wait_all_closed()


async def test_the_first_model_that_can_chat_is_asked_where_none_is_named_and_found_once(sim: Simulator) -> None:
    async with provider(sim) as ollama:
        answers = [await ollama.chat(HI), await ollama.generate("Hi")]
        assert await ollama.get_default_model() == "llama3.2:latest"
        await ollama.chat(HI, GenerationConfig(model="other"))
    assert [answer.model for answer in answers] == ["llama3.2:latest"] * 2
    assert [one.path.removeprefix("/ollama/api/") for one in sim.exchanges] == ["tags", "chat", "chat", "chat"]
    assert sim.exchanges[-1].body["model"] == "other"
    assert sim.connections == 1
    async with ollama:
        await ollama.chat(HI)
    assert [one.path.removeprefix("/ollama/api/") for one in sim.exchanges[4:]] == ["tags", "chat"]


async def test_the_default_is_found_inside_of_a_single_slot(sim: Simulator) -> None:
    """Also in the private session of a provider that was not entered."""
    async with (
        provider(sim, max_requests=1, limits=RateLimitPolicy(pace=False, max_wait=0)) as ollama,
        ollama.chat_stream(HI) as stream,
    ):
        assert [chunk async for chunk in stream][-1].is_final
    await provider(sim, max_requests=1, limits=RateLimitPolicy(pace=False, max_wait=0)).chat(HI)
    await sim.wait_all_closed()


async def test_a_model_of_the_provider_is_asked_without_looking(sim: Simulator) -> None:
    async with provider(sim, model="mine") as ollama:
        assert await ollama.get_default_model() == "mine"
        await ollama.chat(HI)
    assert [one.body["model"] for one in sim.exchanges] == ["mine"]


@pytest.mark.parametrize(
    "models",
    [b'{"models":[]}', b'{"models":null}', b'{"models":[{"name":"e","details":{"family":"bert"}}]}'],
    ids=["none", "null", "embedder"],
)
async def test_where_none_is_installed_the_error_says_how_to_get_one(models: bytes) -> None:
    with RawServer() as server:
        async with OllamaProvider(base_url=server.play(models, headers=JSON)) as ollama:
            stream = ollama.chat_stream(HI)
            with pytest.raises(NotFoundError, match="ollama pull"):
                await anext(stream)
            assert stream.state == "failed"
            await assert_idle(ollama)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"models":1}', b'{"error":"x"}', b'{"mod'])
async def test_a_list_that_is_none_is_an_error(body: bytes) -> None:
    with RawServer() as server:
        async with OllamaProvider(base_url=server.play(body, headers=JSON)) as ollama:
            with pytest.raises(UndecodableEventError, match=r"^ollama: "):
                await ollama.list_models()


async def test_what_a_server_leaves_out_of_its_list_is_unknown() -> None:
    with RawServer() as server:
        url = server.play(b'{"models":[{"name":"m","size":-1,"details":null,"modified_at":"soon"},7,{}]}', headers=JSON)
        async with OllamaProvider(base_url=url) as ollama:
            assert await ollama.list_models() == (OllamaModel("m", "ollama", "m"),)


# ---------------------------------------------------------------- one JSON exchange


async def test_a_refusal_of_a_question_is_typed(sim: Simulator) -> None:
    async with OllamaProvider(base_url=f"{sim.base_url('ollama')}/nowhere") as ollama:
        with pytest.raises(NotFoundError):
            await ollama.list_models()
        await assert_idle(ollama)


async def test_a_page_in_place_of_an_answer_is_told(sim: Simulator) -> None:
    with RawServer() as server:
        async with OllamaProvider(base_url=server.play(b"<html>", headers={"Content-Type": "text/html"})) as ollama:
            with pytest.raises(UnexpectedResponseError, match="text/html"):
                await ollama.list_models()


async def test_a_silent_server_is_waited_for_as_long_as_the_deadlines_say() -> None:
    with RawServer() as server:
        url = server.play(b'{"models":', Fault.HANG, headers=JSON)
        async with OllamaProvider(base_url=url, deadlines=Deadlines(first_chunk=0.1)) as ollama:
            with pytest.raises(StreamTimeoutError) as caught:
                await ollama.list_models()
            assert (caught.value.kind, caught.value.seconds, caught.value.provider) == ("first_chunk", 0.1, "ollama")
            with pytest.raises(StreamTimeoutError):  # also where a stream asks for its model
                await ollama.chat(HI)
            await assert_idle(ollama)


async def test_a_cancelled_question_leaves_nothing_open() -> None:
    async with nothing_left():
        with RawServer() as server:
            async with OllamaProvider(base_url=server.play(Fault.NO_HEAD)) as ollama:
                with anyio.move_on_after(0.1) as scope:
                    await ollama.list_models()
                assert scope.cancelled_caught
                await assert_idle(ollama)


# ---------------------------------------------------------------- the state


async def test_a_running_server_tells_version_and_what_is_loaded(sim: Simulator) -> None:
    async with provider(sim) as ollama:
        assert await ollama.check_status() == OllamaStatus(
            running=True,
            version="0.31.2",
            loaded=(
                LoadedModel(
                    "llama3.2:latest",
                    size_bytes=2019393189,
                    vram_bytes=2019393189,
                    context_tokens=4096,
                    expires_at=1795556311.83753,  # 2026-11-24T14:38:31.83753-07:00
                ),
            ),
        )


async def test_a_server_that_is_not_there_is_told_and_not_raised(sim: Simulator) -> None:
    ollama = OllamaProvider(base_url="127.0.0.1:1")
    status = await ollama.check_status()
    assert (status.running, status.version, status.loaded) == (False, None, ())
    assert "no answer from http://127.0.0.1:1" in (status.error or "")
    with pytest.raises(ConnectionFailedError):
        await ollama.list_models()


@pytest.mark.parametrize(
    ("steps", "headers", "why"),
    [
        ((b"<html>",), {"Content-Type": "text/html"}, "no event stream"),
        ((b'{"status":"ok"}',), JSON, "no Ollama"),
        ((b'{"vers', Fault.RST), JSON, "connection was lost"),
    ],
    ids=["html", "another server", "cut"],
)
async def test_what_is_no_ollama_is_told_and_not_raised(
    steps: tuple[bytes | Fault, ...], headers: dict[str, str], why: str
) -> None:
    with RawServer() as server:
        async with OllamaProvider(base_url=server.play(*steps, headers=headers)) as ollama:
            status = await ollama.check_status()
    assert not status.running
    assert why in (status.error or "")


async def test_a_server_without_a_list_of_loaded_models_runs_all_the_same() -> None:
    with RawServer() as server:  # every path is answered alike: this is no list
        async with OllamaProvider(base_url=server.play(b'{"version":"0.31.2"}', headers=JSON)) as ollama:
            status = await ollama.check_status()
    assert (status.running, status.version, status.loaded) == (True, "0.31.2", ())
    assert status.error is not None


# ---------------------------------------------------------------- the media type of a stream


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-ndjson",
        "application/json; charset=utf-8",
        "application/jsonl",
        "application/x-json-stream",
        "text/plain; charset=utf-8",
    ],
)
async def test_lines_of_json_are_read_whatever_a_proxy_calls_them(kind: str) -> None:
    with RawServer() as server:
        url = server.play(DONE, b"\n", headers={"Content-Type": kind})
        async with OllamaProvider(base_url=url, model="m") as ollama:
            answer = await ollama.chat(HI)
    assert (answer.content, answer.state) == ("Hi", "finished")


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream", "application/octet-stream", ""])
async def test_what_cannot_be_lines_of_json_is_told_as_what_it_is(kind: str) -> None:
    with RawServer() as server:
        async with OllamaProvider(base_url=server.play(DONE, headers={"Content-Type": kind}), model="m") as ollama:
            with pytest.raises(UnexpectedResponseError):
                await ollama.chat(HI)


@pytest.mark.parametrize(
    ("body", "state"),
    [(DONE, "finished"), (DONE + b"\r\n\r\n  \n", "finished"), (b"\xef\xbb\xbf\n" + DONE, "finished")],
    ids=["no line end", "empty lines", "BOM"],
)
async def test_a_last_line_needs_no_end(body: bytes, state: str) -> None:
    with RawServer() as server:
        url = server.play(body, headers={"Content-Type": "application/x-ndjson"})
        async with OllamaProvider(base_url=url, model="m") as ollama:
            assert (await ollama.chat(HI)).state == state


async def test_a_last_line_that_is_half_is_a_cut_and_the_words_before_it_stay() -> None:
    begun = DONE.replace(b'"done":true,"done_reason":"stop"', b'"done":false')
    with RawServer() as server:
        url = server.play(begun + b"\n" + DONE[:60], headers={"Content-Type": "application/x-ndjson"})
        async with OllamaProvider(base_url=url, model="m") as ollama:
            async with ollama.chat_stream(HI) as stream:
                chunks = [chunk.content async for chunk in stream]
    assert chunks == ["Hi", "\n\n[Response interrupted]"]
    assert stream.interruption is not None
    assert type(stream.interruption.cause).__name__ == "TruncatedStreamError"


async def test_a_request_without_messages_loads_the_model_and_says_so(sim: Simulator) -> None:
    async with provider(sim, model="m") as ollama:
        answer = await ollama.chat([])
    assert (answer.content, answer.finish_reason, answer.state) == ("", "load", "finished")


async def test_it_is_in_the_registry_by_its_name(sim: Simulator) -> None:
    assert load_provider("ollama") is OllamaProvider
    sim.play("ollama", Script(text="Hello."))
    async with provider(sim) as ollama:
        assert (await ollama.generate("Hi")).provider == "ollama"
