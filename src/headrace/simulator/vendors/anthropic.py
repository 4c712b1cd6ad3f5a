"""
Anthropic Messages, as the vendor writes it.

Stream: `event:` and `data:`; message_start, blocks (thinking with its signature, text, tool_use), message_delta with
the stop_reason and cumulative usage, message_stop; pings between; blanks before many closing braces. Sources:
docs.claude.com/en/docs/build-with-claude/streaming, /en/api/errors, /en/api/rate-limits, read 2026-11.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import unquote

from headrace.simulator.asked import Asked
from headrace.simulator.buckets import Reading
from headrace.simulator.steps import Frame, FrameKind

from . import _anthropic_checks as checks
from . import _anthropic_errors as errors
from . import _anthropic_plain as plain
from ._anthropic_blocks import Block, blocks
from ._anthropic_blocks import text as spoken
from ._base import Headers, Refusal, Request, Route, Turn, Vendor, bearer

__all__ = ("Anthropic",)

_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_DIMENSIONS: Final = ("requests", "input_tokens", "output_tokens", "tokens")
_ROUTES: Final[Mapping[str, Route]] = {
    "/v1/messages": Route("chat", ("POST",)),
    "/v1/messages/count_tokens": Route("free", ("POST",), make=plain.count),
    "/v1/models": Route("free", ("GET",), make=plain.page),
}


class Anthropic(Vendor):
    """Anthropic."""

    name: ClassVar[str] = "anthropic"
    prefix: ClassVar[str] = "/anthropic"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def route(self, request: Request) -> Route | None:
        if request.path.startswith("/v1/models/"):
            name = unquote(request.path.removeprefix("/v1/models/"))
            return Route("free", ("GET",), model=name, make=lambda _: plain.model(name))
        return _ROUTES.get(request.path)

    def has_key(self, headers: Mapping[str, str]) -> bool:
        return bool(headers.get("x-api-key")) or bearer(headers)

    def complaint(self, request: Request) -> str | None:
        return checks.complaint(request)

    def no_model(self, model: str) -> Refusal:
        return Refusal(404, message=f"model: {model}")

    def asked(self, request: Request) -> Asked:
        return checks.asked(request)

    def headers(self, rng: random.Random) -> Headers:
        organization = "00000000-0000-4000-8000-000000000000"
        return (("request-id", _request_id(rng)), ("anthropic-organization-id", organization))

    # ---- the stream

    def frames(self, turn: Turn) -> list[Frame]:
        tokens = turn.tokens
        start = self._message(turn, [], None, {**_input(turn), "output_tokens": min(1, tokens.completion)})
        frames = [self._frame(turn, "message_start", kind="head", message=start)]
        for index, block in enumerate(blocks(turn)):
            frames += self._block(index, block, turn)
            if index == 0:
                frames.insert(2, self.ping())
        delta: dict[str, object] = {"stop_reason": _stop_reason(turn), "stop_sequence": None}
        if delta["stop_reason"] == "refusal":
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": turn.script.refusal or None}
        usage = {**_input(turn), **_output(turn)}
        frames.append(self._frame(turn, "message_delta", kind="finish", delta=delta, usage=usage))
        return [*frames, self._frame(turn, "message_stop", kind="tail")]

    def _block(self, index: int, block: Block, turn: Turn) -> Sequence[Frame]:
        frames = [self._frame(turn, "content_block_start", kind="head", index=index, content_block=block.start)]
        for one in block.deltas:
            frame = self._frame(turn, "content_block_delta", index=index, delta=one.fields)
            frames.append(dataclasses.replace(frame, text=one.text, reasoning=one.reasoning))
        return [*frames, self._frame(turn, "content_block_stop", kind="head", index=index)]

    def _frame(self, turn: Turn, event: str, *, kind: FrameKind = "content", **fields: object) -> Frame:
        data = self.dumps({"type": event, **fields})
        return Frame(data[:-1] + " " * turn.rng.randint(0, 14) + "}", event=event, kind=kind)

    def more(self, turn: Turn, text: str) -> list[Frame]:
        return list(self._block(len(blocks(turn)), spoken(turn, (text,)), turn))

    def unknown(self) -> Frame:
        return Frame(self.dumps({"type": "content_note", "note": "none"}), event="content_note", kind="noise")

    def ping(self) -> Frame:
        return Frame('{"type": "ping"}', event="ping", kind="noise")

    # ---- the rest

    def _message(
        self, turn: Turn, content: Sequence[object], stop_reason: str | None, usage: object
    ) -> dict[str, object]:
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
        content = [block.whole for block in blocks(turn)]
        return self._message(turn, content, _stop_reason(turn), {**_input(turn), **_output(turn)})

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        body = {"type": "error", "error": errors.error(refusal), "request_id": refusal.request_id or None}
        return errors.headers(refusal), body

    def error_frame(self, kind: str, shape: str) -> Frame:
        data = self.dumps({"type": "error", "error": errors.of_kind(kind), "request_id": None})
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
                (f"anthropic-ratelimit-{name}-reset", plain.date(math.ceil(reading.full_at))),
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


def _output(turn: Turn) -> dict[str, object]:
    usage: dict[str, object] = {"output_tokens": turn.tokens.completion}
    if turn.tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": turn.tokens.reasoning}
    if turn.script.citations:
        usage["server_tool_use"] = {"web_search_requests": 1, "web_fetch_requests": 0}
    return usage


def _stop_reason(turn: Turn) -> str:
    if turn.script.refusal and turn.script.finish is None:
        return "refusal"
    return _REASONS.get(turn.script.ending, turn.script.ending)


def _request_id(rng: random.Random) -> str:
    return "req_011C" + "".join(rng.choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ123456789", k=20))
