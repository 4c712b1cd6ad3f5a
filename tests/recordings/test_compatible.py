"""
Every recorded answer of the OpenAI-compatible servers, through `CompatibleProvider` and all below it: whole, re-split
and cut.

A case that cannot match stands in `ODD` or `UNEQUAL` with its reason. The reader of events is not headrace's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from headrace import AIMessage, AIStreamChunk, ChatStream, GenerationConfig, TextPart, ToolCall, _clock
from headrace.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RefusedError,
    ServerError,
    TruncatedStreamError,
)
from headrace.providers.compatible import HOSTS, CompatibleProvider
from headrace.testing import assert_idle
from headrace.wire.openai import COMPATIBLE, ChatCodec

from .cases import ROOT, WHY, Case, Said
from .test_recordings import Pieces, calls, expected_calls

pytestmark = [pytest.mark.virtual, pytest.mark.skipif(ROOT is None, reason=WHY)]

ROWS = {"llama-cpp": "llamacpp", "localhost-8000": "vllm"}  # where a folder has another name than the row


@pytest.fixture(autouse=True)
def one_moment() -> Iterator[None]:
    """Limits say when they were told: always the same here."""
    with _clock.replaced(lambda: 1_790_000_000.0):
        yield


@dataclass(frozen=True)
class CompatibleCase(Case):
    """One answer; `vendor` is the folder's name."""

    def said(self, upto: int) -> Said:
        """What the events before this offset bring."""
        text = self.body[:upto].decode().replace("\r\n", "\n")
        said = Said()
        for block in text.split("\n\n"):
            data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
            if data and not data.startswith("[DONE]"):
                said = _chat(said, json.loads(data))
        return said


def _chat(said: Said, event: dict) -> Said:
    choice = next((one for one in event.get("choices") or [] if one.get("index", 0) == 0), {})
    delta = choice.get("delta") or {}
    parts = delta.get("content") or ""
    reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
    if not reasoning:  # some servers tell it in the details alone
        reasoning = "".join(one.get("text") or one.get("summary") or "" for one in delta.get("reasoning_details") or [])
    if isinstance(parts, list):
        reasoning += "".join(
            inner.get("text") or "" for part in parts if part["type"] == "thinking" for inner in part["thinking"]
        )
        parts = "".join(part["text"] for part in parts if part["type"] == "text")
    begun = bool(parts or reasoning or delta.get("refusal") or delta.get("function_call"))
    for call in delta.get("tool_calls") or []:
        function = call.get("function") or {}
        begun = begun or bool(call.get("id") or function.get("name") or function.get("arguments"))
    return Said(
        said.text + parts,
        said.reasoning + reasoning,
        said.begun or begun,
        said.proven or bool(choice.get("finish_reason")),
    )


def found(suffix: str) -> list[CompatibleCase]:
    if ROOT is None:
        return []
    return [
        CompatibleCase(path.parent.parent.name, path)
        for path in sorted((ROOT / "openai-compatible").glob(f"*/chat/*{suffix}"))
        if not path.stem.endswith((".headers", ".expected", ".request"))
    ]


