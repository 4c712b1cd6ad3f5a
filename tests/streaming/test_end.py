"""Rules 4 to 8: how a stream ends after its first content, what of it is kept, and what its consumer is told."""

from __future__ import annotations

import logging
import pickle

import pytest
from anyio import ClosedResourceError, create_task_group, current_time

from headrace import AIStreamChunk, Deadlines, GenerationConfig, StreamInterruptedError
from headrace.errors import (
    ConnectionFailedError,
    NetworkError,
    ServerError,
    SessionClosedError,
    StreamTimeoutError,
    TruncatedStreamError,
    UndecodableEventError,
)
from headrace.limits.policy import RateLimitPolicy
from headrace.streaming.pump import AHEAD

from ..leaks import session, soon
from ..rawserver import Fault, RawServer, Step
from . import foreign
from .conftest import Make
from .foreign import HANG, Scripted
from .words import BROKEN, DONE, ERROR, FINISH, MESSAGES, PING, USAGE, A, B, C, drain, text, word

pytestmark = pytest.mark.usefixtures("leak_check")

# ---------------------------------------------------------------- 4: a failure after content

HALF = word("d")[:40]

AFTER: dict[str, tuple[tuple[Step, ...], type[Exception]]] = {
    "clean end": ((), TruncatedStreamError),
    "unframed end": ((Fault.UNFRAMED,), TruncatedStreamError),
    "closed": ((Fault.FIN,), TruncatedStreamError),
    "reset": ((Fault.RST,), TruncatedStreamError),
    "error event": ((ERROR, DONE), ServerError),
    "broken event": ((BROKEN, word("d")), UndecodableEventError),
    "broken utf-8": ((b"data: \xff\n\n",), UndecodableEventError),
    "broken utf-8, then silence": ((b"data: \xff\n\n", Fault.HANG), UndecodableEventError),
    "inside an event": ((HALF, Fault.FIN), TruncatedStreamError),
    "inside an event, clean end": ((HALF,), TruncatedStreamError),
    "silence": ((Fault.HANG,), StreamTimeoutError),
    "error after proof": ((FINISH, ERROR), ServerError),
    "broken event after proof": ((FINISH, BROKEN), UndecodableEventError),
    "broken utf-8 after proof, then silence": ((FINISH, b"data: \xff\n\n", Fault.HANG), UndecodableEventError),
}


@pytest.mark.parametrize("case", AFTER)
async def test_rule_04_a_failure_after_content_is_all_chunks_one_marker_and_a_quiet_end(
    server: RawServer, make: Make, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    steps, kind = AFTER[case]
    async with session(make(server.play(A, B, C, *steps), deadlines=Deadlines(next_chunk=0.1))) as provider:
        stream = provider.chat_stream(MESSAGES)
        *chunks, last = await drain(stream)
        assert [chunk.content for chunk in chunks] == ["a", "b", "c"]
        assert not any(chunk.is_final or chunk.is_marker for chunk in chunks)
        assert (last.content, last.is_final, last.is_marker) == ("\n\n[Response interrupted]", True, True)
        assert stream.partial_content == stream.response.content == stream.response.to_message().content == "abc"
        assert stream.state == stream.response.state == "interrupted"

        cut = stream.interruption
        assert cut is not None
        assert type(cut.cause) is kind
        assert cut.__cause__ is cut.cause
        assert str(cut) == f"Stream interrupted after 3 chars: {cut.cause}"
        assert cut.response == stream.response
        assert last.error is not None
        assert last.error["type"] == kind.__name__
        assert last.error["message"] == str(cut.cause)
        assert last.error["partial_content_length"] == 3
        assert (last.error["provider"], last.error["retryable"]) == ("openai", True)
        again = pickle.loads(pickle.dumps(cut))
        assert (again.partial_content, type(again.cause), str(again)) == ("abc", kind, str(cut))

        for _ in range(2):
            with pytest.raises(StreamInterruptedError):
                await stream.collect()
            with pytest.raises(StreamInterruptedError):
                stream.raise_for_interruption()
    told = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "headrace"]
    assert told == [
        (logging.WARNING, f"stream openai/{provider.model} was interrupted after 3 characters: {kind.__name__}")
    ]


