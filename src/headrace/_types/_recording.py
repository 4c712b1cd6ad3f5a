"""
Recording: what came over the wire for one exchange, as a value that can be saved and read back.

A file of one is JSON lines: the head first, then a line for each frame. Knows neither who records nor who plays.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

import msgspec

__all__ = ("Ending", "Frame", "Recording")

FILE_BYTES: Final = 256 << 20  # of a file that is read; a ring of the usual size makes one of 1 to 2 MiB
VERSION: Final = 1
LATEST: Final = 253_402_300_800.0  # year 10000 in Unix seconds: what lies behind it is no date

Ending: TypeAlias = Literal["eof", "cut", "left"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What one read of the body brought: an event, many, or a part. `at` is in seconds since the request was sent."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """
    The raw frames of one response, with their times. It holds no request, and no key: see `Recorder`.

    Attributes:
        provider, model: who was asked; `vendor` whose format that is, whatever the provider is called.
        api: "chat" or "responses" where the provider has both formats, else None.
        kind: "stream", or "answer" for a conversation that was answered in one JSON body, or "call" for what is no
            conversation, such as vectors.
        request: method and path.
        sent_at: Unix seconds at which the request was sent.
        answered: seconds from there to the head of the response.
        status, headers: of the response; names in lower case, credentials masked.
        frames: of the body, decompressed, the oldest first.
        lost_frames, lost_bytes: what came before the first of these, and had no room.
        ending: "eof" the body ended by itself; "cut" the connection was lost; "left" nobody read on: a deadline passed,
            the reader went, or what came was an error.
        error, message: the type and text of what the exchange ended with; "" if it ended well or was left.
    """

    provider: str
    vendor: str
    model: str
    api: str | None
    kind: Literal["stream", "answer", "call"]
    request: str
    sent_at: float
    answered: float
    status: int
    headers: Mapping[str, str]
    frames: tuple[Frame, ...]
    lost_frames: int = 0
    lost_bytes: int = 0
    ending: Ending = "left"
    error: str = ""
    message: str = ""

    def __repr__(self) -> str:
        size = sum(len(frame.data) for frame in self.frames)
        return f"<Recording {self.provider}/{self.model}: {len(self.frames)} frames, {size} bytes, {self.ending}>"

    def save(self, path: str | PathLike[str]) -> None:
        """
        Write it as JSON lines; `python -m headrace replay` plays such a file. What was there is overwritten.

        Raises:
            OSError: the file cannot be written.
        """
        head = _Head(
            headrace_recording=VERSION,
            **{name: getattr(self, name) for name in _Head.__struct_fields__ if name != "headrace_recording"},
        )
        lines: list[msgspec.Struct] = [head, *map(_line, self.frames)]
        Path(path).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """
        Read a file that `save` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no recording; the message names the line.
        """
        file = Path(path)
        if (size := file.stat().st_size) > FILE_BYTES:
            raise ValueError(f"{file}: {size} bytes are too many for a recording: at most {FILE_BYTES} are read")
        lines, frames, number = file.read_bytes().splitlines(), [], 1
        try:
            head = msgspec.json.decode(lines[0] if lines else b"", type=_Head)
            if head.headrace_recording != VERSION:
                raise ValueError(f"it is of version {head.headrace_recording}, and this headrace reads {VERSION}")
            if not 0 <= head.sent_at < LATEST:
                raise ValueError("it was sent at no date")
            for number, line in enumerate(lines[1:], 2):  # noqa: B007  # the error names it
                frames.append(msgspec.json.decode(line, type=_Line).frame())
        except (ValueError, RecursionError) as exc:  # msgspec's own are ValueErrors
            raise ValueError(f"{file}: line {number} is not that of a recording: {exc}") from exc
        told = {name: getattr(head, name) for name in _Head.__struct_fields__ if name != "headrace_recording"}
        return cls(frames=tuple(frames), **told)


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a file."""

    headrace_recording: int
    provider: str
    vendor: str
    model: str
    api: str | None
    kind: Literal["stream", "answer", "call"]
    request: str
    sent_at: float
    answered: float
    status: int
    headers: dict[str, str]
    lost_frames: int
    lost_bytes: int
    ending: Ending
    error: str
    message: str


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Each other line: `text`, or `base64` where a frame's border lies within a character, or it is no UTF-8."""

    at: float
    text: str | None = None
    base64: str | None = None

    def frame(self) -> Frame:
        if (self.text is None) == (self.base64 is None) or not math.isfinite(self.at):
            raise ValueError("a frame has a time, and either `text` or `base64`")
        if self.text is not None:
            return Frame(self.at, self.text.encode())
        return Frame(self.at, b64decode(self.base64 or "", validate=True))


def _line(frame: Frame) -> _Line:
    at = round(frame.at, 6)
    try:
        return _Line(at=at, text=frame.data.decode())
    except UnicodeDecodeError:
        return _Line(at=at, base64=b64encode(frame.data).decode())
