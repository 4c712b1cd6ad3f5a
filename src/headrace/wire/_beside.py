"""
What the formats beside chat have in common: reading a JSON body strictly, and lists of vectors.

Here a body that is not as it should be is an error: a vector that is missing, or one too many, would be another text's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from .._units import parse_date
from ._codec import undecodable
from ._shared import MALFORMED, as_count

__all__ = ("as_time", "checked", "decoded")

T = TypeVar("T", bound=msgspec.Struct)


def decoded(kind: type[T], body: bytes, *, provider: str, request_id: str | None) -> T:
    """
    The body as a struct.

    Raises:
        UndecodableEventError: it is no such thing.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except MALFORMED as exc:
        raise undecodable(provider, body.decode(errors="replace"), exc, request_id=request_id) from exc


def checked(
    vectors: Sequence[tuple[float, ...]], count: int, body: bytes, *, provider: str, request_id: str | None
) -> Sequence[tuple[float, ...]]:
    """
    The vectors, if there are so many.

    Raises:
        UndecodableEventError: there are more or fewer.
    """
    if len(vectors) != count:
        why = ValueError(f"{len(vectors)} vectors for {count} texts")
        raise undecodable(provider, body.decode(errors="replace"), why, request_id=request_id)
    return vectors


def as_time(value: object) -> float | None:
    """Unix seconds, given as such or as an RFC 3339 date; None for anything else."""
    if isinstance(value, str):
        return parse_date(value)
    count = as_count(value)
    return None if count is None else float(count)
