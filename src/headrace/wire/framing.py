"""
Bytes of a stream in, whole lines of clean text out. Pure, incremental, bounded.

What every line-based format needs: it decompresses within a bound, decodes UTF-8 strictly, drops a byte-order mark,
makes every line end a line feed, counts what has no complete event yet. Knows no events and no vendor; raises
`Undecodable`.

Source: WHATWG HTML 9.2.6 (event stream interpretation), jsonlines.org; RFC 9112 7.2 for content codings.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Final

__all__ = ("EVENT_BYTES", "NDJSON", "SSE", "STREAM_BYTES", "Inflater", "Lines", "Undecodable", "inflater")

SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"

EVENT_BYTES: Final = 16 << 20  # without a complete event; the largest ever recorded is under 1 MiB
STREAM_BYTES: Final = 1 << 30  # of one stream; 128,000 tokens at 400 bytes an event are 51 MB


class Undecodable(Exception):  # noqa: N818  # the caller makes a typed error of it
    """These bytes are not a stream of events."""


class Inflater:
    """
    Undoes a content coding, at most `EVENT_BYTES` at once. Servers compress although they are asked not to.

    `broken` is an error that is still to be raised: what stood before it was returned first.
    """

    def __init__(self, coding: str) -> None:
        self._zlib = _decompressor()
        self._coding = coding
        self.broken: Undecodable | None = None

    def feed(self, data: bytes) -> bytes:
        """
        The bytes behind `data`.

        Raises:
            Undecodable: they expand beyond the bound or are not of this coding, and nothing stood before that.
        """
        if self.broken is not None:
            raise self.broken
        pieces, room, size = list[bytes](), EVENT_BYTES, len(data)
        while data and self.broken is None:
            if self._zlib.eof:  # a body may be several members, one behind the other (RFC 1952 2.2)
                self._zlib = _decompressor()
            before = self._zlib.copy()
            try:
                piece = self._zlib.decompress(data, room)
            except zlib.error as exc:
                piece = _until_error(before, data, room)
                self.broken = Undecodable(f"the body is not {self._coding}: {exc}")
                self.broken.__cause__ = exc
            else:
                if self._zlib.unconsumed_tail or len(piece) >= room:
                    self.broken = Undecodable(f"{size} bytes of {self._coding} expand to {EVENT_BYTES} and more")
                data = self._zlib.unused_data
            pieces.append(piece)
            room -= len(piece)
        if self.broken is not None and not any(pieces):
            raise self.broken
        return b"".join(pieces)


def _decompressor() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its header


def _until_error(state: zlib._Decompress, data: bytes, room: int) -> bytes:
    """What `data` holds before its bad byte, at most `room`; zlib tells nothing of a call that meets one."""
    pieces: list[bytes] = []
    with suppress(zlib.error):
        for at in range(len(data)):
            if room <= 0:
                break
            pieces.append(piece := state.decompress(data[at : at + 1], room))
            room -= len(piece)
    return b"".join(pieces)


def inflater(coding: str) -> Inflater | None:
    """For a `content-encoding` header; None where there is nothing to undo. Undecodable for one that is unknown."""
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return Inflater(name)
    # As it was sent: what is masked in it is found in no other form.
    raise Undecodable(f"the body is compressed with {coding.strip()[:80]!r}, which was not asked for")


class Lines:
    """
    The text of one stream. What is fed comes out as whole lines, each ended by a line feed.

    `unread` counts the bytes since the last complete event; whoever finds one resets it. `broken` is an error that is
    still to be raised: what stood before it was returned first.
    """

    __slots__ = ("_cr", "_first", "_held", "_inflate", "_partial", "_smooth", "_total", "broken", "unread")

    def __init__(self, coding: str = "") -> None:
        self._inflate = inflater(coding)
        self._partial = b""  # of a character
        self._held: list[str] = []  # of a line
        self._first, self._cr = True, False
        self.broken: Undecodable | None = None
        self._total = 0
        self.unread: int = 0
        self._smooth = False  # nothing is pending, and nothing is compressed: the common case, in one step

    def feed(self, data: bytes) -> str:
        """
        The lines that `data` completes.

        Raises:
            Undecodable: invalid UTF-8, a bound passed, or a body that is not of its coding. What stood before it has
                been returned first.
        """
        if self._smooth:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                pass
            else:
                if text.endswith("\n") and "\r" not in text:
                    self._count(len(data))
                    return text
        return self._feed_with_care(data)

    def _feed_with_care(self, data: bytes) -> str:
        if self.broken is not None:
            raise self.broken
        if self._inflate is not None:
            data = self._inflate.feed(data)
            self.broken = self._inflate.broken
        if self.broken is None:
            self._count(len(data))
        text = self._decoded(data)
        if self._first and text:
            self._first, text = False, text.removeprefix("\ufeff")
        if self._cr or "\r" in text:
            text = self._line_feeds(text)
        if self._held or not text.endswith("\n"):
            text = self._whole_lines(text)
        self._smooth = not any((self._partial, self._held, self._first, self._cr, self.broken, self._inflate))
        if self.broken is not None and not text:
            raise self.broken
        return text

    def _count(self, size: int) -> None:
        self.unread += size
        self._total += size
        if self.unread > EVENT_BYTES:  # nothing stands before this event: it was begun in an earlier piece
            raise Undecodable(f"more than {EVENT_BYTES} bytes without a complete event")
        if self._total > STREAM_BYTES:
            self.broken, self._smooth = Undecodable(f"more than {STREAM_BYTES} bytes in one stream"), False

    def end(self) -> str:
        """
        At the end of the body: the last line, if it lacks its end, with that end; else a blank one.

        Raises:
            Undecodable: bad bytes came at the very end.
        """
        if self.broken is not None:
            raise self.broken
        return "".join(self._held) + "\n"

    def _decoded(self, data: bytes) -> str:
        data = self._partial + data
        try:
            text = data.decode()
        except UnicodeDecodeError as exc:
            # What came before the bad byte has been said: hand it on first.
            text = data[: exc.start].decode()
            if exc.reason == "unexpected end of data" and exc.end == len(data):
                self._partial = data[exc.start :]
            else:
                self.broken = Undecodable(f"invalid UTF-8: {exc.reason} ({data[exc.start : exc.end]!r})")
                self.broken.__cause__ = exc
        else:
            self._partial = b""
        return text

    def _line_feeds(self, text: str) -> str:
        """CR and CRLF become LF at once: a decoder that waits for what follows a CR would hold back a whole event."""
        if self._cr and text:
            self._cr, text = False, text.removeprefix("\n")
        if text:
            self._cr = text.endswith("\r")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _whole_lines(self, text: str) -> str:
        end = text.rfind("\n") + 1
        if not end:
            if text:
                self._held.append(text)
            return ""
        whole = "".join(self._held) + text[:end] if self._held else text[:end]
        self._held = [text[end:]] if end < len(text) else []
        return whole
