"""
Every recorded error, over HTTP and inside an answer of 200, as a caller sees it: one row each, judged by hand.

A recorded error without a row fails, so that none is forgotten. What is an error is asked of the recording, not of the
code under test.
"""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from headrace import AIMessage, GenerationConfig, _clock
from headrace.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.base import BaseProvider
from headrace.providers.compatible import CompatibleProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
from headrace.testing import assert_idle

from .cases import ROOT, WHY
from .test_recordings import Pieces

pytestmark = [pytest.mark.virtual, pytest.mark.skipif(ROOT is None, reason=WHY)]


class Row(NamedTuple):
    """What the error must be. `words` are a piece of the vendor's own that must stand in its text."""

    kind: type[ProviderError]
    code: str | None
    words: str
    retryable: bool = False
    retry_after: float | None = None


ROWS = {  # by folder and file
    "anthropic/messages": {
        "err400-claude-3-5-haiku-20241022-c189c9.json": Row(
            InvalidRequestError, "invalid_request_error", "output_format.schema: For 'integer'"
        ),
        "err400-claude-haiku-4-5-20251001-e154cd.json": Row(
            ContextLengthError, "invalid_request_error", "prompt is too long: 3333404 tokens >"
        ),
        "err400-claude-sonnet-4-6-05096e.json": Row(
            InvalidRequestError, "invalid_request_error", "Too many strict tools (21). The maximum"
        ),
        "err400-claude-sonnet-4-6-6bb1c7.json": Row(
            InvalidRequestError, "invalid_request_error", "Schemas contains too many optional"
        ),
        "err400-claude-sonnet-4-6-bff8cd.json": Row(
            InvalidRequestError, "invalid_request_error", "Schemas contains too many parameters"
        ),
        "err401-claude-haiku-4-5-20251001-029b31.json": Row(
            AuthenticationError, "authentication_error", "invalid x-api-key"
        ),
        "err404-claude-nonexistent-model-for-error-5f3193.json": Row(
            NotFoundError, "not_found_error", "model: claude-nonexistent-model-for-erro"
        ),
        "err404-claude-nonexistent-rig-test-79b582.json": Row(
            NotFoundError, "not_found_error", "model: claude-nonexistent-rig-test"
        ),
        "err404-there-is-no-such-model-b47f79.json": Row(
            NotFoundError, "not_found_error", "model: there-is-no-such-model"
        ),
        "err404-this-model-does-not-exist-12345-c67064.json": Row(
            NotFoundError, "not_found_error", "model: this-model-does-not-exist-12345"
        ),
    },
    "gemini/generate": {
        "err400-nomodel-0f7e6d.json": Row(
            AuthenticationError, "API_KEY_INVALID", "API key not valid. Please pass a valid"
        ),
        "err400-nomodel-11ba17.json": Row(
            InvalidRequestError, "INVALID_ARGUMENT", "The requested combination of response"
        ),
        "err400-nomodel-2560be.json": Row(
            InvalidRequestError, "INVALID_ARGUMENT", "Unable to submit request because it has"
        ),
        "err400-nomodel-bcede1.json": Row(
            ContextLengthError, "INVALID_ARGUMENT", "The input token count (1250074) exceeds"
        ),
        "err400-nomodel-d86810.json": Row(
            AuthenticationError, "API_KEY_INVALID", "API key not valid. Please pass a valid"
        ),
        "err403-models-gemini-2-0-flash-da4b1c.json": Row(
            AuthenticationError, "PERMISSION_DENIED", "Method doesn't allow unregistered"
        ),
        "err403-nomodel-0c1bce.json": Row(
            PermissionDeniedError, "SERVICE_DISABLED", "Generative Language API has not been"
        ),
        "err404-nomodel-25c068.json": Row(NotFoundError, "NOT_FOUND", "models/gemini-live-2.5-flash is not"),
        "err404-nomodel-28bb96.json": Row(NotFoundError, "NOT_FOUND", "models/gemini-3.6-flahs is not found"),
        "err404-nomodel-997b71.json": Row(NotFoundError, "NOT_FOUND", "Publisher Model"),
        "err404-nomodel-a93bf7.json": Row(NotFoundError, "NOT_FOUND", "models/gemini-1.5-flash-8b is not found"),
        "err404-nomodel-e8d220.json": Row(NotFoundError, "NOT_FOUND", "models/test-model-name is not found for"),
        "err429-nomodel-b2c11e.json": Row(QuotaExceededError, "RATE_LIMIT_EXCEEDED", "Quota exceeded for quota metric"),
        "err429-nomodel-f2fd05.json": Row(
            RateLimitError,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please",
            retryable=True,
            retry_after=34.4,
        ),
        "text-nomodel-40958d.sse": Row(ServerError, "CANCELLED", "The operation was cancelled", retryable=True),
    },
    "openai/chat": {
        "err400-gpt-3-5-turbo-ee1f50.json": Row(InvalidRequestError, "test", "Test error"),
        "err400-gpt-4o-mini-d7bc5d.json": Row(InvalidRequestError, "invalid_image_url", "Error while downloading"),
        "err400-gpt-5-mini-a121b0.json": Row(
            InvalidRequestError, "invalid_value", "Invalid 'messages[3]'. Content blocks"
        ),
        "err400-gpt-5-nano-a65196.json": Row(InvalidRequestError, "empty_array", "Invalid 'messages': empty array"),
        "err400-o1-mini-45b51f.json": Row(
            InvalidRequestError, "unsupported_value", "Unsupported value: 'messages[0].role'"
        ),
        "err401-gpt-4o-62d599.json": Row(AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
        "err401-gpt-4o-mini-113485.json": Row(AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
        "err403-text-embedding-3-large-f849d5.json": Row(
            PermissionDeniedError, "invalid_request_error", "You are not allowed to sample from this"
        ),
        "err404-gpt-3-5-turbo-0613-806049.json": Row(
            NotFoundError, "model_not_found", "The model `gpt-3.5-turbo-0613` has been"
        ),
        "err404-gpt-5-chat-latest-c149cb.json": Row(
            InvalidRequestError, "invalid_request_error", "tools is not supported in this model"
        ),
        "err404-this-model-does-not-exist-12345-0e86c2.json": Row(
            NotFoundError, "model_not_found", "The model `this-model-does-not-exist-123"
        ),
    },
    "openai/responses": {
        "err400-gpt-4o-mini-1fbfab.json": Row(
            InvalidRequestError, "invalid_function_parameters", "Invalid schema for function"
        ),
        "err400-gpt-5-12b81d.json": Row(
            InvalidRequestError, "invalid_request_error", "Item 'rs_68c42de022c881948db7ed1cc2529f2"
        ),
        "err400-o1-mini-984881.json": Row(
            InvalidRequestError, "integer_below_min_value", "Invalid 'max_output_tokens': integer"
        ),
        "err400-o3-deep-research-78c904.json": Row(
            InvalidRequestError, "invalid_request_error", "Deep research models only support the"
        ),
        "err400-this-model-does-not-exist-12345-ffe26a.json": Row(
            NotFoundError, "model_not_found", "The requested model"
        ),
        "err401-gpt-4-1-734b56.json": Row(AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
        "err401-gpt-4-1-nano-dc69fb.json": Row(AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
        "err401-gpt-4o-5297fa.json": Row(AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
        "err429-nomodel-14cd02.json": Row(
            QuotaExceededError, "insufficient_quota", "You exceeded your current quota, please"
        ),
        "logcap-midstream-error-nomodel-5c2a4c.sse": Row(
            RateLimitError,
            "rate_limit_exceeded",
            "Rate limit reached for gpt-5.1 in",
            retryable=True,
            retry_after=11.054,
        ),
        "otherpath-err500-nomodel-92daef.json": Row(
            ServerError, "server_error", "The server had an error processing your", retryable=True
        ),
    },
    "openai-compatible/azure/chat": {
        "err401-grok-4-1-fast-non-reasoning-338877.json": Row(
            AuthenticationError, "401", "Access denied due to invalid"
        ),
        "err404-gpt-5-nano-8f7e10.json": Row(
            NotFoundError, "DeploymentNotFound", "The API deployment for this resource"
        ),
    },
    "openai-compatible/deepseek/chat": {
        "err400-deepseek-chat-18c443.json": Row(
            ContextLengthError, "invalid_request_error", "This model's maximum context length is"
        ),
        "err400-deepseek-v4-flash-f0fd2c.json": Row(
            InvalidRequestError, "invalid_request_error", "Thinking mode does not support this"
        ),
        "err401-deepseek-chat-492dd7.json": Row(
            AuthenticationError, "invalid_request_error", "Authentication Fails, Your api key"
        ),
    },
    "openai-compatible/deepseek/responses": {
        "err400-deepseek-v4-flash-00a4c9.json": Row(
            InvalidRequestError, "invalid_request_error", "No tool output found for tool call"
        ),
    },
    "openai-compatible/doubleword/chat": {
        "err403-qwen-qwen3-5-9b-b43bf3.json": Row(PermissionDeniedError, "forbidden", "Forbidden"),
        "err404-rig-definitely-not-a-doubleword-mo-073285.json": Row(
            NotFoundError, "model_not_found", "The model `rig/definitely-not-a-doublewo"
        ),
    },
    "openai-compatible/gpustack/chat": {
        "thinking-qwen3-0cc39f.sse": Row(ServerError, None, "failed to decode, try again, increasing", retryable=True),
    },
    "openai-compatible/groq/chat": {
        "err400-llama3-70b-8192-1d9cf4.json": Row(
            NotFoundError, "model_decommissioned", "The model `llama3-70b-8192` has been"
        ),
        "err400-openai-gpt-oss-120b-6eff2b.json": Row(
            InvalidRequestError, "tool_use_failed", "Tool choice is required, but model did"
        ),
        "err401-gemma2-9b-it-abeeda.json": Row(AuthenticationError, "invalid_api_key", "Invalid API Key"),
        "err404-llama-3-3-70b-versatlie-72278b.json": Row(
            NotFoundError, "model_not_found", "The model `llama-3.3-70b-versatlie`"
        ),
        "midstream-error-openai-gpt-oss-120b-25e988.sse": Row(
            InvalidRequestError, "tool_use_failed", "Tool call validation failed: tool call"
        ),
    },
    "openai-compatible/llamacpp/chat": {
        "err400-qwen3-1-7b-q4-k-m-4295a9.json": Row(
            ContextLengthError, "exceed_context_size_error", "request (2009 tokens) exceeds the"
        ),
        "err400-qwen3-vl-2b-instruct-q8-0-a8b36f.json": Row(
            InvalidRequestError, "invalid_request_error", "Failed to load image or audio file"
        ),
        "err401-qwen3-1-7b-q4-k-m-eb10bc.json": Row(AuthenticationError, "authentication_error", "Invalid API Key"),
        "err500-qwen3-1-7b-q4-k-m-3f237c.json": Row(
            ServerError, "server_error", "Cannot use both json_schema and", retryable=True
        ),
        "err500-qwen3-vl-2b-instruct-q8-0-5d7a5e.json": Row(
            ServerError, "server_error", "error: cannot make GET request", retryable=True
        ),
    },
    "openai-compatible/mistral/chat": {
        "err400-ministral-3b-latest-51b601.json": Row(
            InvalidRequestError, "invalid_request_invalid_args", "Logprobs are not enabled for this"
        ),
        "err401-mistral-small-latest-08327c.json": Row(AuthenticationError, None, "Invalid API Key"),
    },
    "openai-compatible/ollama-cloud/chat": {
        "err400-gpt-oss-120b-593fa9.json": Row(
            ContextLengthError, "invalid_request_error", "prompt too long; exceeded max context"
        ),
        "err401-gpt-oss-120b-ee6f3b.json": Row(AuthenticationError, "api_error", "Unauthorized"),
    },
    "openai-compatible/openrouter/chat": {
        "err400-openai-gpt-5-image-581573.json": Row(
            InvalidRequestError, "invalid_request_error", "Provider returned error: Unsupported"
        ),
        "err401-anthropic-claude-haiku-4-5-a5c01d.json": Row(
            AuthenticationError, "401", "Missing Authentication header"
        ),
        "err429-deepseek-deepseek-r1-0528-free-d00d17.json": Row(
            RateLimitError, "429", "Provider returned error", retryable=True
        ),
        "err429-deepseek-deepseek-r1-0528-qwen3-8b-d1eb7f.json": Row(
            RateLimitError, "429", "Rate limit exceeded", retryable=True, retry_after=44.0
        ),
        "err429-deepseek-deepseek-r1-free-a7817b.json": Row(
            RateLimitError, "429", "Provider returned error", retryable=True
        ),
        "err429-google-gemma-2-9b-it-free-98cb61.json": Row(
            RateLimitError, "429", "Rate limit exceeded", retryable=True, retry_after=2.0
        ),
        "err429-z-ai-glm-4-5-air-free-143aba.json": Row(
            RateLimitError, "429", "Rate limit exceeded", retryable=True, retry_after=21.0
        ),
        "midstream-error-google-gemini-2-5-flash-lite-7a5494.sse": Row(
            ServerError, "502", "Provider returned error: Malformed", retryable=True
        ),
        "midstream-error-meta-llama-llama-3-3-70b-instruct--1956c9.sse": Row(
            ServerError, "502", "Upstream error from Venice: EngineCore", retryable=True
        ),
        "midstream-error-minimax-minimax-m2-free-baafd4.sse": Row(InvalidRequestError, "400", "Token limit reached"),
        "other-mistralai-devstral-small-2505-72fc8e.json": Row(ServerError, "502", "ConnectionError", retryable=True),
    },
    "openai-compatible/perplexity/chat": {
        "err400-sonar-8fb0ef.json": Row(
            ContextLengthError, "too_many_prompt_tokens", "The total length of all messages is too"
        ),
        "err401-sonar-b10b35.json": Row(
            AuthenticationError, "invalid_api_key", "Invalid API key provided. Ensure your"
        ),
    },
    "xai/chat": {
        "err404-grok-beta-1adf4a.json": Row(
            NotFoundError, "Some requested entity was not found", "The model grok-beta was deprecated on"
        ),
    },
    "xai/responses": {
        "err400-grok-nonexistent-model-for-identit-baff3f.json": Row(
            NotFoundError, "invalid-argument", "Model not found"
        ),
    },
}


def errors() -> list[Path]:
    """The recorded bodies that are an error or hold one, by the recordings' own expectations."""
    if ROOT is None:
        return []
    bodies = [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.suffix in {".sse", ".json"} and not path.stem.endswith((".headers", ".expected", ".request"))
    ]
    return [path for path in bodies if _status(path) >= 400 or _told(path) or _unframed(path)]


def _status(path: Path) -> int:
    return json.loads(path.with_suffix(".headers.json").read_text())["status"]


def _told(path: Path) -> object:
    return json.loads(path.with_suffix(".expected.json").read_text()).get("error")


def _unframed(path: Path) -> bool:
    """Whether a stream has an error that is no event: a line of raw JSON, or an `error:` field."""
    return path.suffix == ".sse" and any(line.startswith((b"{", b"error:")) for line in path.read_bytes().splitlines())


def ident(path: Path) -> str:
    assert ROOT is not None
    return str(path.relative_to(ROOT))


def provider_for(path: Path, client: httpx.AsyncClient) -> BaseProvider:
    """The provider that would have got this answer."""
    *_, vendor, api, _ = path.parts
    match vendor, api:
        case "anthropic", _:
            return AnthropicProvider("k", base_url="http://v.test", http_client=client)
        case "gemini", _:
            return GeminiProvider("k", base_url="http://v.test", http_client=client)
        case "xai", _:
            return GrokProvider("k", api=api, base_url="http://v.test", http_client=client)
        case ("openai", _) | (_, "responses"):
            return OpenAIProvider("k", api=api, base_url="http://v.test", http_client=client)
    return CompatibleProvider("k", base_url="http://v.test", name=vendor, model="m", http_client=client)


async def raised_by(path: Path, *, stream: bool | None) -> ProviderError:
    """The error of this answer: raised, or the cause of the cut."""
    head = json.loads(path.with_suffix(".headers.json").read_text())
    undone = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(name, value) for name, value in head["headers"] if name.lower() not in undone]
    named = {name.lower(): value for name, value in headers}
    if "content-type" not in named:
        headers.append(("content-type", "text/event-stream" if path.suffix == ".sse" else "application/json"))
    now = parsedate_to_datetime(named["date"]).timestamp() if "date" in named else 1_790_000_000.0

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(head["status"], headers=headers, stream=Pieces([path.read_bytes()]))

    with _clock.replaced(lambda: now):
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            provider = provider_for(path, client)
            async with provider:
                with pytest.raises((ProviderError, StreamInterruptedError)) as caught:
                    await provider.chat([AIMessage("user", "hi")], GenerationConfig(model="m", stream=stream))
                await assert_idle(provider)
    error = caught.value.cause if isinstance(caught.value, StreamInterruptedError) else caught.value
    assert isinstance(error, ProviderError)
    return error


@pytest.mark.parametrize("path", errors(), ids=ident)
async def test_a_recorded_error_is_what_its_row_says(path: Path) -> None:
    row = ROWS[str(path.parent.relative_to(ROOT))][path.name]
    # An error in place of an answer is the same, whichever was asked for.
    for stream in (None,) if path.suffix == ".sse" else (None, False):
        error = await raised_by(path, stream=stream)
        assert (type(error), error.code, error.retryable) == (row.kind, row.code, row.retryable), error
        assert error.retry_after == pytest.approx(row.retry_after, abs=1.0)
        assert row.words in str(error) and str(error).isprintable()
        assert error.status == _status(path)


def test_every_recorded_error_has_a_row_and_every_row_a_recording() -> None:
    rows = {f"{folder}/{name}" for folder, named in ROWS.items() for name in named}
    assert {ident(path) for path in errors()} == rows
