"""
One load against one vendor in virtual time, and what came of it: the bench under `pacing`.

A load is sent by one or several clients, each of which stands for a process. Knows no scenario and no target.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import anyio
from anyio import create_task_group, current_time, move_on_after, sleep
from tests.loops import VIRTUAL

from headrace import _clock
from headrace._types import RateLimitInfo, Usage
from headrace.errors import RateLimitError
from headrace.limits.cost import Cost
from headrace.limits.dialects import DIALECTS
from headrace.limits.headers import parse
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.limits.store import MemoryStore, Stored, StoreError

from ._world import EPOCH, Answer, Request, Vendor, VendorMaker, load

__all__ = ("Client", "FarStore", "Figures", "Paced", "Run", "reported")

LONGEST = 7200.0  # seconds a run may take


class FarStore:
    """A store behind a round trip, that is away from `down[0]` to `down[1]` seconds."""

    def __init__(self, rng: random.Random, round_trip: float, down: tuple[float, float]) -> None:
        self._near, self._rng, self._round_trip, self._down = MemoryStore(), rng, round_trip, down
        self._began = current_time()
        self.calls = 0

    async def run(self) -> None:
        await self._near.run()

    async def _way(self) -> None:
        self.calls += 1
        if self._down[0] <= current_time() - self._began < self._down[1]:
            await sleep(0.02)
            raise StoreError("connection refused")
        await sleep(self._round_trip * self._rng.uniform(0.4, 0.6))

    async def load(self, key: str) -> Stored:
        await self._way()
        stored = await self._near.load(key)
        await sleep(self._round_trip * self._rng.uniform(0.4, 0.6))
        return stored

    async def swap(self, key: str, version: int, blob: bytes) -> Stored:
        await self._way()
        stored = await self._near.swap(key, version, blob)
        await sleep(self._round_trip * self._rng.uniform(0.4, 0.6))
        return stored


class Client:
    """How a process sends its requests."""

    def __init__(self, vendor: Vendor, rng: random.Random, run: Run, store: FarStore | None) -> None:
        self.vendor, self.rng, self.run, self.store = vendor, rng, run, store

    async def serve(self) -> None:
        """What runs beside the requests."""

    async def send(self, request: Request) -> None:
        """One request, to its end."""
        raise NotImplementedError

    def told(self, answer: Answer) -> RateLimitInfo:
        """What its headers say."""
        return parse(answer.headers, DIALECTS[self.vendor.dialect], now=_clock.wall()).info


class Paced(Client):
    """headrace's pacer; what is refused stands in line again."""

    def __init__(self, vendor: Vendor, rng: random.Random, run: Run, store: FarStore | None) -> None:
        super().__init__(vendor, rng, run, store)
        policy = RateLimitPolicy(max_wait=math.inf, limits=run.limits, store=store)
        self.pacer = Pacer(policy, max_requests=1000, blind=vendor.dialect == "gemini")

    async def serve(self) -> None:
        await self.pacer.run()

    async def send(self, request: Request) -> None:
        pacer, cost, ticket = self.pacer, Cost(request.guess * self.run.bias, request.max_tokens), None
        while True:
            ticket = await pacer.take(cost, again=ticket)
            try:
                answer = await self.vendor.call(request)
                info = self.told(answer)
                if answer.status == 200:
                    pacer.sample(ticket, info)
                    await self.vendor.read(request, answer)
                    pacer.finish(ticket, reported(request.prompt, request.output))
                    return
            except BaseException:
                pacer.finish(ticket)
                raise
            pacer.limited(ticket, _error(answer, info))


