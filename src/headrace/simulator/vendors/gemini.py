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
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Literal

from headrace.simulator.asked import Asked
from headrace.simulator.buckets import Reading
from headrace.simulator.script import LineEnd
from headrace.simulator.steps import Frame, FrameKind

from . import _gemini_checks as checks
from . import _gemini_errors as errors
from . import _gemini_plain as plain
from ._base import Charging, Headers, Refusal, Request, Route, Turn, Vendor, bearer, mapping

__all__ = ("Gemini",)

_PATH: Final = re.compile(r"/(?:v1|v1beta|v1alpha)/models(?:/([^/:]+)(?::(\w+))?)?")
_PLAIN: Final[Mapping[str, tuple[Literal["embed", "free"], Callable[[Request], object]]]] = {
    "countTokens": ("free", plain.count),
    "embedContent": ("embed", plain.embed),
    "batchEmbedContents": ("embed", plain.batch),
}

_REASONS: Final = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "PROHIBITED_CONTENT",
}


class Gemini(Vendor):
    """Google Gemini."""

    name: ClassVar[str] = "gemini"
    prefix: ClassVar[str] = "/gemini"
    line_end: ClassVar[LineEnd] = "crlf"
    separators: ClassVar[tuple[str, str]] = (",", ": ")
    charging: ClassVar[Charging] = "prompt"
    has_windows: ClassVar[bool] = True

    def route(self, request: Request) -> Route | None:
        match = _PATH.fullmatch(request.path)
        if match is None:
            return None
        model, method = match.groups()
        if model is None:
            return Route("free", ("GET",), make=plain.page)
        if method is None:
            return Route("free", ("GET",), model=model, make=lambda _: plain.model(model))
        if method in _PLAIN:
            kind, make = _PLAIN[method]
            return Route(kind, ("POST",), model=model, make=make)
        stream = method == "streamGenerateContent"
        if not stream and method != "generateContent":
            return None
        return Route(
            "chat", ("POST",), model=model, stream=stream and request.query.get("alt") == "sse", as_array=stream
        )

    def has_key(self, headers: Mapping[str, str]) -> bool:
        return bool(headers.get("x-goog-api-key")) or bearer(headers)

    def complaint(self, request: Request) -> str | None:
        match = _PATH.fullmatch(request.path)
        return checks.complaint(request, str(match[1]) if match is not None else "")

    def no_model(self, model: str) -> Refusal:
        told = "or is not supported for this method. Call ListModels to see the list of available models"
        return Refusal(404, message=f"models/{model} is not found for API version v1, {told} and their methods.")

    def asked(self, request: Request) -> Asked:
        return checks.asked(request)

    def max_tokens(self, request: Request) -> int:
        value = mapping(request.fields.get("generationConfig")).get("maxOutputTokens")
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
        script = turn.script
        # Where nothing else follows, the last words and the finishReason share an event.
        closing = not script.reasoning and not script.tool_calls and not script.image
        for index, words in enumerate(turn.pieces):
            spoken += 1
            last = closing and index == len(turn.pieces) - 1
            frames.append(self._frame(turn, [{"text": words}], spoken, thought, last=last, text=words))
        frames += [self._frame(turn, [part], spoken, thought) for part in (*_image(turn), *_calls(turn))]
        if not closing or not turn.pieces:
            frames.append(self._frame(turn, [{"text": "", **_signature(turn)}], spoken, thought, last=True))
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
        if last:
            candidate |= _grounding(turn)
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
        if turn.thoughts:
            parts.append({"text": "".join(turn.thoughts), "thought": True})
        if turn.pieces:
            parts.append({"text": "".join(turn.pieces), **_signature(turn)})
        parts += [*_image(turn), *_calls(turn)]
        finish = _REASONS.get(turn.script.ending, turn.script.ending)
        candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": finish, "index": 0}
        return {"candidates": [{**candidate, **_grounding(turn)}], **self._after(turn, 0, 0, last=True)}

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        return (), {"error": errors.error(refusal)}

    def error_frame(self, kind: str, shape: str) -> Frame:
        error = {"error": errors.of_kind(kind)}
        if shape == "usual":
            return Frame(raw=json.dumps(error, indent=2) + "\n", kind="fault")
        return Frame(self.dumps(error), kind="fault", field="error" if shape == "field" else "data")

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:  # noqa: ARG002  # there are none to tell
        return ()


def _calls(turn: Turn) -> list[dict[str, object]]:
    """The calls; the first is signed, and models that insist on that give each an id."""
    calls: list[dict[str, object]] = []
    for name, arguments in turn.script.tool_calls:
        args = json.loads(arguments) if arguments else None
        call = {"name": name, **({} if args is None else {"args": args})}
        if checks.thinks(turn.model):
            call["id"] = turn.id("", 8)
        signature = turn.request.seal.sign("call", checks.signed_text(name, args), turn.ident)
        calls.append({"functionCall": call, **({} if calls else {"thoughtSignature": signature})})
    return calls


def _signature(turn: Turn) -> dict[str, object]:
    """On the last words, where there was thinking and no call that carries it."""
    if not turn.script.reasoning or turn.script.tool_calls:
        return {}
    return {"thoughtSignature": turn.request.seal.sign("thought", "", turn.ident)}


def _image(turn: Turn) -> list[dict[str, object]]:
    if not turn.script.image:
        return []
    return [{"inlineData": {"mimeType": "image/png", "data": base64.b64encode(turn.script.image).decode()}}]


def _grounding(turn: Turn) -> dict[str, object]:
    """The pages of a search, and which words rest on them; `endIndex` counts bytes."""
    pages = turn.script.citations
    if not pages:
        return {}
    words = "".join(turn.pieces)
    support = {
        "segment": {"endIndex": len(words.encode("utf-8", "surrogatepass")), "text": words},
        "groundingChunkIndices": list(range(len(pages))),
    }
    metadata = {
        "searchEntryPoint": {"renderedContent": "<div>Search suggestions</div>"},
        "groundingChunks": [{"web": {"uri": page.url, "title": page.title}} for page in pages],
        "groundingSupports": [support],
        "webSearchQueries": ["what the question is about"],
    }
    return {"groundingMetadata": metadata}
