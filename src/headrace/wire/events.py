"""
Whole lines of a stream in, its events out. Pure, incremental; bounded by what feeds it.

An event is its name ("message" where the stream gives none) and its data, joined by line feeds. Event ids and retry
times are for clients that reconnect, which nothing here does. Servers put into event streams what is none: Gemini an
error as bare JSON, llama-box lines `error: ...`; both become events here. Knows no bytes and no vendor.

Source: WHATWG HTML 9.2.6, "Interpreting an event stream"; jsonlines.org.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec

from .framing import Undecodable

__all__ = ("Events", "JsonLines", "ServerEvent")

ServerEvent: TypeAlias = tuple[str, str]  # name and data; a bare tuple, as there is one for each chunk

RAW_JSON: Final = 64 << 10  # characters of an error that came without framing; the largest recorded is under 1 KB
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.?)*"?')  # of JSON, within a line; also one that lacks its end


class Events:
    """
    The events of one stream of server-sent events.

    `broken` is an error that is still to be raised: what stood before it was returned first.
    """

    __slots__ = ("_data", "_json", "_json_open", "_json_size", "_name", "broken")

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []  # a list: an event of many lines must not be copied for each of them
        self._json: list[str] | None = None  # lines of JSON that came without framing
        self._json_size = self._json_open = 0  # their characters, line ends included; their brackets still open
        self.broken: Undecodable | None = None

    def feed(self, text: str) -> list[ServerEvent]:
        """
        The events that `text` completes: those whose blank line has come and that have a data line, be it empty.

        Args:
            text: whole lines, each ended by a line feed.
        """
        if self._name or self._data or self._json is not None or not text.endswith("\n\n"):
            return self._by_lines(text)
        found: list[ServerEvent] = []
        blocks = iter(text[:-2].split("\n\n"))
        for block in blocks:
            # The two common forms of an event at once, the rest by the book.
            end = block.find("\n")
            if end < 0 and block.startswith("data: "):
                found.append(("message", block[6:]))
            elif (
                block.startswith("event: ")
                and block.startswith("data: ", end + 1)
                and end > 7
                and block.find("\n", end + 1) < 0
            ):
                found.append((block[7:end], block[end + 7 :]))
            else:
                found += self._by_lines("\n\n".join((block, *blocks, "")))
        return found

    def end(self, text: str) -> list[ServerEvent]:
        """At the end of the body: the last line completes an event that lacks its blank line, too."""
        return self._by_lines(text + "\n")

    def _by_lines(self, text: str) -> list[ServerEvent]:
        found: list[ServerEvent] = []
        lines = text.split("\n")
        lines.pop()  # behind the last line feed
        for line in lines:
            if self._json is not None:
                self._read_json(line, found)
                if self.broken is not None:
                    break
            elif line.startswith("data:"):
                self._data.append(line[6 if line.startswith(" ", 5) else 5 :])
            elif not line:
                self._dispatch(found)
            elif line.startswith("event:"):
                self._name = line[7 if line.startswith(" ", 6) else 6 :]
            elif line == "data":  # a field without a colon has an empty value
                self._data.append("")
            elif line == "event":
                self._name = ""
            elif line.startswith(("{", "[{")):
                self._dispatch(found)
                self._json, self._json_size, self._json_open = [], 0, 0
                self._read_json(line, found)
            elif line.startswith("error:"):
                self._dispatch(found)
                self._name, self._data = "error", [line[6:].removeprefix(" ")]
        return found

    def _dispatch(self, found: list[ServerEvent]) -> None:
        """The event ends, wherever it stands."""
        if self._data:
            found.append((self._name or "message", "\n".join(self._data)))
            self._data = []
        self._name = ""

    def _read_json(self, line: str, found: list[ServerEvent]) -> None:
        """
        One more line of JSON without framing; once it is whole it is an event, an array one for each in it. It is
        decoded once, where its brackets close: lines may be as many as characters.
        """
        assert self._json is not None
        self._json.append(line)
        self._json_size += len(line) + 1
        bare = _STRING.sub("", line)
        self._json_open += sum(map(bare.count, "{[")) - sum(map(bare.count, "}]"))
        if self._json_size > RAW_JSON:
            self.broken = Undecodable(f"more than {RAW_JSON} characters of JSON without framing")
        elif self._json_open <= 0:
            try:
                value = msgspec.json.decode("\n".join(self._json))
            except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
                self.broken = Undecodable(f"JSON without framing that is none: {exc}")
                self.broken.__cause__ = exc
                return
            self._json = None
            values = value if isinstance(value, list) else [value]
            found += [("message", msgspec.json.encode(one).decode()) for one in values]


class JsonLines:
    """JSON lines as events: each that is not blank is one, named "message"."""

    __slots__ = ()
    broken: Final = None

    def feed(self, text: str) -> list[ServerEvent]:
        """See `Events.feed`."""
        return [("message", line) for line in text.split("\n") if line and not line.isspace()]

    def end(self, text: str) -> list[ServerEvent]:
        """See `Events.end`."""
        return self.feed(text)
