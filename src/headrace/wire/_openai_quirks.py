"""
How servers of Chat Completions differ from one another, as data.

Knows no server by name but OpenAI's and xAI's own; the others' are rows of the providers' table. Source: OpenAI's API
reference and SDK types, docs.x.ai, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ("COMPATIBLE", "GROK", "OPENAI", "Quirks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """
    How a server differs from the others.

    Attributes:
        fields: options of `GenerationConfig` whose field has another name here, or exists here only; "" for none.
        refuses: options that the server has no field for at all.
        names: whether a message may bear its author's name.
        schemas: whether it takes JSON schemas for the answer, and knows `strict`.
        reasoning: how its reasoning is asked for: by an effort word, or by an object that also has a budget.
        reasoning_field: where in a message of the assistant it takes its reasoning back: a field of that name, or
            "content" for parts of that; "" where it takes none. `reasoning_details` go back wherever they came from.
        call_ids: what an id of another vendor's call must match. OpenAI takes up to 40 characters.
        cache: which of "key", "ttl" and "breakpoint" its prompt cache knows.
        stream_options: sent with every stream.
        reasoning_apart: `completion_tokens` leaves out the reasoning that was billed beside it.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    names: bool = True
    schemas: Literal["strict", "plain", "none"] = "strict"
    reasoning: Literal["effort", "object"] = "effort"
    reasoning_field: Literal["", "reasoning_content", "reasoning", "content"] = ""
    call_ids: str = ".{1,40}"
    cache: frozenset[str] = frozenset()
    stream_options: Mapping[str, object] = field(default_factory=lambda: {"include_usage": True})
    reasoning_apart: bool = False


# Obfuscation pads every delta against readers of packet sizes; it costs a quarter of the bytes. `extra` can ask for it.
OPENAI: Final = Quirks(
    cache=frozenset({"key", "ttl", "breakpoint"}),
    stream_options={"include_usage": True, "include_obfuscation": False},
)
GROK: Final = Quirks(refuses=frozenset({"metadata"}), cache=frozenset({"key"}), reasoning_apart=True)
# What every server knows: the old name of max_tokens, and schemas without a promise.
COMPATIBLE: Final = Quirks(fields={"max_tokens": "max_tokens"}, schemas="plain")
