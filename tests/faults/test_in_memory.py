"""
The same faults without sockets, in virtual time: the default deadlines pass, and every byte is a place to cut.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import httpx
import pytest
from anyio import current_time

from headrace import AIStreamChunk, Deadlines
from headrace.errors import DeadlineKind, StreamInterruptedError, StreamTimeoutError, TruncatedStreamError
from headrace.providers.base import BaseProvider
from headrace.simulator import Framing, Script, Simulator, faults
from headrace.testing import assert_idle

from .rows import EVENTS, MARKER, MESSAGES, PIECES, PROOF, PROVIDERS, Row, after, of, table
from .test_after_content import AFTER, assert_ends
from .test_before_content import BEFORE, STALLED, assert_fails

pytestmark = [pytest.mark.virtual, pytest.mark.usefixtures("leak_check")]


@asynccontextmanager
async def in_memory(sim: Simulator, vendor: str) -> AsyncIterator[BaseProvider]:
    """A provider with the deadlines that it has by default, and nothing open at the end."""
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        async with PROVIDERS[vendor]("k", base_url=f"http://sim{PREFIX[vendor]}", http_client=client) as provider:
            yield provider
            await assert_idle(provider)
    assert sim.open_connections == 0


PREFIX: Final = {
    "anthropic": "/anthropic",
    "gemini": "/gemini",
    "grok": "/grok/v1",
    "ollama": "/ollama",
    "openai": "/openai/v1",
}


def patient(row: Row) -> Row:
    """With the deadlines that hold by default, and silences that reach them: of two that may fall, the sooner one."""
    match of(row.fault, "openai") if row.late else None:
        case faults.Stall() | faults.LateFirst():
            late: DeadlineKind | None = "idle"
        case _:
            late = row.late
    fault = {vendor: lasting(of(row.fault, vendor)) for vendor in PROVIDERS}
    return replace(row, fault=fault, deadlines=Deadlines(), late=late)


def lasting(fault: faults.Fault | None) -> faults.Fault | None:
    """The fault at a vendor's pace."""
    match fault:
        case faults.Pings():
            return replace(fault, interval=15)
        case faults.LateFirst():
            return replace(fault, seconds=700)
        case _:
            return fault


@table(AFTER)
async def test_what_breaks_a_stream_costs_no_word_and_is_told_once(vendor: str, row: Row) -> None:
    sim = Simulator()
    async with in_memory(sim, vendor) as provider:
        await assert_ends(sim, provider, patient(row))


@table({**BEFORE, "500-stall": STALLED})
async def test_what_breaks_an_answer_before_its_first_word_is_raised(vendor: str, row: Row) -> None:
    sim = Simulator()
    async with in_memory(sim, vendor) as provider:
        await assert_fails(sim, provider, patient(row))


SILENCES: Final = {  # the fault, which deadline falls, and after how many seconds
    "stall": (faults.Stall(after_pieces=3), "idle", 300.0),
    "pings": (faults.Pings(after_pieces=3, interval=15), "next_chunk", 600.0),
    "comments": (faults.Pings(after_pieces=3, interval=15, comments=True), "next_chunk", 600.0),
}


@pytest.mark.parametrize("vendor", PROVIDERS)
@pytest.mark.parametrize("name", SILENCES)
async def test_a_silent_vendor_is_waited_for_as_long_as_a_model_may_think(vendor: str, name: str) -> None:
    fault, kind, seconds = SILENCES[name]
    sim = Simulator()
    async with in_memory(sim, vendor) as provider:
        sim.play(vendor, Script(pieces=PIECES, fault=fault))
        stream, began = provider.chat_stream(MESSAGES), current_time()
        *_, last = [chunk async for chunk in stream]
        assert seconds <= current_time() - began <= seconds + 0.5
        assert (last.content, stream.partial_content) == (MARKER, "The mill türns")
        assert stream.interruption is not None
        assert isinstance(stream.interruption.cause, StreamTimeoutError)
        assert (stream.interruption.cause.kind, stream.interruption.cause.seconds) == (kind, seconds)


OVER: Final = {
    "stall": after(faults.Stall, PROOF),
    "stall-at-the-very-end": after(faults.Stall, EVENTS),
    "pings": after(faults.Pings, PROOF, interval=0.1),
}


@pytest.mark.parametrize("vendor", PROVIDERS)
@pytest.mark.parametrize("name", OVER)
async def test_a_vendor_that_has_said_all_is_not_waited_for(vendor: str, name: str) -> None:
    sim = Simulator()
    async with in_memory(sim, vendor) as provider:
        sim.play(vendor, Script(pieces=PIECES, fault=OVER[name][vendor]))
        began = current_time()
        assert (await provider.chat(MESSAGES)).content == "".join(PIECES)
        assert 0.25 <= current_time() - began <= 0.3


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_model_may_think_for_minutes_while_it_pings(vendor: str) -> None:
    sim = Simulator()
    async with in_memory(sim, vendor) as provider:
        sim.play(vendor, Script(pieces=PIECES, fault=faults.LateFirst(seconds=290)))
        answer = await provider.chat(MESSAGES)
        assert answer.content == "".join(PIECES)
        assert current_time() >= 290


CUTS: Final = {"fin": faults.CutFin, "rst": faults.CutRst}
WAYS: Final = {
    "plain": Framing(),
    "odd": Framing(line_end="crlf", comments=True, bom=True, ids=True, split_data=True, unknown_events=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_wherever_the_bytes_are_cut_what_was_sent_is_what_was_received(vendor: str, cut: str, way: str) -> None:
    """
    Every seventh byte of the body, from the first to the last. An event of which only line ends have not come counts:
    what is received is what a twin of the simulator has sent whole, who is cut by so many bytes later.
    """
    sim, twin, script, seen = Simulator(), Simulator(), Script(pieces=PIECES[:5], framing=WAYS[way]), set()
    ends = 1 if vendor == "ollama" else 3 if way == "odd" or vendor == "gemini" else 2  # of CRLF the CR is enough
    async with in_memory(sim, vendor) as provider, in_memory(twin, vendor) as other:
        for one, asked in ((sim, provider), (twin, other)):
            one.play(vendor, script)
            await asked.chat(MESSAGES)
        for at in range(0, sim.exchanges[0].bytes_sent - ends, 7):
            twin.play(vendor, replace(script, fault=CUTS[cut](at_byte=at + ends)))
            with suppress(TruncatedStreamError, StreamInterruptedError):
                await other.chat_stream(MESSAGES).collect()
            sent = twin.exchanges[-1].text_sent
            sim.play(vendor, replace(script, fault=CUTS[cut](at_byte=at)))
            stream = provider.chat_stream(MESSAGES)
            chunks: list[AIStreamChunk] = []
            try:
                chunks = [chunk async for chunk in stream]
            except TruncatedStreamError:
                assert (stream.state, sent) == ("failed", "")
            received = "".join(chunk.content for chunk in chunks if not chunk.is_marker)
            assert received == stream.partial_content == sent, at
            if stream.state == "interrupted":
                assert chunks[-1].is_marker
                assert received
            seen.add((stream.state, received))
    words = ["".join(PIECES[:count]) for count in range(1, 5 if vendor == "gemini" else 6)]
    expected = {("failed", ""), *(("interrupted", text) for text in words)}
    assert seen - {("finished", "".join(PIECES[:5]))} == expected
