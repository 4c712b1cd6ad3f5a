"""OpenAI: where its two formats are and how it wants its key. Source: the vendor's API reference, read 2026-11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..limits.dialects import DIALECTS
from ..wire._codec import Codec
from ..wire.openai import ChatCodec
from ..wire.responses import ResponsesCodec
from ._apis import Api, ChatOrResponsesProvider
from ._vendor import Vendor
from .base import CHAT_MODEL

__all__ = ("OpenAIProvider",)


class OpenAIProvider(ChatOrResponsesProvider):
    """
    GPT models, by Chat Completions or the Responses API. Key: `OPENAI_API_KEY`; base URL with `/v1`: `OPENAI_BASE_URL`.

    Args:
        api: "chat" or "responses". The vendor keeps no answer of either, unless `GenerationConfig.extra` asks for it.
        api_key, options: see `VendorProvider`.
    """

    name = "openai"
    model = "gpt-6.1-terra"
    dialect = DIALECTS["openai"]
    codecs: ClassVar[Mapping[Api, Codec]] = {"chat": ChatCodec("openai"), "responses": ResponsesCodec("openai")}
    capabilities = CHAT_MODEL
    vendor = Vendor(
        base_url="https://api.openai.com/v1",
        url_env=("OPENAI_BASE_URL",),
        key_env=("OPENAI_API_KEY",),
        hosts=("api.openai.com",),
        headers={},
    )
