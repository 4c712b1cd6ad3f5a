"""
What Anthropic refuses, and what it reads out of a request.

Checked as the vendor does, from the request alone: thinking comes back as it was signed; a turn with calls begins with
the thinking that went before them; every result has its call in the turn before, every call its result in the turn
after. Words: those of the vendor's answers, 2025-10 to 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from headrace.simulator.asked import Asked
from headrace.simulator.seal import Seal

from ._base import Request, listed, mapping

__all__ = ("asked", "complaint")

Turns: TypeAlias = Sequence[Sequence[Mapping[str, object]]]

_FIELDS: Final = (("model", str), ("max_tokens", int), ("messages", list))
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def complaint(request: Request, *, counting: bool = False) -> str | None:
    """What is wrong with the request; a request to count tokens needs no `max_tokens`."""
    if "anthropic-version" not in request.headers:
        return "anthropic-version: header is required"
    for name, kind in _FIELDS:
        if name == "max_tokens" and counting:
            continue
        if name not in request.fields:
            return f"{name}: Field required"
        if not isinstance(request.fields[name], kind):
            return f"{name}: Input should be a valid {kind.__name__}"
    messages = [mapping(message) for message in listed(request.fields["messages"])]
    if not messages:
        return "messages: at least one message is required"
    turns = [[mapping(block) for block in listed(message.get("content"))] for message in messages]
    thinking = mapping(request.fields.get("thinking")).get("type")
    return _signed(turns, request.seal) or _pairs(messages, turns) or _begun(messages, turns, thinking, request.seal)


def _signed(turns: Turns, seal: Seal) -> str | None:
    for place, block in _blocks(turns):
        if block.get("type") == "thinking":
            verdict = seal.check("thinking", str(block.get("thinking", "")), block.get("signature"))
        elif block.get("type") == "redacted_thinking":
            verdict = seal.check("redacted", "", block.get("data"))
        else:
            continue
        if verdict == "changed":
            return (
                f"{place}: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
                "modified. These blocks must remain as they were in the original response."
            )
        if verdict == "foreign":
            what = "`signature` in `thinking`" if block.get("type") == "thinking" else "`data` in `redacted_thinking`"
            return f"{place}: Invalid {what} block"
    return None


def _blocks(turns: Turns) -> Sequence[tuple[str, Mapping[str, object]]]:
    return [
        (f"messages.{index}.content.{number}", block)
        for index, turn in enumerate(turns)
        for number, block in enumerate(turn)
    ]


def _pairs(messages: Sequence[Mapping[str, object]], turns: Turns) -> str | None:
    called: list[object] = []
    for index, turn in [*_merged(messages, turns), (len(turns), [])]:
        answered = [block.get("tool_use_id") for block in turn if block.get("type") == "tool_result"]
        for ident in answered:
            if ident not in called:
                return (
                    f"messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {ident}. "
                    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
        missing = [str(ident) for ident in called if ident not in answered]
        if missing:
            return (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        called = [block.get("id") for block in turn if block.get("type") == "tool_use"]
    return None


def _merged(
    messages: Sequence[Mapping[str, object]], turns: Turns
) -> Sequence[tuple[int, Sequence[Mapping[str, object]]]]:
    """Neighbours of one role are one turn to the vendor. Each with the index of its first message."""
    merged: list[tuple[int, Sequence[Mapping[str, object]]]] = []
    role: object = None
    for index, (message, turn) in enumerate(zip(messages, turns, strict=True)):
        if merged and message.get("role") == role:
            first, before = merged[-1]
            merged[-1] = (first, [*before, *turn])
        else:
            merged.append((index, turn))
        role = message.get("role")
    return merged


def _begun(messages: Sequence[Mapping[str, object]], turns: Turns, thinking: object, seal: Seal) -> str | None:
    """
    Whether the last turn with calls begins with thinking, where it must.

    With `enabled` always; with `adaptive` where the model thought: it may have called without.
    """
    if thinking not in {"enabled", "adaptive"}:
        return None
    for index in reversed(range(len(turns))):
        calls = [str(block.get("id", "")) for block in turns[index] if block.get("type") == "tool_use"]
        if messages[index].get("role") != "assistant" or not calls:
            continue
        first = turns[index][0].get("type")
        thought = thinking == "enabled" or any(len(ident) > 4 and seal.marked(ident) for ident in calls)
        if first in _THOUGHTS or not thought:
            return None
        return (
            f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks)."
        )
    return None


def asked(request: Request) -> Asked:
    """The schema of `output_config.format`, and the tools that `tool_choice` leaves."""
    wanted = mapping(mapping(request.fields.get("output_config")).get("format"))
    choice = mapping(request.fields.get("tool_choice"))
    tools = {
        str(tool.get("name")): tool.get("input_schema")
        for tool in map(mapping, listed(request.fields.get("tools")))
        if tool.get("type", "custom") == "custom"
    }
    if choice.get("type") == "tool":
        tools = {name: rules for name, rules in tools.items() if name == choice.get("name")}
    return Asked(
        schema=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
        tools=tools,
        forced=choice.get("type") in {"any", "tool"},
        thoughts=mapping(request.fields.get("thinking")).get("display") != "omitted",
    )
