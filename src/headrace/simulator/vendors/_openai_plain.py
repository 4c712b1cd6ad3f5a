"""
What OpenAI and xAI answer beside conversations: embeddings, counts, models.

Every function takes a request and makes the whole answer, or the refusal. Sources:
platform.openai.com/docs/api-reference/embeddings and /models, docs.x.ai/docs/api-reference, read 2026-11.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from headrace.simulator.vectors import packed, vector

from ._base import Refusal, Request, count_prompt

__all__ = ("embeddings", "input_tokens", "model", "tokenized")

INPUTS: Final = 2048  # of one request
SIZES: Final[Mapping[str, int]] = {"text-embedding-3-large": 3072}
USUAL_SIZE: Final = 1536


def embeddings(request: Request) -> object:
    """`POST /embeddings`: as numbers, or in base64 where `encoding_format` says so."""
    fields = request.fields
    name, given = fields.get("model"), fields.get("input")
    if not isinstance(name, str):
        return Refusal(400, message="you must provide a model parameter")
    inputs = _inputs(given)
    if inputs is None:
        told = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        return Refusal(400, message=told)
    if len(inputs) > INPUTS:
        told = f"Expected an array with maximum length {INPUTS}, but got an array with length {len(inputs)} instead."
        return Refusal(
            400, message=f"Invalid 'input': array too long. {told}", param="input", code="array_above_max_length"
        )
    most = SIZES.get(name, USUAL_SIZE)
    size = fields.get("dimensions", most)
    if not isinstance(size, int) or not 1 <= size <= most:
        told = f"Invalid value for 'dimensions' = {size}. Must be between 1 and {most}."
        return Refusal(400, message=told, param="dimensions")
    base64 = fields.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        numbers = vector(text, size, seed=request.seal.seed)
        data.append({"object": "embedding", "index": index, "embedding": packed(numbers) if base64 else numbers})
    tokens = count_prompt(given)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": name, "usage": usage}


def _inputs(given: object) -> list[str] | None:
    """One text for each vector; tokens are named by their numbers. None for what is no input."""
    if isinstance(given, str):
        return [given] if given else None
    if not isinstance(given, list) or not given:
        return None
    if all(isinstance(one, int) for one in given):
        return [repr(given)]
    if all(isinstance(one, str) and one for one in given):
        return list(given)
    if all(isinstance(one, list) and one and all(isinstance(token, int) for token in one) for one in given):
        return [repr(one) for one in given]
    return None


def input_tokens(request: Request) -> object:
    """`POST /responses/input_tokens`."""
    return {"object": "response.input_tokens", "input_tokens": count_prompt(request.body)}


def tokenized(request: Request) -> object:
    """`POST /tokenize-text`, xAI's: a word and the blanks before it are a token."""
    text = request.fields.get("text")
    if not isinstance(text, str):
        return Refusal(422, message="Failed to deserialize the JSON body into the target type: missing field `text`")
    return {"token_ids": [_token(word) for word in re.findall(r"\s*\S+|\s+", text)]}


def _token(word: str) -> dict[str, object]:
    data = word.encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(data).digest()[:2], "big")
    return {"token_id": number, "string_token": word, "token_bytes": list(data)}


def model(name: str, owner: str) -> dict[str, object]:
    """One model, as lists carry it and `GET /models/{id}` gives it."""
    return {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": owner}
