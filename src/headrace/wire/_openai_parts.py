"""
What OpenAI's two formats have in common: the words for tools, schemas, media and cache breakpoints, and citations.

Each format puts them elsewhere; the values are the same. Knows no message and no option as a whole. Source: OpenAI's
API reference and SDK types, 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final, TypeAlias

from .. import _schema
from .._types import AudioPart, CacheBreakpoint, Citation, DocumentPart, ImagePart, PromptCache, Reasoning, Tool
from ..errors import UnsupportedOptionError
from ._shared import as_count, as_map, as_text, data_uri, inline, schema_name

__all__ = (
    "TOOL_CHOICES",
    "JSONObject",
    "audio",
    "breakpoint_of",
    "cache_fields",
    "citation",
    "function",
    "image",
    "json_schema",
    "reasoning",
    "unsupported",
    "url",
)

JSONObject: TypeAlias = dict[str, object]

TOOL_CHOICES: Final = ("auto", "none", "required")

_AUDIO_FORMATS: Final[Mapping[str, str]] = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def unsupported(provider: str, option: str, why: str) -> UnsupportedOptionError:
    """The error for an option that has no place; `option` is its name in `GenerationConfig`, or "messages"."""
    return UnsupportedOptionError(f"{provider}: {why}", option=option)


# ---------------------------------------------------------------- requests


def function(tool: Tool) -> JSONObject:
    """A tool without its frame, which is another in each format."""
    body: JSONObject = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        body["description"] = tool.description
    if tool.strict is not None:
        body["strict"] = tool.strict
    return body


def json_schema(schema: Mapping[str, object], *, can_be_strict: bool = True) -> JSONObject:
    """A schema for the answer. `strict` goes with one that the vendor can enforce: any other it would refuse."""
    body: JSONObject = {"name": schema_name(schema), "schema": schema}
    is_object = schema.get("type") == "object" and "anyOf" not in schema  # at the root no choice and no reference
    return body | {"strict": True} if can_be_strict and is_object and _schema.is_strict(schema) else body


def reasoning(wanted: str | int | Reasoning) -> Reasoning:
    """The caller's wish in its one long form. A budget of 0 has a word everywhere."""
    match wanted:
        case str():
            return Reasoning(effort=wanted)
        case 0 | Reasoning(effort=None, budget=0):
            return Reasoning(effort="none", show=wanted.show if isinstance(wanted, Reasoning) else None)
        case int():
            return Reasoning(budget=wanted)
    return wanted


def cache_fields(provider: str, known: frozenset[str], cache: PromptCache) -> JSONObject:
    """How the prompt cache is used, in the fields of either format; `known` are those that the server has."""
    for name in ("key", "ttl", "name"):
        if getattr(cache, name) is not None and name not in known:
            raise unsupported(provider, "cache", f"the server's prompt cache has no {name}: leave it out")
    body: JSONObject = {}
    if cache.key is not None:
        body["prompt_cache_key"] = cache.key
    if cache.ttl is not None:
        body["prompt_cache_options"] = {"ttl": cache.ttl}
    return body


def breakpoint_of(part: CacheBreakpoint) -> JSONObject:
    """What a part bears that ends a prefix to be cached."""
    body: JSONObject = {"mode": "explicit"}
    return body if part.ttl is None else body | {"ttl": part.ttl}


def url(part: ImagePart | DocumentPart, *, provider: str) -> str:
    """The part's own URL, or a `data:` URI of its bytes."""
    found = inline(part, provider=provider)
    return data_uri(*found) if found is not None else str(part.source)


def audio(part: AudioPart, *, provider: str) -> JSONObject:
    """
    Recorded sound.

    Raises:
        UnsupportedOptionError: a media type that the formats have no word for, or a URL.
    """
    found = inline(part, provider=provider)
    if found is None:
        raise unsupported(provider, "messages", "recorded sound has no URL here: give its bytes or a Path")
    media_type, data = found
    if media_type not in _AUDIO_FORMATS:
        raise unsupported(provider, "messages", f"{media_type!r} has no place here: give audio/wav or audio/mpeg")
    return {"data": data, "format": _AUDIO_FORMATS[media_type]}


# ---------------------------------------------------------------- answers


def image(source: object, media_type: str = "image/png") -> ImagePart | None:
    """An image from its `data:` URI, another URL, or bare base64 of `media_type`; None for what is none of these."""
    if not isinstance(source, str) or not source:
        return None
    data = source
    if source[:5].lower() == "data:":
        media_type = source[5:64].split(";", 1)[0] or media_type
        data = source.partition(",")[2]
    elif "://" in source[:16]:
        return ImagePart(source)
    try:
        return ImagePart(base64.b64decode(data), media_type)
    except ValueError:
        return None


def citation(raw: Mapping[str, object], *, base: int = 0) -> Citation:
    """
    An annotation of either format: Chat Completions has its fields one level down.

    Args:
        raw: the vendor's object.
        base: where in the content the text begins that its places are counted from.
    """
    told = as_map(raw.get("url_citation")) or raw
    start, end = as_count(told.get("start_index")), as_count(told.get("end_index"))
    return Citation(
        as_text(told.get("url")),
        as_text(told.get("title")) or as_text(told.get("filename")),
        as_text(told.get("content")) or "",
        None if start is None else start + base,
        None if end is None else end + base,
        raw,
    )
