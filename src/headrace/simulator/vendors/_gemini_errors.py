"""
Google's words for what goes wrong, by status and by reason, and the details that tell limits and waits.

Sources: google.rpc.Code and error_details, ai.google.dev/gemini-api/docs/troubleshooting, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ._base import Refusal

__all__ = ("error", "of_kind")

# status -> (google.rpc status, message)
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request is missing required authentication credential."),
    402: ("FAILED_PRECONDITION", "Billing is not enabled."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    405: ("UNIMPLEMENTED", "Method not allowed."),
    408: ("CANCELLED", "The request timed out."),
    409: ("ABORTED", "The operation was aborted."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit."),
    422: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
    529: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}
# ErrorInfo.reason -> (status, message)
REASONS: Final[Mapping[str, tuple[int, str]]] = {
    "API_KEY_INVALID": (400, "API key not valid. Please pass a valid API key."),
    "SERVICE_DISABLED": (403, "Generative Language API has not been used in this project before or it is disabled."),
    "RATE_LIMIT_EXCEEDED": (429, "Quota exceeded for quota metric 'Generate Content API requests per minute'."),
    "BILLING_DISABLED": (403, "This API method requires billing to be enabled."),
}
# What has no reason of its own is known by its words; by these names it can be asked for.
SENTENCES: Final[Mapping[str, tuple[int, str, str]]] = {
    "context_length_exceeded": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "location": (400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
}
# dimension -> what its metric and its quota are called
QUOTAS: Final[Mapping[str, tuple[str, str]]] = {
    "requests": ("requests", "GenerateRequestsPerMinutePerProjectPerModel"),
    "requests_day": ("requests", "GenerateRequestsPerDayPerProjectPerModel"),
    "tokens": ("input_token_count", "GenerateContentInputTokensPerModelPerMinute"),
}
_KINDS: Final = {"overloaded": 503, "rate_limit": 429, "api": 500}
_RPC: Final = "type.googleapis.com/google.rpc."


def of_kind(kind: str) -> dict[str, object]:
    """The error object of a kind that all vendors have, or of a reason."""
    if kind in _KINDS:
        return _object(_KINDS[kind], *ERRORS[_KINDS[kind]])
    return _of_reason(kind, 400)


def error(refusal: Refusal) -> dict[str, object]:
    """The error object of a refusal."""
    if refusal.code:
        return _of_reason(refusal.code, refusal.status)
    status, message = ERRORS.get(refusal.status, ERRORS[500 if refusal.status >= 500 else 400])
    code = 503 if refusal.status == 529 else refusal.status
    told = _object(code, status, refusal.message or message)
    return {**told, "details": _quota(refusal)} if refusal.status == 429 else told


def _object(code: int, status: str, message: str) -> dict[str, object]:
    return {"code": code, "message": message, "status": status}


def _of_reason(reason: str, code: int) -> dict[str, object]:
    if reason in SENTENCES:
        return _object(*SENTENCES[reason])
    usual, message = REASONS.get(reason, (code, ERRORS.get(code, ERRORS[400])[1]))
    info = {
        "@type": _RPC + "ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return {**_object(usual, ERRORS.get(usual, ERRORS[400])[0], message), "details": [info]}


def _quota(refusal: Refusal) -> list[object]:
    """QuotaFailure names the limit; RetryInfo the wait, which a daily quota carries too."""
    dimension = "requests_day" if refusal.kind == "quota" else refusal.dimension
    metric, quota = QUOTAS.get(dimension, QUOTAS["tokens"])
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/generate_content_free_tier_{metric}",
        "quotaId": f"{quota}-FreeTier",
        "quotaValue": str(refusal.limit),
    }
    details: list[object] = [{"@type": _RPC + "QuotaFailure", "violations": [violation]}]
    if refusal.wait is not None:
        details.append({"@type": _RPC + "RetryInfo", "retryDelay": f"{refusal.wait:.9f}".rstrip("0").rstrip(".") + "s"})
    return details
