"""
What a provider asks of a vendor's format, and the two errors that every format shares.

A codec is a value without state; `decoder()` gives the state of one stream. Knows no sockets, no loop, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .._types import AIMessage, AIStreamChunk, GenerationConfig, ModelInfo, ResponsePart, TextPart, Usage
from ..errors import ProviderError, UndecodableEventError
from ._shared import one_line

__all__ = (
    "Catalog",
    "Codec",
    "Counter",
    "Embedded",
    "Embedder",
    "Encoded",
    "SaidThenFailed",
    "StreamDecoder",
    "joined",
    "undecodable",
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """
    A request.

    Attributes:
        path: put behind the base URL.
        body: JSON; None where the method has none.
        headers: beside the provider's own.
        method: of HTTP.
        dropped: what of the conversation this format cannot carry, and why: a sentence for each. Nothing that the
            caller asked for in its options is ever here: that is an error.
    """

    path: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    dropped: tuple[str, ...] = ()


class SaidThenFailed(Exception):  # noqa: N818  # no error of ours: it carries one
    """
    One event, or a whole answer, brought words (or usage) and an error: first the chunk is handed on, then the error is
    raised.
    """

    def __init__(self, chunk: AIStreamChunk, error: ProviderError) -> None:
        super().__init__(chunk, error)
        self.chunk, self.error = chunk, error


def joined(chunks: Sequence[AIStreamChunk]) -> AIStreamChunk:
    """What one event brings is one chunk. Where it brings parts, they tell the place of the words as well."""
    has_parts = any(chunk.parts for chunk in chunks)
    return AIStreamChunk(
        "".join(chunk.content for chunk in chunks),
        reasoning="".join(chunk.reasoning for chunk in chunks),
        refusal="".join(chunk.refusal for chunk in chunks),
        tool_calls=tuple(call for chunk in chunks for call in chunk.tool_calls),
        parts=tuple(part for chunk in chunks for part in _placed(chunk)) if has_parts else (),
        extra=tuple(item for chunk in chunks for item in chunk.extra),
    )


def _placed(chunk: AIStreamChunk) -> tuple[ResponsePart, ...]:
    if not chunk.content or TextPart(chunk.content) in chunk.parts:
        return chunk.parts
    return (TextPart(chunk.content), *chunk.parts)


class StreamDecoder(Protocol):
    """The state of one stream."""

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """
        Take one server-sent event: its `event` field ("message" where the line was missing) and its joined data. In
        JSON lines an event is a line, named "message".

        Returns:
            A chunk for whatever the event brought, or None for one that carries nothing (pings, unknown types).
            A chunk with a `finish_reason` is the proof that the response ended; one with `is_final` is the vendor's
            sentinel, after which nothing counts. Usage, model and raw finish reason travel on it as well.

        Raises:
            UndecodableEventError: the event is not what the format allows.
            ProviderError: the vendor's error in mid-stream, as the class that the same HTTP error would be.
            SaidThenFailed: the same, in an event that brings words as well.
        """
        ...


class Codec(Protocol):
    """One vendor's format."""

    @property
    def provider(self) -> str:
        """The provider's name, for errors."""
        ...

    @property
    def stream_type(self) -> str:
        """The media type of its streams: `framing.SSE` or `framing.NDJSON`."""
        ...

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """
        The request for `messages`.

        Raises:
            UnsupportedOptionError: an option or a part that this format has no place for.
        """
        ...

    def decoder(self, *, request_id: str | None = None) -> StreamDecoder:
        """A fresh decoder for one stream."""
        ...

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> Sequence[AIStreamChunk]:
        """
        A whole JSON answer (`stream=False`) as the chunks that its stream would have brought, in the same order.

        The last one has finish reason, usage and `meta.raw_response`.

        Raises:
            UndecodableEventError: the body is not what the format allows.
            ProviderError: the body is an error.
            SaidThenFailed: it is an error that brings words as well.
        """
        ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """
        A refusal as a typed error. Never raises, whatever the body is.

        Args:
            status: the HTTP status; 200 where the answer was no event stream.
            headers: with lower-case names.
            body: up to 64 K characters of text; may be HTML, cut or empty.
            now: Unix seconds.
        """
        ...


# ---------------------------------------------------------------- beside chat


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of one request, in the order of its texts."""

    vectors: Sequence[tuple[float, ...]]
    model: str | None = None
    usage: Usage | None = None


class Embedder(Protocol):
    """One vendor's format for vectors."""

    @property
    def batch(self) -> int:
        """Most texts that one request takes."""
        ...

    @property
    def batch_tokens(self) -> int | None:
        """Most tokens that one request takes, of all its texts together; None is unknown."""
        ...

    def encode(
        self,
        texts: Sequence[str],
        *,
        model: str,
        dimensions: int | None,
        task: str | None,
        extra: Mapping[str, object] | None,
    ) -> Encoded:
        """
        The request for at most `batch` texts.

        Raises:
            UnsupportedOptionError: an option that this format has no place for.
        """
        ...

    def decode(self, body: bytes, *, count: int, request_id: str | None = None) -> Embedded:
        """
        The vectors of `count` texts.

        Raises:
            UndecodableEventError: the body is not what the format allows, or has another number of vectors.
        """
        ...


class Counter(Protocol):
    """One vendor's way to count the tokens of a conversation before it is sent."""

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str) -> Encoded:
        """The request. Options that cost no tokens are left out. Raises as `Codec.encode`."""
        ...

    def decode(self, body: bytes, *, request_id: str | None = None) -> int:
        """
        Tokens of input.

        Raises:
            UndecodableEventError: the body is not what the format allows.
        """
        ...


class Catalog(Protocol):
    """One vendor's list of models, page by page."""

    def encode(self, cursor: str | None) -> Encoded:
        """The request for the first page, or for the one behind `cursor`."""
        ...

    def decode(self, body: bytes, *, request_id: str | None = None) -> tuple[Sequence[ModelInfo], str | None]:
        """
        The models of a page, and the cursor of the next; None at the end.

        Raises:
            UndecodableEventError: the body is not what the format allows.
        """
        ...


# ---------------------------------------------------------------- errors


def undecodable(provider: str, data: str, cause: Exception, *, request_id: str | None = None) -> UndecodableEventError:
    """The error for an event that is not what the format allows; shows its first 80 characters."""
    why = one_line(str(cause))[:200]  # it may quote the event
    error = UndecodableEventError(
        f"{provider}: an event cannot be decoded ({why}): {data[:80]!r}{'...' if len(data) > 80 else ''}. "
        "The request may be sent again.",
        provider=provider,
        status=200,
        request_id=request_id,
    )
    error.__cause__ = cause
    return error
