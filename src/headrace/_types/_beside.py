"""What vendors give beside chat: vectors and lists of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ._answers import Usage
from ._limits import RateLimitInfo

__all__ = ("EmbeddingResponse", "ModelInfo")


@dataclass(frozen=True, slots=True)
class EmbeddingResponse:
    """
    Vectors of texts.

    Attributes:
        vectors: one for each text, in the order of the texts.
        provider, model: who made them; the model as the vendor named it, else as it was asked for.
        usage: tokens of all requests together; None where the vendor does not tell.
        rate_limit: the limits told with the last answer.
        request_ids: the vendor's ids, one for each request that was made.
    """

    vectors: tuple[tuple[float, ...], ...] = field(repr=False)
    provider: str
    model: str
    usage: Usage | None = None
    rate_limit: RateLimitInfo | None = None
    request_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """
    A model, as its vendor lists it.

    Attributes:
        id: what `GenerationConfig.model` takes.
        provider: who has it.
        name: for people; "" if unsaid.
        context_tokens: most tokens of input; None if unsaid.
        output_tokens: most tokens of output; None if unsaid.
        created_at: Unix seconds; None if unsaid.
        raw: the vendor's object.
    """

    id: str
    provider: str
    name: str = ""
    context_tokens: int | None = None
    output_tokens: int | None = None
    created_at: float | None = None
    raw: Mapping[str, object] | None = field(default=None, repr=False, compare=False)
