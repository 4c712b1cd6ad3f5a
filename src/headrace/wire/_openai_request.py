"""
Chat Completions requests: options in, the JSON body out; `_openai_messages` makes the conversation.

Puts in what the caller gave and nothing else. Which model takes which option changes monthly and is not known here; how
servers differ is data in `Quirks`. Source: OpenAI's API reference and SDK types, docs.x.ai, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .._types import AIMessage, GenerationConfig, Reasoning
from ._codec import Encoded
from ._history import History, with_ids
from ._openai_messages import turns
from ._openai_parts import TOOL_CHOICES, JSONObject, cache_fields, function, json_schema, reasoning, unsupported
from ._openai_quirks import Quirks
from ._shared import dump, schema_of

__all__ = ("encode",)

_FIELDS: Final[Mapping[str, str]] = {  # options that are sent as they are; `Quirks.fields` goes over it
    "max_tokens": "max_completion_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "",
    "stop_sequences": "stop",
    "seed": "seed",
    "parallel_tool_calls": "parallel_tool_calls",
    "metadata": "metadata",
    "service_tier": "service_tier",
}


def encode(
    provider: str, quirks: Quirks, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool
) -> Encoded:
    """The request of `POST /chat/completions`; see `Codec.encode`."""
    messages = with_ids(messages, provider, quirks.call_ids)
    history = History(provider, breakpoints="breakpoint" in quirks.cache)
    body: JSONObject = {
        "model": model,
        "messages": [turn for message in messages for turn in turns(message, history, provider, quirks)],
    }
    body |= _options(provider, quirks, config)
    if stream:
        body["stream"] = True
        if quirks.stream_options:
            body["stream_options"] = quirks.stream_options
    body |= config.extra or {}
    if body.get("n", 1) != 1:
        raise unsupported(provider, "extra", "a response is one answer: make several calls in place of n > 1")
    return Encoded("/chat/completions", dump(body, provider=provider), dropped=history.dropped)


def _options(provider: str, quirks: Quirks, config: GenerationConfig) -> JSONObject:
    for option in quirks.refuses:
        if getattr(config, option) is not None:
            raise unsupported(provider, option, f"the server has no {option}: leave it out")
    body: JSONObject = {}
    for option, usual in _FIELDS.items():
        if (value := getattr(config, option)) is not None:
            field = quirks.fields.get(option, usual)
            if not field:
                raise unsupported(provider, option, f"there is no {option} here: leave it out, or use extra")
            body[field] = value
    if config.tools is not None:
        body["tools"] = [{"type": "function", "function": function(tool)} for tool in config.tools]
    if (choice := config.tool_choice) is not None:
        named = {"type": "function", "function": {"name": choice}}
        body["tool_choice"] = choice if choice in TOOL_CHOICES else named
    if config.response_format is not None:
        body["response_format"] = _response_format(provider, quirks, config.response_format)
    if config.reasoning is not None:
        body |= _reasoning(provider, quirks, config.reasoning)
    if config.cache is not None:
        body |= cache_fields(provider, quirks.cache, config.cache)
    return body


def _response_format(provider: str, quirks: Quirks, wanted: object) -> JSONObject:
    if wanted == "json":
        return {"type": "json_object"}
    if isinstance(wanted, str):
        raise unsupported(provider, "response_format", f"there is no format {wanted!r}: use 'json' or a JSON schema")
    if quirks.schemas == "none":
        raise unsupported(
            provider, "response_format", "the server takes no JSON schema: use 'json', and tell the shape"
        )
    return {
        "type": "json_schema",
        "json_schema": json_schema(schema_of(wanted), can_be_strict=quirks.schemas == "strict"),
    }


def _reasoning(provider: str, quirks: Quirks, wanted: str | int | Reasoning | Mapping[str, object]) -> JSONObject:
    if quirks.reasoning == "object":
        return {"reasoning": wanted if isinstance(wanted, Mapping) else _reasoning_object(reasoning(wanted))}
    if not isinstance(wanted, Mapping):
        asked = reasoning(wanted)
        if asked.effort is not None and asked.budget is None and asked.show is None:
            return {"reasoning_effort": asked.effort}
    raise unsupported(provider, "reasoning", "Chat Completions takes an effort word, such as 'low', and no more")


def _reasoning_object(asked: Reasoning) -> JSONObject:
    body: JSONObject = {}
    if asked.effort is not None:
        body["effort"] = asked.effort
    if asked.budget is not None:
        body["max_tokens"] = asked.budget
    if asked.show is not None:
        body["exclude"] = not asked.show
    return body
