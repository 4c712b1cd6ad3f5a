"""Observers, the ledger and OpenTelemetry on real exchanges: a provider, a socket, the simulator behind it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from headrace import AIMessage, Figure, GenerationConfig, Ledger
from headrace.errors import OverloadedError, ProviderError, StreamInterruptedError
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, Tokens, faults
from headrace.telemetry import add_observer
from headrace.testing import assert_idle

from ..leaks import nothing_left, soon
from .conftest import Recorded

MESSAGES = [AIMessage("user", "Tell me of the mill.")]
PIECES = ("The ", "mill ", "turns ", "at ", "night.")
TOKENS = Tokens(prompt=30, completion=12)
CUT = faults.CutFin(after_pieces=3)
SLOW = Script(pieces=PIECES, fault=faults.Stall(after_pieces=1))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with nothing_left(), Simulator() as running:
        yield running


@pytest.fixture
async def claude(sim: Simulator) -> AsyncIterator[AnthropicProvider]:
    async with AnthropicProvider("any-key", base_url=sim.base_url("anthropic"), model="claude-sonnet-4-5") as open_one:
        yield open_one


async def test_a_stream_is_a_span_below_the_one_where_it_is_first_read(
    otel: Recorded, sim: Simulator, claude: AnthropicProvider
) -> None:
    sim.play("anthropic", Script(pieces=PIECES, usage=TOKENS))
    with otel.tracer.start_as_current_span("made"):
        stream = claude.chat_stream(MESSAGES, GenerationConfig(max_tokens=50))
    with otel.tracer.start_as_current_span("read") as outer:
        before = contexts.get_current()
        async with stream:
            async for _ in stream:
                assert trace.get_current_span() is outer
                assert contexts.get_current() is before
        assert contexts.get_current() is before
    span = otel.span()
    assert span.name == "chat claude-sonnet-4-5"
    assert span.parent.span_id == outer.get_span_context().span_id
    attributes = span.attributes
    assert attributes["headrace.state"] == "finished"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (30, 12)
    assert attributes["gen_ai.request.max_tokens"] == 50
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["headrace.requests"] == 1
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 60
    assert "mill" not in span.to_json()


async def test_the_spans_of_the_http_client_are_its_children(otel: Recorded, sim: Simulator) -> None:
    async def hook(request: httpx.Request) -> None:
        otel.tracer.start_span(request.method).end()

    async with httpx.AsyncClient(event_hooks={"request": [hook]}) as client:
        async with OpenAIProvider("any-key", base_url=sim.base_url("openai"), http_client=client) as gpt:
            with otel.tracer.start_as_current_span("request"):
                await gpt.chat(MESSAGES)
    spans = {span.name.partition(" ")[0]: span for span in otel.exporter.get_finished_spans()}
    assert spans["POST"].parent.span_id == spans["chat"].context.span_id
    assert spans["chat"].parent.span_id == spans["request"].context.span_id


async def test_an_interrupted_stream(otel: Recorded, sim: Simulator, claude: AnthropicProvider) -> None:
    sim.play("anthropic", Script(pieces=PIECES, usage=TOKENS, fault=CUT))
    with pytest.raises(StreamInterruptedError):
        await claude.chat(MESSAGES)
    span = otel.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["headrace.state"] == "interrupted"
    assert span.attributes["headrace.partial_content_length"] == len("The mill turns ")
    assert span.attributes["error.type"] == "TruncatedStreamError"
    assert span.attributes["headrace.usage.source"] == "partial"
    assert "gen_ai.response.finish_reasons" not in span.attributes


async def test_a_failure_before_any_content(otel: Recorded, sim: Simulator, claude: AnthropicProvider) -> None:
    sim.play("anthropic", Script(status=529))
    with pytest.raises(OverloadedError):
        await claude.chat(MESSAGES)
    span = otel.span()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes["headrace.state"], span.attributes["error.type"]) == ("failed", "OverloadedError")
    assert span.attributes["headrace.requests"] == 1
    assert "gen_ai.response.time_to_first_chunk" not in span.attributes


async def test_a_cancelled_stream(otel: Recorded, sim: Simulator, claude: AnthropicProvider) -> None:
    sim.play("anthropic", SLOW)
    with otel.tracer.start_as_current_span("request") as outer:
        before = contexts.get_current()
        with anyio.CancelScope() as scope:
            async with claude.chat_stream(MESSAGES) as stream:
                async for _ in stream:
                    scope.cancel()
        assert contexts.get_current() is before
    await assert_idle(claude)
    span = otel.span()
    assert span.parent.span_id == outer.get_span_context().span_id
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["headrace.state"] == "cancelled"


async def test_a_stream_that_is_left_early(otel: Recorded, sim: Simulator, claude: AnthropicProvider) -> None:
    sim.play("anthropic", SLOW)
    async with claude.chat_stream(MESSAGES) as stream:
        async for _ in stream:
            break
    assert otel.span().attributes["headrace.state"] == "closed"


async def test_a_stream_that_is_forgotten(otel: Recorded, sim: Simulator, claude: AnthropicProvider) -> None:
    sim.play("anthropic", SLOW)
    async for _ in claude.chat_stream(MESSAGES):
        break
    gc.collect()
    await soon(lambda: len(otel.spans) == 1)
    assert otel.span().attributes["headrace.state"] == "closed"


async def test_a_session_that_is_closed_under_a_stream(otel: Recorded, sim: Simulator) -> None:
    sim.play("anthropic", SLOW)
    async with AnthropicProvider("any-key", base_url=sim.base_url("anthropic")) as claude:
        stream = claude.chat_stream(MESSAGES)
        await anext(stream)
    assert otel.span().attributes["error.type"] == "SessionClosedError"
    assert otel.span().attributes["headrace.state"] == "interrupted"
    await stream.aclose()


async def test_every_attempt_of_a_call_is_seen(otel: Recorded, sim: Simulator, claude: AnthropicProvider) -> None:
    sim.play("anthropic", Script(status=529, headers={"retry-after": "0"}), Script(pieces=PIECES, usage=TOKENS))
    ledger = Ledger()
    remove = add_observer(ledger)
    await claude.chat(MESSAGES, GenerationConfig(max_attempts=2))
    remove()
    span = otel.span()
    assert (span.attributes["headrace.state"], span.attributes["headrace.requests"]) == ("finished", 2)
    (event,) = span.events
    assert (event.name, event.attributes["error.type"]) == ("headrace.attempt_failed", "OverloadedError")
    (row,) = ledger.summary().models
    assert (row.requests, row.failed, row.prompt_tokens) == (2, 1, Figure(30, reported=1))


async def test_what_is_refused_before_it_is_sent_was_no_request(otel: Recorded, claude: AnthropicProvider) -> None:
    ledger = Ledger()
    remove = add_observer(ledger)
    with pytest.raises(ValueError, match="temperature"):
        await claude.chat(MESSAGES, GenerationConfig(temperature=7.0))
    remove()
    assert otel.span().attributes["headrace.requests"] == 0
    assert ledger.summary().models == ()


async def test_the_ledger_counts_whole_and_broken_and_left_streams(sim: Simulator) -> None:
    sim.play("openai", Script(pieces=PIECES, usage=TOKENS), Script(pieces=PIECES, fault=CUT), SLOW, Script(status=500))
    ledger = Ledger()
    remove = add_observer(ledger)
    async with OpenAIProvider("any-key", base_url=sim.base_url("openai"), model="gpt-4o") as gpt:
        await gpt.chat(MESSAGES)
        with pytest.raises(StreamInterruptedError):
            await gpt.chat(MESSAGES)
        async with gpt.chat_stream(MESSAGES) as stream:
            await anext(stream)
        with pytest.raises(ProviderError):
            await gpt.chat(MESSAGES)
    remove()
    (row,) = ledger.summary().models
    assert (row.requests, row.failed, row.interrupted, row.left) == (4, 1, 1, 1)
    # OpenAI tells usage at the end alone: "Tell me of the mill." is 5 + 4, "The mill turns " 4, "The " 1.
    assert row.prompt_tokens == Figure(30 + 9 + 9, reported=1, estimated=2)
    assert row.completion_tokens == Figure(12 + 4 + 1, reported=1, estimated=2)
    assert row.cost.source == "estimated"
    assert row.first_chunk.count == 3
    assert 0 < row.first_chunk.least <= row.first_chunk.mean <= row.first_chunk.most < 60


async def test_vectors_are_observed_as_well(otel: Recorded, sim: Simulator) -> None:
    ledger = Ledger()
    remove = add_observer(ledger)
    async with OpenAIProvider("any-key", base_url=sim.base_url("openai")) as gpt:
        answer = await gpt.embed("The mill turns.", model="text-embedding-3-small")
    remove()
    span = otel.span()
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes["gen_ai.usage.input_tokens"] == answer.usage["prompt_tokens"]
    assert ledger.summary().total.prompt_tokens == Figure(answer.usage["prompt_tokens"], reported=1)