UNENDED = {
    "its last byte": (word("d")[:-1], ("abcd", "interrupted")),
    "its line end": (word("d")[:-2], ("abcd", "interrupted")),
    "its last bracket": (word("d")[:-3], ("abc", "interrupted")),
    "the last byte of the proof": (FINISH[:-1], ("abc", "finished")),
    "the line end of the proof": (FINISH[:-2], ("abc", "finished")),
    "half of an error": (b"error: bo", ("abc", "interrupted")),
    "the last byte of an event that is none": (BROKEN[:-1], ("abc", "interrupted")),
}


@pytest.mark.parametrize("case", UNENDED)
async def test_rule_06_an_event_is_received_once_all_of_it_but_its_line_ends_has_come(
    server: RawServer, make: Make, case: str
) -> None:
    last, expected = UNENDED[case]
    async with session(make(server.play(A, B, C, last, Fault.FIN))) as provider:
        stream = provider.chat_stream(MESSAGES)
        chunks = await drain(stream)
        assert (text(chunks), stream.state) == (stream.partial_content, stream.state) == expected
        assert [chunk.is_marker for chunk in chunks if chunk.is_final] == [expected[1] == "interrupted"]
        if stream.interruption is not None:
            assert "the connection was lost" in str(stream.interruption.cause)
            assert stream.interruption.cause.__cause__ is not None


@pytest.mark.parametrize("fault", [Fault.FIN, Fault.RST], ids=["closed", "reset"])
async def test_rule_04_the_cause_keeps_its_own_cause_and_the_way_to_it(
    server: RawServer, make: Make, fault: Fault
) -> None:
    async with session(make(server.play(A, fault))) as provider:
        stream = provider.chat_stream(MESSAGES)
        await drain(stream)
        assert stream.interruption is not None
        cause = stream.interruption.cause
        assert type(cause.__cause__).__name__ in {"RemoteProtocolError", "BrokenResourceError"}
        assert cause.__traceback__ is not None


async def test_rule_04_the_marker_is_the_providers_own() -> None:
    async with session(Scripted(foreign.A, ServerError("boom"), marker="<cut>")) as provider:
        stream = provider.chat_stream(MESSAGES)
        assert [chunk.content for chunk in await drain(stream)] == ["a", "<cut>"]
        assert stream.partial_content == "a"


async def test_rule_04_words_like_the_marker_are_the_models_own() -> None:
    words = AIStreamChunk("\n\n[Response interrupted]")
    async with session(Scripted(words, foreign.FINISH)) as provider:
        stream = provider.chat_stream(MESSAGES)
        first, last = await drain(stream)
        assert (first.is_marker, last.is_marker) == (False, False)
        assert stream.partial_content == "\n\n[Response interrupted]"


# ---------------------------------------------------------------- 5: exactly one final chunk

ENDS: dict[str, tuple[Step, ...]] = {
    "finished": (FINISH, DONE),
    "no sentinel": (FINISH,),
    "unconfirmed": (DONE,),
    "interrupted": (Fault.FIN,),
    "lost after proof": (FINISH, Fault.FIN),
}


@pytest.mark.parametrize("case", ENDS)
async def test_rule_05_the_iteration_ends_after_exactly_one_final_chunk_and_keeps_ending(
    server: RawServer, make: Make, case: str
) -> None:
    async with session(make(server.play(A, B, C, *ENDS[case]))) as provider, provider.chat_stream(MESSAGES) as stream:
        assert [chunk.is_final for chunk in await drain(stream)] == [False, False, False, True]
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@pytest.mark.parametrize("reads", [0, 1])
async def test_rule_05_a_stream_left_early_raises_for_ever(server: RawServer, make: Make, reads: int) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider, provider.chat_stream(MESSAGES) as stream:
        for _ in range(reads):
            await anext(stream)
        await stream.aclose()
        for _ in range(2):
            with pytest.raises(ClosedResourceError, match="was left"):
                await anext(stream)
        with pytest.raises(ClosedResourceError):
            await stream.collect()


# ---------------------------------------------------------------- 6: recorded before offered


