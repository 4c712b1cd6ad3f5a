"""
Recovery in its literal form: any async iterator of chunks in, the same chunks out, and a marker where it broke.

A class, not a generator: nothing of its own is suspended when the consumer leaves; `aclose` closes the source. Knows no
provider and no session.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Self

from anyio import ClosedResourceError

from .._types import AIStreamChunk
from ..errors import StreamInterruptedError
from .machine import MARKER, marker_chunk
from .retold import Retold

__all__ = ("Recovery",)


class Recovery:
    """
    Chunks pass. Any `Exception` of the source, even before its first chunk, becomes the marker chunk; the next read
    raises `StreamInterruptedError`, and so does every later one. Cancellation and exits pass through untouched.
    """

    def __init__(self, source: AsyncIterable[AIStreamChunk], marker: str = MARKER) -> None:
        self._source, self._marker = aiter(source), marker
        self._content: list[str] = []
        self._cut: Retold[StreamInterruptedError] | None = None
        self._is_left = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AIStreamChunk:
        if self._cut is not None:
            raise self._cut.again()
        if self._is_left:
            raise ClosedResourceError
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            raise
        except Exception as exc:  # noqa: BLE001  # whatever the source raises is the cut, and is raised in it
            partial = "".join(self._content)
            self._cut = Retold(StreamInterruptedError(partial, exc))
            return marker_chunk(self._marker, exc, partial)
        if chunk.content and not chunk.is_marker:
            self._content.append(chunk.content)
        return chunk

    async def aclose(self) -> None:
        """Leave it, and close the source if that can be closed: for `contextlib.aclosing`. Idempotent."""
        self._is_left = True
        if (close := getattr(self._source, "aclose", None)) is not None:
            await close()
