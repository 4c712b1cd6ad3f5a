"""
Pieces in, the parts of an answer out, in the order in which they came. Pure.

A tool call is a `ToolCall` only when the vendor ended it (its block, its item, or the whole answer) and its arguments
parse. Without any arguments it needs an end of its own, or an answer that the model ended: a limit cuts calls before
their arguments, too. Words need no record of their own: all else is noted with the place in the text where it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from .._types import PartialToolCall, ReasoningPart, ResponsePart, TextPart, ToolCall, ToolCallDelta, VendorPart

__all__ = ("Turn", "tool_calls")

Call: TypeAlias = ToolCall | PartialToolCall

UNCUT: Final = frozenset({"stop", "tool_calls", "pause"})  # finish reasons of an answer that no limit or filter cut


@dataclass(slots=True)
class _Thoughts:
    """Reasoning as it streams, until a part says its final form."""

    pieces: list[str]


@dataclass(slots=True)
class Turn:
    """
    The order of an answer. `provider` is the origin of its reasoning.

    What is noted stands at a place: so many characters of the text came before it.
    """

    provider: str
    _notes: list[tuple[int, ResponsePart | _Thoughts | int]] = field(default_factory=list)  # an int is a call's index
    _called: set[int] = field(default_factory=set)

    def reasoning(self, at: int, text: str) -> None:
        """The next words of reasoning."""
        if self._notes:
            place, last = self._notes[-1]
            if place == at and isinstance(last, _Thoughts):
                last.pieces.append(text)
                return
        self._notes.append((at, _Thoughts([text])))

    def call(self, at: int, index: int) -> None:
        """A piece of the tool call with this index."""
        if index not in self._called:
            self._called.add(index)
            self._notes.append((at, index))

    def part(self, at: int, part: ResponsePart) -> None:
        """What came whole. Reasoning with text is the final form of the words that were streamed just before it."""
        said = part.shared if isinstance(part, VendorPart) else part
        if isinstance(said, ReasoningPart) and said.text and self._notes and isinstance(self._notes[-1][1], _Thoughts):
            at = self._notes.pop()[0]
        self._notes.append((at, part))

    def parts(self, text: str, calls: Mapping[int, Call]) -> tuple[ResponsePart, ...]:
        """All parts, with the words of `text` between them. An empty `TextPart` only marks where a block ended."""
        found, done = list[ResponsePart](), 0
        for at, note in self._notes:
            if at > done:
                found.append(TextPart(text[done:at]))
                done = at
            if isinstance(note, _Thoughts):
                found.append(ReasoningPart("".join(note.pieces), origin=self.provider))
            elif isinstance(note, int):
                found.append(calls[note])
            elif note != TextPart(""):
                found.append(note)
        if len(text) > done:
            found.append(TextPart(text[done:]))
        return tuple(found)


def tool_calls(deltas: Iterable[ToolCallDelta], *, ended: bool, why: str, origin: str) -> dict[int, Call]:
    """
    The calls that `deltas` make up, by index, in the order of their first pieces.

    Args:
        deltas: all pieces received.
        ended: whether the whole answer is proven to have ended.
        why: how the answer ended, or that it is still streaming; for the reason of a partial call.
        origin: the provider.
    """
    calls: dict[int, _Building] = {}
    for delta in deltas:
        call = calls.get(delta.index)
        if call is None:
            call = calls[delta.index] = _Building()
        call.id, call.name = delta.id or call.id, delta.name or call.name
        call.arguments.append(delta.arguments)
        call.ended |= delta.ended
    return {index: call.built(ended=ended, why=why, origin=origin) for index, call in calls.items()}


class _Building:
    __slots__ = ("arguments", "ended", "id", "name")

    def __init__(self) -> None:
        self.id = self.name = ""
        self.arguments: list[str] = []
        self.ended = False

    def built(self, *, ended: bool, why: str, origin: str) -> Call:
        arguments = "".join(self.arguments)
        if not (ended or self.ended):
            return PartialToolCall(self.id, self.name, arguments, f"the call did not end ({why})")
        if not (arguments.strip() or self.ended or why in UNCUT):
            return PartialToolCall(self.id, self.name, arguments, f"the answer ended before the arguments ({why})")
        if arguments.strip():
            try:
                msgspec.json.decode(arguments)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
                return PartialToolCall(self.id, self.name, arguments, f"the arguments are not JSON ({why}): {exc}")
        return ToolCall(self.id, self.name, arguments, origin=origin)
