"""A provider of somebody else's needs one method, and its stream keeps every promise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Self

import pytest
from anyio import create_task_group

from headrace import AIMessage, AIResponse, AIStreamChunk, GenerationConfig, RateLimitInfo, StreamInterruptedError
from headrace.errors import RateLimitError, ServerError, TruncatedStreamError
from headrace.limits.pacer import Pacer
from headrace.providers.base import BaseProvider

from ..leaks import session
from .foreign import DONE, FINISH, NOTHING, A, B, Scripted
from .words import MESSAGES, drain, text

pytestmark = pytest.mark.usefixtures("leak_check")


class OnlyRaw(BaseProvider):
    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        for word in messages[-1].text.split():
            yield AIStreamChunk(word)
        yield AIStreamChunk("", finish_reason="stop")


class OnlyChat(BaseProvider):
    async def chat(self, messages: Sequence[AIMessage], config: GenerationConfig | None = None) -> AIResponse:
        return AIResponse("an answer", "mine", "small", finish_reason="length", request_id="r1", reasoning="hm")


async def test_one_generator_is_a_provider() -> None:
    async with session(OnlyRaw()) as provider:
        stream = provider.chat_stream([AIMessage("user", "hello world")])
        assert [chunk.content for chunk in await drain(stream)] == ["hello", "world", ""]
        assert stream.state == "finished"
        assert (await provider.generate("hi there")).content == "hithere"


async def test_one_chat_method_is_a_provider_that_streams() -> None:
    async with session(OnlyChat()) as provider:
        stream = provider.chat_stream(MESSAGES)
        first, last = await drain(stream)
        assert (first.content, first.reasoning, last.finish_reason) == ("an answer", "hm", "length")
        assert (stream.response.request_id, stream.response.model, stream.state) == ("r1", "small", "finished")


async def test_a_provider_with_neither_says_so() -> None:
    async with session(BaseProvider()) as provider:
        with pytest.raises(TypeError, match="neither _raw_chat_stream"):
            await provider.chat_stream(MESSAGES).collect()


class Words(BaseProvider):
    name = "mine"

    async def _raw_chat_stream(self, messages, config=None):
        yield "a word"


class NotAsync(BaseProvider):
    name = "mine"

    def _raw_chat_stream(self, messages, config=None):
        yield AIStreamChunk("a word")


class ChatsWords(BaseProvider):
    async def chat(self, messages, config=None):
        return "a word"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Words, r"^mine: _raw_chat_stream\(\) gives str: it must be an `async def` that yields AIStreamChunk$"),
        (NotAsync, r"^mine: _raw_chat_stream\(\) gives generator: "),
        (ChatsWords, r"^ChatsWords.chat\(\) gives str: it must be AIResponse$"),
    ],
)
async def test_a_provider_that_gives_something_else_is_told_what(made: type[BaseProvider], told: str) -> None:
    async with session(made()) as provider:
        with pytest.raises(TypeError, match=told):
            await provider.chat_stream(MESSAGES).collect()


async def test_a_generator_that_raises_is_cut_after_content_and_failed_before() -> None:
    async with session(Scripted(A, KeyError("theirs"))) as provider:
        stream = provider.chat_stream(MESSAGES)
        assert [chunk.is_marker for chunk in await drain(stream)] == [False, True]
        with pytest.raises(StreamInterruptedError) as caught:
            stream.raise_for_interruption()
        assert isinstance(caught.value.cause, KeyError)
    async with session(Scripted(KeyError("theirs"))) as provider:
        with pytest.raises(KeyError, match="theirs"):
            await provider.chat_stream(MESSAGES).collect()


async def test_a_generator_that_ends_without_a_finish_reason_was_cut() -> None:
    async with session(Scripted(A, B)) as provider:
        stream = provider.chat_stream(MESSAGES)
        got = await drain(stream)
        assert (text(got), got[-1].is_marker, stream.state) == ("ab", True, "interrupted")
    async with session(Scripted()) as provider:
        with pytest.raises(TruncatedStreamError, match="ended after 0 characters without a finish reason"):
            await provider.chat_stream(MESSAGES).collect()


async def test_what_has_no_field_waits_for_the_first_content() -> None:
    extra = AIStreamChunk("", extra=({"source": "web"},))
    async with session(Scripted(NOTHING, extra, extra, A, FINISH)) as provider:
        first, last = await drain(provider.chat_stream(MESSAGES))
        assert (first.content, first.extra) == ("a", ({"source": "web"}, {"source": "web"}))
        assert last.extra == ()


async def test_a_stream_may_be_any_async_iterator() -> None:
    class Steps:
        def __init__(self) -> None:
            self.left = [replace(A), replace(FINISH), replace(DONE)]

        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> AIStreamChunk:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    class Odd(BaseProvider):
        def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
            return Steps()

    async with session(Odd()) as provider:
        assert (await provider.chat_stream(MESSAGES).collect()).content == "a"


async def test_the_generator_is_closed_in_the_task_that_ran_it() -> None:
    """A task group inside it, around no yield, is allowed: it is entered and left in one task."""

    class Grouped(BaseProvider):
        async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
            got: list[str] = []

            async def fetch(part: str) -> None:
                got.append(part)

            async with create_task_group() as tasks:
                tasks.start_soon(fetch, "a")
            yield AIStreamChunk(got[0])
            yield AIStreamChunk("", finish_reason="stop")

    async with session(Grouped()) as provider:
        assert (await provider.chat_stream(MESSAGES).collect()).content == "a"
        async for _ in provider.chat_stream(MESSAGES):
            break


async def test_a_provider_that_skips_the_base_initialiser_works() -> None:
    class Careless(OnlyRaw):
        def __init__(self) -> None:
            self.anything = 1

    async with session(Careless()) as provider:
        assert (await provider.generate("hi")).content == "hi"


async def test_rule_06_a_chunk_may_come_again_in_every_stream() -> None:
    """What a raw stream hands over may be a constant of its module: a stream takes from it and leaves it as it was."""
    early = AIStreamChunk("", extra=({"source": "web"},))
    last = AIStreamChunk("b", True, finish_reason="stop", rate_limit=RateLimitInfo(10, 5))

    class Constant(BaseProvider):
        name = "constant"

        async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
            for chunk in (early, A, last):
                yield chunk

    async with session(Constant()) as provider:
        for _ in range(2):
            first, second, final = await drain(provider.chat_stream(MESSAGES))
            assert (first.content, first.extra) == ("a", ({"source": "web"},))
            assert (second.content, second.is_final, second.finish_reason, second.rate_limit) == (
                "b",
                False,
                None,
                None,
            )
            assert (final.finish_reason, final.rate_limit) == ("stop", RateLimitInfo(10, 5))
    assert (A, early.extra) == (AIStreamChunk("a"), ({"source": "web"},))


class Relay(BaseProvider):
    """Asks another, and hands on what comes."""

    name = "relay"

    def __init__(self, behind: BaseProvider) -> None:
        super().__init__()
        self.behind = behind

    async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
        async for chunk in self.behind.chat_stream(messages, config):
            yield chunk


async def test_rule_04_a_marker_that_is_handed_on_is_a_cut_and_no_words() -> None:
    cut = ServerError("the far end fell over", provider="foreign", retry_after=7.0)
    async with Scripted(A, B, cut) as behind, session(Relay(behind)) as provider:
        stream = provider.chat_stream(MESSAGES)
        *chunks, last = await drain(stream)
        assert (text(chunks), last.is_marker, stream.state) == ("ab", True, "interrupted")
        assert (stream.partial_content, stream.response.to_message().text) == ("ab", "ab")
        assert last.error is not None
        assert last.error["message"] == "ServerError: the far end fell over"
        assert (last.error["provider"], last.error["retry_after"], last.error["retryable"]) == ("foreign", 7.0, True)
    async with Scripted(A, B, FINISH) as behind, session(Relay(behind)) as provider:
        assert (await provider.chat(MESSAGES)).state == "finished"


async def test_a_refusal_was_sent_although_its_source_does_not_tell_of_sending() -> None:
    """One with an HTTP stack of its own: what it raises is all that is known of the request."""
    refused = RateLimitError("slow down", status=429, retry_after=0.1)
    pacer = Pacer()
    async with session(Scripted(refused, limits=pacer)) as provider:
        with pytest.raises(RateLimitError):
            await provider.chat(MESSAGES)
        assert pacer.snapshot()[0].blocked > 0
    pacer = Pacer()
    unsent = RateLimitError("later", retry_after=0.1, source="pacer", sent=False)  # of a provider behind this one
    async with session(Scripted(unsent, limits=pacer)) as provider:
        with pytest.raises(RateLimitError):
            await provider.chat(MESSAGES)
        assert pacer.snapshot()[0].blocked == 0
