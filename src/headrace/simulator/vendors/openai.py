"""
OpenAI Chat Completions, as the vendor writes it.

Stream: data only, a role chunk, deltas, an empty delta with the finish_reason, a usage chunk with no choices where
`stream_options.include_usage` asks for it, `[DONE]`. Random padding (`obfuscation`) stands in every chunk unless it is
declined. Source: platform.openai.com/docs/api-reference/chat-streaming and /docs/guides/rate-limits, read 2026-11.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from headrace.simulator.buckets import Reading
from headrace.simulator.steps import Frame, FrameKind

from ._base import Headers, Refusal, Request, Route, Turn, Vendor

__all__ = ("OpenAI", "go_duration")

# status -> (type, code, message)
_ERRORS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("billing_error", "payment_required", "Payment is required."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    405: ("invalid_request_error", "method_not_supported", "Not allowed to use this method on this address."),
    408: ("timeout", "request_timeout", "The request timed out."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", "server_is_overloaded", "Our servers are currently overloaded. Please try again later."),
    529: ("server_error", "server_is_overloaded", "Our servers are currently overloaded. Please try again later."),
}
_QUOTA: Final = (
    "insufficient_quota",
    "insufficient_quota",
    "You exceeded your current quota, please check your plan and billing details.",
)
_KINDS: Final = {"overloaded": 503, "rate_limit": 429, "api": 500}


class OpenAI(Vendor):
    """OpenAI."""

    name: ClassVar[str] = "openai"
    prefix: ClassVar[str] = "/openai/v1"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    charges_max_tokens: ClassVar[bool] = True

    def route(self, request: Request) -> Route | None:
        if request.path == "/chat/completions":
            return Route("chat", ("POST",))
        return Route("models", ("GET",)) if request.path == "/models" else None

    def has_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and bool(key.strip())

    def complaint(self, request: Request) -> str | None:
        if not isinstance(request.fields.get("model"), str):
            return "you must provide a model parameter"
        messages = request.fields.get("messages")
        if not isinstance(messages, list) or not messages:
            return "Missing required parameter: 'messages'."
        return None

    def headers(self, rng: random.Random) -> Headers:
        return (
            ("openai-version", "2020-10-01"),
            ("openai-processing-ms", str(rng.randint(80, 900))),
            ("x-request-id", f"req_{rng.getrandbits(128):032x}"),
        )

    # ---- the stream

    def frames(self, turn: Turn) -> list[Frame]:
        chunk = partial(self.frame, turn)
        frames = [chunk({"role": "assistant", "content": "", "refusal": None}, kind="head")]
        frames += [chunk({"content": piece}, text=piece) for piece in turn.pieces]
        frames += [chunk({"refusal": piece}) for piece in turn.refusal]
        for index, (name, arguments) in enumerate(turn.script.tool_calls):
            call = {"index": index, "id": turn.id("call_"), "type": "function"}
            frames.append(chunk({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]}))
            frames += [
                chunk({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})
                for fragment in turn.fragments(arguments)
            ]
        frames.append(chunk({}, finish=self.finish(turn), kind="finish"))
        if self.sends_usage(turn):
            frames.append(chunk(None, kind="usage"))
        return [*frames, Frame("[DONE]", kind="tail")]

    def finish(self, turn: Turn) -> str:
        """The vendor's word; a refusal in words ends with `stop`."""
        return "stop" if turn.script.ending == "refusal" else turn.script.ending

    def sends_usage(self, turn: Turn) -> bool:
        """Only where it is asked for."""
        return _option(turn, "include_usage") is True

    def more(self, turn: Turn, text: str) -> list[Frame]:
        return [self.frame(turn, {"content": text}, text=text)]

    def unknown(self) -> Frame:
        return Frame(self.dumps({"id": "chatcmpl-note", "object": "chat.completion.note", "choices": []}), kind="noise")

    def envelope(self, turn: Turn) -> dict[str, object]:
        """What every chunk begins with."""
        return {
            "id": f"chatcmpl-{turn.ident:032x}",
            "object": "chat.completion.chunk",
            "created": int(turn.now),
            "model": turn.model,
            "service_tier": "default",
            "system_fingerprint": f"fp_{turn.ident & 0xFFFFFFFFFF:010x}",
        }

    def frame(
        self,
        turn: Turn,
        delta: dict[str, object] | None,
        *,
        finish: str | None = None,
        text: str = "",
        reasoning: str = "",
        kind: FrameKind = "content",
    ) -> Frame:
        """One chunk; no delta is the usage chunk."""
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        chunk = {**self.envelope(turn), "choices": choices}
        if self.sends_usage(turn):
            chunk["usage"] = self.usage(turn) if delta is None else None
        if _option(turn, "include_obfuscation") is not False:
            chunk["obfuscation"] = turn.id("", turn.rng.randint(1, 16))
        return Frame(self.dumps(chunk), text=text, reasoning=reasoning, kind=kind)

    # ---- the rest

    def body(self, turn: Turn) -> object:
        message: dict[str, object] = {
            "role": "assistant",
            "content": "".join(turn.pieces) or None,
            "refusal": turn.script.refusal or None,
            "annotations": [],
        }
        if turn.script.tool_calls:
            message["tool_calls"] = [
                {"id": turn.id("call_"), "type": "function", "function": {"name": name, "arguments": arguments}}
                for name, arguments in turn.script.tool_calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish(turn)}
        return {
            **self.envelope(turn),
            "object": "chat.completion",
            "choices": [choice],
            "usage": self.usage(turn),
        }

    def usage(self, turn: Turn) -> object:
        """Cached input is part of the prompt, reasoning is part of the completion."""
        tokens = turn.tokens
        return {
            "prompt_tokens": tokens.prompt,
            "completion_tokens": tokens.completion,
            "total_tokens": tokens.prompt + tokens.completion,
            "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": tokens.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def models(self) -> object:
        ids = ("gpt-6.1-terra", "gpt-6-luna", "gpt-4.1")
        data = [{"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "system"} for name in ids]
        return {"object": "list", "data": data}

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        type_, code, message = _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
        if refusal.status == 429 and refusal.kind == "quota":
            type_, code, message = _QUOTA
        elif refusal.status == 429:
            type_ = "requests" if refusal.dimension == "requests" else "tokens"
            unit = "requests per min (RPM)" if type_ == "requests" else "tokens per min (TPM)"
            told = f" Please try again in {go_duration(refusal.wait)}." if refusal.wait is not None else ""
            message = f"Rate limit reached on {unit}: Limit {refusal.limit}.{told}"
        error = {"message": refusal.message or message, "type": type_, "param": None, "code": code}
        return retry_headers(refusal), {"error": error}

    def error_frame(self, kind: str, shape: str) -> Frame:
        type_, code, message = _ERRORS[_KINDS[kind]]
        error: object = {"message": message, "type": type_, "param": None, "code": code}
        if shape == "string":
            return Frame(self.dumps({"code": code or type_, "error": message}), kind="fault")
        if shape == "beside":
            delta = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
            numeric = {"code": _KINDS[kind], "message": message}
            return Frame(self.dumps({"id": "gen-1", "error": numeric, "choices": [delta]}), kind="fault")
        return Frame(self.dumps({"error": error}), kind="fault", field="error" if shape == "field" else "data")

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:
        return tuple(
            (f"x-ratelimit-{what}-{name}", value)
            for name, reading in readings.items()
            if name in {"requests", "tokens"}
            for what, value in (
                ("limit", str(reading.limit)),
                ("remaining", str(reading.remaining)),
                ("reset", go_duration(reading.full_in)),
            )
        )


def _option(turn: Turn, name: str) -> object:
    options = turn.request.fields.get("stream_options")
    return options.get(name) if isinstance(options, dict) else None


def retry_headers(refusal: Refusal) -> Headers:
    """`retry-after` in whole seconds, never too early, and `retry-after-ms`, where there is something to wait for."""
    if refusal.wait is None or refusal.kind == "quota":
        return ()
    exact = (("retry-after-ms", str(math.ceil(refusal.wait * 1000))),) if refusal.wait_ms else ()
    return (("retry-after", str(math.ceil(refusal.wait))), *exact)


def go_duration(seconds: float) -> str:
    """As Go's `time.Duration.String`, to the millisecond: `0s`, `6ms`, `1.58s`, `1m19.156s`, `1h0m0s`."""
    ms = max(0, round(seconds * 1000))
    if ms == 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + rest
