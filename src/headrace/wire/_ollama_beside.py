"""
Ollama beside chat: vectors. (Its list of models is the provider's: there each one can be asked about.)

Source: the server's API document for /api/embed, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ..errors import UnsupportedOptionError
from ._beside import checked, decoded
from ._codec import Embedded, Encoded
from ._shared import dump, usage

__all__ = ("OllamaEmbedder",)

PROVIDER: Final = "ollama"


class _Vectors(msgspec.Struct):
    embeddings: list[tuple[float, ...]]
    model: str | None = None
    prompt_eval_count: int | None = None


class OllamaEmbedder:
    """See `Embedder`. A text that is too long is refused, not cut, unless `extra` says `truncate`."""

    __slots__ = ()
    batch: Final = 512  # the server has no bound, but answers when all are done
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
        """See `Embedder.encode`."""
        if task is not None:
            raise UnsupportedOptionError(f"{PROVIDER}: embeddings have no task here: leave it out", option="task")
        body: dict[str, object] = {"model": model, "input": list(texts), "truncate": False}
        if dimensions is not None:
            body["dimensions"] = dimensions
        return Encoded("/api/embed", dump(body | dict(extra or {}), provider=PROVIDER))

    def decode(self, body: bytes, *, count: int, request_id: str | None = None) -> Embedded:
        """See `Embedder.decode`."""
        found = decoded(_Vectors, body, provider=PROVIDER, request_id=request_id)
        vectors = checked(found.embeddings, count, body, provider=PROVIDER, request_id=request_id)
        tokens = found.prompt_eval_count
        raw = {"prompt_eval_count": tokens}
        told = None if tokens is None else usage(prompt=tokens, total=tokens, raw=raw)
        return Embedded(vectors, found.model, told)
