"""
The Responses API, as OpenAI and xAI write it: items, each told from its beginning to its end, between two states of
the response.

Stream: `event:` and `data:` with the same type, numbered from 0; created, in_progress; per item added, its parts and
deltas, done; completed, incomplete or failed with the whole response and its usage. Nothing after that. What is said
stands in `_responses_items.py`, what may be asked in `_responses_checks.py`. Sources:
platform.openai.com/docs/api-reference/responses-streaming, docs.x.ai/docs/api-reference, read 2026-11.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Final

from headrace.simulator.asked import Asked
from headrace.simulator.steps import Frame, FrameKind, Loose

from . import _responses_checks as checks
from ._base import Api, Refusal, Request, Turn, listed, mapping
from ._openai_errors import told
from ._responses_items import Item, items

__all__ = ("GrokResponses", "Responses")

UNNUMBERED: Final = '"sequence_number":-1'
INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Responses(Api):
    """OpenAI's."""

    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    whole_calls: ClassVar[bool] = False  # the arguments of a call come in one delta
    padded: ClassVar[bool] = True  # deltas carry `obfuscation`, unless it is declined

    def complaint(self, request: Request) -> str | Refusal | None:
        return checks.complaint(request)

    def no_model(self, model: str) -> Refusal:
        message = f"The requested model '{model}' does not exist."
        return Refusal(400, message=message, code="model_not_found", param="model")

    def asked(self, request: Request) -> Asked:
        return dataclasses.replace(checks.asked(request), thoughts=self.shows_thoughts(request))

    def shows_thoughts(self, request: Request) -> bool:
        """Only a summary of them, and only where one is asked for."""
        return mapping(request.fields.get("reasoning")).get("summary") is not None

    def max_tokens(self, request: Request) -> int:
        value = request.fields.get("max_output_tokens")
        return value if isinstance(value, int) else 0

    def response_id(self, turn: Turn) -> str:
        """The answer's id; its items are named after it."""
        return f"resp_{turn.ident:032x}"

    # ---- the stream

    def frames(self, turn: Turn) -> list[Frame]:
        made = self._items(turn)
        opening = self._response(turn, "in_progress", [])
        frames = [
            self._frame("response.created", response=opening),
            self._frame("response.in_progress", response=opening),
        ]
        for index, item in enumerate(made):
            frames += self._events(turn, index, item)
        status = _status(turn)
        response = self._response(turn, status, [item.done for item in made])
        return [*frames, self._frame(f"response.{status}", kind="finish", response=response)]

    def _items(self, turn: Turn) -> list[Item]:
        return items(turn, whole_calls=self.whole_calls, status="incomplete" if _reason(turn) else "completed")

    def _events(self, turn: Turn, index: int, item: Item) -> Iterator[Frame]:
        options = mapping(turn.request.fields.get("stream_options"))
        padded = self.padded and options.get("include_obfuscation") is not False
        yield self._frame("response.output_item.added", output_index=index, item=item.added)
        for event in item.events:
            fields = {"item_id": item.done["id"], "output_index": index, **event.fields}
            if padded and "delta" in fields:
                fields["obfuscation"] = turn.id("", turn.rng.randint(1, 16))
            frame = self._frame(f"response.{event.name}", kind=event.kind, **fields)
            yield dataclasses.replace(frame, text=event.text, reasoning=event.reasoning)
        yield self._frame("response.output_item.done", kind=item.kind, output_index=index, item=item.done)

    def _frame(self, event: str, *, kind: FrameKind = "head", **fields: object) -> Frame:
        return Frame(self.dumps({"type": event, "sequence_number": -1, **fields}), event=event, kind=kind)

    def posted(self, loose: Iterable[Loose]) -> Iterator[Loose]:
        number = 0
        for item in loose:
            if isinstance(item, Frame) and UNNUMBERED in item.data:
                data = item.data.replace(UNNUMBERED, f'"sequence_number":{number}', 1)
                number += 1
                yield dataclasses.replace(item, data=data)
            else:
                yield item

    def more(self, turn: Turn, text: str) -> list[Frame]:
        place = {"item_id": f"msg_{turn.ident:032x}", "output_index": 0, "content_index": 0}
        frame = self._frame("response.output_text.delta", kind="content", **place, delta=text, logprobs=[])
        return [dataclasses.replace(frame, text=text)]

    def unknown(self) -> Frame:
        return Frame(self.dumps({"type": "response.note", "note": "none"}), event="response.note", kind="noise")

    # ---- errors

    def error_frame(self, kind: str, shape: str) -> Frame:
        type_, code, message = told(kind)
        if shape == "string":
            return Frame(self.dumps({"code": code or type_, "error": message}), event="error", kind="fault")
        error: dict[str, object] = {"code": code or type_, "message": message, "param": None}
        if shape == "nested":
            error = {"error": {"type": type_, **error}}
        frame = self._frame("error", kind="fault", **error)
        return dataclasses.replace(frame, field="error" if shape == "field" else "data")

    def errors(self, turn: Turn, kind: str, shape: str) -> list[Frame]:
        """The error, and then the response that has failed by it."""
        response = {**self._response(turn, "failed", []), "error": _error(kind), "usage": None}
        return [self.error_frame(kind, shape), self._frame("response.failed", kind="fault", response=response)]

    # ---- the response

    def body(self, turn: Turn) -> object:
        return self._response(turn, _status(turn), [item.done for item in self._items(turn)])

    def _response(self, turn: Turn, status: str, output: list[Mapping[str, object]]) -> dict[str, object]:
        """The response in one of its states. What the request left open is filled as the vendor fills it."""
        fields = turn.request.fields
        over = status != "in_progress"
        reason = _reason(turn)
        reasoning, text = mapping(fields.get("reasoning")), mapping(fields.get("text"))
        return {
            "id": self.response_id(turn),
            "object": "response",
            "created_at": int(turn.now),
            "status": status,
            "background": False,
            "completed_at": int(turn.now) if status == "completed" else None,
            "error": _error("api") if status == "failed" else None,
            "incomplete_details": {"reason": reason} if over and reason else None,
            "instructions": fields.get("instructions"),
            "max_output_tokens": fields.get("max_output_tokens"),
            "max_tool_calls": fields.get("max_tool_calls"),
            "model": turn.model,
            "output": output,
            "parallel_tool_calls": fields.get("parallel_tool_calls", True),
            "previous_response_id": fields.get("previous_response_id"),
            "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
            "service_tier": "default" if over else "auto",
            "store": fields.get("store", True),
            "temperature": fields.get("temperature", 1.0),
            "text": {"format": text.get("format", {"type": "text"}), "verbosity": text.get("verbosity", "medium")},
            "tool_choice": fields.get("tool_choice", "auto"),
            "tools": listed(fields.get("tools")),
            "top_p": fields.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": _usage(turn) if over else None,
            "metadata": fields.get("metadata", {}),
        }


