"""The Responses API: errors in mid-stream and over HTTP, as typed errors."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.wire.responses import ResponsesCodec

CODEC = ResponsesCodec("openai")


def fail(data: str, event: str = "message") -> errors.ProviderError:
    """The error that this event is."""
    with pytest.raises(errors.ProviderError) as caught:
        CODEC.decoder(request_id="req_1").feed(event, data)
    assert (caught.value.provider, caught.value.request_id, caught.value.status) == ("openai", "req_1", 200)
    return caught.value


def failed(error: str) -> str:
    return '{"type":"response.failed","sequence_number":3,"response":{"status":"failed","error":' + error + "}}"


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"error","sequence_number":2,"code":"insufficient_quota","message":"No credit","param":null}',
        '{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"No credit"}}',
        failed('{"code":"insufficient_quota","message":"No credit"}'),
        failed('{"code":"insufficient_quota","message":"No credit"}').replace("response.failed", "response.done"),
        '{"error":{"code":"insufficient_quota","message":"No credit"}}',
    ],
    ids=["flat", "nested", "failed", "done", "untyped"],
)
def test_one_error_in_each_of_its_shapes(data: str) -> None:
    error = fail(data)
    assert isinstance(error, errors.QuotaExceededError)
    assert (error.code, error.retryable) == ("insufficient_quota", False)
    assert "No credit" in str(error)


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("server_error", errors.ServerError, True),
        ("vector_store_timeout", errors.ServerError, True),
        ("never_heard_of", errors.ServerError, True),
        ("rate_limit_exceeded", errors.RateLimitError, True),
        ("server_is_overloaded", errors.OverloadedError, True),
        ("context_length_exceeded", errors.ContextLengthError, False),
        ("invalid_prompt", errors.ContentRefusedError, False),
        ("bio_policy", errors.ContentRefusedError, False),
        ("misalignment_policy_violation", errors.ContentRefusedError, False),
        ("image_content_policy_violation", errors.ContentRefusedError, False),
        ("data_residency_mismatch", errors.InvalidRequestError, False),
        ("invalid_image_url", errors.InvalidRequestError, False),
        ("image_too_large", errors.InvalidRequestError, False),
        ("failed_to_download_image", errors.InvalidRequestError, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_codes(code: str, kind: type[errors.ProviderError], retryable: bool) -> None:
    error = fail(failed(f'{{"code":"{code}","message":"m"}}'))
    assert (type(error), error.code, error.retryable) == (kind, code, retryable)


def test_the_type_of_the_event_is_no_code() -> None:
    assert fail('{"type":"error","code":null,"message":"m"}').code is None


def test_the_vendors_own_type_wins_over_ours() -> None:
    error = fail(failed('{"code":"invalid_image","type":"too_many_requests","message":"m"}'))
    assert type(error) is errors.RateLimitError


def test_the_wait_stands_in_the_words() -> None:
    error = fail(
        failed(
            '{"code":"rate_limit_exceeded","message":"Rate limit reached for m on tokens per min (TPM): '
            'Limit 30000, Used 22000, Requested 12000. Please try again in 1.2s."}'
        )
    )
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.dimension, error.limit, error.remaining) == (1.2, "tokens", 30000, 8000)


@pytest.mark.parametrize("field", ["status", "status_code"])
def test_a_status_inside_the_event_decides(field: str) -> None:
    error = fail(f'{{"type":"error","{field}":401,"error":{{"message":"m"}}}}')
    assert type(error) is errors.AuthenticationError


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"message":"m one","type":"server_error"}', "m one"),
        ('{"code":"x","error":"m two"}', "m two"),
        ("upstream went away", "upstream went away"),
        ('[{"error":{"message":"m three"}}]', "m three"),
    ],
    ids=["untyped", "text", "no-json", "list"],
)
def test_the_event_line_makes_it_an_error(data: str, words: str) -> None:
    error = fail(data, event="error")
    assert type(error) is errors.ServerError and words in str(error)


def test_a_failure_without_a_reason_is_the_vendors() -> None:
    assert type(fail('{"type":"response.failed"}')) is errors.ServerError
    assert type(fail('{"type":"error"}')) is errors.ServerError


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"error":{"code":"invalid_api_key","message":"m"}}', errors.AuthenticationError),
        (429, '{"error":{"code":"insufficient_quota","message":"m"}}', errors.QuotaExceededError),
        (400, '{"code":"invalid-argument","error":"Model not found: x"}', errors.NotFoundError),
        (500, "<html><title>Oops</title></html>", errors.ServerError),
        (200, '{"code":"The service is currently unavailable","error":"m"}', errors.OverloadedError),
    ],
    ids=["key", "quota", "grok-model", "html", "grok-200"],
)
def test_refusals_over_http(status: int, body: str, kind: type[errors.ProviderError]) -> None:
    error = CODEC.decode_error(status, {"x-request-id": "r"}, body, now=0.0)
    assert (type(error), error.status, error.request_id) == (kind, status, "r")
