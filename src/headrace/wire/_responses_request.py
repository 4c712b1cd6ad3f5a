"""
Responses requests: messages and options in, the JSON body out.

Puts in what the caller gave, and two things more: `store` is false, since an answer that the vendor keeps is for the
caller to ask for, and so a model that reasons is asked to give its reasoning in a form that can be sent back. Which
model takes which option is not known here. Source: OpenAI's API reference and SDK types, docs.x.ai, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

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
from ._openai_request import _AUDIO_FORMATS, _TOOL_CHOICES, JSONObject, _function, _unsupported
from ._shared import data_uri, dump, inline

__all__ = ("GROK", "OPENAI", "Quirks", "encode")


@dataclass(frozen=True, slots=True)
class Quirks:
    """
    How a server differs from the others, as data.

    Attributes:
        stream_options: sent with every stream; None for a server that does not know the field.
    """

    stream_options: Mapping[str, object] | None = None


# Obfuscation pads every delta against readers of packet sizes; it costs a quarter of the bytes. `extra` can ask for it.
OPENAI: Final = Quirks(stream_options={"include_obfuscation": False})
GROK: Final = Quirks()

_ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
_ABSENT: Final = ("top_k", "stop_sequences", "seed")  # options that this format has no field for


def encode(
    provider: str, quirks: Quirks, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool
) -> Encoded:
    """The request of `POST /responses`; see `Codec.encode`."""
    # What stands first is the instructions; a later word of the system stays where it was said.
    leading = list(takewhile(lambda message: message.role == "system", messages))
    if len(leading) == len(messages):
        leading = []  # the format wants an input beside its instructions
    body: JSONObject = {"model": model}
    if leading:
        body["instructions"] = "\n\n".join(_Items(provider, message).words() for message in leading)
    body["input"] = [item for message in messages[len(leading) :] for item in _Items(provider, message).encoded()]
    body |= _options(provider, config)
    body["store"] = False
    if stream:
        body["stream"] = True
        if quirks.stream_options is not None:
            body["stream_options"] = quirks.stream_options
    body |= config.extra or {}
    if body.get("background") and not stream:
        raise _unsupported(provider, "extra", "an answer in the background is not waited for: ask for it as a stream")
    return Encoded("/responses", dump(body, provider=provider))


def _options(provider: str, config: GenerationConfig) -> JSONObject:
    for option in _ABSENT:
        if getattr(config, option) is not None:
            raise _unsupported(
                provider, option, f"the Responses API has no {option}: leave it out, or use Chat Completions"
            )
    body: JSONObject = {}
    for field, value in (
        ("max_output_tokens", config.max_tokens),
        ("temperature", config.temperature),
        ("top_p", config.top_p),
    ):
        if value is not None:
            body[field] = value
    if config.tools is not None:
        body["tools"] = [_tool(tool) for tool in config.tools]
    if (choice := config.tool_choice) is not None:
        body["tool_choice"] = choice if choice in _TOOL_CHOICES else {"type": "function", "name": choice}
    if config.response_format is not None:
        body["text"] = {"format": _text_format(provider, config.response_format)}
    if config.reasoning is not None:
        reasoning = body["reasoning"] = _reasoning(provider, config.reasoning)
        if reasoning.get("effort") != "none":
            body["include"] = [_ENCRYPTED_REASONING]
    return body


def _tool(tool: Tool) -> JSONObject:
    # Without the field the vendor makes a schema strict, by which its optional properties become mandatory.
    return {"type": "function", "strict": False, **_function(tool)}


def _text_format(provider: str, wanted: str | Mapping[str, object]) -> JSONObject:
    if isinstance(wanted, Mapping):
        return {"type": "json_schema", "name": "response", "schema": wanted}
    if wanted == "json":
        return {"type": "json_object"}
    raise _unsupported(provider, "response_format", f"there is no format {wanted!r}: use 'json' or a JSON schema")


def _reasoning(provider: str, wanted: str | int | Mapping[str, object]) -> Mapping[str, object]:
    if isinstance(wanted, Mapping):
        return wanted
    if isinstance(wanted, str):
        return {"effort": wanted}
    raise _unsupported(
        provider, "reasoning", "the Responses API takes an effort word, such as 'low', or its own object, and no budget"
    )


# ---------------------------------------------------------------- messages


class _Items:
    """
    One of our messages as the items that the format makes of it, in the order of its parts.

    Tool calls, their results and encrypted reasoning are items of their own; what stands between them is a message.
    Left out are an author's name and `is_error`, for which there is no field, and reasoning that is not encrypted,
    which no model takes back.
    """

    def __init__(self, provider: str, message: AIMessage) -> None:
        self._provider, self._message = provider, message

    def words(self) -> str:
        """The text of a system message."""
        if not all(isinstance(part, TextPart) for part in self._message.parts):
            raise self._refused("a system message holds text only: put other parts into a user message")
        return self._message.text

    def encoded(self) -> Iterable[JSONObject]:
        message = self._message
        if message.role == "system":
            yield {"role": "system", "content": self.words()}
            return
        if isinstance(message.content, str):
            yield self._whole(message.content)
            return
        pending: list[JSONObject] = []
        for part in message.content:
            if isinstance(part, ReasoningPart) and part.data is None:
                continue
            item = self._item(part)
            if item is None:
                pending.append(self._part(part))
                continue
            if pending:
                yield self._turn(pending)
                pending = []
            yield item
        if pending:
            yield self._turn(pending)

    def _whole(self, text: str) -> JSONObject:
        """A content that is plain text."""
        if self._message.role != "tool":
            return {"role": self._message.role, "content": text}
        if not self._message.name:
            raise self._refused("a tool's answer needs the call's id: give it as name, or use ToolResultPart")
        return _result(self._message.name, text)

    def _turn(self, parts: list[JSONObject]) -> JSONObject:
        return {"role": self._message.role, "content": parts}

    def _item(self, part: Part) -> JSONObject | None:
        """A part that is an item of its own, or None for one that belongs into a message."""
        if isinstance(part, ToolResultPart):
            return _result(part.call_id, part.content)
        if self._message.role != "assistant":
            return None
        if isinstance(part, ToolCall):
            # Without arguments the model said "", and the format wants JSON.
            arguments = part.arguments.strip() or "{}"
            return {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments}
        if isinstance(part, ReasoningPart):
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            return {"type": "reasoning", "summary": summary, "encrypted_content": part.data}
        return None

    def _part(self, part: Part) -> JSONObject:
        role = self._message.role
        if role == "tool":
            raise self._refused("a message of role 'tool' holds tool results only: put the rest into a user message")
        if isinstance(part, TextPart):
            return {"type": "input_text" if role == "user" else "output_text", "text": part.text}
        if role != "user":
            raise self._refused(f"a message of role {role!r} holds no {type(part).__name__}")
        match part:
            case ImagePart():
                image: JSONObject = {"type": "input_image", "image_url": self._url(part)}
                return image if part.detail is None else image | {"detail": part.detail}
            case DocumentPart():
                return self._document(part)
            case AudioPart():
                return {"type": "input_audio", "input_audio": self._audio(part)}
            case _:
                raise self._refused(f"a user's message holds no {type(part).__name__}")

    def _document(self, part: DocumentPart) -> JSONObject:
        url = self._url(part)
        if url.startswith("data:"):
            return {"type": "input_file", "filename": part.name or "document", "file_data": url}
        return {"type": "input_file", "file_url": url}

    def _url(self, part: ImagePart | DocumentPart) -> str:
        """The part's own URL, or a `data:` URI of its bytes."""
        found = inline(part, provider=self._provider)
        return data_uri(*found) if found is not None else str(part.source)

    def _audio(self, part: AudioPart) -> JSONObject:
        found = inline(part, provider=self._provider)
        assert found is not None, "an AudioPart has no URL"
        media_type, data = found
        if media_type not in _AUDIO_FORMATS:
            raise self._refused(f"the Responses API takes no {media_type!r}: give audio/wav or audio/mpeg")
        return {"data": data, "format": _AUDIO_FORMATS[media_type]}

    def _refused(self, why: str) -> UnsupportedOptionError:
        return _unsupported(self._provider, "messages", why)


def _result(call_id: str, content: str) -> JSONObject:
    return {"type": "function_call_output", "call_id": call_id, "output": content}
