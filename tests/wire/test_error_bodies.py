"""Whatever shape an error body has, the error is typed and holds the vendor's words, for every format alike."""

from __future__ import annotations

import pytest

from headrace.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from headrace.wire._codec import Codec
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.gemini import GeminiCodec
from headrace.wire.ollama import OllamaCodec
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import ResponsesCodec

CODECS = [AnthropicCodec(), GeminiCodec(), OllamaCodec(), ChatCodec(), ResponsesCodec()]
every_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: type(codec).__name__)


@every_codec
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error":{"message":"Too bad."}}', "Too bad"),
        ('{"error":"Too bad."}', "Too bad"),
        ('"Too bad."', "Too bad"),
        ('["Too bad."]', "Too bad"),
        ('[{"error":{"message":"Too bad."}}]', "Too bad"),
        ('{"errors":[{"message":"Too bad."}]}', "Too bad"),
        ('{"detail":"Too bad."}', "Too bad"),
        ('{"detail":[{"loc":["body","model"],"msg":"Too bad."}]}', "Too bad"),
        ('{"message":"Too bad."}', "Too bad"),
        ('{"error":{"message":"{\\"error\\":{\\"message\\":\\"Too bad.\\"}}"}}', "Too bad"),
        ('{"error":"{\\"detail\\":\\"Too bad.\\"}"}', "Too bad"),
        ("Too bad.\r\n", "Too bad"),
        ("<!doctype html><html><head><title>Too bad &amp; worse</title></head></html>", "Too bad & worse"),
        ("<html><body><h1>Too bad</h1></body></html>", "Too bad"),
        ('{"error":{"message":"Too b', '{"error":{"message":"Too b'),
    ],
    ids=[
        "object",
        "string",
        "json-string",
        "array-of-text",
        "array",
        "errors",
        "detail",
        "detail-list",
        "message",
        "nested",
        "nested-in-string",
        "text",
        "title",
        "page",
        "cut",
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "text/html", ""])
def test_the_words_are_found_in_any_shape(codec: Codec, body: str, words: str, content_type: str) -> None:
    error = codec.decode_error(400, {"content-type": content_type} if content_type else {}, body, now=0.0)
    assert type(error) is InvalidRequestError
    assert words in str(error) and "HTTP 400" in str(error)
    assert str(error).endswith("Change the request; the same one will be refused again.")


@every_codec
@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (400, InvalidRequestError, "the request is not taken (HTTP 400). Change the request; the same one will be"),
        (401, AuthenticationError, "the API key is not accepted (HTTP 401). Check the key"),
        (402, QuotaExceededError, "a quota is used up (HTTP 402). Waiting a little does not help"),
        (
            429,
            RateLimitError,
            "a rate limit is reached (HTTP 429). The same request may succeed later; when is unsaid.",
        ),
        (500, ServerError, "the vendor failed (HTTP 500). The same request may be sent again."),
        (503, OverloadedError, "no capacity for now (HTTP 503). The same request may succeed later; when is unsaid."),
        (
            200,
            UnexpectedResponseError,
            "the answer is no event stream (HTTP 200, content-type missing). Check base_url",
        ),
    ],
)
def test_an_empty_body_says_what_and_what_next(codec: Codec, status: int, kind: type[ProviderError], text: str) -> None:
    error = codec.decode_error(status, {}, "", now=0.0)
    assert type(error) is kind and str(error).startswith(f"{codec.provider}: {text}")


@every_codec
def test_a_refusal_that_may_be_sent_again_does_not_say_that_it_will_be_refused(codec: Codec) -> None:
    error = codec.decode_error(400, {"x-should-retry": "true"}, '{"error":"busy"}', now=0.0)
    assert error.retryable and str(error).endswith("The same request may be sent again.")


@every_codec
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (402, '{"error":{"message":"m","status":"FAILED_PRECONDITION"}}', QuotaExceededError),
        (402, '{"error":{"message":"m","type":"invalid_request_error"}}', QuotaExceededError),
        (401, '{"error":{"message":"m","status":"INVALID_ARGUMENT"}}', AuthenticationError),
    ],
    ids=["402-google", "402-general", "401"],
)
def test_a_status_that_says_more_than_a_general_word_counts(
    codec: Codec, status: int, body: str, kind: type[ProviderError]
) -> None:
    assert type(codec.decode_error(status, {}, body, now=0.0)) is kind


GOOGLE_429 = (
    '{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.\\n'
    '* Quota exceeded for metric: g/requests, limit: %s\\nPlease retry in 34.4s.","status":"RESOURCE_EXHAUSTED"%s}}'
)
_PER = ',"details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"R%s-FreeTier"}]}]'


