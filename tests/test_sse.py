"""What a browser is sent: literal bytes, no vendor's word in an error, an end that is always the last event."""

from __future__ import annotations

import json

import httpx
import httpx_sse
import pytest

from headrace import AIMessage, AIStreamChunk, ChatStream, sse
from headrace.errors import HeadraceError, RateLimitError, ServerError, StreamTimeoutError
from headrace.testing import assert_idle

from .leaks import soon
from .streaming.foreign import DONE, FINISH, HANG, A, B, Scripted

HI = [AIMessage("user", "hi")]
RETRY = b"retry: 2147483647\n\n"
SECRET = "org-4711 at 10.0.0.7"
NEW_LINES = AIStreamChunk("a\r\nb\n\nc\u2028d")
THOUGHT = AIStreamChunk("", reasoning="hm")


async def sent(stream: ChatStream, **options: bool) -> list[bytes]:
    async with sse.encode(stream, **options) as events:
        return [event async for event in events]


async def test_a_finished_stream() -> None:
    async with Scripted(THOUGHT, NEW_LINES, FINISH, DONE) as provider:
        assert await sent(provider.chat_stream(HI)) == [
            RETRY,
            b'id: 1\ndata: {"content":"","reasoning":"hm"}\n\n',
            b'id: 2\ndata: {"content":"a\\r\\nb\\n\\nc\xe2\x80\xa8d"}\n\n',
            b'event: end\nid: 3\ndata: {"finish_reason":"stop","usage":null}\n\n',
        ]


async def test_a_chunk_with_nothing_for_the_page_is_passed_over() -> None:
    """Such as the signature of a thought, or a source that is cited."""
    silent = AIStreamChunk("", extra=({"type": "thinking", "signature": "Eo4D"},))
    async with Scripted(THOUGHT, silent, silent, A, silent, FINISH, DONE) as provider:
        got = await sent(provider.chat_stream(HI))
    assert [event.splitlines()[0] for event in got] == [b"retry: 2147483647", b"id: 1", b"id: 2", b"event: end"]


async def test_a_cut_is_told_by_type_and_a_fixed_sentence() -> None:
    async with Scripted(A, B, ServerError(SECRET, provider="x", retry_after=7.0)) as provider:
        assert (await sent(provider.chat_stream(HI)))[3:] == [
            b'event: interrupted\nid: 3\ndata: {"marker":"\\n\\n[Response interrupted]","type":"ServerError",'
            b'"message":"The model\'s server failed.","retry_after":7.0}\n\n',
            b'event: end\nid: 4\ndata: {"finish_reason":null,"usage":null}\n\n',
        ]


async def test_a_failure_before_the_first_content_is_told_too() -> None:
    async with Scripted(RateLimitError(SECRET, retry_after=2.5)) as provider:
        assert await sent(provider.chat_stream(HI)) == [
            RETRY,
            b'event: failed\nid: 1\ndata: {"type":"RateLimitError",'
            b'"message":"Too many requests for now. Please try again later.","retry_after":2.5}\n\n',
            b'event: end\nid: 2\ndata: {"finish_reason":null,"usage":null}\n\n',
        ]


@pytest.mark.parametrize("steps", [(ServerError(SECRET),), (A, ServerError(SECRET))], ids=["before", "after"])
async def test_the_vendors_words_go_out_on_request_only(steps: tuple[AIStreamChunk | Exception, ...]) -> None:
    async with Scripted(*steps) as provider:
        assert SECRET.encode() not in b"".join(await sent(provider.chat_stream(HI)))
        assert SECRET.encode() in b"".join(await sent(provider.chat_stream(HI), details=True))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(StreamTimeoutError, "The model took too long.", id="the nearer class first"),
        pytest.param(HeadraceError, "The answer could not be completed.", id="none fits"),
    ],
)
def test_every_error_has_a_sentence(kind: type[Exception], words: str) -> None:
    assert sse.sentence(kind) == words


async def test_leaving_closes_the_vendors_response() -> None:
    async with Scripted(A, HANG) as provider:
        async with sse.encode(provider.chat_stream(HI)) as events:
            assert [await anext(events), await anext(events)] == [RETRY, b'id: 1\ndata: {"content":"a"}\n\n']
        await soon(lambda: provider.closed == 1)
        await assert_idle(provider)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_an_independent_client_reads_it() -> None:
    async with Scripted(A, B, FINISH, DONE) as provider:
        body = b"".join(await sent(provider.chat_stream(HI)))
    source = httpx_sse.EventSource(httpx.Response(200, headers=sse.HEADERS, content=body))
    events = [event for event in source.iter_sse() if event.data]  # a block without data is none for a browser
    assert [(event.event, event.id) for event in events] == [("message", "1"), ("message", "2"), ("end", "3")]
    assert [json.loads(event.data).get("content") for event in events] == ["a", "b", None]


async def test_a_part_of_a_split_stream_is_a_source() -> None:
    async with Scripted(A, FINISH, DONE) as provider:
        one, other = provider.chat_stream(HI).split(2)
        async with sse.encode(one) as first, sse.encode(other) as second:
            assert [event async for event in first] == [event async for event in second]
