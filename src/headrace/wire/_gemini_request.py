"""
Gemini generateContent requests: messages and options in, the JSON body out.

Puts in what the caller gave and nothing else; which model takes which option is not known here. A document's name has
no field in this format and is not sent. Source: the generateContent reference and the vendor's SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, TypedDict, assert_never
from urllib.parse import quote

from .._types import (
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    Part,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from ..errors import UnsupportedOptionError
from ._codec import Encoded
from ._history import History
from ._shared import arguments, as_map, dump, inline, schema_of

__all__ = ("encode",)

JSONObject: TypeAlias = dict[str, object]

PROVIDER: Final = "gemini"

LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")

_FIELDS: Final[Mapping[str, str]] = {  # GenerationConfig: generationConfig
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
}
# What stands in for the signature of a call that another vendor's model made, or that was made by hand, as from a log:
# models that think refuse a call without one, and take this word of the vendor's guide to thought signatures for a
# conversation that was moved.
NO_SIGNATURE: Final = "skip_thought_signature_validator"

_MODES: Final[Mapping[str, str]] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def encode(messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
    """The request of `POST /models/{model}:generateContent`; see `Codec.encode`."""
    body: JSONObject = {}
    history = History(PROVIDER)
    system = [part for message in history.instructions(messages) for part in _system_parts(message, history)]
    if system:
        body["systemInstruction"] = {"parts": system}
    turns = [message for message in messages if message.role != "system"]
    names = {part.id: part.name for message in turns for part in message.parts if isinstance(part, ToolCall)}
    contents = _joined([_turn(message, names, history) for message in turns])
    body["contents"] = [content for content in contents if content["parts"] or len(contents) == 1]
    if config.tools is not None:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in config.tools]}]
    if (choice := config.tool_choice) is not None:
        calling: JSONObject = {"mode": _MODES.get(choice, "ANY")}
        if choice not in _MODES:
            calling["allowedFunctionNames"] = [choice]
        body["toolConfig"] = {"functionCallingConfig": calling}
    if config.parallel_tool_calls is not None:
        raise _unsupported("parallel_tool_calls", "how many calls an answer holds cannot be chosen here: leave it out")
    if config.metadata is not None:
        raise _unsupported("metadata", "generateContent keeps no metadata: leave it out")
    if config.cache is not None:
        if config.cache.name is None or config.cache.key is not None or config.cache.ttl is not None:
            raise _unsupported("cache", "a prompt cache is one that was made before: give its name, and no more")
        body["cachedContent"] = config.cache.name
    if config.service_tier is not None:
        body["serviceTier"] = config.service_tier
    if generation := _generation(config):
        body["generationConfig"] = generation
    for name, value in (config.extra or {}).items():
        # Half of a call's own options live in generationConfig: what is put over it must not wipe them out.
        both = name == "generationConfig" and isinstance(value, Mapping)
        body[name] = generation | dict(value) if both and isinstance(value, Mapping) else value
    settings = body.get("generationConfig")
    if isinstance(settings, Mapping) and settings.get("candidateCount", 1) != 1:
        raise _unsupported("extra", "a response is one answer: make n calls in place of candidateCount > 1")
    # quote(): a model's name is data, and must not reach another address.
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return Encoded(
        f"/models/{quote(model.removeprefix('models/'), safe='')}:{method}",
        dump(body, provider=PROVIDER),
        dropped=history.dropped,
    )


def _generation(config: GenerationConfig) -> JSONObject:
    body: JSONObject = {}
    for field, name in _FIELDS.items():
        if (value := getattr(config, field)) is not None:
            body[name] = value
    if config.stop_sequences is not None:
        body["stopSequences"] = list(config.stop_sequences)
    if config.response_format is not None:
        body["responseMimeType"] = "application/json"
        if config.response_format != "json":
            body["responseJsonSchema"] = _unrollable(schema_of(config.response_format))
    if config.reasoning is not None:
        body["thinkingConfig"] = _thinking(config.reasoning)
    return body


def _unrollable(schema: Mapping[str, object]) -> Mapping[str, object]:
    """
    The schema with no property required that leads back to the type that has it.

    "Cyclic references ... may only be used within non-required properties. (Nullable properties are not sufficient.)"
    """
    named = {f"#/$defs/{name}": one for name, one in as_map(schema.get("$defs")).items()}
    named["#"] = {key: value for key, value in schema.items() if key != "$defs"}
    loops = {name: one for name, one in named.items() if name in _reached(one, named)}
    if not loops:
        return schema
    found = {name: _loosened(one, name, named) if name in loops else one for name, one in named.items()}
    body = dict(as_map(found.pop("#")))
    return body | {"$defs": {name.removeprefix("#/$defs/"): one for name, one in found.items()}} if found else body


def _reached(schema: object, named: Mapping[str, object]) -> set[object]:
    """The names of all that a schema leads to."""
    found: set[object] = set()
    left = [schema]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            name = one.get("$ref")
            if isinstance(name, str) and name not in found:
                found.add(name)
                left.append(named.get(name))
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
    return found


def _loosened(schema: object, name: str, named: Mapping[str, object]) -> object:
    if isinstance(schema, list | tuple):
        return [_loosened(one, name, named) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    body = {key: _loosened(value, name, named) for key, value in schema.items()}
    required, properties = schema.get("required"), as_map(schema.get("properties"))
    if isinstance(required, list | tuple):
        body["required"] = [one for one in required if name not in _reached(properties.get(one), named)]
    return body


def _thinking(wanted: str | int | Reasoning | Mapping[str, object]) -> Mapping[str, object]:
    if isinstance(wanted, Mapping):
        return wanted
    if not isinstance(wanted, Reasoning):
        wanted = Reasoning(effort=wanted) if isinstance(wanted, str) else Reasoning(budget=wanted)
    if wanted.effort not in {None, "none", *LEVELS}:
        words = ", ".join(LEVELS)
        raise _unsupported(
            "reasoning", f"there is no level {wanted.effort!r}: use none, {words}, a budget, or a mapping"
        )
    if wanted.budget is True:
        raise _unsupported("reasoning", "True is no budget: use a number of tokens, or a level")
    if wanted.effort is not None and wanted.budget is not None and (wanted.effort, wanted.budget) != ("none", 0):
        why = f"it is a level or a budget, not both ({wanted.effort!r}, {wanted.budget})"
        raise _unsupported("reasoning", f"{why}: leave one out")
    body: JSONObject = {}
    if wanted.effort == "none":
        body["thinkingBudget"] = 0
    elif wanted.budget is not None:
        body["thinkingBudget"] = int(wanted.budget)  # False is none
    elif wanted.effort is not None:
        body["thinkingLevel"] = wanted.effort.upper()
    if wanted.show is not None:
        body["includeThoughts"] = wanted.show
    return body


def _tool(tool: Tool) -> JSONObject:
    if tool.strict:
        raise _unsupported(
            "tools",
            f"tool {tool.name!r} cannot be strict: leave it out, or put toolConfig with mode VALIDATED into extra",
        )
    body: JSONObject = {"name": tool.name, "parametersJsonSchema": tool.parameters}
    return body | {"description": tool.description} if tool.description else body


# ---------------------------------------------------------------- messages


class _Turn(TypedDict):
    role: str
    parts: list[JSONObject]


def _system_parts(message: AIMessage, history: History) -> list[JSONObject]:
    if message.name:
        history.drop("an author's name")
    parts = list(history.own(message))
    if not all(isinstance(part, TextPart) for part in parts):
        raise _unsupported("messages", "a system message holds text only: put other parts into a user message")
    return [{"text": part.text} for part in parts if isinstance(part, TextPart) and part.text]


def _joined(turns: Sequence[_Turn]) -> list[_Turn]:
    """
    The turns, with results that stand in messages of their own as one turn.

    "Please ensure that the number of function response parts is equal to the number of function call parts of the
    function call turn", was answered to one turn for each of them.
    """
    found: list[_Turn] = []
    for turn in turns:
        last = found[-1]["parts"][-1:] if found else []
        if any("functionResponse" in part for part in last) and "functionResponse" in next(iter(turn["parts"]), ()):
            found[-1] = {"role": "user", "parts": [*found[-1]["parts"], *turn["parts"]]}
        else:
            found.append(turn)
    return found


def _turn(message: AIMessage, names: Mapping[str, str], history: History) -> _Turn:
    if message.role == "tool" and isinstance(message.content, str):
        result = ToolResultPart(message.name or "", message.content)
        return {"role": "user", "parts": [_part(result, names)]}
    if message.name and message.role != "tool":
        history.drop("an author's name")
    role = "model" if message.role == "assistant" else "user"
    parts: list[JSONObject] = []
    signature: str | None = None
    for part in history.own(message):
        if isinstance(part, ReasoningPart) and part.data is not None:
            history.drop("redacted reasoning, which this format does not have")
            continue
        if isinstance(part, ReasoningPart) and not part.text and part.signature is not None:
            signature = part.signature  # a bare signature belongs to the part behind it: a call, or the last words
            continue
        body = _part(part, names)
        if signature is not None:
            body["thoughtSignature"], signature = signature, None
        elif isinstance(part, ToolCall) and part.origin != PROVIDER:
            body["thoughtSignature"] = NO_SIGNATURE
        parts.append(body)
    if signature is not None:
        parts.append({"text": "", "thoughtSignature": signature})
    return {"role": role, "parts": parts}


def _part(part: Part, names: Mapping[str, str]) -> JSONObject:
    match part:
        case TextPart(text):
            return {"text": text}
        case ImagePart() | DocumentPart() | AudioPart():
            return _media(part)
        case ReasoningPart(text, signature):
            body: JSONObject = {"text": text, "thought": True}
            return body if signature is None else body | {"thoughtSignature": signature}
        case ToolCall():
            body = {"name": part.name, "args": arguments(part, provider=PROVIDER)}
            return {"functionCall": {"id": part.id} | body if part.id else body}
        case ToolResultPart():
            return _result(part, names)
        case VendorPart(data=data):
            return dict(data)
        case CacheBreakpoint():
            raise AssertionError("breakpoints are left out of the history")
        case _:
            assert_never(part)


def _media(part: ImagePart | DocumentPart | AudioPart) -> JSONObject:
    if isinstance(part, ImagePart) and part.detail not in {None, "auto"}:
        raise _unsupported(
            "messages",
            f"an image has no detail {part.detail!r} here: leave it out, or put mediaResolution into extra",
        )
    found = inline(part, provider=PROVIDER)
    if found is not None:
        return {"inlineData": {"mimeType": found[0], "data": found[1]}}
    body: JSONObject = {"fileUri": part.source}
    return {"fileData": body if part.media_type is None else body | {"mimeType": part.media_type}}


def _result(part: ToolResultPart, names: Mapping[str, str]) -> JSONObject:
    # Older models give their calls no id; then the tool's name stands in for it.
    by_name = part.call_id not in names and part.call_id in names.values()
    name = part.name or names.get(part.call_id) or (part.call_id if by_name else None)
    if not name:
        raise _unsupported(
            "messages",
            f"a tool's answer needs the tool's name, and no call {part.call_id!r} stands before it: "
            "give ToolResultPart(name=...)",
        )
    body: JSONObject = {"name": name, "response": {"error" if part.is_error else "output": part.text}}
    if not isinstance(part.content, str):
        media = [_media(one) for one in part.content if not isinstance(one, TextPart)]
        body |= {"parts": media} if media else {}
    return {"functionResponse": {"id": part.call_id} | body if part.call_id and not by_name else body}


def _unsupported(option: str, why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(f"{PROVIDER}: {why}", option=option)
