"""
Does anything stay behind when a thousand streams break, end and are left, over and over?

usage: python -m benchmarks.soak [--streams 1000] [--seconds 24] [--backend asyncio|trio]

The simulator runs in a process of its own. Over one gateway, so many streams at once are read to their end, cut by
random faults, cancelled and left. Each one's words must be an exact prefix of what was sent, and the whole of it where
the stream says that it is finished. It is done in three rounds; after each the gateway must be idle. Memory is compared
at equal points: with all streams open, and with none at the end of a round. What tells a leak is the number of blocks
that Python holds with no stream open; the resident size also has the holes in the allocator's arenas, which grow for a
while. Prints what was seen; leaves with 1 if any of that does not hold.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import platform
import random
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio import CancelScope, create_task_group, current_time, fail_after, sleep

from headrace import AIGateway, AIMessage, ChatStream, Deadlines, GenerationConfig
from headrace.errors import HeadraceError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults
from headrace.testing import assert_idle

TEXT: Final = " ".join(f"word-{number} ✓" for number in range(30))
PIECES: Final = tuple(f"{word} " for word in TEXT.split(" "))
WHOLE: Final = "".join(PIECES)
PAUSE: Final = 0.25  # seconds between two pieces: a thousand streams are then 4,000 events a second
VENDORS: Final = ("anthropic", "openai", "gemini", "grok")
MESSAGES: Final = [AIMessage("user", "Say the words.")]
DEADLINES: Final = Deadlines(first_chunk=8.0, next_chunk=8.0, idle=4.0)
SPARE: Final = 200  # descriptors beside one for each stream
ROUNDS: Final = 3
BOUND: Final = 64.0  # seconds that each backend may take beside that: streams that are open still come to their end
GROWTH: Final = 0.10  # of the second round's resident memory, that the third may have more: see the top
LEAK: Final = 0.01  # of the second round's blocks: a cache may grow; an object kept of each stream would be far more


# ---------------------------------------------------------------- the simulator's process


def script(rng: random.Random) -> Script:
    """Half of the answers are good; the others break in one of many ways."""
    after = rng.randrange(len(PIECES))
    kinds: tuple[faults.Fault, ...] = (
        faults.CutFin(after_pieces=after),
        faults.CutRst(after_pieces=after),
        faults.CleanEnd(after_pieces=after),
        faults.Malformed(after_pieces=after),
        faults.ErrorEvent(after_pieces=after),
        faults.Stall(after_pieces=after),
        faults.CutFin(after_events=0),
        faults.NoHead(),
        faults.Refuse(status=500),
    )
    fault = None if rng.random() < 0.5 else rng.choice(kinds)
    return Script(pieces=PIECES, delay=PAUSE, first_delay=rng.uniform(0, 2), fault=fault)


async def serve() -> None:
    """Until the pipe to the parent closes."""
    rng = random.Random(1)
    async with Simulator(seed=1) as sim:
        sys.stdout.write(f"{sim.url}\n")
        sys.stdout.flush()
        while True:
            for vendor in VENDORS:
                if len(sim._scripts[vendor]) < 1000:
                    sim.play(vendor, *[script(rng) for _ in range(1000)])
            del sim.exchanges[:-10_000]
            await sleep(0.5)


@contextmanager
def simulator() -> Iterator[str]:
    """The address of a simulator in another process."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "--serve"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


# ---------------------------------------------------------------- the streams


class Soak:
    """One run over one gateway."""

    def __init__(self, gateway: AIGateway, streams: int, seconds: float) -> None:
        self.gateway, self.streams, self.seconds = gateway, streams, seconds
        self.rng = random.Random(2)
        self.states: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.open = 0
        self.memory: list[tuple[int, float]] = []  # open streams, MiB

    async def run(self) -> None:
        """A round."""
        self.until = current_time() + self.seconds
        self.memory.clear()
        async with create_task_group() as tasks:
            tasks.start_soon(self._watch)
            for number in range(self.streams):
                tasks.start_soon(self._one_after_the_other, number)

    async def _one_after_the_other(self, number: int) -> None:
        await sleep(number * 5.0 / self.streams)  # not all in one moment
        while current_time() < self.until:
            stream = self.gateway.chat_stream(MESSAGES, GenerationConfig(deadlines=DEADLINES, max_wait=60.0))
            self.open += 1
            try:
                await self._use(stream)
            except HeadraceError as exc:
                self.states[f"failed: {type(exc).__name__}"] += 1
            finally:
                self.open -= 1
            self._check(stream)

    async def _use(self, stream: ChatStream) -> None:
        """To its end, or left in one of several ways."""
        how, after = self.rng.choice(("end", "end", "end", "break", "cancel", "drop")), self.rng.randrange(30)
        with CancelScope() as scope:
            if how == "cancel":
                scope.deadline = current_time() + self.rng.uniform(0, 12)
            if how == "drop":
                async for _ in stream:
                    after -= 1
                    if after < 0:
                        return
                return
            async with stream:
                async for _ in stream:
                    after -= 1
                    if how == "break" and after < 0:
                        break

    def _check(self, stream: ChatStream) -> None:
        self.states[stream.state] += 1
        said = stream.partial_content
        if not WHOLE.startswith(said):
            self.wrong.append(f"{stream!r}: ...{said[-60:]!r} is not what was sent")
        if stream.state == "finished" and said != WHOLE:
            self.wrong.append(f"{stream!r} says that it is finished, with {len(said)} of {len(WHOLE)} characters")

    async def _watch(self) -> None:
        while current_time() < self.until:
            await sleep(self.seconds / 5)
            gc.collect()
            self.memory.append((self.open, resident()))
            print(  # progress: this takes a minute
                f"  {self.open:5d} open, {sum(self.states.values()):6d} over, {resident():6.0f} MiB", flush=True
            )


