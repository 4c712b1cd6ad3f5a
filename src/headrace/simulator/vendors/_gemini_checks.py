"""
What Gemini refuses, and what it reads out of a request.

Checked as the vendor does, from the request alone: a thought signature comes back as it was written, with its part; in
the current turn, from the user's last words on, a model that thinks wants one on the first call of each step; a turn of
responses follows the turn of its calls. Words: those of the vendor's answers. Source:
ai.google.dev/gemini-api/docs/thought-signatures, read 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from headrace.simulator.asked import Asked
from headrace.simulator.seal import Seal

from ._base import Request, listed, mapping

__all__ = ("asked", "complaint", "signed_text", "thinks")

Turns: TypeAlias = Sequence[tuple[object, Sequence[Mapping[str, object]]]]  # role, parts

# Documented stand-ins for signatures of calls that no Gemini made.
_UNSIGNED: Final = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
_STANDARD: Final = str.maketrans("-_", "+/")
_GENERATION: Final = re.compile(r"gemini-(\d+)")


def thinks(model: str) -> bool:
    """Whether the model insists on its signatures: from the third generation on."""
    found = _GENERATION.match(model)
    return found is not None and int(found[1]) >= 3


def signed_text(name: object, args: object) -> str:
    """What the signature of a call is a proof of, however its arguments were written down in between."""
    return json.dumps([name, args or {}], sort_keys=True)


def complaint(request: Request, model: str) -> str | None:
    """What is wrong with the request."""
    contents = listed(request.fields.get("contents"))
    if not contents:
        return "* GenerateContentRequest.contents: contents is not specified\n"
    turns = [
        (mapping(content).get("role"), [mapping(part) for part in listed(mapping(content).get("parts"))])
        for content in contents
    ]
    for index, (_, parts) in enumerate(turns):
        if not parts:
            return f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n"
    return _signed(turns, request.seal) or _pairs(turns) or (_missing(turns) if thinks(model) else None)


def _signed(turns: Turns, seal: Seal) -> str | None:
    for part in (part for _, parts in turns for part in parts):
        signature = part.get("thoughtSignature")
        if signature is None or signature in _UNSIGNED:
            continue
        # Bytes in JSON may be written in either alphabet (ProtoJSON): Google's SDK sends the other than it received.
        signature = str(signature).translate(_STANDARD)
        call = mapping(part.get("functionCall"))
        kind, text = ("call", signed_text(call.get("name"), call.get("args"))) if call else ("thought", "")
        if seal.check(kind, text, signature) != "good":
            return "Corrupted thought signature."
    return None


def _pairs(turns: Turns) -> str | None:
    calls = 0
    for _, parts in turns:
        answers = sum("functionResponse" in part for part in parts)
        if answers and not calls:
            return "Please ensure that function response turn comes immediately after a function call turn."
        if calls and answers != calls:
            return (
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        calls = sum("functionCall" in part for part in parts)
    return None


def _missing(turns: Turns) -> str | None:
    asked_at = max(
        (at for at, (role, parts) in enumerate(turns) if role != "model" and any("text" in part for part in parts)),
        default=0,
    )
    for index, (_, parts) in enumerate(turns[asked_at:], asked_at):
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            name = mapping(first["functionCall"]).get("name")
            return (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {index + 1}."
            )
    return None


def asked(request: Request) -> Asked:
    """The schema of the generation config, and the functions that the calling config leaves."""
    config = mapping(request.fields.get("generationConfig"))
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is None and config.get("responseMimeType") == "application/json":
        schema = {"type": "object"}
    declared = [
        mapping(function)
        for tool in map(mapping, listed(request.fields.get("tools")))
        for function in listed(tool.get("functionDeclarations"))
    ]
    tools = {str(one.get("name")): one.get("parametersJsonSchema") or one.get("parameters") for one in declared}
    calling = mapping(mapping(request.fields.get("toolConfig")).get("functionCallingConfig"))
    if allowed := listed(calling.get("allowedFunctionNames")):
        tools = {name: rules for name, rules in tools.items() if name in allowed}
    thinking = mapping(config.get("thinkingConfig"))
    return Asked(
        schema=schema,
        tools=tools,
        forced=calling.get("mode") == "ANY",
        thoughts=thinking.get("includeThoughts") is not False,
    )
