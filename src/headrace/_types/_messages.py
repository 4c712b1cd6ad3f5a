"""
What messages are made of: words, media, reasoning, tool calls and their results.

Frozen values. What only its own vendor understands travels in a `VendorPart`. Knows no vendor's format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

__all__ = (
    "AIMessage",
    "AudioPart",
    "CacheBreakpoint",
    "DocumentPart",
    "ImagePart",
    "Part",
    "PartialToolCall",
    "ReasoningPart",
    "Role",
    "TextPart",
    "ToolCall",
    "ToolResultPart",
    "VendorPart",
)

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


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

    `signature` proves to the vendor that it wrote the text; `data` is a redacted block's opaque content. `origin` is
    the provider whose model wrote it: to any other it is not sent. Without text, a signature belongs to the part
    behind it. None as origin is for parts made by hand, which go to every provider.
    """

    text: str
    signature: str | None = None
    data: str | None = field(default=None, repr=False)
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class VendorPart:
    """
    What has no type of its own here, as the vendor sent it, such as a call of a tool that the vendor runs itself.

    It goes back to the provider named `origin` unchanged. To any other goes `shared`, if there is one; an empty text
    says that nothing is lost without it.
    """

    origin: str
    data: Mapping[str, object] = field(repr=False)
    shared: TextPart | ImagePart | ReasoningPart | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """
    A finished request of the model to call a tool.

    It exists only when the vendor ended it and its arguments parse; otherwise there is a `PartialToolCall`.
    `arguments` is the JSON text as it was sent ("" where a tool takes none). `origin` is the provider whose model made
    it; None for one made by hand.
    """

    id: str
    name: str
    arguments: str
    origin: str | None = field(default=None, kw_only=True, repr=False, compare=False)

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
    """
    What a tool answered to the call `call_id`; `name` is the tool's (Gemini asks for it).

    `content` is text, or parts where the vendor takes images and documents from a tool.

    Raises:
        TypeError: a content that is neither text nor parts, such as a dict: give its JSON text.
    """

    call_id: str
    content: str | Sequence[TextPart | ImagePart | DocumentPart]
    name: str | None = None
    is_error: bool = False

    def __post_init__(self) -> None:
        content: object = self.content  # what it is said to be is not always what comes
        if isinstance(content, str):
            return
        if not isinstance(content, Sequence) or not all(isinstance(part, _PARTS) for part in content):
            raise TypeError(
                f"content is {content!r:.80}: it must be a text, such as json.dumps(...), or a list of parts"
            )

    @property
    def text(self) -> str:
        """The words of the content."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class CacheBreakpoint:
    """
    The end of a prefix that the vendor shall keep in its prompt cache: all that stands before it in the conversation.

    `ttl` is the vendor's word for how long, such as "5m" or "1h"; None is the vendor's own default.
    """

    ttl: str | None = None


Part: TypeAlias = (
    TextPart
    | ImagePart
    | DocumentPart
    | AudioPart
    | ReasoningPart
    | ToolCall
    | ToolResultPart
    | VendorPart
    | CacheBreakpoint
)


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
_PARTS: Final = (
    TextPart,
    ImagePart,
    DocumentPart,
    AudioPart,
    ReasoningPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
    CacheBreakpoint,
)
