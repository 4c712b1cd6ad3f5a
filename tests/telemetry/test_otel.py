"""What OpenTelemetry's real SDK gets of exchanges that are driven by hand."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

import anyio
import pytest
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes, server_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.trace import SpanKind, StatusCode

from headrace import (
    AIMessage,
    AIResponse,
    EmbeddingResponse,
    GenerationConfig,
    ImagePart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
    Usage,
)
from headrace.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    OverloadedError,
    StreamInterruptedError,
    TruncatedStreamError,
)
from headrace.telemetry import Asked, Observation, observe
from headrace.telemetry.otel import instrument

from .conftest import Recorded

OLD = tuple(map(int, version("opentelemetry-sdk").split(".")[:2])) < (1, 45)

ASKED = Asked(
    "chat",
    "anthropic",
    "claude-opus-5",
    GenerationConfig(max_tokens=100),
    [AIMessage("user", "the secret question")],
    "https://api.anthropic.com",
)
USAGE: Usage = {
    "prompt_tokens": 11,
    "completion_tokens": 300,
    "total_tokens": 311,
    "cached_tokens": 8,
    "cache_write_tokens": None,
    "reasoning_tokens": 0,
    "source": "reported",
    "raw": None,
}
ANSWER = AIResponse(
    "the secret answer", "anthropic", "claude-opus-5-20261001", USAGE, "stop", request_id="req_1", state="finished"
)


def begin(asked: Asked = ASKED) -> Observation:
    one = observe(lambda: asked)
    assert one is not None
    return one


def whole(asked: Asked = ASKED, answer: AIResponse | EmbeddingResponse | None = ANSWER) -> None:
    """An exchange that goes well."""
    one = begin(asked)
    one.sent(0.5, asked)
    one.begun()
    one.ended(answer, None)


# ---------------------------------------------------------------- spans


def test_a_finished_chat_is_a_span(otel: Recorded) -> None:
    whole()
    span = otel.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat claude-opus-5", SpanKind.CLIENT, StatusCode.UNSET)
    attributes = dict(span.attributes)
    seconds = attributes.pop("gen_ai.response.time_to_first_chunk")
    assert 0 <= seconds < 1
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-5",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "claude-opus-5-20261001",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "headrace.state": "finished",
        "headrace.requests": 1,
        "headrace.pacing.wait": 0.5,
        "headrace.request_id": "req_1",
        "headrace.usage.source": "reported",
    }


@pytest.mark.skipif(OLD, reason="the conventions of this opentelemetry-sdk are older than some of the names")
def test_every_name_of_the_conventions_is_one_of_theirs(otel: Recorded) -> None:
    """The constants of the package opentelemetry-semantic-conventions are the witness."""
    config = GenerationConfig(temperature=1, top_p=1, top_k=1, seed=1, stop_sequences=["."], response_format="json")
    whole(replace(ASKED, config=config), replace(ANSWER, usage=USAGE | {"cache_write_tokens": 1}))
    known = {
        value
        for module in (gen_ai_attributes, server_attributes, error_attributes)
        for name, value in vars(module).items()
        if name.isupper()
    }
    used = {name for name in otel.span().attributes if not name.startswith("headrace.")}
    assert len(used) >= 18
    assert used - known == set()
    for name in (
        gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE,
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION,
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK,
    ):
        assert otel.points(name), name


@pytest.mark.parametrize(
    ("provider", "named"),
    [("gemini", "gcp.gemini"), ("grok", "x_ai"), ("mistral", "mistral_ai"), ("openai", "openai"), ("ours", "ours")],
)
def test_providers_have_the_conventions_names(provider: str, named: str, otel: Recorded) -> None:
    whole(replace(ASKED, provider=provider))
    assert otel.span().attributes["gen_ai.provider.name"] == named


def test_options_are_attributes_and_what_was_not_given_is_none(otel: Recorded) -> None:
    config = GenerationConfig(
        temperature=0.0, top_p=0.9, top_k=40, seed=7, stop_sequences=["END"], response_format="json"
    )
    whole(replace(ASKED, config=config))
    names = ("gen_ai.request.", "gen_ai.output.")
    assert {name: value for name, value in otel.span().attributes.items() if name.startswith(names)} == {
        "gen_ai.request.model": "claude-opus-5",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.output.type": "json",
    }


@pytest.mark.parametrize(
    ("base_url", "address", "port"),
    [
        ("https://api.openai.com/v1", "api.openai.com", 443),
        ("http://127.0.0.1:8400/openai", "127.0.0.1", 8400),
        ("http://localhost", "localhost", 80),
        ("", None, None),
    ],
)
def test_the_server_is_named_without_its_path(
    base_url: str, address: str | None, port: int | None, otel: Recorded
) -> None:
    whole(replace(ASKED, base_url=base_url))
    attributes = otel.span().attributes
    assert (attributes.get("server.address"), attributes.get("server.port")) == (address, port)


def test_what_is_not_known_has_no_attribute(otel: Recorded) -> None:
    one = begin(Asked("chat", "ours", ""))
    one.ended(None, None)
    assert otel.span().name == "chat"
    assert dict(otel.span().attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ours",
        "gen_ai.request.stream": True,
        "headrace.state": "finished",
        "headrace.requests": 0,
        "headrace.pacing.wait": 0.0,
    }


def test_a_failure_is_an_error_by_its_class_and_without_its_text(otel: Recorded) -> None:
    """Vendors quote the request in what they refuse."""
    one = begin()
    one.sent(0.0, ASKED)
    one.ended(None, InvalidRequestError("'the secret question' is too long"))
    span = otel.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.attributes["error.type"] == "InvalidRequestError"
    assert span.attributes["headrace.state"] == "failed"
    assert "secret" not in span.to_json()


@pytest.mark.parametrize("wrap", [False, True], ids=["its-cause", "as-raised"])
def test_an_interruption_says_why_and_how_much_came(wrap: bool, otel: Recorded) -> None:
    cut = replace(ANSWER, state="interrupted", finish_reason=None, usage=USAGE | {"source": "partial"})
    error: Exception = TruncatedStreamError("the peer closed")
    one = begin()
    one.sent(0.0, ASKED)
    one.begun()
    one.ended(cut, StreamInterruptedError(cut.content, error) if wrap else error)
    span = otel.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "TruncatedStreamError"
    assert span.attributes["headrace.state"] == "interrupted"
    assert span.attributes["headrace.partial_content_length"] == 17
    assert span.attributes["headrace.usage.source"] == "partial"
    assert "gen_ai.response.finish_reasons" not in span.attributes, "no ending is made up"


@pytest.mark.parametrize("state", ["cancelled", "closed"])
def test_who_leaves_has_not_failed(state: str, otel: Recorded) -> None:
    one = begin()
    one.sent(0.0, ASKED)
    one.ended(replace(ANSWER, state=state, finish_reason=None, usage=None), ConnectionFailedError("we closed it"))
    span = otel.span()
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in span.attributes
    assert span.attributes["headrace.state"] == state
    assert "gen_ai.usage.output_tokens" not in span.attributes


def test_attempts_are_one_span_that_names_the_last_and_has_the_others_as_events(otel: Recorded) -> None:
    other = Asked("chat", "openai", "gpt-6", base_url="https://api.openai.com/v1")
    one = begin()
    one.sent(1.0, ASKED)
    one.failed(OverloadedError("no room for 'the secret question'"))
    one.sent(2.0, other)
    one.begun()
    one.ended(replace(ANSWER, provider="openai", model="gpt-6"), None)
    span = otel.span()
    assert span.name == "chat gpt-6"
    assert span.attributes["gen_ai.provider.name"] == "openai"
    assert span.attributes["server.address"] == "api.openai.com"
    assert (span.attributes["headrace.requests"], span.attributes["headrace.pacing.wait"]) == (2, 3.0)
    assert span.status.status_code is StatusCode.UNSET
    (event,) = span.events
    assert event.name == "headrace.attempt_failed"
    assert dict(event.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-5",
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "error.type": "OverloadedError",
    }


@pytest.mark.parametrize(
    "asked",
    [replace(ASKED, config=GenerationConfig(stream=False)), Asked("embeddings", "openai", "text-embedding-3-small")],
    ids=["plain", "embeddings"],
)
def test_what_does_not_stream_has_no_first_chunk(asked: Asked, otel: Recorded) -> None:
    whole(asked)
    assert "gen_ai.request.stream" not in otel.span().attributes
    assert "gen_ai.response.time_to_first_chunk" not in otel.span().attributes
    assert otel.points("gen_ai.client.operation.time_to_first_chunk") == []


def test_embeddings_are_a_span_with_their_tokens(otel: Recorded) -> None:
    asked = Asked("embeddings", "openai", "text-embedding-3-small")
    usage = USAGE | {"completion_tokens": None, "cached_tokens": None, "reasoning_tokens": None}
    whole(asked, EmbeddingResponse(((1.0,),), "openai", "text-embedding-3-small", usage))
    span = otel.span()
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes["gen_ai.usage.input_tokens"] == 11
    assert "gen_ai.usage.output_tokens" not in span.attributes
    (point,) = otel.points("gen_ai.client.token.usage")
    assert (point.attributes["gen_ai.token.type"], point.sum) == ("input", 11)


# ---------------------------------------------------------------- metrics


def test_a_chat_is_measured(otel: Recorded) -> None:
    whole()
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-5",
        "server.address": "api.anthropic.com",
        "server.port": 443,
    }
    answered = common | {"gen_ai.response.model": "claude-opus-5-20261001"}
    tokens = {point.attributes["gen_ai.token.type"]: point for point in otel.points("gen_ai.client.token.usage")}
    assert (tokens["input"].sum, tokens["output"].sum) == (11, 300)
    assert dict(tokens["input"].attributes) == answered | {"gen_ai.token.type": "input"}
    assert tokens["input"].explicit_bounds == (
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864
    )  # fmt: skip
    (duration,) = otel.points("gen_ai.client.operation.duration")
    assert (duration.count, dict(duration.attributes)) == (1, answered)
    assert duration.explicit_bounds == (
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
    )  # fmt: skip
    (first,) = otel.points("gen_ai.client.operation.time_to_first_chunk")
    assert (first.count, dict(first.attributes)) == (1, common)
    (wait,) = otel.points("headrace.client.pacing.wait")
    assert (wait.sum, dict(wait.attributes)) == (0.5, common)


def test_a_failure_is_measured_by_its_class(otel: Recorded) -> None:
    begin().ended(None, OverloadedError("no room"))
    (duration,) = otel.points("gen_ai.client.operation.duration")
    assert duration.attributes["error.type"] == "OverloadedError"
    assert otel.points("gen_ai.client.token.usage") == []


def test_tokens_that_are_not_exact_say_so(otel: Recorded) -> None:
    one = begin()
    one.ended(replace(ANSWER, state="interrupted", usage=USAGE | {"source": "partial"}), TruncatedStreamError("cut"))
    assert {point.attributes["headrace.usage.source"] for point in otel.points("gen_ai.client.token.usage")} == {
        "partial"
    }


# ---------------------------------------------------------------- content


def test_no_word_is_recorded_unless_asked(otel: Recorded) -> None:
    whole()
    assert "secret" not in otel.span().to_json()


def test_on_demand_the_conversation_and_the_answer_are_recorded(sdk: Recorded) -> None:
    uninstrument = instrument(sdk.tracers, sdk.meters, capture_content=True)
    messages = [
        AIMessage("system", "Be brief."),
        AIMessage("user", [TextPart("What is this?"), ImagePart(b"PNG", "image/png")]),
        AIMessage("user", [ImagePart("https://mill.example/a.png"), ImagePart("data:image/png;base64,AAAA")]),
        AIMessage("assistant", [ToolCall("c1", "weigh", '{"sacks": 3}')]),
        AIMessage("tool", [ToolResultPart("c1", "150 kg")]),
        AIMessage("tool", "151 kg", name="c2"),
    ]
    tool = Tool("weigh", "Weighs.", {"type": "object"})
    whole(replace(ASKED, messages=messages, config=GenerationConfig(tools=[tool])))
    uninstrument()
    attributes = sdk.span().attributes
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "media", "modality": "image", "mime_type": "image/png"},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"type": "uri", "modality": "image", "mime_type": None, "uri": "https://mill.example/a.png"},
                {"type": "media", "modality": "image", "mime_type": None},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "weigh", "arguments": {"sacks": 3}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "150 kg"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c2", "response": "151 kg"}]},
    ]
    assert json.loads(attributes["gen_ai.tool.definitions"]) == [
        {"type": "function", "name": "weigh", "description": "Weighs.", "parameters": {"type": "object"}}
    ]
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "the secret answer"}],
            "finish_reason": "stop",
        }
    ]


def test_on_demand_the_text_of_an_error_is_recorded(sdk: Recorded) -> None:
    uninstrument = instrument(sdk.tracers, sdk.meters, capture_content=True)
    begin().ended(None, InvalidRequestError("'the secret question' is too long"))
    uninstrument()
    assert sdk.span().status.description == "'the secret question' is too long"


@pytest.mark.parametrize(
    ("reason", "end"), [("stop", "stop"), ("tool_calls", "tool_call"), ("pause", "pause"), (None, "error")]
)
def test_an_answer_without_an_end_has_none_in_its_record(reason: str | None, end: str, sdk: Recorded) -> None:
    uninstrument = instrument(sdk.tracers, sdk.meters, capture_content=True)
    begin().ended(replace(ANSWER, finish_reason=reason), None)
    uninstrument()
    (message,) = json.loads(sdk.span().attributes["gen_ai.output.messages"])
    assert message["finish_reason"] == end


def test_words_without_a_json_form_cost_no_span(sdk: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    uninstrument = instrument(sdk.tracers, sdk.meters, capture_content=True)
    with caplog.at_level(logging.WARNING, "headrace"):
        whole(replace(ASKED, messages=[AIMessage("user", "half a pair: \ud83d")]), replace(ANSWER, content="\ud83d"))
    uninstrument()
    assert sdk.span().attributes["headrace.state"] == "finished"
    assert "gen_ai.input.messages" not in sdk.span().attributes
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


# ---------------------------------------------------------------- context


async def in_a_task(work: Callable[[], None]) -> None:
    """Run `work` as the pump runs: in a task whose context is a copy of the caller's."""

    async def task() -> None:
        work()

    async with anyio.create_task_group() as group:
        group.start_soon(task)


