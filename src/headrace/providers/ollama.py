"""
Ollama, by its own API: where the server is, which models it has, how it is.

A server on one's own machine has no key, no limits and no default model: the first installed one is asked where nobody
names one. Source: docs.ollama.com (API, cloud, FAQ on OLLAMA_HOST) and the server's own reading of it, read 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar, Final, Unpack
from urllib.parse import urlsplit

import msgspec

from .._types import AICapability, Deadlines, GenerationConfig
from ..errors import HeadraceError, NotFoundError
from ..limits.dialects import DIALECTS, Dialect
from ..wire._codec import Codec, Embedder, Encoded
from ..wire._ollama_beside import OllamaEmbedder
from ..wire.ollama import OllamaCodec
from . import _ollama_models
from ._ollama_models import LoadedModel, OllamaModel, OllamaStatus
from ._vendor import ApiKey, Vendor, VendorOptions, VendorProvider, environment
from .base import CHAT_MODEL

__all__ = ("LoadedModel", "OllamaModel", "OllamaProvider", "OllamaStatus", "address")

CLOUD: Final = "ollama.com"
PORT: Final = 11434
STATUS: Final = Deadlines(first_chunk=5.0)  # whoever asks how a server is does not want to wait for it

_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(.*))?")
_HERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # where a server listens; a client calls itself

_TAGS: Final = Encoded("/api/tags", method="GET")
_PS: Final = Encoded("/api/ps", method="GET")
_VERSION: Final = Encoded("/api/version", method="GET")


class OllamaProvider(VendorProvider):
    """
    Models on one's own machine, or in Ollama's cloud, by `/api/chat`.

    ```python
    OllamaProvider()                                  # 127.0.0.1:11434, or OLLAMA_HOST
    OllamaProvider(base_url="gpu-box:11434")          # as `ollama` itself takes it
    OllamaProvider(base_url="https://ollama.com")     # the cloud, with OLLAMA_API_KEY
    ```

    A conversation that is longer than the model's context is refused (`ContextLengthError`), not silently cut as the
    server does by default: `GenerationConfig(extra={"options": {"num_ctx": 16384}})` asks for more context,
    `extra={"truncate": True}` for the cut.

    Args:
        api_key: for the cloud, or a proxy that wants one; else `OLLAMA_API_KEY`, which is sent by https to ollama.com
            only.
        base_url: with or without scheme and port; else `OLLAMA_HOST`.
        options: what every vendor's provider takes; see `VendorProvider`. Without `model=` the first installed model is
            asked; see `get_default_model`.

    Raises:
        ValueError: an address with credentials, a query or a fragment, or of another scheme than http and https.
    """

    name: str = "ollama"
    dialect: Dialect = DIALECTS["any"]
    codec: Codec = OllamaCodec()
    embedder: Embedder | None = OllamaEmbedder()
    capabilities: ClassVar[frozenset[AICapability]] = CHAT_MODEL | {AICapability.EMBEDDINGS}
    vendor: Vendor = Vendor(
        base_url=f"http://127.0.0.1:{PORT}",
        url_env=(),  # OLLAMA_HOST is no URL
        key_env=("OLLAMA_API_KEY",),
        hosts=(CLOUD,),
        needs_key=False,
        headers={},
    )

    def __init__(self, api_key: ApiKey | None = None, **options: Unpack[VendorOptions]) -> None:
        options["base_url"] = address(options.get("base_url") or environment(("OLLAMA_HOST",)) or "")
        super().__init__(api_key, **options)
        if urlsplit(self.base_url).hostname == CLOUD:
            self.vendor = replace(self.vendor, needs_key=True)
        self._default = ""  # the model that was found in this session

    async def initialize(self) -> None:
        """See `BaseProvider`. A session asks anew which model is the first."""
        self._default = ""

    # ---------------------------------------------------------------- models

    async def list_models(self, *, show: bool = False) -> tuple[OllamaModel, ...]:
        """
        The installed models, in the server's order: the newest first.

        Args:
            show: ask for each one's `context_tokens` and `capabilities`, too: a request for each.

        Raises:
            ProviderError: the server refused, could not be reached, or is no Ollama.
        """
        found = _ollama_models.models((await self._json(_TAGS)).body)
        return tuple([await self._shown(model) for model in found]) if show else found

    async def _shown(self, model: OllamaModel) -> OllamaModel:
        asked = Encoded("/api/show", msgspec.json.encode({"model": model.id}))
        return _ollama_models.shown(model, (await self._json(asked)).body)

    async def get_default_model(self) -> str:
        """
        The model that is asked where a call names none: the provider's own, else the first installed one that is no
        embedding model. It is asked for once in a session; calls that begin before the first answer ask as well.

        Raises:
            NotFoundError: none is installed; the text says how to get one.
            ProviderError: the server refused, could not be reached, or is no Ollama.
        """
        if self.model or self._default:
            return self.model or self._default
        chosen = next((model.id for model in await self.list_models() if not model.only_embeds), "")
        if not chosen:
            raise NotFoundError(
                f"{self.name}: no model is named, and none that can chat is installed at {self.base_url}: "
                "`ollama pull llama3.2` installs one, or give OllamaProvider(model=...)",
                provider=self.name,
            )
        if self._session is not None:
            self._default = chosen
        return chosen

    async def _model_for(self, config: GenerationConfig) -> str:
        return config.model or await self.get_default_model()

    # ---------------------------------------------------------------- the server

    async def check_status(self) -> OllamaStatus:
        """
        How the server is, within seconds. Never raises for a server that is not there or does not answer well: see
        `OllamaStatus.error`.
        """
        try:
            version = _ollama_models.version((await self._json(_VERSION, deadlines=STATUS)).body)
        except HeadraceError as exc:
            return OllamaStatus(running=False, error=str(exc))
        if version is None:
            return OllamaStatus(running=False, error=f"{self.name}: what answers at {self.base_url} is no Ollama")
        try:
            loaded = _ollama_models.running((await self._json(_PS, deadlines=STATUS)).body)
        except HeadraceError as exc:  # the cloud has no such list
            return OllamaStatus(running=True, version=version, error=str(exc))
        return OllamaStatus(running=True, version=version, loaded=loaded)


def address(host: str) -> str:
    """
    The URL for what `OLLAMA_HOST` may hold: "", "0.0.0.0", "gpu-box", ":1234", "::1", "host:1234/path", "https://x".

    Without a scheme it is http and port 11434, with one its usual port. The address on which a server listens to all is
    called as this machine.
    """
    text = host.strip().strip("\"'").strip()
    scheme, given, rest = text.partition("://")
    if not given:
        scheme, rest = "http", text
    name, slash, path = rest.partition("/")
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"  # an IPv6 address
    match = _HOST.fullmatch(name)
    bare, port = match.groups() if match is not None else (name, None)
    if port is None and not given:
        port = str(PORT)
    return f"{scheme}://{_HERE.get(bare, bare)}{f':{port}' if port else ''}{slash}{path}"
