"""Rule 11, in virtual time: each deadline falls when it must, says its name, and blames nobody but the vendor."""

from __future__ import annotations

import pickle

import pytest
from anyio import create_task_group, current_time, sleep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace import Deadlines, GenerationConfig
from headrace.errors import HeadraceError, ServerError, StreamTimeoutError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.base import BaseProvider
from headrace.providers.openai import OpenAIProvider
from headrace.streaming.pump import AHEAD

from ..leaks import session
from . import words
from .foreign import DONE, FINISH, HANG, NOTHING, A, B, C, Scripted, Step
from .transport import Piece, client
from .words import MESSAGES, PING, drain, text

pytestmark = [pytest.mark.virtual, pytest.mark.usefixtures("leak_check")]


async def lateness(
    provider: BaseProvider, *, config: GenerationConfig | None = None
) -> tuple[StreamTimeoutError, float]:
    """The timeout that ends the provider's stream, and after how many seconds it came."""
    async with session(provider):
        stream, began = provider.chat_stream(MESSAGES, config), current_time()
        try:
            await drain(stream)
        except StreamTimeoutError as exc:
            return exc, current_time() - began
        assert stream.interruption is not None
        assert isinstance(stream.interruption.cause, StreamTimeoutError)
        return stream.interruption.cause, current_time() - began


PINGS: list[Step] = [step for _ in range(50) for step in (30.0, NOTHING)]
LATE: dict[str, tuple[list[Step], Deadlines, str, float]] = {  # the name of the deadline, and when it falls
    "first_chunk": ([HANG], Deadlines(first_chunk=100), "first_chunk", 100),
    "first_chunk, pinged": ([*PINGS, HANG], Deadlines(first_chunk=100, idle=60), "first_chunk", 100),
    "first_chunk, below a second": ([HANG], Deadlines(first_chunk=0.8), "first_chunk", 0.8),
    "next_chunk": ([10.0, A, HANG], Deadlines(next_chunk=100), "next_chunk", 110),
    "next_chunk, pinged": ([10.0, A, *PINGS, HANG], Deadlines(next_chunk=100, idle=60), "next_chunk", 110),
    "next_chunk counts anew": ([A, 90.0, B, 90.0, C, HANG], Deadlines(next_chunk=100), "next_chunk", 280),
    "idle": ([A, 20.0, B, HANG], Deadlines(idle=40), "idle", 60),
    "idle before content": ([5.0, NOTHING, HANG], Deadlines(idle=40), "idle", 45),
    "idle after pings": ([A, 39.0, NOTHING, 39.0, NOTHING, HANG], Deadlines(idle=40), "idle", 118),
    "total": ([step for _ in range(50) for step in (10.0, A)], Deadlines(total=95), "total", 95),
    "the defaults": ([*PINGS, HANG], Deadlines(), "first_chunk", 600),
    "the defaults, silence": ([A, HANG], Deadlines(), "idle", 300),
}


@pytest.mark.parametrize("case", LATE)
async def test_rule_11_each_deadline_falls_in_time_and_says_its_name(case: str) -> None:
    steps, deadlines, kind, due = LATE[case]
    late, seconds = await lateness(Scripted(*steps, deadlines=deadlines))
    span = getattr(deadlines, kind)
    assert (late.kind, late.seconds, late.provider) == (kind, span, "foreign")
    assert due <= seconds <= due + min(0.5, span / 8) + 1e-6
    assert isinstance(late, TimeoutError)
    assert f"(deadline {kind!r})" in str(late)
    assert f" {span:g} s" in str(late)
    again = pickle.loads(pickle.dumps(late))
    assert (again.kind, again.seconds, str(again)) == (late.kind, late.seconds, str(late))


BYTES: dict[str, tuple[list[Piece], Deadlines, str, float]] = {
    "any byte is a sign of life": ([*(30.0, PING) * 9, HANG], Deadlines(idle=40), "idle", 310),
    "half a ping is one": ([*(30.0, b":", 30.0, b" x\n") * 3, HANG], Deadlines(idle=40), "idle", 220),
    "pings are no content": ([*(30.0, PING) * 90, HANG], Deadlines(first_chunk=100), "first_chunk", 100),
    "nor are empty words": ([words.A, *(30.0, words.ROLE) * 90], Deadlines(next_chunk=100), "next_chunk", 100),
}


@pytest.mark.parametrize("case", BYTES)
async def test_rule_11_on_the_wire_any_byte_counts_against_silence_and_only_content_as_content(case: str) -> None:
    pieces, deadlines, kind, due = BYTES[case]
    late, seconds = await lateness(OpenAIProvider("k", http_client=client(pieces), deadlines=deadlines))
    assert late.kind == kind
    assert due <= seconds <= due + 0.5


async def test_rule_11_the_deadlines_of_a_call_stand_in_for_the_providers() -> None:
    config = GenerationConfig(deadlines=Deadlines(first_chunk=8))
    late, seconds = await lateness(Scripted(HANG, deadlines=Deadlines(first_chunk=80)), config=config)
    assert (late.kind, late.seconds) == ("first_chunk", 8)
    assert 8 <= seconds <= 8.5


async def test_rule_11_a_slow_consumer_is_never_blamed() -> None:
    deadlines = Deadlines(first_chunk=1, next_chunk=1, idle=1, total=1)
    async with session(Scripted(*[A] * (3 * AHEAD), FINISH, DONE, deadlines=deadlines)) as provider:
        stream = provider.chat_stream(MESSAGES)
        async for _ in stream:
            await sleep(100)
        assert (stream.state, stream.partial_content) == ("finished", "a" * 3 * AHEAD)


