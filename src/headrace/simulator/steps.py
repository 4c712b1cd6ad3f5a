"""
What an answer is made of, between the vendor's format and the wire.

A vendor writes *frames* (an event and the words it carries); an answer is played as *steps*: a head, pieces of body,
waits, and the ways in which it can break. The end of the steps is the proper end of the response. A socket and the
in-memory transport play the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ("Cut", "Frame", "FrameKind", "Head", "Hold", "Loose", "Piece", "Step", "Wait")

FrameKind: TypeAlias = Literal["head", "content", "finish", "usage", "tail", "noise", "fault"]


@dataclass(frozen=True, slots=True)
class Frame:
    """
    One event.

    Attributes:
        data: the payload of its `data:` lines.
        event: its `event:` name, or None.
        text, reasoning: the words that it carries.
        kind: "head" before the content, "content", "finish" the proof of the end, "usage", "tail" what follows the
            proof, "noise" pings and comments, "fault" what a client cannot take for a part of the answer.
        raw: what is written as it stands, in place of an event; "\n" becomes the stream's line end.
        field: the field name of the payload.
        swap: bytes to put in another's place after encoding.
    """

    data: str = ""
    event: str | None = None
    text: str = ""
    reasoning: str = ""
    kind: FrameKind = "content"
    raw: str | None = None
    field: str = "data"
    swap: tuple[bytes, bytes] | None = None

    @property
    def is_event(self) -> bool:
        """False for comments."""
        return not (self.raw or "").startswith(":")

    @property
    def is_content(self) -> bool:
        """Whether it carries a part of the answer; Gemini's last words share an event with the finish."""
        return self.kind == "content" or bool(self.text)


@dataclass(frozen=True, slots=True)
class Head:
    """
    The response head.

    `length` is the content-length that is told; None is a chunked body. Where it is not `true` the connection closes
    after the body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int | None = None
    true: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes for one write and one HTTP chunk. `marks` are the frames that end in it, with the offsets of their ends."""

    data: bytes
    marks: tuple[tuple[int, Frame], ...] = ()

    def split(self, at: int) -> tuple[Piece, Piece]:
        """Two pieces, the first `at` bytes long; a frame belongs to the piece in which it ends."""
        first = tuple(mark for mark in self.marks if mark[0] <= at)
        second = tuple((end - at, frame) for end, frame in self.marks if end > at)
        return Piece(self.data[:at], first), Piece(self.data[at:], second)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing, for ever, on an open connection."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is closed here: by FIN, or by RST."""

    reset: bool = False


Step: TypeAlias = Head | Piece | Wait | Hold | Cut
Loose: TypeAlias = Frame | Wait | Hold | Cut
