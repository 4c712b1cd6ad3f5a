"""
Pieces of tool calls in, whole calls out. Pure.

A call is a `ToolCall` only when the vendor ended it (its block, its item, or the whole answer) and its arguments parse.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .._types import PartialToolCall, ToolCall, ToolCallDelta

__all__ = ("tool_calls",)


def tool_calls(deltas: Iterable[ToolCallDelta], *, ended: bool, why: str) -> tuple[ToolCall | PartialToolCall, ...]:
    """
    The calls that `deltas` make up, in the order of their first pieces.

    Args:
        deltas: all pieces received.
        ended: whether the whole answer is proven to have ended.
        why: how the answer ended, or that it is still streaming; for the reason of a partial call.
    """
    calls: dict[int, _Building] = {}
    for delta in deltas:
        call = calls.get(delta.index)
        if call is None:
            call = calls[delta.index] = _Building()
        call.id, call.name = delta.id or call.id, delta.name or call.name
        call.arguments.append(delta.arguments)
        call.ended |= delta.ended
    return tuple(call.built(ended=ended, why=why) for call in calls.values())


class _Building:
    __slots__ = ("arguments", "ended", "id", "name")

    def __init__(self) -> None:
        self.id = self.name = ""
        self.arguments: list[str] = []
        self.ended = False

    def built(self, *, ended: bool, why: str) -> ToolCall | PartialToolCall:
        arguments = "".join(self.arguments)
        if not (ended or self.ended):
            return PartialToolCall(self.id, self.name, arguments, f"the call did not end ({why})")
        if arguments.strip():
            try:
                msgspec.json.decode(arguments)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
                return PartialToolCall(self.id, self.name, arguments, f"the arguments are not JSON ({why}): {exc}")
        return ToolCall(self.id, self.name, arguments)
