"""Refusals of Chat Completions servers as typed errors."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import errors
from headrace.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RedirectError,
    RequestTooLargeError,
    ServerError,
    UnexpectedResponseError,
)
from headrace.wire.openai import GROK, ChatCodec

CODEC = ChatCodec("openai")
NOW = 1_790_000_000.0


def refused(status: int, body: str = "", **headers: str) -> errors.ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CODEC.decode_error(status, named, body, now=NOW)


def coded(code: str, message: str = "m") -> str:
    return '{"error":{"message":"' + message + '","type":"some_type","param":null,"code":"' + code + '"}}'


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (302, RedirectError, False),
        (400, InvalidRequestError, False),
        (401, AuthenticationError, False),
        (402, QuotaExceededError, False),
        (403, PermissionDeniedError, False),
        (404, NotFoundError, False),
        (405, NotFoundError, False),
        (408, ServerError, True),
        (409, InvalidRequestError, True),
        (413, RequestTooLargeError, False),
        (422, InvalidRequestError, False),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (502, ServerError, True),
        (503, OverloadedError, True),
        (529, OverloadedError, True),
    ],
)
@pytest.mark.parametrize(
    "body",
    ["", "<html><title>Oops</title></html>", '{"error":', '{"error":null}', "[]", "5"],
    ids=["empty", "html", "cut", "null", "list", "number"],
)
def test_a_status_alone_decides_where_the_body_says_nothing(
    status: int, kind: type[Exception], retryable: bool, body: str
) -> None:
    error = refused(status, body, x_request_id="req_9")
    assert type(error) is kind
    assert (error.status, error.retryable, error.code, error.request_id) == (status, retryable, None, "req_9")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (429, coded("insufficient_quota"), QuotaExceededError, "insufficient_quota"),
        (429, coded("billing_hard_limit_reached"), QuotaExceededError, "billing_hard_limit_reached"),
        (429, '{"error":{"type":"usage_limit_reached"}}', QuotaExceededError, "usage_limit_reached"),
        (400, coded("Arrearage"), QuotaExceededError, "Arrearage"),
        (400, coded("data_inspection_failed"), ContentRefusedError, "data_inspection_failed"),
        (400, coded("invalid_model"), NotFoundError, "invalid_model"),
        (498, coded("capacity_exceeded"), OverloadedError, "capacity_exceeded"),
        (429, coded("NoCapacity"), OverloadedError, "NoCapacity"),
        (400, '{"error":{"code":"1211","message":"m"}}', NotFoundError, "1211"),
        (400, '{"error":{"code":"1261","message":"m"}}', ContextLengthError, "1261"),
        (400, '{"error":{"code":"1301","message":"m"}}', ContentRefusedError, "1301"),
        (
            400,
            '{"success":false,"errors":[{"code":5007,"message":"No such model @cf/m or task"}],"result":{}}',
            NotFoundError,
            "5007",
        ),
        (400, '{"type":"about:blank","title":"Bad Request","status":400}', InvalidRequestError, None),
        (400, '{"__type":"ValidationException","message":"m"}', InvalidRequestError, "ValidationException"),
        (429, coded("credit_balance_exhausted"), QuotaExceededError, "credit_balance_exhausted"),
        (429, coded("project_spend_limit_exceeded"), QuotaExceededError, "project_spend_limit_exceeded"),
        (
            429,
            '{"error":{"message":"m","type":"exceeded_current_quota_error"}}',
            QuotaExceededError,
            "exceeded_current_quota_error",
        ),
        (429, '{"error":{"message":"m","code":"1113"}}', QuotaExceededError, "1113"),
        (403, '{"code":"x","error":"Your team has used all available credits"}', QuotaExceededError, "x"),
        (
            400,
            '{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***."}',
            AuthenticationError,
            "Client specified an invalid argument",
        ),
        (400, coded("context_length_exceeded"), ContextLengthError, "context_length_exceeded"),
        (
            400,
            coded("invalid_request_error", "This model's maximum context length is 8192 tokens."),
            ContextLengthError,
            "invalid_request_error",
        ),
        (
            400,
            '{"code":"x","error":"This model\'s maximum prompt length is 131072 but the request contains 2"}',
            ContextLengthError,
            "x",
        ),
        (400, coded("400", "Please reduce the length of the messages"), ContextLengthError, "some_type"),
        (400, coded("x", "Model not found: grok-9"), NotFoundError, "x"),
        (404, coded("model_not_found"), NotFoundError, "model_not_found"),
        (404, coded("x", "tools is not supported in this model."), InvalidRequestError, "x"),
        (404, '{"error":"no such page"}', NotFoundError, None),
        (400, coded("content_filter"), ContentRefusedError, "content_filter"),
        (
            403,
            '{"error":{"code":403,"message":"m","metadata":{"reasons":["violence"],"flagged_input":"..."}}}',
            ContentRefusedError,
            "moderation",
        ),
        (403, '{"error":{"code":403,"message":"Key disabled"}}', PermissionDeniedError, "403"),
        (
            413,
            coded(
                "rate_limit_exceeded",
                "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 9000",
            ),
            RequestTooLargeError,
            "rate_limit_exceeded",
        ),
        (429, coded("rate_limit_exceeded", "Request too large for gpt-x"), RequestTooLargeError, "rate_limit_exceeded"),
        (429, coded("rate_limit_exceeded"), RateLimitError, "rate_limit_exceeded"),
        (503, coded("slow_down"), OverloadedError, "slow_down"),
        (503, coded("server_is_overloaded"), OverloadedError, "server_is_overloaded"),
        (500, coded("x", "The server is currently overloaded."), OverloadedError, "x"),
        (500, coded("server_error"), ServerError, "server_error"),
        (
            401,
            '{"error":{"message":"m","type":"authentication_error","code":"invalid_request_error"}}',
            AuthenticationError,
            "invalid_request_error",
        ),
        (401, '{"detail":"Invalid API Key"}', AuthenticationError, None),
        (422, '{"detail":[{"loc":["body"],"msg":"Field required"}]}', InvalidRequestError, None),
        (
            400,
            '{"error":{"code":400,"message":"m","metadata":{"raw":"{\\"error\\":{\\"code\\":\\"context_length_exceeded\\"}}"}}}',
            ContextLengthError,
            "context_length_exceeded",
        ),
        (
            400,
            '[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]',
            AuthenticationError,
            "INVALID_ARGUMENT",
        ),
        (
            429,
            'data: {"error":{"message":"m","code":"insufficient_quota"}}\n\n',
            QuotaExceededError,
            "insufficient_quota",
        ),
    ],
)
def test_what_the_body_says_decides_before_the_status(
    status: int, body: str, kind: type[Exception], code: str | None
) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("content_type", "body", "kind", "retryable"),
    [
        ("application/json", '{"code":"The service is currently unavailable","error":"m"}', OverloadedError, True),
        ("application/json", '{"code":"Some resource has been exhausted","error":"m"}', RateLimitError, True),
        ("application/json", '{"code":"Unknown error","error":"m"}', ServerError, True),
        ("application/json", '{"error":{"message":"m","code":"invalid_api_key"}}', AuthenticationError, False),
        ("application/octet-stream", '{"error":{"message":"m","code":402}}', QuotaExceededError, False),
        ("text/html", "<html><title>Sign in</title></html>", UnexpectedResponseError, True),
        ("application/json", '{"choices":[{"message":{"content":"Hi"}}]}', UnexpectedResponseError, True),
    ],
    ids=["unavailable", "exhausted", "unknown", "key", "octet-stream", "html", "an-answer"],
)
def test_an_answer_of_200_that_is_no_event_stream(
    content_type: str, body: str, kind: type[Exception], retryable: bool
) -> None:
    error = ChatCodec("grok", GROK).decode_error(200, {"content-type": content_type}, body, now=NOW)
    assert type(error) is kind
    assert (error.retryable, error.status, error.provider) == (retryable, 200, "grok")


def test_an_unexpected_answer_names_its_content_type() -> None:
    assert "content-type text/html" in str(refused(200, "<html></html>", content_type="text/html"))


@pytest.mark.parametrize(
    ("status", "body", "said", "retryable"),
    [
        (429, coded("rate_limit_exceeded"), "false", False),
        (400, coded("x"), "true", True),
        (500, "", "false", False),
        (429, coded("insufficient_quota"), "true", False),
        (500, "", "perhaps", True),
    ],
    ids=["rate-no", "request-yes", "server-no", "quota-never", "nonsense"],
)
def test_x_should_retry_is_obeyed_except_for_a_quota(status: int, body: str, said: str, retryable: bool) -> None:
    assert refused(status, body, x_should_retry=said).retryable is retryable


TPM = coded(
    "rate_limit_exceeded",
    "Rate limit reached for gpt-x in organization org-1 on tokens per min (TPM): Limit 10000, Used 9500, "
    "Requested 900. Please try again in 1m2.4s. Visit the site.",
)


def test_a_rate_limit_tells_which_and_when() -> None:
    error = refused(429, TPM)
    assert isinstance(error, RateLimitError)
    assert (error.dimension, error.limit, error.remaining, error.needed) == ("tokens", 10000.0, 500.0, 900.0)
    assert (error.retry_after, error.retry_at, error.kind, error.source) == (62.4, NOW + 62.4, "rate", "body")
    assert "limit 10000 tokens" in str(error)
    assert str(error).endswith("Come back in 62.4 s.")


@pytest.mark.parametrize(
    ("body", "headers", "retry_after"),
    [
        (TPM, {"retry_after": "7"}, 7.0),
        (TPM, {"retry_after": "1", "retry_after_ms": "250"}, 0.25),
        ("", {"retry_after": "1", "retry_after_ms": "0"}, 1.0),
        (coded("429", "Please retry after 10 seconds."), {}, 10.0),
        (coded("429", "Try again in 20s"), {}, 20.0),
        ('{"error":{"type":"usage_limit_reached","resets_in_seconds":4711}}', {}, 4711.0),
        ('{"error":"Model m is currently loading","estimated_time":20.5}', {}, 20.5),
        ('{"error":{"message":"m","metadata":{"retry_after_seconds":true}}}', {}, None),
        (coded("429", "Please wait 3600 seconds before retrying."), {}, 3600.0),
        (coded("429", "Please retry in 3 minutes"), {}, 180.0),
        ("", {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "6m0s"}, 360.0),
        ("", {"x_ratelimit_remaining_requests": "5", "x_ratelimit_reset_requests": "6m0s"}, None),
        ('{"error":{"code":429,"message":"m","metadata":{"headers":{"X-RateLimit-Reset":"1790000030000"}}}}', {}, 30.0),
        ("", {"retry_after": "soon"}, None),
    ],
    ids=[
        "header-first",
        "milliseconds",
        "azure",
        "words-seconds",
        "words-go",
        "body-resets",
        "body-estimate",
        "body-no-number",
        "words-wait",
        "words-minutes",
        "reset-of-what-ran-out",
        "reset-of-what-did-not",
        "headers-in-the-body",
        "nonsense",
    ],
)
def test_when_to_come_back(body: str, headers: dict[str, str], retry_after: float | None) -> None:
    assert refused(429, body, **headers).retry_after == retry_after


def test_what_ran_out_is_read_from_the_headers_where_the_words_do_not_say() -> None:
    error = refused(
        429, "", x_ratelimit_limit_requests="500", x_ratelimit_remaining_requests="0", x_ratelimit_limit_tokens="9"
    )
    assert isinstance(error, RateLimitError)
    assert (error.dimension, error.limit, error.remaining, error.source) == ("requests", 500.0, 0.0, "headers")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(429, coded("slow_down"), "ramp"), (503, "", "overload"), (429, "", "rate")],
    ids=["ramp", "overload", "rate"],
)
def test_the_kind_of_a_limit(status: int, body: str, kind: str) -> None:
    error = refused(status, body)
    assert isinstance(error, RateLimitError)
    assert error.kind == kind


def test_the_text_says_who_what_in_whose_words_and_what_next() -> None:
    error = refused(401, coded("invalid_api_key", "Incorrect API key provided: sk-***."), x_request_id="req_9")
    assert str(error) == (
        "openai: the API key is not accepted: Incorrect API key provided: sk-*** "
        "(HTTP 401, code invalid_api_key, request req_9). Check the key, and that base_url is its vendor's."
    )


@given(
    st.integers(100, 999),
    st.text(max_size=60),
    st.dictionaries(st.sampled_from(["retry-after", "location"]), st.text()),
)
@example(429, '{"error":' * 5000, {})
@example(429, '{"error":{"code":[],"type":{},"message":null,"metadata":5}}', {})
@example(429, '{"error":{"code":"²","message":"try again in 9.9.9s"}}', {})
@example(200, '[{"error":[[["x"]]]}]', {})
@example(400, "\ud800", {"retry-after": "\ud800"})
@example(429, "data:", {})
def test_no_body_makes_it_raise(status: int, body: str, headers: dict[str, str]) -> None:
    assert isinstance(CODEC.decode_error(status, headers, body, now=NOW), errors.ProviderError)
