"""
Vendors that keep rate limits, in virtual time: the witnesses of `pacing`.

They know nothing of headrace: requests in, a status, header texts and a body out. Each keeps its limits as its
documentation (or what people report of it) says; the network and the models take time. Run them on a loop whose clock
jumps.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Literal

from anyio import current_time, sleep
from anyio.abc import TaskGroup

EPOCH = 1_790_000_000.0  # Unix seconds at the loop's time 0
Charging = Literal["sum", "max", "input", "refund"]


@dataclass(slots=True)
class Request:
    """
    One of the load. `guess` is what the client thinks of the prompt, `prompt` what the vendor counts, `output` what
    comes of it. Times are the loop's.
    """

    number: int
    process: int
    guess: int
    prompt: int
    output: int
    max_tokens: int
    submitted: float = 0.0
    sent: float | None = None
    accepted: float | None = None
    lost: bool = False  # given up after an error
    quit: bool = False  # the caller did not wait for it


@dataclass(slots=True)
class Answer:
    """What the client sees."""

    status: int
    headers: dict[str, str]
    quota: tuple[str, int] | None = None
    retry_after: float | None = None
    rest: float = 0.0  # seconds of a stream after its headers


@dataclass(slots=True)
class Bucket:
    """A refilling bucket."""

    capacity: float
    rate: float
    level: float = field(init=False)
    at: float = field(default_factory=current_time)

    def __post_init__(self) -> None:
        self.level = self.capacity

    def refill(self) -> None:
        now = current_time()
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now

    def wait(self, amount: float) -> float:
        return max(0.0, (min(amount, self.capacity) - self.level) / self.rate)

    @property
    def full_in(self) -> float:
        return max(0.0, (self.capacity - self.level) / self.rate)


def load(count: int, processes: int, rng: random.Random, *, max_tokens: int = 512, error: float = 0.1) -> list[Request]:
    """Prompts and answers of log-normal length; the client's guess is off by `error` (a standard deviation)."""
    requests = []
    for number in range(count):
        guess = int(min(3000, max(20, rng.lognormvariate(math.log(300), 0.8))))
        output = int(min(max_tokens, max(5, rng.lognormvariate(math.log(150), 0.7))))
        prompt = max(1, round(guess * math.exp(rng.gauss(0.0, error))))
        requests.append(Request(number, number % processes, guess, prompt, output, max_tokens))
    return requests


class Vendor:
    """
    One vendor: what it lets in, and how long it takes. `refusals` counts what it turned away; with `streams` the
    headers come with the first word.
    """

    dialect = ""
    binding: str

    def __init__(self, rng: random.Random, tasks: TaskGroup) -> None:
        self.rng, self.tasks = rng, tasks
        self.began = current_time()
        self.refusals = 0
        self.streams = False

    async def call(self, request: Request) -> Answer:
        """One exchange up to its headers, which tell of its admission; they come with the end unless it is streamed."""
        sent = current_time()
        await sleep(self.rng.uniform(0.015, 0.045))
        answer = self.admit(request)
        if answer.status != 200:
            self.refusals += 1
            await sleep(0.01 + self.rng.uniform(0.015, 0.045))
            return answer
        request.sent, request.accepted = sent, current_time()
        decoding = request.output / self.rng.uniform(60, 120)
        self.produce(request, decoding)
        await sleep(self.rng.uniform(0.25, 0.7) + (0.0 if self.streams else decoding) + self.rng.uniform(0.015, 0.045))
        if self.streams:
            answer.rest = decoding
        else:
            self.end(request)
        return answer

    async def read(self, request: Request, answer: Answer) -> None:
        """The rest of an answer, if it is streamed."""
        if answer.rest:
            await sleep(answer.rest)
            self.end(request)

    def admit(self, request: Request) -> Answer:
        raise NotImplementedError

    def produce(self, request: Request, seconds: float) -> None:
        """Words are generated."""

    def end(self, request: Request) -> None:
        """All are."""

    def cost(self, request: Request) -> float:
        """Of the binding limit."""
        return 1.0

    def ideal(self, requests: list[Request]) -> float:
        """Seconds at which the last of the load can be let in at the earliest."""
        raise NotImplementedError

    def allowed(self, seconds: float) -> float:
        """Units of the binding limit that may be used by then."""
        raise NotImplementedError


