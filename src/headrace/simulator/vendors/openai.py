"""
OpenAI Chat Completions, as the vendor writes it.

Stream: data only, a role chunk, deltas, an empty delta with the finish_reason, a usage chunk with no choices where
`stream_options.include_usage` asks for it, `[DONE]`. Random padding (`obfuscation`) stands in every chunk unless it is
declined. Source: platform.openai.com/docs/api-reference/chat-streaming and /docs/guides/rate-limits, read 2026-11.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from functools import partial
from typing import ClassVar
from urllib.parse import unquote

from headrace.simulator.asked import Asked
from headrace.simulator.buckets import Reading
from headrace.simulator.steps import Frame, FrameKind

from . import _openai_checks as checks
from . import _openai_plain as plain
from ._base import Charging, Headers, Refusal, Request, Route, Turn, Vendor, bearer, mapping
from ._openai_errors import KINDS, error, go_duration, retry_headers, told
from ._responses import Responses

__all__ = ("OpenAI",)


class OpenAI(Vendor):
    """OpenAI."""

    name: ClassVar[str] = "openai"
    prefix: ClassVar[str] = "/openai/v1"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    charging: ClassVar[Charging] = "most"
    refusals_count: ClassVar[bool] = True
    tells_ms: ClassVar[bool] = True

    owner: ClassVar[str] = "system"
    names: ClassVar[tuple[str, ...]] = ("gpt-6.1-terra", "gpt-6-luna", "gpt-4.1", "text-embedding-3-small")

    def __init__(self) -> None:
        self.routes: Mapping[str, Route] = {
            "/chat/completions": Route("chat", ("POST",)),
            "/responses": Route("chat", ("POST",), api=Responses()),
            "/responses/input_tokens": Route("free", ("POST",), make=plain.input_tokens),
            "/embeddings": Route("embed", ("POST",), make=plain.embeddings),
            "/models": Route("free", ("GET",), make=lambda _: self.models()),
        }

    def route(self, request: Request) -> Route | None:
        if request.path.startswith("/models/"):
            name = unquote(request.path.removeprefix("/models/"))
            return Route("free", ("GET",), model=name, make=lambda _: plain.model(name, self.owner))
        return self.routes.get(request.path)

    def has_key(self, headers: Mapping[str, str]) -> bool:
        return bearer(headers)

    def complaint(self, request: Request) -> str | Refusal | None:
        return checks.complaint(request)

    def no_model(self, model: str) -> Refusal:
        message = f"The model `{model}` does not exist or you do not have access to it."
        return Refusal(404, message=message, code="model_not_found")

    def asked(self, request: Request) -> Asked:
        return checks.asked(request, thoughts=False)

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
        if turn.script.citations:
            frames.append(chunk({"annotations": cited(turn)}))
        if turn.script.image:
            frames.append(chunk({"images": images(turn)}))
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
            "annotations": cited(turn),
        }
        if turn.script.image:
            message["images"] = images(turn)
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
        return {"object": "list", "data": [plain.model(name, self.owner) for name in self.names]}

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        return retry_headers(refusal), {"error": error(refusal)}

    def error_frame(self, kind: str, shape: str) -> Frame:
        type_, code, message = told(kind)
        usual: object = {"message": message, "type": type_, "param": None, "code": code}
        if shape == "string":
            return Frame(self.dumps({"code": code or type_, "error": message}), kind="fault")
        if shape == "beside":
            delta = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
            numeric = {"code": KINDS.get(kind, 400), "message": message}
            return Frame(self.dumps({"id": "gen-1", "error": numeric, "choices": [delta]}), kind="fault")
        return Frame(self.dumps({"error": usual}), kind="fault", field="error" if shape == "field" else "data")

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:
        if "requests" not in readings and "requests_day" in readings:  # as Groq does
            readings = {"requests": readings["requests_day"], **readings}
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
    return mapping(turn.request.fields.get("stream_options")).get(name)


def cited(turn: Turn) -> list[object]:
    """The pages that the words rest on, as the search models tell them."""
    end = len("".join(turn.pieces))
    return [
        {
            "type": "url_citation",
            "url_citation": {"start_index": 0, "end_index": end, "title": one.title, "url": one.url},
        }
        for one in turn.script.citations
    ]


def images(turn: Turn) -> list[object]:
    """The image as a data URL: not OpenAI's own, but how aggregators (OpenRouter) write it into chat."""
    url = "data:image/png;base64," + base64.b64encode(turn.script.image).decode()
    return [{"type": "image_url", "image_url": {"url": url}, "index": 0}]
