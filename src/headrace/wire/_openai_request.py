"""
Chat Completions requests: messages and options in, the JSON body out.

Puts in what the caller gave and nothing else. Which model takes which option changes monthly and is not known here; how
servers differ is data in `Quirks`. Source: OpenAI's API reference and SDK types, docs.x.ai, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

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
from ._shared import data_uri, dump, inline

__all__ = ("COMPATIBLE", "GROK", "OPENAI", "Quirks", "encode")

JSONObject: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Quirks:
    """
    How a server differs from the others, as data.

    Attributes:
        max_tokens: the field for it.
        stream_options: sent with every stream.
        reasoning_apart: `completion_tokens` leaves out the reasoning that was billed beside it.
    """

    max_tokens: str = "max_completion_tokens"
    stream_options: Mapping[str, object] = field(default_factory=lambda: {"include_usage": True})
    reasoning_apart: bool = False


# Obfuscation pads every delta against readers of packet sizes; it costs a quarter of the bytes. `extra` can ask for it.
OPENAI: Final = Quirks(stream_options={"include_usage": True, "include_obfuscation": False})
GROK: Final = Quirks(reasoning_apart=True)
COMPATIBLE: Final = Quirks(max_tokens="max_tokens")  # the old name is the one that every server knows

_TOOL_CHOICES: Final = ("auto", "none", "required")
_AUDIO_FORMATS: Final[Mapping[str, str]] = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def encode(
    provider: str, quirks: Quirks, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool
) -> Encoded:
    """The request of `POST /chat/completions`; see `Codec.encode`."""
    body: JSONObject = {
        "model": model,
        "messages": [turn for message in messages for turn in _Turns(provider, message).encoded()],
    }
    body |= _options(provider, quirks, config)
    if stream:
        body["stream"] = True
        if quirks.stream_options:
            body["stream_options"] = quirks.stream_options
    body |= config.extra or {}
    if body.get("n", 1) != 1:
        raise _unsupported(provider, "extra", "a response is one answer: make n calls in place of n > 1")
    return Encoded("/chat/completions", dump(body, provider=provider))


def _options(provider: str, quirks: Quirks, config: GenerationConfig) -> JSONObject:
    if config.top_k is not None:
        raise _unsupported(
            provider, "top_k", "Chat Completions has no top_k: use top_p, or extra if the server has one"
        )
    body: JSONObject = {}
    for field_, value in (
        (quirks.max_tokens, config.max_tokens),
        ("temperature", config.temperature),
        ("top_p", config.top_p),
        ("stop", config.stop_sequences),
        ("seed", config.seed),
    ):
        if value is not None:
            body[field_] = value
    if config.tools is not None:
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in config.tools]
    if (choice := config.tool_choice) is not None:
        named = {"type": "function", "function": {"name": choice}}
        body["tool_choice"] = choice if choice in _TOOL_CHOICES else named
    if config.response_format is not None:
        body["response_format"] = _response_format(provider, config.response_format)
    if config.reasoning is not None:
        if not isinstance(config.reasoning, str):
            raise _unsupported(
                provider, "reasoning", "Chat Completions takes an effort word, such as 'low', and no more"
            )
        body["reasoning_effort"] = config.reasoning
    return body


def _function(tool: Tool) -> JSONObject:
    body: JSONObject = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        body["description"] = tool.description
    if tool.strict is not None:
        body["strict"] = tool.strict
    return body


def _response_format(provider: str, wanted: str | Mapping[str, object]) -> JSONObject:
    if isinstance(wanted, Mapping):
        return {"type": "json_schema", "json_schema": {"name": "response", "schema": wanted}}
    if wanted == "json":
        return {"type": "json_object"}
    raise _unsupported(provider, "response_format", f"there is no format {wanted!r}: use 'json' or a JSON schema")


# ---------------------------------------------------------------- messages


class _Turns:
    """
    One of our messages as the one or more that the format makes of it.

    Tool results are turns of their own here, and stand before the rest: they answer the turn before. Left out are
    reasoning, for the format has no field in which a model takes it back, and `is_error`: the result's words say it.
    """

    def __init__(self, provider: str, message: AIMessage) -> None:
        self._provider, self._message = provider, message

    def encoded(self) -> Iterable[JSONObject]:
        message = self._message
        if message.role == "tool" and isinstance(message.content, str):
            if not message.name:
                raise self._refused("a tool's answer needs the call's id: give it as name, or use ToolResultPart")
            yield _tool_turn(message.name, message.content)
            return
        if isinstance(message.content, str):
            yield self._turn({"content": message.content})
            return
        rest: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResultPart):
                yield _tool_turn(part.call_id, part.content)
            elif not isinstance(part, ReasoningPart):
                rest.append(part)
        if message.role == "assistant":
            yield self._turn(self._assistant(rest))
        elif rest:
            yield self._turn({"content": self._content(rest)})

    def _turn(self, body: JSONObject) -> JSONObject:
        if self._message.role == "tool":
            raise self._refused("a message of role 'tool' holds tool results only: put the rest into a user message")
        turn: JSONObject = {"role": self._message.role, **body}
        if self._message.name:
            turn["name"] = self._message.name
        return turn

    def _assistant(self, parts: Sequence[Part]) -> JSONObject:
        calls: list[object] = [
            # Without arguments the model said "", and the format wants JSON.
            {
                "id": part.id,
                "type": "function",
                "function": {"name": part.name, "arguments": part.arguments.strip() or "{}"},
            }
            for part in parts
            if isinstance(part, ToolCall)
        ]
        words = [part for part in parts if not isinstance(part, ToolCall)]
        if not calls:
            return {"content": self._content(words)}
        return {"content": self._content(words) if words else None, "tool_calls": calls}

    def _content(self, parts: Sequence[Part]) -> object:
        """Plain text as a string, which every server takes; else a list of parts."""
        if all(isinstance(part, TextPart) for part in parts) and len(parts) < 2:
            return "".join(part.text for part in parts if isinstance(part, TextPart))
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> JSONObject:
        if isinstance(part, TextPart):
            return {"type": "text", "text": part.text}
        if self._message.role != "user":
            raise self._refused(f"a message of role {self._message.role!r} holds no {type(part).__name__}")
        match part:
            case ImagePart():
                image: JSONObject = {"url": self._url(part)}
                if part.detail is not None:
                    image["detail"] = part.detail
                return {"type": "image_url", "image_url": image}
            case DocumentPart():
                url = self._url(part)
                if not url.startswith("data:"):
                    raise self._refused("Chat Completions takes no document by its URL: give its bytes or a Path")
                return {"type": "file", "file": {"filename": part.name or "document", "file_data": url}}
            case AudioPart():
                return {"type": "input_audio", "input_audio": self._audio(part)}
            case _:
                raise self._refused(f"a user's message holds no {type(part).__name__}")

    def _url(self, part: ImagePart | DocumentPart) -> str:
        """The part's own URL, or a `data:` URI of its bytes."""
        found = inline(part, provider=self._provider)
        return data_uri(*found) if found is not None else str(part.source)

    def _audio(self, part: AudioPart) -> JSONObject:
        found = inline(part, provider=self._provider)
        assert found is not None, "an AudioPart has no URL"
        media_type, data = found
        if media_type not in _AUDIO_FORMATS:
            raise self._refused(f"Chat Completions takes no {media_type!r}: give audio/wav or audio/mpeg")
        return {"data": data, "format": _AUDIO_FORMATS[media_type]}

    def _refused(self, why: str) -> UnsupportedOptionError:
        return _unsupported(self._provider, "messages", why)


def _tool_turn(call_id: str, content: str) -> JSONObject:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _unsupported(provider: str, option: str, why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(f"{provider}: {why}", option=option)
