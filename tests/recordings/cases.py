"""
Recorded answers of real vendors, found by `HEADRACE_RECORDINGS`, and a reader of their events that is not headrace's.

The reader is a few lines of `json` and the WHATWG rules: it says how much text, reasoning and tool call the first n
events bring, and which event proves the end. So a cut can be judged without asking the code under test.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(os.environ["HEADRACE_RECORDINGS"]) if os.environ.get("HEADRACE_RECORDINGS") else None
WHY = "HEADRACE_RECORDINGS does not name a folder of recorded answers"
FOLDERS = {  # vendor, and which of its formats if not the first: folder
    ("anthropic", ""): "anthropic/messages",
    ("openai", ""): "openai/chat",
    ("openai", "responses"): "openai/responses",
    ("gemini", ""): "gemini/generate",
    ("grok", ""): "xai/chat",
    ("grok", "responses"): "xai/responses",
}


@dataclass(frozen=True)
class Said:
    """What some events bring."""

    text: str = ""
    reasoning: str = ""
    begun: bool = False
    proven: bool = False


@dataclass(frozen=True)
class Case:
    vendor: str
    path: Path
    api: str = ""

    @property
    def options(self) -> dict:
        """What chooses the format, for the provider."""
        return {"api": self.api} if self.api else {}

    @cached_property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def head(self) -> dict:
        return json.loads(self.path.with_suffix(".headers.json").read_text())

    @cached_property
    def expected(self) -> dict:
        return json.loads(self.path.with_suffix(".expected.json").read_text())

    @property
    def id(self) -> str:
        return "-".join(filter(None, (self.vendor, self.api, self.path.stem)))

    @cached_property
    def boundaries(self) -> list[int]:
        """The offset behind each blank line that ends an event."""
        newline = b"\r\n" if b"\r\n" in self.body else b"\n"
        ends, at = [], 0
        while (at := self.body.find(newline * 2, at)) >= 0:
            at += len(newline) * 2
            ends.append(at)
        return ends

    def said(self, upto: int) -> Said:
        """What the events before this offset bring."""
        text = self.body[:upto].decode().replace("\r\n", "\n")
        said = Said()
        for block in text.split("\n\n"):
            data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
            if data and not data.startswith("[DONE]"):
                said = READERS[self.api or self.vendor](said, json.loads(data))
        return said


def _anthropic(said: Said, event: dict) -> Said:
    delta = event.get("delta") or {}
    text, reasoning = delta.get("text") or "", delta.get("thinking") or ""
    block = event.get("content_block") or {}
    begun = bool(text or reasoning) or block.get("type") == "tool_use"
    return Said(
        said.text + text,
        said.reasoning + reasoning,
        said.begun or begun,
        said.proven or event.get("type") == "message_stop",
    )


def _chat(said: Said, event: dict) -> Said:
    choice = next((one for one in event.get("choices") or [] if one.get("index", 0) == 0), {})
    delta = choice.get("delta") or {}
    text = delta.get("content") or ""
    reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
    begun = bool(text or reasoning or delta.get("refusal") or delta.get("tool_calls") or delta.get("function_call"))
    return Said(
        said.text + text,
        said.reasoning + reasoning,
        said.begun or begun,
        said.proven or bool(choice.get("finish_reason")),
    )


def _gemini(said: Said, event: dict) -> Said:
    candidate = (event.get("candidates") or [{}])[0]
    parts = (candidate.get("content") or {}).get("parts") or []
    text = "".join(part.get("text") or "" for part in parts if not part.get("thought"))
    reasoning = "".join(part.get("text") or "" for part in parts if part.get("thought"))
    call = any("functionCall" in part for part in parts)
    proven = candidate.get("finishReason") or (event.get("promptFeedback") or {}).get("blockReason")
    return Said(
        said.text + text,
        said.reasoning + reasoning,
        said.begun or bool(text or reasoning or call),
        said.proven or bool(proven),
    )


def _responses(said: Said, event: dict) -> Said:
    kind, delta = event["type"], event.get("delta") or ""
    text = delta if kind == "response.output_text.delta" else ""
    reasoning = delta if kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta") else ""
    refusal = kind == "response.refusal.delta" and bool(delta)
    call = kind == "response.output_item.added" and event["item"]["type"] == "function_call"
    return Said(
        said.text + text,
        said.reasoning + reasoning,
        said.begun or bool(text or reasoning or refusal or call),
        said.proven or kind in ("response.completed", "response.incomplete", "response.failed"),
    )


READERS = {"anthropic": _anthropic, "openai": _chat, "grok": _chat, "gemini": _gemini, "responses": _responses}


def cases(suffix: str) -> list[Case]:
    """All of one kind, ".sse" or ".json" bodies."""
    if ROOT is None:
        return []
    return [
        Case(vendor, path, api)
        for (vendor, api), folder in FOLDERS.items()
        for path in sorted((ROOT / folder).glob(f"*{suffix}"))
        if not path.stem.endswith((".headers", ".expected", ".request"))
    ]