class OpenAILike(Vendor):
    """
    Two buckets, charged at admission; a refused request costs one request.

    `charging` is how tokens are counted: prompt and max_tokens, the larger of the two, the prompt alone, or the first
    with what was not used given back. `hidden`: a bucket of so many seconds that no header tells. The limits are for
    `window` seconds, that of requests for `requests_window`.
    """

    dialect = "openai"

    def __init__(
        self,
        rng: random.Random,
        tasks: TaskGroup,
        *,
        rpm: int = 500,
        tpm: int = 60_000,
        charging: Charging = "sum",
        hidden: float | None = None,
        window: float = 60.0,
        requests_window: float | None = None,
    ) -> None:
        super().__init__(rng, tasks)
        self.charging = charging
        rate = rpm / (requests_window or window)
        self.buckets = {"requests": Bucket(rpm, rate), "tokens": Bucket(tpm, tpm / window)}
        self.hidden = Bucket(max(1.0, rate * hidden), rate) if hidden else None
        self.binding = "tokens" if tpm < 1000 * rpm else "requests"

    def tokens(self, request: Request) -> float:
        prompt, most = request.prompt, request.max_tokens
        return {"sum": prompt + most, "max": max(prompt, most), "input": prompt, "refund": prompt + most}[self.charging]

    def cost(self, request: Request) -> float:
        if self.charging == "refund":
            return request.prompt + request.output
        return self.tokens(request) if self.binding == "tokens" else 1.0

    def headers(self) -> dict[str, str]:
        told = {}
        for name, bucket in self.buckets.items():
            told[f"x-ratelimit-limit-{name}"] = f"{bucket.capacity:.0f}"
            told[f"x-ratelimit-remaining-{name}"] = str(max(0, math.floor(bucket.level)))
            told[f"x-ratelimit-reset-{name}"] = _duration(bucket.full_in)
        return told

    def admit(self, request: Request) -> Answer:
        charge = {"requests": 1.0, "tokens": self.tokens(request)}
        for bucket in self.buckets.values():
            bucket.refill()
        wait = max(bucket.wait(charge[name]) for name, bucket in self.buckets.items())
        if self.hidden is not None:
            self.hidden.refill()
            wait = max(wait, self.hidden.wait(1))
        if wait > 1e-9:
            self.buckets["requests"].level -= 1 if self.buckets["requests"].level >= 1 else 0
            headers = self.headers() | {
                "retry-after-ms": str(math.ceil(wait * 1000)),
                "retry-after": str(max(1, math.ceil(wait))),
            }
            return Answer(429, headers, retry_after=math.ceil(wait * 1000) / 1000)
        for name, bucket in self.buckets.items():
            bucket.level -= charge[name]
        if self.hidden is not None:
            self.hidden.level -= 1
        return Answer(200, self.headers())

    def end(self, request: Request) -> None:
        if self.charging == "refund":
            bucket = self.buckets["tokens"]
            bucket.refill()
            bucket.level = min(bucket.capacity, bucket.level + request.max_tokens - request.output)

    def ideal(self, requests: list[Request]) -> float:
        bucket = self.buckets[self.binding]
        return max(0.0, (sum(map(self.cost, requests)) - bucket.capacity) / bucket.rate)

    def allowed(self, seconds: float) -> float:
        bucket = self.buckets[self.binding]
        return bucket.capacity + bucket.rate * seconds


