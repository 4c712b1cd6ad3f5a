"""
The values that cross headrace's border: what a caller gives and what a model's answer is made of.

Plain slots dataclasses and TypedDicts. Knows no vendor, no socket, no loop. `headrace.gateway` re-exports the names
that applications import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypedDict

import msgspec

from . import _clock

__all__ = (
    "AICapability",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "Attempt",
    "AudioPart",
    "ChunkMeta",
    "Deadlines",
    "DocumentPart",
    "ErrorInfo",
    "GenerationConfig",
    "ImagePart",
    "LimitDimension",
    "Part",
    "PartialToolCall",
    "RateLimitInfo",
    "ReasoningPart",
    "Role",
    "Secret",
    "State",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResultPart",
    "Usage",
    "UsageSource",
)

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
State: TypeAlias = Literal[
    "pending", "queued", "streaming", "finished", "unconfirmed", "interrupted", "failed", "cancelled", "closed"
]
UsageSource: TypeAlias = Literal["reported", "partial", "estimated", "unknown"]


class AICapability(StrEnum):
    """What a provider can do."""

    TEXT_GENERATION = "text_generation"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    IMAGE_GENERATION = "image_generation"
    IMAGE_ANALYSIS = "image_analysis"
    CODE_GENERATION = "code_generation"
    FUNCTION_CALLING = "function_calling"


class Secret:
    """
    A key that never shows itself: not in repr, str, format, logs or tracebacks' locals; it refuses to be pickled.

    `reveal()` gives the text, for the one place that puts it into a header.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: pass the key to the other process by its own way")


# ---------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """
    An image: its bytes, a `Path` (read when the request is made), or a URL as `str` (passed on, never fetched).

    `media_type` such as "image/png" is needed with bytes; with a Path it is guessed from the suffix.
    """

    source: bytes | Path | str = field(repr=False)
    media_type: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document, above all a PDF: bytes, `Path` or URL as in `ImagePart`; `name` is what the model sees."""

    source: bytes | Path | str = field(repr=False)
    media_type: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Recorded sound: bytes or `Path`; `media_type` such as "audio/wav"."""

    source: bytes | Path = field(repr=False)
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """
    A model's reasoning, to be sent back unchanged in the next turn.

    `signature` proves to the vendor that it wrote the text; `data` is a redacted block's opaque content.
    """

    text: str
    signature: str | None = None
    data: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """
    A finished request of the model to call a tool.

    It exists only when the vendor ended it and its arguments parse; otherwise there is a `PartialToolCall`.
    `arguments` is the JSON text as it was sent ("" where a tool takes none).
    """

    id: str
    name: str
    arguments: str

    @property
    def input(self) -> object:
        """The decoded arguments; `{}` for an empty text."""
        return msgspec.json.decode(self.arguments) if self.arguments.strip() else {}


@dataclass(frozen=True, slots=True)
class PartialToolCall:
    """A tool call that cannot be run: the stream ended inside it, or its arguments do not parse: see `reason`."""

    id: str
    name: str
    arguments: str
    reason: str


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool answered to the call `call_id`; `name` is the tool's (Gemini asks for it)."""

    call_id: str
    content: str
    name: str | None = None
    is_error: bool = False


Part: TypeAlias = TextPart | ImagePart | DocumentPart | AudioPart | ReasoningPart | ToolCall | ToolResultPart


@dataclass(slots=True)
class AIMessage:
    """
    One turn of a conversation.

    Args:
        role: "system", "user", "assistant" or "tool".
        content: text, or a sequence of parts.
        name: the author's name where a vendor has a field for it; for role "tool" with a text content, the id of the
            call that is answered.

    Raises:
        ValueError: a role that does not exist, or a content that is neither text nor parts.
    """

    role: Role
    content: str | Sequence[Part]
    name: str | None = None

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise ValueError(f"role {self.role!r} does not exist: use one of {', '.join(_ROLES)}")
        if isinstance(self.content, str):
            return
        content: object = self.content  # what it is said to be is not always what comes
        if not isinstance(content, Sequence) or not all(isinstance(part, _PARTS) for part in content):
            raise ValueError("content is a str, or a sequence of parts such as TextPart('...')")

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts, whatever form it was given in."""
        return (TextPart(self.content),) if isinstance(self.content, str) else tuple(self.content)

    @property
    def text(self) -> str:
        """The words of all text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


_ROLES: Final = ("system", "user", "assistant", "tool")
_PARTS: Final = (TextPart, ImagePart, DocumentPart, AudioPart, ReasoningPart, ToolCall, ToolResultPart)


