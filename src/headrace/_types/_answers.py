"""
What a model's answer is made of: chunks as they come, and the whole, at any moment.

Plain values; who assembles them is `streaming/`. Knows no vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypedDict, TypeVar, overload

from .. import _schema
from .._base_errors import OutputValidationError
from ._limits import RateLimitInfo
from ._messages import AIMessage, ImagePart, Part, PartialToolCall, ReasoningPart, TextPart, ToolCall, VendorPart

__all__ = (
    "AIResponse",
    "AIStreamChunk",
    "Attempt",
    "ChunkMeta",
    "Citation",
    "ErrorInfo",
    "ResponsePart",
    "State",
    "ToolCallDelta",
    "Usage",
    "UsageSource",
)

T = TypeVar("T")

State: TypeAlias = Literal[
    "pending", "queued", "streaming", "finished", "unconfirmed", "interrupted", "failed", "cancelled", "closed"
]
UsageSource: TypeAlias = Literal["reported", "partial", "estimated", "unknown"]


class Usage(TypedDict):
    """
    Tokens of one exchange. Totals are all that was billed, cached input and reasoning included, whatever the vendor's
    own split. None is unknown; there is never an invented zero. `raw` is the vendor's object.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    source: UsageSource
    raw: Mapping[str, object] | None


class ErrorInfo(TypedDict):
    """Why a stream was interrupted, on its marker chunk. `retry_after` is in seconds."""

    type: str
    message: str
    partial_content_length: int
    retry_after: float | None
    retryable: bool
    provider: str | None


@dataclass(frozen=True, slots=True)
class Citation:
    """
    A source that the model names for its words.

    Attributes:
        url, title: of the source; None where the vendor has none.
        text: the source's own words that are cited, where the vendor tells them.
        start, end: the characters of `AIResponse.content` that it stands for; None if unsaid.
        raw: the vendor's object.
    """

    url: str | None = None
    title: str | None = None
    text: str = ""
    start: int | None = None
    end: int | None = None
    raw: Mapping[str, object] | None = field(default=None, repr=False)


ResponsePart: TypeAlias = TextPart | ReasoningPart | ToolCall | PartialToolCall | ImagePart | VendorPart | Citation


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """
    A piece of a tool call as it streams.

    `index` says which call of the answer it belongs to; `id` and `name` come with the first piece, `arguments` is the
    next piece of JSON text; `ended` is True once the vendor closed this call.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class ChunkMeta:
    """
    What a raw stream tells about the response beside its content. Taken by the stream, never delivered.

    `usage` gives the tokens so far when somebody asks: for formats that tell them with every event.
    """

    model: str | None = None
    request_id: str | None = None
    raw_finish_reason: str | None = None
    raw_response: object = None
    usage: Callable[[], Usage | None] | None = field(default=None, repr=False, compare=False)


@dataclass(slots=True)
class AIStreamChunk:
    """
    A piece of an answer.

    Attributes:
        content: the next words; on the marker chunk the marker.
        is_final: whether this is the one chunk that ends the stream.
        usage: tokens, on the final chunk.
        error: on the marker chunk, why the stream was interrupted.
        rate_limit: the vendor's limits, on the final chunk.
        reasoning, refusal: the next words of these kinds.
        tool_calls: pieces of tool calls.
        finish_reason: on the final chunk: "stop", "length", "tool_calls", "content_filter", "refusal", "pause", else
            the vendor's word.
        is_marker: True on the marker chunk only; its content is not the model's.
        parts: what came whole and has a type: citations, images, reasoning to be sent back, in the vendor's order. They
            stand behind the words of the chunk, unless one of them is a `TextPart` that repeats the words in their
            place; an empty one is a border between two blocks of words. A `ToolCall` repeats a call of the chunk that
            came whole, in its place.
        extra: the vendor's objects for content that has no field of its own here, in its order.

    What a provider's `_raw_chat_stream` yields has the same shape. There, a `finish_reason` is the proof that the
    response ended, `is_final` is the vendor's sentinel after which nothing counts, `is_marker` says that a stream which
    is handed on was cut, and `meta` is for the stream.
    """

    content: str
    is_final: bool = False
    usage: Usage | None = None
    error: ErrorInfo | None = None
    rate_limit: RateLimitInfo | None = None
    reasoning: str = field(default="", kw_only=True)
    refusal: str = field(default="", kw_only=True)
    tool_calls: tuple[ToolCallDelta, ...] = field(default=(), kw_only=True)
    finish_reason: str | None = field(default=None, kw_only=True)
    is_marker: bool = field(default=False, kw_only=True)
    parts: tuple[ResponsePart, ...] = field(default=(), kw_only=True)
    extra: tuple[Mapping[str, object], ...] = field(default=(), kw_only=True)
    meta: ChunkMeta | None = field(default=None, kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One request that was made for a call, or refused before it was sent, or one that was not made.

    Attributes:
        provider, model: who was asked.
        error: the class of its error; "PassedOver" where another was asked in its place; None if it went well.
        message: what the error said.
        billed: whether the vendor may bill it: it let the request in, whatever came of that.
    """

    provider: str
    model: str
    error: str | None = None
    message: str | None = None
    billed: bool = False


