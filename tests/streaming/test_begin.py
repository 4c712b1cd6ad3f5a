"""Rules 1 to 3: who hosts a stream, when it is sent, and how it fails before its first content."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextvars import ContextVar

import pytest
from anyio import create_task_group, current_effective_deadline, move_on_after, sleep

from headrace import AIStreamChunk, ChatStream, Deadlines, HeadraceError
from headrace.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    RateLimitError,
    RedirectError,
    ServerError,
    StreamTimeoutError,
    TruncatedStreamError,
    UndecodableEventError,
    UnexpectedResponseError,
)
from headrace.testing import assert_idle

from ..leaks import session
from ..rawserver import Fault, RawServer, Step
from .conftest import Make
from .foreign import NOTHING, Scripted
from .words import BROKEN, DONE, ERROR, FINISH, MESSAGES, PING, ROLE, USAGE, A, B, C, drain, text, word

pytestmark = pytest.mark.usefixtures("leak_check")


# ---------------------------------------------------------------- 1: one host


async def test_rule_01_an_open_provider_hosts_its_streams(server: RawServer, make: Make) -> None:
    async with session(make(server.play(ROLE, A, B, C, FINISH, USAGE, DONE))) as provider:
        assert text(await drain(provider.chat_stream(MESSAGES))) == "abc"


async def test_rule_01_a_stream_of_an_open_provider_may_be_entered_too(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, FINISH, DONE))) as provider:
        async with provider.chat_stream(MESSAGES) as stream:
            assert text(await drain(stream)) == "abc"
        async with provider.chat_stream(MESSAGES) as stream:
            assert text(await drain(stream)) == "abc"


async def test_rule_01_a_stream_of_a_provider_that_was_not_entered_opens_a_private_session(
    server: RawServer, make: Make
) -> None:
    provider = make(server.play(A, B, C, FINISH, DONE))
    async with provider.chat_stream(MESSAGES) as stream:
        assert text(await drain(stream)) == "abc"
        await assert_idle(stream)
    with pytest.raises(RuntimeError, match="async with"):
        await anext(provider.chat_stream(MESSAGES))


async def test_rule_01_chat_and_generate_open_a_private_session_each(server: RawServer, make: Make) -> None:
    provider = make(server.play(A, B, C, FINISH, DONE))
    assert (await provider.chat(MESSAGES)).content == "abc"
    assert (await provider.generate("hi")).content == "abc"


async def test_rule_01_without_a_host_the_error_names_the_missing_block() -> None:
    stream = Scripted().chat_stream(MESSAGES)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="missing `async with provider:`"):
            await anext(stream)
    assert stream.state == "pending"
    async with stream:  # it is not spoilt
        with pytest.raises(TruncatedStreamError):
            await anext(stream)


async def test_rule_01_a_session_that_was_left_is_no_host() -> None:
    async with Scripted() as provider:
        stream = provider.chat_stream(MESSAGES)
    with pytest.raises(RuntimeError, match="async with"):
        await anext(stream)


async def test_rule_01_any_task_may_enter_read_and_leave(server: RawServer, make: Make) -> None:
    async with session(make(server.play(A, B, C, Fault.HANG))) as provider:
        stream, got = provider.chat_stream(MESSAGES), list[str]()

        async def enter() -> None:
            await stream.__aenter__()

        async def read() -> None:
            got.append((await anext(stream)).content)

        async def leave() -> None:
            await stream.__aexit__(None, None, None)

        for step in (enter, read, read, read, leave):
            async with create_task_group() as tasks:
                tasks.start_soon(step)
        assert got == ["a", "b", "c"]
        assert stream.state == "closed"


# ---------------------------------------------------------------- 2: nothing is sent before the first read


@pytest.mark.parametrize("first", ["read", "collect"])
async def test_rule_02_nothing_is_sent_before_the_first_read(server: RawServer, make: Make, first: str) -> None:
    before = server.requests
    async with session(make(server.play(A, FINISH, DONE))) as provider, provider.chat_stream(MESSAGES) as stream:
        await sleep(0.01)
        assert server.requests == before
        assert stream.state == "pending"
        await (anext(stream) if first == "read" else stream.collect())
        assert server.requests == before + 1


PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


async def test_rule_02_deadline_and_context_are_those_of_the_first_read() -> None:
    class Curious(Scripted):
        async def _raw_chat_stream(self, messages, config=None):
            yield AIStreamChunk(PLACE.get(), finish_reason="stop")

    async with session(Curious()) as provider:
        PLACE.set("where it was made")
        with move_on_after(50):  # noqa: ASYNC100  # it must not count
            stream = provider.chat_stream(MESSAGES)
        PLACE.set("where it is read")
        with move_on_after(60):
            expected = current_effective_deadline()
            chunk = await anext(stream)
        assert chunk.content == "where it is read"
        assert stream._pump is not None
        assert stream._pump.caller_deadline == expected
        await drain(stream)


# ---------------------------------------------------------------- 3: before the first content

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
BODY = b'{"error":{"message":"no","type":"x","code":null}}'

BEFORE: dict[str, tuple[tuple[Step, ...], int, Mapping[str, str], type[Exception]]] = {
    "clean end": ((ROLE,), 200, {}, TruncatedStreamError),
    "no body": ((), 200, {}, TruncatedStreamError),
    "closed": ((ROLE, Fault.FIN), 200, {}, TruncatedStreamError),
    "reset": ((ROLE, Fault.RST), 200, {}, TruncatedStreamError),
    "error event": ((ROLE, ERROR), 200, {}, ServerError),
    "broken event": ((ROLE, BROKEN), 200, {}, UndecodableEventError),
    "broken utf-8": ((ROLE, b"data: \xff\n\n"), 200, {}, UndecodableEventError),
    "sentinel alone": ((ROLE, DONE), 200, {}, TruncatedStreamError),
    "proof, then error": ((FINISH, ERROR), 200, {}, ServerError),
    "silence": ((ROLE, Fault.HANG), 200, {}, StreamTimeoutError),
    "no head": ((Fault.NO_HEAD,), 200, {}, StreamTimeoutError),
    "429": ((BODY,), 429, JSON, RateLimitError),
    "429 as event stream": ((BODY,), 429, {}, RateLimitError),
    "500, body stalls": ((BODY[:9], Fault.HANG), 500, JSON, ServerError),
    "500, body is cut": ((BODY[:9], Fault.FIN), 500, JSON, ServerError),
    "400, body is not of its coding": ((BODY,), 400, {**JSON, "Content-Encoding": "br"}, InvalidRequestError),
    "redirect": ((b"",), 307, {"Location": "http://127.0.0.1:9/elsewhere"}, RedirectError),
    "html": ((b"<html>captive portal</html>",), 200, HTML, UnexpectedResponseError),
}


@pytest.mark.parametrize("case", BEFORE)
async def test_rule_03_a_failure_before_content_is_the_typed_error_and_no_chunk_comes(
    server: RawServer, make: Make, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace._http.CLOSE", 0.1)  # what a refusal's body gets, 2 s
    steps, status, headers, kind = BEFORE[case]
    deadlines = Deadlines(first_chunk=0.1)
    async with session(make(server.play(*steps, status=status, headers=headers), deadlines=deadlines)) as provider:
        stream = provider.chat_stream(MESSAGES)
        for _ in range(3):
            with pytest.raises(HeadraceError) as caught:
                await anext(stream)
            assert type(caught.value) is kind
        assert len(caught.traceback) < 20, "it grows with each repetition"
        assert stream.state == "failed"
        assert (stream.interruption, stream.partial_content) == (None, "")
        with pytest.raises(kind):
            await stream.collect()
        with pytest.raises(kind):
            stream.raise_for_interruption()
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), str(again)) == (kind, str(caught.value))


async def test_rule_03_a_refused_connection_is_the_typed_error(make: Make) -> None:
    async with session(make("http://127.0.0.1:9")) as provider:  # the discard port: nobody listens
        with pytest.raises(ConnectionFailedError, match=r"no answer from http://127\.0\.0\.1:9"):
            await provider.chat_stream(MESSAGES).collect()


async def test_rule_03_no_empty_chunk_precedes_the_first_content(server: RawServer, make: Make) -> None:
    script = server.play(PING, ROLE, USAGE, word(""), A, B, word(""), C, FINISH, DONE)
    async with session(make(script)) as provider:
        assert [chunk.content for chunk in await drain(provider.chat_stream(MESSAGES))] == ["a", "b", "c", ""]


CONTENT = {
    "refusal": AIStreamChunk("", refusal="no"),
    "reasoning": AIStreamChunk("", reasoning="hm"),
    "text": AIStreamChunk("a"),
}


@pytest.mark.parametrize("case", CONTENT)
async def test_rule_03_any_kind_of_content_is_a_beginning(case: str) -> None:
    async with session(Scripted(NOTHING, CONTENT[case], ConnectionFailedError("gone"))) as provider:
        stream: ChatStream = provider.chat_stream(MESSAGES)
        first, last = await drain(stream)
        assert not first.is_final
        assert last.is_marker
        assert stream.state == "interrupted"


async def test_rule_03_a_lifecycle_event_is_no_beginning() -> None:
    async with session(Scripted(NOTHING, NOTHING, ConnectionFailedError("gone"))) as provider:
        stream = provider.chat_stream(MESSAGES)
        with pytest.raises(ConnectionFailedError, match="gone"):
            await anext(stream)
        assert stream.state == "failed"
