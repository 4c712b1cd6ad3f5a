"""
What stands beside the words of Chat Completions: reasoning that must go back, citations, sources, images.

Servers other than OpenAI brought most of it. What has a type here becomes a part; all of it is handed on raw as well.
Knows no streams, no errors. Source: OpenAI's API reference; OpenRouter's guides to reasoning and to images,
Perplexity's API reference, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .._types import Citation, ImagePart, ReasoningPart, VendorPart
from ._openai_chunks import Delta, Event, ToolCall
from ._openai_messages import CUSTOM, REASONING_DETAILS
from ._openai_parts import citation, image
from ._shared import as_map, as_text

__all__ = ("CustomCalls", "Details", "Sources", "annotated", "images")

_WORDS: Final = ("text", "summary")  # fields of a detail that come in pieces


class Details:
    """
    The details of the reasoning, put together: they come in pieces, and the vendor wants them back whole.

    A piece belongs to the last detail if it has its type and index, and both are words; a signature ends it.
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[dict[str, object]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, pieces: Sequence[Mapping[str, object]]) -> None:
        """The next pieces, in their order."""
        for piece in pieces:
            last = self._found[-1] if self._found else {}
            field = next((name for name in _WORDS if isinstance(piece.get(name), str)), "")
            is_next = all(last.get(name) == piece.get(name) for name in ("type", "index")) and not last.get("signature")
            if not (last and is_next and (field in last or piece.get("signature"))):
                self._found.append(dict(piece))
                continue
            words = f"{last.get(field) or ''}{piece[field]}" if field else None
            last.update({name: value for name, value in piece.items() if value is not None})
            if field:
                last[field] = words

    def take(self, provider: str) -> tuple[VendorPart, ...]:
        """All that was added, as a part; none if there was nothing."""
        if not self._found:
            return ()
        found, self._found = self._found, []
        text = "".join(str(detail.get(name) or "") for detail in found for name in _WORDS)
        shared = ReasoningPart(text, origin=provider) if text else None
        return (VendorPart(provider, {REASONING_DETAILS: found}, shared),)


class CustomCalls:
    """
    Calls of tools that take text of any grammar, put together: no function is called, so they go back as they came.

    A piece belongs to the call with its index; without one, an id begins a call.
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[object, tuple[str | None, dict[str, object], list[str]]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, pieces: Sequence[ToolCall]) -> Iterator[Mapping[str, object]]:
        """The pieces among these, as they are handed on."""
        for piece in pieces:
            if piece.custom is None:
                continue
            last = next(reversed(self._found), None)
            key: object = piece.index if piece.index is not None else piece.id or last
            _, custom, words = self._found.setdefault(key, (piece.id, {}, []))
            custom.update({name: value for name, value in piece.custom.items() if value})
            words.append(as_text(piece.custom.get("input")) or "")
            yield {"tool_calls": [{"index": piece.index, "id": piece.id, "type": CUSTOM, "custom": piece.custom}]}

    def take(self, provider: str) -> tuple[VendorPart, ...]:
        """The calls, whole."""
        found, self._found = self._found, {}
        return tuple(
            VendorPart(provider, {"id": ident, "type": CUSTOM, CUSTOM: {**custom, "input": "".join(words)}})
            for ident, custom, words in found.values()
        )


def annotated(delta: Delta) -> Iterator[Citation]:
    """The sources that are named at places of the text."""
    for raw in delta.annotations if isinstance(delta.annotations, list) else ():
        if isinstance(raw, dict) and raw.get("type") == "url_citation":
            yield citation(raw)


def images(delta: Delta) -> Iterator[ImagePart]:
    """The images that were made."""
    for raw in delta.images if isinstance(delta.images, list) else ():
        found = image(as_map(as_map(raw).get("image_url")).get("url"))
        if found is not None:
            yield found


class Sources:
    """Lists of sources, which come with every event and count when they change; each source is told once."""

    __slots__ = ("_lists", "_urls")

    def __init__(self) -> None:
        self._lists: dict[str, object] = {}
        self._urls: set[str] = set()

    def __len__(self) -> int:
        return len(self._urls)

    def take(self, event: Event) -> tuple[list[Mapping[str, object]], list[Citation]]:
        """The lists that changed, as they came, and the sources in them that are new."""
        lists: list[Mapping[str, object]] = []
        found: list[Citation] = []
        # One may be in both lists: the second has its title.
        for key, sources in (("search_results", event.search_results), ("citations", event.citations)):
            if not sources or sources == self._lists.get(key):
                continue
            self._lists[key] = sources
            lists.append({key: sources})
            for source in sources:
                url = as_text(source) or as_text(as_map(source).get("url"))
                if url is not None and url not in self._urls:
                    self._urls.add(url)
                    found.append(_source(url, source))
        return lists, found


def _source(url: str, source: object) -> Citation:
    if not isinstance(source, dict):
        return Citation(url)
    return Citation(url, as_text(source.get("title")), as_text(source.get("snippet")) or "", raw=source)
