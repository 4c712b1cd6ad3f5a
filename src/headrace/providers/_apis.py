"""
What the two vendors have in common that speak two formats: the choice between them, by `api=`.

Knows no vendor and no format; the vendor's own file has a codec for each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias, Unpack

from ..wire._codec import Codec
from ._vendor import ApiKey, VendorOptions, VendorProvider

__all__ = ("Api", "ChatOrResponsesProvider")

Api: TypeAlias = Literal["chat", "responses"]


class ChatOrResponsesProvider(VendorProvider):
    """
    A vendor with Chat Completions and the Responses API at one base URL.

    Args:
        api: "chat" or "responses".
        api_key, options: see `VendorProvider`.

    Raises:
        ValueError: an `api` that does not exist.
    """

    codecs: ClassVar[Mapping[Api, Codec]]

    def __init__(self, api_key: ApiKey | None = None, *, api: Api = "chat", **options: Unpack[VendorOptions]) -> None:
        super().__init__(api_key, **options)
        if api not in self.codecs:
            raise ValueError(f"{self.name}: there is no api {api!r}: use {' or '.join(map(repr, self.codecs))}")
        self.codec = self.codecs[api]
