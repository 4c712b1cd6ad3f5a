"""
Gemini beside generateContent: vectors, counting tokens, and the list of models.

Source: the API reference for batchEmbedContents, countTokens and models, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from .._types import AIMessage, GenerationConfig, ModelInfo
from . import _gemini_request
from ._beside import checked, decoded
from ._codec import Embedded, Encoded
from ._shared import as_count, as_map, as_text, dump, usage

__all__ = ("GeminiCatalog", "GeminiCounter", "GeminiEmbedder")

PROVIDER: Final = "gemini"
PAGE: Final = 1000  # the most that a page may hold


class _Vector(msgspec.Struct):
    values: tuple[float, ...]


class _Vectors(msgspec.Struct):
    embeddings: list[_Vector]
    usage: dict[str, object] | None = msgspec.field(default=None, name="usageMetadata")


class _Count(msgspec.Struct):
    total: int = msgspec.field(name="totalTokens")


class _Page(msgspec.Struct):
    models: list[dict[str, object]] = []
    following: str | None = msgspec.field(default=None, name="nextPageToken")


class GeminiEmbedder:
    """See `Embedder`. Only newer models tell their usage."""

    __slots__ = ()
    batch: Final = 100  # requests in one batch
    batch_tokens: Final = None

    def encode(
        self,
        texts: Sequence[str],
        *,
        model: str,
        dimensions: int | None,
        task: str | None,
        extra: Mapping[str, object] | None,
    ) -> Encoded:
        """See `Embedder.encode`. `task` is a task type, `extra` goes into the request of each text."""
        name = f"models/{model.removeprefix('models/')}"
        options = {"taskType": task, "outputDimensionality": dimensions}
        given = {field: value for field, value in options.items() if value is not None}
        requests = [{"model": name, "content": {"parts": [{"text": text}]}, **given, **(extra or {})} for text in texts]
        path = f"/models/{quote(name.removeprefix('models/'), safe='')}:batchEmbedContents"
        return Encoded(path, dump({"requests": requests}, provider=PROVIDER))

    def decode(self, body: bytes, *, count: int, request_id: str | None = None) -> Embedded:
        """See `Embedder.decode`."""
        found = decoded(_Vectors, body, provider=PROVIDER, request_id=request_id)
        vectors = [one.values for one in found.embeddings]
        tokens = as_count(as_map(found.usage).get("promptTokenCount"))
        told = None if tokens is None else usage(prompt=tokens, total=tokens, raw=found.usage)
        return Embedded(checked(vectors, count, body, provider=PROVIDER, request_id=request_id), None, told)


class GeminiCounter:
    """See `Counter`. It counts what would be sent to generateContent, tools and system included."""

    __slots__ = ()

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str) -> Encoded:
        """See `Counter.encode`."""
        whole = _gemini_request.encode(messages, config, model=model, stream=False)
        name = model.removeprefix("models/")
        request = msgspec.json.decode(whole.body or b"{}", type=dict[str, msgspec.Raw])
        body = {"generateContentRequest": {"model": f"models/{name}", **request}}
        path = f"/models/{quote(name, safe='')}:countTokens"
        return Encoded(path, dump(body, provider=PROVIDER), dropped=whole.dropped)

    def decode(self, body: bytes, *, request_id: str | None = None) -> int:
        """See `Counter.decode`."""
        return decoded(_Count, body, provider=PROVIDER, request_id=request_id).total


class GeminiCatalog:
    """See `Catalog`. Models of every kind: `raw["supportedGenerationMethods"]` says what each one does."""

    __slots__ = ()

    def encode(self, cursor: str | None) -> Encoded:
        """See `Catalog.encode`."""
        query = {"pageSize": PAGE} | ({} if cursor is None else {"pageToken": cursor})
        return Encoded(f"/models?{urlencode(query)}", method="GET")

    def decode(self, body: bytes, *, request_id: str | None = None) -> tuple[Sequence[ModelInfo], str | None]:
        """See `Catalog.decode`."""
        page = decoded(_Page, body, provider=PROVIDER, request_id=request_id)
        return [_model(row) for row in page.models], page.following or None


def _model(row: Mapping[str, object]) -> ModelInfo:
    row = as_map(row)
    return ModelInfo(
        (as_text(row.get("name")) or "").removeprefix("models/"),
        PROVIDER,
        as_text(row.get("displayName")) or "",
        as_count(row.get("inputTokenLimit")),
        as_count(row.get("outputTokenLimit")),
        None,
        row,
    )
