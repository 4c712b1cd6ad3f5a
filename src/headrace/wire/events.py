"""
Whole lines of an event stream in, its events out. Pure, incremental; bounded by what feeds it.

An event is its name ("message" where the stream gives none) and its data, joined by line feeds. Event ids and retry
times are for clients that reconnect, which nothing here does. Knows no bytes, no vendor and no JSON.

Source: WHATWG HTML 9.2.6, "Interpreting an event stream"; jsonlines.org.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ("Events", "JsonLines", "ServerEvent")

ServerEvent: TypeAlias = tuple[str, str]  # name and data; a bare tuple, as there is one for each chunk


class Events:
    """The events of one stream of server-sent events."""

    __slots__ = ("_data", "_name")

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []  # a list: an event of many lines must not be copied for each of them

    def feed(self, text: str) -> list[ServerEvent]:
        """
        The events that `text` completes: those whose blank line has come and that have a data line, be it empty.

        Args:
            text: whole lines, each ended by a line feed.
        """
        if self._name or self._data or not text.endswith("\n\n"):
            return self._by_lines(text)
        found: list[ServerEvent] = []
        for block in text[:-2].split("\n\n"):
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
                found += self._by_lines(block + "\n\n")
        return found

    def _by_lines(self, text: str) -> list[ServerEvent]:
        found: list[ServerEvent] = []
        name, data = self._name, self._data
        lines = text.split("\n")
        lines.pop()  # behind the last line feed
        for line in lines:
            if line.startswith("data:"):
                data.append(line[6 if line.startswith(" ", 5) else 5 :])
            elif not line:
                if data:
                    found.append((name or "message", data[0] if len(data) == 1 else "\n".join(data)))
                    data = []
                name = ""
            elif line.startswith("event:"):
                name = line[7 if line.startswith(" ", 6) else 6 :]
            elif line == "data":  # a field without a colon has an empty value
                data.append("")
            elif line == "event":
                name = ""
        self._name, self._data = name, data
        return found


class JsonLines:
    """JSON lines as events: each that is not blank is one, named "message"."""

    __slots__ = ()

    def feed(self, text: str) -> list[ServerEvent]:
        """See `Events.feed`."""
        return [("message", line) for line in text.split("\n") if line and not line.isspace()]