async def test_rule_06_what_was_handed_over_is_recorded_before_anybody_takes_it() -> None:
    many = [AIStreamChunk(f"{i} ") for i in range(3 * AHEAD)]
    provider = Scripted(*many)
    async with session(provider), provider.chat_stream(MESSAGES) as stream:
        first = await anext(stream)
        assert first.content == "0 "
        assert len(provider.handed.split()) >= AHEAD, "the pump did not run ahead: the test shows nothing"
        assert stream.partial_content == stream.response.content == provider.handed
    assert stream.partial_content == provider.handed


@pytest.mark.parametrize("closer", ["session", "cut"])
async def test_rule_06_all_that_was_received_is_delivered(server: RawServer, make: Make, closer: str) -> None:
    many = b"".join(word(f"{i} ") for i in range(3 * AHEAD))
    provider = make(server.play(many, Fault.FIN if closer == "cut" else Fault.HANG))
    async with provider:
        stream = provider.chat_stream(MESSAGES)
        first = await anext(stream)
        await soon(lambda: len(stream.partial_content.split()) >= AHEAD)
        held = stream.partial_content
    assert (stream.response.state, stream.state) == ("interrupted", "streaming")
    got = [first, *await drain(stream)]
    assert text(got) == stream.partial_content == held
    assert got[-1].is_marker
    assert stream.interruption is not None
    assert type(stream.interruption.cause) is SessionClosedError


# ---------------------------------------------------------------- 7: proof and tail

TAILS: dict[
    str, tuple[tuple[Step, ...], str, int | None, bool | None]
] = {  # script, state, tokens, connection reusable
    "usage, sentinel": ((FINISH, USAGE, DONE), "finished", 7, True),
    "sentinel": ((FINISH, DONE), "finished", None, True),
    "no sentinel": ((FINISH,), "finished", None, True),
    "closed": ((FINISH, Fault.FIN), "finished", None, False),
    "reset": ((FINISH, Fault.RST), "finished", None, False),
    "stalls after usage": ((FINISH, USAGE, Fault.HANG), "finished", 7, False),
    "stalls after the sentinel": ((FINISH, DONE, Fault.HANG), "finished", None, False),
    "pings for ever": ((FINISH, *(PING, 0.02) * 30, Fault.HANG), "finished", None, False),
    "late usage": ((FINISH, 0.05, USAGE, DONE), "finished", 7, True),
    "late end": ((FINISH, DONE, 0.05), "finished", None, True),
    "no blank line": ((FINISH, DONE.rstrip()), "finished", None, True),
    "half a sentinel": ((FINISH, b"data: [DO"), "finished", None, True),
    "half an event": ((FINISH, USAGE[:30]), "finished", None, True),
    "error after the sentinel": ((FINISH, DONE, ERROR), "finished", None, None),  # as it happens to be read
    "unconfirmed": ((DONE,), "unconfirmed", None, True),
    "usage, unconfirmed": ((USAGE, DONE), "unconfirmed", 7, True),
}


@pytest.mark.parametrize("case", TAILS)
async def test_rule_07_a_proven_end_is_a_good_end_whatever_the_tail(server: RawServer, make: Make, case: str) -> None:
    steps, state, tokens, reusable = TAILS[case]
    connections = server.connections
    async with session(make(server.play(A, B, C, *steps))) as provider:
        stream, began = provider.chat_stream(MESSAGES), current_time()
        got = await drain(stream)
        assert current_time() - began < 1.0, "the tail has 0.25 s"
        last = got[-1]
        assert text(got) == "abc"
        assert stream.state == stream.response.state == state
        assert (last.content, last.is_final, last.is_marker, last.error) == ("", True, False, None)
        assert last.finish_reason == ("stop" if state == "finished" else None)
        assert (last.usage and last.usage["total_tokens"]) == tokens
        stream.raise_for_interruption()
        if reusable:  # at once: the end was told when the response was closed
            await drain(provider.chat_stream(MESSAGES))
            assert server.connections == connections + 1
        elif reusable is False:
            await soon(lambda: server.open == 0)


