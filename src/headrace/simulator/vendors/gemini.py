"""
Gemini generateContent, as the vendor writes it.

Stream (`alt=sse`): data only, CRLF, every event a whole GenerateContentResponse with parts to be joined and usage so
far; no sentinel, the end is a finishReason. Without `alt=sse` the same objects come as one JSON array. An error in
mid-stream is bare pretty-printed JSON. No rate-limit headers: a 429 tells limit and wait in its body. Sources:
ai.google.dev/api/generate-content, ai.google.dev/gemini-api/docs/rate-limits, google.rpc error_details, read 2026-11.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Mapping
from typing import ClassVar, Final

from headrace.simulator.buckets import Reading
from headrace.simulator.script import LineEnd
from headrace.simulator.steps import Frame, FrameKind

from ._base import Headers, Refusal, Request, Route, Turn, Vendor

__all__ = ("Gemini",)

_PATH: Final = re.compile(r"/(?:v1|v1beta|v1alpha)/models(?:/([^/:]+):(generateContent|streamGenerateContent))?")

# status -> (google.rpc status, message)
_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request is missing required authentication credential."),
    402: ("FAILED_PRECONDITION", "Billing is not enabled."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    405: ("UNIMPLEMENTED", "Method not allowed."),
    408: ("CANCELLED", "The request timed out."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    529: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_KINDS: Final = {"overloaded": 503, "rate_limit": 429, "api": 500}
_REASONS: Final = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "PROHIBITED_CONTENT",
}
_RPC: Final = "type.googleapis.com/google.rpc."


class Gemini(Vendor):
    """Google Gemini."""

    name: ClassVar[str] = "gemini"
    prefix: ClassVar[str] = "/gemini"
    line_end: ClassVar[LineEnd] = "crlf"
    separators: ClassVar[tuple[str, str]] = (",", ": ")

    def route(self, request: Request) -> Route | None:
        match = _PATH.fullmatch(request.path)
        if match is None:
            return None
        model, method = match.groups()
        if method is None:
            return Route("models", ("GET",))
        stream = method == "streamGenerateContent"
        return Route(
            "chat", ("POST",), model=model, stream=stream and request.query.get("alt") == "sse", as_array=stream
        )

    def has_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return bool(headers.get("x-goog-api-key")) or (scheme.lower() == "bearer" and bool(key.strip()))

    def complaint(self, request: Request) -> str | None:
        contents = request.fields.get("contents")
        if not isinstance(contents, list) or not contents:
            return "* GenerateContentRequest.contents: contents is not specified\n"
        return None

    def max_tokens(self, request: Request) -> int:
        config = request.fields.get("generationConfig")
        value = config.get("maxOutputTokens") if isinstance(config, dict) else None
        return value if isinstance(value, int) else 0

    def headers(self, rng: random.Random) -> Headers:
        return (
            ("server", "scaffolding on HTTPServer2"),
            ("server-timing", f"gfet4t7; dur={rng.randint(100, 900)}"),
            ("vary", "Origin, X-Origin, Referer"),
            ("x-content-type-options", "nosniff"),
        )

    # ---- the stream

    def frames(self, turn: Turn) -> list[Frame]:
        if turn.script.refusal and not turn.pieces:
            # The prompt is blocked: no candidates at all.
            blocked = {"promptFeedback": {"blockReason": "SAFETY"}, **self._after(turn, 0, 0)}
            return [Frame(self.dumps(blocked), kind="finish")]
        frames, spoken, thought = [], 0, 0
        for words in turn.thoughts:
            thought += 1
            part = {"text": words, "thought": True}
            frames.append(self._frame(turn, [part], spoken, thought, reasoning=words))
        calls = turn.script.tool_calls
        closing = not turn.thoughts and not calls  # then the last words and the finishReason share an event
        for index, words in enumerate(turn.pieces):
            spoken += 1
            last = closing and index == len(turn.pieces) - 1
            frames.append(self._frame(turn, [{"text": words}], spoken, thought, last=last, text=words))
        for index, call in enumerate(calls):
            part = {**_call(call), **({"thoughtSignature": _signature(turn)} if index == 0 else {})}
            frames.append(self._frame(turn, [part], spoken, thought))
        if not closing or not turn.pieces:
            empty: dict[str, object] = {"text": ""}
            if turn.thoughts and not calls:
                empty["thoughtSignature"] = _signature(turn)
            frames.append(self._frame(turn, [empty], spoken, thought, last=True))
        return frames

    def _frame(
        self,
        turn: Turn,
        parts: list[dict[str, object]],
        spoken: int,
        thought: int,
        *,
        last: bool = False,
        text: str = "",
        reasoning: str = "",
    ) -> Frame:
        candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}}
        kind: FrameKind = "content"
        if last:
            candidate["finishReason"], kind = _REASONS.get(turn.script.ending, turn.script.ending), "finish"
        candidate["index"] = 0
        data = self.dumps({"candidates": [candidate], **self._after(turn, spoken, thought, last=last)})
        return Frame(data, text=text, reasoning=reasoning, kind=kind)

    def _after(self, turn: Turn, spoken: int, thought: int, *, last: bool = False) -> dict[str, object]:
        """What stands behind the candidates. Counts grow; thoughts are not part of the candidates' tokens."""
        tokens = turn.tokens
        if last:
            spoken, thought = tokens.completion - tokens.reasoning, tokens.reasoning
        usage: dict[str, object] = {"promptTokenCount": tokens.prompt}
        if tokens.cached:
            usage["cachedContentTokenCount"] = tokens.cached
        if spoken:
            usage["candidatesTokenCount"] = spoken
        usage["totalTokenCount"] = tokens.prompt + spoken + thought
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens.prompt}]
        if thought:
            usage["thoughtsTokenCount"] = thought
        ident = base64.urlsafe_b64encode(turn.ident.to_bytes(16, "big")).decode().rstrip("=")
        return {"usageMetadata": usage, "modelVersion": turn.model, "responseId": ident}

    def more(self, turn: Turn, text: str) -> list[Frame]:
        tokens = turn.tokens  # counts do not fall again after the finish
        spoken = tokens.completion - tokens.reasoning
        return [self._frame(turn, [{"text": text}], spoken, tokens.reasoning, text=text)]

    def unknown(self) -> Frame:
        return Frame(self.dumps({"modelStatus": {"modelStage": "STABLE"}}), kind="noise")

    # ---- the rest

    def body(self, turn: Turn) -> object:
        if turn.route.as_array:
            return [json.loads(frame.data) for frame in self.frames(turn)]
        if turn.script.refusal and not turn.pieces:
            return {"promptFeedback": {"blockReason": "SAFETY"}, **self._after(turn, 0, 0)}
        parts: list[dict[str, object]] = []
        if turn.script.reasoning:
            parts.append({"text": turn.script.reasoning, "thought": True})
        if turn.pieces:
            parts.append({"text": "".join(turn.pieces)})
        parts += [_call(call) for call in turn.script.tool_calls]
        finish = _REASONS.get(turn.script.ending, turn.script.ending)
        candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": finish, "index": 0}
        return {"candidates": [candidate], **self._after(turn, 0, 0, last=True)}

    def models(self) -> object:
        return {
            "models": [
                {
                    "name": f"models/{name}",
                    "version": "001",
                    "displayName": name.replace("-", " ").title(),
                    "inputTokenLimit": 1_048_576,
                    "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                }
                for name in ("gemini-3.8-flash", "gemini-2.5-pro")
            ]
        }

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        status, message = _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
        code = 503 if refusal.status == 529 else refusal.status
        error: dict[str, object] = {"code": code, "message": refusal.message or message, "status": status}
        if refusal.status == 429:
            error["details"] = _quota_details(refusal)
        return (), {"error": error}

    def error_frame(self, kind: str, shape: str) -> Frame:
        code = _KINDS[kind]
        status, message = _ERRORS[code]
        error = {"error": {"code": code, "message": message, "status": status}}
        if shape == "usual":
            return Frame(raw=json.dumps(error, indent=2) + "\n", kind="fault")
        return Frame(self.dumps(error), kind="fault", field="error" if shape == "field" else "data")

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:  # noqa: ARG002  # there are none to tell
        return ()


def _call(call: tuple[str, str]) -> dict[str, object]:
    name, arguments = call
    return {"functionCall": {"name": name, **({"args": json.loads(arguments)} if arguments else {})}}


def _signature(turn: Turn) -> str:
    return base64.b64encode(random.Random(turn.ident).randbytes(60)).decode()


def _quota_details(refusal: Refusal) -> list[object]:
    """QuotaFailure names the limit; RetryInfo the wait, which a daily quota carries too, short and without meaning."""
    unit = "Requests" if refusal.dimension == "requests" else "InputTokens"
    metric = "requests" if unit == "Requests" else "input_token_count"
    period = "PerDay" if refusal.kind == "quota" else "PerMinute"
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/generate_content_free_tier_{metric}",
        "quotaId": f"Generate{unit}{period}PerProjectPerModel-FreeTier",
        "quotaValue": str(refusal.limit),
    }
    details: list[object] = [{"@type": _RPC + "QuotaFailure", "violations": [violation]}]
    if refusal.wait is not None:
        details.append({"@type": _RPC + "RetryInfo", "retryDelay": f"{refusal.wait:.9f}".rstrip("0").rstrip(".") + "s"})
    return details