class AnthropicLike(Vendor):
    """
    Requests, input and output tokens; output is charged while it is produced. What is left of the tokens is rounded to
    thousands, resets are whole seconds of a clock that is 7 s ahead.
    """

    dialect = "anthropic"
    binding = "output-tokens"

    def __init__(
        self, rng: random.Random, tasks: TaskGroup, *, rpm: int = 50, itpm: int = 30_000, otpm: int = 8_000
    ) -> None:
        super().__init__(rng, tasks)
        limits = {"requests": rpm, "input-tokens": itpm, "output-tokens": otpm}
        self.buckets = {name: Bucket(limit, limit / 60) for name, limit in limits.items()}

    def cost(self, request: Request) -> float:
        return request.output

    def headers(self) -> dict[str, str]:
        wall = EPOCH + 7.0 + current_time()
        told = {"date": formatdate(wall, usegmt=True)}
        for name, bucket in self.buckets.items():
            grain = 1 if name == "requests" else 1000
            told[f"anthropic-ratelimit-{name}-limit"] = f"{bucket.capacity:.0f}"
            told[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, round(math.floor(bucket.level) / grain) * grain))
            told[f"anthropic-ratelimit-{name}-reset"] = _rfc3339(wall + bucket.full_in)
        return told

    def admit(self, request: Request) -> Answer:
        for bucket in self.buckets.values():
            bucket.refill()
        wait = max(self.buckets["requests"].wait(1), self.buckets["input-tokens"].wait(request.prompt))
        output = self.buckets["output-tokens"]
        if output.level <= 0:
            wait = max(wait, (1 - output.level) / output.rate)
        if wait > 1e-9:
            seconds = max(1, math.ceil(wait))
            return Answer(429, self.headers() | {"retry-after": str(seconds)}, retry_after=float(seconds))
        self.buckets["requests"].level -= 1
        self.buckets["input-tokens"].level -= request.prompt
        return Answer(200, self.headers())

    def produce(self, request: Request, seconds: float) -> None:
        self.tasks.start_soon(self._produce, request.output, seconds)

    async def _produce(self, output: int, seconds: float) -> None:
        steps, bucket = max(1, int(seconds / 0.5)), self.buckets["output-tokens"]
        await sleep(0.3)
        for _ in range(steps):
            await sleep(seconds / steps)
            bucket.refill()
            bucket.level -= output / steps

    def ideal(self, requests: list[Request]) -> float:
        bucket = self.buckets[self.binding]
        return max(0.0, (sum(map(self.cost, requests)) - bucket.capacity) / bucket.rate)

    def allowed(self, seconds: float) -> float:
        bucket = self.buckets[self.binding]
        return bucket.capacity + bucket.rate * seconds


class GeminiLike(Vendor):
    """Fixed minutes of unknown phase, no headers; a refusal names the quota and a delay, or (`bare`) nothing."""

    dialect = "gemini"
    binding = "requests"

    def __init__(
        self, rng: random.Random, tasks: TaskGroup, *, rpm: int = 50, itpm: int = 60_000, bare: bool = False
    ) -> None:
        super().__init__(rng, tasks)
        self.limits = {"requests": rpm, "input_tokens": itpm}
        self.phase, self.bare = rng.uniform(5, 55), bare
        self.minute, self.used = -1, dict.fromkeys(self.limits, 0)

    def admit(self, request: Request) -> Answer:
        at = current_time() - self.began + self.phase
        if int(at // 60) != self.minute:
            self.minute, self.used = int(at // 60), dict.fromkeys(self.limits, 0)
        charge = {"requests": 1, "input_tokens": request.prompt}
        over = [name for name in charge if self.used[name] + charge[name] > self.limits[name]]
        if over:
            if self.bare:
                return Answer(429, {})
            return Answer(429, {}, (over[0], self.limits[over[0]]), float(math.ceil(60 - at % 60)))
        for name, amount in charge.items():
            self.used[name] += amount
        return Answer(200, {})

    def ideal(self, requests: list[Request]) -> float:
        return (math.ceil(len(requests) / self.limits["requests"]) - 1) * 60 - self.phase

    def allowed(self, seconds: float) -> float:
        """Windows needed over windows gone by, in requests: whoever does not know the phase reaches 94 %."""
        return self.limits["requests"] * (seconds + self.phase + 60) / 60


def _duration(seconds: float) -> str:
    """As Go writes it: 120ms, 1.2s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    written = f"{math.ceil(rest * 1000) / 1000:g}s"
    return f"{minutes:.0f}m{written}" if minutes else written


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(math.ceil(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


VendorMaker = Callable[[random.Random, TaskGroup], Vendor]
