"""
What Gemini answers beside conversations: embeddings, counts, and the models, page by page.

Every function takes a request and makes the whole answer, or the refusal. Sources: ai.google.dev/api/embeddings,
/api/tokens and /api/models, read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from headrace.simulator.vectors import vector

from ._base import Refusal, Request, count_prompt, listed, mapping

__all__ = ("batch", "count", "embed", "model", "page")

BATCH: Final = 100  # requests
SIZE: Final = 3072  # numbers of a vector, where no fewer are asked for
MODELS: Final = (
    "gemini-4-argon",
    "gemini-3.8-flash",
    "gemini-3.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-embedding-001",
)


def embed(request: Request) -> object:
    """`:embedContent`: one vector."""
    made = _values(request, request.fields, "EmbedContentRequest.")
    return made if isinstance(made, Refusal) else {"embedding": {"values": made}, **_usage(request)}


def batch(request: Request) -> object:
    """`:batchEmbedContents`: a vector for each request, in their order."""
    asked = [mapping(one) for one in listed(request.fields.get("requests"))]
    if len(asked) > BATCH:
        told = f"* BatchEmbedContentsRequest.requests: at most {BATCH} requests can be in one batch\n"
        return Refusal(400, message=told)
    embeddings = []
    for index, one in enumerate(asked):
        place = f"BatchEmbedContentsRequest.requests[{index}]."
        if not str(one.get("model", "")).startswith("models/"):
            return Refusal(400, message=f"* {place}model: unexpected model name format\n")
        made = _values(request, one, place)
        if isinstance(made, Refusal):
            return made
        embeddings.append({"values": made})
    return {"embeddings": embeddings, **_usage(request)}


def _usage(request: Request) -> dict[str, object]:
    return {"usageMetadata": {"promptTokenCount": count_prompt(request.body)}}


def _values(request: Request, fields: Mapping[str, object], place: str) -> list[float] | Refusal:
    parts = [mapping(part) for part in listed(mapping(fields.get("content")).get("parts"))]
    if not parts:
        return Refusal(400, message=f"* {place}content: contents is not specified\n")
    size = fields.get("outputDimensionality", SIZE)
    if not isinstance(size, int) or not 1 <= size <= SIZE:
        return Refusal(400, message=f"* {place}output_dimensionality: must be between 1 and {SIZE}\n")
    return vector("".join(str(part.get("text", "")) for part in parts), size, seed=request.seal.seed)


def count(request: Request) -> object:
    """`:countTokens`."""
    whole = mapping(request.fields.get("generateContentRequest"))
    contents = listed(request.fields.get("contents")) or listed(whole.get("contents"))
    if not contents:
        return Refusal(400, message="* CountTokensRequest.contents: contents is not specified\n")
    tokens = count_prompt(whole or request.body)
    return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def page(request: Request) -> object:
    """`GET models`: `pageSize` of them from the place that `pageToken` names."""
    told = request.query.get("pageSize", "50")
    size = min(int(told), 1000) if told.isdigit() else 0
    start = _place(request.query.get("pageToken", ""))
    if size < 1 or start is None:
        what = "page_token" if size else "page_size"
        return Refusal(400, message=f"* ListModelsRequest.{what}: the value is not valid\n")
    names = MODELS[start : start + size]
    listing: dict[str, object] = {"models": [model(name) for name in names]}
    if start + size < len(MODELS):
        listing["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return listing


def _place(token: str) -> int | None:
    if not token:
        return 0
    try:
        text = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError):
        return None
    return int(text) if text.isdigit() else None


def model(name: str) -> dict[str, object]:
    """`GET models/{id}`."""
    told = {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
    }
    if "embedding" in name:
        methods = ["embedContent", "batchEmbedContents", "countTokens"]
        return {**told, "inputTokenLimit": 2048, "outputTokenLimit": 1, "supportedGenerationMethods": methods}
    methods = ["generateContent", "countTokens"]
    limits = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}
    return {**told, **limits, "supportedGenerationMethods": methods, "thinking": True}
