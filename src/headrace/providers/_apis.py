"""
What the two vendors have in common that speak two formats: the choice between them, by `api=`.

Knows no vendor and no format; the vendor's own file has a codec for each name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, Literal, TypeAlias, Unpack

from .. import models
from ..wire._codec import Codec
from ..wire.openai import ChatCodec
from ..wire.responses import ResponsesCodec
from ._vendor import ApiKey, VendorOptions, VendorProvider

__all__ = ("APIS", "Api", "ChatOrResponsesProvider", "chat_for")

Api: TypeAlias = Literal["chat", "responses"]
APIS: Final = ("chat", "responses")


def chat_for(codec: ChatCodec, rules: str, model: str) -> ChatCodec:
    """The format with the name that `max_tokens` has for this model, where the rules of `rules` tell one."""
    field, quirks = models.rules_for(rules, model).max_tokens_field, codec.quirks
    if field is None or field == quirks.fields.get("max_tokens", "max_completion_tokens"):
        return codec
    return replace(codec, quirks=replace(quirks, fields={**quirks.fields, "max_tokens": field}))


class ChatOrResponsesProvider(VendorProvider):
    """
    A vendor with Chat Completions and the Responses API at one base URL.

    Chat Completions is the default: it has every option of `GenerationConfig` that the vendor has at all (`seed` and
    `stop_sequences` are there alone), it is the format of all compatible servers, and no answer of it is kept by the
    vendor. The Responses API is for what only it has: reasoning in words and from turn to turn, and tools that the
    vendor runs itself. There, too, the vendor is asked to keep nothing.

    Args:
        api: "chat" or "responses"; None is "responses" for models that exist only there, by the model rules, and
            "chat" for all others.
        api_key, options: see `VendorProvider`.

    Raises:
        ValueError: an `api` that does not exist.
    """

    completions: ClassVar[ChatCodec]
    responses: ClassVar[ResponsesCodec]
    codec: Codec
    api: Api | None

    def __init__(
        self, api_key: ApiKey | None = None, *, api: Api | None = None, **options: Unpack[VendorOptions]
    ) -> None:
        super().__init__(api_key, **options)
        if api is not None and api not in APIS:
            raise ValueError(f"{self.name}: there is no api {api!r}: use {' or '.join(map(repr, APIS))}")
        self.api = api
        self.codec = self.responses if api == "responses" else self.completions  # their errors are the same

    def _codec_for(self, model: str) -> Codec:
        if self._api_for(model) == "chat":
            return chat_for(self.completions, self._rules, model)
        # One that reasons unasked shall give its reasoning back with the next turn; others refuse to be asked for it.
        reasons = models.rules_for(self._rules, model).reasoning.default is True
        return replace(self.responses, reasons=True) if reasons else self.responses

    def _api_for(self, model: str) -> Api:
        return self.api or ("responses" if models.rules_for(self._rules, model).api == "responses" else "chat")
