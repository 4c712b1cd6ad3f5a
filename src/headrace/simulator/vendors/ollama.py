"""
Ollama's own API, as its server writes it.

Stream: one JSON object a line, words, thoughts and whole tool calls in `message`, `done: true` with counts and
durations (nanoseconds) in the last one; it is the default. An error is one sentence, in mid-stream a line of its own.
No key, no limits, no ids in the head. The format has no place for a refusal and none for tools that the server runs:
they are only counted. Sources: docs.ollama.com/api, the server's own types, read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from headrace.simulator.asked import Asked
from headrace.simulator.buckets import Reading
from headrace.simulator.steps import Frame, FrameKind
from headrace.simulator.vectors import vector

from ._base import Headers, Refusal, Request, Route, Turn, Vendor, count_prompt, listed, mapping

__all__ = ("Ollama",)

VERSION: Final = "0.31.2"
VECTOR: Final = 64  # numbers of a vector where none are asked for
_MODIFIED: Final = ("2026-11-03T09:14:27.512734+01:00", "2026-10-19T21:40:02.004411+02:00")

_ERRORS: Final[Mapping[int, str]] = {
    400: "invalid request",
    401: "unauthorized",
    402: "payment required",
    403: "this model requires a subscription, upgrade for access",
    404: 'model "llama9" not found, try pulling it first',
    405: "405 method not allowed",
    408: "request timed out",
    413: "http: request body too large",
    429: "too many concurrent requests",
    500: "an error was encountered while running the model",
    503: "server busy, please try again.  maximum pending requests exceeded",
    529: "overloaded",
}
_KINDS: Final = {"overloaded": 503, "rate_limit": 429, "api": 500}


def _details(family: str, size: str, level: str) -> dict[str, object]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": size,
        "quantization_level": level,
    }


# name -> (bytes, details, tokens of context, what it can do); the newest first, as the server lists them
MODELS: Final[Mapping[str, tuple[int, dict[str, object], int, list[str]]]] = {
    "nomic-embed-text:latest": (274302450, _details("nomic-bert", "137M", "F16"), 2048, ["embedding"]),
    "llama3.2:latest": (2019393189, _details("llama", "3.2B", "Q4_K_M"), 131072, ["completion", "tools"]),
}


class Ollama(Vendor):
    """Ollama."""

    name: ClassVar[str] = "ollama"
    prefix: ClassVar[str] = "/ollama"
    stream_type: ClassVar[str] = "application/x-ndjson"
    json_lines: ClassVar[bool] = True

    # ---- what came

    def route(self, request: Request) -> Route | None:
        match request.path:
            case "/api/chat":
                return Route("chat", ("POST",))
            case "/api/tags":
                return Route("free", ("GET",), make=lambda _: self.models())
            case "/api/ps":
                return Route("free", ("GET",), make=_running)
            case "/api/version":
                return Route("free", ("GET",), make=lambda _: {"version": VERSION})
            case "/api/show":
                return Route("free", ("POST",), make=_shown)
            case "/api/embed":
                return Route("embed", ("POST",), make=_embedded)
            case _:
                return None

    def has_key(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002  # none is asked for on one's own machine
        return True

    def no_model(self, model: str) -> Refusal:
        return Refusal(404, message=f'model "{model}" not found, try pulling it first')

    def complaint(self, request: Request) -> str | Refusal | None:
        body = request.fields
        if not body.get("model"):
            return "model is required"
        if not isinstance(body.get("messages", []), list):
            return "json: cannot unmarshal object into Go struct field ChatRequest.messages of type []api.Message"
        for image in (one for turn in listed(body.get("messages")) for one in listed(mapping(turn).get("images"))):
            if not _is_base64(image):
                return "illegal base64 data at input byte 0"
        wanted = body.get("format")
        if not isinstance(wanted, dict) and wanted not in (None, "", "json"):
            return f'invalid format: {json.dumps(wanted)}; expected "json" or a valid JSON Schema object'
        return None

    def asked(self, request: Request) -> Asked:
        wanted = request.fields.get("format")
        return Asked(schema=wanted if isinstance(wanted, dict) else {"type": "object"} if wanted == "json" else None)

    def wants_stream(self, request: Request, route: Route) -> bool:  # noqa: ARG002  # the path never says it
        return request.fields.get("stream") is not False

    def max_tokens(self, request: Request) -> int:
        value = mapping(request.fields.get("options")).get("num_predict")
        return value if isinstance(value, int) else 0

    def headers(self, rng: random.Random) -> Headers:  # noqa: ARG002  # it tells nothing
        return ()

    # ---- the stream

    def frames(self, turn: Turn) -> list[Frame]:
        if not listed(turn.request.fields.get("messages")):
            return [Frame(self.dumps(self._line(turn, {"content": ""}, done_reason="load")), kind="finish")]
        return [
            *(self._frame(turn, {"content": "", "thinking": words}, reasoning=words) for words in turn.thoughts),
            *self.more(turn, *turn.pieces),
            *(self._frame(turn, {"content": "", "tool_calls": [call]}) for call in _calls(turn)),
            self._frame(turn, {"content": ""}, kind="finish"),
        ]

    def more(self, turn: Turn, *texts: str) -> list[Frame]:
        return [self._frame(turn, {"content": text}, text=text) for text in texts]

    def _frame(
        self,
        turn: Turn,
        message: Mapping[str, object],
        *,
        kind: FrameKind = "content",
        text: str = "",
        reasoning: str = "",
    ) -> Frame:
        ending = _ending(turn) if kind == "finish" else {}
        return Frame(self.dumps(self._line(turn, message, **ending)), kind=kind, text=text, reasoning=reasoning)

    def _line(self, turn: Turn, message: Mapping[str, object], **ending: object) -> dict[str, object]:
        return {
            "model": turn.model,
            # Whole seconds, in place of the server's nanoseconds: equal requests give equal answers.
            "created_at": datetime.fromtimestamp(int(turn.now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "message": {"role": "assistant", **message},
            "done": bool(ending),
            **ending,
        }

    def body(self, turn: Turn) -> object:
        message: dict[str, object] = {"content": "".join(turn.pieces)}
        if turn.thoughts:
            message["thinking"] = "".join(turn.thoughts)
        if turn.script.tool_calls:
            message["tool_calls"] = _calls(turn)
        return self._line(turn, message, **_ending(turn))

    def unknown(self) -> Frame:
        return Frame(self.dumps({"status": "warming up", "completed": 1, "total": 2}), kind="noise")

    # ---- the rest

    def models(self) -> object:
        return {
            "models": [
                {
                    "name": name,
                    "model": name,
                    "modified_at": modified,
                    "size": size,
                    "digest": _digest(name),
                    "details": details,
                }
                for (name, (size, details, _, _)), modified in zip(MODELS.items(), _MODIFIED, strict=True)
            ]
        }

    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        message = refusal.message or _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
        if refusal.kind == "quota":
            message = "you've reached your weekly usage limit, please upgrade to continue"
        elif refusal.code == "context_length_exceeded":
            message = "prompt too long; exceeded max context length by 812 tokens"
        return (), {"error": message}

    def error_frame(self, kind: str, shape: str) -> Frame:
        message = _ERRORS[_KINDS.get(kind, 500)]
        if kind == "context_length_exceeded":
            message = "prompt too long; exceeded max context length by 812 tokens"
        nested = shape in {"nested", "beside"}  # as the same server's OpenAI format has it
        return Frame(self.dumps({"error": {"message": message} if nested else message}), kind="fault")

    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:  # noqa: ARG002  # it has no such headers
        return ()


def _ending(turn: Turn) -> dict[str, object]:
    word = turn.script.finish or "stop"  # also where tools are called
    tokens, pace = turn.tokens, 11_000_000
    return {
        "done_reason": word if word not in {"tool_calls", "refusal"} else "stop",
        "total_duration": 52_000_000 + tokens.completion * pace,
        "load_duration": 41_000_000,
        "prompt_eval_count": tokens.prompt,
        "prompt_eval_duration": 11_000_000,
        "eval_count": tokens.completion,
        "eval_duration": tokens.completion * pace,
    }


def _calls(turn: Turn) -> list[dict[str, object]]:
    ids = random.Random(turn.ident)
    return [
        {
            "id": f"call_{ids.getrandbits(32):08x}",
            "function": {"index": index, "name": name, "arguments": json.loads(arguments or "{}")},
        }
        for index, (name, arguments) in enumerate(turn.script.tool_calls)
    ]


def _running(request: Request) -> object:
    del request  # asks nothing
    size, details, *_ = MODELS["llama3.2:latest"]
    loaded = {
        "name": "llama3.2:latest",
        "model": "llama3.2:latest",
        "size": size,
        "digest": _digest("llama3.2:latest"),
        "details": details,
        "expires_at": "2026-11-24T14:38:31.83753-07:00",
        "size_vram": size,
        "context_length": 4096,
    }
    return {"models": [loaded]}


def _shown(request: Request) -> object:
    asked = str(request.fields.get("model") or "")
    found = MODELS.get(asked) or MODELS.get(f"{asked}:latest")
    if found is None:
        return Refusal(404, message=f"model '{asked}' not found")
    _, details, context, capabilities = found
    family = details["family"]
    return {
        "modelfile": f"FROM {asked}",
        "template": "{{ .Prompt }}",
        "details": details,
        "model_info": {"general.architecture": family, f"{family}.context_length": context},
        "capabilities": capabilities,
        "modified_at": _MODIFIED[0],
    }


def _embedded(request: Request) -> object:
    given = request.fields.get("input")
    texts = [given] if isinstance(given, str) else listed(given)
    if not all(isinstance(text, str) for text in texts):
        return Refusal(400, message="invalid input type")
    size = request.fields.get("dimensions")
    numbers = size if isinstance(size, int) and size > 0 else VECTOR
    return {
        "model": request.fields.get("model"),
        "embeddings": [vector(str(text), numbers, seed=0) for text in texts],
        "total_duration": 14_143_917,
        "load_duration": 1_019_500,
        "prompt_eval_count": count_prompt(texts),
    }


def _is_base64(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _digest(name: str) -> str:
    return random.Random(name).randbytes(32).hex()
