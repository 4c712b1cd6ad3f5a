"""xAI Grok: OpenAI's two formats at xAI's address, with xAI's quirks. Source: docs.x.ai, read 2026-11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..limits.dialects import DIALECTS
from ..wire import openai as chat
from ..wire import responses
from ..wire._codec import Codec
from ._apis import Api, ChatOrResponsesProvider
from ._vendor import Vendor
from .base import CHAT_MODEL

__all__ = ("GrokProvider",)


class GrokProvider(ChatOrResponsesProvider):
    """
    Grok, by Chat Completions or the Responses API. Key: `XAI_API_KEY`; base URL with `/v1`: `XAI_BASE_URL`.

    Args:
        api: "chat" or "responses"; the vendor's own tools, such as web search, are known to the second only.
        api_key, options: see `VendorProvider`.
    """

    name = "grok"
    model = "grok-4.6"
    dialect = DIALECTS["grok"]
    codecs: ClassVar[Mapping[Api, Codec]] = {
        "chat": chat.ChatCodec("grok", quirks=chat.GROK),
        "responses": responses.ResponsesCodec("grok", quirks=responses.GROK),
    }
    capabilities = CHAT_MODEL
    vendor = Vendor(
        base_url="https://api.x.ai/v1",
        url_env=("XAI_BASE_URL",),
        key_env=("XAI_API_KEY",),
        hosts=("api.x.ai",),
        headers={},
    )
