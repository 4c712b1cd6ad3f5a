"""
Files of a message, read when its request is made. Only `Path` objects are read from disk, never strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

from anyio import Path

from .._types import AIMessage, AudioPart, DocumentPart, ImagePart, Part, ToolResultPart

__all__ = ("loaded",)

_Any = TypeVar("_Any", bound=Part)


async def loaded(messages: Sequence[AIMessage]) -> Sequence[AIMessage]:
    """
    The messages with every `Path` read.

    Raises:
        ValueError: a suffix that has no known media type, where none is given.
        OSError: a file cannot be read.
    """
    if not any(_has_file(message.content) for message in messages):
        return messages
    return [
        replace(message, content=[await _read(part) for part in message.content])
        if not isinstance(message.content, str)
        else message
        for message in messages
    ]


def _has_file(content: str | Sequence[Part]) -> bool:
    if isinstance(content, str):
        return False
    return any(
        _has_file(part.content)
        if isinstance(part, ToolResultPart)
        else isinstance(part, ImagePart | DocumentPart | AudioPart) and not isinstance(part.source, bytes | str)
        for part in content
    )


async def _read(part: _Any) -> _Any:
    if isinstance(part, ToolResultPart) and not isinstance(part.content, str):
        return replace(part, content=[await _read(one) for one in part.content])
    if not isinstance(part, ImagePart | DocumentPart | AudioPart) or isinstance(part.source, bytes | str):
        return part
    media_type = part.media_type or _guessed(part.source.suffix)
    if media_type is None:
        raise ValueError(f"{part.source.name!r} has no known media type: give media_type='image/png' or the like")
    data = await Path(part.source).read_bytes()
    if isinstance(part, DocumentPart):
        return replace(part, source=data, media_type=media_type, name=part.name or part.source.name)
    return replace(part, source=data, media_type=media_type)


def _guessed(suffix: str) -> str | None:
    return _MEDIA_TYPES.get(suffix.lower())


_MEDIA_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
}
