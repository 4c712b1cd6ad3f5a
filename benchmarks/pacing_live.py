"""
Do processes that share a key keep the vendor's limits between them, with real clocks, sockets and a real Redis?

The simulator, as OpenAI, runs in a process of its own and lets 150,000 tokens in at once, and as many every 10 s. Four
more processes, two on asyncio and two on trio, send 500 requests, all at the same moment; nobody tells them the limits.
Then each sends a few, one after the other and far below every limit, for what that costs. Once they share a Redis, and
once nothing. Exits with 1 if a target is missed. Needs `redis-server`.

usage: python -m benchmarks.pacing_live [--count 500] [--tokens 150000] [--save]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypedDict

import anyio
from anyio import create_task_group, sleep, to_thread
from tests.redis_server import RedisServer

from headrace import AIMessage, GenerationConfig, HeadraceError
from headrace.limits.cost import Cost
from headrace.limits.policy import RateLimitPolicy
from headrace.limits.redis import RedisStore
from headrace.limits.store import Stored
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Exchange, Limits, Simulator
from headrace.simulator.steps import Step
from headrace.simulator.vendors._base import count_prompt

from ._bench import ROOT, machine, save, table, versions

TITLE: Final = "## Four processes, one key, in real time"
BACKENDS: Final = ("asyncio", "trio", "asyncio", "trio")
WINDOW: Final = 10.0  # seconds in which the vendor's buckets fill: a minute would make a run of minutes
MAX_TOKENS: Final = 512
ERROR: Final = 0.1  # of the clients' estimates of prompts, a standard deviation
QUIET: Final = 10  # requests of each process in the second part
CALLS, QUIET_CALLS = 6.0, 2.5  # the targets: in the burst; and two a request, and now and then one that came too late
GOODPUT: Final = 0.97


class Seen(TypedDict):
    """What the vendor saw: refusals; and of what it let in the tokens, and the seconds from the first to the last."""

    refusals: int
    work: float
    seconds: float


class Done(TypedDict):
    """What a process did: answers, errors, calls of the store in each part, and how long those took."""

    answers: int
    errors: list[str]
    calls: int
    quiet_calls: int
    micros: list[float]


class Told(TypedDict):
    """What a process is told to do: `count` requests at once, `quiet` more after them."""

    url: str
    redis: str | None
    count: int
    quiet: int
    seed: int


# ---------------------------------------------------------------- the vendor


class Watched(Simulator):
    """Writes down what it lets in, and when."""

    def __init__(self, tokens: int) -> None:
        super().__init__(pace=0.004, limits={"openai": Limits(requests=300, tokens=tokens, window=WINDOW)})
        self.log: list[tuple[float, int]] = []

    def begin(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, connection: int
    ) -> tuple[Exchange, Iterator[Step]]:
        exchange, steps = super().begin(method, target, headers, body, connection)
        if exchange.script is not None:
            self.log.append((time.monotonic(), count_prompt(exchange.body) + MAX_TOKENS))
        return exchange, steps


async def vendor(tokens: int) -> None:
    """Serve until stdin is closed; a line asks for what was seen."""
    async with Watched(tokens) as sim:
        print(sim.base_url("openai"), flush=True)
        while await to_thread.run_sync(sys.stdin.readline):
            seen: Seen = {
                "refusals": sum(exchange.script is None for exchange in sim.exchanges),
                "work": sum(cost for _, cost in sim.log),
                "seconds": sim.log[-1][0] - sim.log[0][0],
            }
            print(json.dumps(seen), flush=True)


# ---------------------------------------------------------------- a process


class Counted(RedisStore):
    """Counts its calls."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.micros: list[float] = []

    async def load(self, key: str) -> Stored:
        began = time.perf_counter()
        try:
            return await super().load(key)
        finally:
            self.micros.append(1e6 * (time.perf_counter() - began))

    async def swap(self, key: str, version: int, blob: bytes) -> Stored:
        began = time.perf_counter()
        try:
            return await super().swap(key, version, blob)
        finally:
            self.micros.append(1e6 * (time.perf_counter() - began))


async def process(told: Told) -> None:
    """Be ready; send all at the first line of stdin, and a few in turns at the second."""
    rng = random.Random(told["seed"])
    store = Counted(told["redis"]) if told["redis"] is not None else None

    def estimate(messages: Sequence[AIMessage], _: GenerationConfig) -> Cost:
        return Cost(count_prompt(messages[0].text) * math.exp(rng.gauss(0, ERROR)), MAX_TOKENS)

    policy = RateLimitPolicy(max_wait=600, store=store, estimate=estimate)
    done: Done = {"answers": 0, "errors": [], "calls": 0, "quiet_calls": 0, "micros": []}
    async with OpenAIProvider(
        "any-key", base_url=told["url"], limits=policy, max_requests=1000, max_attempts=100
    ) as provider:

        async def send(length: int) -> None:
            try:
                await provider.chat([AIMessage("user", "word" * length)], GenerationConfig(max_tokens=MAX_TOKENS))
                done["answers"] += 1
            except HeadraceError as exc:
                done["errors"].append(f"{type(exc).__name__}: {exc}")

        print("ready", flush=True)
        await to_thread.run_sync(sys.stdin.readline)
        async with create_task_group() as tasks:
            for _ in range(told["count"]):
                tasks.start_soon(send, int(min(3000, max(20, rng.lognormvariate(math.log(300), 0.8)))))
        done["calls"] = len(store.micros) if store is not None else 0
        print("sent", flush=True)
        await to_thread.run_sync(sys.stdin.readline)
        before = len(store.micros) if store is not None else 0
        for _ in range(told["quiet"]):
            await send(20)
            await sleep(rng.uniform(1.0, 2.0))
        if store is not None:
            done["quiet_calls"], done["micros"] = len(store.micros) - before, store.micros
    print(json.dumps(done), flush=True)


