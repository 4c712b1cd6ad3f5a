"""
xAI: OpenAI's formats with xAI's differences.

Reasoning stands in `reasoning_content`; a tool call comes whole, in one chunk; there is no padding; usage comes without
asking, and its completion count leaves out the reasoning; the pages of a search stand in the last chunk. Errors are
`{"code": sentence, "error": text}`, at times in one of two other shapes; rate-limit headers tell limit and remaining
without a reset. Source: docs.x.ai/docs/api-reference, read 2026-11.
"""

from __future__ import annotations

import dataclasses
import random
import uuid
from collections.abc import Mapping
from typing import ClassVar, Final

from headrace.simulator.asked import Asked
from headrace.simulator.buckets import Reading
from headrace.simulator.steps import Frame, FrameKind

from . import _openai_checks as checks
from . import _openai_plain as plain
from ._base import Charging, Headers, Refusal, Request, Route, Turn
from ._openai_errors import KINDS, retry_headers, told
from ._responses import GrokResponses
from .openai import OpenAI, images

__all__ = ("Grok",)

# status -> (code, error)
_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Client specified an invalid argument", "The request is not valid."),
    401: ("The caller does not have valid authentication credentials", "No API key was provided."),
    402: ("Payment is required", "Payment is required."),
    403: ("The caller does not have permission to execute the specified operation", "The team is blocked."),
    404: ("Some requested entity was not found", "The model does not exist or your team has no access to it."),
    405: ("Method not allowed", "This address does not take this method."),
    408: ("Deadline expired before operation could complete", "The request timed out."),
    409: ("Operation was aborted", "The request was in conflict with another one."),
    413: ("Request is too large", "The request is too large."),
    415: ("Unsupported media type", "Expected request with `Content-Type: application/json`"),
    422: ("Unprocessable entity", "Failed to deserialize the JSON body into the target type"),
    429: ("Some resource has been exhausted", "Too many requests: the rate limit of the model is reached."),
    500: ("Internal error", "The server had an internal error."),
    503: ("The service is currently unavailable", "The model is at capacity, try again later."),
    504: ("Deadline expired before operation could complete", "The model did not answer in time."),
    529: ("The service is currently unavailable", "The model is at capacity, try again later."),
}
_QUOTA: Final = "Your team has used all available credits or reached its monthly spending limit."


