"""
What Chat Completions refuses, and what it reads out of a request; OpenAI's and xAI's.

A tool's result has its call in the turn before it, and every call has its result. Words: those of the vendor's answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.simulator.asked import Asked

from ._base import Refusal, Request, listed, mapping

__all__ = ("asked", "complaint")


def complaint(request: Request) -> Refusal | None:
    """What is wrong with the request."""
    if not isinstance(request.fields.get("model"), str):
        return _refused("you must provide a model parameter", None)
    messages = request.fields.get("messages")
    if not isinstance(messages, list):
        return _refused("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not messages:
        told = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return _refused(told, "messages", "empty_array")
    return _pairs([mapping(message) for message in messages])


def _pairs(messages: list[Mapping[str, object]]) -> Refusal | None:
    calls: set[object] = set()  # of the assistant's last turn
    missing: dict[object, None] = {}  # those of them without a result so far
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in calls:
                told = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                return _refused(f"Invalid parameter: {told}", f"messages.[{index}].role")
            missing.pop(message.get("tool_call_id"), None)
            continue
        if missing:
            return _unanswered(missing, index - 1)
        calls = {mapping(call).get("id") for call in listed(message.get("tool_calls"))}
        missing = dict.fromkeys(mapping(call).get("id") for call in listed(message.get("tool_calls")))
    return _unanswered(missing, len(messages) - 1) if missing else None


def _unanswered(waiting: Mapping[object, None], index: int) -> Refusal:
    told = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    missing = ", ".join(map(str, waiting))
    return _refused(
        f"{told} The following tool_call_ids did not have response messages: {missing}", f"messages.[{index}].role"
    )


def _refused(message: str, param: str | None, code: str = "") -> Refusal:
    return Refusal(400, message=message, param=param, code=code)


def asked(request: Request, *, thoughts: bool) -> Asked:
    """The schema of `response_format`, and the tools that `tool_choice` leaves."""
    wanted = mapping(request.fields.get("response_format"))
    schema = mapping(wanted.get("json_schema")).get("schema") if wanted.get("type") == "json_schema" else None
    if wanted.get("type") == "json_object":
        schema = {"type": "object"}
    functions = [mapping(mapping(tool).get("function")) for tool in listed(request.fields.get("tools"))]
    tools = {str(function.get("name")): function.get("parameters") for function in functions if function}
    choice = request.fields.get("tool_choice")
    named = mapping(mapping(choice).get("function")).get("name")
    if isinstance(named, str):
        tools = {name: rules for name, rules in tools.items() if name == named}
    return Asked(schema=schema, tools=tools, forced=choice == "required" or named is not None, thoughts=thoughts)
