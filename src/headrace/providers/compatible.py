"""
Any server that speaks one of OpenAI's formats.

What differs between them is a row of `_hosts`; nothing here asks which one it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Unpack

from .._types import AICapability, AIMessage, AIStreamChunk, GenerationConfig
from ..errors import CallerError
from ..limits.dialects import DIALECTS, Dialect
from ..wire._codec import Catalog, Codec, Embedder
from ..wire._openai_beside import OpenAICatalog, OpenAIEmbedder
from ..wire.openai import ChatCodec
from ..wire.responses import ResponsesCodec
from ._apis import APIS, Api, chat_for
from ._hosts import HOSTS, KnownHost, find_host
from ._vendor import ApiKey, Vendor, VendorOptions, VendorProvider
from .base import CHAT_MODEL

__all__ = ("HOSTS", "CompatibleProvider", "KnownHost")


class CompatibleProvider(VendorProvider):
    """
    A server that speaks OpenAI's Chat Completions, or its Responses API.

    ```python
    CompatibleProvider(host="groq")                               # its address, and GROQ_API_KEY
    CompatibleProvider(base_url="https://api.groq.com/openai/v1") # the same: recognised by its address
    CompatibleProvider(base_url="http://localhost:8000/v1")       # a local server needs no key
    ```

    `capabilities` are the format's; which of them a model has is for the model's own page to say.

    Args:
        api_key: the key, or a callable that gives it for each request; else the environment variable of the host's
            row, which goes to that row's hosts only. Without any key, a server that needs none is sent no key header.
        host: the name of a row in `HOSTS`, or a row of your own; else recognised by `base_url`. A server that is not
            known is spoken to with what every server understands.
        base_url: what stands before `/chat/completions` or `/responses`; else the row's own.
        api: "chat", which every such server has, or "responses".
        options: what every vendor's provider takes; see `VendorProvider`.

    Raises:
        ValueError: no such host or api, or neither argument says where the server is.
    """

    capabilities: ClassVar[frozenset[AICapability]] = CHAT_MODEL | {AICapability.EMBEDDINGS}
    host: KnownHost
    name: str
    model: str
    codec: Codec
    embedder: Embedder | None
    catalog: Catalog | None
    dialect: Dialect
    vendor: Vendor
    api: Api

    def __init__(
        self,
        api_key: ApiKey | None = None,
        *,
        host: str | KnownHost | None = None,
        api: Api = "chat",
        **options: Unpack[VendorOptions],
    ) -> None:
        base_url = options.get("base_url")
        row = _row(host, base_url)
        self.host, self.name, self.model = row, options.get("name") or row.name, row.model
        if api not in APIS:
            raise ValueError(f"{self.name}: there is no api {api!r}: use {' or '.join(map(repr, APIS))}")
        self.api = api
        self.codec = (
            ChatCodec(self.name, quirks=row.quirks) if api == "chat" else ResponsesCodec(self.name, row.responses)
        )
        self.embedder = OpenAIEmbedder(self.name, encoding=None)  # not every server knows the field
        self.catalog = OpenAICatalog(self.name)
        self.dialect = DIALECTS[row.dialect]
        self.vendor = Vendor(
            base_url=row.base_url,
            url_env=(),
            key_env=row.key_env,
            hosts=row.hosts,
            key_header=row.key_header,
            key_prefix=row.key_prefix,
            needs_key=row.needs_key,
            headers={},
        )
        super().__init__(api_key, **options)

    @property
    def _rules(self) -> str:
        return self.host.name

    def _codec_for(self, model: str) -> Codec:
        return chat_for(self.codec, self._rules, model) if isinstance(self.codec, ChatCodec) else self.codec

    def _api_for(self, model: str) -> Api:  # noqa: ARG002  # one server, one format
        return self.api

    def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        """See `VendorProvider`. Here there may be no default model, and a server's answer to none is no help."""
        if not (self.model or (config is not None and config.model)):
            raise CallerError(
                f"{self.name}: no model is named, and the server has no usual one: "
                "give CompatibleProvider(model=...) or GenerationConfig(model=...)"
            )
        return super()._raw_chat_stream(messages, config)


def _row(host: str | KnownHost | None, base_url: str | None) -> KnownHost:
    if host is None:
        if not base_url:
            raise ValueError(f"give base_url=, or host= as one of {', '.join(HOSTS)}")
        return find_host(base_url)
    if isinstance(host, str):
        if host not in HOSTS:
            raise ValueError(f"there is no known host {host!r}: give base_url=, or one of {', '.join(HOSTS)}")
        host = HOSTS[host]
    if not (base_url or host.base_url):
        raise ValueError(f"{host.name}: every customer has an address of their own there: give base_url=")
    return host
