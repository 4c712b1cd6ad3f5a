"""OpenAI: where Chat Completions is and how it wants its key. Source: the vendor's API reference, read 2026-11."""

from __future__ import annotations

from ..limits.dialects import DIALECTS
from ..wire.openai import ChatCodec
from ._vendor import Vendor, VendorProvider
from .base import CHAT_MODEL

__all__ = ("OpenAIProvider",)


class OpenAIProvider(VendorProvider):
    """GPT models, by Chat Completions. Key: `OPENAI_API_KEY`; base URL with `/v1`: `OPENAI_BASE_URL`."""

    name = "openai"
    model = "gpt-6.1-terra"
    dialect = DIALECTS["openai"]
    codec = ChatCodec("openai")
    capabilities = CHAT_MODEL
    vendor = Vendor(
        base_url="https://api.openai.com/v1",
        url_env=("OPENAI_BASE_URL",),
        key_env=("OPENAI_API_KEY",),
        hosts=("api.openai.com",),
        headers={},
    )
