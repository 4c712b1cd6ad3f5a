"""Gemini's refusals are typed errors that say what to do."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import errors
from headrace.wire.gemini import GeminiCodec

from .strategies import json_values

CODEC = GeminiCodec()


def body(code: int, status: str, message: str = "m", **details: object) -> str:
    """A google.rpc.Status; each detail by its type's name."""
    told = [{"@type": f"type.googleapis.com/google.rpc.{name}", **fields} for name, fields in details.items()]
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": told}})


def quota(quota_id: str, value: str = "20", delay: str = "34.4s") -> str:
    """A 429 with one violated quota and a RetryInfo."""
    return body(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota.",
        QuotaFailure={"violations": [{"quotaId": quota_id, "quotaMetric": "g/free_tier", "quotaValue": value}]},
        RetryInfo={"retryDelay": delay},
    )


@pytest.mark.parametrize(
    ("status", "text", "kind", "retryable"),
    [
        (400, body(400, "INVALID_ARGUMENT"), errors.InvalidRequestError, False),
        (
            400,
            body(400, "INVALID_ARGUMENT", "API key not valid.", ErrorInfo={"reason": "API_KEY_INVALID"}),
            errors.AuthenticationError,
            False,
        ),
        (400, body(400, "INVALID_ARGUMENT", "API key expired."), errors.AuthenticationError, False),
        (
            400,
            body(
                400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."
            ),
            errors.ContextLengthError,
            False,
        ),
        (
            400,
            body(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
            errors.RequestTooLargeError,
            False,
        ),
        (
            400,
            body(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            errors.PermissionDeniedError,
            False,
        ),
        (401, body(401, "UNAUTHENTICATED"), errors.AuthenticationError, False),
        (403, body(403, "PERMISSION_DENIED"), errors.PermissionDeniedError, False),
        (404, body(404, "NOT_FOUND"), errors.NotFoundError, False),
        (413, "<html><title>413</title></html>", errors.RequestTooLargeError, False),
        (429, body(429, "RESOURCE_EXHAUSTED"), errors.RateLimitError, True),
        (429, quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), errors.RateLimitError, True),
        (429, quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), errors.QuotaExceededError, False),
        (429, quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "0"), errors.QuotaExceededError, False),
        (
            429,
            body(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: x, limit: 0, model: y"),
            errors.QuotaExceededError,
            False,
        ),
        (429, body(429, "RESOURCE_EXHAUSTED", "* metric: x, limit: 0\nRetry in 9s."), errors.QuotaExceededError, False),
        (429, body(429, "RESOURCE_EXHAUSTED", "* metric: x, limit: 0"), errors.QuotaExceededError, False),
        (429, body(429, "RESOURCE_EXHAUSTED", "* metric: x, limit: 05"), errors.RateLimitError, True),
        (500, body(500, "INTERNAL"), errors.ServerError, True),
        (503, body(503, "UNAVAILABLE"), errors.OverloadedError, True),
        (504, body(504, "DEADLINE_EXCEEDED"), errors.ServerError, True),
        (429, f"[{body(429, 'RESOURCE_EXHAUSTED')}]", errors.RateLimitError, True),
        (302, "", errors.RedirectError, False),
        (200, body(503, "UNAVAILABLE"), errors.OverloadedError, True),
        (200, '{"error": {"code": 403}}', errors.PermissionDeniedError, False),
        (200, "<html>", errors.UnexpectedResponseError, True),
        (502, "", errors.ServerError, True),
    ],
)
def test_refusals_are_typed(status: int, text: str, kind: type[Exception], retryable: bool) -> None:
    error = CODEC.decode_error(status, {}, text, now=0.0)
    assert (type(error), error.retryable, error.status) == (kind, retryable, status)
    assert error.provider == "gemini"


@pytest.mark.parametrize(
    ("quota_id", "dimension"),
    [
        ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "requests"),
        ("GenerateContentInputTokensPerModelPerMinute-FreeTier", "input_tokens"),
        ("TokensPerMinute", "tokens"),
        ("Something", None),
    ],
)
def test_a_rate_limit_says_which_one_and_until_when(quota_id: str, dimension: str | None) -> None:
    error = CODEC.decode_error(429, {}, quota(quota_id), now=1000.0)
    assert isinstance(error, errors.RateLimitError)
    assert (error.dimension, error.limit) == (dimension, 20 if dimension else None)
    assert (error.retry_after, error.retry_at, error.source) == (34.4, 1034.4, "body")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_of_several_quotas_a_daily_one_decides_and_else_the_first_is_named() -> None:
    minute = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "5"}
    tokens = {"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier", "quotaValue": "250000"}
    day = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"}

    def told(*violations: dict[str, str]) -> errors.ProviderError:
        text = body(429, "RESOURCE_EXHAUSTED", QuotaFailure={"violations": violations}, RetryInfo={"retryDelay": "9s"})
        return CODEC.decode_error(429, {}, text, now=0.0)

    rate = told(minute, tokens)
    assert isinstance(rate, errors.RateLimitError)
    assert (rate.dimension, rate.limit, rate.retry_after) == ("requests", 5, 9.0)
    for quota in (told(minute, day), told(day, minute)):
        assert isinstance(quota, errors.QuotaExceededError)
        assert (quota.retry_after, quota.retryable) == (None, False)


def test_the_text_says_limit_code_and_what_next() -> None:
    error = CODEC.decode_error(429, {}, quota("GenerateRequestsPerMinute"), now=0.0)
    assert str(error) == (
        "gemini: a rate limit is reached: You exceeded your current quota (HTTP 429, code RESOURCE_EXHAUSTED, "
        "limit 20 requests). Come back in 34.4 s."
    )


def test_a_header_wins_over_the_body() -> None:
    error = CODEC.decode_error(429, {"retry-after": "7"}, quota("GenerateRequestsPerMinute"), now=0.0)
    assert (error.retry_after, error.source) == (7.0, "headers")


def test_a_daily_quota_takes_no_wait_from_its_retry_info() -> None:
    error = CODEC.decode_error(429, {}, quota("GenerateRequestsPerDay", delay="38s"), now=0.0)
    assert error.retry_after is None
    assert "Waiting a little does not help" in str(error)


def test_a_reason_is_the_code_where_there_is_one() -> None:
    text = body(403, "PERMISSION_DENIED", ErrorInfo={"reason": "SERVICE_DISABLED"})
    assert CODEC.decode_error(403, {}, text, now=0.0).code == "SERVICE_DISABLED"


@given(st.integers(100, 599), st.text() | json_values.map(json.dumps))
@example(429, '{"error":{"details":[{"@type":"x.QuotaFailure","violations":[7,{"quotaValue":[]}]},7]}}')
@example(429, '{"error":{"details":{"a":1}}}')
@example(429, "[" * 60_000)
@example(400, '{"error":{"message":"\ud800"}}')
def test_no_body_breaks_decode_error(status: int, text: str) -> None:
    error = CODEC.decode_error(status, {}, text, now=0.0)
    assert str(error).startswith("gemini: ") and f"HTTP {status}" in str(error)
    assert len(str(error)) < 1000
