"""xAI Grok: OpenAI's Chat Completions at xAI's address, with xAI's quirks. Source: docs.x.ai, read 2026-11."""

from __future__ import annotations

from ..limits.dialects import DIALECTS
from ..wire.openai import GROK, ChatCodec
from ._vendor import Vendor, VendorProvider
from .base import CHAT_MODEL

__all__ = ("GrokProvider",)


class GrokProvider(VendorProvider):
    """Grok, by Chat Completions. Key: `XAI_API_KEY`; base URL with `/v1`: `XAI_BASE_URL`."""

    name = "grok"
    model = "grok-4.6"
    dialect = DIALECTS["grok"]
    codec = ChatCodec("grok", quirks=GROK)
    capabilities = CHAT_MODEL
    vendor = Vendor(
        base_url="https://api.x.ai/v1",
        url_env=("XAI_BASE_URL",),
        key_env=("XAI_API_KEY",),
        hosts=("api.x.ai",),
        headers={},
    )