async def test_rule_07_words_after_the_proof_are_words(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, FINISH, B, FINISH, DONE))) as provider:
        stream = provider.chat_stream(MESSAGES)
        assert [chunk.content for chunk in await drain(stream)] == ["a", "b", ""]
        assert (stream.state, stream.partial_content) == ("finished", "ab")


async def test_rule_07_a_proof_without_content_is_a_good_end(server: RawServer, make: Make) -> None:
    async with session(make(server.play(FINISH, USAGE, DONE))) as provider:
        stream = provider.chat_stream(MESSAGES)
        (only,) = await drain(stream)
        assert (only.content, only.is_final, only.finish_reason, stream.state) == ("", True, "stop", "finished")


@pytest.mark.parametrize("last", [(foreign.FINISH, foreign.DONE), (NetworkError("cut"),)], ids=["finished", "cut"])
async def test_rule_07_whoever_has_seen_the_end_holds_nothing(last: tuple[foreign.Step, ...]) -> None:
    provider = Scripted(foreign.A, *last, max_requests=1, limits=RateLimitPolicy(pace=False, max_wait=0))
    async with provider:
        for turn in (1, 2, 3):
            async for chunk in provider.chat_stream(MESSAGES):
                if chunk.is_final:
                    assert provider.closed == turn
                    assert provider._session is not None
                    assert provider._session.pacer.taken == 0


# ---------------------------------------------------------------- 8: states


async def test_rule_08_the_end_is_told_by_the_final_chunk_not_by_its_arrival() -> None:
    provider = Scripted(foreign.A, foreign.B, foreign.FINISH, foreign.DONE)
    async with session(provider):
        stream = provider.chat_stream(MESSAGES)
        assert stream.state == stream.response.state == "pending"
        await anext(stream)
        await soon(lambda: provider.closed == 1)
        assert (stream.state, stream.response.state) == ("streaming", "finished")
        await anext(stream)
        assert stream.state == "streaming"
        assert (await anext(stream)).is_final
        assert stream.state == "finished"


async def test_rule_08_a_stream_that_waits_for_its_slot_is_queued() -> None:
    async with session(Scripted(foreign.A, HANG, max_requests=1)) as provider:
        holder, waiter = provider.chat_stream(MESSAGES), provider.chat_stream(MESSAGES)
        await anext(holder)
        async with create_task_group() as tasks:
            tasks.start_soon(anext, waiter)
            await soon(lambda: waiter.state == "queued")
            assert waiter.response.attempts == ()
            await holder.aclose()
        assert (holder.state, waiter.state) == ("closed", "streaming")
        await waiter.aclose()


async def test_rule_08_a_stream_left_early_is_closed_although_all_had_come() -> None:
    provider = Scripted(foreign.A, foreign.B, foreign.FINISH, foreign.DONE)
    async with session(provider), provider.chat_stream(MESSAGES) as stream:
        async for _ in stream:
            break
        await soon(lambda: provider.closed == 1)
    assert (stream.state, stream.response.state) == ("closed", "finished")


async def test_rule_08_the_body_of_the_block_that_fails_closes_the_stream() -> None:
    async with session(Scripted(foreign.A, HANG)) as provider:
        with pytest.raises(ZeroDivisionError):
            async with provider.chat_stream(MESSAGES, GenerationConfig()) as stream:
                await anext(stream)
                raise ZeroDivisionError
        assert stream.state == stream.response.state == "closed"
        stream.raise_for_interruption()


async def test_rule_08_a_refusal_is_failed_once_it_was_raised() -> None:
    async with session(Scripted(ConnectionFailedError("no"))) as provider:
        stream = provider.chat_stream(MESSAGES)
        with pytest.raises(ConnectionFailedError):
            await anext(stream)
        assert stream.state == stream.response.state == "failed"


async def test_rule_04_the_interruption_is_the_error_that_is_raised(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, Fault.FIN))) as provider:
        stream = provider.chat_stream(MESSAGES)
        await drain(stream)
        seen = stream.interruption
        with pytest.raises(StreamInterruptedError) as raised:
            stream.raise_for_interruption()
        with pytest.raises(StreamInterruptedError) as collected:
            await stream.collect()
        assert raised.value is seen
        assert collected.value is stream.interruption is seen
