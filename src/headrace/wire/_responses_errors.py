"""
An error in a stream of the Responses API, in any of its shapes, as a typed error.

The event holds it (`error`, `response.failed`) or is itself the error, with its fields beside the event's. The classes
are those of the same error over HTTP. Source: OpenAI's API reference and SDK types, 2026-11; the servers' own answers.
"""

from __future__ import annotations

from ..errors import ProviderError
from ._openai_errors import typed_error
from ._shared import as_map, dump

__all__ = ("event_error",)


def event_error(provider: str, value: object, data: str, *, request_id: str | None) -> ProviderError:
    """
    The error of an event.

    Args:
        value: the decoded event, or a mapping whose "error" is what the vendor told.
        data: the event as it came, for what is no JSON object.
    """
    told = {key: item for key, item in as_map(value).items() if (key, item) != ("type", "error")}
    if told:
        status = told.get("status_code") or told.get("status")
        told = {**told, "error": told.get("error") or told, "status_code": status}
        data = dump(told, provider=provider).decode()
    return typed_error(provider, data, request_id=request_id, is_error=True)
