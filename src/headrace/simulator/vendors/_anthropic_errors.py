"""
Anthropic's words for what goes wrong, by status, by type and by error code.

Sources: docs.claude.com/en/api/errors, the SDK's error types, read 2026-11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from ._base import Headers, Refusal

__all__ = ("error", "headers", "of_kind")

# status -> (type, message)
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "x-api-key header is required"),
    402: ("billing_error", "There is a problem with your billing."),
    403: ("permission_error", "Your API key does not have permission to use this resource."),
    404: ("not_found_error", "Not found"),
    405: ("invalid_request_error", "Method Not Allowed"),
    408: ("timeout_error", "Request timed out"),
    409: ("conflict_error", "The resource was changed by another request."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    422: ("invalid_request_error", "The request cannot be processed as it is."),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "The request took too long to process."),
    529: ("overloaded_error", "Overloaded"),
}
# error.details.error_code -> (type, message); the stable word, where there is one
CODES: Final[Mapping[str, tuple[str, str]]] = {
    "ramp_limit_exceeded": ("rate_limit_error", "Your usage grew faster than your acceleration limit allows."),
    "enforced_spend_limit_reached": ("rate_limit_error", "You have reached the spend limit of your tier."),
    "contract_spend_limit_reached": ("rate_limit_error", "You have reached the spend limit of your contract."),
    "linked_organization_spend_limit_reached": ("billing_error", "The linked organization reached its spend limit."),
    "linked_organization_billing_unavailable": ("billing_error", "The linked organization's billing is unavailable."),
    "organization_on_hold": ("invalid_request_error", "Your organization is on hold."),
    "image_dimensions_too_large": ("invalid_request_error", "An image is larger than 8000 pixels on one side."),
    "request_body_timeout": ("invalid_request_error", "The request body did not come in time."),
    "thread_not_found": ("not_found_error", "The thread does not exist."),
    "file_expired": ("not_found_error", "The file has expired."),
    "cmek_unavailable": ("api_error", "The customer's encryption key cannot be reached."),
    "compaction_unavailable": ("overloaded_error", "Compaction is not available at present."),
}
# What has no code of its own is known by its words; by these names it can be asked for.
SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "workspace_limit": (
        "invalid_request_error",
        "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.",
    ),
    "context_length_exceeded": ("invalid_request_error", "prompt is too long: 203334 tokens > 200000 maximum"),
}
_KINDS: Final = {"overloaded": 529, "rate_limit": 429, "api": 500}


def of_kind(kind: str) -> dict[str, object]:
    """The error object of a kind that all vendors have, of a type, or of a code."""
    if kind in _KINDS:
        return _object(*ERRORS[_KINDS[kind]])
    by_type = dict(ERRORS.values())
    if kind in by_type:
        return _object(kind, by_type[kind])
    return _of_code(kind, ERRORS[400])


def error(refusal: Refusal) -> dict[str, object]:
    """The error object of a refusal."""
    usual = ERRORS.get(refusal.status, ERRORS[500 if refusal.status >= 500 else 400])
    if refusal.kind == "quota":
        return _of_code("enforced_spend_limit_reached", usual)
    if refusal.code:
        return _of_code(refusal.code, usual)
    return _object(usual[0], refusal.message or usual[1])


def _of_code(code: str, usual: tuple[str, str]) -> dict[str, object]:
    if code in SENTENCES:
        return _object(*SENTENCES[code])
    return {**_object(*CODES.get(code, usual)), "details": {"error_code": code}}


def _object(type_: str, message: str) -> dict[str, object]:
    return {"type": type_, "message": message}


def headers(refusal: Refusal) -> Headers:
    """Whether and when to come back. A spend limit tells no time: it ends with the month."""
    again = refusal.status in {408, 409, 429} or refusal.status >= 500
    if refusal.kind == "quota" or refusal.code.endswith("spend_limit_reached"):
        return (("x-should-retry", "false"),)
    told: Headers = (("x-should-retry", "true" if again else "false"),)
    if refusal.wait is not None:
        told += (("retry-after", str(math.ceil(refusal.wait))),)
        if refusal.wait_ms:
            told += (("retry-after-ms", str(math.ceil(refusal.wait * 1000))),)
    return told
