"""
Anthropic Messages, as the vendor writes it.

Stream: `event:` and `data:`; message_start, blocks (thinking with its signature, text, tool_use), message_delta with
the stop_reason and cumulative usage, message_stop; pings between; blanks before many closing braces. Sources:
docs.claude.com/en/docs/build-with-claude/streaming, /en/api/errors, /en/api/rate-limits, read 2026-11.
"""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from headrace.simulator.buckets import Reading
from headrace.simulator.steps import Frame, FrameKind

from ._base import Headers, Refusal, Request, Route, Turn, Vendor

__all__ = ("Anthropic",)

# status -> (type, message)
_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "x-api-key header is required"),
    402: ("billing_error", "There is a problem with your billing."),
    403: ("permission_error", "Your API key does not have permission to use this resource."),
    404: ("not_found_error", "Not found"),
    405: ("invalid_request_error", "Method Not Allowed"),
    408: ("timeout_error", "Request timed out"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    529: ("overloaded_error", "Overloaded"),
}
_KINDS: Final = {"overloaded": 529, "rate_limit": 429, "api": 500}
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_DIMENSIONS: Final = ("requests", "input_tokens", "output_tokens", "tokens")


class Anthropic(Vendor):
    """Anthropic."""

    name: ClassVar[str] = "anthropic"
    prefix: ClassVar[str] = "/anthropic"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def route(self, request: Request) -> Route | None:
        if request.path == "/v1/messages":
            return Route("chat", ("POST",))
        return Route("models", ("GET",)) if request.path == "/v1/models" else None

    def has_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return bool(headers.get("x-api-key")) or (scheme.lower() == "bearer" and bool(key.strip()))

    def complaint(self, request: Request) -> str | None:
        if "anthropic-version" not in request.headers:
            return "anthropic-version: header is required"
        for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
            if name not in request.fields:
                return f"{name}: Field required"
            if not isinstance(request.fields[name], kind):
                return f"{name}: Input should be a valid {kind.__name__}"
        return None if request.fields["messages"] else "messages: at least one message is required"

    def headers(self, rng: random.Random) -> Headers:
        organization = "00000000-0000-4000-8000-000000000000"
        return (("request-id", _request_id(rng)), ("anthropic-organization-id", organization))

    # ---- the stream

    def frames(self, turn: Turn) -> list[Frame]:
        tokens = turn.tokens
        start = self._message(turn, [], None, {**_input(turn), "output_tokens": min(1, tokens.completion)})
        frames = [self._frame(turn, "message_start", kind="head", message=start)]
        blocks = self._blocks(turn)
        for index, block in enumerate(blocks):
            frames += block
            if index == 0:
                frames.insert(2, self.ping())
        delta: dict[str, object] = {"stop_reason": _stop_reason(turn), "stop_sequence": None}
        if delta["stop_reason"] == "refusal":
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": turn.script.refusal or None}
        usage = {**_input(turn), "output_tokens": tokens.completion}
        frames.append(self._frame(turn, "message_delta", kind="finish", delta=delta, usage=usage))
        return [*frames, self._frame(turn, "message_stop", kind="tail")]

    def _blocks(self, turn: Turn) -> list[list[Frame]]:
        blocks = []
        if turn.thoughts:
            deltas = [
                self._delta(turn, 0, "thinking_delta", reasoning=thought, thinking=thought) for thought in turn.thoughts
            ]
            signature = self._delta(turn, 0, "signature_delta", signature=_signature(turn))
            block = {"type": "thinking", "thinking": "", "signature": ""}
            blocks.append(self._block(turn, 0, block, [*deltas, signature]))
        if turn.pieces:
            blocks.append(self._text(turn, len(blocks), turn.pieces))
        for name, arguments in turn.script.tool_calls:
            index = len(blocks)
            call = {"type": "tool_use", "id": turn.id("toolu_01", 22), "name": name, "input": {}}
            deltas = [
                self._delta(turn, index, "input_json_delta", partial_json=fragment)
                for fragment in ("", *turn.fragments(arguments))
            ]
            blocks.append(self._block(turn, index, call, deltas))
        return blocks

    def _text(self, turn: Turn, index: int, pieces: tuple[str, ...]) -> list[Frame]:
        deltas = [self._delta(turn, index, "text_delta", text_sent=piece, text=piece) for piece in pieces]
        return self._block(turn, index, {"type": "text", "text": ""}, deltas)

    def _block(self, turn: Turn, index: int, block: Mapping[str, object], deltas: list[Frame]) -> list[Frame]:
        start = self._frame(turn, "content_block_start", kind="head", index=index, content_block=block)
        return [start, *deltas, self._frame(turn, "content_block_stop", kind="head", index=index)]

    def _delta(
        self, turn: Turn, index: int, delta_type: str, *, text_sent: str = "", reasoning: str = "", **fields: str
    ) -> Frame:
        delta = {"type": delta_type, **fields}
        frame = self._frame(turn, "content_block_delta", index=index, delta=delta)
        return Frame(frame.data, event=frame.event, text=text_sent, reasoning=reasoning)

    def _frame(self, turn: Turn, event: str, *, kind: FrameKind = "content", **fields: object) -> Frame:
        data = self.dumps({"type": event, **fields})
        return Frame(data[:-1] + " " * turn.rng.randint(0, 14) + "}", event=event, kind=kind)

    def more(self, turn: Turn, text: str) -> list[Frame]:
        return self._text(turn, len(self._blocks(turn)), (text,))

    def unknown(self) -> Frame:
        return Frame(self.dumps({"type": "content_note", "note": "none"}), event="content_note", kind="noise")

    def ping(self) -> Frame:
        return Frame('{"type": "ping"}', event="ping", kind="noise")

    # ---- the rest

    def _message(self, turn: Turn, content: list[object], stop_reason: str | None, usage: object) -> dict[str, object]:
        return {
            "model": turn.model,
            "id": f"msg_01{turn.ident:032x}"[:28],
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }

    def body(self, turn: Turn) -> object:
        content: list[object] = []
        if turn.script.reasoning:
            content.append({"type": "thinking", "thinking": turn.script.reasoning, "signature": _signature(turn)})
        if turn.pieces:
            content.append({"type": "text", "text": "".join(turn.pieces)})
        content += [
            {"type": "tool_use", "id": turn.id("toolu_01", 22), "name": name, "input": json.loads(arguments or "{}")}
            for name, arguments in turn.script.tool_calls
        ]
        usage = {**_input(turn), "output_tokens": turn.tokens.completion}
        return self._message(turn, content, _stop_reason(turn), usage)

    def models(self) -> object:
        ids = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5")
        data = [
            {
                "type": "model",
                "id": name,
                "display_name": name.replace("-", " ").title(),
                "created_at": _date(1_790_000_000),
            }
            for name in ids
        ]
        return {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        type_, message = _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
        error: dict[str, object] = {"type": type_, "message": refusal.message or message}
        headers: Headers = (
            ("x-should-retry", "true" if refusal.status in {408, 429} or refusal.status >= 500 else "false"),
        )
        if refusal.kind == "quota":
            error["message"] = "You have reached the spend limit of your tier."
            error["details"] = {"error_code": "enforced_spend_limit_reached"}
            headers = (("x-should-retry", "false"),)
        elif refusal.wait is not None:
            headers += (("retry-after", str(math.ceil(refusal.wait))),)
            if refusal.wait_ms:
                headers += (("retry-after-ms", str(math.ceil(refusal.wait * 1000))),)
        return headers, {"type": "error", "error": error, "request_id": refusal.request_id or None}

    def error_frame(self, kind: str, shape: str) -> Frame:
        type_, message = _ERRORS[_KINDS[kind]]
        data = self.dumps({"type": "error", "error": {"type": type_, "message": message}, "request_id": None})
        return Frame(data, event="error", kind="fault", field="error" if shape == "field" else "data")

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:
        readings = dict(readings)
        if "input_tokens" in readings and "output_tokens" in readings:
            # The combined figure shows the limits in force; it is their sum where both are.
            both = (readings["input_tokens"], readings["output_tokens"])
            readings["tokens"] = Reading(
                sum(reading.limit for reading in both),
                sum(reading.remaining for reading in both),
                max(reading.full_in for reading in both),
                max(reading.full_at for reading in both),
            )
        headers: list[tuple[str, str]] = []
        for dimension in (name for name in _DIMENSIONS if name in readings):
            reading, name = readings[dimension], dimension.replace("_", "-")
            # "rounded to the nearest thousand": tokens only
            remaining = reading.remaining if dimension == "requests" else round(reading.remaining, -3)
            headers += [
                (f"anthropic-ratelimit-{name}-limit", str(reading.limit)),
                (f"anthropic-ratelimit-{name}-remaining", str(remaining)),
                (f"anthropic-ratelimit-{name}-reset", _date(math.ceil(reading.full_at))),
            ]
        return tuple(headers)


def _input(turn: Turn) -> dict[str, object]:
    """The vendor's `input_tokens` are those that were not cached."""
    return {
        "input_tokens": turn.tokens.prompt - turn.tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": turn.tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def _stop_reason(turn: Turn) -> str:
    if turn.script.refusal and turn.script.finish is None:
        return "refusal"
    return _REASONS.get(turn.script.ending, turn.script.ending)


def _signature(turn: Turn) -> str:
    return base64.b64encode(random.Random(turn.ident).randbytes(96)).decode()


def _request_id(rng: random.Random) -> str:
    return "req_011C" + "".join(rng.choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ123456789", k=20))


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