async def test_a_span_is_a_child_of_the_callers_and_the_callers_context_never_changes(otel: Recorded) -> None:
    with otel.tracer.start_as_current_span("request") as outer:
        before = contexts.get_current()
        await in_a_task(whole)
        assert contexts.get_current() is before
        assert trace.get_current_span() is outer
    assert otel.span().parent.span_id == outer.get_span_context().span_id


async def test_without_a_span_of_the_callers_it_is_a_root(otel: Recorded) -> None:
    await in_a_task(whole)
    assert otel.span().parent is None


async def test_in_its_own_task_it_is_current_until_it_ends(otel: Recorded) -> None:
    """So that the spans of an HTTP client become its children."""

    def work() -> None:
        one = begin()
        with otel.tracer.start_as_current_span("POST"):
            one.sent(0.0, ASKED)
        one.ended(ANSWER, None)
        with otel.tracer.start_as_current_span("after"):
            pass

    with otel.tracer.start_as_current_span("request") as outer:
        await in_a_task(work)
    spans = {span.name: span for span in otel.exporter.get_finished_spans()}
    assert spans["POST"].parent.span_id == spans["chat claude-opus-5"].context.span_id
    assert spans["after"].parent.span_id == outer.get_span_context().span_id


async def test_a_span_may_be_ended_from_another_task(otel: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """A session that is closed ends its exchanges; the one who ends must not find a foreign context in his hands."""
    found: list[Observation] = []

    def work() -> None:
        found.append(begin())

    before = contexts.get_current()
    with caplog.at_level(logging.DEBUG):
        await in_a_task(work)
        found[0].ended(replace(ANSWER, state="cancelled"), None)
    assert contexts.get_current() is before
    assert otel.span().attributes["headrace.state"] == "cancelled"
    assert caplog.records == []


async def test_many_at_once_do_not_mix(otel: Recorded) -> None:
    async def one(index: int) -> None:
        asked = replace(ASKED, model=f"model-{index}")
        with otel.tracer.start_as_current_span(f"request-{index}"):

            async def task() -> None:
                exchange = begin(asked)
                await anyio.lowlevel.checkpoint()
                exchange.sent(0.0, asked)
                await anyio.lowlevel.checkpoint()
                exchange.ended(ANSWER, None)

            async with anyio.create_task_group() as group:
                group.start_soon(task)

    async with anyio.create_task_group() as group:
        for index in range(20):
            group.start_soon(one, index)
    spans = otel.exporter.get_finished_spans()
    by_id = {span.context.span_id: span.name for span in spans}
    pairs = sorted((span.name, by_id[span.parent.span_id]) for span in otel.spans)
    assert pairs == sorted((f"chat model-{index}", f"request-{index}") for index in range(20))


# ---------------------------------------------------------------- on and off


def test_what_is_under_way_when_it_is_switched_off_is_still_recorded(sdk: Recorded) -> None:
    uninstrument = instrument(sdk.tracers, sdk.meters)
    one = begin()
    uninstrument()
    assert observe(lambda: ASKED) is None
    one.ended(ANSWER, None)
    assert sdk.span().attributes["headrace.state"] == "finished"


def test_the_global_providers_are_the_default() -> None:
    uninstrument = instrument()  # nobody set them: recorded to nowhere
    whole()
    uninstrument()
    assert observe(lambda: ASKED) is None
