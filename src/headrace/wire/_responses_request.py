"""
Responses requests: options in, the JSON body out; `_responses_messages` makes the conversation.

Puts in what the caller gave, and two things more: `store` is false, since an answer that the vendor keeps is for the
caller to ask for, and so a model that reasons is asked to give its reasoning in a form that can be sent back. Which
model takes which option is not known here. Source: OpenAI's API reference and SDK types, docs.x.ai, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from .._types import AIMessage, CacheBreakpoint, GenerationConfig, Reasoning, Tool
from ._codec import Encoded
from ._history import History, with_ids
from ._openai_parts import TOOL_CHOICES, JSONObject, cache_fields, function, json_schema, reasoning, unsupported
from ._responses_messages import Items
from ._shared import dump, schema_of

__all__ = ("COMPATIBLE", "GROK", "OPENAI", "Quirks", "encode", "prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """
    How a server differs from the others, as data.

    Attributes:
        refuses: options of `GenerationConfig` that the server has no field for.
        cache: which of "key", "ttl" and "breakpoint" its prompt cache knows.
        stream_options: sent with every stream; None for a server that does not know the field.
    """

    refuses: frozenset[str] = frozenset()
    cache: frozenset[str] = frozenset()
    stream_options: Mapping[str, object] | None = None


# Obfuscation pads every delta against readers of packet sizes; it costs a quarter of the bytes. `extra` can ask for it.
OPENAI: Final = Quirks(cache=frozenset({"key", "ttl", "breakpoint"}), stream_options={"include_obfuscation": False})
GROK: Final = Quirks(refuses=frozenset({"metadata"}), cache=frozenset({"key"}))
COMPATIBLE: Final = Quirks()

CALL_IDS: Final = ".{1,64}"
_ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
_ABSENT: Final = ("top_k", "stop_sequences", "seed")  # options that this format has no field for
_FIELDS: Final[Mapping[str, str]] = {  # options that are sent as they are
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "parallel_tool_calls": "parallel_tool_calls",
    "metadata": "metadata",
    "service_tier": "service_tier",
}


def encode(
    provider: str,
    quirks: Quirks,
    messages: Sequence[AIMessage],
    config: GenerationConfig,
    *,
    model: str,
    stream: bool,
    reasons: bool,
) -> Encoded:
    """
    The request of `POST /responses`; see `Codec.encode`.

    Args:
        reasons: whether the model is known to reason where nobody asks it to. To one that cannot reason, asking for
            encrypted reasoning is an error.
    """
    history = History(provider, breakpoints="breakpoint" in quirks.cache)
    body = {"model": model, **prompt(provider, messages, config, history)}
    body |= _options(provider, quirks, config)
    if reasons if config.reasoning is None else not _is_off(config.reasoning):
        body["include"] = [_ENCRYPTED_REASONING]
    body["store"] = False
    if stream:
        body["stream"] = True
        if quirks.stream_options is not None:
            body["stream_options"] = quirks.stream_options
    body |= config.extra or {}
    if body.get("background") and not stream:
        raise unsupported(provider, "extra", "an answer in the background is not waited for: ask for it as a stream")
    return Encoded("/responses", dump(body, provider=provider), dropped=history.dropped)


def prompt(provider: str, messages: Sequence[AIMessage], config: GenerationConfig, history: History) -> JSONObject:
    """What the model reads, and what costs tokens of input: messages, tools, the answer's format, how it reasons."""
    messages = with_ids(messages, provider, CALL_IDS)
    # What stands first is the instructions; a later word of the system stays where it was said, and so does one that
    # ends a prefix to be cached: the instructions are no part that could bear that.
    leading = list(takewhile(_is_instruction, messages))
    if len(leading) == len(messages):
        leading = []  # the format wants an input beside its instructions
    items = Items(provider, history)
    body: JSONObject = {}
    if leading:
        body["instructions"] = "\n\n".join(items.words(message) for message in leading)
    body["input"] = [item for message in messages[len(leading) :] for item in items.of(message)]
    if config.tools is not None:
        body["tools"] = [_tool(tool) for tool in config.tools]
    if (choice := config.tool_choice) is not None:
        body["tool_choice"] = choice if choice in TOOL_CHOICES else {"type": "function", "name": choice}
    if config.response_format is not None:
        body["text"] = {"format": _text_format(provider, config.response_format)}
    if config.reasoning is not None and (asked := _reasoning(provider, config.reasoning)):
        body["reasoning"] = asked
    return body


def _is_instruction(message: AIMessage) -> bool:
    return message.role == "system" and not any(isinstance(part, CacheBreakpoint) for part in message.parts)


def _options(provider: str, quirks: Quirks, config: GenerationConfig) -> JSONObject:
    for option in _ABSENT:
        if getattr(config, option) is not None:
            raise unsupported(
                provider, option, f"the Responses API has no {option}: leave it out, or use Chat Completions"
            )
    for option in quirks.refuses:
        if getattr(config, option) is not None:
            raise unsupported(provider, option, f"the server has no {option}: leave it out")
    body: JSONObject = {}
    for option, field in _FIELDS.items():
        if (value := getattr(config, option)) is not None:
            body[field] = value
    if config.cache is not None:
        body |= cache_fields(provider, quirks.cache, config.cache)
    return body


def _tool(tool: Tool) -> JSONObject:
    # Without the field the vendor makes a schema strict, by which its optional properties become mandatory.
    return {"type": "function", "strict": False, **function(tool)}


def _text_format(provider: str, wanted: object) -> JSONObject:
    if wanted == "json":
        return {"type": "json_object"}
    if isinstance(wanted, str):
        raise unsupported(provider, "response_format", f"there is no format {wanted!r}: use 'json' or a JSON schema")
    return {"type": "json_schema", **json_schema(schema_of(wanted))}


def _is_off(wanted: str | int | Reasoning | Mapping[str, object]) -> bool:
    if isinstance(wanted, Mapping):
        return wanted.get("effort") == "none"
    return reasoning(wanted).effort == "none"


def _reasoning(provider: str, wanted: str | int | Reasoning | Mapping[str, object]) -> Mapping[str, object]:
    if isinstance(wanted, Mapping):
        return wanted
    asked = reasoning(wanted)
    if asked.budget is not None:
        raise unsupported(
            provider, "reasoning", "the Responses API takes an effort word, such as 'low', or its own object, no budget"
        )
    body: JSONObject = {}
    if asked.effort is not None:
        body["effort"] = asked.effort
    if asked.show:  # a summary is what it gives, and only if asked
        body["summary"] = "auto"
    return body
