"""Anthropic: where the Messages API is and how it wants its key. Source: the vendor's API reference, read 2026-11."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from .. import models
from .._types import AICapability
from ..limits.dialects import DIALECTS, Dialect
from ..wire._anthropic_beside import AnthropicCatalog, AnthropicCounter
from ..wire._codec import Catalog, Codec, Counter
from ..wire.anthropic import AnthropicCodec
from ._vendor import Vendor, VendorProvider
from .base import CHAT_MODEL

__all__ = ("AnthropicProvider",)


class AnthropicProvider(VendorProvider):
    """Claude, by the Messages API. Key: `ANTHROPIC_API_KEY`; base URL without a version: `ANTHROPIC_BASE_URL`."""

    name: str = "anthropic"
    model: str = "claude-sonnet-5-5"
    dialect: Dialect = DIALECTS["anthropic"]
    codec: Codec = AnthropicCodec()
    counter: Counter | None = AnthropicCounter()
    catalog: Catalog | None = AnthropicCatalog()
    capabilities: ClassVar[frozenset[AICapability]] = CHAT_MODEL
    vendor: Vendor = Vendor(
        base_url="https://api.anthropic.com",
        url_env=("ANTHROPIC_BASE_URL",),
        key_env=("ANTHROPIC_API_KEY",),
        hosts=("api.anthropic.com",),
        key_header="x-api-key",
        key_prefix="",
        headers={
            "anthropic-version": "2023-06-01"
        },  # the Messages stream is the same under 2026-10-21; gateways know this
    )

    def _codec_for(self, model: str) -> Codec:
        most = models.rules_for(self._rules, model).output_tokens
        return replace(self.codec, most=most) if isinstance(self.codec, AnthropicCodec) else self.codec