# ---------------------------------------------------------------- all of them


class Child:
    """This module in another process, spoken to by lines."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "benchmarks.pacing_live", *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "a process of the benchmark has failed: see above"
        return line.strip()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def burst(count: int, tokens: int, redis: str | None, *, quiet: int) -> tuple[Seen, list[Done]]:
    """One run: what the vendor saw of the burst, and what the processes did in both parts."""
    children = [server := Child("--vendor", str(tokens))]
    try:
        url = server.hear()
        for number, backend in enumerate(BACKENDS):
            each = count // len(BACKENDS)
            told: Told = {"url": url, "redis": redis, "count": each, "quiet": quiet, "seed": number}
            children.append(Child("--process", json.dumps(told), "--backend", backend))
        clients = children[1:]
        for child in clients:
            child.hear()
        for child in clients:
            child.say()
        for child in clients:
            child.hear()
        server.say()
        seen: Seen = json.loads(server.hear())
        for child in clients:
            child.say()
        return seen, [json.loads(child.hear()) for child in clients]
    finally:
        for child in children:
            child.end()


def goodput(seen: Seen, tokens: int) -> float:
    """The part of what the limit let in until the last request was let in."""
    return seen["work"] / (tokens + tokens / WINDOW * seen["seconds"])


def measure(*, count: int = 500, tokens: int = 150_000) -> dict[str, Any]:
    """Both runs; without a Redis here, an empty list of rows."""
    rows = []
    if shutil.which("redis-server") is not None:
        with RedisServer() as server:
            rows = [row("a Redis", server.url, count, tokens), row("nothing", None, count, tokens)]
    return {
        "command": f"python -m benchmarks.pacing_live --count {count} --tokens {tokens}",
        "machine": machine(),
        "versions": versions("coredis", "anyio", "trio", "httpx"),
        "requests": count,
        "tokens": tokens,
        "rows": rows,
    }


def row(name: str, redis: str | None, count: int, tokens: int) -> dict[str, Any]:
    """One run, and what came of it."""
    seen, done = burst(count, tokens, redis, quiet=QUIET)
    for error in (error for one in done for error in one["errors"]):
        print(error, file=sys.stderr)
    shared: dict[str, Any] = {}
    if redis is not None:
        micros = sorted(value for one in done for value in one["micros"])
        shared = {
            "calls": sum(one["calls"] for one in done) / count,
            "quiet_calls": sum(one["quiet_calls"] for one in done) / (QUIET * len(done)),
            "call_us": [micros[len(micros) // 2], micros[int(0.99 * len(micros))]],
        }
    return {
        "share": name,
        "answers": sum(one["answers"] for one in done),
        "asked": count + QUIET * len(BACKENDS),
        "refusals": seen["refusals"],
        "goodput": goodput(seen, tokens),
        "seconds": seen["seconds"],
        **shared,
    }


def met(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether those who share a store meet every target. For the others there is none."""
    return all(
        one["answers"] == one["asked"]
        and not one["refusals"]
        and one["goodput"] >= GOODPUT
        and one["calls"] <= CALLS
        and one["quiet_calls"] <= QUIET_CALLS
        for one in rows
        if "calls" in one
    )


def section(data: Mapping[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    if not data["rows"]:
        return f"{TITLE}\n\nNot measured: there was no redis-server on {data['machine']}."
    rows = []
    for one in data["rows"]:
        cells = [one["share"], f"{one['answers']} of {one['asked']}", f"{one['refusals']}", f"{one['goodput']:.1%}"]
        cells.append(f"{one['seconds']:.1f} s")
        if "calls" in one:
            middle, late = (value / 1000 for value in one["call_us"])
            cells += [f"{one['calls']:.1f}, {one['quiet_calls']:.1f}", f"{middle:.1f}, {late:.1f} ms"]
        rows.append([*cells, "", ""][: len(HEAD)])
    return "\n\n".join(
        (
            TITLE,
            f"`{data['command']}` on {data['machine']}; {data['versions']}.",
            (
                f"A burst of {data['requests']} requests from two processes on asyncio and two on trio. The simulator "
                f"lets {data['tokens']:,} tokens in, and as many every 10 s, and tells so in OpenAI's headers alone; "
                f"{'all targets are met' if met(data['rows']) else '**a target is missed**'}. Store calls: in the "
                "burst, and afterwards, when each process sends a request every 1.5 s. A call: the median and the 99th "
                "of a hundred, with all six processes on these cores."
            ),
            table(HEAD, rows),
        )
    )


HEAD: Final = ["they share", "answers", "refusals", "of the limit", "in", "store calls a request", "a call"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=150_000)
    parser.add_argument("--save", action="store_true", help="keep it for the report")
    parser.add_argument("--vendor", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--process", help=argparse.SUPPRESS)
    parser.add_argument("--backend", default="asyncio", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.vendor is not None:
        anyio.run(vendor, options.vendor)
    elif options.process is not None:
        anyio.run(process, json.loads(options.process), backend=options.backend)
    else:
        data = measure(count=options.count, tokens=options.tokens)
        print(section(data))
        if options.save:
            print(f"written: {save('pacing_live', data)}")
        sys.exit(not met(data["rows"]))


if __name__ == "__main__":
    main()
