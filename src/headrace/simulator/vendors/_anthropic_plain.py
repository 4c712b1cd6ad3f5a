"""
What Anthropic answers beside conversations: the count of a prompt's tokens, and the models, page by page.

Sources: docs.claude.com/en/api/messages-count-tokens and /en/api/models-list, read 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ._anthropic_checks import complaint
from ._base import Refusal, Request, count_prompt

__all__ = ("count", "date", "model", "page")

MODELS: Final = (
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
)
MOST: Final = 1000  # of one page


def count(request: Request) -> object:
    """`POST /v1/messages/count_tokens`."""
    found = complaint(request, counting=True)
    return Refusal(400, message=found) if found is not None else {"input_tokens": count_prompt(request.body)}


def page(request: Request) -> object:
    """`GET /v1/models`: `limit` of them, from behind `after_id` or from before `before_id`."""
    told = request.query.get("limit", "20")
    if not told.isdigit() or not 1 <= int(told) <= MOST:
        return Refusal(400, message=f"limit: Input should be between 1 and {MOST}")
    limit, names = int(told), list(MODELS)
    after, before = request.query.get("after_id"), request.query.get("before_id")
    for name in (after, before):
        if name is not None and name not in names:
            return Refusal(400, message=f"{name}: there is no such model to count from")
    if before is not None:
        names = names[: names.index(before)]
        chosen, more = names[-limit:], len(names) > limit
    else:
        names = names[names.index(after) + 1 :] if after is not None else names
        chosen, more = names[:limit], len(names) > limit
    return {
        "data": [model(name) for name in chosen],
        "has_more": more,
        "first_id": chosen[0] if chosen else None,
        "last_id": chosen[-1] if chosen else None,
    }


def model(name: str) -> dict[str, object]:
    """`GET /v1/models/{id}`."""
    small = name.startswith("claude-haiku-4")
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": date(1_790_000_000),
        "lifecycle": "active",
        "max_input_tokens": 200_000 if small else 1_000_000,
        "max_tokens": 64_000 if small else 128_000,
    }


def date(at: float) -> str:
    """RFC 3339, as the vendor writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