def resident() -> float:
    """MiB of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def descriptors() -> int:
    """How many files and sockets are open in this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def allowed(streams: int) -> int:
    """As many streams as there are descriptors for, after the limit was raised as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + SPARE
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted:
        print(f"only {soft} file descriptors are allowed: {soft - SPARE} streams in place of {streams}")  # as it says
    return min(streams, soft - SPARE)


async def soak(streams: int, seconds: float) -> list[str]:
    """One run; returns what did not hold."""
    kinds = (AnthropicProvider, OpenAIProvider, GeminiProvider, GrokProvider)
    paths = {"anthropic": "/anthropic", "openai": "/openai/v1", "gemini": "/gemini", "grok": "/grok/v1"}
    problems, rounds = list[str](), list[tuple[float, float, int]]()  # MiB with streams open and none, and blocks
    with simulator() as url:
        policy = RateLimitPolicy(max_wait=60.0)
        providers = [kind("k", base_url=url + paths[kind.name], max_requests=streams, limits=policy) for kind in kinds]
        async with AIGateway() as gateway:
            for provider in providers:
                gateway.register_provider(provider)
            gc.collect()
            before, files = resident(), descriptors()
            run = Soak(gateway, streams, seconds / ROUNDS)
            for number in range(1, ROUNDS + 1):
                await run.run()
                gc.collect()  # a stream that was dropped is left when it is collected
                try:
                    await assert_idle(gateway, within=5.0)
                except AssertionError as exc:
                    problems.append(f"after round {number}: {exc}")
                most, peak = max(run.memory)
                rounds.append((peak, resident(), sys.getallocatedblocks()))
                print(  # progress, and the result
                    f"  round {number}: {peak:.0f} MiB with {most} streams open, "
                    f"{(peak - before) * 1024 / most:.1f} KiB each; {resident():.0f} MiB and "
                    f"{descriptors() - files} more descriptors with none, {rounds[-1][2]:,} blocks",
                    flush=True,
                )
            problems += run.wrong
    print(f"  states: {dict(run.states.most_common())}")  # what was seen
    kinds_of = (("MiB with streams open", GROWTH), ("MiB with none open", GROWTH), ("blocks with none open", LEAK))
    for (what, most_growth), earlier, later in zip(kinds_of, rounds[-2], rounds[-1], strict=True):
        if later > earlier * (1 + most_growth):
            problems.append(f"{what} have grown from {earlier:,.0f} to {later:,.0f}")
    return problems


async def bounded(streams: int, seconds: float) -> list[str]:
    """The same, within its time."""
    with fail_after(seconds + BOUND):
        return await soak(streams, seconds)


def main() -> int:
    """See the top."""
    parser = argparse.ArgumentParser(description="A thousand streams that break, end and are left, over and over.")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=24.0, help="of new streams for each backend, in three rounds")
    parser.add_argument("--backend", choices=("asyncio", "trio"), action="append")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.getLogger("headrace").setLevel(logging.ERROR)  # each cut is a warning, and here they are meant
    if given.serve:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        anyio.run(serve)
        return 0
    streams, problems = allowed(given.streams), list[str]()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")  # on what
    backends = given.backend or ["asyncio", "trio"]
    if len(backends) > 1:  # each in a process of its own: memory is what is measured
        arguments = ["--streams", str(streams), "--seconds", str(given.seconds), "--backend"]
        codes = [
            subprocess.run([sys.executable, "-m", "benchmarks.soak", *arguments, one]).returncode for one in backends
        ]
        return max(codes)
    print(f"{backends[0]}: {streams} streams at once for {given.seconds:g} s")  # progress
    try:
        problems += anyio.run(bounded, streams, given.seconds, backend=backends[0])
    except TimeoutError:
        problems.append(f"not over within {given.seconds + BOUND:g} s")
    for problem in problems[:20]:
        print(f"  WRONG: {problem}")  # the result
    print("all held" if not problems else f"{len(problems)} did not hold")  # as above
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