class GrokResponses(Responses):
    """xAI's: other ids, calls whole in one delta, no padding, thoughts without asking, another refusal of a model."""

    stream_type: ClassVar[str] = "text/event-stream"
    whole_calls: ClassVar[bool] = True
    padded: ClassVar[bool] = False

    def complaint(self, request: Request) -> Refusal | None:
        found = checks.complaint(request)
        return dataclasses.replace(found, code="invalid-argument") if found is not None else None

    def no_model(self, model: str) -> Refusal:
        return Refusal(400, message=f"Model not found: {model}", code="invalid-argument")

    def shows_thoughts(self, request: Request) -> bool:  # noqa: ARG002  # always
        return True

    def response_id(self, turn: Turn) -> str:
        return str(uuid.UUID(int=turn.ident, version=4))


def _status(turn: Turn) -> str:
    if _reason(turn):
        return "incomplete"
    return "failed" if turn.script.ending == "failed" else "completed"


def _reason(turn: Turn) -> str | None:
    return INCOMPLETE.get(turn.script.ending)


def _error(kind: str) -> dict[str, object]:
    type_, code, message = told(kind)
    return {"code": code or type_, "message": message}


def _usage(turn: Turn) -> dict[str, object]:
    """Cached input is part of the input, reasoning is part of the output."""
    tokens = turn.tokens
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.completion,
    }
