"""
The function calls of one answer of the Responses API: which call a piece belongs to, and what of it has been told.

Knows no streams and no other items. Source: OpenAI's API reference and SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .._types import ToolCallDelta
from ._responses_items import NO_INDEX

__all__ = ("Calls",)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


class _Call(msgspec.Struct, gc=False):
    """What of a call has been said: its number among the calls, its id and name, whether there were arguments."""

    number: int
    id: str = ""
    name: str = ""
    spoken: bool = False
    ended: bool = False


class Calls:
    """
    The function calls of one answer, and what of each has been told.

    An event belongs to a call by its place in the output, else by its item's id: there are servers that leave out the
    first, and servers that make up the second anew for each event.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int | str, _Call] = {}

    def __len__(self) -> int:
        return len(self._known)

    def began(self, index: int, item: Mapping[str, object]) -> ToolCallDelta | None:
        """An item was added. Its arguments come in pieces, or with its end."""
        return self._piece(self._call(index, item.get("id")), item)

    def arguments(self, index: int, ident: str | None, text: str, *, whole: bool = False) -> ToolCallDelta | None:
        """A piece of the arguments, or the `whole` of them, which says nothing new after pieces."""
        call = self._call(index, ident)
        return self._piece(call, {}, "" if whole and call.spoken else text)

    def ended(self, index: int, item: Mapping[str, object]) -> ToolCallDelta | None:
        """An item is done: the rest of its call. One that was cut by a limit is done as well, but has not ended."""
        call = self._call(index, item.get("id"))
        text = "" if call.spoken else _string(item.get("arguments"))
        return self._piece(call, item, text, ended=item.get("status") != "incomplete")

    def _call(self, index: int, ident: object) -> _Call:
        key = index if index != NO_INDEX else _string(ident)
        call = self._known.get(key)
        if call is None:
            call = self._known[key] = _Call(len(self._known))
        return call

    def _piece(
        self, call: _Call, item: Mapping[str, object], arguments: str = "", *, ended: bool = False
    ) -> ToolCallDelta | None:
        ident = "" if call.id else _string(item.get("call_id"))
        name = "" if call.name else _string(item.get("name"))
        ended = ended and not call.ended
        if not (ident or name or arguments or ended):
            return None
        call.id, call.name = call.id or ident, call.name or name
        call.spoken |= bool(arguments)
        call.ended |= ended
        return ToolCallDelta(call.number, ident, name, arguments, ended)
