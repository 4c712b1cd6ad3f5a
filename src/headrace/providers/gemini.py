"""Google Gemini: where generateContent is and how it wants its key. Source: the API reference, read 2026-11."""

from __future__ import annotations

from typing import ClassVar, Unpack

from .._types import AICapability
from ..limits.dialects import DIALECTS, Dialect
from ..wire._codec import Catalog, Codec, Counter, Embedder
from ..wire._gemini_beside import GeminiCatalog, GeminiCounter, GeminiEmbedder
from ..wire.gemini import GeminiCodec
from ._vendor import ApiKey, Vendor, VendorOptions, VendorProvider
from .base import CHAT_MODEL

__all__ = ("GeminiProvider",)


class GeminiProvider(VendorProvider):
    """
    Gemini, by streamGenerateContent. Key: `GOOGLE_API_KEY`, else `GEMINI_API_KEY`; base URL without a version:
    `GOOGLE_GEMINI_BASE_URL`.

    Args:
        api_version: "v1beta" knows every model and alias; "v1" is the stable set.
        api_key, options: see `VendorProvider`.
    """

    name: str = "gemini"
    model: str = "gemini-3.8-flash"
    dialect: Dialect = DIALECTS["gemini"]
    codec: Codec = GeminiCodec()
    embedder: Embedder | None = GeminiEmbedder()
    counter: Counter | None = GeminiCounter()
    catalog: Catalog | None = GeminiCatalog()
    capabilities: ClassVar[frozenset[AICapability]] = CHAT_MODEL | {
        AICapability.EMBEDDINGS,
        AICapability.IMAGE_GENERATION,
    }
    vendor: Vendor = Vendor(
        base_url="https://generativelanguage.googleapis.com",
        url_env=("GOOGLE_GEMINI_BASE_URL",),
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        hosts=("generativelanguage.googleapis.com",),
        key_header="x-goog-api-key",
        key_prefix="",
        headers={},
    )

    def __init__(
        self, api_key: ApiKey | None = None, *, api_version: str = "v1beta", **options: Unpack[VendorOptions]
    ) -> None:
        super().__init__(api_key, **options)
        self.api_version = api_version

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{self.api_version}{path}"