# ---------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for. `parameters` is a JSON schema of an object."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """
    How long a vendor may take, in seconds of the vendor's time: waiting for a slot or for the consumer does not count.

    A deadline is never early, and late by at most an eighth of itself or 0.5 s. `None` for `total` means no bound.
    """

    first_chunk: float = (
        600.0  # until the first content: reasoning models think for minutes; the vendors' SDKs wait 600
    )
    next_chunk: float = 600.0  # between two contents: the same models think again between two tool calls
    idle: float = 300.0  # silence on the wire, any byte counts: pings come every few seconds where vendors send them
    total: float | None = None  # the whole answer: only the caller knows what it is worth

    def __post_init__(self) -> None:
        for name in ("first_chunk", "next_chunk", "idle", "total"):
            value = getattr(self, name)
            if value is None and name == "total":
                continue
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"deadline {name} is {value!r}: it must be a number of seconds above 0")


@dataclass(slots=True, kw_only=True)
class GenerationConfig:
    """
    What one call asks for. None means *not given*: it is not sent, and the vendor's own default holds.

    An option that the provider cannot honour raises `UnsupportedOptionError` before any request.

    Attributes:
        model: the vendor's model id; else the provider's `model`.
        max_tokens: most tokens to generate, reasoning included.
        temperature, top_p, top_k: sampling; many models reject them now.
        stop_sequences: texts that end the answer.
        seed: best-effort repeatability.
        tools: functions that the model may ask for.
        tool_choice: "auto", "none", "required", or the name of the one tool to call.
        response_format: "json" for any JSON object, or a JSON schema as a mapping.
        reasoning: an effort word ("none" ... "max"), a budget in tokens, or the vendor's own object.
        stream: False asks for one plain JSON answer in place of a stream.
        extra: fields put into the request body as they are, over everything else.
        priority: among calls that wait for a slot, higher goes first.
        max_wait: most seconds to wait for a slot before the request is sent; 0 refuses instead of waiting.
        deadlines: for this call in place of the provider's.
    """

    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: Sequence[str] | None = None
    seed: int | None = None
    tools: Sequence[Tool] | None = None
    tool_choice: str | None = None
    response_format: Literal["json"] | Mapping[str, object] | None = None
    reasoning: str | int | Mapping[str, object] | None = None
    stream: bool | None = None
    extra: Mapping[str, object] | None = None
    priority: int = 0
    max_wait: float | None = None
    deadlines: Deadlines | None = None


# ---------------------------------------------------------------- answers


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
class LimitDimension:
    """
    One limit among those a vendor counts.

    `name` such as "requests", "tokens", "input_tokens"; None means unsaid; `reset_at` in Unix seconds.
    """

    name: str
    limit: float | None
    remaining: float | None = None
    reset_at: float | None = None


@dataclass(slots=True)
class RateLimitInfo:
    """
    The vendor's limits as its last answer told them.

    Attributes:
        limit_requests: requests per window; 0 means the vendor did not say.
        remaining_requests: of those, left in this window.
        reset_time: Unix seconds at which the window is whole again.
        limit_tokens, remaining_tokens: the same for tokens.
        dimensions: every limit that was told, these included.
        observed_at: Unix seconds when it was told; None if never.
        source: "headers", "body" or "".
    """

    limit_requests: int = 0
    remaining_requests: int = 0
    reset_time: float | None = None
    limit_tokens: int = 0
    remaining_tokens: int = 0
    dimensions: tuple[LimitDimension, ...] = ()
    observed_at: float | None = None
    source: str = ""

    @property
    def usage_percentage(self) -> float:
        """Share of the requests used, 0.0 to 1.0; 0.0 when the limit is unknown."""
        if self.limit_requests <= 0:
            return 0.0
        return min(1.0, max(0.0, (self.limit_requests - self.remaining_requests) / self.limit_requests))

    @property
    def is_approaching_limit(self) -> bool:
        """Whether 80 % of the requests or more are used."""
        return self.usage_percentage >= 0.8

    @property
    def seconds_until_reset(self) -> float | None:
        """Seconds until the reset, never negative; None when it is unknown."""
        return None if self.reset_time is None else max(0.0, self.reset_time - _clock.wall())


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
    """What a raw stream tells about the response beside its content. Taken by the stream, never delivered."""

    model: str | None = None
    request_id: str | None = None
    raw_finish_reason: str | None = None
    raw_response: object = None


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
        extra: the vendor's objects for content that has no field here (citations, images, signatures), in its order.

    What a provider's `_raw_chat_stream` yields has the same shape. There, a `finish_reason` is the proof that the
    response ended, `is_final` is the vendor's sentinel after which nothing counts, and `meta` is for the stream.
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
    extra: tuple[Mapping[str, object], ...] = field(default=(), kw_only=True)
    meta: ChunkMeta | None = field(default=None, kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was made, or refused before it was sent, for a call. `error` is the error's class, or None."""

    provider: str
    model: str
    error: str | None = None
    message: str | None = None


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

    def to_message(self) -> AIMessage:
        """
        The answer as the next turn of the conversation: its words and its complete tool calls.

        Partial tool calls are left out: a vendor refuses a call whose arguments do not parse. Reasoning is left out,
        too: where a vendor wants it back with its signature, put `ReasoningPart`s into the message yourself.
        """
        calls = [call for call in self.tool_calls if isinstance(call, ToolCall)]
        if not calls:
            return AIMessage("assistant", self.content)
        words: list[Part] = [TextPart(self.content)] if self.content else []
        return AIMessage("assistant", [*words, *calls])