async def test_rule_11_the_vendor_is_blamed_for_its_own_time_only() -> None:
    """30 s of the vendor's before the wait for the consumer and 30 s after it are 60 s, whatever was between."""
    steps: list[Step] = [30.0, *[A] * AHEAD, 30.0, B, HANG]
    async with session(Scripted(*steps, deadlines=Deadlines(total=80, next_chunk=1000, idle=1000))) as provider:
        stream = provider.chat_stream(MESSAGES)
        await anext(stream)
        await sleep(500)
        began = current_time()
        got = await drain(stream)
        assert got[-1].is_marker
        assert text(got) == "a" * (AHEAD - 1) + "b"
        assert 50 <= current_time() - began <= 50.5
        assert stream.interruption is not None
        assert "'total'" in str(stream.interruption.cause)


async def test_rule_11_waiting_for_a_slot_does_not_count() -> None:
    deadlines = Deadlines(first_chunk=10, next_chunk=1000, idle=1000)
    provider = Scripted(
        5.0,
        A,
        500.0,
        FINISH,
        DONE,
        max_requests=1,
        limits=RateLimitPolicy(pace=False, max_wait=1000),
        deadlines=deadlines,
    )
    async with session(provider), create_task_group() as tasks:
        first, second = provider.chat_stream(MESSAGES), provider.chat_stream(MESSAGES)
        tasks.start_soon(drain, first)
        await sleep(1)
        began = current_time()
        await drain(second)
        assert current_time() - began == pytest.approx(504 + 505)
        assert first.state == second.state == "finished"


# ---------------------------------------------------------------- the tail


async def test_rule_07_the_tail_has_a_quarter_of_a_second() -> None:
    async with session(Scripted(A, FINISH, HANG)) as provider:
        stream, began = provider.chat_stream(MESSAGES), current_time()
        await drain(stream)
        assert 0.25 <= current_time() - began <= 0.25 * 9 / 8 + 1e-6
        assert stream.state == "finished"


async def test_rule_07_content_after_the_proof_restarts_the_tail_and_nothing_else_does() -> None:
    async with session(Scripted(A, FINISH, 0.2, B, 0.2, C, *(0.1, NOTHING) * 9, A)) as provider:
        stream = provider.chat_stream(MESSAGES)
        assert text(await drain(stream)) == "abc"
        assert stream.state == "finished"


@pytest.mark.parametrize("deadlines", [Deadlines(total=10.1), Deadlines(idle=10.1)], ids=["total", "idle"])
async def test_rule_07_after_the_proof_a_deadline_is_the_usual_end(deadlines: Deadlines) -> None:
    async with session(Scripted(A, 10.0, FINISH, HANG, deadlines=deadlines)) as provider:
        stream = provider.chat_stream(MESSAGES)
        await drain(stream)
        assert stream.state == "finished"


async def test_rule_03_the_body_of_a_refusal_has_two_seconds() -> None:
    pieces: list[Piece] = [b'{"error":{"message":"no cap', 1.0, b"acity", HANG]
    provider = OpenAIProvider("k", http_client=client(pieces, status=500), deadlines=Deadlines(first_chunk=1))
    async with session(provider):
        began = current_time()
        with pytest.raises(ServerError, match="500"):
            await provider.chat_stream(MESSAGES).collect()
        assert current_time() - began == pytest.approx(2.0)


async def test_rule_03_the_body_of_a_refusal_has_64_k_characters() -> None:
    provider = OpenAIProvider("k", http_client=client([b"x" * 60_000] * 50_000, status=500))
    async with session(provider):
        with pytest.raises(ServerError) as caught:
            await provider.chat_stream(MESSAGES).collect()
        assert len(str(caught.value)) < 70_000


# ---------------------------------------------------------------- any timing

EVENTS = st.lists(
    st.tuples(st.integers(1, 30), st.booleans()), max_size=12
)  # seconds of silence, then a word or a ping
SPANS = st.tuples(st.integers(2, 60), st.integers(2, 60), st.integers(2, 60), st.none() | st.integers(2, 120))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS, SPANS)
async def test_rule_11_a_deadline_is_never_early_and_hardly_late(
    events: list[tuple[int, bool]], spans: tuple[int, int, int, int | None]
) -> None:
    first, following, idle, total = spans
    now, heard, content, begun, due = 0, 0, 0, False, 0
    for silence, is_word in [*events, (10_000, False)]:
        due = min(content + (following if begun else first), heard + idle, total or 10_000)
        if now + silence > due:
            break
        now = heard = now + silence
        if is_word:
            content, begun = now, True
    deadlines = Deadlines(first_chunk=first, next_chunk=following, idle=idle, total=total)
    steps = [step for silence, is_word in events for step in (float(silence), A if is_word else NOTHING)]
    provider = Scripted(*steps, HANG, deadlines=deadlines)
    async with session(provider):
        stream, began = provider.chat_stream(MESSAGES), current_time()
        cause: Exception | None = None
        try:
            await drain(stream)
            cause = stream.interruption and stream.interruption.cause
        except HeadraceError as exc:
            cause = exc
        assert isinstance(cause, StreamTimeoutError)
        # An event at the very second of a deadline, or within its slack, may still be heard.
        assert current_time() - began >= due
        if not any(due <= sum(s for s, _ in events[: i + 1]) <= due + 0.5 for i in range(len(events))):
            assert current_time() - began <= due + min(0.5, cause.seconds / 8) + 1e-6
            assert len(stream.partial_content) == sum(
                is_word for i, (_, is_word) in enumerate(events) if sum(s for s, _ in events[: i + 1]) < due
            )
