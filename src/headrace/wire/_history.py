"""
What of a conversation may go to which vendor.

A signature, an encrypted thought or a server's own tool call is read by the vendor that wrote it alone; any other
refuses it, or takes it for something else. So a part goes back to its origin unchanged. To another vendor goes what it
means in words that all share, or nothing, which is told. The ids of calls are names that only join a call with its
result: another vendor's id that this one would refuse becomes another. Knows no vendor's format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from .._types import AIMessage, CacheBreakpoint, Part, ReasoningPart, TextPart, ToolCall, ToolResultPart, VendorPart

__all__ = ("History", "with_ids")


class History:
    """The parts of a conversation as `provider` takes them; `dropped` has a sentence for each kind that it does not."""

    def __init__(self, provider: str, *, breakpoints: bool = False) -> None:
        self._provider, self._breakpoints = provider, breakpoints
        self._dropped: dict[str, None] = {}

    @property
    def dropped(self) -> tuple[str, ...]:
        """What was left out, each once."""
        return tuple(self._dropped)

    def drop(self, what: str) -> None:
        """Note that something was left out."""
        self._dropped[f"{self._provider}: {what}: left out"] = None

    def instructions(self, messages: Sequence[AIMessage]) -> list[AIMessage]:
        """The system messages, for a format in which they all stand before the first turn."""
        if any(one.role != "system" and then.role == "system" and then.content for one, then in pairwise(messages)):
            self.drop("the place of a system message behind others")
        return [message for message in messages if message.role == "system"]

    def own(self, message: AIMessage) -> Iterator[Part]:
        """The parts of one message that may be sent."""
        return self.of(message.parts)

    def of(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Those of these parts that may be sent, each as it may be."""
        for part in parts:
            found = self._own(part)
            if found is not None:
                yield found

    def _own(self, part: Part) -> Part | None:
        if isinstance(part, VendorPart) and part.origin != self._provider:
            if part.shared == TextPart(""):
                return None  # it says nothing beside the parts around it
            if part.shared is None:
                self.drop(f"what only {part.origin} understands ({part.data.get('type', 'of no type')})")
                return None
            return self._own(part.shared)
        if isinstance(part, ReasoningPart) and part.origin not in {None, self._provider}:
            self.drop(f"the reasoning of {part.origin}")
            return None
        if isinstance(part, CacheBreakpoint) and not self._breakpoints:
            self.drop("a cache breakpoint, which this vendor does not take")
            return None
        return part


def with_ids(messages: Sequence[AIMessage], provider: str, taken: str) -> Sequence[AIMessage]:
    """
    The conversation with ids of calls that `provider` takes. Those of its own calls stay as they are.

    Gemini and Ollama may give none ("") and Moonshot "functions.weather:0", which no other vendor takes; some servers
    give the same id in every turn.

    Args:
        messages: the conversation.
        provider: where it goes.
        taken: a regular expression that an id must match as a whole; nine letters and digits always do.
    """
    ids = _Ids(provider, re.compile(taken), {part.id for one in messages for part in _calls(one)})
    return [ids.of(message) for message in messages]


def _calls(message: AIMessage) -> Iterator[ToolCall]:
    if not isinstance(message.content, str):
        yield from (part for part in message.content if isinstance(part, ToolCall))


@dataclass(slots=True)
class _Ids:
    provider: str
    taken: re.Pattern[str]
    known: set[str]
    used: set[str] = field(default_factory=set)
    open: list[tuple[ToolCall, str]] = field(default_factory=list)  # calls without a result so far, and their new ids
    count: int = 0

    def of(self, message: AIMessage) -> AIMessage:
        if isinstance(message.content, str):
            if message.role != "tool" or not message.name:
                return message
            return replace(message, name=self._answered(message.name, None))
        if not any(isinstance(part, ToolCall | ToolResultPart) for part in message.content):
            return message
        return replace(message, content=[self._part(part) for part in message.content])

    def _part(self, part: Part) -> Part:
        if isinstance(part, ToolCall):
            new = self._fitting(part)
            self.used.add(new)
            self.open.append((part, new))
            return part if new == part.id else replace(part, id=new)
        if isinstance(part, ToolResultPart):
            new = self._answered(part.call_id, part.name)
            return part if new == part.call_id else replace(part, call_id=new)
        return part

    def _fitting(self, call: ToolCall) -> str:
        if call.origin == self.provider or (self.taken.fullmatch(call.id) and call.id not in self.used):
            return call.id
        while True:
            self.count += 1
            if (new := f"call{self.count:05}") not in self.known:
                return new

    def _answered(self, ident: str, name: str | None) -> str:
        """The new id of the first call without a result that this one answers."""
        for place, (call, new) in enumerate(self.open):
            if call.id == ident and (ident or not name or call.name == name):
                del self.open[place]
                return new
        return ident
