"""
Every recorded answer, through the byte guard, codec, pump and stream: whole, re-split, and cut.

A case that cannot match stands in `ODD` with its reason.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from anyio.lowlevel import checkpoint

from headrace import AIMessage, AIStreamChunk, ChatStream, GenerationConfig, _clock
from headrace.errors import (
    AuthenticationError,
    BrokenResponseError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RefusedError,
    ServerError,
    TruncatedStreamError,
)
from headrace.providers import load_provider
from headrace.testing import assert_idle

from .cases import ROOT, WHY, Case, cases


@pytest.fixture(autouse=True)
def one_moment() -> Iterator[None]:
    """Limits say when they were told: always the same here."""
    with _clock.replaced(lambda: 1_790_000_000.0):
        yield


pytestmark = [pytest.mark.virtual, pytest.mark.skipif(ROOT is None, reason=WHY)]

STREAMS, BODIES = cases(".sse"), cases(".json")
ODD = {  # streams that do not end in `finished`: case -> (state, reason)
    "gemini-text-nomodel-40958d": ("interrupted", "a raw JSON error follows the last event"),
    "gemini-text-nomodel-0700f3": ("interrupted", "published without any finish reason"),
    "gemini-other-nomodel-a53aad": ("failed", "published without content and without any finish reason"),
    "openai-responses-logcap-midstream-error-nomodel-5c2a4c": ("failed", "its one event is a failure"),
}
PROOF_IN_EVERY_EVENT = {  # a cut cannot be told from an end there
    "gemini-cites-nomodel-f1e23e",
    "gemini-text-nomodel-40958d",
    "gemini-text-nomodel-aff66a",
}


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in these pieces, and then ends or breaks."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces, self.error = list(pieces), error

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await checkpoint()
        if self.pieces:
            return self.pieces.pop(0)
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration


async def play(
    case: Case, pieces: list[bytes], error: Exception | None = None, *, stream: bool | None = None
) -> tuple[ChatStream, list[AIStreamChunk], Exception | None]:
    """What a caller sees of this body."""
    kind = "text/event-stream" if case.path.suffix == ".sse" else "application/json"
    undone = ("content-encoding", "content-length", "transfer-encoding", "content-type")
    headers = [(k, v) for k, v in case.head["headers"] if k.lower() not in undone] + [("content-type", kind)]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(case.head["status"], headers=headers, stream=Pieces(pieces, error))

    got: list[AIStreamChunk] = []
    raised: Exception | None = None
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        provider = load_provider(case.vendor)("k", base_url="http://vendor.test", http_client=client, **case.options)
        async with provider:
            async with provider.chat_stream([AIMessage("user", "hi")], GenerationConfig(stream=stream)) as handle:
                try:
                    async for chunk in handle:
                        got.append(chunk)
                except Exception as exc:
                    raised = exc
            await assert_idle(provider)
    return handle, got, raised


def calls(response: object) -> list[tuple[str, object]]:
    return [
        (call.name, json.loads(call.arguments or "{}")) for call in response.tool_calls if not hasattr(call, "reason")
    ]


def expected_calls(case: Case) -> list[tuple[str, object]] | None:
    if case.expected.get("notes") or case.expected.get("function_call"):
        return None  # calls in pieces, or of the older kind: the expectation has none
    want = []
    for call in case.expected["tool_calls"]:
        value = call.get("input")
        if value is None:
            try:
                value = json.loads(call.get("arguments") or "{}")
            except ValueError:
                continue  # cut by max_tokens
        want.append((call["name"], value))
    return want


def check_whole(case: Case, handle: ChatStream, got: list[AIStreamChunk]) -> None:
    expected, response = case.expected, handle.response
    assert response.content == expected["text"] == "".join(c.content for c in got if not c.is_marker)
    assert response.reasoning == expected["reasoning"]
    assert response.refusal == (expected.get("refusal") or "")
    reason = expected.get("block_reason") or expected["finish_reason"]
    if reason == "failed":
        reason = None  # an error, not a reason to finish
    assert response.raw_finish_reason == (None if reason is None else str(reason))
    if expected["usage"] is not None:
        assert response.usage is not None and response.usage["raw"] == expected["usage"]
    want = expected_calls(case)
    if want is not None:
        assert calls(response) == want
    if expected.get("model"):
        assert response.model == expected["model"]


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
async def test_whole(case: Case) -> None:
    handle, got, raised = await play(case, [case.body])
    state = ODD[case.id][0] if case.id in ODD else "finished"
    if raised is not None and state != "failed":
        raise raised
    check_whole(case, handle, got)
    assert handle.state == state, handle.interruption
    assert [c.is_final for c in got] == ([False] * (len(got) - 1) + [True] if state != "failed" else [])


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
async def test_split_anywhere_gives_the_same(case: Case) -> None:
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
        assert [c.content for c in got] == [c.content for c in whole_chunks]


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
async def test_cut_at_event_boundaries_keeps_the_exact_prefix(case: Case) -> None:
    rng = random.Random(case.id)
    ends = [0, *case.boundaries]
    unproven = [end for end in ends if not case.said(end).proven]
    assert (len(unproven) == 1 and len(ends) > 2) == (case.id in PROOF_IN_EVERY_EVENT)
    for end in unproven if len(unproven) <= 64 else sorted(rng.sample(unproven, 64)):
        said = case.said(end)
        error = rng.choice([None, httpx.ReadError("reset"), httpx.RemoteProtocolError("incomplete chunked read")])
        handle, got, raised = await play(case, [case.body[:end]], error)
        assert handle.partial_content == said.text and handle.response.reasoning == said.reasoning
        if said.begun:
            assert raised is None and handle.state == "interrupted"
            assert [c.is_marker for c in got] == [False] * (len(got) - 1) + [True]
            assert "".join(c.content for c in got[:-1]) == said.text
            assert handle.interruption.partial_content == said.text
            assert isinstance(handle.interruption.cause, TruncatedStreamError)
        else:
            assert isinstance(raised, TruncatedStreamError) and got == [] and handle.state == "failed"


@pytest.mark.parametrize("case", [case for case in BODIES if case.head["status"] == 200], ids=lambda case: case.id)
async def test_json_body(case: Case) -> None:
    handle, got, raised = await play(case, [case.body], stream=False)
    assert raised is None and handle.state == "finished", raised
    check_whole(case, handle, got)
    assert handle.response.raw_response is not None


@pytest.mark.parametrize("case", [case for case in BODIES if case.head["status"] >= 400], ids=lambda case: case.id)
async def test_http_error(case: Case) -> None:
    handle, got, raised = await play(case, [case.body])
    error, status = case.expected["error"], case.head["status"]
    words = error if isinstance(error, str) else error.get("message") or error["error"]
    assert isinstance(raised, RefusedError) and got == [] and handle.state == "failed"
    assert words.split("\n")[0][:40] in str(raised) and raised.status == status and raised.provider == case.vendor
    kinds = {
        400: (InvalidRequestError, AuthenticationError, NotFoundError),
        401: AuthenticationError,
        403: (PermissionDeniedError, AuthenticationError),  # the second where no key came at all
        404: (NotFoundError, InvalidRequestError),  # OpenAI answers 404 for an option that a model lacks
        429: (RateLimitError, QuotaExceededError),
        500: ServerError,
    }
    assert isinstance(raised, kinds[status])
    assert raised.retryable == isinstance(raised, RateLimitError | ServerError)
    if "API key not valid" in words:
        assert isinstance(raised, AuthenticationError)
    if "too long" in words or "token count" in words:
        assert isinstance(raised, ContextLengthError)


@pytest.mark.parametrize("case", [case for case in BODIES if case.head["status"] == 200][:8], ids=lambda case: case.id)
async def test_a_json_body_where_a_stream_was_asked_for_is_refused(case: Case) -> None:
    handle, got, raised = await play(case, [case.body])
    assert isinstance(raised, BrokenResponseError) and got == [] and handle.state == "failed"
