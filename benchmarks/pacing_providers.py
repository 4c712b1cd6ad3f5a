"""
The same through the real providers: a burst of 500 calls, against the simulator's own buckets, in virtual time.

usage: python -m benchmarks.pacing_providers [--save]

From the call to the last word all is the library's own: providers, requests, headers, pacer. The simulator is in
memory, so that an hour passes in seconds. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anyio
import httpx
from anyio import create_task_group, current_time
from tests.loops import VIRTUAL

from headrace import AIMessage, GenerationConfig
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.base import BaseProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Limits, Script, Simulator, Tokens

from ._bench import machine, save, table, unbroken, versions

COUNT = 500
MOST = 200  # tokens that a call asks for


@dataclass(frozen=True, kw_only=True)
class Row:
    """A vendor with its limits. `binding` is the dimension that decides, `each` what a call takes of it."""

    name: str
    kind: type[BaseProvider]
    path: str
    limits: Limits
    binding: int
    each: int
    refusals: int = 0
    goodput: float = 0.97
    told: Mapping[str, float] | None = None


ROWS = (
    Row(
        name="OpenAI-like, tokens",
        kind=OpenAIProvider,
        path="/openai/v1",
        limits=Limits(requests=500, tokens=20_000),
        binding=20_000,
        each=MOST,
        goodput=0.97,
    ),
    Row(
        name="OpenAI-like, requests",
        kind=OpenAIProvider,
        path="/openai/v1",
        limits=Limits(requests=60, tokens=2_000_000),
        binding=60,
        each=1,
        goodput=0.97,
    ),
    Row(
        name="Anthropic-like, requests",
        kind=AnthropicProvider,
        path="/anthropic",
        limits=Limits(requests=50, tokens=None, input_tokens=30_000, output_tokens=8_000),
        binding=50,
        each=1,
        goodput=0.97,
    ),
    Row(
        name="Gemini-like, limits unknown",
        kind=GeminiProvider,
        path="/gemini",
        limits=Limits(requests=50, tokens=None),
        binding=50,
        each=1,
        refusals=4,
        goodput=0.90,
    ),
    Row(
        name="Gemini-like, limits told",
        kind=GeminiProvider,
        path="/gemini",
        limits=Limits(requests=50, tokens=None),
        binding=50,
        each=1,
        goodput=0.90,
        told={"requests": 50},
    ),
)


@dataclass
class Result:
    """What came of a burst: refusals, seconds, share of what the limit allowed, calls that failed."""

    refusals: int
    took: float
    goodput: float
    lost: int


async def burst(row: Row) -> Result:
    """All calls at once, at most two requests each."""
    rng = random.Random(1)
    sim = Simulator(seed=1, limits={row.kind.name: row.limits})
    sim.play(
        row.kind.name,
        *[
            Script(
                text="word " * 20, usage=Tokens(prompt=30, completion=rng.randint(20, 120)), first_delay=0.4, delay=0.02
            )
            for _ in range(COUNT)
        ],
    )
    lost = 0
    policy = RateLimitPolicy(max_wait=7200.0, limits=row.told)
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        provider = row.kind(  # type: ignore[call-arg]  # of vendors' providers
            "k", base_url=f"http://sim{row.path}", http_client=client, limits=policy, max_attempts=3, max_requests=COUNT
        )
        began = current_time()

        async def ask() -> None:
            nonlocal lost
            try:
                await provider.chat([AIMessage("user", "Say some words.")], GenerationConfig(max_tokens=MOST))
            except Exception:  # counted, whatever it is
                lost += 1

        async with provider, create_task_group() as tasks:
            for _ in range(COUNT):
                tasks.start_soon(ask)
        took = current_time() - began
    refusals = sum(exchange.status == 429 for exchange in sim.exchanges)
    allowed = row.binding * (1 + took / 60.0)
    return Result(refusals, took, min(1.0, COUNT * row.each / allowed), lost)


HEAD = ["scenario", "refusals", "lost", "goodput", "seconds"]


def scenarios() -> list[dict[str, Any]]:
    """What came of each row, and what was to come of it."""
    rows = []
    for number, row in enumerate(ROWS):
        backend, options = VIRTUAL[("asyncio", "trio")[number % 2]]()
        result = anyio.run(burst, row, backend=backend, backend_options=options)
        rows.append(
            {"scenario": row.name, **asdict(result), "most refusals": row.refusals, "least goodput": row.goodput}
        )
        print("  ".join(shown(rows[-1])), flush=True)
    return rows


def shown(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row."""
    return [
        row["scenario"],
        unbroken(f"{row['refusals']} (≤ {row['most refusals']})"),
        unbroken(f"{row['lost']} (≤ 0)"),
        unbroken(f"{row['goodput']:.1%} (≥ {row['least goodput']:.1%})"),
        f"{row['took']:.0f}",
    ]


def missed(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The scenarios that miss a target."""
    return [
        row["scenario"]
        for row in rows
        if row["refusals"] > row["most refusals"] or row["lost"] or row["goodput"] < row["least goodput"]
    ]


def measure() -> dict[str, Any]:
    """All scenarios."""
    return {
        "command": "python -m benchmarks.pacing_providers",
        "machine": machine(),
        "versions": versions("anyio", "trio", "httpx"),
        "requests": COUNT,
        "rows": scenarios(),
    }


def section(data: Mapping[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    wrong = missed(data["rows"])
    about = (
        f"`{data['command']}`: {data['requests']} calls at once through the real providers, against the simulator's "
        "buckets in memory and in virtual time, one seed; "
        f"{'**missed: ' + '; '.join(wrong) + '**' if wrong else 'all targets are met'}. "
        f"{data['machine']}; {data['versions']}."
    )
    return "\n\n".join(("## Pacing through the providers", about, table(HEAD, [shown(row) for row in data["rows"]])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="keep it for the report")
    wanted = parser.parse_args().save
    measured = measure()
    if wanted:
        print(f"written: {save('pacing_providers', measured)}")
    sys.exit(1 if missed(measured["rows"]) else 0)
