"""
What can go wrong, one frozen dataclass each, and how a request's header names them.

Given by `Script(fault=CutFin(after_events=3))`, or by any client for one request:

    x-headrace-fault: cut-fin; after_events=3
    x-headrace-fault: framing; line_end=crlf; bom=1, stall; after_events=2

Values only: what a fault does to an answer stands in `disrupt.py`. A position is counted in events (`after_events`,
every event counts, comments do not), in content events (`after_pieces`), or, for the cuts, in bytes of the body
(`at_byte`). In a plain JSON answer, which has no events, the first two mean the middle of the body; an error event is
the whole of it there, with the status of a good one, and what is about the finish does nothing. A position behind the
last event is the end of the answer, finish included: Gemini's last words share an event with its finish. A header's
fault or framing replaces that of the queued script.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final, Literal, TypeAlias

import msgspec

from .script import Framing

__all__ = (
    "FAULTS",
    "BadUtf8",
    "CleanEnd",
    "ContentAfterFinish",
    "CutFin",
    "CutRst",
    "DuplicateFinish",
    "ErrorAfterFinish",
    "ErrorEvent",
    "Fault",
    "Gzip",
    "GzipBomb",
    "HtmlBody",
    "HugeEvent",
    "JsonBody",
    "LateFirst",
    "LoneSurrogate",
    "Malformed",
    "NoHead",
    "OneByteWrites",
    "Pings",
    "Redirect",
    "Refuse",
    "SplitChars",
    "Stall",
    "TruncatedGzip",
    "WrongLength",
    "parse",
)

ErrorKind: TypeAlias = Literal["overloaded", "rate_limit", "api"]
ErrorShape: TypeAlias = Literal["usual", "string", "nested", "field", "beside"]
Then: TypeAlias = Literal["nothing", "content", "tail"]

_FROM_ZERO: Final = frozenset({"after_events", "after_pieces", "at_byte", "interval", "retry_after", "seconds", "size"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    What all have: a name for the header, and figures that can be played.

    Raises:
        ValueError: a count or a time is below 0 or no number, or a status is not of the kind that it is for.
    """

    NAME: ClassVar[str] = ""
    STATUSES: ClassVar[range] = range(0)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "status" and value not in self.STATUSES:
                first, last = self.STATUSES[0], self.STATUSES[-1]
                raise ValueError(f"status is {value!r}: it must be from {first} to {last}")
            if one.name in _FROM_ZERO and value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{one.name} is {value!r}: it must be a number from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class _At(Fault):
    after_events: int = 3
    after_pieces: int | None = None


# ---------------------------------------------------------------- the connection breaks


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFin(_At):
    """The peer closes the connection inside the body."""

    NAME: ClassVar[str] = "cut-fin"
    at_byte: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutRst(_At):
    """The peer resets the connection inside the body."""

    NAME: ClassVar[str] = "cut-rst"
    at_byte: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoHead(Fault):
    """The connection is closed, or reset, before the response head."""

    NAME: ClassVar[str] = "no-head"
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLength(Fault):
    """The content-length is wrong by so many bytes: negative is too short, positive is longer than what comes."""

    NAME: ClassVar[str] = "wrong-length"
    by: int = -10


# ---------------------------------------------------------------- silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(_At):
    """The socket stays open and silent, in the body or before the head."""

    NAME: ClassVar[str] = "stall"
    before_head: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pings(_At):
    """Pings, or comments, without content, for ever."""

    NAME: ClassVar[str] = "pings"
    interval: float = 1.0
    comments: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFirst(Fault):
    """The first content comes late; what goes before it does not."""

    NAME: ClassVar[str] = "late-first"
    seconds: float = 30.0


# ---------------------------------------------------------------- endings


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanEnd(Fault):
    """
    The body ends as HTTP wants, but the answer does not.

    `drop`: "proof" ends before the finish, "finish" leaves out the finish only, "tail" what follows it (`[DONE]`,
    `message_stop`). With `after_events` the body ends there.
    """

    NAME: ClassVar[str] = "clean-end"
    drop: Literal["proof", "finish", "tail"] = "proof"
    after_events: int | None = None
    after_pieces: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateFinish(Fault):
    """The finish comes twice."""

    NAME: ClassVar[str] = "duplicate-finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentAfterFinish(Fault):
    """Words come after the finish."""

    NAME: ClassVar[str] = "content-after-finish"
    text: str = " And one word more."


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAfterFinish(Fault):
    """An error event comes after the finish."""

    NAME: ClassVar[str] = "error-after-finish"
    kind: ErrorKind = "api"


# ---------------------------------------------------------------- bad events


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent(_At):
    """
    The vendor's error event in mid-stream: of a `kind` that all have, or with a `code` of the vendor's own.

    `shape`: "usual" is the vendor's documented one (Gemini: JSON without `data:`); "string" and "nested" are xAI's two;
    "field" is an `error:` line; "beside" an error beside `choices` with a tail after it, as aggregators send it.
    """

    NAME: ClassVar[str] = "error-event"
    kind: ErrorKind = "overloaded"
    code: str = ""
    shape: ErrorShape = "usual"
    then: Then = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed(_At):
    """The JSON of one event is cut in half."""

    NAME: ClassVar[str] = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadUtf8(_At):
    """A byte that UTF-8 does not know stands in one event."""

    NAME: ClassVar[str] = "bad-utf8"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneSurrogate(_At):
    r"""Half a pair, `\ud83d`, stands escaped in the words of one event."""

    NAME: ClassVar[str] = "lone-surrogate"


