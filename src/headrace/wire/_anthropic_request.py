"""
Anthropic Messages requests: messages and options in, the JSON body out.

Puts in what the caller gave and nothing else, but for `max_tokens`, which the vendor requires. Which model takes which
option changes monthly and is not known here. Source: the Messages API reference and the vendor's SDK types, 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, assert_never

from .._types import (
    AIMessage,
    AudioPart,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
)
from ..errors import UnsupportedOptionError
from ._codec import Encoded
from ._shared import arguments, dump, inline

__all__ = ("DEFAULT_MAX_TOKENS", "encode")

JSONObject: TypeAlias = dict[str, object]

PROVIDER: Final = "anthropic"

# The vendor requires max_tokens. 16,384 is under the cap of every model it serves (64 k and more, 2026-11), leaves room
# for reasoning, and is written well within the 10 minutes after which an unstreamed call is cut. The output limits
# count what was generated, not this number.
DEFAULT_MAX_TOKENS: Final = 16_384

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")

_TOOL_CHOICES: Final[Mapping[str, JSONObject]] = {
    "auto": {"type": "auto"},
    "none": {"type": "none"},
    "required": {"type": "any"},
}


def encode(messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
    """The request of `POST /v1/messages`; see `Codec.encode`."""
    body: JSONObject = {
        "model": model,
        "max_tokens": _max_tokens(config),
    }
    if stream:
        body["stream"] = True
    system = [block for message in messages if message.role == "system" for block in _system_blocks(message)]
    if system:
        body["system"] = system
    body["messages"] = [_turn(message) for message in messages if message.role != "system"]
    body |= _options(config)
    body |= config.extra or {}
    return Encoded("/v1/messages", dump(body, provider=PROVIDER))


def _max_tokens(config: GenerationConfig) -> int:
    if config.max_tokens is not None:
        return config.max_tokens
    # A reasoning budget counts against max_tokens; a default below it would refuse what the caller asked for.
    return DEFAULT_MAX_TOKENS + (config.reasoning if isinstance(config.reasoning, int) else 0)


def _options(config: GenerationConfig) -> JSONObject:
    if config.seed is not None:
        raise _unsupported("seed", "Messages has no seed: leave it out")
    body: JSONObject = {}
    for field in ("temperature", "top_p", "top_k"):
        if (value := getattr(config, field)) is not None:
            body[field] = value
    if config.stop_sequences is not None:
        body["stop_sequences"] = list(config.stop_sequences)
    if config.tools is not None:
        body["tools"] = [_tool(tool) for tool in config.tools]
    if (choice := config.tool_choice) is not None:
        body["tool_choice"] = _TOOL_CHOICES.get(choice, {"type": "tool", "name": choice})
    output: JSONObject = {}
    if config.response_format == "json":
        raise _unsupported("response_format", "there is no JSON mode without a schema: give a JSON schema as a mapping")
    if config.response_format is not None:
        output["format"] = {"type": "json_schema", "schema": config.response_format}
    if config.reasoning is not None:
        thinking, effort = _reasoning(config.reasoning)
        body["thinking"] = thinking
        if effort is not None:
            output["effort"] = effort
    if output:
        body["output_config"] = output
    return body


def _reasoning(reasoning: str | int | Mapping[str, object]) -> tuple[Mapping[str, object], str | None]:
    """The `thinking` object and the effort word that goes with it."""
    if isinstance(reasoning, Mapping):
        return reasoning, None
    if reasoning in {"none", 0}:
        return {"type": "disabled"}, None
    if isinstance(reasoning, int):
        return {"type": "enabled", "budget_tokens": reasoning}, None
    if reasoning not in EFFORTS:
        words = ", ".join(EFFORTS)
        raise _unsupported("reasoning", f"there is no effort {reasoning!r}: use none, {words}, a budget, or a mapping")
    return {"type": "adaptive"}, reasoning


def _tool(tool: Tool) -> JSONObject:
    body: JSONObject = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description:
        body["description"] = tool.description
    if tool.strict is not None:
        body["strict"] = tool.strict
    return body


# ---------------------------------------------------------------- messages


def _system_blocks(message: AIMessage) -> list[JSONObject]:
    blocks = [_block(part) for part in message.parts if part != TextPart("")]  # an empty block is refused
    if any(block["type"] != "text" for block in blocks):
        raise _unsupported("messages", "a system message holds text only: put other parts into a user message")
    return blocks


def _turn(message: AIMessage) -> JSONObject:
    role = "assistant" if message.role == "assistant" else "user"
    if not isinstance(message.content, str):
        return {"role": role, "content": [_block(part) for part in message.content]}
    if message.role != "tool":
        return {"role": role, "content": message.content}
    if not message.name:
        raise _unsupported("messages", "a tool's answer needs the call's id: give it as name, or use ToolResultPart")
    return {"role": role, "content": [_block(ToolResultPart(message.name, message.content))]}


def _block(part: Part) -> JSONObject:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart():
            if part.detail not in {None, "auto"}:
                raise _unsupported("messages", f"an image has no detail {part.detail!r} here: leave it out")
            return {"type": "image", "source": _source(part)}
        case DocumentPart():
            body: JSONObject = {"type": "document", "source": _source(part)}
            return body if part.name is None else body | {"title": part.name}
        case ReasoningPart(data=str(data)):
            return {"type": "redacted_thinking", "data": data}
        case ReasoningPart(text, signature):
            body = {"type": "thinking", "thinking": text}
            return body if signature is None else body | {"signature": signature}
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments(part, provider=PROVIDER)}
        case ToolResultPart():
            body = {"type": "tool_result", "tool_use_id": part.call_id, "content": part.content}
            return body | {"is_error": True} if part.is_error else body
        case AudioPart():
            raise _unsupported("messages", "Messages takes no audio: send a transcript")
        case _:
            assert_never(part)


def _source(part: ImagePart | DocumentPart) -> JSONObject:
    found = inline(part, provider=PROVIDER)
    if found is None:
        return {"type": "url", "url": part.source}
    media_type, data = found
    if isinstance(part, DocumentPart) and media_type.startswith("text/"):  # base64 is for PDF alone
        try:
            return {"type": "text", "media_type": "text/plain", "data": base64.b64decode(data).decode()}
        except ValueError as exc:
            raise _unsupported("messages", f"a {media_type} document must be UTF-8: {exc}") from exc
    return {"type": "base64", "media_type": media_type, "data": data}


def _unsupported(option: str, why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(f"{PROVIDER}: {why}", option=option)
