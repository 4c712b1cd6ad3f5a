"""OpenAI: where its two formats are and how it wants its key. Source: the vendor's API reference, read 2026-11."""

from __future__ import annotations

from .._types import AICapability
from ..limits.dialects import DIALECTS
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

    name = "openai"
    model = "gpt-6.1-terra"
    dialect = DIALECTS["openai"]
    completions, responses = ChatCodec("openai"), ResponsesCodec("openai")
    embedder = OpenAIEmbedder("openai")
    counter = ResponsesCounter("openai")
    catalog = OpenAICatalog("openai")
    capabilities = CHAT_MODEL | {AICapability.EMBEDDINGS}
    vendor = Vendor(
        base_url="https://api.openai.com/v1",
        url_env=("OPENAI_BASE_URL",),
        key_env=("OPENAI_API_KEY",),
        hosts=("api.openai.com",),
        headers={},
    )
