"""
Gemini's grounding as citations.

Grounding has sources, and segments of the answer that they support. A segment is counted in bytes of UTF-8, from the
beginning of its part, and no part of a stream is known to be the one that is meant: so its place is trusted where it
holds the segment's own words, else it is where these words stand once. Knows no streams. Source: the generateContent
reference (GroundingMetadata, Segment), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._types import Citation
from ._shared import as_count, as_map, as_text

__all__ = ("citations",)


def citations(grounding: Mapping[str, object], text: str) -> list[Citation]:
    """The sources, once for each segment of `text` that they support; those that support none at the end."""
    sources = [_source(chunk) for chunk in _objects(grounding.get("groundingChunks"))]
    data, used = text.encode(), set[int]()
    found: list[Citation] = []
    for support in _objects(grounding.get("groundingSupports")):
        start, end = _place(as_map(support.get("segment")), data)
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if type(index) is int and 0 <= index < len(sources):
                used.add(index)
                url, title, words = sources[index]
                found.append(Citation(url, title, words, start, end, raw=support))
    found += [Citation(*source) for index, source in enumerate(sources) if index not in used]
    return found


def _place(segment: Mapping[str, object], data: bytes) -> tuple[int, int] | tuple[None, None]:
    """The characters of a segment of these bytes, where they are known."""
    start, end = as_count(segment.get("startIndex")) or 0, as_count(segment.get("endIndex"))
    if (words := as_text(segment.get("text"))) is not None:
        said = words.encode()
        if data[start:end] != said:
            start = data.find(said)
            if start < 0 or data.find(said, start + 1) >= 0:
                return None, None
        end = start + len(said)
    elif as_count(segment.get("partIndex")):
        return None, None
    if end is None or not start <= end <= len(data):
        return None, None
    return _characters(data, start), _characters(data, end)


def _characters(data: bytes, count: int) -> int:
    return len(data[:count].decode(errors="ignore"))


def _source(chunk: Mapping[str, object]) -> tuple[str | None, str | None, str]:
    """URL, title and words of a source: a page, a place, an image, or a document that was retrieved."""
    source = next((as_map(value) for value in chunk.values() if isinstance(value, dict)), {})
    url = as_text(source.get("uri")) or as_text(source.get("sourceUri"))
    return url, as_text(source.get("title")), as_text(source.get("text")) or ""


def _objects(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
