"""
Gemini's function calls in pieces, and its grounding as citations.

A call in pieces is a list of paths and values (`$.places[0].name`), of which a text may go on in the next piece; joined
they are one object. Grounding names its segments by bytes of the answer's UTF-8. Knows no streams. Source: the
generateContent reference and the function calling guide, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from .._types import Citation
from ._shared import as_count, as_map, as_text

__all__ = ("PartialArgs", "citations")

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
DEPTH: Final = 64  # steps of a path; no schema is deeper


class PartialArgs:
    """The arguments of one call, as far as they have come."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: dict[str, object] = {}

    def take(self, piece: Mapping[str, object]) -> None:
        """
        Put one piece in its place.

        Raises:
            ValueError: its path is none, or leads where something else stands.
        """
        path = piece.get("jsonPath")
        steps = list(_steps(path)) if isinstance(path, str) else []
        if not steps or len(steps) > DEPTH or not isinstance(steps[0], str):
            raise ValueError(f"a piece of arguments at {path!r}")
        name = next((name for name in _VALUES if name in piece), None)
        if name is None:
            return  # it only says that the text has ended
        value = None if name == "nullValue" else piece[name]
        home: object = self.value
        for step, following in pairwise(steps):
            home = _at(home, step, [] if isinstance(following, int) else {})
        last = steps[-1]
        if isinstance(home, dict) and isinstance(last, str):
            before = home.get(last)
            home[last] = before + value if isinstance(before, str) and isinstance(value, str) else value
        elif isinstance(home, list) and isinstance(last, int) and last <= len(home):
            if last == len(home):
                home.append(value)
            elif isinstance(home[last], str) and isinstance(value, str):
                home[last] += value
            else:
                home[last] = value
        else:
            raise ValueError(f"a piece of arguments at {path!r}")


def _steps(path: str) -> Iterator[str | int]:
    at = 1 if path.startswith("$") else len(path) + 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"a path {path[:80]!r}")
        name, index, single, double = found.groups()
        yield int(index[:9]) if index is not None else next(one for one in (name, single, double) if one is not None)
        at = found.end()


def _at(home: object, step: str | int, new: object) -> object:
    """What stands at this step, made if there is nothing yet."""
    if isinstance(home, dict) and isinstance(step, str):
        return home.setdefault(step, new)
    if isinstance(home, list) and isinstance(step, int) and step <= len(home):
        if step == len(home):
            home.append(new)
        return home[step]
    raise ValueError(f"a piece of arguments at {step!r}, where a {type(home).__name__} stands")


def citations(grounding: Mapping[str, object], text: str) -> list[Citation]:
    """The sources, once for each segment of `text` that they support; those that support none at the end."""
    sources = [_source(chunk) for chunk in _list(grounding.get("groundingChunks"))]
    data, used = text.encode(errors="surrogatepass"), set[int]()
    found: list[Citation] = []
    for support in _list(grounding.get("groundingSupports")):
        segment = as_map(support.get("segment"))
        start, end = as_count(segment.get("startIndex")) or 0, as_count(segment.get("endIndex"))
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if type(index) is not int or not 0 <= index < len(sources):
                continue
            used.add(index)
            url, title, words = sources[index]
            known = end is not None and end <= len(data)
            first = _characters(data, start) if known else None
            last = _characters(data, end) if known and end is not None else None
            found.append(Citation(url, title, words, first, last, raw=support))
    found += [Citation(*source) for index, source in enumerate(sources) if index not in used]
    return found


def _characters(data: bytes, count: int) -> int:
    return len(data[:count].decode(errors="ignore"))


def _source(chunk: Mapping[str, object]) -> tuple[str | None, str | None, str]:
    source = next((as_map(value) for value in chunk.values() if isinstance(value, dict)), {})  # web, maps, ...
    return as_text(source.get("uri")), as_text(source.get("title")), as_text(source.get("text")) or ""


def _list(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
