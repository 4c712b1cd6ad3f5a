"""
What the vendors' codecs have in common: tolerant reading, token counts, inline data, and the words of an error.

Error bodies come from vendors, gateways and proxies alike: nothing here raises on what was received, and work on it is
bounded by its first characters. Knows no vendor's fields, and no classes of errors (`_refusal.py` does).
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from .._types import AudioPart, DocumentPart, ImagePart, ToolCall, Usage, UsageSource
from ..errors import CallerError, UnsupportedOptionError

__all__ = (
    "ITEMS",
    "MALFORMED",
    "arguments",
    "as_count",
    "as_map",
    "as_text",
    "base64_text",
    "data_uri",
    "dump",
    "error_text",
    "inline",
    "is_deep",
    "load",
    "one_line",
    "schema_name",
    "schema_of",
    "usage",
)

MALFORMED: Final = (msgspec.DecodeError, UnicodeError, RecursionError, ValueError)
"""What decoding JSON of unknown origin raises: bad syntax or shape, a lone surrogate, depth, absurd numbers."""


# ---------------------------------------------------------------- reading

ITEMS: Final = 10_000  # calls, blocks or other items of one answer; the longest agents' answers have some hundreds
DEPTH: Final = 100  # levels of JSON that are kept; the deepest answer recorded has 17, a pickle takes about 300
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)  # also one that lacks its end
_BRACKET: Final = re.compile(r"[\[{\]}]")


def is_deep(data: str | bytes) -> bool:
    """Whether this JSON is deeper than `DEPTH`: what is handed on a caller can copy, compare, print and pickle."""
    text = data if isinstance(data, str) else data.decode("latin-1")  # brackets and quotes are the same there
    if text.count("{") + text.count("[") <= DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "{[" else -1
        if depth > DEPTH:
            return True
    return False


def load(text: str | bytes) -> object:
    """The decoded JSON, or None where the text is no JSON."""
    try:
        return msgspec.json.decode(text)
    except MALFORMED:
        return None


def as_map(value: object) -> Mapping[str, object]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """`value` if it is a string with anything in it; numbers as text (codes come as either); else None."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_count(value: object) -> int | None:
    """`value` if it is a whole number of things, else None."""
    if type(value) is int:
        return value if 0 <= value < 2**63 else None
    return int(value) if isinstance(value, float) and 0 <= value < 2**53 and value.is_integer() else None


def usage(
    *,
    prompt: int | None = None,
    completion: int | None = None,
    total: int | None = None,
    cached: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
    source: UsageSource = "reported",
    raw: Mapping[str, object] | None = None,
) -> Usage:
    """A `Usage`. `prompt` and `completion` are all that was billed; `total` is their sum where the vendor has none."""
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "cached_tokens": cached,
        "cache_write_tokens": cache_write,
        "reasoning_tokens": reasoning,
        "source": source,
        "raw": raw,
    }


# ---------------------------------------------------------------- requests

Media: TypeAlias = ImagePart | DocumentPart | AudioPart


def base64_text(data: bytes) -> str:
    """Bytes as base64 with padding and no line breaks."""
    return base64.b64encode(data).decode("ascii")


def data_uri(media_type: str, data: str) -> str:
    """The `data:` URI of base64 text."""
    return f"data:{media_type};base64,{data}"


def inline(part: Media, *, provider: str) -> tuple[str, str] | None:
    """
    Media type and base64 text of a part that was given as bytes or as a base64 `data:` URI; None for any other URL.

    Raises:
        UnsupportedOptionError: bytes without a media type.
        TypeError: a `Path`; whoever encodes reads files first.
    """
    source = part.source
    if isinstance(source, Path):
        raise TypeError(f"{type(part).__name__} still holds a Path: files are read before a request is encoded")
    if isinstance(source, str):
        head, comma, data = source.partition(",")
        if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
            return None
        return part.media_type or head[5:].split(";", 1)[0] or "application/octet-stream", data
    if part.media_type is None:
        raise UnsupportedOptionError(
            f"{provider}: {type(part).__name__} holds bytes of an unknown kind: give media_type, such as 'image/png'",
            option="messages",
        )
    return part.media_type, base64_text(source)


