"""
Whatever breaks a stream after its first words: all of them are delivered, the end is told as what it is, once.

One table and one block of assertions, over real sockets. What the server says that it sent is the measure.
"""

from __future__ import annotations

from typing import Final

import pytest

from headrace import Deadlines, StreamInterruptedError
from headrace.errors import (
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamTimeoutError,
    TruncatedStreamError,
    UndecodableEventError,
)
from headrace.providers.base import BaseProvider
from headrace.simulator import Simulator, faults

from ..loops import ON_UVLOOP_TOO
from .rows import (
    ALL,
    EVENTS,
    HEAD,
    MARKER,
    MESSAGES,
    PIECES,
    PROOF,
    PROVIDERS,
    REST,
    Row,
    after,
    of,
    still_works,
    table,
)

pytestmark = [pytest.mark.usefixtures("leak_check"), ON_UVLOOP_TOO]

IN_WORDS: Final = {vendor: count + 2 for vendor, count in HEAD.items()}


def cut(fault: faults.Fault, pieces: int = 3) -> Row:
    """The bytes stop between two events."""
    return Row(fault=fault, pieces=pieces, state="interrupted", error=TruncatedStreamError)


def late(fault: faults.Fault) -> Row:
    """No more words come."""
    return Row(
        fault=fault,
        pieces=3,
        state="interrupted",
        error=StreamTimeoutError,
        deadlines=Deadlines(next_chunk=0.2),
        late="next_chunk",
    )


def told(
    error: type[RateLimitError | ServerError],
    kind: faults.ErrorKind = "overloaded",
    *,
    shape: faults.ErrorShape = "usual",
    then: faults.Then = "nothing",
) -> Row:
    """The vendor's error after three pieces."""
    fault = faults.ErrorEvent(after_pieces=3, kind=kind, shape=shape, then=then)
    return Row(fault=fault, pieces=3, state="interrupted", error=error, reused=None)


def bad(fault: faults.Fault) -> Row:
    """The event after three pieces is unreadable; good ones follow it."""
    return Row(fault=fault, pieces=3, state="interrupted", error=UndecodableEventError, reused=None)


AFTER: Final = {
    # The connection breaks.
    "cut-fin": cut(faults.CutFin(after_pieces=3)),
    "cut-rst": cut(faults.CutRst(after_pieces=3)),
    "cut-fin-events": Row(
        fault=after(faults.CutFin, IN_WORDS), pieces=2, state="interrupted", error=TruncatedStreamError
    ),
    "cut-rst-first-piece": cut(faults.CutRst(after_pieces=1), 1),
    "cut-fin-last-piece": Row(
        fault=faults.CutFin(after_pieces=6), pieces=6, state="interrupted", error=TruncatedStreamError
    ),
    "cut-fin-at-byte": Row(
        fault=faults.CutFin(at_byte=1000), pieces=None, state="interrupted", error=TruncatedStreamError
    ),
    "cut-rst-at-byte": Row(
        fault=faults.CutRst(at_byte=1000), pieces=None, state="interrupted", error=TruncatedStreamError
    ),
    "too-long-length": Row(fault=faults.WrongLength(by=10)),
    "too-short-length": Row(
        fault=faults.WrongLength(by=-10),
        state={"grok": "finished", "openai": "finished", REST: "interrupted"},
        error={"grok": None, "openai": None, REST: TruncatedStreamError},
        pieces={"gemini": ALL - 1, REST: ALL},
        beyond={"gemini": ".", REST: ""},
    ),
    # Silence.
    "stall": late(faults.Stall(after_pieces=3)),
    "pings": late(faults.Pings(after_pieces=3, interval=0.05)),
    "comments": late(faults.Pings(after_pieces=3, interval=0.05, comments=True)),
    # The end that HTTP tells, without the vendor's.
    "no-proof": Row(
        fault=faults.CleanEnd(drop="proof"),
        pieces={"gemini": ALL - 1, REST: ALL},
        state="interrupted",
        error=TruncatedStreamError,
        reused=True,
    ),
    "no-finish": Row(
        fault=faults.CleanEnd(drop="finish"),
        pieces={"gemini": ALL - 1, REST: ALL},
        state={"gemini": "interrupted", "ollama": "interrupted", REST: "unconfirmed"},
        error={"gemini": TruncatedStreamError, "ollama": TruncatedStreamError, REST: None},
        reused=True,
    ),
    "no-tail": Row(
        fault=faults.CleanEnd(drop="tail"),
        state={"anthropic": "interrupted", REST: "finished"},
        error={"anthropic": TruncatedStreamError, REST: None},
        reused=True,
    ),
    "clean-end": Row(
        fault=faults.CleanEnd(after_pieces=3), pieces=3, state="interrupted", error=TruncatedStreamError, reused=True
    ),
    # After the proof the answer is whole, whatever breaks.
    "proven-cut-fin": Row(fault=after(faults.CutFin, PROOF)),
    "proven-cut-rst": Row(fault=after(faults.CutRst, PROOF)),
    "proven-stall": Row(fault=after(faults.Stall, PROOF)),
    "ended-stall": Row(fault=after(faults.Stall, EVENTS)),
    "proven-pings": Row(fault=after(faults.Pings, PROOF, interval=0.05)),
    # Bad events.
    "overloaded": told(OverloadedError),
    "rate-limit": told(RateLimitError, "rate_limit"),
    "server-error": told(ServerError, "api"),
    "error-string": told(OverloadedError, shape="string"),
    "error-nested": told(ServerError, "api", shape="nested"),
    "error-field": told(OverloadedError, shape="field"),
    "error-beside": told(OverloadedError, shape="beside"),
    "error-then-content": told(OverloadedError, then="content"),
    "error-then-tail": told(RateLimitError, "rate_limit", then="tail"),
    "overloaded-after-finish": Row(
        fault=faults.ErrorAfterFinish(kind="overloaded"), state="interrupted", error=OverloadedError, reused=None
    ),
    "rate-limit-after-finish": Row(
        fault=faults.ErrorAfterFinish(kind="rate_limit"), state="interrupted", error=RateLimitError, reused=None
    ),
    "server-error-after-finish": Row(
        fault=faults.ErrorAfterFinish(kind="api"), state="interrupted", error=ServerError, reused=None
    ),
    "malformed": bad(faults.Malformed(after_pieces=3)),
    "bad-utf8": bad(faults.BadUtf8(after_pieces=3)),
    "lone-surrogate": bad(faults.LoneSurrogate(after_pieces=3)),
    "huge-event": bad(faults.HugeEvent(after_pieces=3, size=1 << 17)),
    "gzip-bomb": Row(
        fault=after(faults.GzipBomb, IN_WORDS, size=1 << 21),
        pieces=2,
        state="interrupted",
        error=UndecodableEventError,
    ),
    "truncated-gzip": Row(
        fault=after(faults.TruncatedGzip, IN_WORDS),
        pieces=2,
        state="interrupted",
        error=TruncatedStreamError,
        reused=True,
    ),
}