@pytest.mark.parametrize("codec", [GeminiCodec(), ChatCodec("gemini")], ids=["own", "openai"])
@pytest.mark.parametrize("form", ["%s", "[%s]"], ids=["object", "array"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (GOOGLE_429 % ("20", ""), RateLimitError),
        (GOOGLE_429 % ("20", _PER % "PerMinutePerProjectPerModel"), RateLimitError),
        (GOOGLE_429 % ("20", _PER % "PerDayPerProjectPerModel"), QuotaExceededError),
        (GOOGLE_429 % ("0", ""), QuotaExceededError),
        ('{"error":{"code":400,"message":"API key expired.","status":"INVALID_ARGUMENT"}}', AuthenticationError),
        (
            '{"error":{"code":400,"message":"The input token count (9) exceeds","status":"INVALID_ARGUMENT"}}',
            ContextLengthError,
        ),
    ],
    ids=["rate", "minute", "day", "none", "key", "long"],
)
def test_google_says_the_same_at_both_its_endpoints(
    codec: Codec, form: str, body: str, kind: type[ProviderError]
) -> None:
    status = 400 if '"code":400' in body else 429
    assert type(codec.decode_error(status, {}, form.replace("%s", body), now=0.0)) is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Rate limit reached for m on tokens per min (TPM): Limit 9, Used 8, Requested 2.", RateLimitError),
        ("Rate limit reached for m on tokens per day (TPD): Limit 9, Used 8, Requested 2.", QuotaExceededError),
        ("Rate limit reached for m on requests per day (RPD): Limit 9, Used 9, Requested 1.", QuotaExceededError),
        ("Requests per day limit exceeded", QuotaExceededError),
        ("Rate limit exceeded: free-models-per-min. Add credits for 1000 requests per day", RateLimitError),
        ("Rate limit exceeded: free-models-per-day. Add credits for 1000 requests per day", QuotaExceededError),
        ("You reached your monthly spending limit", QuotaExceededError),
        ("You have used up your daily free allocation of 10,000 neurons", QuotaExceededError),
    ],
)
def test_a_daily_limit_is_a_quota(body: str, kind: type[ProviderError]) -> None:
    error = ChatCodec().decode_error(429, {}, '{"error":{"message":"' + body + '"}}', now=0.0)
    assert type(error) is kind and error.retryable == (kind is RateLimitError) and body[:40] in str(error)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Your input exceeds the context window of this model.", ContextLengthError),
        (400, "input length exceeds the context length", ContextLengthError),
        (400, "Input is too long for requested model.", ContextLengthError),
        (403, "Key limit exceeded (total limit).", QuotaExceededError),
        (400, "The decoder prompt is longer than the maximum model length of 4096.", ContextLengthError),
        (400, "the model is loaded with context length of only 4096 tokens", ContextLengthError),
        (400, "Your request exceeded model token limit: 8192", ContextLengthError),
        (400, "Range of input length should be [1, 30720]", ContextLengthError),
        (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.", ContextLengthError),
        (429, "Your team has exhausted its available credits", QuotaExceededError),
        (429, "You are using a Trial key, which is limited to 1000 API calls / month.", QuotaExceededError),
        (429, "Rate limit of 50 per 86400s exceeded for UserByModelByDay.", QuotaExceededError),
        (429, "You've reached your hourly usage limit", QuotaExceededError),
        (429, "AiError: Capacity temporarily exceeded, please try again.", OverloadedError),
        (503, "m is over capacity", OverloadedError),
        (400, "Model m is not supported by any provider you have enabled.", NotFoundError),
    ],
)
def test_wordings_of_servers_without_codes(status: int, message: str, kind: type[ProviderError]) -> None:
    assert type(ChatCodec().decode_error(status, {}, '{"error":{"message":"' + message + '"}}', now=0.0)) is kind


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (503, "api_error", "The customer's encryption key cannot be reached", ServerError),
        (503, "overloaded_error", "Overloaded", OverloadedError),
        (503, "api_error", "Service unavailable", OverloadedError),
        (429, "rate_limit_error", "Number of requests has exceeded your daily rate limit", QuotaExceededError),
        (429, "rate_limit_error", "would exceed your limit of 1,000,000 tokens per day", QuotaExceededError),
        (429, "rate_limit_error", "would exceed your limit of 1,000,000 tokens per minute", RateLimitError),
        (400, "invalid_request_error", "invalid x-api-key", AuthenticationError),
    ],
)
def test_what_an_anthropic_type_means_more_exactly(
    status: int, kind: str, message: str, expected: type[ProviderError]
) -> None:
    body = '{"type":"error","error":{"type":"' + kind + '","message":"' + message + '"}}'
    assert type(AnthropicCodec().decode_error(status, {}, body, now=0.0)) is expected


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, "Method doesn't allow unregistered callers.", AuthenticationError),
        (403, "Your API key was reported as leaked. Please use another API key.", AuthenticationError),
    ],
)
def test_a_key_that_is_missing_or_burnt_is_no_lack_of_permission(
    status: int, message: str, kind: type[ProviderError]
) -> None:
    body = '{"error":{"code":403,"status":"PERMISSION_DENIED","message":"' + message + '"}}'
    assert type(GeminiCodec().decode_error(status, {}, body, now=0.0)) is kind


def test_a_quota_of_nothing_that_only_error_info_tells_is_no_rate() -> None:
    body = (
        '{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":'
        '"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","metadata":{"quota_limit":'
        '"GenerateContentRequestsPerMinutePerProjectPerRegion","quota_metric":"g/requests","quota_limit_value":"%s"}}]}}'
    )
    assert type(GeminiCodec().decode_error(429, {}, body % 0, now=0.0)) is QuotaExceededError
    error = GeminiCodec().decode_error(429, {}, body % 60, now=0.0)
    assert isinstance(error, RateLimitError) and (error.dimension, error.limit) == ("requests", 60)