class Grok(OpenAI):
    """xAI."""

    name: ClassVar[str] = "grok"
    prefix: ClassVar[str] = "/grok/v1"
    stream_type: ClassVar[str] = "text/event-stream"
    charging: ClassVar[Charging] = "produced"
    owner: ClassVar[str] = "xai"
    names: ClassVar[tuple[str, ...]] = ("grok-4.6", "grok-4.3")

    def __init__(self) -> None:
        super().__init__()
        self.routes: Mapping[str, Route] = {
            "/chat/completions": Route("chat", ("POST",)),
            "/responses": Route("chat", ("POST",), api=GrokResponses()),
            "/embeddings": Route("embed", ("POST",), make=plain.embeddings),
            "/tokenize-text": Route("free", ("POST",), make=plain.tokenized),
            "/models": Route("free", ("GET",), make=lambda _: self.models()),
        }

    def complaint(self, request: Request) -> Refusal | None:
        found = checks.complaint(request)
        return dataclasses.replace(found, code="") if found is not None else None

    def no_model(self, model: str) -> Refusal:
        return Refusal(404, message=f"The model {model} does not exist or your team does not have access to it.")

    def asked(self, request: Request) -> Asked:
        return checks.asked(request, thoughts=True)

    def headers(self, rng: random.Random) -> Headers:
        return (("x-request-id", str(uuid.UUID(int=rng.getrandbits(128), version=4))),)

    def frames(self, turn: Turn) -> list[Frame]:
        frames = [self.frame(turn, {"role": "assistant", "content": ""}, kind="head")]
        frames += [self.frame(turn, {"reasoning_content": thought}, reasoning=thought) for thought in turn.thoughts]
        frames += [self.frame(turn, {"content": piece}, text=piece) for piece in turn.pieces]
        frames += [self.frame(turn, {"refusal": piece}) for piece in turn.refusal]
        if turn.script.image:
            frames.append(self.frame(turn, {"images": images(turn)}))
        for index, call in enumerate(self._calls(turn)):
            frames.append(self.frame(turn, {"tool_calls": [{**call, "index": index}]}))
        frames.append(self.frame(turn, {}, finish=self.finish(turn), kind="finish"))
        frames.append(self.frame(turn, None, kind="usage"))
        return [*frames, Frame("[DONE]", kind="tail")]

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
        chunk = self._envelope(turn, "chat.completion.chunk")
        if delta is None:
            chunk |= {"choices": [], "usage": self.usage(turn), **_citations(turn)}
        else:
            choice: dict[str, object] = {"index": 0, "delta": delta}
            chunk["choices"] = [choice if finish is None else {**choice, "finish_reason": finish}]
        chunk["system_fingerprint"] = f"fp_{turn.ident & 0xFFFFFFFFFF:010x}"
        return Frame(self.dumps(chunk), text=text, reasoning=reasoning, kind=kind)

    def body(self, turn: Turn) -> object:
        message: dict[str, object] = {"role": "assistant", "content": "".join(turn.pieces)}
        if turn.thoughts:
            message["reasoning_content"] = "".join(turn.thoughts)
        if turn.script.image:
            message["images"] = images(turn)
        message["refusal"] = turn.script.refusal or None
        if turn.script.tool_calls:
            message["tool_calls"] = self._calls(turn)
        choice = {"index": 0, "message": message, "finish_reason": self.finish(turn)}
        whole = {**self._envelope(turn, "chat.completion"), "choices": [choice], "usage": self.usage(turn)}
        return {**whole, **_citations(turn)}

    def usage(self, turn: Turn) -> object:
        tokens = turn.tokens
        return {
            "prompt_tokens": tokens.prompt,
            "completion_tokens": tokens.completion - tokens.reasoning,
            "total_tokens": tokens.prompt + tokens.completion,
            "prompt_tokens_details": {
                "text_tokens": tokens.prompt,
                "audio_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": tokens.cached,
            },
            "completion_tokens_details": {
                "reasoning_tokens": tokens.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "num_sources_used": len(turn.script.citations),
        }

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        code, error = _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
        error = refusal.message or (_QUOTA if refusal.kind == "quota" else error)
        body: object = {"code": refusal.code or code, "error": error}
        if refusal.shape == "string":
            body = {"error": error}
        elif refusal.shape == "nested":
            _, body = super().refusal(refusal)
        return retry_headers(refusal), body

    def error_frame(self, kind: str, shape: str) -> Frame:
        if shape in {"usual", "string"}:
            _, word, message = told(kind)
            code, error = _ERRORS[KINDS[kind]] if kind in KINDS else (word, message)
            return Frame(self.dumps({"code": code, "error": error}), kind="fault")
        return super().error_frame(kind, "usual" if shape == "nested" else shape)

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:
        told = super().limit_headers(readings)
        return tuple((name, value) for name, value in told if "-reset-" not in name)

    def _envelope(self, turn: Turn, kind: str) -> dict[str, object]:
        ident = str(uuid.UUID(int=turn.ident, version=4))
        return {"id": ident, "object": kind, "created": int(turn.now), "model": turn.model}

    def _calls(self, turn: Turn) -> list[dict[str, object]]:
        return [
            {
                "id": f"call_{turn.rng.randint(10_000_000, 99_999_999)}",
                "function": {"name": name, "arguments": arguments},
                "type": "function",
            }
            for name, arguments in turn.script.tool_calls
        ]


def _citations(turn: Turn) -> dict[str, object]:
    """Addresses alone; Perplexity writes them in the same place."""
    return {"citations": [one.url for one in turn.script.citations]} if turn.script.citations else {}
