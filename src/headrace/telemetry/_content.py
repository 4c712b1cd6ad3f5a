"""
Conversations as the attributes of a span that OpenTelemetry's conventions ask for: JSON of messages and their parts.

Recorded on demand only. Images, documents and sounds are named and not recorded, but for the address of one that is
given by its URL. The shapes are those of the JSON schemas for input and output messages, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from .._types import (
    AIMessage,
    AIResponse,
    AudioPart,
    CacheBreakpoint,
    Citation,
    DocumentPart,
    ImagePart,
    Part,
    PartialToolCall,
    ReasoningPart,
    ResponsePart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from ._observe import Answer, Asked

__all__ = ("answered", "asked")

Shape: TypeAlias = dict[str, object]

FINISH: Final = {"tool_calls": "tool_call"}  # the conventions' word; the others are ours as well
UNFINISHED: Final = "error"  # their word for an answer that has no end


def asked(question: Asked) -> dict[str, str]:
    """The conversation and the tools, as attributes."""
    found = {}
    if question.messages is not None:
        found["gen_ai.input.messages"] = _json([_message(message) for message in question.messages])
    if question.config is not None and question.config.tools:
        found["gen_ai.tool.definitions"] = _json([_tool(tool) for tool in question.config.tools])
    return found


def answered(answer: Answer) -> dict[str, str]:
    """The answer, as far as it came, as attributes."""
    if not isinstance(answer, AIResponse):
        return {}
    parts: Sequence[ResponsePart] = answer.parts or (TextPart(answer.content or answer.refusal),)
    reason = answer.finish_reason
    end = UNFINISHED if reason is None else FINISH.get(reason, reason)
    return {
        "gen_ai.output.messages": _json([{"role": "assistant", "parts": _parts(parts), "finish_reason": end}]),
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _message(message: AIMessage) -> Shape:
    if message.role == "tool" and isinstance(message.content, str):  # its name is then the call's id
        parts: list[Shape] = [{"type": "tool_call_response", "id": message.name, "response": message.content}]
    else:
        parts = _parts(message.parts)
    return {"role": message.role, "parts": parts}


def _tool(tool: Tool) -> Shape:
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _parts(parts: Iterable[Part | ResponsePart]) -> list[Shape]:
    return [shape for part in parts if (shape := _part(part)) is not None]


def _part(part: Part | ResponsePart) -> Shape | None:
    match part:
        case TextPart():
            return {"type": "text", "content": part.text}
        case ReasoningPart():
            return {"type": "reasoning", "content": part.text}
        case ToolCall():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.input}
        case PartialToolCall():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
        case ToolResultPart():
            return {"type": "tool_call_response", "id": part.call_id, "response": part.text}
        case ImagePart():
            return _media(part, "image")
        case DocumentPart():
            return _media(part, "document")
        case AudioPart():
            return _media(part, "audio")
        case VendorPart():
            return {"type": "vendor", "origin": part.origin} if part.shared is None else _part(part.shared)
        case CacheBreakpoint() | Citation():
            return None


def _media(part: ImagePart | DocumentPart | AudioPart, modality: str) -> Shape:
    shape: Shape = {"type": "media", "modality": modality, "mime_type": part.media_type}
    if isinstance(part.source, str) and not part.source.startswith("data:"):
        shape |= {"type": "uri", "uri": part.source}
    return shape
