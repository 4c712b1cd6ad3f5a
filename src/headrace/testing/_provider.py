"""
The stream contract, run against a provider of anybody's.

The rules are those of docs/streaming.md that a provider can break: what the session upholds for every provider needs no
check here. Upstream stands the simulator, which breaks each answer in one way and keeps the book of what it sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Final, TypeAlias

from anyio import create_task_group, move_on_after, sleep

from .._types import AIMessage, AIStreamChunk
from ..errors import ProviderError, RateLimitError, StreamInterruptedError, TruncatedStreamError
from ..providers.base import BaseProvider
from ..streaming.stream import ChatStream
from ._idle import assert_idle
from ._rules import WITHIN, Rule, keep, must

if TYPE_CHECKING:
    from ..simulator import Exchange, Simulator
    from ..simulator.faults import Fault

__all__ = ("Make", "check_provider")

Make: TypeAlias = Callable[[str], BaseProvider]

MESSAGES: Final = (AIMessage("user", "What is a headrace?"),)
TEXT: Final = "A headrace brings the water to the wheel – steadily, 水車 by 水車, and no drop is lost on the way."
PAUSE: Final = 0.2  # seconds after which whoever still waits for a stalled answer will wait for ever
UNASKED: Final = 0.25  # seconds in which a request on loopback has come, from a client that is yet to be made as well
LEAVING: Final = 3.0  # seconds in which a server, on a busy machine as well, sees that its client has left
PIECES: Final = 4  # of the answer, before the fault


@dataclass(frozen=True, slots=True)
class Case:
    """The provider's factory, and who stands upstream."""

    make: Make
    vendor: str
    simulator: Simulator

    def provider(self) -> BaseProvider:
        """A new one."""
        return self.make(self.simulator.base_url(self.vendor))

    def play(self, fault: Fault | None = None, text: str = TEXT) -> None:
        """The next answer."""
        from ..simulator import Script

        self.simulator.play(self.vendor, Script(text=text, fault=fault))

    @property
    def exchange(self) -> Exchange:
        """The last one."""
        must(self.simulator.exchanges, "no request came to the address that the factory was given")
        return self.simulator.exchanges[-1]


async def check_provider(make: Make, *, vendor: str = "openai", within: float = WITHIN) -> None:
    """
    Run a provider against the stream contract: real HTTP on loopback, each answer broken in another way.

    Args:
        make: called with a base URL, gives a new provider, not entered, that speaks to it.
        vendor: whose format it speaks: "openai" (what most servers speak), "anthropic", "gemini", "grok" or "ollama".
            The URL is what that vendor's own SDK would take.
        within: seconds for each rule.

    Raises:
        AssertionError: a rule is broken; the text says which, in words, and what was seen.
        ValueError: there is no such vendor.
    """
    from ..simulator import Simulator

    async with Simulator(seed=1) as simulator:
        simulator.base_url(vendor)
        await keep(RULES, Case(make, vendor, simulator), within=within)


# ---------------------------------------------------------------- what every answer must be


async def _a_chat_stream(case: Case) -> None:  # noqa: ASYNC124  # as all rules
    stream = case.provider().chat_stream(MESSAGES)
    must(isinstance(stream, ChatStream), f"it gives a {type(stream).__name__}")


async def _available(case: Case) -> None:
    async with case.provider() as provider:
        before = case.simulator.requests  # initialize() may ask
        available = provider.is_available()
        must(await available if isawaitable(available) else available, "it says no")
        must(case.simulator.requests == before, "it sent a request")


async def _nothing_unasked(case: Case) -> None:
    before = None  # until it is entered: initialize() may ask
    try:
        async with case.provider() as provider:
            before = case.simulator.requests
            provider.chat_stream(MESSAGES)
            await sleep(UNASKED)
    finally:  # after the block: an answer that nobody asked for may be under way, and its own error ends the block
        must(before in {None, case.simulator.requests}, "a request came")


async def _whole(case: Case) -> None:
    case.play()
    async with case.provider() as provider, provider.chat_stream(MESSAGES) as stream:
        chunks = [chunk async for chunk in stream]
    _same_words(_text(chunks), case.exchange.text_sent)
    must(stream.state == "finished", f"the stream is {stream.state!r}, not 'finished'")


