"""
Messages as the items of the Responses API.

What a model said goes back as it came, in its order: encrypted reasoning, calls, and items of the vendor's own tools.
Their ids do not go back where the format can do without: `store` is false, so the vendor has nothing under them; it
looks for what bears one, or for the item that stood beside it, and refuses the request where it finds none. Knows no
options. Source: OpenAI's API reference and SDK types, and its answers to such requests, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from ._openai_messages import CUSTOM
from ._openai_parts import JSONObject, audio, breakpoint_of, unsupported, url
from ._responses_items import FRAMES
from ._shared import as_text

__all__ = ("Items",)

# What of an item is left out, by its type. A search without its status would be refused.
_OUTPUT_ONLY: Final = frozenset({"created_by"})  # a field that no item of a request has
_LEFT: Final[Mapping[str, frozenset[str]]] = {
    "reasoning": _OUTPUT_ONLY | {"id", "status"},
    "web_search_call": _OUTPUT_ONLY | {"id"},
    "custom_tool_call": _OUTPUT_ONLY | {"id", "status"},
}
_OUTPUTS: Final[Mapping[str, str]] = {"custom_tool_call": "custom_tool_call_output"}  # calls that a caller answers


class Items:
    """The items of a conversation, message by message. What cannot be sent is noted in the history."""

    def __init__(self, provider: str, history: History) -> None:
        self._provider, self._history = provider, history
        self._outputs: dict[str, str] = {}  # how the results of calls are called that are no function calls

    def words(self, message: AIMessage) -> str:
        """The text of a system message."""
        if not all(isinstance(part, TextPart) for part in message.parts):
            raise self._refused("a system message holds text only: put other parts into a user message")
        return message.text

    def of(self, message: AIMessage) -> Iterator[JSONObject]:
        """
        The items of the next message.

        Raises:
            UnsupportedOptionError: a part that was put there by hand and has no place.
        """
        if message.role == "tool" and isinstance(message.content, str):
            if not message.name:
                raise self._refused("a tool's answer needs the call's id: give it as name, or use ToolResultPart")
            yield self._result(ToolResultPart(message.name, message.content))
            return
        if message.name:
            self._history.drop("an author's name, for which the Responses API has no field")
        if isinstance(message.content, str):
            yield {"role": message.role, "content": message.content}
        elif message.role == "assistant":
            yield from self._said(message)
        else:
            yield from self._given(message)

    # ---------------------------------------------------------------- what was given to the model

    def _given(self, message: AIMessage) -> Iterator[JSONObject]:
        role = message.role
        pending: list[JSONObject] = []
        last: JSONObject | None = None  # what a breakpoint that comes now would end
        for part in self._history.own(message):
            if isinstance(part, CacheBreakpoint):
                self._mark(last, part)
                continue
            last = self._item(part)
            if last is None:
                last = self._part(part, role)
                pending.append(last)
                continue
            if pending:
                yield {"role": role, "content": pending}
                pending = []
            yield last
        if pending:
            yield {"role": role, "content": pending}

    def _item(self, part: Part) -> JSONObject | None:
        """A part that is an item of its own, or None for one that belongs into a message."""
        if isinstance(part, ToolResultPart):
            return self._result(part)
        if isinstance(part, VendorPart) and not str(part.data.get("type")).startswith("input_"):
            return dict(part.data)
        return None

    def _result(self, part: ToolResultPart) -> JSONObject:
        """`is_error` has no field: the result's words say it."""
        kind = self._outputs.get(part.call_id, "function_call_output")
        content = part.content
        output = content if isinstance(content, str) else [self._part(one, "user") for one in content]
        return {"type": kind, "call_id": part.call_id, "output": output}

    def _mark(self, last: JSONObject | None, part: CacheBreakpoint) -> None:
        """Let a part, or the last one of a tool's result, end a prefix to be cached."""
        if last is not None and isinstance(text := last.get("output"), str):
            last["output"] = [{"type": "input_text", "text": text}]
        content = None if last is None else last.get("output", last)
        marked = content[-1] if isinstance(content, list) and content else content
        if not isinstance(marked, dict):
            self._history.drop("a cache breakpoint that has no text or media before it in its message")
            return
        marked["prompt_cache_breakpoint"] = breakpoint_of(part)

    def _part(self, part: Part, role: str) -> JSONObject:
        if role == "tool":
            raise self._refused("a message of role 'tool' holds tool results only: put the rest into a user message")
        if isinstance(part, TextPart):
            return {"type": "input_text", "text": part.text}
        if role != "user":
            raise self._refused(f"a message of role {role!r} holds no {type(part).__name__}")
        match part:
            case ImagePart():
                image: JSONObject = {"type": "input_image", "image_url": url(part, provider=self._provider)}
                return image if part.detail is None else image | {"detail": part.detail}
            case DocumentPart():
                source = url(part, provider=self._provider)
                if not source.startswith("data:"):
                    return {"type": "input_file", "file_url": source}
                return {"type": "input_file", "filename": part.name or "document", "file_data": source}
            case AudioPart():
                return {"type": "input_audio", "input_audio": audio(part, provider=self._provider)}
            case VendorPart():
                return dict(part.data)
            case _:
                raise self._refused(f"a user's message holds no {type(part).__name__}")

    # ---------------------------------------------------------------- what the model said

    def _said(self, message: AIMessage) -> Iterator[JSONObject]:
        words = ""
        frame: Mapping[str, object] = {}  # what else the vendor said of the message, or of the call, that comes now
        for part in self._known(message):
            if isinstance(part, TextPart):
                words += part.text
                continue
            if words:  # between two pieces of one message stood a citation, or nothing: they are one text again
                yield _message(words, frame)
                words, frame = "", {}
            if isinstance(part, VendorPart) and part.data.get("type") in FRAMES:
                frame = part.data
                continue
            item = self._back(part, frame)
            if item is not None:
                yield item
            frame = {}
        if words:
            yield _message(words, frame)

    def _known(self, message: AIMessage) -> Iterator[Part]:
        """The parts that may go to this server; what its other format left is as good as another vendor's."""
        for part in self._history.own(message):
            if not isinstance(part, VendorPart) or part.data.get("type", CUSTOM) != CUSTOM:
                yield part
            elif part.shared is not None:
                yield part.shared
            else:
                self._history.drop(f"what the Responses API has no item for ({', '.join(part.data)})")

    def _back(self, part: Part, frame: Mapping[str, object]) -> JSONObject | None:
        """The item of what the model said, beside its words; None where it cannot go back, which is noted."""
        match part:
            case VendorPart(data=data):
                kind = as_text(data.get("type")) or ""
                if kind in _OUTPUTS:
                    self._outputs[as_text(data.get("call_id")) or ""] = _OUTPUTS[kind]
                left = _LEFT.get(kind, _OUTPUT_ONLY)
                return {key: value for key, value in data.items() if key not in left and not _is_empty(key, value)}
            case ToolCall():
                # Without arguments the model said "", and the format wants JSON.
                arguments = part.arguments.strip() or "{}"
                call: JSONObject = {"type": "function_call", "call_id": part.id, "name": part.name}
                return {**call, "arguments": arguments, **_framed("function_call", frame)}
            case ReasoningPart(text, data=str(data)):
                summary = [{"type": "summary_text", "text": text}] if text else []
                return {"type": "reasoning", "summary": summary, "encrypted_content": data}
            case ReasoningPart():
                self._history.drop("reasoning that is not encrypted, which the Responses API does not take back")
            case ImagePart() | DocumentPart() | AudioPart():
                self._history.drop(f"{type(part).__name__} in a message of the assistant, which holds text and calls")
            case CacheBreakpoint():
                self._history.drop("a cache breakpoint behind what the model said: put it into a message of another")
            case _:
                raise self._refused(f"a message of role 'assistant' holds no {type(part).__name__}")
        return None

    def _refused(self, why: str) -> UnsupportedOptionError:
        return unsupported(self._provider, "messages", why)


def _is_empty(key: str, value: object) -> bool:
    """What an answer has for the sake of its form. An empty summary is not: a request asks for it."""
    return value is None or (key == "content" and value == [])


def _message(words: str, frame: Mapping[str, object]) -> JSONObject:
    return {"role": "assistant", "content": words, **_framed("message", frame)}


def _framed(kind: str, frame: Mapping[str, object]) -> JSONObject:
    return {key: frame[key] for key in FRAMES[kind] if key in frame}