@table(AFTER)
async def test_what_breaks_a_stream_costs_no_word_and_is_told_once(sim: Simulator, vendor: str, row: Row) -> None:
    provider = PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), deadlines=row.deadlines)
    async with provider:
        await assert_ends(sim, provider, row)
    await sim.wait_all_closed()


async def assert_ends(sim: Simulator, provider: BaseProvider, row: Row) -> None:
    """The one block: chunks, words, the end, its error, the connection."""
    vendor = provider.name
    state, error = of(row.state, vendor), of(row.error, vendor)
    retryable, retry_after = of(row.retryable, vendor), of(row.retry_after, vendor)
    sim.play(vendor, row.script(vendor))
    stream = provider.chat_stream(MESSAGES)
    *words, last = [chunk async for chunk in stream]

    count = of(row.pieces, vendor)
    assert words
    assert [chunk.content for chunk in words] == list(PIECES[: len(words) if count is None else count])
    assert not any(chunk.is_final or chunk.is_marker or chunk.error for chunk in words)
    assert stream.partial_content == "".join(chunk.content for chunk in words)
    assert stream.partial_content + of(row.beyond, vendor) == sim.exchanges[-1].text_before_fault
    assert stream.response.content == stream.partial_content
    assert (stream.state, stream.response.state) == (state, state)
    assert last.is_final
    assert (last.content, last.is_marker) == ((MARKER, True) if state == "interrupted" else ("", False))
    with pytest.raises(StopAsyncIteration):
        await anext(stream)

    if state == "interrupted":
        with pytest.raises(StreamInterruptedError) as caught:
            stream.raise_for_interruption()
        cut = caught.value
        assert cut is stream.interruption
        assert cut.partial_content == stream.partial_content
        assert type(cut.cause) is error
        assert isinstance(cut.cause, error)
        assert (cut.cause.provider, cut.cause.retryable, cut.cause.retry_after) == (vendor, retryable, retry_after)
        if isinstance(cut.cause, StreamTimeoutError):
            assert cut.cause.kind == row.late
        assert last.error == {
            "type": error.__name__,
            "message": str(cut.cause),
            "partial_content_length": len(stream.partial_content),
            "retry_after": retry_after,
            "retryable": retryable,
            "provider": vendor,
        }
    else:
        stream.raise_for_interruption()
        assert (stream.interruption, last.error) == (None, None)
        assert last.finish_reason == ("stop" if state == "finished" else None)
    await still_works(sim, provider, reused=of(row.reused, vendor))
