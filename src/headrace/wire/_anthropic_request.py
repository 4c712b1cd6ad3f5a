"""
Anthropic Messages requests: messages and options in, the JSON body out.

Puts in what the caller gave and nothing else, but for `max_tokens`, which the vendor requires. An enforced schema
loses the constraints on numbers and lengths that the vendor refuses; they are told in its descriptions, and whoever
parses the answer checks them. Thinking goes back only whole, with its signature. Which model takes which option changes
monthly and is not known here. Source: the Messages API reference and the vendor's SDK types, 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias, assert_never

from .._types import (
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    Part,
    PromptCache,
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
from ._history import History, with_ids
from ._shared import arguments, dump, inline, schema_of

__all__ = ("DEFAULT_MAX_TOKENS", "encode")

JSONObject: TypeAlias = dict[str, object]

PROVIDER: Final = "anthropic"

# The vendor requires max_tokens. 16,384 is under the cap of every model it serves (64 k and more, 2026-11), leaves room
# for reasoning, and is written well within the 10 minutes after which an unstreamed call is cut. The output limits
# count what was generated, not this number.
DEFAULT_MAX_TOKENS: Final = 16_384

CALL_IDS: Final = "[a-zA-Z0-9_-]+"  # by its answer 400 to any other

BREAKPOINTS: Final = 4  # the most that one request may have

LEAST_BUDGET: Final = 1024  # tokens

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")

_TOOL_CHOICES: Final[Mapping[str, JSONObject]] = {
    "auto": {"type": "auto"},
    "none": {"type": "none"},
    "required": {"type": "any"},
}


def encode(
    messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool, most: int | None = None
) -> Encoded:
    """The request of `POST /v1/messages`; see `Codec.encode`. `most`: tokens that the model writes, None is unknown."""
    body: JSONObject = {
        "model": model,
        "max_tokens": _max_tokens(config, most),
    }
    if stream:
        body["stream"] = True
    messages = with_ids(messages, PROVIDER, CALL_IDS)
    history = History(PROVIDER, breakpoints=True)
    if system := [block for message in history.instructions(messages) for block in _system(message, history)]:
        body["system"] = system
    turns = [_turn(message, history) for message in messages if message.role != "system"]
    body["messages"] = [turn for turn in turns if turn is not None]
    _check_breakpoints(messages, config)
    body |= _options(config)
    body |= config.extra or {}
    return Encoded("/v1/messages", dump(body, provider=PROVIDER), dropped=history.dropped)


def _check_breakpoints(messages: Sequence[AIMessage], config: GenerationConfig) -> None:
    count = sum(isinstance(part, CacheBreakpoint) for message in messages for part in message.parts)
    if count > BREAKPOINTS:
        raise _unsupported("messages", f"a request has at most {BREAKPOINTS} cache breakpoints, and here are {count}")
    if count == BREAKPOINTS and config.cache is not None:
        why = f"it takes one of the request's {BREAKPOINTS} cache breakpoints, and the messages have all of them"
        raise _unsupported("cache", f"{why}: leave it out")


def _max_tokens(config: GenerationConfig, most: int | None) -> int:
    if config.max_tokens is not None:
        return config.max_tokens
    # A reasoning budget counts against max_tokens; a default below it would refuse what the caller asked for.
    budget = config.reasoning.budget if isinstance(config.reasoning, Reasoning) else config.reasoning
    budget = budget if isinstance(budget, int) else 0
    wanted = DEFAULT_MAX_TOKENS + budget
    return wanted if most is None or most <= budget else min(wanted, most)  # more than it writes is answered 400


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
    if (choice := _tool_choice(config)) is not None:
        body["tool_choice"] = choice
    if config.metadata is not None:
        if set(config.metadata) - {"user_id"}:
            raise _unsupported("metadata", f"the vendor keeps a user_id and no more, not {dict(config.metadata)!r}")
        body["metadata"] = config.metadata
    if config.service_tier is not None:
        body["service_tier"] = config.service_tier
    if config.cache is not None:
        body["cache_control"] = _cache_control(config.cache)
    output: JSONObject = {}
    if config.response_format == "json":
        raise _unsupported("response_format", "there is no JSON mode without a schema: give a JSON schema, or a type")
    if config.response_format is not None:
        output["format"] = {"type": "json_schema", "schema": _plain_schema(schema_of(config.response_format))}
    if config.reasoning is not None:
        thinking, effort = _reasoning(config.reasoning)
        if not isinstance(config.reasoning, Mapping):
            _check_budget(thinking, config)
        if thinking:
            body["thinking"] = thinking
        if effort is not None:
            output["effort"] = effort
    if output:
        body["output_config"] = output
    return body


def _tool_choice(config: GenerationConfig) -> JSONObject | None:
    choice, parallel = config.tool_choice, config.parallel_tool_calls
    if choice is None and parallel is None:
        return None
    found = _TOOL_CHOICES.get(choice or "auto", {"type": "tool", "name": choice})
    if parallel is None or choice == "none":
        return found
    return found | {"disable_parallel_tool_use": not parallel}


def _cache_control(cache: PromptCache) -> JSONObject:
    if cache.key is not None or cache.name is not None:
        raise _unsupported("cache", "a prompt cache has no key and no name here: give ttl alone, or CacheBreakpoint")
    return _ephemeral(cache.ttl)


def _ephemeral(ttl: str | None) -> JSONObject:
    return {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}


# What structured output and strict tools do not take, by the vendor's guide and SDK.
_CONSTRAINTS: Final = (
    "contentEncoding",
    "default",
    "examples",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "prefixItems",
    "minProperties",
    "maxProperties",
)
_FORMATS: Final = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def _plain_schema(schema: Mapping[str, object]) -> JSONObject:
    """The schema with its constraints told in words."""
    body: JSONObject = {}
    told: list[str] = []
    for key, value in schema.items():
        if key in {"properties", "$defs"} and isinstance(value, Mapping):
            body[key] = {name: _plain(one) for name, one in value.items()}
        elif key == "items" and value is False:
            pass  # behind "prefixItems", which are told
        elif (
            key in _CONSTRAINTS
            or (key == "minItems" and value not in {0, 1})
            or (key == "format" and value not in _FORMATS)
        ):
            told.append(f"{key}: {value}")
        elif key in {"enum", "const", "required"}:
            body[key] = value
        else:
            body[key] = _plain(value)
    if told:
        words = body.get("description")
        body["description"] = f"{words} ({', '.join(told)})" if words else ", ".join(told)
    return body


def _plain(schema: object) -> object:
    if isinstance(schema, Mapping):
        return _plain_schema(schema)
    return [_plain(one) for one in schema] if isinstance(schema, list | tuple) else schema


def _reasoning(wanted: str | int | Reasoning | Mapping[str, object]) -> tuple[Mapping[str, object], str | None]:
    """The `thinking` object and the effort word that goes with it."""
    if isinstance(wanted, Mapping):
        return wanted, None
    if not isinstance(wanted, Reasoning):
        wanted = Reasoning(effort=wanted) if isinstance(wanted, str) else Reasoning(budget=wanted)
    effort, budget = wanted.effort, wanted.budget
    if effort not in {None, "none", *EFFORTS}:
        words = ", ".join(EFFORTS)
        raise _unsupported("reasoning", f"there is no effort {effort!r}: use none, {words}, a budget, or a mapping")
    if effort == "none" and budget:
        raise _unsupported("reasoning", f"effort 'none' has no budget, and here is one of {budget}: leave one out")
    if effort == "none":
        return {"type": "disabled"}, None
    if budget == 0:
        return {"type": "disabled"}, effort
    if budget is not None and budget < LEAST_BUDGET:
        raise _unsupported("reasoning", f"a budget has {LEAST_BUDGET} tokens or more, not {budget!r}: give more, or 0")
    thinking: JSONObject = {"type": "adaptive"} if budget is None else {"type": "enabled", "budget_tokens": budget}
    if wanted.show is not None:
        thinking["display"] = "summarized" if wanted.show else "omitted"
    return thinking, effort


def _check_budget(thinking: Mapping[str, object], config: GenerationConfig) -> None:
    budget, most = thinking.get("budget_tokens"), config.max_tokens
    # With tools a model may think between calls, and the budget is then of all that it does before it answers.
    if isinstance(budget, int) and most is not None and budget >= most and not config.tools and not config.extra:
        why = f"a budget must be less than max_tokens, and {budget} is not less than {most}"
        raise _unsupported("reasoning", f"{why}: lower it, or raise max_tokens")


def _tool(tool: Tool) -> JSONObject:
    # A strict tool has the limits of structured output; `Tool.decode()` checks what is only told there.
    parameters = _plain_schema(tool.parameters) if tool.strict else tool.parameters
    body: JSONObject = {"name": tool.name, "input_schema": parameters}
    if tool.description:
        body["description"] = tool.description
    if tool.strict is not None:
        body["strict"] = tool.strict
    return body


# ---------------------------------------------------------------- messages


def _system(message: AIMessage, history: History) -> list[JSONObject]:
    if message.name:
        history.drop("an author's name")
    blocks = _blocks(_said(message.parts), history)
    if any(block["type"] != "text" for block in blocks):
        raise _unsupported("messages", "a system message holds text only: put other parts into a user message")
    return blocks


def _said(parts: Iterable[Part]) -> list[Part]:
    """The parts without blank texts: "text content blocks must contain non-whitespace text"."""
    return [part for part in parts if not isinstance(part, TextPart) or part.text.strip()]


def _turn(message: AIMessage, history: History) -> JSONObject | None:
    """None for a message of which nothing can be sent."""
    role = "assistant" if message.role == "assistant" else "user"
    if message.name and message.role != "tool":
        history.drop("an author's name")
    said = _said(message.parts)
    if role == "assistant" and not said:
        return None  # an answer of no words, which is refused
    if not isinstance(message.content, str):
        # A result behind anything else is refused.
        said = said or list(message.content)
        blocks = sorted(_blocks(said, history), key=lambda block: block["type"] != "tool_result")
        return {"role": role, "content": blocks} if blocks or not message.content else None
    if message.role != "tool":
        return {"role": role, "content": message.content}
    if not message.name:
        raise _unsupported("messages", "a tool's answer needs the call's id: give it as name, or use ToolResultPart")
    return {"role": role, "content": [_block(ToolResultPart(message.name, message.content))]}


def _blocks(parts: Sequence[Part], history: History) -> list[JSONObject]:
    blocks: list[JSONObject] = []
    told: Mapping[str, object] = {}  # what else the vendor said of the call that comes now
    for part in history.of(parts):
        if isinstance(part, VendorPart) and part.data.get("type") == "tool_use" and "id" not in part.data:
            told = part.data
        elif isinstance(part, CacheBreakpoint):
            if not blocks and isinstance(parts[0], CacheBreakpoint):
                raise _unsupported("messages", "a cache breakpoint stands behind what it keeps: there is nothing yet")
            if not blocks:
                history.drop("a cache breakpoint that has nothing before it then")
                continue
            if blocks[-1]["type"] in {"thinking", "redacted_thinking"}:
                raise _unsupported("messages", "a cache breakpoint cannot stand right behind reasoning: move it")
            blocks[-1] = blocks[-1] | {"cache_control": _ephemeral(part.ttl)}
        elif isinstance(part, ReasoningPart) and part.signature is None and part.data is None:
            history.drop("reasoning without the vendor's signature")
        else:
            blocks.append({**_block(part), **told} if isinstance(part, ToolCall) else _block(part))
            told = {}
    return blocks


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
            content = part.content if isinstance(part.content, str) else [_block(one) for one in _said(part.content)]
            body = {"type": "tool_result", "tool_use_id": part.call_id, "content": content}
            return body | {"is_error": True} if part.is_error else body
        case VendorPart(data=data):
            return dict(data)
        case AudioPart():
            raise _unsupported("messages", "Messages takes no audio: send a transcript")
        case CacheBreakpoint():
            raise AssertionError("a breakpoint is a property of the block before it")
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
