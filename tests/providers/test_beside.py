"""Vectors, counts and lists of models: every provider against the simulator, over real loopback HTTP."""

from __future__ import annotations

import math
import time

import pytest
from anyio import CancelScope

from headrace import AIGateway, AIMessage, Budget, Deadlines, Figure, GenerationConfig, Tool
from headrace.errors import (
    AuthenticationError,
    CallerError,
    ConnectionFailedError,
    RateLimitError,
    StreamTimeoutError,
    UndecodableEventError,
    UnsupportedOptionError,
)
from headrace.providers import BaseProvider, load_provider
from headrace.providers._vendor import _batches
from headrace.simulator import Script, Simulator, faults
from headrace.telemetry import Event, add_hook
from headrace.testing import assert_idle

from ..rawserver import Fault, RawServer

EMBEDDERS = ("openai", "gemini", "grok", "ollama")
COUNTERS = ("anthropic", "gemini", "openai")
CATALOGS = ("anthropic", "gemini", "openai", "grok", "ollama")
MODELS = {
    "openai": "text-embedding-3-small",
    "gemini": "gemini-embedding-001",
    "grok": "v1",
    "ollama": "nomic-embed-text:latest",
}


def made(vendor: str, sim: Simulator, **options: object) -> BaseProvider:
    return load_provider(vendor)("k", base_url=sim.base_url(vendor), **options)


@pytest.mark.parametrize("vendor", EMBEDDERS)
async def test_each_text_has_its_own_vector_in_order(vendor: str) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        both = await provider.embed(["a", "b"], model=MODELS[vendor])
        other = await provider.embed("b", model=MODELS[vendor])
        await assert_idle(provider)
    assert len(both.vectors) == 2
    assert both.vectors[0] != both.vectors[1]
    assert other.vectors == (both.vectors[1],)
    assert math.isclose(math.hypot(*both.vectors[0]), 1.0, rel_tol=1e-3)
    assert both.provider == vendor