def schema_of(wanted: object) -> Mapping[str, object]:
    """The JSON schema of a `response_format`. Whoever encodes makes a schema of a type first."""
    if not isinstance(wanted, Mapping):
        raise TypeError(f"response_format is {wanted!r}: a JSON schema as a mapping is due here")
    return wanted


def schema_name(schema: Mapping[str, object]) -> str:
    """A name for a schema that vendors take: its title, of letters, digits, `_` and `-`."""
    title = schema.get("title")
    return (_NO_NAME.sub("_", title)[:64] if isinstance(title, str) else "") or "response"


_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]+")


def arguments(call: ToolCall, *, provider: str) -> object:
    """
    A call's arguments for a format that wants an object: the text untouched, so that no number changes its digits.

    Raises:
        UnsupportedOptionError: they are no JSON object.
    """
    try:
        if isinstance(call.input, dict):
            return msgspec.Raw(call.arguments.encode()) if call.arguments.strip() else {}
        reason = "they are no JSON object"
    except MALFORMED as exc:
        reason = str(exc)
    raise UnsupportedOptionError(
        f"{provider}: the arguments of a call of {call.name!r} cannot be sent back ({reason}): leave the call out",
        option="messages",
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def dump(body: Mapping[str, object], *, provider: str) -> bytes:
    """
    A request body as JSON.

    Raises:
        CallerError: something in it has no JSON form, above all half of a surrogate pair.
    """
    try:
        return msgspec.json.encode(body, enc_hook=_plain)
    except UnicodeEncodeError as exc:
        raise CallerError(
            f"{provider}: a text of the request holds half of a surrogate pair (at {exc.start}), which UTF-8 cannot "
            "carry: text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') repairs it"
        ) from exc
    except (TypeError, ValueError, RecursionError) as exc:
        raise CallerError(f"{provider}: the request has no JSON form: {exc}") from exc


# ---------------------------------------------------------------- the words of an error

WORDS_LIMIT: Final = 500  # characters of the vendor's words in a message; the longest recorded explanation has 420
_SEARCHED: Final = 4096  # characters of a page or plain text that are looked at
_DEPTH: Final = 6  # nested objects and JSON inside strings; a gateway around a gateway makes four
_WORD_KEYS: Final = ("error", "message", "detail", "error_description", "msg", "errors", "title", "reason")
_TAG: Final = re.compile(r"<[^<>]*>")


def error_text(body: str | bytes) -> str:
    """
    The vendor's words in any error body: JSON of any shape, JSON inside a JSON string, a page's title, plain text.

    One printable line of up to 500 characters; "" for an empty body.
    """
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    value = load(text)
    words = _words(value, _DEPTH) if value is not None else ""
    if not words:
        text = text.lstrip()[:_SEARCHED]
        words = _page_words(text) if text.startswith("<") else text
    return one_line(words)


def _words(value: object, depth: int) -> str:
    if depth == 0:
        return ""
    if isinstance(value, str):
        inner = load(value) if value.lstrip()[:1] in {"{", "["} else None
        return (_words(inner, depth - 1) if inner is not None else "") or value
    if isinstance(value, list):
        return next((words for item in value[:8] if (words := _words(item, depth - 1))), "")
    if not isinstance(value, dict):
        return ""
    if isinstance(place := value.get("loc"), list) and (said := as_text(value.get("msg"))):  # FastAPI's: in which field
        field = ".".join(str(step) for step in place[:_DEPTH] if step != "body")
        return f"{field}: {said}" if field else said
    words = next((words for key in _WORD_KEYS if (words := _words(value.get(key), depth - 1))), "")
    # A router says "Provider returned error" and keeps the provider's own answer beside it.
    cause = _words(as_map(value.get("metadata")).get("raw"), depth - 1)
    return f"{words}: {cause}" if words and cause else words or cause


def _page_words(page: str) -> str:
    lower = page.lower()
    start = lower.find("<title")
    start = lower.find(">", start) + 1 if start >= 0 else 0
    end = lower.find("</title", start) if start else -1
    title = page[start:end] if end > 0 else page
    return html.unescape(_TAG.sub(" ", title)).strip() or page


def one_line(words: str) -> str:
    """`words` without line breaks, control characters and lone surrogates, cut at 500 characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words[:_SEARCHED]).split())
    return line if len(line) <= WORDS_LIMIT else line[: WORDS_LIMIT - 3] + "..."
