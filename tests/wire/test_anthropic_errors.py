"""Anthropic's refusals are typed errors that say what to do."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import errors
from headrace.wire.anthropic import AnthropicCodec

from .strategies import json_values

CODEC = AnthropicCodec()


def error_body(kind: str, message: str = "m", code: str | None = None) -> str:
    details = {} if code is None else {"details": {"error_code": code}}
    return json.dumps({"type": "error", "error": {"type": kind, "message": message, **details}, "request_id": "req_b"})


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (400, error_body("invalid_request_error"), errors.InvalidRequestError, False),
        (
            400,
            error_body("invalid_request_error", "prompt is too long: 3 tokens > 2 maximum"),
            errors.ContextLengthError,
            False,
        ),
        (
            400,
            error_body("invalid_request_error", "You have reached your specified API usage limits."),
            errors.QuotaExceededError,
            False,
        ),
        (
            400,
            error_body("invalid_request_error", "Your credit balance is too low"),
            errors.QuotaExceededError,
            False,
        ),
        (
            400,
            error_body("invalid_request_error", "Output blocked by content filtering policy"),
            errors.ContentRefusedError,
            False,
        ),
        (401, error_body("authentication_error"), errors.AuthenticationError, False),
        (402, error_body("billing_error"), errors.QuotaExceededError, False),
        (403, error_body("permission_error"), errors.PermissionDeniedError, False),
        (404, error_body("not_found_error"), errors.NotFoundError, False),
        (409, error_body("conflict_error"), errors.InvalidRequestError, True),
        (413, "<html><title>413 Request Entity Too Large</title></html>", errors.RequestTooLargeError, False),
        (429, error_body("rate_limit_error"), errors.RateLimitError, True),
        (429, error_body("rate_limit_error", code="enforced_spend_limit_reached"), errors.QuotaExceededError, False),
        (429, error_body("rate_limit_error", code="ramp_limit_exceeded"), errors.RateLimitError, True),
        (500, error_body("api_error"), errors.ServerError, True),
        (502, "<html>", errors.ServerError, True),
        (503, "", errors.OverloadedError, True),
        (504, error_body("timeout_error"), errors.ServerError, True),
        (529, error_body("overloaded_error"), errors.OverloadedError, True),
        (307, "", errors.RedirectError, False),
        (200, error_body("overloaded_error"), errors.OverloadedError, True),
        (200, "<!doctype html><title>Sign in</title>", errors.UnexpectedResponseError, True),
        (401, error_body("invalid_request_error"), errors.AuthenticationError, False),
    ],
)
def test_refusals_are_typed(status: int, body: str, kind: type[Exception], retryable: bool) -> None:
    error = CODEC.decode_error(status, {}, body, now=0.0)
    assert (type(error), error.retryable, error.status) == (kind, retryable, status)
    assert error.provider == "anthropic"


def test_a_rate_limit_says_which_one_and_until_when() -> None:
    headers = {
        "retry-after": "19",
        "request-id": "req_h",
        "anthropic-ratelimit-requests-remaining": "7",
        "anthropic-ratelimit-input-tokens-limit": "4000000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
    }
    error = CODEC.decode_error(429, headers, error_body("rate_limit_error", "Too many tokens."), now=1000.0)
    assert isinstance(error, errors.RateLimitError)
    assert str(error) == (
        "anthropic: a rate limit is reached: Too many tokens (HTTP 429, code rate_limit_error, "
        "limit 4000000 input_tokens, request req_h). Come back in 19 s."
    )
    assert (error.dimension, error.limit, error.remaining) == ("input_tokens", 4_000_000, 0)
    assert (error.retry_after, error.retry_at, error.kind, error.source) == (19.0, 1019.0, "rate", "headers")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_rate_limit_is_read_from_the_words_where_the_headers_are_silent() -> None:
    words = "This request would exceed your organization's rate limit of 40,000 input tokens per minute"
    error = CODEC.decode_error(429, {}, error_body("rate_limit_error", words), now=0.0)
    assert (error.dimension, error.limit, error.retry_after, error.source) == ("input_tokens", 40_000, None, "body")


def test_a_ramp_limit_is_told_apart() -> None:
    body = error_body("rate_limit_error", code="ramp_limit_exceeded")
    error = CODEC.decode_error(429, {"retry-after": "2"}, body, now=0.0)
    assert (error.kind, error.code, error.retry_after) == ("ramp", "ramp_limit_exceeded", 2.0)


def test_x_should_retry_false_wins() -> None:
    error = CODEC.decode_error(529, {"x-should-retry": "false"}, error_body("overloaded_error"), now=0.0)
    assert error.retryable is False
    assert str(error).endswith("The vendor asks that the same request is not sent again.")


def test_a_quota_is_never_retried_whatever_the_header_says() -> None:
    error = CODEC.decode_error(402, {"x-should-retry": "true"}, error_body("billing_error"), now=0.0)
    assert error.retryable is False


@given(st.integers(100, 599), st.text() | json_values.map(json.dumps))
@example(429, "[" * 60_000)
@example(400, '{"error":{"message":"\ud800"}}')
def test_no_body_breaks_decode_error(status: int, body: str) -> None:
    error = CODEC.decode_error(status, {}, body, now=0.0)
    assert str(error).startswith("anthropic: ") and f"HTTP {status}" in str(error)
    assert len(str(error)) < 1000
