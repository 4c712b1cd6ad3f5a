"""check_provider and check_pacer: those that keep the rules pass, and for each rule one that breaks it is told so."""

from __future__ import annotations

import math
import runpy
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from anyio import BrokenResourceError, CancelScope, Event, create_memory_object_stream, current_time, move_on_after

from headrace import AIMessage, AIResponse, AIStreamChunk, GenerationConfig, StreamInterruptedError
from headrace.errors import ConcurrencyLimitError, ProviderError, RateLimitError, UndecodableEventError
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.base import BaseProvider
from headrace.providers.compatible import CompatibleProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.ollama import OllamaProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Simulator
from headrace.streaming.stream import ChatStream
from headrace.testing import assert_idle, check_pacer, check_provider

from .leaks import nothing_left

EXAMPLE = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "own_provider.py"))
MillProvider = EXAMPLE["MillProvider"]
OTHER_FORMAT = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "own_format.py"))
Turnstile = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "own_pacer.py"))["Turnstile"]


# ---------------------------------------------------------------- providers that keep the rules


@pytest.mark.parametrize(
    ("make", "vendor"),
    [
        (lambda url: MillProvider("k", base_url=url), "openai"),
        (lambda url: OpenAIProvider("k", base_url=url), "openai"),
        (lambda url: OpenAIProvider("k", base_url=url, api="responses"), "openai"),
        (lambda url: CompatibleProvider(base_url=url, model="m", api_key="k"), "openai"),
        (lambda url: AnthropicProvider("k", base_url=url), "anthropic"),
        (lambda url: GeminiProvider("k", base_url=url), "gemini"),
        (lambda url: GrokProvider("k", base_url=url), "grok"),
        (lambda url: OllamaProvider(base_url=url), "ollama"),
    ],
    ids=["template", "openai", "responses", "compatible", "anthropic", "gemini", "grok", "ollama"],
)
async def test_a_right_provider_passes(make, vendor: str) -> None:
    async with nothing_left():
        await check_provider(make, vendor=vendor)


async def test_a_provider_of_a_format_of_its_own_passes_behind_a_translation() -> None:
    brook = OTHER_FORMAT["BrookProvider"]
    async with nothing_left(), httpx.AsyncClient(transport=OTHER_FORMAT["Simulated"]()) as client:
        await check_provider(lambda url: brook("k", base_url=url, http_client=client), vendor="ollama")
        async with Simulator() as sim:
            whole = await brook("k", base_url=sim.base_url("ollama"), http_client=client).generate("hi")
    assert (whole.finish_reason, whole.raw_finish_reason, whole.usage["source"]) == ("stop", None, "reported")
    assert whole.usage["total_tokens"] == sum(whole.usage["raw"]["counts"]) > 0


class PlainMill(BaseProvider):
    """One whose server has no streams."""

    def __init__(self, base_url: str) -> None:
        super().__init__(name="plain", model="stone-1")
        self._url = f"{base_url}/chat/completions"

    async def chat(self, messages, config: GenerationConfig | None = None) -> AIResponse:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            async with httpx.AsyncClient(headers={"authorization": "Bearer k"}) as client:
                answer = await client.post(self._url, json={"model": "stone-1", "messages": turns})
        except httpx.HTTPError as exc:
            raise ProviderError("plain: the connection broke") from exc
        if answer.status_code == 429:
            raise RateLimitError("plain: too much")
        try:
            (choice,) = answer.json()["choices"]
        except (ValueError, KeyError) as exc:
            raise UndecodableEventError("plain: this is no answer") from exc
        return AIResponse(choice["message"]["content"], "plain", "stone-1", finish_reason=choice["finish_reason"])


async def test_a_right_provider_without_streams_passes() -> None:
    async with nothing_left():
        await check_provider(PlainMill)


async def test_a_vendor_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="there is no vendor 'mill'; there are: anthropic"):
        await check_provider(lambda url: MillProvider("k", base_url=url), vendor="mill")


# ---------------------------------------------------------------- and one for each rule that breaks it


class Mill(MillProvider):
    """The right one, for others to spoil."""

    def __init__(self, url: str) -> None:
        super().__init__("k", base_url=url)

    def right(self) -> AsyncIterator[AIStreamChunk]:
        return super()._raw_chat_stream([AIMessage("user", "hi")])


