"""
Gemini's refusals, over HTTP and inside a stream, as typed errors.

The body is a google.rpc.Status: `error.status` names a canonical code, `error.details` carry ErrorInfo (a reason),
QuotaFailure (which quota) and RetryInfo (how long to wait). The class is looked up by reason, then by status word, then
by HTTP status; a quota that a day or a plan gives is told apart from a rate by its id and its value. Google's other
endpoints answer in this form, too.
Source: google/rpc/error_details.proto, the vendor's SDK, recorded refusals, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .._units import parse_duration, parse_number, parse_retry_after
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
from ._shared import as_count, as_map, as_text, error_text, load

__all__ = ("is_status", "typed_error")

# By ErrorInfo.reason.
REASONS: Final[Mapping[str, type[ProviderError]]] = {
    "API_KEY_INVALID": AuthenticationError,  # a 400
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "CREDENTIALS_MISSING": AuthenticationError,
    "BILLING_DISABLED": QuotaExceededError,
}

# By error.status: all of google.rpc.Code.
STATUSES: Final[Mapping[str, type[ProviderError]]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "FAILED_PRECONDITION": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "ALREADY_EXISTS": InvalidRequestError,
    "UNIMPLEMENTED": InvalidRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "UNAVAILABLE": OverloadedError,
    "INTERNAL": ServerError,
    "UNKNOWN": ServerError,
    "DATA_LOSS": ServerError,
    "DEADLINE_EXCEEDED": ServerError,
    "CANCELLED": ServerError,
    "ABORTED": ServerError,
}

# What a class means more exactly when the words say so.
WORDS: Final[tuple[tuple[type[ProviderError], str, type[ProviderError]], ...]] = (
    (InvalidRequestError, "input token count", ContextLengthError),
    (InvalidRequestError, "number of tokens allowed", ContextLengthError),
    (InvalidRequestError, "request payload size exceeds", RequestTooLargeError),
    (InvalidRequestError, "api key not", AuthenticationError),  # "not valid", "not found": without an ErrorInfo
    (InvalidRequestError, "api key expired", AuthenticationError),
    (InvalidRequestError, "location is not supported", PermissionDeniedError),
    (InvalidRequestError, "free tier is not available", PermissionDeniedError),
    (InvalidRequestError, "blocked by safety", ContentRefusedError),
    (PermissionDeniedError, "unregistered callers", AuthenticationError),  # no key at all
    (PermissionDeniedError, "reported as leaked", AuthenticationError),
    (RateLimitError, "limit: 0,", QuotaExceededError),  # the plan gives none of this model
    (RateLimitError, "limit: 0 ", QuotaExceededError),  # before a new line, or at the end
    (RateLimitError, "per day", QuotaExceededError),
    (RateLimitError, "credits are depleted", QuotaExceededError),
    (RateLimitError, "spending cap", QuotaExceededError),
    (RateLimitError, "spend cap", QuotaExceededError),
)

_DIMENSIONS: Final = (("inputtoken", "input_tokens"), ("token", "tokens"), ("request", "requests"))
_NO_HEADERS: Final[Mapping[str, str]] = {}
_REQUEST_IDS: Final = ("x-request-id", "request-id", "x-goog-request-id")  # gateways'; the vendor sends none


def is_status(error: Mapping[str, object]) -> bool:
    """Whether this `error` is a google.rpc.Status: it has a canonical code beside its number."""
    return as_text(error.get("status")) in STATUSES and isinstance(error.get("code"), int)


def typed_error(
    provider: str,
    body: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = _NO_HEADERS,
    request_id: str | None = None,
    now: float | None = None,
) -> ProviderError:
    """
    The error that `body` tells, or `status` where it tells none. Never raises.

    `headers` have lower-case names, `now` is in Unix seconds.
    """
    answer = load(body)
    if isinstance(answer, list):  # the OpenAI-compatible endpoint, and streams without alt=sse
        answer = next((item for item in answer if as_map(item).get("error")), None)
    told = as_map(answer).get("error")
    error = as_map(told)
    details = error.get("details")
    details = [as_map(item) for item in details] if isinstance(details, list) else []
    info = _detail(details, "ErrorInfo")
    reason = as_text(info.get("reason"))
    words = error_text(body)
    violations = _violations(details, as_map(info.get("metadata")))
    kind = _kind(status, error, reason, words, violations, is_error=bool(told))
    by_header = parse_retry_after(headers, now=now or 0.0) if kind.RETRYABLE and status >= 400 else None
    rate, retry_after = None, by_header
    if issubclass(kind, RateLimitError):
        if by_header is None:
            retry_after = parse_duration(as_text(_detail(details, "RetryInfo").get("retryDelay")) or "")
        dimension, limit = _dimension(violations)
        rate = RateFacts(now, dimension, limit, source="body" if by_header is None and told else "headers")
    return refusal(
        kind,
        provider=provider,
        words=words,
        status=status,
        code=reason or as_text(error.get("status")) or as_text(error.get("code")),
        request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), request_id),
        retry_after=retry_after,
        retryable=should_retry(headers, kind, status),
        rate=rate,
        headers=headers,
    )


def _kind(
    status: int,
    error: Mapping[str, object],
    reason: str | None,
    words: str,
    violations: Sequence[Mapping[str, object]],
    *,
    is_error: bool,
) -> type[ProviderError]:
    if 300 <= status < 400:
        return RedirectError
    if status < 400 and not is_error:
        return UnexpectedResponseError
    kind = REASONS.get(reason or "") or STATUSES.get(as_text(error.get("status")) or "")
    if kind is InvalidRequestError and 400 < status < 500:
        kind = status_class(status)  # gateways give this word with statuses that say more
    elif kind is None:
        # In a stream the status is 200, and the error's own number says what it would have been.
        number = status if status >= 400 else as_count(error.get("code")) or 500
        kind = status_class(number) if number >= 400 else ServerError
    lower = f"{words.lower()} "
    kind = next((exact for base, needle, exact in WORDS if kind is base and needle in lower), kind)
    # A daily quota comes with a RetryInfo too, often a short and meaningless one.
    if kind is RateLimitError and any(
        "PerDay" in str(item.get("quotaId")) or parse_number(str(item.get("quotaValue"))) == 0 for item in violations
    ):
        return QuotaExceededError
    return kind


def _detail(details: Sequence[Mapping[str, object]], name: str) -> Mapping[str, object]:
    """The first detail of this type: its `@type` is a URL that ends with the name."""
    return next((item for item in details if str(item.get("@type")).endswith(f".{name}")), {})


def _violations(details: Sequence[Mapping[str, object]], metadata: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The quotas that were hit, as QuotaFailure names them, or else the one that ErrorInfo's metadata name."""
    found = _detail(details, "QuotaFailure").get("violations")
    if isinstance(found, list):
        return [as_map(item) for item in found]
    if "quota_limit" not in metadata:
        return []
    names = (("quotaId", "quota_limit"), ("quotaMetric", "quota_metric"), ("quotaValue", "quota_limit_value"))
    return [{name: metadata.get(key) for name, key in names}]


def _dimension(violations: Sequence[Mapping[str, object]]) -> tuple[str | None, float | None]:
    for item in violations:
        told = f"{item.get('quotaId')} {item.get('quotaMetric')}".lower().replace("_", "")
        for needle, dimension in _DIMENSIONS:
            if needle in told:
                return dimension, parse_number(str(item.get("quotaValue")))
    return None, None