STREAMS, BODIES = found(".sse"), found(".json")
ODD = {  # answers that do not end in `finished`: case -> (state, reason)
    "gpustack-thinking-qwen3-0cc39f": ("interrupted", "an `error:` field where `data:` should stand"),
    "groq-midstream-error-openai-gpt-oss-120b-25e988": ("interrupted", "an error event"),
    "openrouter-midstream-error-google-gemini-2-5-flash-lite-7a5494": ("interrupted", "an error after the proof"),
    "openrouter-midstream-error-meta-llama-llama-3-3-70b-instruct--1956c9": ("failed", "an error before content"),
    "openrouter-midstream-error-minimax-minimax-m2-free-baafd4": ("interrupted", "an error after the proof"),
    "openrouter-other-mistralai-devstral-small-2505-72fc8e": ("failed", "an error with status 200"),
    "openrouter-tools-moonshotai-kimi-k2-72d88d": ("unconfirmed", "[DONE] without any finish reason"),
    "snowflake-logprobs-claude-sonnet-4-6-684fea": ("unconfirmed", "[DONE] without any finish reason"),
    "snowflake-tools-claude-sonnet-4-6-314ac2": ("unconfirmed", "the finish reason is empty"),
}
UNEQUAL = {  # what of a case is not as its expectation says: case -> (fields, reason)
    "openrouter-midstream-error-google-gemini-2-5-flash-lite-7a5494": (
        {"usage"},
        "told behind the error",
    ),
    "openrouter-tools-moonshotai-kimi-k2-72d88d": ({"tool_calls"}, "a call that nobody ended is a partial one"),
    "snowflake-logprobs-claude-sonnet-4-6-684fea": ({"reasoning"}, "told in the details, which the expectation skips"),
    "snowflake-tools-claude-sonnet-4-6-314ac2": (
        {"finish_reason", "reasoning"},
        "the expectation has the empty reason, and skips the details of the reasoning",
    ),
}
REFUSALS = {
    "azure-err401-grok-4-1-fast-non-reasoning-338877": AuthenticationError,
    "azure-err404-gpt-5-nano-8f7e10": NotFoundError,
    "deepseek-err400-deepseek-chat-18c443": ContextLengthError,
    "deepseek-err400-deepseek-v4-flash-f0fd2c": InvalidRequestError,
    "deepseek-err401-deepseek-chat-492dd7": AuthenticationError,
    "doubleword-err403-qwen-qwen3-5-9b-b43bf3": PermissionDeniedError,
    "doubleword-err404-rig-definitely-not-a-doubleword-mo-073285": NotFoundError,
    "groq-err400-llama3-70b-8192-1d9cf4": NotFoundError,
    "groq-err400-openai-gpt-oss-120b-6eff2b": InvalidRequestError,
    "groq-err401-gemma2-9b-it-abeeda": AuthenticationError,
    "groq-err404-llama-3-3-70b-versatlie-72278b": NotFoundError,
    "llamacpp-err400-qwen3-1-7b-q4-k-m-4295a9": ContextLengthError,
    "llamacpp-err400-qwen3-vl-2b-instruct-q8-0-a8b36f": InvalidRequestError,
    "llamacpp-err401-qwen3-1-7b-q4-k-m-eb10bc": AuthenticationError,
    "llamacpp-err500-qwen3-1-7b-q4-k-m-3f237c": ServerError,
    "llamacpp-err500-qwen3-vl-2b-instruct-q8-0-5d7a5e": ServerError,
    "mistral-err400-ministral-3b-latest-51b601": InvalidRequestError,
    "mistral-err401-mistral-small-latest-08327c": AuthenticationError,
    "ollama-cloud-err400-gpt-oss-120b-593fa9": ContextLengthError,
    "ollama-cloud-err401-gpt-oss-120b-ee6f3b": AuthenticationError,
    "openrouter-err400-openai-gpt-5-image-581573": InvalidRequestError,
    "openrouter-err401-anthropic-claude-haiku-4-5-a5c01d": AuthenticationError,
    "openrouter-err429-deepseek-deepseek-r1-0528-free-d00d17": RateLimitError,
    "openrouter-err429-deepseek-deepseek-r1-0528-qwen3-8b-d1eb7f": RateLimitError,
    "openrouter-err429-deepseek-deepseek-r1-free-a7817b": RateLimitError,
    "openrouter-err429-google-gemma-2-9b-it-free-98cb61": RateLimitError,
    "openrouter-err429-z-ai-glm-4-5-air-free-143aba": RateLimitError,
    "perplexity-err400-sonar-8fb0ef": ContextLengthError,
    "perplexity-err401-sonar-b10b35": AuthenticationError,
}