class AnotherStream(Mill):
    def chat_stream(self, messages, config=None):
        return self.right()


class AsksWhetherItIsThere(Mill):
    async def is_available(self) -> bool:
        await self.generate("are you there?")
        return True


class IsNeverThere(Mill):
    def is_available(self) -> bool:
        return False


class Eager(Mill):
    def chat_stream(self, messages, config=None):
        if self._session is not None:
            self._session._tasks.start_soon(super().chat_stream(messages).collect)
        return super().chat_stream(messages)


class EagerToFail(Mill):
    def chat_stream(self, messages, config=None):
        async def ask() -> None:
            await super(EagerToFail, self).chat_stream(messages).collect()
            raise OSError("unasked, and it ends the block")

        if self._session is not None:
            self._session._tasks.start_soon(ask)
        return super().chat_stream(messages)


class NeverSaysStop(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        async for chunk in self.right():
            chunk.finish_reason = None
            yield chunk


class Shouts(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        async for chunk in self.right():
            chunk.content = chunk.content.upper()
            yield chunk


class Summarises(Mill):
    async def chat(self, messages, config: GenerationConfig | None = None) -> AIResponse:
        whole = await super().chat(messages, config)
        return AIResponse(whole.content[:10], "mill", "stone-1")


class Forgetful(Mill):
    def chat_stream(self, messages, config=None):
        class Once(ChatStream):
            done = False

            async def collect(self) -> AIResponse:
                whole = await super().collect()
                whole, self.done = AIResponse("" if self.done else whole.content, "mill", ""), True
                return whole

        return Once(super().chat_stream(messages)._plan)


class OneAtATime(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        self.current = mine = object()
        async for chunk in self.right():
            if self.current is not mine:
                return
            yield chunk


class Hoards(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        for chunk in [chunk async for chunk in self.right()]:
            yield chunk


class MarksItself(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        try:
            async for chunk in self.right():
                yield chunk
        except ProviderError as exc:
            if not isinstance(exc, RateLimitError):
                yield AIStreamChunk(" [cut]")
            raise


class TakesAnyEndForOne(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        async for chunk in self.right():
            yield chunk
        yield AIStreamChunk("", finish_reason="stop")


class NamesNoCause(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        ended = False
        async for chunk in self.right():
            ended |= chunk.finish_reason is not None
            yield chunk
        if not ended:
            raise RuntimeError("over")


class TrustsAFullStop(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        text = ""
        async for chunk in self.right():
            text += chunk.content
            yield chunk
        if text.endswith("."):
            yield AIStreamChunk("", finish_reason="stop")


class SkipsWhatItCannotRead(Mill):
    def _chunk(self, data: str) -> AIStreamChunk:
        try:
            return super()._chunk(data)
        except UndecodableEventError:
            return AIStreamChunk("")


class TellsErrorsAsText(Mill):
    def _chunk(self, data: str) -> AIStreamChunk:
        try:
            return super()._chunk(data)
        except UndecodableEventError:
            raise
        except ProviderError as exc:
            return AIStreamChunk(str(exc), finish_reason="stop")


class ChatForgets(Mill):
    async def chat(self, messages, config=None) -> AIResponse:
        try:
            return await super().chat(messages, config)
        except StreamInterruptedError:
            raise ProviderError("mill: it did not work") from None


class ChatIsContent(Mill):
    async def chat(self, messages, config=None) -> AIResponse:
        try:
            return await super().chat(messages, config)
        except StreamInterruptedError as exc:
            return AIResponse(exc.partial_content, "mill", "stone-1")


class RefusesInProse(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        try:
            async for chunk in self.right():
                yield chunk
        except RateLimitError:
            yield AIStreamChunk("Too busy.", finish_reason="stop")


class RefusesUntyped(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        try:
            async for chunk in self.right():
                yield chunk
        except RateLimitError:
            raise OSError("429") from None


class GoesOnWhenCancelled(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        try:
            async for chunk in self.right():
                yield chunk
        except (Exception, GeneratorExit):
            raise
        except BaseException:
            yield AIStreamChunk("never mind")


class EndsWhenCancelled(Mill):
    async def _raw_chat_stream(self, messages, config=None):
        try:
            async for chunk in self.right():
                yield chunk
        except (Exception, GeneratorExit):
            raise
        except BaseException as exc:
            raise ProviderError("mill: something went wrong") from exc


class KeepsTheResponse(Mill):
    """Reads on in a task that nobody ends."""

    async def initialize(self) -> None:
        self.reading: list[CancelScope] = []

    async def _raw_chat_stream(self, messages, config=None):
        send, receive = create_memory_object_stream[AIStreamChunk | Exception](math.inf)
        self._session._tasks.start_soon(self.read, send)
        with receive:
            async for chunk in receive:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk  # noqa: ASYNC119  # it is a wrong one

    async def read(self, send) -> None:
        self.reading.append(CancelScope())
        with self.reading[-1], send:
            try:
                async for chunk in self.right():
                    with suppress(BrokenResourceError):
                        send.send_nowait(chunk)
            except Exception as exc:
                send.send_nowait(exc)

    async def __aexit__(self, *exc_info) -> None:
        for scope in self.reading:
            scope.cancel()
        await super().__aexit__(*exc_info)


class KeepsTheConnection(Mill):
    """Has a client of its own, and forgets to close it."""

    async def initialize(self) -> None:
        self.client = httpx.AsyncClient()
        CLIENTS.append(self.client)

    async def _raw_chat_stream(self, messages, config=None):
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        headers = {"authorization": "Bearer k"}
        url = f"{self._url}/chat/completions"
        async with self.client.stream("POST", url, json=body, headers=headers) as response:
            if response.status_code == 429:
                raise RateLimitError("mill: no")
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    yield self._chunk(line.removeprefix("data: "))  # noqa: ASYNC119  # as above


CLIENTS: list[httpx.AsyncClient] = []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (AnotherStream, "chat_stream() is BaseProvider's own: it gives a async_generator"),
        (AsksWhetherItIsThere, "is_available() says yes, and sends nothing: it sent a request"),
        (IsNeverThere, "is_available() says yes, and sends nothing: it says no"),
        (Eager, "nothing is sent before the first read: a request came"),
        (EagerToFail, "nothing is sent before the first read: a request came"),
        (NeverSaysStop, "a whole answer arrives word for word, with its end proven by a finish_reason: the stream is"),
        (Shouts, "a whole answer arrives word for word, with its end proven by a finish_reason: the text is 'A HEAD"),
        (Summarises, "chat() and generate() give the same whole answer: chat() gives 'A headrace'"),
        (Forgetful, "collect() repeats its result: the second time it gives ''"),
        (OneAtATime, "two streams of one provider know nothing of each other: "),
        (Hoards, "words that came before a cut are kept, with one marker after them: the text is '', and 'A headrace"),
        (MarksItself, "words that came before a cut are kept, with one marker after them: the text is 'A headrace"),
        (TakesAnyEndForOne, "an end without proof is no end: it is a TruncatedStreamError: the stream is 'finished'"),
        (NamesNoCause, "an end without proof is no end: it is a TruncatedStreamError: the cause is RuntimeError"),
        (TrustsAFullStop, "a body that ends without a finish_reason is an interruption, however well it ends: the s"),
        (SkipsWhatItCannotRead, "an event that cannot be decoded is an interruption, and never skipped: the text is"),
        (TellsErrorsAsText, "the vendor's error in mid-stream is an interruption, and not a part of the text: the"),
        (ChatForgets, "chat() loses no words of a cut answer: the words that came are lost: ProviderError("),
        (ChatIsContent, "chat() loses no words of a cut answer: chat() gives 'A headrace"),
        (RefusesInProse, "a refusal before the first word is raised as its typed error: status 429 gives the chunk"),
        (RefusesUntyped, "a refusal before the first word is raised as its typed error: status 429 raises OSError("),
        (GoesOnWhenCancelled, "a cancellation passes through: cancelled, the raw stream goes on with 'never mind'"),
        (EndsWhenCancelled, "a cancellation passes through: cancelled, the raw stream ends with ProviderError("),
        (KeepsTheResponse, "whoever leaves a stream closes its response: its response is still open 3 seconds later"),
        (KeepsTheConnection, "nothing stays open: "),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
async def test_a_wrong_provider_is_told_which_rule_it_breaks(wrong: type[Mill], said: str) -> None:
    with pytest.raises(AssertionError) as broken:
        await check_provider(wrong)
    assert str(broken.value).startswith(f"broken: {said}")
    while CLIENTS:
        await CLIENTS.pop().aclose()


class SitsStill(Mill):
    async def initialize(self) -> None:
        await Event().wait()


async def test_a_provider_that_hangs_is_told_after_a_while() -> None:
    with pytest.raises(AssertionError, match=r"broken: is_available.*: nothing more happened within 0\.2 s"):
        await check_provider(SitsStill, within=0.2)


# ---------------------------------------------------------------- pacers


class OnePlace:
    """A pacer of another make that keeps every rule: one request at a time. Its tickets are plain objects."""

    def __init__(self) -> None:
        self.held: list[object] = []
        self.line: list[tuple[int, int, Event]] = []
        self.arrivals = 0

    @property
    def taken(self) -> int:
        return len(self.held)

    def forecast(self, cost, *, scope="", priority=0) -> float:
        return 0.0

    def rate_limits(self):
        return {}

    def place(self, priority: int, arrival: int) -> tuple[int, int]:
        return (-priority, arrival)

    def refusal(self) -> Exception:
        return ConcurrencyLimitError("the one place is taken")

    async def take(
        self, cost, *, scope="", priority=0, max_wait=None, deadline=math.inf, label="exchange", again=None
    ) -> object:
        self.arrivals += 1
        if self.held or self.line:
            turn = (*self.place(priority, self.arrivals), Event())
            self.line.append(turn)
            try:
                until = min(deadline, current_time() + (math.inf if max_wait is None else max_wait))
                with move_on_after(until - current_time()):
                    await turn[2].wait()
                if not turn[2].is_set():
                    raise self.refusal()
            except BaseException:
                self.gave_up(turn)
                raise
            return turn[2]
        ticket = Event()
        self.held.append(ticket)
        return ticket

    def gave_up(self, turn) -> None:
        if turn in self.line:
            self.line.remove(turn)
        else:
            self.finish(turn[2])

    def finish(self, ticket, usage=None) -> None:
        if ticket in self.held:
            self.held.remove(ticket)
            self.next()

    def next(self) -> None:
        if self.line:
            turn = min(self.line, key=lambda one: one[:2])
            self.line.remove(turn)
            self.held.append(turn[2])
            turn[2].set()

    def limited(self, ticket, error) -> None:
        self.finish(ticket)

    def cancel(self, ticket) -> None:
        self.finish(ticket)

    def sample(self, ticket, info) -> None:
        pass


class LastComeFirst(OnePlace):
    def place(self, priority, arrival):
        return (0, -arrival)


class LetsAllIn(OnePlace):
    def next(self) -> None:
        while self.line:
            super().next()


class NoWaiting(OnePlace):
    async def take(self, cost, **options) -> object:
        ticket = Event()
        self.held.append(ticket)
        return ticket


class NoPriorities(OnePlace):
    def place(self, priority, arrival):
        return (0, arrival)


class LosesThePlace(OnePlace):
    def gave_up(self, turn) -> None:
        if turn in self.line:
            self.line.remove(turn)


class ServesTheDead(OnePlace):
    def gave_up(self, turn) -> None:
        if turn not in self.line:
            self.finish(turn[2])


class KeepsWhatWasRefused(OnePlace):
    def limited(self, ticket, error) -> None:
        pass


class KeepsWhatWasNotSent(OnePlace):
    def cancel(self, ticket) -> None:
        pass


class SettlesTwice(OnePlace):
    def finish(self, ticket, usage=None) -> None:
        if self.held:
            self.held.pop()
            self.next()


class SettlesOnceAndComplains(OnePlace):
    def finish(self, ticket, usage=None) -> None:
        if ticket not in self.held:
            raise ValueError("closed")
        super().finish(ticket)


class KnowsNoAgain(OnePlace):
    async def take(self, cost, *, again=None, **options) -> object:
        if again is not None:
            raise TypeError("again?")
        return await super().take(cost, **options)


class RefusesUntypedly(OnePlace):
    def refusal(self) -> Exception:
        return TimeoutError("no place")


class SaysThatItWasSent(OnePlace):
    def refusal(self) -> Exception:
        return RateLimitError("no place")


class KnowsNoDeadline(OnePlace):
    async def take(self, cost, *, deadline=math.inf, **options) -> object:
        return await super().take(cost, **options)


class HasNothingToShow(OnePlace):
    def rate_limits(self):
        return {}["model"]


class LooksBack(OnePlace):
    def forecast(self, cost, *, scope="", priority=0) -> float:
        return -1.0


class ChokesOnNews(OnePlace):
    def sample(self, ticket, info) -> None:
        assert info.dimensions


@pytest.mark.parametrize(
    "make",
    [
        OnePlace,
        lambda: Turnstile(places=1),
        lambda: Pacer(max_requests=1),
        lambda: Pacer(RateLimitPolicy(pace=False), max_requests=1),
    ],
    ids=["of another make", "the example", "paces", "slots alone"],
)
async def test_a_right_pacer_passes(make) -> None:
    await check_pacer(make)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (LastComeFirst, "equals are served in order of arrival, one at a time: the order was ['third', "),
        (LetsAllIn, "equals are served in order of arrival, one at a time: ExceptionGroup("),
        (NoWaiting, "equals are served in order of arrival, one at a time: "),
        (NoPriorities, "higher priorities go first: the order was ['low', "),
        (LosesThePlace, "a waiter that is cancelled costs nobody a place: cancelled before that, in the same step, it"),
        (ServesTheDead, "a waiter that is cancelled costs nobody a place: cancelled long before, it still holds 1"),
        (KeepsWhatWasRefused, "each of finish(), limited() and cancel() gives the place back: after limit 1 places"),
        (SettlesTwice, "a ticket is settled once: a second finish leaves 0 places held, not 1"),
        (SettlesOnceAndComplains, "a ticket is settled once: ValueError('closed') was raised"),
        (KnowsNoAgain, "one that was refused may stand in line again: TypeError('again?') was raised"),
        (RefusesUntypedly, "who would wait too long is refused with RateLimitError (sent=False) or Concurrency"),
        (SaysThatItWasSent, "who would wait too long is refused with RateLimitError (sent=False) or Concurrency"),
        (KnowsNoDeadline, "who would wait too long is refused with RateLimitError (sent=False) or Concurrency"),
        (HasNothingToShow, "sample(), rate_limits() and forecast() answer at any moment: KeyError('model')"),
        (LooksBack, "sample(), rate_limits() and forecast() answer at any moment: forecast() gives -1.0 seconds"),
        (ChokesOnNews, "sample(), rate_limits() and forecast() answer at any moment: "),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
async def test_a_wrong_pacer_is_told_which_rule_it_breaks(wrong: type[OnePlace], said: str) -> None:
    with pytest.raises(AssertionError) as broken:
        await check_pacer(wrong, within=1.0)
    assert str(broken.value).startswith(f"broken: {said}")


async def test_a_place_of_what_was_not_sent_comes_back() -> None:
    """`cancel` is used where a waiter is cancelled, too: it shows in the first rule that needs it."""
    with pytest.raises(AssertionError, match="broken: a waiter that is cancelled costs nobody a place"):
        await check_pacer(KeepsWhatWasNotSent, within=1.0)


async def test_a_session_uses_a_pacer_of_another_make() -> None:
    from headrace.simulator import Limits, Simulator

    pacer = OnePlace()
    async with Simulator(limits={"openai": Limits(requests=100)}) as sim:
        async with OpenAIProvider("k", base_url=sim.base_url("openai"), limits=pacer) as provider:
            async with provider.chat_stream([AIMessage("user", "hi")]) as stream:
                await anext(stream)
                assert pacer.taken == 1
                with pytest.raises(ConcurrencyLimitError, match="the one place is taken"):
                    await provider.generate("hi", GenerationConfig(max_wait=0.0))
                assert (await stream.collect()).state == "finished"
            await assert_idle(provider)
            assert (pacer.taken, provider.rate_limits(), sim.requests) == (0, {}, 1)
