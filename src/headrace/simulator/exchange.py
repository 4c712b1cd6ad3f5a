"""
The ground truth: what one request asked, and exactly what was sent for it.

Words count once the whole of their event, its empty line included, has been handed to the socket. Whatever a client
claims to have received is to be a prefix of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import anyio

from .script import Script
from .steps import Piece

__all__ = ("Ended", "Exchange")

Ended: TypeAlias = Literal["open", "complete", "cut", "client left", "closed"]


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """
    One request and its answer.

    Attributes:
        vendor: its name; "" where the path belongs to none.
        method, path, headers, body: as they came; header names in lower case; the body decoded, or None.
        connection: equal numbers mean a connection that was used again.
        script: what was played; None where the request was refused without one.
        status: of the response head, once that was sent.
        events_sent: complete events, comments not counted.
        bytes_sent: of the body, before the chunked coding.
        ended: "open"; "complete"; "cut" by the script's fault; "client left" before the end; "closed" with the
            simulator.
    """

    vendor: str
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # the key is among them
    body: object = field(repr=False)
    connection: int
    script: Script | None = None
    status: int | None = None
    events_sent: int = 0
    bytes_sent: int = 0
    ended: Ended = "open"
    _text: list[str] = field(default_factory=list, repr=False)
    _reasoning: list[str] = field(default_factory=list, repr=False)
    _good: int | None = field(default=None, repr=False)  # so many texts were sent before the first bad event
    _over: anyio.Event = field(default_factory=anyio.Event, repr=False)
    _when_sent: Callable[[Exchange], None] | None = field(default=None, repr=False)
    _when_over: Callable[[Exchange], None] | None = field(default=None, repr=False)

    @property
    def text_sent(self) -> str:
        """The words whose events were sent whole."""
        return "".join(self._text)

    @property
    def text_before_fault(self) -> str:
        """Those that were sent before an event that no client can take for a part of the answer; else all."""
        return "".join(self._text[: self._good])

    @property
    def reasoning_sent(self) -> str:
        """The thoughts whose events were sent whole."""
        return "".join(self._reasoning)

    async def wait_ended(self) -> None:
        """Return when `ended` is no longer "open"."""
        await self._over.wait()

    def sent(self, piece: Piece, start: int, stop: int) -> None:
        """The bytes of `piece` from `start` to `stop` were handed over."""
        self.bytes_sent += stop - start
        for end, frame in piece.marks:
            if not start < end <= stop:
                continue
            if frame.kind == "fault" and self._good is None:
                self._good = len(self._text)
            self.events_sent += frame.is_event
            if frame.text:
                self._text.append(frame.text)
            if frame.reasoning:
                self._reasoning.append(frame.reasoning)
        if self._when_sent is not None:
            self._when_sent(self)

    def end(self, how: Ended) -> None:
        """Say how it ended; the first word counts."""
        if self.ended != "open":
            return
        self.ended = how
        self._over.set()
        if self._when_over is not None:
            self._when_over(self)
