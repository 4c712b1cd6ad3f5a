"""
A vendor's refusal as a typed error: the class, and a text that says what happened, in whose words, and what next.

A codec finds the class in its own table of codes; here are the statuses that mean the same everywhere, and one text a
class. Knows no vendor. Status codes: RFC 9110 15; 529 is Anthropic's, and others took it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

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
from ._shared import one_line

__all__ = ("BY_STATUS", "RateFacts", "refusal", "should_retry", "status_class")

BY_STATUS: Final[Mapping[int, type[ProviderError]]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    413: RequestTooLargeError,
    429: RateLimitError,
    503: OverloadedError,
    529: OverloadedError,
}

_RETRIED: Final = frozenset({408, 409})  # refusals that the vendors' own SDKs send again

_TEXTS: Final[Mapping[type[ProviderError], tuple[str, str]]] = {
    AuthenticationError: ("the API key is not accepted", "Check the key, and that base_url is its vendor's."),
    PermissionDeniedError: ("the key may not do this", "Ask the key's owner for access, or use another model."),
    NotFoundError: ("no such model or address", "Check the model's name and base_url."),
    InvalidRequestError: ("the request is not taken", "Change the request; the same one will be refused again."),
    ContextLengthError: (
        "the input is longer than the model can hold",
        "Send fewer or shorter messages, or use a model that holds more.",
    ),
    RequestTooLargeError: ("the request is larger than is ever taken", "Send less, or smaller files."),
    ContentRefusedError: ("moderation refused the request", "Change its content; the same one will be refused again."),
    QuotaExceededError: ("a quota is used up", "Waiting a little does not help: see quota and billing at the vendor."),
    RateLimitError: ("a rate limit is reached", ""),
    OverloadedError: ("no capacity for now", ""),
    ServerError: ("the vendor failed", "The same request may be sent again."),
    RedirectError: (
        "the address answers with a redirect",
        "It is not followed, since the key and the prompt would go with it: check base_url.",
    ),
    UnexpectedResponseError: ("the answer is no event stream", "Check base_url: something else answers there."),
}


@dataclass(frozen=True, slots=True)
class RateFacts:
    """What is known of a limit that was hit. `now` (Unix seconds) turns a wait into an instant."""

    now: float | None = None
    dimension: str | None = None
    limit: float | None = None
    remaining: float | None = None
    kind: Literal["rate", "ramp", "overload"] = "rate"
    source: Literal["headers", "body"] = "headers"


def status_class(status: int) -> type[ProviderError]:
    """The class of a refusal of which nothing is known but its status."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if 300 <= status < 400:
        return RedirectError
    if 400 <= status < 500:
        return InvalidRequestError
    return ServerError if status >= 500 else UnexpectedResponseError


def should_retry(headers: Mapping[str, str], kind: type[ProviderError], status: int) -> bool:
    """Whether the same request may succeed: the vendor's `x-should-retry`, else by class and status; never a quota."""
    if kind is QuotaExceededError:
        return False
    said = headers.get("x-should-retry", "").strip().lower()
    if said in {"true", "false"}:
        return said == "true"
    return kind.RETRYABLE or status in _RETRIED


def refusal(
    kind: type[ProviderError],
    *,
    provider: str,
    words: str,
    status: int = 200,
    code: str | None = None,
    request_id: str | None = None,
    retry_after: float | None = None,
    retryable: bool | None = None,
    rate: RateFacts | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProviderError:
    """
    The error of class `kind`, saying `"{provider}: {what}: {words} (HTTP 429, code ...). {what next}"`.

    Args:
        kind: one of the classes that a vendor's answer can be.
        words: the vendor's own, from `error_text()`.
        status: 200 for an error inside an answer that had begun well.
        rate: what is known of the limit, for `RateLimitError` and `OverloadedError`.
        headers: with lower-case names; they tell a redirect's target and an unexpected answer's content type.
    """
    what, then = _TEXTS[kind]
    facts = [f"HTTP {status}"]
    if code:
        facts.append(f"code {one_line(code)[:80]}")
    if kind is UnexpectedResponseError:
        words = words[:120]  # enough to see what answered there; it may be a whole answer of a model
        facts.append(f"content-type {one_line((headers or {}).get('content-type', ''))[:80] or 'missing'}")
    elif kind is RedirectError and (host := _host((headers or {}).get("location", ""))):
        facts.append(f"to {host}")
    if issubclass(kind, RateLimitError):
        rate = rate or RateFacts()
        what = "traffic grew too fast" if rate.kind == "ramp" else what
        if rate.dimension:
            facts.append(
                f"limit {_figure(rate.limit)} {rate.dimension}" if rate.limit else f"limit of {rate.dimension}"
            )
        then = "The same request may succeed later; when is unsaid."
    if retry_after is not None:
        then = f"Come back in {_figure(retry_after)} s."
    if kind.RETRYABLE and retryable is False:
        then = "The vendor asks that the same request is not sent again."
    elif retryable and not kind.RETRYABLE:
        then = "The same request may be sent again."
    if request_id:
        facts.append(f"request {one_line(request_id)[:80]}")
    message = f"{provider}: {what}{': ' if words else ''}{words.rstrip('.')} ({', '.join(facts)}). {then}"
    if not issubclass(kind, RateLimitError):
        return kind(
            message,
            provider=provider,
            status=status,
            code=code,
            request_id=request_id,
            retry_after=retry_after,
            retryable=retryable,
        )
    assert rate is not None
    return kind(
        message,
        provider=provider,
        status=status,
        code=code,
        request_id=request_id,
        retry_after=retry_after,
        retryable=retryable,
        dimension=rate.dimension,
        limit=rate.limit,
        remaining=rate.remaining,
        retry_at=None if rate.now is None or retry_after is None else rate.now + retry_after,
        kind="overload" if kind is OverloadedError else rate.kind,
        source=rate.source,
    )


def _figure(value: float | None) -> str:
    """Up to three decimals and no exponent: 0.25, 19, 4000000."""
    return f"{value or 0:.3f}".rstrip("0").rstrip(".")


def _host(location: str) -> str:
    # The host alone: path and query of a sign-in redirect may carry what should not be in a log.
    try:
        return one_line(urlsplit(location).netloc.rpartition("@")[2])[:80]
    except ValueError:
        return ""
