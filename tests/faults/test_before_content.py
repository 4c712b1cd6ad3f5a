"""
Whatever breaks an answer before its first word is raised as the typed error it is: no chunk, no marker, no second try.

One table and one block of assertions, over real sockets.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Final, Literal

import anyio
import pytest

from headrace import Deadlines
from headrace.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    RedirectError,
    RequestTooLargeError,
    ServerError,
    StreamTimeoutError,
    TruncatedStreamError,
    UndecodableEventError,
    UnexpectedResponseError,
)
from headrace.providers.base import BaseProvider
from headrace.simulator import Simulator, faults

from .rows import HEAD, MESSAGES, PROVIDERS, REST, SILENT, UNPACED, PerVendor, Row, after, of, still_works, table

pytestmark = pytest.mark.usefixtures("leak_check")

# Ollama tells no waits, Gemini in a 429's body only.
TOLD: Final[Mapping[str, float | None]] = {"ollama": None, REST: 2.0}
NONE_OF_GEMINI: Final[Mapping[str, float | None]] = {**TOLD, "gemini": None}


def failed(
    fault: PerVendor[faults.Fault | None],
    error: PerVendor[type[ProviderError] | None] = TruncatedStreamError,
    *,
    reused: bool | None = False,
) -> Row:
    """A failure that may not strike twice."""
    return Row(fault=fault, state="failed", pieces=0, error=error, reused=reused)


def late(fault: PerVendor[faults.Fault | None]) -> Row:
    """No words come at all."""
    return Row(
        fault=fault,
        state="failed",
        pieces=0,
        error=StreamTimeoutError,
        deadlines=Deadlines(first_chunk=0.2),
        late="first_chunk",
    )


def refused(
    status: int,
    error: PerVendor[type[ProviderError] | None],
    *,
    retryable: bool = False,
    wait: PerVendor[float | None] = None,
    kind: Literal["rate", "quota"] = "rate",
    shape: Literal["usual", "nested", "string"] = "usual",
    body: Literal["whole", "cut", "reset", "html", "empty"] = "whole",
) -> Row:
    """The vendor says no, in its own shape."""
    return Row(
        fault=faults.Refuse(status=status, kind=kind, shape=shape, body=body),
        state="failed",
        pieces=0,
        error=error,
        retryable=retryable,
        retry_after=wait,
        reused=body not in {"cut", "reset"},
    )


BEFORE: Final = {
    # No answer.
    "no-head-fin": failed(faults.NoHead(), ConnectionFailedError),
    "no-head-rst": failed(faults.NoHead(reset=True), ConnectionFailedError),
    "stall-before-head": late(faults.Stall(before_head=True)),
    # A head, and no words.
    "stall": late(after(faults.Stall, HEAD)),
    "pings": late(after(faults.Pings, HEAD, interval=0.05)),
    "late-first": late(faults.LateFirst(seconds=30)),
    "cut-fin": failed(after(faults.CutFin, HEAD)),
    "cut-rst": failed(after(faults.CutRst, HEAD)),
    "cut-fin-at-once": failed(faults.CutFin(at_byte=0)),
    "cut-rst-at-byte": failed(faults.CutRst(at_byte=20)),
    "empty-body": failed(faults.CleanEnd(after_events=0), reused=True),
    "clean-end": failed(after(faults.CleanEnd, HEAD), reused=True),
    "length-of-zero": failed(faults.WrongLength(by=-1_000_000), reused=None),
    "truncated-gzip": failed(after(faults.TruncatedGzip, HEAD), reused=True),
    "gzip-bomb": failed(after(faults.GzipBomb, HEAD, size=1 << 21), UndecodableEventError),
    "malformed": failed(faults.Malformed(after_pieces=0), UndecodableEventError, reused=None),
    "bad-utf8": failed(faults.BadUtf8(after_pieces=0), UndecodableEventError, reused=None),
    "lone-surrogate": failed(faults.LoneSurrogate(after_pieces=0), UndecodableEventError, reused=None),
    "huge-event": failed(faults.HugeEvent(after_pieces=0, size=1 << 17), UndecodableEventError, reused=None),
    "overloaded": failed(after(faults.ErrorEvent, HEAD), OverloadedError, reused=None),
    "rate-limit": failed(after(faults.ErrorEvent, HEAD, kind="rate_limit"), RateLimitError, reused=None),
    "server-error": failed(after(faults.ErrorEvent, HEAD, kind="api"), ServerError, reused=None),
    # Another answer than a stream.
    "html": failed(faults.HtmlBody(), UnexpectedResponseError, reused=True),
    "json": failed(faults.JsonBody(), {"anthropic": ServerError, REST: OverloadedError}, reused=True),
    "redirect": Row(
        fault=faults.Redirect(), state="failed", pieces=0, error=RedirectError, retryable=False, reused=True
    ),
    # Refusals.
    "400": refused(400, InvalidRequestError),
    "401": refused(401, AuthenticationError),
    "402": refused(402, QuotaExceededError),
    "403": refused(403, PermissionDeniedError),
    "404": refused(404, NotFoundError),
    "408": refused(408, ServerError, retryable=True),
    "413": refused(413, RequestTooLargeError),
    "429": refused(429, RateLimitError, retryable=True, wait=TOLD),
    "429-quota": refused(429, QuotaExceededError, kind="quota"),
    "429-in-ms": Row(
        fault=faults.Refuse(status=429, retry_after=7.25, retry_after_ms=True),
        state="failed",
        pieces=0,
        error=RateLimitError,
        retry_after={"ollama": None, REST: 7.25},
        reused=True,
    ),
    "500": refused(500, ServerError, retryable=True),
    "503": refused(503, OverloadedError, retryable=True, wait=NONE_OF_GEMINI),
    "529": refused(529, OverloadedError, retryable=True, wait=NONE_OF_GEMINI),
    "429-cut": refused(429, RateLimitError, retryable=True, wait=NONE_OF_GEMINI, body="cut"),
    "500-reset": refused(500, ServerError, retryable=True, body="reset"),
    "429-nested": refused(429, RateLimitError, retryable=True, wait=TOLD, shape="nested"),
    "429-string": refused(429, RateLimitError, retryable=True, wait=TOLD, shape="string"),
    "403-html": refused(403, PermissionDeniedError, body="html"),
    "503-html": refused(503, OverloadedError, retryable=True, wait=NONE_OF_GEMINI, body="html"),
    "429-empty": refused(429, RateLimitError, retryable=True, wait=NONE_OF_GEMINI, body="empty"),
}

STALLED: Final = Row(fault=faults.Refuse(status=500, body="stall"), state="failed", error=ServerError)


@table(BEFORE)
async def test_what_breaks_an_answer_before_its_first_word_is_raised(sim: Simulator, vendor: str, row: Row) -> None:
    async with PROVIDERS[vendor](
        "k", base_url=sim.base_url(vendor), deadlines=row.deadlines, limits=UNPACED
    ) as provider:
        await assert_fails(sim, provider, row)
    await sim.wait_all_closed()


async def assert_fails(sim: Simulator, provider: BaseProvider, row: Row) -> ProviderError:
    """The one block: the error, the state, the connection. Returns the error."""
    vendor = provider.name
    expected = of(row.error, vendor)
    assert expected is not None
    sim.play(vendor, row.script(vendor))
    stream = provider.chat_stream(MESSAGES)
    with pytest.raises(expected) as caught:
        await anext(stream)

    error = caught.value
    assert type(error) is expected
    assert (error.provider, error.retryable) == (vendor, of(row.retryable, vendor))
    assert error.retry_after == of(row.retry_after, vendor)
    assert str(error).startswith(f"{vendor}: ")
    assert "partial_content" not in str(error)  # there is none
    if isinstance(error, StreamTimeoutError):
        assert error.kind == row.late
    (exchange,) = sim.exchanges
    fault = of(row.fault, vendor)
    assert exchange.text_before_fault == "" or isinstance(fault, faults.WrongLength)  # then it lies beyond the end
    if isinstance(fault, faults.Refuse):
        assert error.status == fault.status == exchange.status
        assert (error.request_id is None) is (vendor in SILENT)
    if isinstance(error, RateLimitError) and isinstance(fault, faults.Refuse):
        assert error.sent
        assert error.kind == ("overload" if type(error) is OverloadedError else "rate")
        assert (error.retry_at is None) is (error.retry_after is None)
        assert error.rate_limit is not None
        assert error.rate_limit.limit_requests == (0 if vendor in SILENT else 100_000)

    assert (stream.state, stream.response.state) == ("failed", "failed")
    assert (stream.partial_content, stream.interruption) == ("", None)
    for again in (stream.__anext__, stream.collect):
        with pytest.raises(expected) as repeated:
            await again()
        assert repeated.value is error
    with pytest.raises(expected):
        stream.raise_for_interruption()
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(copied), str(copied), copied.retry_after) == (expected, str(error), error.retry_after)
    await still_works(sim, provider, reused=of(row.reused, vendor))
    assert sim.requests == 2
    return error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_the_other_origin_of_a_redirect_sees_nothing(sim: Simulator, vendor: str, status: int) -> None:
    async with Simulator() as other:
        fault = faults.Redirect(location=f"{other.base_url(vendor)}/take?key=k", status=status)
        async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), limits=UNPACED) as provider:
            row = Row(fault=fault, error=RedirectError, retryable=False, reused=True)
            error = await assert_fails(sim, provider, row)
        assert f"127.0.0.1:{other.port}" in str(error)
        assert "/take" not in str(error)  # what is behind the host may be a secret
        assert (other.requests, other.connections) == (0, 0)


async def test_a_refusal_whose_body_stalls_is_told_within_its_two_seconds(sim: Simulator) -> None:
    """All vendors at once: it takes real time."""

    async def answered(vendor: str) -> None:
        sim.play(vendor, STALLED.script(vendor))
        async with PROVIDERS[vendor](
            "k", base_url=sim.base_url(vendor), deadlines=Deadlines(first_chunk=0.5)
        ) as provider:
            with pytest.raises(ServerError) as caught:
                await provider.generate("hi")
            assert (caught.value.status, caught.value.provider) == (500, vendor)

    with anyio.fail_after(3.5):
        async with anyio.create_task_group() as group:
            for vendor in PROVIDERS:
                group.start_soon(answered, vendor)