async def _plain_call(case: Case) -> None:
    for method in ("chat", "generate"):
        case.play()
        async with case.provider() as provider:
            answer = await (provider.chat(MESSAGES) if method == "chat" else provider.generate("What is a headrace?"))
        must(answer.content == TEXT, f"{method}() gives {answer.content!r}")


async def _collected_again(case: Case) -> None:
    case.play()
    async with case.provider() as provider, provider.chat_stream(MESSAGES) as stream:
        first, again = await stream.collect(), await stream.collect()
    _same_words(first.content, TEXT)
    must(first.content == again.content, f"the second time it gives {again.content!r}")


async def _two_at_once(case: Case) -> None:
    texts = (TEXT, TEXT[::-1])
    found: list[str] = []

    async def read(provider: BaseProvider) -> None:
        found.append((await provider.chat_stream(MESSAGES).collect()).content)

    async with case.provider() as provider:
        for text in texts:
            case.play(text=text)
        async with create_task_group() as tasks:
            for _ in texts:
                tasks.start_soon(read, provider)
    must(sorted(found) == sorted(texts), f"of two answers at once came {found!r}")


# ---------------------------------------------------------------- what every failure must be


async def _cut(case: Case) -> None:
    from ..simulator.faults import CutFin

    await _interrupted(case, CutFin(after_pieces=PIECES))


async def _ended_without_proof(case: Case) -> None:
    from ..simulator.faults import CleanEnd

    cause = await _interrupted(case, CleanEnd(after_pieces=PIECES))
    must(cause is None or isinstance(cause, TruncatedStreamError), f"the cause is {cause!r}")


async def _ended_without_finish(case: Case) -> None:
    from ..simulator.faults import CleanEnd

    await _interrupted(case, CleanEnd(drop="proof"))


async def _broken_event(case: Case) -> None:
    from ..simulator.faults import Malformed

    await _interrupted(case, Malformed(after_pieces=PIECES))


async def _error_event(case: Case) -> None:
    from ..simulator.faults import ErrorEvent

    await _interrupted(case, ErrorEvent(after_pieces=PIECES))


async def _interrupted(case: Case, fault: Fault) -> Exception | None:
    """An answer that breaks: the words before it are kept, and instead of the rest comes an error; its cause."""
    case.play(fault)
    chunks: list[AIStreamChunk] = []
    error: Exception | None = None
    async with case.provider() as provider, provider.chat_stream(MESSAGES) as stream:
        try:
            async for chunk in stream:
                chunks.append(chunk)  # noqa: PERF401  # what came before an error counts
            stream.raise_for_interruption()
        except Exception as exc:  # noqa: BLE001  # whatever it is, it is judged below
            error = exc
    sent = case.exchange.text_before_fault
    _same_words(_text(chunks), sent)
    must(error is not None, f"the stream is {stream.state!r}, as if the answer were whole")
    if not sent:  # a plain JSON answer: nothing came, so there is nothing to keep
        must(isinstance(error, ProviderError), f"it failed with {error!r}, which is no ProviderError")
        return None
    if not isinstance(error, StreamInterruptedError):
        raise AssertionError(f"it failed with {error!r}, no StreamInterruptedError")  # noqa: TRY004  # of a check
    _same_words(error.partial_content, sent)
    markers = [chunk.is_marker for chunk in chunks]
    must(markers.count(True) == 1 and markers[-1], f"there are {markers.count(True)} marker chunks, not one at the end")
    return error.cause


async def _refused(case: Case) -> None:
    from ..simulator.faults import Refuse

    case.play(Refuse(status=429, retry_after=1.0))
    async with case.provider() as provider, provider.chat_stream(MESSAGES) as stream:
        try:
            chunk = await anext(stream)
        except RateLimitError:
            return
        except Exception as exc:
            raise AssertionError(f"status 429 raises {exc!r}, not a RateLimitError") from exc
    raise AssertionError(f"status 429 gives the chunk {chunk.content!r}")


