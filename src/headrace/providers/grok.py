"""xAI Grok: OpenAI's two formats at xAI's address, with xAI's quirks. Source: docs.x.ai, read 2026-11."""

from __future__ import annotations

from typing import ClassVar

from .._types import AICapability
from ..limits.dialects import DIALECTS, Dialect
from ..wire import openai as wire_openai
from ..wire import responses as wire_responses
from ..wire._codec import Catalog, Embedder
from ..wire._openai_beside import OpenAICatalog, OpenAIEmbedder
from ._apis import ChatOrResponsesProvider
from ._vendor import Vendor
from .base import CHAT_MODEL

__all__ = ("GrokProvider",)


class GrokProvider(ChatOrResponsesProvider):
    """
    Grok, by Chat Completions or the Responses API. Key: `XAI_API_KEY`; base URL with `/v1`: `XAI_BASE_URL`.

    Args:
        api: "chat" or "responses"; the vendor's own tools, such as web search, are known to the second only. None
            chooses by the model: see `ChatOrResponsesProvider`.
        api_key, options: see `VendorProvider`.
    """

    name: str = "grok"
    model: str = "grok-4.6"
    dialect: Dialect = DIALECTS["grok"]
    completions: ClassVar[wire_openai.ChatCodec] = wire_openai.ChatCodec("grok", wire_openai.GROK)
    responses: ClassVar[wire_responses.ResponsesCodec] = wire_responses.ResponsesCodec("grok", wire_responses.GROK)
    embedder: Embedder | None = OpenAIEmbedder("grok")
    catalog: Catalog | None = OpenAICatalog("grok")
    capabilities: ClassVar[frozenset[AICapability]] = CHAT_MODEL | {AICapability.EMBEDDINGS}
    vendor: Vendor = Vendor(
        base_url="https://api.x.ai/v1",
        url_env=("XAI_BASE_URL",),
        key_env=("XAI_API_KEY",),
        hosts=("api.x.ai",),
        headers={},
    )
