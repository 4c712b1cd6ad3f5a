"""
Ollama's refusals, over HTTP and inside a stream, as typed errors.

An error is one sentence, `{"error": "..."}`, without a code; a few statuses say all, for the others its words decide.
An error before the first line has a status, one after it has none. Source: the server's routes and scheduler, read
2026-11; what ollama.com itself answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .._units import parse_retry_after
from ..errors import (
    AuthenticationError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    RedirectError,
    ServerError,
    UnexpectedResponseError,
)
from ._refusal import RateFacts, refusal, should_retry, status_class
from ._shared import as_map, error_text, load, one_line

__all__ = ("typed_error",)

# The first one found counts. A prompt that is too long is refused with 400, 413 or 500, as the model's runner has it.
WORDS: Final[tuple[tuple[str, type[ProviderError]], ...]] = (
    ("exceeded max context length", ContextLengthError),
    ("exceeds maximum context length", ContextLengthError),
    ("exceeds the context length", ContextLengthError),
    ("exceeds the available context size", ContextLengthError),
    ("server busy", OverloadedError),  # the queue is full: 503
    ("maximum pending requests", OverloadedError),
    ("overloaded", OverloadedError),
    ("usage limit", QuotaExceededError),  # the cloud's hourly and weekly ones
    ("too many requests", RateLimitError),
    ("too many concurrent requests", RateLimitError),
    ("rate limit", RateLimitError),
    ("unauthorized", AuthenticationError),
    ("try pulling it first", NotFoundError),
)

_CERTAIN: Final = frozenset({401, 402, 403, 404, 408})  # what these say needs no words
_MISSING: Final = re.compile(r"model ['\"]([^'\"]{1,200})['\"] not found")
_NO_HEADERS: Final[Mapping[str, str]] = {}


def typed_error(
    body: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = _NO_HEADERS,
    request_id: str | None = None,
    now: float | None = None,
    provider: str = "ollama",
) -> ProviderError:
    """
    The error that `body` tells; at status 200 one that came in place of an answer, or inside one.

    Never raises. `headers` have lower-case names, `now` is in Unix seconds. For a model that is not installed the text
    says how to get it.
    """
    words = error_text(body)
    kind = _kind(status, words, is_error=bool(as_map(load(body)).get("error")))
    if kind is NotFoundError and (missing := _MISSING.search(words)) is not None:
        words = f"{words.rstrip('.')}: `ollama pull {one_line(missing[1])}` installs it"
    retry_after = parse_retry_after(headers, now=now or 0.0) if kind.RETRYABLE and status >= 400 else None
    facts = RateFacts(now, source="headers" if retry_after is not None else "body")
    return refusal(
        kind,
        provider=provider,
        words=words,
        status=status,
        request_id=headers.get("x-request-id") or request_id,
        retry_after=retry_after,
        retryable=should_retry(headers, kind, status),
        rate=facts if issubclass(kind, RateLimitError) else None,
        headers=headers,
    )


def _kind(status: int, words: str, *, is_error: bool) -> type[ProviderError]:
    if 300 <= status < 400:
        return RedirectError
    if status in _CERTAIN:
        return status_class(status)
    if status >= 400 or is_error:
        lower = words.lower()
        by_words = next((kind for needle, kind in WORDS if needle in lower), None)
        return by_words or (status_class(status) if status >= 400 else ServerError)
    return UnexpectedResponseError
