"""One sentence and a status in, one typed error out."""

from __future__ import annotations

import pytest

from headrace.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    RedirectError,
    RequestTooLargeError,
    ServerError,
    UnexpectedResponseError,
)
from headrace.wire.ollama import OllamaCodec

CODEC = OllamaCodec()
NOW = 1_790_000_000.0

ROWS: list[tuple[int, str, type[ProviderError]]] = [
    (400, '{"error":"model is required"}', InvalidRequestError),
    (400, '{"error":"\\"llama3.2\\" does not support tools"}', InvalidRequestError),
    (400, '{"error":"the input length exceeds the context length"}', ContextLengthError),
    (413, '{"error":"the input length exceeds the context length"}', ContextLengthError),
    (500, '{"error":"the input length exceeds the context length"}', ContextLengthError),
    (
        400,
        '{"StatusCode":400,"Status":"400 Bad Request",'
        '"error":"prompt too long; exceeded max context length by 4 tokens"}',
        ContextLengthError,
    ),
    (
        400,
        '{"error":{"code":400,"message":"request (13392 tokens) exceeds the available context size (8192 tokens)"}}',
        ContextLengthError,
    ),
    (401, '{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=x&key=y"}', AuthenticationError),
    (402, '{"error":"payment required"}', QuotaExceededError),
    (403, '{"error":"this model requires a subscription, upgrade for access"}', PermissionDeniedError),
    (404, "404 page not found", NotFoundError),
    (408, "", ServerError),
    (413, '{"error":"http: request body too large"}', RequestTooLargeError),
    (429, '{"error":"too many concurrent requests"}', RateLimitError),
    (429, "", RateLimitError),
    (429, '{"error":"you have reached your weekly usage limit, please upgrade"}', QuotaExceededError),
    (500, '{"error":"model runner has unexpectedly stopped"}', ServerError),
    (502, '{"error":"Post \\"https://ollama.com:443/api/chat\\": dial tcp: no such host"}', ServerError),
    (503, '{"error":"server busy, please try again.  maximum pending requests exceeded"}', OverloadedError),
    (503, "<html><title>Bad gateway</title></html>", OverloadedError),
    (307, "", RedirectError),
    (200, "<html><title>Sign in</title></html>", UnexpectedResponseError),
    (200, '{"error":"server busy"}', OverloadedError),
    (200, '{"error":"unauthorized"}', AuthenticationError),
    (200, '{"error":"model \'x\' not found, try pulling it first"}', NotFoundError),
]


@pytest.mark.parametrize(("status", "body", "kind"), ROWS)
def test_a_refusal_is_typed_by_its_status_and_words(status: int, body: str, kind: type[ProviderError]) -> None:
    error = CODEC.decode_error(status, {}, body, now=NOW)
    assert type(error) is kind
    assert (error.provider, error.status, error.code, error.request_id) == ("ollama", status, None, None)
    assert str(error).startswith("ollama: ")


@pytest.mark.parametrize("quote", ['\\"', "'"])
@pytest.mark.parametrize("rest", [" not found, try pulling it first", " not found"])
def test_a_model_that_is_not_installed_is_told_with_the_command_that_installs_it(quote: str, rest: str) -> None:
    error = CODEC.decode_error(404, {}, f'{{"error":"model {quote}qwen3:8b{quote}{rest}"}}', now=NOW)
    assert type(error) is NotFoundError
    assert "`ollama pull qwen3:8b` installs it" in str(error)


def test_what_a_proxy_tells_is_read() -> None:
    error = CODEC.decode_error(429, {"retry-after": "7", "x-request-id": "r9"}, '{"error":"rate limit"}', now=NOW)
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.retry_at, error.request_id, error.source) == (7.0, NOW + 7, "r9", "headers")


def test_a_full_queue_is_overload_and_may_be_tried_again() -> None:
    error = CODEC.decode_error(503, {}, '{"error":"server busy, please try again."}', now=NOW)
    assert isinstance(error, OverloadedError)
    assert (error.kind, error.retryable, error.retry_after, error.source) == ("overload", True, None, "body")


def test_an_error_is_one_bounded_line_without_the_sign_in_address() -> None:
    error = CODEC.decode_error(401, {}, ROWS[7][1], now=NOW)
    assert "ollama.com/connect" not in str(error)
    long = CODEC.decode_error(500, {}, '{"error":"' + "x\\n" * 5000 + '"}', now=NOW)
    assert len(str(long)) < 700
    assert "\n" not in str(long)
