"""
An error in a stream of the Responses API, in any of its shapes, as a typed error.

The event holds it (`error`, `response.failed`) or is itself the error, with its fields beside the event's. The classes
are those of the same error over HTTP. Source: OpenAI's API reference and SDK types, 2026-11; the servers' own answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import ProviderError
from ._openai_errors import typed_error
from ._shared import as_map, as_text, dump

__all__ = ("event_error",)

# An error in mid-stream has no type beside its code, as the same one has over HTTP.
_REQUEST, _CONTENT = "invalid_request_error", "content_policy_violation"
_ERROR_TYPES: Final[Mapping[str, str]] = {
    "bio_policy": _CONTENT,
    "misalignment_policy_violation": _CONTENT,
    "image_content_policy_violation": _CONTENT,
    "data_residency_mismatch": _REQUEST,
    "invalid_image": _REQUEST,
    "invalid_image_format": _REQUEST,
    "invalid_image_mode": _REQUEST,
    "invalid_image_url": _REQUEST,
    "invalid_base64_image": _REQUEST,
    "image_too_large": _REQUEST,
    "image_too_small": _REQUEST,
    "image_parse_error": _REQUEST,
    "image_file_too_large": _REQUEST,
    "image_file_not_found": _REQUEST,
    "unsupported_image_media_type": _REQUEST,
    "empty_image_file": _REQUEST,
    "failed_to_download_image": _REQUEST,
}


def event_error(provider: str, value: object, data: str, *, request_id: str | None) -> ProviderError:
    """
    The error of an event.

    Args:
        value: the decoded event, or a mapping whose "error" is what the vendor told.
        data: the event as it came, for what is no JSON object.
    """
    told = {key: item for key, item in as_map(value).items() if (key, item) != ("type", "error")}
    if told:
        error = told.get("error") or told
        inner = as_map(error)
        if not inner.get("type") and (kind := _ERROR_TYPES.get(as_text(inner.get("code")) or "")):
            error = {**inner, "type": kind}
        status = told.get("status_code") or told.get("status")
        data = dump({**told, "error": error, "status_code": status}, provider=provider).decode()
    return typed_error(provider, data, request_id=request_id, is_error=True)