def reported(prompt: int, output: int) -> Usage:
    """What a vendor tells at the end."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "reported",
        "raw": None,
    }


def _error(answer: Answer, info: RateLimitInfo) -> RateLimitError:
    dimension, limit = answer.quota or (None, None)
    return RateLimitError(
        "429", retry_after=answer.retry_after, dimension=dimension, limit=limit, rate_limit=info, source="body"
    )


class Figures(NamedTuple):
    """
    What came of a run.

    Attributes:
        refusals: answered with 429.
        lost: requests that were given up, or not served within `LONGEST`.
        goodput: work let in, of all that the binding limit allowed until the last of it (or the ideal end, if later).
        time: the last admission, in parts of the earliest possible one.
        wait: p99 of the waits, in seconds.
        ideal_wait: the same if each request had gone at the earliest moment the limit allows, in order.
        disorder: requests that were sent before one that came earlier to the same client.
        jain: Jain's index of the parts of their work that the clients had done at half time.
        calls: of the store, for each request.
    """

    refusals: int
    lost: int
    goodput: float
    time: float
    wait: float
    ideal_wait: float
    disorder: int
    jain: float
    calls: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """
    A load and the world it meets.

    `arrivals` requests a second come at random, None: all at once, but for the first `trickle` of them, which come
    every 20 s. `bias` multiplies the clients' guesses of prompts; `quits` is the part of the requests that is given up
    while it waits. `beside` disturbs the vendor. Answers are not streamed unless `streams`: then the headers are as
    old as the answer is long, which is the hard case.
    """

    vendor: VendorMaker
    client: type[Client] = Paced
    processes: int = 1
    count: int = 500
    shared: bool = False
    round_trip: float = 0.001
    down: tuple[float, float] = (0.0, 0.0)
    limits: Mapping[str, float] | None = None
    bias: float = 1.0
    arrivals: float | None = None
    trickle: int = 0
    quits: float = 0.0
    streams: bool = False
    beside: Callable[[Vendor], Coroutine[object, object, None]] | None = None

    def go(self, seed: int, backend: str = "asyncio") -> Figures:
        """Run it in virtual time."""
        name, options = VIRTUAL[backend]()
        return anyio.run(self._main, seed, backend=name, backend_options=options)

    async def _main(self, seed: int) -> Figures:
        origin = current_time()
        with _clock.replaced(lambda: EPOCH + current_time() - origin):
            return await self._load(seed)

    async def _load(self, seed: int) -> Figures:
        requests = load(self.count, self.processes, random.Random(seed + 2))
        rng = random.Random(seed)
        async with create_task_group() as beside:
            vendor = self.vendor(random.Random(seed + 1), beside)
            vendor.streams = self.streams
            store = FarStore(rng, self.round_trip, self.down) if self.shared else None
            clients = [self.client(vendor, rng, self, store) for _ in range(self.processes)]
            for client in clients:
                beside.start_soon(client.serve)
            if self.beside is not None:
                beside.start_soon(self.beside, vendor)
            with move_on_after(LONGEST):
                async with create_task_group() as tasks:
                    for request in requests:
                        await sleep(self._gap(request, rng))
                        request.submitted = current_time()
                        patience = rng.uniform(1, 300) if rng.random() < self.quits else math.inf
                        tasks.start_soon(self._send, clients[request.process], request, patience)
            beside.cancel_scope.cancel()
        return self._judge(vendor, [request for request in requests if not request.quit], store)

    def _gap(self, request: Request, rng: random.Random) -> float:
        """Seconds before it comes."""
        if self.arrivals is not None:
            return rng.expovariate(self.arrivals)
        return 20.0 if request.number < self.trickle else 1e-4

    async def _send(self, client: Client, request: Request, patience: float) -> None:
        with move_on_after(patience) as scope:
            await client.send(request)
        request.quit = scope.cancelled_caught

    def _judge(self, vendor: Vendor, requests: list[Request], store: FarStore | None) -> Figures:
        done = [request for request in requests if request.accepted is not None and not request.lost]
        ideal = max(0.0, vendor.ideal(requests))
        took = max((request.accepted or 0.0) - vendor.began for request in done)
        until = max(ideal, took)
        waits = sorted((request.sent or 0.0) - request.submitted for request in done)
        late = math.ceil(0.99 * len(waits)) - 1
        sent: list[list[float]] = [[] for _ in range(self.processes)]
        half, whole = [0.0] * self.processes, [0.0] * self.processes
        for request in requests:
            whole[request.process] += vendor.cost(request)
            if request.sent is not None and request.accepted is not None:
                sent[request.process].append(request.sent)
                if request.accepted - vendor.began <= until / 2:
                    half[request.process] += vendor.cost(request)
        shares = [part / all_ for part, all_ in zip(half, whole, strict=True)]
        squares = len(shares) * sum(share * share for share in shares)
        return Figures(
            refusals=vendor.refusals,
            lost=len(requests) - len(done),
            goodput=sum(map(vendor.cost, done)) / vendor.allowed(until),
            time=took / ideal if ideal else 1.0,
            wait=waits[late],
            ideal_wait=max(0.0, vendor.ideal(requests[: late + 1])),
            disorder=sum(b < a - 1e-9 for times in sent for a, b in pairwise(times)),
            jain=sum(shares) ** 2 / squares if squares else 1.0,
            calls=store.calls / len(requests) if store is not None else 0.0,
        )