@dataclass(frozen=True, slots=True, kw_only=True)
class HugeEvent(_At):
    """The words of one event are `size` characters long."""

    NAME: ClassVar[str] = "huge-event"
    size: int = 2**24


# ---------------------------------------------------------------- how the bytes are written


@dataclass(frozen=True, slots=True, kw_only=True)
class OneByteWrites(Fault):
    """Every byte is a write and an HTTP chunk of its own."""

    NAME: ClassVar[str] = "one-byte-writes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitChars(Fault):
    """Every character of several bytes is broken over two writes."""

    NAME: ClassVar[str] = "split-chars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip(Fault):
    """The body is compressed, asked for or not."""

    NAME: ClassVar[str] = "gzip"


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedGzip(Fault):
    """The compressed body ends inside an event, and HTTP says that this was all."""

    NAME: ClassVar[str] = "truncated-gzip"
    after_events: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GzipBomb(Fault):
    """A few kilobytes that become one event of `size` bytes."""

    NAME: ClassVar[str] = "gzip-bomb"
    after_events: int = 3
    size: int = 2**28


# ---------------------------------------------------------------- another answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Fault):
    """
    A refusal in the vendor's shape.

    Attributes:
        status: 400 401 402 403 404 408 409 413 422 429 500 503 504 529.
        kind: of a 429: "rate" comes back, "quota" does not.
        code: the vendor's own word for what is wrong, such as "context_length_exceeded"; "" is the status's usual one.
        retry_after: seconds, told where the vendor tells them with this status; None is 2 for 429, 503 and 529.
        retry_after_ms: whether to tell them in `retry-after-ms` too.
        shape: of xAI's bodies: "usual" is a code and a sentence; "nested" is OpenAI's; "string" is a sentence alone.
        body: "whole"; "stall", "cut" or "reset" in its middle; "html" a proxy's page; "empty".
    """

    NAME: ClassVar[str] = "refuse"
    STATUSES: ClassVar[range] = range(400, 600)
    status: int = 429
    kind: Literal["rate", "quota"] = "rate"
    code: str = ""
    retry_after: float | None = None
    retry_after_ms: bool = False
    shape: Literal["usual", "nested", "string"] = "usual"
    body: Literal["whole", "stall", "cut", "reset", "html", "empty"] = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlBody(Fault):
    """Status 200 with a page of HTML."""

    NAME: ClassVar[str] = "html-body"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonBody(Fault):
    """Status 200 with the vendor's error as plain JSON, as xAI sends it."""

    NAME: ClassVar[str] = "json-body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Fault):
    """A redirect to another origin. To follow it would hand over key and prompt."""

    NAME: ClassVar[str] = "redirect"
    STATUSES: ClassVar[range] = range(300, 400)
    location: str = "https://elsewhere.invalid/v1"
    status: int = 307


FAULTS: Final[Mapping[str, type[Fault]]] = {
    fault.NAME: fault
    for fault in (
        CutFin,
        CutRst,
        NoHead,
        WrongLength,
        Stall,
        Pings,
        LateFirst,
        CleanEnd,
        DuplicateFinish,
        ContentAfterFinish,
        ErrorAfterFinish,
        ErrorEvent,
        Malformed,
        BadUtf8,
        LoneSurrogate,
        HugeEvent,
        OneByteWrites,
        SplitChars,
        Gzip,
        TruncatedGzip,
        GzipBomb,
        Refuse,
        HtmlBody,
        JsonBody,
        Redirect,
    )
}


# ---------------------------------------------------------------- the header


def parse(value: str) -> list[Fault | Framing]:
    """
    The faults that a header value names: `name; parameter=value; ..., name ...`.

    Raises:
        ValueError: a name or a parameter that does not exist, or a value that does not fit; the text lists what does.
    """
    return [_parse_one(part) for part in value.split(",") if part.strip()]


def describe() -> list[str]:
    """One line for each name: its parameters and what it does."""
    lines = []
    for name, cls in _TABLE.items():
        told = "; ".join(f"{field.name}={field.default}" for field in fields(cls))
        lines.append(f"{name + ('; ' + told if told else '')}\n    {(cls.__doc__ or '').strip().splitlines()[0]}")
    return lines


_TABLE: Final[Mapping[str, type[Fault | Framing]]] = {**FAULTS, Framing.NAME: Framing}


def _parse_one(part: str) -> Fault | Framing:
    name, *parameters = (word.strip() for word in part.split(";"))
    cls = _TABLE.get(name)
    if cls is None:
        raise ValueError(f"there is no fault {name!r}; there are: {', '.join(_TABLE)}")
    known = [field.name for field in fields(cls)]
    given: dict[str, str] = {}
    for parameter in filter(None, parameters):
        key, _, text = (word.strip() for word in parameter.partition("="))
        if key not in known:
            raise ValueError(f"fault {name!r} has no parameter {key!r}; it has: {', '.join(known) or 'none'}")
        given[key] = text.strip('"') or "1"
    try:
        return msgspec.convert(given, cls, strict=False)  # lax: "3" is a number, "1" and "true" are true
    except msgspec.ValidationError as exc:
        raise ValueError(f"fault {name!r}: {exc}") from None