async def play(
    case: CompatibleCase, pieces: list[bytes], error: Exception | None = None, *, stream: bool | None = None
) -> tuple[ChatStream, list[AIStreamChunk], Exception | None]:
    """What a caller sees of this body."""
    kind = "text/event-stream" if case.path.suffix == ".sse" else "application/json"
    undone = ("content-encoding", "content-length", "transfer-encoding", "content-type")
    headers = [(k, v) for k, v in case.head["headers"] if k.lower() not in undone] + [("content-type", kind)]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(case.head["status"], headers=headers, stream=Pieces(pieces, error))

    got: list[AIStreamChunk] = []
    raised: Exception | None = None
    row = HOSTS.get(ROWS.get(case.vendor, case.vendor))
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        provider = CompatibleProvider(
            "sk-of-no-one",
            host=row,
            base_url="http://server.test/v1",
            name=case.vendor,
            model="m",
            http_client=client,
        )
        async with provider:
            async with provider.chat_stream([AIMessage("user", "hi")], GenerationConfig(stream=stream)) as handle:
                try:
                    async for chunk in handle:
                        got.append(chunk)
                except Exception as exc:
                    raised = exc
            await assert_idle(provider)
    return handle, got, raised


def check_whole(case: CompatibleCase, handle: ChatStream, got: list[AIStreamChunk]) -> None:
    expected, response = case.expected, handle.response
    unequal, _ = UNEQUAL.get(case.id, (set(), ""))
    want_calls = expected_calls(case)
    told = {
        "text": response.content,
        "reasoning": response.reasoning,
        "refusal": response.refusal,
        "finish_reason": response.raw_finish_reason,
        "usage": response.usage and response.usage["raw"],
        "tool_calls": calls(response),
        "model": response.model,
    }
    want = {
        "text": expected["text"],
        "reasoning": expected["reasoning"],
        "refusal": expected.get("refusal") or "",
        "finish_reason": expected["finish_reason"],
        "usage": expected["usage"],
        "tool_calls": told["tool_calls"] if want_calls is None else want_calls,
        "model": expected.get("model") or "m",
    }
    assert {field for field in want if told[field] != want[field]} == unequal
    assert response.provider == case.vendor
    assert "".join(chunk.content for chunk in got if not chunk.is_marker) == expected["text"]


def check_end(case: CompatibleCase, handle: ChatStream, got: list[AIStreamChunk], raised: Exception | None) -> None:
    state, _ = ODD.get(case.id, ("finished", ""))
    if raised is not None and state != "failed":
        raise raised
    assert handle.state == state, handle.interruption
    if state == "failed":
        assert got == [] and case.expected["error"]["message"][:40] in str(raised)
        return
    assert [chunk.is_final for chunk in got] == [False] * (len(got) - 1) + [True]
    assert got[-1].is_marker == (state == "interrupted")
    if state == "interrupted":
        error = case.expected.get("error") or {"message": "context size"}  # no extractor reads an `error:` field
        assert error["message"][:40] in str(handle.interruption.cause)


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
async def test_whole(case: CompatibleCase) -> None:
    handle, got, raised = await play(case, [case.body])
    check_whole(case, handle, got)
    check_end(case, handle, got, raised)


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
async def test_split_anywhere_gives_the_same(case: CompatibleCase) -> None:
    rng = random.Random(case.id)
    whole, whole_chunks, _ = await play(case, [case.body])
    for most in (3, 40, 2000):  # bytes a piece
        pieces, at = [], 0
        while at < len(case.body):
            size = rng.randint(1, most)
            pieces.append(case.body[at : at + size])
            at += size
        if len(pieces) > 40_000:
            continue
        handle, got, _ = await play(case, pieces)
        assert (handle.response, handle.state) == (whole.response, whole.state)
        assert [chunk.content for chunk in got] == [chunk.content for chunk in whole_chunks]


