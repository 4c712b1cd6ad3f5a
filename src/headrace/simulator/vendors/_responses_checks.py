"""
What the Responses API refuses, and what it reads out of a request.

Checked as the vendor does, from the request alone: reasoning comes back as it was written, and not alone; every output
has its call and every call its output. Words: those of the vendor's answers, 2025-10 to 2026-08. With
`previous_response_id` the other half of a pair may lie with the vendor: nothing is said of it then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace.simulator.asked import Asked
from headrace.simulator.seal import Seal

from ._base import Refusal, Request, listed, mapping

__all__ = ("asked", "complaint")

# What has another name here than in chat, or does not exist.
_MOVED: Final = {"messages": "input", "response_format": "text.format", "max_completion_tokens": "max_output_tokens"}
_UNKNOWN: Final = ("seed", "stop", "n", "logit_bias", "max_tokens")
# What may follow upon reasoning.
_AFTER: Final = frozenset({"message", "function_call", "web_search_call", "image_generation_call", "reasoning"})


def complaint(request: Request) -> Refusal | None:
    """What is wrong with the request."""
    fields = request.fields
    if not isinstance(fields.get("model"), str):
        return _refused("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    for name, place in _MOVED.items():
        if name in fields:
            told = f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{place}'."
            return _refused(told, name, "unsupported_parameter")
    for name in _UNKNOWN:
        if name in fields:
            return _refused(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    given = fields.get("input")
    stored = fields.get("previous_response_id") is not None
    if given is None and not stored:
        wanted = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
        return _refused(wanted, "input", "missing_required_parameter")
    if not isinstance(given, str | list | None):
        told = "Invalid type for 'input': expected one of an array of objects or string."
        return _refused(told, "input", "invalid_type")
    items = [mapping(item) for item in listed(given)]
    return _reasoning(items, request.seal) or (None if stored else _pairs(items))


def _reasoning(items: list[Mapping[str, object]], seal: Seal) -> Refusal | None:
    for index, item in enumerate(items):
        ident, kind = str(item.get("id", "")), item.get("type", "message")
        if kind == "reasoning":
            content = item.get("encrypted_content")
            if content is not None and seal.check("reasoning", "", content) != "good":
                shown = f"{str(content)[:4]}...{str(content)[-4:]}"
                told = f"The encrypted content {shown} could not be verified."
                return _refused(told, None, "invalid_encrypted_content")
            after = items[index + 1] if index + 1 < len(items) else {}
            if after.get("type", "message") not in _AFTER or after.get("role", "assistant") != "assistant":
                told = f"Item '{ident}' of type 'reasoning' was provided without its required following item."
                return _refused(told, "input", None)
        elif kind == "function_call" and len(ident) > 4 and seal.marked(ident) and not _thought(items[:index]):
            told = f"Item '{ident}' of type 'function_call' was provided without its required 'reasoning' item."
            return _refused(told, "input", None)
    return None


def _thought(before: list[Mapping[str, object]]) -> bool:
    """Whether the answer that these items end with began with reasoning."""
    for item in reversed(before):
        if item.get("type") == "reasoning":
            return True
        if item.get("type") == "function_call_output" or item.get("role", "assistant") != "assistant":
            return False
    return False


def _pairs(items: list[Mapping[str, object]]) -> Refusal | None:
    open_calls: dict[object, None] = {}
    seen: set[object] = set()
    for item in items:
        ident = item.get("call_id")
        if item.get("type") == "function_call":
            open_calls[ident] = None
            seen.add(ident)
        elif item.get("type") == "function_call_output":
            if ident not in seen:
                return _refused(f"No tool call found for function call output with call_id {ident}.", "input", None)
            open_calls.pop(ident, None)
    if open_calls:
        return _refused(f"No tool output found for function call {next(iter(open_calls))}.", "input", None)
    return None


def _refused(message: str, param: str | None, code: str | None) -> Refusal:
    return Refusal(400, message=message, param=param, code=code or "")


def asked(request: Request) -> Asked:
    """The schema of `text.format`, and the tools that `tool_choice` leaves."""
    wanted = mapping(mapping(request.fields.get("text")).get("format"))
    schema = wanted.get("schema") if wanted.get("type") == "json_schema" else None
    if wanted.get("type") == "json_object":
        schema = {"type": "object"}
    tools = {
        str(tool.get("name")): tool.get("parameters")
        for tool in map(mapping, listed(request.fields.get("tools")))
        if tool.get("type") == "function"
    }
    choice = request.fields.get("tool_choice")
    if isinstance(choice, dict):
        named = [choice, *map(mapping, listed(choice.get("tools")))]
        tools = {name: rules for name, rules in tools.items() if any(one.get("name") == name for one in named)}
    forced = choice == "required" or (isinstance(choice, dict) and choice.get("mode", "required") == "required")
    return Asked(schema=schema, tools=tools, forced=forced)
