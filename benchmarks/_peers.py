"""
How others treat rate limits: the baselines of `pacing`, each in as few lines as its idea takes.

They are written from what the sources of the packages do, at their best: where one gives up with an error after a
retry, the request is lost; where one would wait for ever, it waits.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from anyio import Lock, current_time, sleep

from headrace import _clock

from ._load import Client, FarStore, Run
from ._world import Answer, AnthropicLike, GeminiLike, OpenAILike, Request, Vendor

__all__ = ("PEERS",)


class Sdk(Client):
    """The official SDKs as shipped: 2 retries, after what retry-after says, else 0.5 s doubled up to 8, less 25 %."""

    retries: float = 2

    async def send(self, request: Request) -> None:
        tries = 0
        while (answer := await self.vendor.call(request)).status != 200:
            if tries >= self.retries:
                request.lost = True
                return
            backoff = min(8.0, 0.5 * 2**tries) * (1 - 0.25 * self.rng.random())
            await sleep(answer.retry_after if answer.retry_after is not None else backoff)
            tries += 1


class Endless(Sdk):
    """The same, for as long as it takes."""

    retries = math.inf


class Below20(Client):
    """Below 20 % of any limit, the process sleeps until the reset that the headers tell; retry-after on a refusal."""

    def __init__(self, vendor: Vendor, rng: random.Random, run: Run, store: FarStore | None) -> None:
        super().__init__(vendor, rng, run, store)
        self.until = -math.inf

    async def send(self, request: Request) -> None:
        while True:
            while (left := self.until - current_time()) > 0:  # noqa: ASYNC110  # others may put it off
                await sleep(left)
            answer = await self.vendor.call(request)
            for limit in self.told(answer).dimensions:
                if limit.remaining is None or limit.limit is None or limit.reset_at is None:
                    continue
                if limit.remaining < 0.2 * limit.limit:
                    self.until = max(self.until, current_time() + limit.reset_at - _clock.wall())
            if answer.status == 200:
                return
            await sleep(answer.retry_after if answer.retry_after is not None else 1.0)


class TypedIn(Client):
    """A bucket in each process, first come first served, with the vendor's exact limits and rule typed in by hand."""

    def __init__(self, vendor: Vendor, rng: random.Random, run: Run, store: FarStore | None) -> None:
        super().__init__(vendor, rng, run, store)
        self.limits = _limits(vendor)
        self.levels, self.at = dict(self.limits), current_time()
        self.line = Lock()

    async def send(self, request: Request) -> None:
        charge = self.charge(request)
        while True:
            async with self.line:
                while (wait := self.missing(charge)) > 0:  # noqa: ASYNC110  # nobody else adds to it
                    await sleep(wait + 1e-4)
                for name, amount in charge.items():
                    self.levels[name] -= amount
            answer: Answer = await self.vendor.call(request)
            if answer.status == 200:
                return
            await sleep(answer.retry_after if answer.retry_after is not None else 1.0)

    def charge(self, request: Request) -> Mapping[str, float]:
        if isinstance(self.vendor, OpenAILike):
            return {"requests": 1, "tokens": request.guess + request.max_tokens}
        if isinstance(self.vendor, AnthropicLike):
            return {"requests": 1, "input-tokens": request.guess, "output-tokens": request.max_tokens}
        return {"requests": 1, "input_tokens": request.guess}

    def missing(self, charge: Mapping[str, float]) -> float:
        """Seconds until all of it is there."""
        now = current_time()
        for name, limit in self.limits.items():
            self.levels[name] = min(limit, self.levels[name] + (now - self.at) * limit / 60)
        self.at = now
        return max((charge[name] - self.levels[name]) * 60 / limit for name, limit in self.limits.items())


def _limits(vendor: Vendor) -> dict[str, float]:
    if isinstance(vendor, GeminiLike):
        return {name: float(limit) for name, limit in vendor.limits.items()}
    assert isinstance(vendor, OpenAILike | AnthropicLike)
    return {name: bucket.capacity for name, bucket in vendor.buckets.items()}


PEERS: Mapping[str, type[Client]] = {
    "official SDKs, 2 retries": Sdk,
    "the same, endless": Endless,
    "sleep to the reset below 20 %": Below20,
    "client bucket, limits typed in": TypedIn,
}
