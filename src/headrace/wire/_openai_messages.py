"""
Messages as Chat Completions has them.

One of ours is one or more of theirs: tool results are turns of their own and stand before the rest, for they answer the
turn before. What an assistant said goes back as far as the format has a place for it; the rest is noted in the history.
Knows no options. Source: OpenAI's API reference and SDK types; the guides of DeepSeek, Moonshot, Z.ai, Mistral and
OpenRouter to sending reasoning back, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from .._types import (
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    DocumentPart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from ..errors import UnsupportedOptionError
from ._history import History
from ._openai_parts import JSONObject, audio, breakpoint_of, unsupported, url
from ._openai_quirks import Quirks

__all__ = ("CUSTOM", "REASONING_DETAILS", "turns")

REASONING_DETAILS: Final = "reasoning_details"  # a list that goes back as it came
CUSTOM: Final = "custom"  # the type of a call whose input is no JSON; it goes back as it came, too


def turns(message: AIMessage, history: History, provider: str, quirks: Quirks) -> Iterator[JSONObject]:
    """
    The turns of one message; what cannot be sent is noted in `history`.

    Raises:
        UnsupportedOptionError: a part that was put there by hand and has no place.
    """
    return _Turns(message, history, provider, quirks).encoded()


class _Turns:
    """One message on its way. That a result is an error is told by its words: `is_error` has no field."""

    def __init__(self, message: AIMessage, history: History, provider: str, quirks: Quirks) -> None:
        self._message, self._history, self._provider, self._quirks = message, history, provider, quirks

    def encoded(self) -> Iterator[JSONObject]:
        message = self._message
        if isinstance(message.content, str):
            if message.role != "tool":
                yield self._turn({"content": message.content})
            elif message.name:
                yield {"role": "tool", "tool_call_id": message.name, "content": message.content}
            else:
                raise self._refused("a tool's answer needs the call's id: give it as name, or use ToolResultPart")
        elif message.role == "assistant":
            turn = self._said(message.content)
            if turn is not None:
                yield self._turn(turn)
        else:
            yield from self._given(message.content)

    def _turn(self, body: JSONObject) -> JSONObject:
        if self._message.role == "tool":
            raise self._refused("a message of role 'tool' holds tool results only: put the rest into a user message")
        turn: JSONObject = {"role": self._message.role, **body}
        if self._message.name and self._quirks.names:
            turn["name"] = self._message.name
        elif self._message.name:
            self._history.drop("an author's name, for which the server has no field")
        return turn

    # ---------------------------------------------------------------- what was given to the model

    def _given(self, parts: Sequence[Part]) -> Iterator[JSONObject]:
        content: list[JSONObject] = []
        last: JSONObject | None = None  # what a breakpoint that comes now would end
        for part in self._history.of(parts):
            if isinstance(part, CacheBreakpoint):
                self._mark(last, part)
            elif isinstance(part, ToolResultPart):
                last = {"role": "tool", "tool_call_id": part.call_id, "content": self._result(part)}
                yield last
            else:
                last = self._part(part)
                content.append(last)
        if content or not parts:
            yield self._turn({"content": _plain(content)})

    def _result(self, part: ToolResultPart) -> object:
        if isinstance(part.content, str):
            return part.content
        if not all(isinstance(one, TextPart) for one in part.content):
            raise self._refused("a tool's answer holds text only here: put images and documents into a user message")
        return [_text(one.text) for one in part.content if isinstance(one, TextPart)]

    def _mark(self, last: JSONObject | None, part: CacheBreakpoint) -> None:
        """Let a part, or the last one of a tool's turn, end a prefix to be cached."""
        content = None if last is None else last.get("content", last)
        if last is not None and isinstance(content, str):
            content = last["content"] = [_text(content)]
        marked = content[-1] if isinstance(content, list) and content else content
        if not isinstance(marked, dict):
            self._history.drop("a cache breakpoint that has no text or media before it in its message")
            return
        marked["prompt_cache_breakpoint"] = breakpoint_of(part)

    def _part(self, part: Part) -> JSONObject:
        if isinstance(part, TextPart):
            return _text(part.text)
        if self._message.role != "user":
            raise self._refused(f"a message of role {self._message.role!r} holds no {type(part).__name__}")
        match part:
            case ImagePart():
                image: JSONObject = {"url": url(part, provider=self._provider)}
                if part.detail is not None:
                    image["detail"] = part.detail
                return {"type": "image_url", "image_url": image}
            case DocumentPart():
                source = url(part, provider=self._provider)
                if not source.startswith("data:"):
                    raise self._refused("Chat Completions takes no document by its URL: give its bytes or a Path")
                return {"type": "file", "file": {"filename": part.name or "document", "file_data": source}}
            case AudioPart():
                return {"type": "input_audio", "input_audio": audio(part, provider=self._provider)}
            case VendorPart():
                return dict(part.data)
            case _:
                raise self._refused(f"a user's message holds no {type(part).__name__}")

    # ---------------------------------------------------------------- what the model said

    def _said(self, parts: Sequence[Part]) -> JSONObject | None:
        """The assistant's turn; None where nothing of it can be sent."""
        content: list[JSONObject] = []
        calls: list[object] = []
        details: list[object] = []
        thoughts = ""
        for part in self._known(parts):
            match part:
                case TextPart(text):
                    _append(content, text)
                case ToolCall():
                    calls.append(_call(part))
                case ReasoningPart(data=str()):
                    self._history.drop("redacted reasoning, which this format does not have")
                case ReasoningPart(text):
                    thoughts += text
                case VendorPart() if part.data.get("type") == CUSTOM:
                    calls.append(part.data)
                case VendorPart():
                    found = part.data[REASONING_DETAILS]
                    details += found if isinstance(found, list) else ()
                case CacheBreakpoint():
                    self._mark(content[-1] if content else None, part)
                case ImagePart() | DocumentPart() | AudioPart():
                    self._history.drop(
                        f"{type(part).__name__} in a message of the assistant, which holds text and calls"
                    )
                case _:
                    raise self._refused(f"a message of role 'assistant' holds no {type(part).__name__}")
        turn: JSONObject = {REASONING_DETAILS: details} if details else self._thoughts(thoughts, content)
        if not (content or calls or turn) and parts:
            return None
        turn["content"] = _plain(content) if content or not calls else None
        return turn | {"tool_calls": calls} if calls else turn

    def _known(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The parts that may go to this server; what its other format left is as good as another vendor's."""
        for part in self._history.of(parts):
            if not isinstance(part, VendorPart) or REASONING_DETAILS in part.data or part.data.get("type") == CUSTOM:
                yield part
            elif part.shared is not None:
                yield part.shared
            else:
                self._history.drop(f"what Chat Completions has no field for ({part.data.get('type', 'of no type')})")

    def _thoughts(self, thoughts: str, content: list[JSONObject]) -> JSONObject:
        """The field that takes the reasoning back, or none; some servers take it as parts of the content."""
        field = self._quirks.reasoning_field
        if not thoughts:
            return {}
        if not field:
            self._history.drop("reasoning, which the server takes back in no field of Chat Completions")
            return {}
        if field == "content":
            content.insert(0, {"type": "thinking", "thinking": [_text(thoughts)]})
            return {}
        return {field: thoughts}

    def _refused(self, why: str) -> UnsupportedOptionError:
        return unsupported(self._provider, "messages", why)


def _text(text: str) -> JSONObject:
    return {"type": "text", "text": text}


def _append(content: list[JSONObject], text: str) -> None:
    """Add words. Between two pieces of one answer stood a citation, or nothing: they are one text again."""
    last = content[-1] if content else {}
    if last.keys() == {"type", "text"}:
        last["text"] = f"{last['text']}{text}"
    elif text:
        content.append(_text(text))


def _plain(content: list[JSONObject]) -> object:
    """Plain text as a string, which every server takes; else the list of parts."""
    if not content:
        return ""
    return content[0]["text"] if len(content) == 1 and content[0].keys() == {"type", "text"} else content


def _call(call: ToolCall) -> JSONObject:
    # Without arguments the model said "", and the format wants JSON.
    function: JSONObject = {"name": call.name, "arguments": call.arguments.strip() or "{}"}
    return {"id": call.id, "type": "function", "function": function}