@pytest.mark.parametrize("vendor", EMBEDDERS)
async def test_many_texts_are_sent_in_batches_that_the_vendor_takes(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        monkeypatch.setattr(type(provider.embedder), "batch", 3)
        texts = [f"text {n}" for n in range(7)]
        many = await provider.embed(texts, model=MODELS[vendor])
        assert sim.requests == 3
        one_by_one = [await provider.embed(text, model=MODELS[vendor]) for text in texts]
    assert many.vectors == tuple(answer.vectors[0] for answer in one_by_one)


async def test_texts_with_more_tokens_than_a_request_takes_are_sent_in_several() -> None:
    """OpenAI answers 400 to 300,001 tokens: "Requested 453357 tokens, max 300000 tokens per request"."""
    texts = [f"{n} {'word ' * 1_600}" for n in range(100)]  # 160,000 tokens, by a count that is never too low 400,000
    texts[50] = "字" * 250_000  # goes alone, whatever the vendor says of it
    async with Simulator() as sim, made("openai", sim) as provider:
        many = await provider.embed(texts, model=MODELS["openai"])
        sent = [exchange.body["input"] for exchange in sim.exchanges]
        last = await provider.embed(texts[-1], model=MODELS["openai"])
    assert [text for batch in sent for text in batch] == texts
    assert [len(batch) for batch in sent] == [50, 1, 49]
    assert many.vectors[-1] == last.vectors[0]


@pytest.mark.parametrize(
    ("texts", "batches"),
    [
        ([], []),
        (["a" * 9] * 5, [2, 2, 1]),  # of 5 tokens
        (["a" * 99, "a", "a" * 99], [1, 1, 1]),
        (["\ud800"] * 7, [5, 2]),  # of 2 tokens; what UTF-8 cannot carry is refused when it is sent
        ([""] * 7, [6, 1]),
    ],
    ids=["none", "small", "long", "surrogates", "empty"],
)
def test_a_batch_has_so_many_texts_and_tokens_at_most(texts: list[str], batches: list[int]) -> None:
    assert [len(batch) for batch in _batches(texts, 6, 10)] == batches
    assert [len(batch) for batch in _batches(texts, 2, None)] == [
        len(texts[n : n + 2]) for n in range(0, len(texts), 2)
    ]


@pytest.mark.parametrize("vendor", ["openai", "gemini"])
async def test_vectors_have_the_length_that_was_asked_for(vendor: str) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        found = await provider.embed("a", model=MODELS[vendor], dimensions=8)
    assert len(found.vectors[0]) == 8


@pytest.mark.parametrize("vendor", EMBEDDERS)
async def test_batches_that_came_before_a_refusal_are_counted(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(tokens=1_000_000)
    async with Simulator() as sim, AIGateway(made(vendor, sim), budget=budget) as gateway:
        provider = gateway.get_provider(vendor)
        monkeypatch.setattr(type(provider.embedder), "batch", 1)
        sim.play(vendor, Script())
        sim.play(vendor, Script(fault=faults.Refuse(status=429)))
        with pytest.raises(RateLimitError):
            await gateway.embed(["one text", "another"], model=f"{vendor}/{MODELS[vendor]}")
        assert sim.requests == 2
        alone = await made(vendor, sim).embed("one text", model=MODELS[vendor])
    total = gateway.get_usage_summary().total
    assert (total.requests, total.failed) == (2, 1)
    if alone.usage is None or alone.usage["prompt_tokens"] is None:
        assert total.prompt_tokens == Figure(unknown=1)
    else:
        assert total.prompt_tokens == Figure(alone.usage["prompt_tokens"], partial=1)
        assert budget.spent("tokens", now=time.time()) == alone.usage["prompt_tokens"]


async def test_a_request_that_is_repeated_is_told() -> None:
    heard: list[Event] = []
    remove = add_hook(heard.append)
    async with Simulator() as sim, AIGateway(made("openai", sim, max_attempts=2)) as gateway:
        sim.play("openai", Script(fault=faults.Refuse(status=429, retry_after=0.01)))
        await gateway.embed("a", model="openai/text-embedding-3-small")
        assert sim.requests == 2
    remove()
    (event,) = [event for event in heard if event.name == "attempt_failed"]
    assert (event.provider, event.model, event.data["error"]) == ("openai", "text-embedding-3-small", "RateLimitError")
    total = gateway.get_usage_summary().total
    assert (total.requests, total.failed, total.prompt_tokens.unknown) == (2, 1, 0)


async def test_in_a_scope_that_is_cancelled_no_request_is_begun() -> None:
    async with Simulator() as sim, AIGateway(made("openai", sim)) as gateway:
        with CancelScope() as scope:
            scope.cancel()
            await gateway.embed("a", model="openai/text-embedding-3-small")
        assert scope.cancelled_caught
        assert gateway.get_usage_summary().models == ()
        assert sim.requests == 0
        await assert_idle(gateway)


async def test_no_texts_are_no_request() -> None:
    async with Simulator() as sim, made("gemini", sim) as provider:
        assert (await provider.embed([])).vectors == ()
        assert sim.requests == 0


@pytest.mark.parametrize("vendor", COUNTERS)
async def test_tools_and_system_count_as_well(vendor: str) -> None:
    messages = [AIMessage("user", "How are you?")]
    more = GenerationConfig(tools=[Tool("weather", "Tells the weather of a city.")])
    options = {"api": "responses"} if vendor == "openai" else {}
    async with Simulator() as sim, made(vendor, sim, **options) as provider:
        bare = await provider.count_tokens(messages)
        with_tools = await provider.count_tokens(messages, more)
        with_system = await provider.count_tokens([AIMessage("system", "Be brief, please."), *messages])
    assert 0 < bare < with_tools
    assert bare < with_system


@pytest.mark.parametrize("vendor", CATALOGS)
async def test_models_are_listed_whole(vendor: str) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        found = await provider.list_models()
        assert await provider.get_models() == tuple(model.id for model in found)
        assert await provider.get_default_model()
    assert found and all(model.id and model.provider == vendor and model.raw for model in found)
    assert len({model.id for model in found}) == len(found)


@pytest.mark.parametrize(("vendor", "query"), [("anthropic", "limit"), ("gemini", "pageSize")])
async def test_pages_are_followed_to_the_last(vendor: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        whole = await provider.list_models()
        monkeypatch.setattr(f"headrace.wire._{vendor}_beside.PAGE", 2)
        assert await provider.list_models() == whole
        assert sim.requests == 1 + math.ceil(len(whole) / 2)


@pytest.mark.parametrize(
    ("vendor", "call"),
    [
        ("anthropic", lambda provider: provider.embed("a")),
        ("grok", lambda provider: provider.count_tokens([AIMessage("user", "a")])),
        ("ollama", lambda provider: provider.count_tokens([AIMessage("user", "a")])),
    ],
)
async def test_what_a_vendor_does_not_have_is_an_error_before_any_request(vendor: str, call: object) -> None:
    async with Simulator() as sim, made(vendor, sim) as provider:
        with pytest.raises(UnsupportedOptionError, match=vendor):
            await call(provider)
        assert sim.requests == 0


async def test_without_an_embedding_model_the_error_says_how_to_name_one() -> None:
    async with Simulator() as sim, made("ollama", sim) as provider:
        with pytest.raises(CallerError, match=r"embed\(model=\.\.\.\)"):
            await provider.embed("a")


async def test_a_provider_that_was_not_entered_opens_a_session_of_its_own() -> None:
    async with Simulator() as sim:
        provider = made("gemini", sim)
        assert await provider.list_models()
        await sim.wait_all_closed()


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("vendor", CATALOGS)
async def test_a_refusal_is_the_same_error_as_a_chats(vendor: str) -> None:
    body = b'{"error":{"type":"authentication_error","code":401,"message":"no","status":"UNAUTHENTICATED"}}'
    with RawServer() as server:
        url = server.play(body, status=401, headers=JSON)
        async with load_provider(vendor)("k", base_url=url) as provider:
            with pytest.raises(AuthenticationError) as caught:
                await provider.list_models()
            await assert_idle(provider)
    assert (caught.value.status, caught.value.provider) == (401, vendor)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"nonsense", b'{"embeddings":[]}', b'{"embeddings":[{"values":"x"}]}'])
async def test_vectors_that_are_missing_or_broken_are_never_made_up(body: bytes) -> None:
    with RawServer() as server:
        url = server.play(body, headers=JSON)
        async with load_provider("gemini")("k", base_url=url) as provider:
            with pytest.raises(UndecodableEventError):
                await provider.embed("a", model="m")


async def test_a_vendor_that_is_silent_is_a_timeout_and_one_that_is_away_is_not_reached() -> None:
    with RawServer() as server:
        url = server.play(b"{", Fault.HANG, headers=JSON)
        deadlines = Deadlines(first_chunk=0.2, idle=0.2)
        async with load_provider("gemini")("k", base_url=url, deadlines=deadlines) as provider:
            with pytest.raises(StreamTimeoutError):
                await provider.list_models()
            await assert_idle(provider)
    async with load_provider("gemini")("k", base_url=url) as provider:
        with pytest.raises(ConnectionFailedError):
            await provider.list_models()
