"""
An operation that is no chat, for those who watch: vectors, counts, lists, each of one request or more.

Free where nobody watches. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .._types import EmbeddingResponse
from ..telemetry import Asked, Event, Observer, emit, observe

__all__ = ("Watched",)


class Watched:
    """Used in `with`: from its beginning to its end. `answer` is what its observers are told at the end."""

    def __init__(self, asked: Asked, observers: Sequence[Observer]) -> None:
        self._asked, self._observers = asked, observers
        self.answer: EmbeddingResponse | None = None

    def __enter__(self) -> Self:
        self._observation = observe(lambda: self._asked, self._observers)
        return self

    def sent(self, waited: float) -> None:
        """A request is handed to the wire, after so many seconds for its turn."""
        if self._observation is not None:
            self._observation.sent(waited, self._asked)

    def failed(self, error: Exception, seconds: float) -> None:
        """The vendor refused, and is asked again in so many seconds."""
        asked, kind = self._asked, type(error).__name__
        whom = f"{asked.provider}/{asked.model}".rstrip("/")
        emit(
            Event(
                "attempt_failed",
                asked.provider,
                asked.model,
                f"{whom} refused {asked.operation} ({kind}); asking it again in {seconds:.1f} s",
                {"error": kind, "next_provider": asked.provider, "next_model": asked.model, "seconds": seconds},
            )
        )
        if self._observation is not None:
            self._observation.failed(error)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._observation is not None:
            self._observation.ended(self.answer, exc)
