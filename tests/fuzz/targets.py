"""
What is fuzzed: a table of names and functions from bytes to nothing, each of which raises where a promise is broken.

The promise of a decoder: a chunk of the declared types, an error of ours, or nothing. The document of a stream has one
event a line, which all pass through one decoder into one machine. To add a vendor, give it a row in `CODECS` and a
folder in `corpus` (see CONTRIBUTING.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple
from zlib import crc32

import msgspec

from headrace import AIStreamChunk, StreamInterruptedError, _units
from headrace.errors import ProviderError, TruncatedStreamError
from headrace.limits import headers as limit_headers
from headrace.limits.dialects import DIALECTS
from headrace.streaming.machine import StreamMachine
from headrace.wire import openai, responses
from headrace.wire._codec import Codec, SaidThenFailed
from headrace.wire._shared import error_text, one_line
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.events import Events, JsonLines, ServerEvent
from headrace.wire.framing import Inflater, Lines, Undecodable
from headrace.wire.gemini import GeminiCodec
from headrace.wire.ollama import OllamaCodec

from .wellformed import assert_error, assert_json, assert_response, assert_well_formed


class Row(NamedTuple):
    """A codec, and the folder of the corpus with its `stream` and its `body`."""

    codec: Codec
    folder: str


CODECS: Mapping[str, Row] = {
    "anthropic": Row(AnthropicCodec(), "anthropic"),
    "gemini": Row(GeminiCodec(), "gemini"),
    "ollama": Row(OllamaCodec(), "ollama"),
    "openai": Row(openai.ChatCodec(), "openai"),
    "grok": Row(openai.ChatCodec("grok", openai.GROK), "openai"),
    "responses": Row(responses.ResponsesCodec(), "responses"),
}
CORPUS = Path(__file__).parent / "corpus"
NOW = 1_790_000_000.0
STATUSES = (200, 204, 302, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 529)


def lines(data: bytes) -> list[str]:
    """The lines of a document, as a strict decoder hands them on: without bytes that are no UTF-8."""
    return data.decode(errors="replace").split("\n")


# ---------------------------------------------------------------- codecs

_TYPE = re.compile(r'"type"\s*:\s*"([a-z_.]{1,60})"')


def stream(codec: Codec, data: bytes) -> None:
    """All lines through one decoder and one machine; at any end the response is readable."""
    feed, machine = codec.decoder(request_id="req_1").feed, StreamMachine(provider=codec.provider, model="m")
    machine.sent()
    for line in lines(data):
        named = _TYPE.search(line)
        chunk, error = _outcome(partial(feed, named[1] if named else "message", line))
        if chunk is not None:
            assert isinstance(chunk, AIStreamChunk)
            assert_well_formed(chunk)
            machine.feed(chunk)
        if error is not None:
            machine.fail(error)
    assert_response(machine.response)
    machine.fail(TruncatedStreamError("cut"))
    told = list[AIStreamChunk]()
    with suppress(StopAsyncIteration, ProviderError):
        while True:
            told.append(machine.take())
    assert [chunk.is_final for chunk in told] in ([], [False] * (len(told) - 1) + [True])
    assert_response(machine.response)
    if machine.interruption is not None:
        assert isinstance(machine.interruption, StreamInterruptedError)
        assert machine.interruption.partial_content == machine.partial_content


def body(codec: Codec, data: bytes) -> None:
    """A whole answer."""
    chunks, error = _outcome(partial(codec.decode_body, data, request_id="req_1"))
    assert chunks or error is not None, "a whole answer is never nothing"
    machine = StreamMachine(provider=codec.provider, model="m")
    for chunk in [chunks] if isinstance(chunks, AIStreamChunk) else chunks or ():
        assert_well_formed(chunk)
        machine.feed(chunk)
    assert_response(machine.response)


def refusal(codec: Codec, data: bytes) -> None:
    """A refusal with every kind of status: `decode_error` never raises."""
    text = data.decode(errors="replace")
    for status in STATUSES:
        error = codec.decode_error(status, {"retry-after": text[:40], "location": text[:200]}, text, now=NOW)
        assert_error(error)
        assert error.status == status and error.provider == codec.provider


def _outcome(call: Callable[[], object]) -> tuple[object, ProviderError | None]:
    """What a decoder gives, and the error that it raises; every other exception passes."""
    try:
        return call(), None
    except SaidThenFailed as both:
        assert_error(both.error)
        return both.chunk, both.error
    except ProviderError as error:
        assert_error(error)
        return None, error


# ---------------------------------------------------------------- bytes


def framing(kind: type[Events | JsonLines], data: bytes) -> None:
    """However the bytes are split, the same lines and events come out, or the same and an error."""
    whole, found, problem = _framed(kind, [data])
    rng = Random(crc32(data))
    for most in (1, 7, 400):
        pieces, at = list[bytes](), 0
        while at < len(data) and len(pieces) < 3000:
            size = rng.randint(1, most)
            pieces.append(data[at : at + size])
            at += size
        text, events, again = _framed(kind, [*pieces, data[at:]])
        assert events == found
        assert (again is None) == (problem is None)
        assert text == whole or problem is not None  # what is wrong in the lines may end the reading of them earlier
    assert "\r" not in whole
    whole.encode()


def _framed(kind: type[Events | JsonLines], pieces: list[bytes]) -> tuple[str, list[ServerEvent], Undecodable | None]:
    """As the guard reads them."""
    lines, events, text, found = Lines(), kind(), "", list[ServerEvent]()
    try:
        for piece in pieces:
            told = lines.feed(piece)
            assert not told or told.endswith("\n")
            text += told
            found += events.feed(told)
            if (broken := lines.broken or events.broken) is not None:
                return text, found, broken
        found += events.end(lines.end())
    except Undecodable as exc:
        return text, found, exc
    return text, found, events.broken


def inflating(data: bytes) -> None:
    """Compressed bytes, whole and split: bytes or `Undecodable`."""
    for size in (len(data) or 1, 5):
        inflate = Inflater("gzip")
        with suppress(Undecodable):
            for at in range(0, len(data), size):
                assert isinstance(inflate.feed(data[at : at + size]), bytes)


# ---------------------------------------------------------------- headers and values


def limits(data: bytes) -> None:
    """Header lines, by every dialect: figures that make sense, or nothing."""
    pairs = [line.partition(":") for line in lines(data)]
    told = {name.strip(): value.strip() for name, _, value in pairs}
    for dialect in DIALECTS.values():
        info, skipped = limit_headers.parse(told, dialect, now=NOW)
        assert all(name in dialect.headers for name in skipped)
        assert 0 <= info.usage_percentage <= 1 and isinstance(info.is_approaching_limit, bool)
        for count in (info.limit_requests, info.remaining_requests, info.limit_tokens, info.remaining_tokens):
            assert type(count) is int and count >= 0
        for dimension in info.dimensions:
            for number in (dimension.limit, dimension.remaining, dimension.reset_at):
                assert number is None or (math.isfinite(number) and number >= 0)
    wait = _units.parse_retry_after(_units.lowered(told), now=NOW)
    assert wait is None or (math.isfinite(wait) and wait >= 0)


def units(data: bytes) -> None:
    """Every line as a number, a duration, a date and a reset."""
    for line in lines(data):
        for parse in (_units.parse_number, _units.parse_duration, _units.parse_date):
            number = parse(line)
            assert number is None or (type(number) is float and math.isfinite(number))
        value = None
        with suppress(msgspec.DecodeError, RecursionError):
            value = msgspec.json.decode(line.encode())
        for told in (line, value):
            at = _units.parse_reset_time(told, now=NOW)
            assert at is None or 0 <= at < _units.LATEST


def words(data: bytes) -> None:
    """The words of an error, from bytes and from text: one printable line, and not a long one."""
    for text in (error_text(data), error_text(data.decode(errors="replace")), one_line(data.decode("latin-1"))):
        assert isinstance(text, str) and text.isprintable() and len(text) <= 500
        assert_json(text, "words")


class Target(NamedTuple):
    """What takes the bytes, and the folder of the corpus with documents for it."""

    run: Callable[[bytes], None]
    folder: str

    def documents(self) -> Mapping[str, bytes]:
        """The documents of this target, by their names."""
        return {path.name: path.read_bytes() for path in sorted((CORPUS / self.folder).iterdir())}


TARGETS: Mapping[str, Target] = {
    **{f"{name}-stream": Target(partial(stream, row.codec), f"{row.folder}/stream") for name, row in CODECS.items()},
    **{f"{name}-body": Target(partial(body, row.codec), f"{row.folder}/body") for name, row in CODECS.items()},
    **{f"{name}-error": Target(partial(refusal, row.codec), "errors") for name, row in CODECS.items()},
    "sse": Target(partial(framing, Events), "framing"),
    "ndjson": Target(partial(framing, JsonLines), "framing"),
    "gzip": Target(inflating, "gzip"),
    "limits": Target(limits, "limits"),
    "units": Target(units, "units"),
    "words": Target(words, "errors"),
}
