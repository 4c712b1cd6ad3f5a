"""
What an Ollama server tells of itself: its models, those in memory, its version. JSON in, frozen values out.

Pure, and lenient: what a server does not tell is None or "". Source: docs.ollama.com/api (tags, show, ps), 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from .._types import ModelInfo
from .._units import parse_date
from ..wire._codec import undecodable
from ..wire._shared import MALFORMED, as_count, as_map, as_text, load

__all__ = ("LoadedModel", "OllamaModel", "OllamaStatus", "models", "running", "shown", "version")

PROVIDER: Final = "ollama"


@dataclass(frozen=True, slots=True)
class OllamaModel(ModelInfo):
    """
    A model that is installed; also what every `ModelInfo` has.

    Attributes:
        size_bytes: on disk; None if unsaid.
        modified_at: Unix seconds; None if unsaid.
        family: such as "llama".
        parameter_size: such as "3.2B".
        quantization: such as "Q4_K_M".
        capabilities: such as "completion", "tools", "vision", "thinking", "embedding"; () if it was not asked for.
    """

    size_bytes: int | None = None
    modified_at: float | None = None
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    capabilities: tuple[str, ...] = ()

    @property
    def only_embeds(self) -> bool:
        """Whether it makes vectors and no words: by its capabilities, else by its family (BERT's are encoders)."""
        if self.capabilities:
            return "completion" not in self.capabilities
        return "bert" in self.family


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """
    A model in memory.

    `size_bytes` in all, `vram_bytes` of it on the GPU, `context_tokens` as it was loaded with, `expires_at` (Unix
    seconds) when it will be unloaded; None if unsaid.
    """

    id: str
    size_bytes: int | None = None
    vram_bytes: int | None = None
    context_tokens: int | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaStatus:
    """
    How a server is.

    Attributes:
        running: whether Ollama answers at the address.
        version: its own word; None where it does not answer.
        loaded: the models in memory.
        error: what went wrong, in words; None if nothing did.
    """

    running: bool
    version: str | None = None
    loaded: tuple[LoadedModel, ...] = ()
    error: str | None = None


def models(body: bytes) -> tuple[OllamaModel, ...]:
    """Of `GET /api/tags`, in the server's order: the newest first. UndecodableEventError where it is no such list."""
    return tuple(_model(one) for one in _listed(body))


def running(body: bytes) -> tuple[LoadedModel, ...]:
    """Of `GET /api/ps`. UndecodableEventError where it is no such list."""
    return tuple(
        LoadedModel(
            _name(one),
            as_count(one.get("size")),
            as_count(one.get("size_vram")),
            as_count(one.get("context_length")),
            parse_date(as_text(one.get("expires_at")) or ""),
        )
        for one in _listed(body)
    )


def shown(model: OllamaModel, body: bytes) -> OllamaModel:
    """The model with what `POST /api/show` tells beside: tokens of context, and capabilities."""
    answer = as_map(load(body))
    facts = as_map(answer.get("model_info"))
    length = facts.get(f"{as_text(facts.get('general.architecture'))}.context_length")
    told = answer.get("capabilities")
    capabilities = tuple(word for word in told if isinstance(word, str)) if isinstance(told, list) else ()
    return replace(model, context_tokens=as_count(length), capabilities=capabilities)


def version(body: bytes) -> str | None:
    """Of `GET /api/version`."""
    return as_text(as_map(load(body)).get("version"))


def _model(one: Mapping[str, object]) -> OllamaModel:
    details = as_map(one.get("details"))
    return OllamaModel(
        _name(one),
        PROVIDER,
        as_text(one.get("name")) or "",
        raw=one,
        size_bytes=as_count(one.get("size")),
        modified_at=parse_date(as_text(one.get("modified_at")) or ""),
        family=as_text(details.get("family")) or "",
        parameter_size=as_text(details.get("parameter_size")) or "",
        quantization=as_text(details.get("quantization_level")) or "",
    )


def _name(one: Mapping[str, object]) -> str:
    return as_text(one.get("model")) or as_text(one.get("name")) or ""


def _listed(body: bytes) -> list[Mapping[str, object]]:
    text = body.decode("utf-8", "replace")
    try:
        answer = as_map(load(text))
        found = answer["models"]
        if found is not None and not isinstance(found, list):  # Go writes null for an empty list
            raise ValueError("models is no list")
    except (KeyError, *MALFORMED) as exc:
        raise undecodable(PROVIDER, text, exc) from exc
    return [as_map(one) for one in found or () if _name(as_map(one))]
