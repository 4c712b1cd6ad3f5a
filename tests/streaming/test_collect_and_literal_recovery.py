"""Rules 14 and 15, and rule 4 in its literal form: `_stream_with_recovery` over any iterator, on any provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Self

import pytest
from anyio import ClosedResourceError, get_cancelled_exc_class, move_on_after, sleep_forever

from headrace import AIStreamChunk, StreamInterruptedError
from headrace.errors import RateLimitError, ServerError, TruncatedStreamError, UndecodableEventError

from ..leaks import session, soon
from ..rawserver import RawServer
from . import foreign
from .conftest import Make
from .foreign import HANG, Scripted
from .words import BROKEN, DONE, FINISH, MESSAGES, ROLE, USAGE, A, B, C, drain, text, word

pytestmark = pytest.mark.usefixtures("leak_check")

# ---------------------------------------------------------------- 4: the literal form


class Source:
    """Any async iterator: not a generator, not ours."""

    def __init__(self, *steps: AIStreamChunk | BaseException) -> None:
        self.steps = list(steps)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AIStreamChunk:
        if not self.steps:
            raise StopAsyncIteration
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step


@pytest.mark.parametrize(
    "error", [OSError("gone"), ServerError("boom"), TimeoutError("late")], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("words", ["", "ab"], ids=["before the first chunk", "after content"])
async def test_rule_04_literally_any_exception_is_the_marker_chunk_and_then_the_error(
    words: str, error: Exception
) -> None:
    provider = Scripted()  # never entered
    stream = provider._stream_with_recovery(Source(*map(AIStreamChunk, words), error), interrupt_marker="!")
    got: list[AIStreamChunk] = []
    with pytest.raises(StreamInterruptedError) as caught:
        async for chunk in stream:
            got.append(chunk)
    *chunks, last = got
    assert text(chunks) == words
    assert (last.content, last.is_final, last.is_marker) == ("!", True, True)
    assert last.error is not None
    assert last.error["type"] == type(error).__name__
    assert last.error["message"] == str(error)
    assert last.error["partial_content_length"] == len(words)
    assert (caught.value.partial_content, caught.value.cause) == (words, error)
    assert caught.value.__cause__ is error
    with pytest.raises(StreamInterruptedError) as again:
        await anext(stream)
    assert again.value is caught.value


async def test_rule_04_literally_the_marker_is_the_providers_unless_one_is_given() -> None:
    for provider, marker in ((Scripted(), "\n\n[Response interrupted]"), (Scripted(marker="<cut>"), "<cut>")):
        assert (await anext(provider._stream_with_recovery(Source(OSError())))).content == marker


async def test_rule_04_literally_chunks_pass_through_unchanged() -> None:
    chunks = [AIStreamChunk("a"), AIStreamChunk(""), AIStreamChunk("b", True, finish_reason="stop")]
    got = await drain(Scripted()._stream_with_recovery(Source(*chunks)))
    assert len(got) == 3
    assert all(one is other for one, other in zip(got, chunks, strict=True))


async def test_rule_04_literally_a_marker_that_passes_is_no_word_of_the_models() -> None:
    inner = Scripted()._stream_with_recovery(Source(AIStreamChunk("a"), OSError()))
    stream = Scripted()._stream_with_recovery(inner)
    assert [(await anext(stream)).content for _ in range(2)] == ["a", "\n\n[Response interrupted]"]
    assert (await anext(stream)).is_marker
    with pytest.raises(StreamInterruptedError) as caught:
        await anext(stream)
    assert caught.value.partial_content == "a"


async def test_rule_13_literally_leaving_closes_the_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[AIStreamChunk]:
        try:
            yield AIStreamChunk("a")
            yield AIStreamChunk("b")
        finally:
            closed.append(True)

    async with aclosing(Scripted()._stream_with_recovery(source())) as stream:
        async for _ in stream:
            break
    assert closed
    with pytest.raises(ClosedResourceError):  # not the quiet end of one that was read to its end, and no marker
        await anext(stream)
    await stream.aclose()
    await Scripted()._stream_with_recovery(Source()).aclose()  # a source that cannot be closed


async def test_rule_09_literally_a_cancellation_passes() -> None:
    class Waits(Source):
        async def __anext__(self) -> AIStreamChunk:
            await sleep_forever()
            raise AssertionError

    passed: list[bool] = []
    with move_on_after(0.01) as scope:
        try:
            await anext(Scripted()._stream_with_recovery(Waits()))
        except get_cancelled_exc_class():
            passed.append(True)
            raise
    assert scope.cancelled_caught
    assert passed


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_rule_09_literally_an_exit_passes(kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        await anext(Scripted()._stream_with_recovery(Source(kind())))


# ---------------------------------------------------------------- 14: what cannot be decoded


async def test_rule_14_an_event_that_cannot_be_decoded_is_an_interruption(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, BROKEN, B, FINISH, DONE))) as provider:
        stream = provider.chat_stream(MESSAGES)
        assert [chunk.content for chunk in await drain(stream)] == ["a", "\n\n[Response interrupted]"]
        assert stream.interruption is not None
        assert type(stream.interruption.cause) is UndecodableEventError
        assert "{nope" in str(stream.interruption)


async def test_rule_14_what_stood_before_a_bad_byte_is_delivered_first(server: RawServer, make: Make) -> None:
    """In one read: two whole events, then the bad byte."""
    async with session(
        make(server.play(A + B + b'data: {"choices":[{"delta":{"content":"\xc3\x28"}}]}\n\n' + C))
    ) as provider:
        stream = provider.chat_stream(MESSAGES)
        assert text(await drain(stream)) == "ab" == stream.partial_content
        assert stream.interruption is not None
        assert type(stream.interruption.cause) is UndecodableEventError
        assert "invalid UTF-8" in str(stream.interruption)


async def test_rule_14_a_character_in_two_reads_is_one_character(server: RawServer, make: Make) -> None:
    event = word("é€😀")
    at = event.index("😀".encode()) + 2
    async with session(make(server.play(event[:at], event[at:], FINISH, DONE))) as provider:
        assert (await provider.chat_stream(MESSAGES).collect()).content == "é€😀"


async def test_rule_14_event_types_that_are_unknown_are_skipped(server: RawServer, make: Make) -> None:
    unknown = b'event: weather\ndata: {"object":"weather.report"}\n\n'
    async with session(make(server.play(unknown, A, unknown, B, C, FINISH, unknown, DONE))) as provider:
        assert (await provider.chat_stream(MESSAGES).collect()).content == "abc"


async def test_rule_14_content_that_is_unknown_is_handed_on() -> None:
    citation = AIStreamChunk("", extra=({"type": "citation"},))
    async with session(Scripted(citation, foreign.A, citation, foreign.FINISH)) as provider:
        first, second, last = await drain(provider.chat_stream(MESSAGES))
    assert (first.content, first.extra) == ("a", ({"type": "citation"},))
    assert (second.content, second.extra) == ("", ({"type": "citation"},))
    assert last.is_final


# ---------------------------------------------------------------- 15: collect


async def test_rule_15_collect_returns_the_whole_response_and_repeats_it(server: RawServer, make: Make) -> None:
    async with session(make(server.play(ROLE, A, B, C, FINISH, USAGE, DONE))) as provider:
        stream = provider.chat_stream(MESSAGES)
        with pytest.raises(RuntimeError, match="not been read to its end"):
            stream.raise_for_interruption()
        assert (await anext(stream)).content == "a"
        await soon(lambda: stream.response.state == "finished")
        with pytest.raises(RuntimeError, match="not been read to its end"):
            stream.raise_for_interruption()  # the end is here, but nobody was told
        whole = await stream.collect()
        assert (whole.content, whole.finish_reason, whole.state) == ("abc", "stop", "finished")
        assert whole.usage is not None
        assert (whole.usage["total_tokens"], whole.usage["source"]) == (7, "reported")
        assert await stream.collect() == whole
        stream.raise_for_interruption()


async def test_rule_15_collect_raises_the_cut_each_time_with_all_that_came(caplog: pytest.LogCaptureFixture) -> None:
    async with session(Scripted(foreign.A, foreign.B, TruncatedStreamError("cut"))) as provider:
        stream = provider.chat_stream(MESSAGES)
        for _ in range(3):
            with pytest.raises(StreamInterruptedError) as caught:
                await stream.collect()
            assert caught.value.partial_content == "ab"
            assert caught.value.response is not None
            assert caught.value.response.content == "ab"
    assert not caplog.records, "what is raised is not logged"


async def test_rule_15_what_was_refused_is_raised_by_collect_and_chat() -> None:
    async with session(Scripted(RateLimitError("slow down"))) as provider:
        with pytest.raises(RateLimitError, match="slow down"):
            await provider.chat_stream(MESSAGES).collect()
        with pytest.raises(RateLimitError, match="slow down"):
            await provider.chat(MESSAGES)


@pytest.mark.parametrize("how", ["unconfirmed", "closed", "cancelled"])
async def test_rule_15_raise_for_interruption_passes_what_is_no_cut(how: str) -> None:
    last = (foreign.DONE,) if how == "unconfirmed" else (HANG,)
    async with session(Scripted(foreign.A, *last)) as provider:
        stream = provider.chat_stream(MESSAGES)
        await anext(stream)
        if how == "unconfirmed":
            assert (await stream.collect()).state == "unconfirmed"
        elif how == "closed":
            await stream.aclose()
        else:
            with move_on_after(0.01):
                await anext(stream)
        assert stream.state == how
        stream.raise_for_interruption()


async def test_rule_15_collect_of_a_stream_that_was_left_raises() -> None:
    async with session(Scripted(foreign.A, HANG)) as provider:
        stream = provider.chat_stream(MESSAGES)
        await stream.aclose()
        with pytest.raises(ClosedResourceError):
            await stream.collect()
