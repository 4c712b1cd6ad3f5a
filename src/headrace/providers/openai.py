"""OpenAI: where its two formats are and how it wants its key. Source: the vendor's API reference, read 2026-11."""

from __future__ import annotations

from typing import ClassVar

from .._types import AICapability
from ..limits.dialects import DIALECTS, Dialect
from ..wire._codec import Catalog, Counter, Embedder
from ..wire._openai_beside import OpenAICatalog, OpenAIEmbedder, ResponsesCounter
from ..wire.openai import ChatCodec
from ..wire.responses import ResponsesCodec
from ._apis import ChatOrResponsesProvider
from ._vendor import Vendor
from .base import CHAT_MODEL

__all__ = ("OpenAIProvider",)


class OpenAIProvider(ChatOrResponsesProvider):
    """
    GPT models, by Chat Completions or the Responses API. Key: `OPENAI_API_KEY`; base URL with `/v1`: `OPENAI_BASE_URL`.

    Args:
        api: "chat" or "responses"; None chooses by the model: see `ChatOrResponsesProvider` for why it is "chat" where
            there is a choice, and when to say "responses".
        api_key, options: see `VendorProvider`.
    """

    name: str = "openai"
    model: str = "gpt-6.1-terra"
    dialect: Dialect = DIALECTS["openai"]
    completions: ClassVar[ChatCodec] = ChatCodec("openai")
    responses: ClassVar[ResponsesCodec] = ResponsesCodec("openai")
    embedder: Embedder | None = OpenAIEmbedder("openai")
    counter: Counter | None = ResponsesCounter("openai")
    catalog: Catalog | None = OpenAICatalog("openai")
    capabilities: ClassVar[frozenset[AICapability]] = CHAT_MODEL | {AICapability.EMBEDDINGS}
    vendor: Vendor = Vendor(
        base_url="https://api.openai.com/v1",
        url_env=("OPENAI_BASE_URL",),
        key_env=("OPENAI_API_KEY",),
        hosts=("api.openai.com",),
        headers={},
    )
