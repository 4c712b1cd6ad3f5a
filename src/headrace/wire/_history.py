"""
What of a conversation may go to which vendor.

A signature, an encrypted thought or a server's own tool call is read by the vendor that wrote it alone; any other
refuses it, or takes it for something else. So a part goes back to its origin unchanged. To another vendor goes what it
means in words that all share, or nothing, which is told. Knows no vendor's format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .._types import AIMessage, CacheBreakpoint, Part, ReasoningPart, TextPart, VendorPart

__all__ = ("History",)


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
