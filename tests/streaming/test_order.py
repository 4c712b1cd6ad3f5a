"""Rules 9 and 13 in any order of tasks: the loops run what is ready in random order, 40 seeds each."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import anyio
import pytest
import trio._core._run as trio_run
from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint

from headrace import AIMessage, AIStreamChunk, GenerationConfig
from headrace.errors import ServerError
from headrace.testing import assert_idle

from ..loops import ShuffleLoop
from .foreign import DONE, FINISH, HANG, A, B, C, Scripted, Step
from .words import text

SEEDS = range(40)


STEPS: dict[str, tuple[Step, ...]] = {
    "good": (A, B, C, FINISH, DONE),
    "broken": (A, B, ServerError("boom")),
    "endless": (A, B, C, HANG),
}


class Mixed(Scripted):
    """Plays the script that the message names."""

    def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        return Scripted(*STEPS[messages[0].text])._raw_chat_stream(messages)


async def scene(rng: random.Random) -> None:
    """Six consumers in one session of four slots; each is cancelled at a random moment, or comes to its end before."""
    async with Mixed(max_requests=4) as provider:
        async with create_task_group() as tasks:
            for turn in range(6):
                tasks.start_soon(use, provider, ("good", "broken", "endless")[turn % 3], rng.randrange(25))
        await assert_idle(provider)
        assert (await provider.chat([AIMessage("user", "good")])).content == "abc"


async def use(provider: Mixed, script: str, steps: int) -> None:
    stream, got = provider.chat_stream([AIMessage("user", script)]), list[AIStreamChunk]()

    async def strike() -> None:
        for _ in range(steps):
            await checkpoint()
        scope.cancel()

    async with create_task_group() as tasks:
        with CancelScope() as scope:
            tasks.start_soon(strike)
            async for chunk in stream:
                got.append(chunk)
    words = text(got)
    assert stream.partial_content.startswith(words)
    if scope.cancelled_caught and not (got and got[-1].is_final):
        assert stream.state == "cancelled"
        assert not any(chunk.is_final for chunk in got)
    else:  # perhaps cancelled in the read that would have said that there is no more
        assert stream.state == {"good": "finished", "broken": "interrupted"}[script]
        assert got[-1].is_marker == (script == "broken")
        assert words == stream.partial_content == {"good": "abc", "broken": "ab"}[script]


@contextmanager
def trio_order(seed: int) -> Iterator[None]:
    """trio's own order is random; this makes it the seed's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
        trio_run._r.seed(seed)
        yield


@pytest.mark.parametrize("seed", SEEDS)
def test_rules_09_and_13_in_any_order_on_asyncio(seed: int) -> None:
    ShuffleLoop.rng.seed(seed)
    anyio.run(scene, random.Random(seed), backend="asyncio", backend_options={"loop_factory": ShuffleLoop})


@pytest.mark.parametrize("seed", SEEDS)
def test_rules_09_and_13_in_any_order_on_trio(seed: int) -> None:
    with trio_order(seed):
        anyio.run(scene, random.Random(seed), backend="trio")
