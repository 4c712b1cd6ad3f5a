"""
What a provider asks of a vendor's format, and the two errors that every format shares.

A codec is a value without state; `decoder()` gives the state of one stream. Knows no sockets, no loop, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .._types import AIMessage, AIStreamChunk, GenerationConfig
from ..errors import ProviderError, UndecodableEventError

__all__ = ("Codec", "Encoded", "SaidThenFailed", "StreamDecoder", "undecodable")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request: `path` is put behind the base URL, `body` is JSON, `headers` beside the provider's own."""

    path: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class SaidThenFailed(Exception):  # noqa: N818  # no error of ours: it carries one
    """One event brought words and an error: first the words are handed on, then the error is raised."""

    def __init__(self, chunk: AIStreamChunk, error: ProviderError) -> None:
        super().__init__(chunk, error)
        self.chunk, self.error = chunk, error


class StreamDecoder(Protocol):
    """The state of one stream."""

    def feed(self, event: str, data: str) -> AIStreamChunk | None:
        """
        Take one server-sent event: its `event` field ("message" where the line was missing) and its joined data.

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

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> AIStreamChunk:
        """
        A whole JSON answer (`stream=False`) as one chunk with content, finish reason, usage and `meta.raw_response`.

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


def undecodable(provider: str, data: str, cause: Exception, *, request_id: str | None = None) -> UndecodableEventError:
    """The error for an event that is not what the format allows; shows its first 80 characters."""
    error = UndecodableEventError(
        f"{provider}: an event cannot be decoded ({cause}): {data[:80]!r}{'...' if len(data) > 80 else ''}. "
        "The text so far is in .partial_content; the request may be sent again.",
        provider=provider,
        status=200,
        request_id=request_id,
    )
    error.__cause__ = cause
    return error
