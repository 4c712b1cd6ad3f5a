"""
Refusals of OpenAI and of the many servers that speak its formats, over HTTP and in mid-stream, as typed errors.

One table decides, first row that fits: by status, by the vendor's code or type, by wording where there is no code. An
error may be an object, a string, a list, `{"detail": ...}`, JSON inside a JSON string, HTML, cut, or nothing.
What is a google.rpc.Status, of Gemini's endpoint for this format, is read by Gemini's table.
Knows no vendor by name. Sources, read 2026-11: OpenAI's error-code page; xAI, OpenRouter, Mistral, Moonshot, Z.ai, Groq
and llama.cpp as their servers answer; the sentences are gRPC's descriptions of its codes, which xAI sends as `code`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeGuard

from .._units import clock_ahead, lowered, parse_duration, parse_number, parse_reset_time, parse_retry_after
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
from . import _gemini_errors
from ._refusal import RateFacts, refusal, should_retry, status_class
from ._shared import as_map, as_text, error_text, load

__all__ = ("has_error", "typed_error")


class Rule(NamedTuple):
    """
    What makes an error one of `kind`: a status, a code, or, where `worded` has the status, a wording.

    None among the statuses stands for an error in mid-stream that tells no status.
    """

    kind: type[ProviderError]
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    wording: re.Pattern[str] | None = None
    worded: frozenset[int | None] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _wording(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


_REFUSED: Final = frozenset({None, 400, 413, 422, 500})  # who has no code for it says it with one of these

RULES: Final = (
    Rule(
        QuotaExceededError,
        frozenset({402}),
        _words(
            "insufficient_quota billing_hard_limit_reached credit_balance_exhausted organization_spend_limit_exceeded"
            " project_spend_limit_exceeded organization_usage_limit_exceeded"
            " exceeded_current_quota_error insufficient_balance arrearage usage_limit_reached usage_not_included"
            " 1113 1308 1309 1310 1311 1312 1313 1314 1315 1316 1317 1318 1319 1320 1321"  # Z.ai: balance and plans
        ),
        _wording(
            r"exceeded your current quota(?!.*retry in [0-9])",  # Google says this of every limit
            r"insufficient (balance|credit)",
            r"(used|out of|exhausted) .{0,20}credits",
            r"key limit exceeded",  # OpenRouter: what the key may spend
            r"\b(on [a-z ]{1,20}|limit of .{1,30}) per day\b",
            r"per[ -]day limit",
            r"-per-day\b",
            r"per 86400 ?s\b",
            r"calls ?/ ?month\b",
            r"\b(daily|weekly|monthly) .{0,20}(limit|quota|allocation)",
            r"hourly usage limit",
        ),
        frozenset({None, 400, 403, 429}),
    ),
    Rule(
        AuthenticationError,
        frozenset({401}),
        _words("invalid_api_key authentication_error invalid_authentication_error")
        | {"the request does not have valid authentication credentials"},
        _wording(r"(incorrect|invalid) api key", r"api key not valid"),  # xAI and Google: a 400
        frozenset({None, 400, 403}),
    ),
    Rule(
        ContextLengthError,
        codes=_words("context_length_exceeded exceed_context_size_error too_many_prompt_tokens 1261"),
        wording=_wording(
            r"max(imum)? (context|prompt|model) length",
            r"context length of only",
            r"exceeded model token limit",
            r"range of input length",
            r"`inputs` (tokens \+|must have less)",
            r"available context size",
            r"context (window|length) (exceeded|is)",
            r"(exceeds?|greater than|longer than) .{0,30}context (window|length)",
            r"(prompt|input) is too long",
            r"reduce the length of the messages",
        ),
        worded=_REFUSED,
    ),
    Rule(
        ContentRefusedError,
        codes=_words(
            "content_filter content_policy_violation responsibleaipolicyviolation moderation_blocked invalid_prompt"
            " moderation bio_policy misalignment_policy_violation image_content_policy_violation"
            " data_inspection_failed 1301"
        ),
        wording=_wording(r"content management policy", r"flagged as potentially", r"violates usage guidelines"),
        worded=frozenset({None, 400, 403}),
    ),
    Rule(
        InvalidRequestError,
        wording=_wording(
            r"is not supported (in|by|with|for) (this|the) model"
        ),  # the model is there, the option is not
        worded=frozenset({404}),
    ),
    Rule(
        NotFoundError,
        frozenset({404, 405, 410}),
        _words(
            "model_not_found model_not_exist model_decommissioned deploymentnotfound not_found_error invalid_model 1211"
        )
        | {"some requested entity was not found"},
        _wording(
            r"model not found",
            r"model .{0,80} does not exist",
            r"not a valid model",
            r"no such model",
            r"model .{0,80} is not supported by any provider",
        ),
        frozenset({None, 400}),
    ),
    Rule(
        RequestTooLargeError,
        frozenset({413, 431}),
        _words("request_too_large"),
        _wording(r"request too large"),  # more tokens at once than a minute's limit: waiting does not help
        frozenset({None, 429}),
    ),
    Rule(
        OverloadedError,
        frozenset({503, 529}),
        _words(
            "server_is_overloaded overloaded overloaded_error engine_overloaded_error service_unavailable nocapacity"
            " capacity_exceeded"
        )
        | {"the service is currently unavailable"},
        _wording(r"overloaded", r"over.capacity", r"capacity temporarily exceeded", r"currently unavailable"),
        frozenset({None, 429, 500}),
    ),
    Rule(
        RateLimitError,
        frozenset({429}),
        _words("rate_limit_exceeded rate_limit_error too_many_requests slow_down tokens requests")
        | {"some resource has been exhausted"},
    ),
    Rule(
        PermissionDeniedError,
        frozenset({403}),
        _words("permission_error permission_denied access_denied")
        | {"the caller does not have permission to execute the specified operation"},
    ),
    Rule(
        InvalidRequestError,
        frozenset(range(400, 500)) - {408},
        _words(
            "invalid_request_error bad_request unsupported_value invalid_value"
            # In mid-stream these have no type beside them, as the same ones have over HTTP.
            " data_residency_mismatch invalid_image invalid_image_format invalid_image_mode invalid_image_url"
            " invalid_base64_image image_too_large image_too_small image_parse_error image_file_too_large"
            " image_file_not_found unsupported_image_media_type empty_image_file failed_to_download_image"
        )
        | {"client specified an invalid argument"},
    ),
)


# ---------------------------------------------------------------- what the body says


@dataclass(frozen=True, slots=True)
class _Told:
    """An error body, as far as it could be read. `codes` in lower case; `code` is the most telling, as it was sent."""

    words: str = ""
    code: str | None = None
    codes: frozenset[str] = frozenset()
    status: int | None = None
    headers: Mapping[str, str] | None = None
    wait: float | None = None
    is_google: bool = False


def has_error(value: object) -> bool:
    """Whether a decoded body or event has the shape of an error, not that of an answer."""
    if isinstance(value, list):
        return bool(value) and has_error(value[0])
    body = as_map(value)
    if body.get("error"):
        return True
    return bool(body.get("object") == "error" or body.get("detail") or (body.get("message") and "code" in body))


def _read(body: str) -> tuple[_Told, bool]:
    """What the body tells, and whether it is an error at all."""
    text = body.lstrip()
    if text.startswith(("data:", "event:")):  # an error that is framed like an event of a stream
        text = text[max(0, text.find("{")) :]
    value = load(text)
    found = has_error(value)
    outer = as_map(value[0] if isinstance(value, list) and value else value)
    error = outer.get("error")
    error = outer.get("errors") if error is None else error  # Cloudflare's
    error = as_map(error[0] if isinstance(error, list) and error else error)
    metadata = as_map(error.get("metadata"))
    raw = metadata.get("raw")
    cause = as_map(load(raw)) if isinstance(raw, str) else {}  # a router keeps the provider's own answer
    cause = as_map(cause.get("error")) or cause
    fields = [as_text(level.get(key)) for level in (error, outer, cause) for key in ("code", "type", "__type")]
    said = [field for field in fields if field is not None and field not in _NO_CODES]
    if metadata.get("reasons") or metadata.get("flagged_input"):  # OpenRouter's 403 of this kind is not about the key
        said.append("moderation")
    names = [name for name in said if not name.isdigit()]
    waits = (level.get(key) for level in (error, outer, metadata) for key in _WAITS)
    numbers = [as_text(level.get(key)) for level in (error, outer) for key in ("status_code", "code")]
    return _Told(
        words=error_text(text),
        code=next(iter(names or said), None),
        codes=frozenset(name.lower() for name in said),
        status=next((int(number) for number in numbers if number and _STATUS.fullmatch(number)), None),
        headers=_text_map(metadata.get("headers")),
        wait=next(filter(_is_wait, waits), None),
        is_google=_gemini_errors.is_status(error),
    ), found


def _is_wait(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LONGEST


_STATUS: Final = re.compile("[45][0-9][0-9]")
_WAITS: Final = ("resets_in_seconds", "retry_after", "retry_after_seconds", "estimated_time")  # seconds, in a body
_LONGEST: Final = 10**7  # of them: some months
_NO_CODES: Final = frozenset({"about:blank", "None"})  # RFC 9457's, LiteLLM's


def _text_map(value: object) -> Mapping[str, str]:
    return lowered({name: item for name, item in as_map(value).items() if isinstance(item, str)})


# ---------------------------------------------------------------- the error

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
    told, found = _read(body)
    if told.is_google:
        return _gemini_errors.typed_error(
            provider, body, status=status, headers=headers, request_id=request_id, now=now
        )
    kind = _kind(told, status, is_error=is_error or found)
    rate, needed, retry_after = None, None, None
    if status >= 400 and (kind.RETRYABLE or kind is QuotaExceededError):
        retry_after = parse_retry_after(headers, now=now or 0.0)
    if issubclass(kind, RateLimitError | QuotaExceededError):
        rate, needed = _rate_facts(told, headers, now)
        retry_after = _wait(told, headers, rate, now or 0.0) if retry_after is None else retry_after
    error = refusal(
        kind,
        provider=provider,
        words=told.words,
        status=status,
        code=told.code,
        request_id=headers.get("x-request-id") or headers.get("request-id") or request_id,
        retry_after=retry_after,
        retryable=should_retry(headers, kind, told.status or status if status == 200 else status),
        rate=rate,
        headers=headers,
    )
    if isinstance(error, RateLimitError):
        error.needed = needed
    return error


def _kind(told: _Told, http: int, *, is_error: bool) -> type[ProviderError]:
    if 300 <= http < 400:
        return RedirectError
    if http < 300 and not is_error:
        return UnexpectedResponseError
    status = http if http >= 400 else told.status
    for rule in RULES:
        if (
            status in rule.statuses
            or told.codes & rule.codes
            or (rule.wording is not None and status in rule.worded and rule.wording.search(told.words))
        ):
            return rule.kind
    # What breaks after a good beginning, without a reason that is known here, is the vendor's failure.
    return ServerError if status is None else status_class(status)


# "Rate limit reached for m in organization o on tokens per min (TPM): Limit 10000, Used 9500, Requested 900."
_LIMIT_WORDS: Final = re.compile(r"\bon ([a-z ]{1,20}?)s? per (?:second|sec|minute|min|hour|day)\b", re.IGNORECASE)
_FIGURE_WORDS: Final = re.compile(r"\b(limit|used|requested):? ([0-9]{1,15})\b", re.IGNORECASE)
_WAIT_WORDS: Final = re.compile(
    r"(?:(?:again|retry(?: your requests?)?) (?:in|after)|wait(?: for)?)"
    r" ([0-9][0-9a-zµ.]{0,30})(?: (millisecond|second|minute|hour))?",
    re.IGNORECASE,
)
_IN_SECONDS: Final = {"": 1.0, "millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3600.0}
_RAMP_CODE: Final = "slow_down"  # traffic grew too fast, although it is within its limits


def _rate_facts(told: _Told, headers: Mapping[str, str], now: float | None) -> tuple[RateFacts, float | None]:
    """Which limit was hit, as far as the words and then the headers tell, and how much of it was asked for."""
    kind: Literal["rate", "ramp"] = "ramp" if _RAMP_CODE in told.codes else "rate"
    figures = {name.lower(): float(number) for name, number in _FIGURE_WORDS.findall(told.words)}
    named = _LIMIT_WORDS.search(told.words)
    dimension = f"{named[1].lower().replace(' ', '_')}s" if named else None
    if dimension is None:
        dimension = next((name for name in ("tokens", "requests") if name in told.codes), None)
    limit, used = figures.get("limit"), figures.get("used")
    if dimension is not None:
        remaining = max(0.0, limit - used) if limit is not None and used is not None else None
        return RateFacts(now, dimension, limit, remaining, kind, "body"), figures.get("requested")
    for name in ("requests", "tokens"):
        if parse_number(headers.get(f"x-ratelimit-remaining-{name}", "")) == 0:
            limit = parse_number(headers.get(f"x-ratelimit-limit-{name}", ""))
            return RateFacts(now, name, limit if limit and limit > 0 else None, 0.0, kind), None
    return RateFacts(now, kind=kind, source="headers" if "retry-after" in headers else "body"), None


def _wait(told: _Told, headers: Mapping[str, str], rate: RateFacts, now: float) -> float | None:
    """Seconds until the same request may succeed, where no retry-after says: by the body, else by a reset."""
    if told.wait is not None:
        return float(told.wait)
    if (said := _WAIT_WORDS.search(told.words)) is not None:
        number = said[1].rstrip(".")
        wait = parse_duration(number) if parse_number(number) is None else parse_number(number)
        if wait is not None:
            return wait * _IN_SECONDS[(said[2] or "").lower()]
    now -= clock_ahead(headers.get("date", ""), now)
    for source in (headers, told.headers or {}):
        for name in (f"x-ratelimit-reset-{rate.dimension}", "x-ratelimit-reset"):
            if (at := parse_reset_time(source.get(name), now=now)) is not None:
                return max(0.0, at - now)
    return None