@dataclass(slots=True)
class AIResponse:
    """
    An answer, whole or as much as has come: valid at any moment of a stream.

    Attributes:
        content: all words received; never the marker.
        provider, model: who said it; the model as the vendor named it, else as it was asked for.
        usage: tokens; None until the vendor tells.
        finish_reason: see `AIStreamChunk`; None until the end is proven.
        raw_response: with `stream=False` the vendor's decoded JSON, else None.
        reasoning, refusal: all words of these kinds.
        tool_calls: complete calls, and partial ones with the reason why they cannot be run.
        rate_limit: the limits told with this answer.
        state: what was received: "streaming" until the end, then how it ended.
        request_id: the vendor's id for support questions.
        parts: all of it in the vendor's order: words, reasoning with its signatures, tool calls, images, citations, and
            what only the vendor understands.
        response_format: what was asked for; see `parse`.
        attempts: who was asked, in order.
        raw_finish_reason: the vendor's own word.
        extra: see `AIStreamChunk`.
    """

    content: str
    provider: str
    model: str
    usage: Usage | None = None
    finish_reason: str | None = None
    raw_response: object = None
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall | PartialToolCall, ...] = ()
    rate_limit: RateLimitInfo | None = None
    state: State = "finished"
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    raw_finish_reason: str | None = None
    extra: tuple[Mapping[str, object], ...] = ()
    parts: tuple[ResponsePart, ...] = field(default=(), repr=False)
    response_format: _schema.OutputFormat | None = field(default=None, repr=False)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources that were named, in order."""
        return tuple(part for part in self.parts if isinstance(part, Citation))

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """The images that were made, in order: bytes with their media type, or a URL."""
        found = (part.shared if isinstance(part, VendorPart) else part for part in self.parts)
        return tuple(part for part in found if isinstance(part, ImagePart))

    @overload
    def parse(self) -> object: ...

    @overload
    def parse(self, wanted: type[T]) -> T: ...

    def parse(self, wanted: type[T] | None = None) -> object:
        """
        The content as the value that `response_format` asked for: an instance of the type, else a plain JSON value.

        A JSON schema is checked with the package jsonschema (extra `schema`).

        Args:
            wanted: a type in place of the `response_format` of the call.

        Raises:
            OutputValidationError: the content is not so; names the path, and says if the answer was cut or refused.
        """
        form = wanted if wanted is not None else self.response_format or "json"
        if self.refusal and not self.content:
            raise OutputValidationError(f"there is no answer: the model refused: {self.refusal[:200]!r}")
        what = "the answer"
        if self.state != "finished" or self.finish_reason not in {"stop", None}:
            what = f"the answer (it ended by {self.finish_reason or self.state!r})"
        return _schema.decode(self.content, form, what=what)

    def to_message(self) -> AIMessage:
        """
        The answer as the next turn of the conversation, whole: words, reasoning, calls, in the vendor's order.

        Left out are calls that are not complete (a vendor refuses arguments that do not parse) and citations (they are
        for the reader). A provider drops what another one's model alone can read: see `ReasoningPart`, `VendorPart`.
        """
        parts: list[Part] = [part for part in self.parts if not isinstance(part, Citation | PartialToolCall)]
        if not parts:
            return AIMessage("assistant", self.content or self.refusal)
        if len(parts) == 1 and isinstance(parts[0], TextPart):
            return AIMessage("assistant", parts[0].text)
        return AIMessage("assistant", parts)
