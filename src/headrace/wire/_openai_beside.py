"""
OpenAI's formats beside chat, which most compatible servers have too: vectors, counting tokens, the list of models.

The count is the Responses API's own, of all that costs tokens of input. Source: OpenAI's API reference and SDK types;
Groq's, OpenRouter's, Mistral's, Together's and vLLM's lists of models, 2026-11.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import msgspec

from .._types import AIMessage, GenerationConfig, ModelInfo
from . import _responses_request
from ._beside import as_time, checked, decoded
from ._codec import Embedded, Encoded, undecodable
from ._history import History
from ._openai_parts import unsupported
from ._shared import as_count, as_map, as_text, dump, usage

__all__ = ("OpenAICatalog", "OpenAIEmbedder", "ResponsesCounter")


class _Vector(msgspec.Struct):
    embedding: tuple[float, ...] | str
    index: int | None = None


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    model: str | None = None
    usage: dict[str, object] | None = None


class _Count(msgspec.Struct):
    input_tokens: int


class _Listing(msgspec.Struct):
    data: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class OpenAIEmbedder:
    """
    See `Embedder`.

    Numbers in base64 are two fifths of their size in JSON, and read as fast. A server that passes over `encoding` sends
    plain numbers, which are read as well; to one that may refuse it, it is not sent: None.
    """

    batch: ClassVar[int] = 2048  # texts in one request
    batch_tokens: ClassVar[int | None] = 300_000  # with more, the whole request is answered 400
    provider: str = "openai"
    encoding: Literal["base64"] | None = "base64"

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
            raise unsupported(
                self.provider, "task", "the format has no field for what the vectors are for: leave it out"
            )
        body: dict[str, object] = {"model": model, "input": texts}
        if self.encoding is not None:
            body["encoding_format"] = self.encoding
        if dimensions is not None:
            body["dimensions"] = dimensions
        return Encoded("/embeddings", dump({**body, **(extra or {})}, provider=self.provider))

    def decode(self, body: bytes, *, count: int, request_id: str | None = None) -> Embedded:
        """See `Embedder.decode`."""
        found = decoded(_Vectors, body, provider=self.provider, request_id=request_id)
        rows = sorted(found.data, key=lambda row: row.index or 0)
        try:
            if any(row.index not in {None, place} for place, row in enumerate(rows)):
                raise ValueError("the vectors are not numbered from 0")
            vectors = [_numbers(row.embedding) for row in rows]
        except (ValueError, struct.error) as exc:
            raise undecodable(self.provider, body.decode(errors="replace"), exc, request_id=request_id) from exc
        tokens, total = (as_count(as_map(found.usage).get(name)) for name in ("prompt_tokens", "total_tokens"))
        told = None if tokens is None else usage(prompt=tokens, total=total, raw=found.usage)
        return Embedded(
            checked(vectors, count, body, provider=self.provider, request_id=request_id), found.model or None, told
        )


def _numbers(embedding: tuple[float, ...] | str) -> tuple[float, ...]:
    if not isinstance(embedding, str):
        return embedding
    data = binascii.a2b_base64(embedding, strict_mode=True)
    return struct.unpack(f"<{len(data) // 4}f", data)


@dataclass(frozen=True, slots=True)
class ResponsesCounter:
    """See `Counter`. Fields of `extra` count where they are part of what the model reads."""

    provider: str = "openai"

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str) -> Encoded:
        """See `Counter.encode`."""
        history = History(self.provider, breakpoints=True)
        body = {"model": model, **_responses_request.prompt(self.provider, messages, config, history)}
        if config.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = config.parallel_tool_calls
        body |= {name: value for name, value in (config.extra or {}).items() if name in _COUNTED}
        return Encoded("/responses/input_tokens", dump(body, provider=self.provider), dropped=history.dropped)

    def decode(self, body: bytes, *, request_id: str | None = None) -> int:
        """See `Counter.decode`."""
        return decoded(_Count, body, provider=self.provider, request_id=request_id).input_tokens


_COUNTED: Final = frozenset({
    "conversation",
    "input",
    "instructions",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
})  # fmt: skip

_CONTEXT: Final = ("context_length", "context_window", "max_context_length", "max_model_len")
_OUTPUT: Final = ("max_completion_tokens", "max_output_tokens")
_NAME: Final = ("name", "display_name")


@dataclass(frozen=True, slots=True)
class OpenAICatalog:
    """
    See `Catalog`. One page; a list, or an object with the list in `data`. OpenAI tells no sizes, others by many names.
    """

    provider: str = "openai"

    def encode(self, cursor: str | None) -> Encoded:  # noqa: ARG002  # there is one page
        """See `Catalog.encode`."""
        return Encoded("/models", method="GET")

    def decode(self, body: bytes, *, request_id: str | None = None) -> tuple[Sequence[ModelInfo], str | None]:
        """See `Catalog.decode`."""
        if body.lstrip()[:1] == b"[":  # Together's
            body = b'{"data":%b}' % body
        page = decoded(_Listing, body, provider=self.provider, request_id=request_id)
        return [self._model(row) for row in page.data], None

    def _model(self, row: Mapping[str, object]) -> ModelInfo:
        return ModelInfo(
            as_text(row.get("id")) or "",
            self.provider,
            next((text for name in _NAME if (text := as_text(row.get(name)))), ""),
            next((count for name in _CONTEXT if (count := as_count(row.get(name)))), None),
            next((count for name in _OUTPUT if (count := as_count(_output(row).get(name)))), None),
            as_time(row.get("created")) or None,
            row,
        )


def _output(row: Mapping[str, object]) -> Mapping[str, object]:
    """Where a model's output limit is told: at OpenRouter, in what it says of the provider that has it."""
    return as_map(row.get("top_provider")) or row
