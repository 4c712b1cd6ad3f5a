"""
OpenAI's words for what goes wrong, by status and by code, and how long to wait.

Sources: platform.openai.com/docs/guides/error-codes and /docs/guides/rate-limits, the codes of the Responses API,
read 2026-11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeAlias

from ._base import Headers, Refusal

__all__ = ("error", "go_duration", "retry_headers", "told")

Told: TypeAlias = tuple[str, str | None, str]  # type, code, message

_OVERLOADED: Final[Told] = (
    "server_error",
    "server_is_overloaded",
    "Our servers are currently overloaded. Please try again later.",
)
ERRORS: Final[Mapping[int, Told]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("billing_error", "payment_required", "Payment is required."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    405: ("invalid_request_error", "method_not_supported", "Not allowed to use this method on this address."),
    408: ("timeout", "request_timeout", "The request timed out."),
    409: ("invalid_request_error", "conflict", "The resource was changed by another request."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    422: ("invalid_request_error", "unprocessable_entity", "The request cannot be processed as it is."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: _OVERLOADED,
    504: ("server_error", "timeout", "The server did not answer in time."),
    529: _OVERLOADED,
}
_SPENT: Final = "has been reached. To keep using the API, raise the limit in your settings."
# code -> type and message, of what a status alone does not say
CODES: Final[Mapping[str, tuple[str, str]]] = {
    "insufficient_quota": (
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "billing_hard_limit_reached": ("invalid_request_error", f"The billing hard limit {_SPENT}"),
    "credit_balance_exhausted": ("insufficient_quota", "Your credit balance is used up."),
    "organization_spend_limit_exceeded": ("insufficient_quota", f"The spend limit of your organization {_SPENT}"),
    "project_spend_limit_exceeded": ("insufficient_quota", f"The spend limit of your project {_SPENT}"),
    "organization_usage_limit_exceeded": ("insufficient_quota", f"The usage limit of your organization {_SPENT}"),
    "context_length_exceeded": (
        "invalid_request_error",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
    ),
    "model_not_found": ("invalid_request_error", "The model does not exist or you do not have access to it."),
    "invalid_prompt": ("invalid_request_error", "Your prompt was flagged as potentially violating our usage policy."),
    "content_policy_violation": ("invalid_request_error", "Your request was rejected by our safety system."),
    "invalid_image_url": ("invalid_request_error", "The image could not be downloaded from its URL."),
    "rate_limit_exceeded": ("tokens", "Rate limit reached on tokens per min (TPM): Limit 30000, Used 22999."),
    "server_error": ("server_error", ERRORS[500][2]),
}
UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "requests": ("requests", "requests per min (RPM)"),
    "requests_day": ("requests", "requests per day (RPD)"),
    "tokens": ("tokens", "tokens per min (TPM)"),
}
KINDS: Final = {"overloaded": 503, "rate_limit": 429, "api": 500}


def told(kind: str) -> Told:
    """Of a kind of error that all vendors have, or of a code."""
    if kind in KINDS:
        return ERRORS[KINDS[kind]]
    type_, message = CODES.get(kind, ("invalid_request_error", "The request is not valid."))
    return type_, kind, message


def error(refusal: Refusal) -> dict[str, object]:
    """The error object of a refusal."""
    type_, code, message = ERRORS.get(refusal.status, ERRORS[500 if refusal.status >= 500 else 400])
    if refusal.code:
        usual = (type_, message)
        code = refusal.code
        type_, message = CODES.get(code, usual)
    elif refusal.status == 429 and refusal.kind == "quota":
        type_, code, message = told("insufficient_quota")
    elif refusal.status == 429:
        type_, unit = UNITS.get(refusal.dimension, UNITS["tokens"])
        wait = f" Please try again in {go_duration(refusal.wait)}." if refusal.wait is not None else ""
        message = f"Rate limit reached on {unit}: Limit {refusal.limit}.{wait}"
    elif refusal.message and refusal.status in {400, 404}:
        code = None  # what the words say has no code
    return {"message": refusal.message or message, "type": type_, "param": refusal.param, "code": code}


def retry_headers(refusal: Refusal) -> Headers:
    """`retry-after` in whole seconds, never too early, and `retry-after-ms`, where there is something to wait for."""
    if refusal.wait is None or refusal.kind == "quota":
        return ()
    exact = (("retry-after-ms", str(math.ceil(refusal.wait * 1000))),) if refusal.wait_ms else ()
    return (("retry-after", str(math.ceil(refusal.wait))), *exact)


def go_duration(seconds: float) -> str:
    """As Go's `time.Duration.String`, to the millisecond: `0s`, `6ms`, `1.58s`, `1m19.156s`, `1h0m0s`."""
    ms = max(0, round(seconds * 1000))
    if ms == 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + rest