async def _plain_call_cut(case: Case) -> None:
    from ..simulator.faults import CutFin

    case.play(CutFin(after_pieces=PIECES))
    async with case.provider() as provider:
        try:
            answer = await provider.chat(MESSAGES)
        except StreamInterruptedError as exc:
            _same_words(exc.partial_content, case.exchange.text_sent)
        except ProviderError as exc:
            must(not case.exchange.text_sent, f"the words that came are lost: {exc!r} has none")
        else:
            raise AssertionError(f"chat() gives {answer.content!r}, as if that were all")


# ---------------------------------------------------------------- how it is left


async def _cancelled(case: Case) -> None:
    """Asks the raw stream itself: what it makes of a cancellation, the session would hide."""
    from ..simulator.faults import Stall

    case.play(Stall(after_pieces=PIECES))
    seen = ""
    async with case.provider() as provider:
        raw = aiter(provider._raw_chat_stream(MESSAGES))
        with move_on_after(PAUSE) as scope:
            try:
                while not scope.cancel_called:
                    chunk = await anext(raw)
                seen = f"goes on with {chunk.content!r}"
            except Exception as exc:  # noqa: BLE001  # whatever it is, it is no cancellation
                seen = f"ends with {exc!r}"
        if hasattr(raw, "aclose"):
            await raw.aclose()
    must(scope.cancelled_caught, f"cancelled, the raw stream {seen}")


async def _left(case: Case) -> None:
    from ..simulator.faults import Stall

    case.play(Stall(after_pieces=PIECES))
    async with case.provider() as provider:
        async with provider.chat_stream(MESSAGES) as stream:
            with move_on_after(PAUSE):  # of a plain JSON answer there is no first chunk
                await anext(stream)
        with move_on_after(LEAVING):
            await case.exchange.wait_ended()
        must(case.exchange.ended == "client left", f"its response is still open {LEAVING:.0f} seconds later")
        await assert_idle(provider)


async def _nothing_left(case: Case) -> None:
    from ..simulator.faults import CutFin

    for fault in (None, CutFin(after_pieces=PIECES)):
        case.play(fault)
        async with case.provider() as provider:
            with suppress(ProviderError):  # of a plain JSON answer that was cut: no words, so no marker
                async for _ in provider.chat_stream(MESSAGES):
                    pass
            await assert_idle(provider)
        with move_on_after(1.0):
            await case.simulator.wait_all_closed()
        left = case.simulator.open_connections
        must(not left, f"{left} connections stay open after the provider was left")


RULES: Final[Sequence[Rule[Case]]] = (
    Rule("chat_stream() is BaseProvider's own", _a_chat_stream),
    Rule("is_available() says yes, and sends nothing", _available),
    Rule("nothing is sent before the first read", _nothing_unasked),
    Rule("a whole answer arrives word for word, with its end proven by a finish_reason", _whole),
    Rule("chat() and generate() give the same whole answer", _plain_call),
    Rule("collect() repeats its result", _collected_again),
    Rule("two streams of one provider know nothing of each other", _two_at_once),
    Rule("words that came before a cut are kept, with one marker after them", _cut),
    Rule("an end without proof is no end: it is a TruncatedStreamError", _ended_without_proof),
    Rule("a body that ends without a finish_reason is an interruption, however well it ends", _ended_without_finish),
    Rule("an event that cannot be decoded is an interruption, and never skipped", _broken_event),
    Rule("the vendor's error in mid-stream is an interruption, and not a part of the text", _error_event),
    Rule("chat() loses no words of a cut answer", _plain_call_cut),
    Rule("a refusal before the first word is raised as its typed error", _refused),
    Rule("a cancellation passes through", _cancelled),
    Rule("whoever leaves a stream closes its response", _left),
    Rule("nothing stays open", _nothing_left),
)


# ---------------------------------------------------------------- small things


def _text(chunks: Sequence[AIStreamChunk]) -> str:
    """The model's words."""
    return "".join(chunk.content for chunk in chunks if not chunk.is_marker)


def _same_words(got: str, sent: str) -> None:
    must(got == sent, f"the text is {got!r}, and {sent!r} was sent")
