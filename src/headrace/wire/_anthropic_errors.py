"""
Anthropic's refusals, over HTTP and inside a stream, as typed errors.

The class is looked up by the stable code (`error.details.error_code`), then by `error.type`, then by the status. The
words decide only what a catch-all means: an `invalid_request_error`, or a `rate_limit_error` that no waiting cures. A
503 is a lack of capacity, but for the vendor's own: those are about the customer's encryption keys. Source: the
vendor's errors page and SDK types, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from .._units import parse_number, parse_retry_after
from ..errors import (
    AuthenticationError,
    ContentRefusedError,
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
from ._refusal import RateFacts, refusal, should_retry, status_class
from ._shared import as_map, as_text, error_text, load

__all__ = ("typed_error",)

CLASSES: Final[Mapping[str, type[ProviderError]]] = {
    # error.details.error_code
    "enforced_spend_limit_reached": QuotaExceededError,  # 429 without retry-after: blocked until the next month
    "contract_spend_limit_reached": QuotaExceededError,
    "linked_organization_spend_limit_reached": QuotaExceededError,
    "linked_organization_billing_unavailable": QuotaExceededError,
    "ramp_limit_exceeded": RateLimitError,
    "organization_on_hold": PermissionDeniedError,
    "compaction_unavailable": OverloadedError,
    "request_body_too_large_after_decoding": RequestTooLargeError,
    # error.type
    "invalid_request_error": InvalidRequestError,
    "authentication_error": AuthenticationError,
    "billing_error": QuotaExceededError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "conflict_error": InvalidRequestError,
    "request_too_large": RequestTooLargeError,
    "rate_limit_error": RateLimitError,
    "api_error": ServerError,
    "timeout_error": ServerError,
    "overloaded_error": OverloadedError,
}

# What a class means more exactly when the words say so, and there is no code of its own.
WORDS: Final[tuple[tuple[type[ProviderError], str, type[ProviderError]], ...]] = (
    (InvalidRequestError, "prompt is too long", ContextLengthError),
    (InvalidRequestError, "input is too long", ContextLengthError),  # the same on Bedrock
    (InvalidRequestError, "exceed context limit", ContextLengthError),
    (InvalidRequestError, "you have reached your specified", QuotaExceededError),  # one's own spend limit is a 400
    (InvalidRequestError, "credit balance is too low", QuotaExceededError),
    (InvalidRequestError, "content filtering policy", ContentRefusedError),
    (InvalidRequestError, "invalid x-api-key", AuthenticationError),
    (RateLimitError, " per day", QuotaExceededError),
    (RateLimitError, "daily rate limit", QuotaExceededError),
)

_DIMENSIONS: Final = ("requests", "input-tokens", "output-tokens", "tokens")
_LIMIT: Final = re.compile(r"([0-9][0-9,]{0,15}) (requests|input tokens|output tokens|tokens) per ", re.IGNORECASE)
_NO_HEADERS: Final[Mapping[str, str]] = {}


def typed_error(
    provider: str,
    body: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = _NO_HEADERS,
    request_id: str | None = None,
    now: float | None = None,
    is_error: bool = False,
) -> ProviderError:
    """
    The error that `body` tells; `is_error` where an answer of status 200 is known to be one, whatever it looks like.

    Never raises. `headers` have lower-case names, `now` is in Unix seconds.
    """
    answer = as_map(load(body))
    error = as_map(answer.get("error", answer if is_error else None))  # some gateways leave the wrapping out
    code = as_text(as_map(error.get("details")).get("error_code")) or as_text(error.get("type"))
    words = error_text(body)
    kind = _kind(status, error, words, is_error=is_error or bool(answer.get("error")))
    rate = _rate_facts(headers, words, code, now) if issubclass(kind, RateLimitError) else None
    retry_after = parse_retry_after(headers, now=now or 0.0) if kind.RETRYABLE and status >= 400 else None
    return refusal(
        kind,
        provider=provider,
        words=words,
        status=status,
        code=code,
        request_id=headers.get("request-id") or as_text(answer.get("request_id")) or request_id,
        retry_after=retry_after,
        retryable=should_retry(headers, kind, 409 if code == "conflict_error" else status),
        rate=rate,
        headers=headers,
    )


def _kind(status: int, error: Mapping[str, object], words: str, *, is_error: bool) -> type[ProviderError]:
    if 300 <= status < 400:
        return RedirectError
    code, word = as_text(as_map(error.get("details")).get("error_code")), as_text(error.get("type"))
    kind = CLASSES.get(code or "") or CLASSES.get(word or "")
    if kind is None:
        kind = status_class(status) if status >= 400 else ServerError if is_error else UnexpectedResponseError
    lower = words.lower()
    if kind is ServerError and status == 503 and code is None and "encryption key" not in lower:
        return OverloadedError
    exact = next((exact for base, needle, exact in WORDS if kind is base and needle in lower), kind)
    # Gateways give this type with statuses that say more.
    return status_class(status) if exact is InvalidRequestError and status > 400 else exact


def _rate_facts(headers: Mapping[str, str], words: str, code: str | None, now: float | None) -> RateFacts:
    is_ramp = code == "ramp_limit_exceeded" or "acceleration limit" in words.lower()
    facts = RateFacts(now, kind="ramp" if is_ramp else "rate", source="headers" if headers else "body")
    for name in _DIMENSIONS:
        if parse_number(headers.get(f"anthropic-ratelimit-{name}-remaining", "")) == 0:
            limit = parse_number(headers.get(f"anthropic-ratelimit-{name}-limit", ""))
            return replace(facts, dimension=name.replace("-", "_"), limit=limit, remaining=0.0)
    if (said := _LIMIT.search(words)) is not None:
        dimension, limit = said[2].lower().replace(" ", "_"), float(said[1].replace(",", ""))
        return replace(facts, dimension=dimension, limit=limit)
    return facts
