"""
Gemini's function calls in pieces.

A call in pieces is a list of paths and values (`$.places[0].name`), of which a text may go on in the next piece; joined
they are one JSON object. Numbers keep their digits. Knows no streams. Source: the guide to function calling (streamed
arguments) and RFC 9535 for the paths, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from ._gemini_events import FunctionCall

__all__ = ("PartialArgs",)

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
DEPTH: Final = 64  # steps of a path; no schema is deeper


class _Piece(msgspec.Struct, rename="camel"):
    json_path: str
    string_value: str | None = None
    number_value: msgspec.Raw = msgspec.Raw()
    bool_value: bool | None = None
    null_value: object = msgspec.UNSET


class _Text:
    """A text that may go on."""

    __slots__ = ("pieces",)

    def __init__(self, text: str) -> None:
        self.pieces = [text]

    def __str__(self) -> str:
        return "".join(self.pieces)


_decode_pieces: Final = msgspec.json.Decoder(list[_Piece]).decode
_decode_given: Final = msgspec.json.Decoder(dict[str, object]).decode


class PartialArgs:
    """The arguments of the call `name`, as far as they have come; `given` is what came with its beginning."""

    __slots__ = ("_ident", "_name", "_value")

    def __init__(self, name: str, given: msgspec.Raw, ident: str | None = None) -> None:
        self._name, self._ident = name, ident
        self._value: dict[str, object] = _decode_given(given) if bytes(given) not in {b"", b"null"} else {}

    def goes_on_in(self, call: FunctionCall) -> bool:
        """Whether this is the next piece although it has a name: it has the same id, or brings pieces of its own."""
        if call.name != self._name:
            return False
        return call.id == self._ident if call.id and self._ident else bool(bytes(call.partial))

    def take(self, pieces: msgspec.Raw) -> None:
        """
        Put these pieces in their places.

        Raises:
            ValueError: a path is none, or leads where something else stands.
        """
        for piece in _decode_pieces(pieces):
            self._put(piece)

    def joined(self) -> str:
        """The object as JSON."""
        return msgspec.json.encode(self._value, enc_hook=str).decode()

    def _put(self, piece: _Piece) -> None:
        steps = list(_steps(piece.json_path))
        if not steps or len(steps) > DEPTH or not isinstance(steps[0], str):
            raise ValueError(f"a piece of arguments at {piece.json_path[:80]!r}")
        value: object = None
        if piece.string_value is not None:
            value = _Text(piece.string_value)
        elif bytes(piece.number_value):
            value = piece.number_value
        elif piece.bool_value is not None:
            value = piece.bool_value
        elif piece.null_value is msgspec.UNSET:
            return  # it only says that a text has ended
        home: object = self._value
        for step, following in pairwise(steps):
            home = _at(home, step, [] if isinstance(following, int) else {})
        _set(home, steps[-1], value)


def _steps(path: str) -> Iterator[str | int]:
    at = 1
    while at < len(path):
        found = _STEP.match(path, at) if path.startswith("$") else None
        if found is None:
            raise ValueError(f"a path {path[:80]!r}")
        name, index, single, double = found.groups()
        yield int(index[:9]) if index is not None else next(one for one in (name, single, double) if one is not None)
        at = found.end()


def _at(home: object, step: str | int, new: object) -> object:
    """What stands at this step; `new` is put there if there is nothing yet."""
    if isinstance(home, dict) and isinstance(step, str):
        return home.setdefault(step, new)
    if isinstance(home, list) and isinstance(step, int) and step <= len(home):
        if step == len(home):
            home.append(new)
        return home[step]
    raise ValueError(f"a piece of arguments at {step!r}, where a {type(home).__name__} stands")


def _set(home: object, step: str | int, value: object) -> None:
    before = _at(home, step, value)
    if isinstance(before, _Text) and isinstance(value, _Text) and before is not value:
        before.pieces += value.pieces
    elif isinstance(home, dict):  # noqa: SIM114  # as one condition, mypy takes neither key
        home[step] = value
    elif isinstance(home, list) and isinstance(step, int):
        home[step] = value
