"""
Anthropic beside Messages: counting tokens, and the list of models. There are no embeddings.

Source: the API reference for /v1/messages/count_tokens and /v1/models, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from .._types import AIMessage, GenerationConfig, ModelInfo
from . import _anthropic_request
from ._beside import as_time, decoded
from ._codec import Encoded
from ._shared import as_count, as_map, as_text, dump

__all__ = ("AnthropicCatalog", "AnthropicCounter")

PROVIDER: Final = "anthropic"
PAGE: Final = 1000  # the most that a page may hold
_COUNTED: Final = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}
)


class _Count(msgspec.Struct):
    input_tokens: int


class _Page(msgspec.Struct):
    data: list[dict[str, object]]
    has_more: bool = False
    last_id: str | None = None


class AnthropicCounter:
    """See `Counter`. It counts what would be sent as Messages."""

    __slots__ = ()

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str) -> Encoded:
        """See `Counter.encode`."""
        whole = _anthropic_request.encode(messages, config, model=model, stream=False)
        fields = msgspec.json.decode(whole.body or b"{}", type=dict[str, msgspec.Raw])
        body = {name: value for name, value in fields.items() if name in _COUNTED}
        return Encoded("/v1/messages/count_tokens", dump(body, provider=PROVIDER), dropped=whole.dropped)

    def decode(self, body: bytes, *, request_id: str | None = None) -> int:
        """See `Counter.decode`."""
        return decoded(_Count, body, provider=PROVIDER, request_id=request_id).input_tokens


class AnthropicCatalog:
    """See `Catalog`. The newest first."""

    __slots__ = ()

    def encode(self, cursor: str | None) -> Encoded:
        """See `Catalog.encode`."""
        query = {"limit": PAGE} | ({} if cursor is None else {"after_id": cursor})
        return Encoded(f"/v1/models?{urlencode(query)}", method="GET")

    def decode(self, body: bytes, *, request_id: str | None = None) -> tuple[Sequence[ModelInfo], str | None]:
        """See `Catalog.decode`."""
        page = decoded(_Page, body, provider=PROVIDER, request_id=request_id)
        return [_model(row) for row in page.data], page.last_id if page.has_more else None


def _model(row: Mapping[str, object]) -> ModelInfo:
    row = as_map(row)
    return ModelInfo(
        as_text(row.get("id")) or "",
        PROVIDER,
        as_text(row.get("display_name")) or "",
        as_count(row.get("max_input_tokens")),
        as_count(row.get("max_tokens")),
        as_time(row.get("created_at")),
        row,
    )