@pytest.mark.parametrize(
    "case",
    [case for case in STREAMS if ODD.get(case.id, ("",))[0] not in {"failed", "interrupted"}],
    ids=lambda case: case.id,
)
async def test_cut_at_event_boundaries_keeps_the_exact_prefix(case: CompatibleCase) -> None:
    rng = random.Random(case.id)
    unproven = [end for end in [0, *case.boundaries] if b"[DONE]" not in case.body[:end] and not case.said(end).proven]
    assert unproven
    for end in unproven if len(unproven) <= 64 else sorted(rng.sample(unproven, 64)):
        said = case.said(end)
        error = rng.choice([None, httpx.ReadError("reset"), httpx.RemoteProtocolError("incomplete chunked read")])
        handle, got, raised = await play(case, [case.body[:end]], error)
        assert handle.partial_content == said.text and handle.response.reasoning == said.reasoning
        if said.begun:
            assert raised is None and handle.state == "interrupted"
            assert [chunk.is_marker for chunk in got] == [False] * (len(got) - 1) + [True]
            assert "".join(chunk.content for chunk in got[:-1]) == said.text
            assert handle.interruption.partial_content == said.text
            assert isinstance(handle.interruption.cause, TruncatedStreamError)
        else:
            assert isinstance(raised, TruncatedStreamError) and got == [] and handle.state == "failed"


@pytest.mark.parametrize("case", [case for case in BODIES if case.head["status"] == 200], ids=lambda case: case.id)
async def test_json_body(case: CompatibleCase) -> None:
    handle, got, raised = await play(case, [case.body], stream=False)
    if ODD.get(case.id, ("",))[0] != "failed":
        check_whole(case, handle, got)
        assert handle.response.raw_response is not None
    check_end(case, handle, got, raised)


@pytest.mark.parametrize("case", [case for case in BODIES if case.head["status"] >= 400], ids=lambda case: case.id)
async def test_http_error(case: CompatibleCase) -> None:
    handle, got, raised = await play(case, [case.body])
    assert type(raised) is REFUSALS[case.id] and got == [] and handle.state == "failed"
    assert isinstance(raised, RefusedError)
    assert (raised.status, raised.provider) == (case.head["status"], case.vendor)
    assert raised.retryable == isinstance(raised, RateLimitError | ServerError)
    error = case.expected["error"]
    raw = error.get("metadata", {}).get("raw") if isinstance(error, dict) else None
    words = error if isinstance(error, str) else error.get("message") or error["detail"]
    assert words.split("\n")[0].strip()[:40] in str(raised) or (raw is not None and raw[:40] in str(raised))


def test_the_tables_name_cases_that_exist() -> None:
    ids = {case.id for case in (*STREAMS, *BODIES)}
    assert ids >= {*ODD, *UNEQUAL}
    assert {case.id for case in BODIES if case.head["status"] >= 400} == set(REFUSALS)


@pytest.mark.parametrize(
    "case", [*STREAMS, *(case for case in BODIES if case.head["status"] == 200)], ids=lambda c: c.id
)
async def test_the_parts_are_the_answer_in_order_and_can_be_sent_back(case: CompatibleCase) -> None:
    """The words of the parts are the content; what goes back has all words, all complete calls, and JSON to say it."""
    handle, _, _ = await play(case, [case.body], stream=case.path.suffix == ".sse")
    response = handle.response
    assert "".join(part.text for part in response.parts if isinstance(part, TextPart)) == response.content
    row = HOSTS.get(ROWS.get(case.vendor, case.vendor))
    codec = ChatCodec(case.vendor, row.quirks if row is not None else COMPATIBLE)
    encoded = codec.encode([response.to_message()], GenerationConfig(), model="m", stream=False)
    turns = json.loads(encoded.body)["messages"]
    words = "".join(_words(turn.get("content")) for turn in turns)
    assert words == response.content or (not response.content and words == response.refusal)
    called = [call["function"]["name"] for turn in turns for call in turn.get("tool_calls") or []]
    assert called == [call.name for call in response.tool_calls if isinstance(call, ToolCall)]
    takes = row is not None and row.quirks.reasoning_field and response.reasoning
    assert not takes or not [words for words in encoded.dropped if "reasoning" in words]


def _words(content: object) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""
