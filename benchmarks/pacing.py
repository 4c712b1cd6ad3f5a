"""
Does the pacer keep the vendors' limits, and what does it lose by that? In virtual time, a burst of 500 requests.

Each row is run with `--seeds` seeds, in turns on asyncio and trio; the worst seed counts. Exits with 1 if a target is
missed. `--cost` measures the microseconds of a request in real time.

usage: python -m benchmarks.pacing [--seeds N] [--only PART_OF_A_NAME] [--peers] [--cost] [--save]
"""

from __future__ import annotations

import argparse
import logging
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio import sleep
from anyio.abc import TaskGroup

from headrace._types import LimitDimension, RateLimitInfo
from headrace.limits.cost import Cost
from headrace.limits.pacer import Pacer

from ._bench import machine, save, table, unbroken, versions
from ._load import Figures, Run, reported
from ._peers import PEERS
from ._plots import Bars, Panel, Plot
from ._world import AnthropicLike, GeminiLike, OpenAILike, Vendor

NEVER = math.inf
HAIR = 1e-3  # seconds; a wait that no clock of a process would show
COST_MOST = 25  # microseconds of a request
BACKENDS = ("asyncio", "trio")
OURS = "headrace"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the worst seed must reach; None where nothing is asked."""

    refusals: int
    goodput: float | None = None
    mean_goodput: float | None = None  # of all seeds, where the phase of a window decides over a single one
    time: float | None = None
    wait: float | None = None  # p99, in parts of the ideal
    added: float | None = None  # p99, in seconds
    jain: float | None = None
    calls: float | None = None
    ordered: bool = False


def rpm(rng: random.Random, tasks: TaskGroup) -> Vendor:
    """Few requests and plenty of tokens."""
    return OpenAILike(rng, tasks, rpm=60, tpm=2_000_000)


def bare(rng: random.Random, tasks: TaskGroup) -> Vendor:
    """Refusals without a word."""
    return GeminiLike(rng, tasks, bare=True)


def hidden(rng: random.Random, tasks: TaskGroup) -> Vendor:
    """A second's worth of requests is enforced, and not told."""
    return OpenAILike(rng, tasks, hidden=1.0)


def ten_seconds(rng: random.Random, tasks: TaskGroup) -> Vendor:
    """Azure: the headers count in windows of 10 s and do not say so."""
    return OpenAILike(rng, tasks, rpm=20, tpm=100_000, window=10.0)


def daily(rng: random.Random, tasks: TaskGroup) -> Vendor:
    """Groq: requests by the day, tokens by the minute, under the same names."""
    return OpenAILike(rng, tasks, rpm=14_400, requests_window=86_400.0)


async def halved(vendor: Vendor) -> None:
    """After two minutes the limits are half of what they were."""
    assert isinstance(vendor, OpenAILike)
    await sleep(120)
    for bucket in vendor.buckets.values():
        bucket.refill()
        bucket.capacity, bucket.rate, bucket.level = bucket.capacity / 2, bucket.rate / 2, bucket.level / 2


async def foreign(vendor: Vendor) -> None:
    """Another application asks for 30 % of the tokens, at random; a refusal is retried after a second."""
    assert isinstance(vendor, OpenAILike)
    rng = random.Random(7)
    tokens = vendor.buckets["tokens"]
    refused = False
    while True:
        size = min(2000.0, rng.lognormvariate(math.log(300), 0.8)) + 512
        await sleep(1.0 if refused else rng.expovariate(0.3 * tokens.rate / 950))
        tokens.refill()
        refused = tokens.level < size
        if not refused:
            tokens.level -= size


def _openai(*, charging: str) -> Callable[[random.Random, TaskGroup], Vendor]:
    def made(rng: random.Random, tasks: TaskGroup) -> Vendor:
        return OpenAILike(rng, tasks, charging=charging)  # type: ignore[arg-type]

    return made


WHOLE = Target(refusals=0, goodput=0.995, wait=1.01, ordered=True)
FAIR = replace(WHOLE, jain=0.98, calls=6)
APART = Target(refusals=6, goodput=0.94)
CLOSE = Target(refusals=0, time=1.03)
LOAD = 60_000 / 60 / (412 + 512)  # requests a second that use all of the tokens: their mean prompt, and max_tokens

SCENARIOS: Mapping[str, tuple[Run, Target]] = {
    "OpenAI-like, tokens": (Run(vendor=OpenAILike), WHOLE),
    "OpenAI-like, requests": (Run(vendor=rpm), WHOLE),
    "OpenAI-like, tokens, 4 share a store": (Run(vendor=OpenAILike, processes=4, shared=True), FAIR),
    "OpenAI-like, requests, 4 share a store": (Run(vendor=rpm, processes=4, shared=True), FAIR),
    "Anthropic-like": (Run(vendor=AnthropicLike), Target(refusals=0, goodput=0.97)),
    "Anthropic-like, 4 share a store": (
        Run(vendor=AnthropicLike, processes=4, shared=True),
        Target(refusals=0, goodput=0.97, jain=0.98, calls=6),
    ),
    "OpenAI-like, tokens, 4 without a store": (Run(vendor=OpenAILike, processes=4), APART),
    "OpenAI-like, requests, 4 without a store": (Run(vendor=rpm, processes=4), APART),
    "Anthropic-like, 4 without a store": (Run(vendor=AnthropicLike, processes=4), APART),
    "Gemini-like, limits unknown": (Run(vendor=GeminiLike), Target(refusals=4, mean_goodput=0.93)),
    "Gemini-like, limits told": (
        Run(vendor=GeminiLike, limits={"requests": 50, "input_tokens": 60_000}),
        Target(refusals=0, mean_goodput=0.92),
    ),
    "Gemini-like, limits unknown, refusals without a word": (Run(vendor=bare), Target(refusals=8, mean_goodput=0.88)),
    "estimates are half": (Run(vendor=OpenAILike, bias=0.5), CLOSE),
    "estimates are double": (Run(vendor=OpenAILike, bias=2.0), CLOSE),
    "charged: the larger of prompt and max_tokens": (Run(vendor=_openai(charging="max")), CLOSE),
    "charged: the prompt alone, streamed": (Run(vendor=_openai(charging="input"), streams=True), CLOSE),
    # What answers on their way were charged too much is not known yet: that is a few seconds, once.
    "charged: the prompt alone, not streamed": (Run(vendor=_openai(charging="input")), replace(CLOSE, time=1.06)),
    "charged: both, the rest given back": (Run(vendor=_openai(charging="refund")), CLOSE),
    "a hidden window of 1 s": (Run(vendor=hidden), Target(refusals=5)),
    "limits are halved": (Run(vendor=OpenAILike, beside=halved), Target(refusals=2)),
    "a foreign application takes 30 %": (Run(vendor=OpenAILike, beside=foreign), Target(refusals=1)),
    "windows of 10 s that nobody tells": (Run(vendor=ten_seconds), Target(refusals=0, goodput=0.98)),
    "requests by the day, tokens by the minute": (Run(vendor=daily), Target(refusals=0, goodput=0.99)),
    "the store is away for 120 s": (
        Run(vendor=OpenAILike, processes=4, shared=True, down=(100.0, 220.0)),
        Target(refusals=0, goodput=0.97),
    ),
    "the store is away from the start": (
        Run(vendor=OpenAILike, processes=4, shared=True, down=(0.0, NEVER)),
        Target(refusals=6, goodput=0.94),
    ),
    "load at 60 % of the limit": (Run(vendor=OpenAILike, arrivals=0.60 * LOAD), Target(refusals=0, added=0.0)),
    "load at 95 % of the limit": (Run(vendor=OpenAILike, arrivals=0.95 * LOAD), Target(refusals=0, added=0.0)),
    "a fifth of those who wait go away": (Run(vendor=OpenAILike, quits=0.2), Target(refusals=0)),
}
SHOWN = "OpenAI-like, tokens, 4 without a store"  # in the plot
FOR_PEERS = (
    "OpenAI-like, tokens",
    "OpenAI-like, tokens, 4 without a store",
    "Anthropic-like",
    "Anthropic-like, 4 without a store",
    "Gemini-like, limits unknown",
)


COLUMNS: Mapping[str, str] = {  # each with the format of its figures
    "refusals": ".0f",
    "lost": ".0f",
    "goodput, mean": ".1%",
    "goodput, least": ".1%",
    "time / ideal": ".3f",
    "p99 wait / ideal": ".3f",
    "out of order": ".0f",
    "Jain": ".3f",
    "store calls a request": ".1f",
}


BOUNDS = (("most", "≤"), ("least", "≥"))


def judged(target: Target, seeds: Sequence[Figures]) -> dict[str, dict[str, float | None]]:
    """The row's figures by their columns, each with the most or the least that its target asks for."""

    def cell(value: float, *, most: float | None = None, least: float | None = None) -> dict[str, float | None]:
        return {"value": value, "most": most, "least": least}

    waits = [one.wait / one.ideal_wait if one.ideal_wait else 1.0 for one in seeds]
    if target.added is None:
        wait = {"p99 wait / ideal": cell(max(waits), most=target.wait)}
    else:
        wait = {"p99 wait, s": cell(max(0.0, max(one.wait for one in seeds) - HAIR), most=target.added)}
    return {
        "refusals": cell(max(one.refusals for one in seeds), most=target.refusals),
        "lost": cell(max(one.lost for one in seeds), most=0),
        "goodput, mean": cell(statistics.mean(one.goodput for one in seeds), least=target.mean_goodput),
        "goodput, least": cell(min(one.goodput for one in seeds), least=target.goodput),
        "time / ideal": cell(max(one.time for one in seeds), most=target.time),
        **wait,
        "out of order": cell(max(one.disorder for one in seeds), most=0 if target.ordered else None),
        "Jain": cell(min(one.jain for one in seeds), least=target.jain),
        "store calls a request": cell(max(one.calls for one in seeds), most=target.calls),
    }


def missed(row: Mapping[str, Any]) -> list[str]:
    """The targets of a row that are not met."""
    return [
        f"{row['scenario']}: {name}"
        for name, cell in row["figures"].items()
        if (cell["most"] is not None and cell["value"] > cell["most"] + 1e-9)
        or (cell["least"] is not None and cell["value"] < cell["least"])
    ]


def shown(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row; a target stands in parentheses."""
    cells = [row["scenario"]]
    for name, form in COLUMNS.items():
        cell, unit = row["figures"].get(name), ""
        if cell is None:  # nobody would have to wait at all
            cell, form, unit = row["figures"]["p99 wait, s"], ".1f", " s"
        bounds = [f" ({sign} {cell[key]:{form}})" for key, sign in BOUNDS if cell[key] is not None]
        cells.append(unbroken(f"{cell['value']:{form}}{''.join(bounds)}{unit}"))
    return cells


def scenarios(seeds: int, only: str = "") -> list[dict[str, Any]]:
    """Each scenario's figures."""
    logging.getLogger("headrace").setLevel(logging.ERROR)  # stores go away here on purpose
    rows = []
    for name, (run, target) in SCENARIOS.items():
        if only not in name:
            continue
        began = time.perf_counter()
        figures = judged(target, [run.go(10 * seed + 1, BACKENDS[seed % 2]) for seed in range(seeds)])
        row = {"scenario": name, "figures": figures}
        rows.append(row)
        took = time.perf_counter() - began
        print(f"{took:5.1f} s  {'MISSED ' * bool(missed(row))}{', '.join(shown(row))}", file=sys.stderr)
    return rows


def peers() -> list[dict[str, Any]]:
    """How the others fare in some of the scenarios: one seed each, since they are far apart."""
    rows = []
    for name in FOR_PEERS:
        run, _ = SCENARIOS[name]
        for peer, client in {OURS: run.client, **PEERS}.items():
            one = replace(run, client=client, shared=False).go(1)
            row = {
                "scenario": name,
                "who": peer,
                "refusals": one.refusals,
                "lost": one.lost,
                "goodput": one.goodput,
                "time": one.time,
                "out of order": one.disorder,
            }
            rows.append(row)
            print(*row.values(), sep=", ", file=sys.stderr)
    return rows


def cost(rounds: int = 7, count: int = 20_000) -> float:
    """CPU microseconds of `take`, `sample` and `finish` of one request while the limits are far; the median round."""
    wall = time.time()
    names = ("requests", "tokens")
    dimensions = tuple(LimitDimension(name, 1e9, 1e9 - 1000, wall + 0.06) for name in names)
    info = RateLimitInfo(dimensions=dimensions, observed_at=wall, source="headers")
    usage = reported(400, 150)

    async def one_round() -> float:
        pacer, asked = Pacer(), Cost(400, 512)
        began = time.process_time()
        for _ in range(count):
            ticket = await pacer.take(asked, scope="model")
            pacer.sample(ticket, info)
            pacer.finish(ticket, usage)
        return (time.process_time() - began) / count * 1e6

    return statistics.median(anyio.run(one_round) for _ in range(rounds))


def measure(*, seeds: int = 20) -> dict[str, Any]:
    """All scenarios, the others in some of them, and the cost of a request."""
    return {
        "command": f"python -m benchmarks.pacing --seeds {seeds}",
        "machine": machine(),
        "versions": versions("anyio", "trio"),
        "seeds": seeds,
        "requests": Run.count,
        "rows": scenarios(seeds),
        "peers": peers(),
        "cost_us": cost(),
    }


def section(data: Mapping[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    wrong = [one for row in data["rows"] for one in missed(row)]
    about = (
        f"`{data['command']}`: a burst of {data['requests']} requests in virtual time, {data['seeds']} seeds in turns "
        "on asyncio and trio; the worst seed counts. A refusal is a 429. Goodput is the work let in, of all that the "
        "binding limit allowed until the last of it. Targets stand in parentheses; "
        f"{'**missed: ' + '; '.join(wrong) + '**' if wrong else 'all are met'}."
    )
    others = "The same bursts, one seed, with what others do, each process by itself (`benchmarks/_peers.py`):"
    head = ("scenario", "who", "refusals", "goodput", "time / ideal", "out of order")
    lines = [
        [
            row["scenario"],
            row["who"],
            f"{row['refusals']:,}",
            f"{row['goodput']:.1%}" + (f", {row['lost']} lost" if row["lost"] else ""),
            f"{row['time']:.2f}",
            f"{row['out of order']:,}",
        ]
        for row in data["peers"]
    ]
    micro = (
        f"`take`, `sample` and `finish` of one request while the limits are far: {data['cost_us']:.0f} µs of CPU "
        f"(target {COST_MOST}). {data['machine']}; {data['versions']}."
    )
    body = table(("scenario", *COLUMNS), [shown(row) for row in data["rows"]])
    return "\n\n".join(("## Pacing", about, body, others, table(head, lines), micro))


def plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    """The plot of the section: all who were compared, in one of the scenarios."""
    rows = [row for row in data["peers"] if row["scenario"] == SHOWN]
    panels = [
        Panel("refusals", {"refusals": [row["refusals"] for row in rows]}, log=True, form="{:,.0f}"),
        Panel(f"lost, of {data['requests']}", {"lost": [row["lost"] for row in rows]}, form="{:,.0f}"),
        Panel("of what the limit allowed", {"goodput": [row["goodput"] for row in rows]}, form="{:.1%}"),
    ]
    told = "; ".join(
        f"{row['who']}: {row['refusals']:,} refusals, {row['lost']} lost, {row['goodput']:.1%}" for row in rows
    )
    alt = f"Refusals, requests lost, and the part of the limit that was used, {SHOWN}: {told}."
    return {"pacing": Bars(labels=[row["who"] for row in rows], panels=panels, alt=alt)}


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Its lines at the top of the page: what, how much, the section's anchor."""
    figures = {row["scenario"]: row["figures"] for row in data["rows"]}
    told = "; ".join(
        f"{name}: {figures[name]['refusals']['value']:.0f}, {figures[name]['goodput, least']['value']:.1%}"
        for name in ("OpenAI-like, tokens", "Anthropic-like")
    )
    return [("Refusals of a burst, and the part of the limit that it used", told, "pacing")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="a part of a scenario's name; the scenarios, and nothing else")
    parser.add_argument("--peers", action="store_true", help="others on some of the scenarios, and nothing else")
    parser.add_argument("--cost", action="store_true", help="microseconds of a request, and nothing else")
    parser.add_argument("--save", action="store_true", help="measure all of it, and keep it for the report")
    given = parser.parse_args()
    if given.save:
        data = measure(seeds=given.seeds)
        print(f"written: {save('pacing', data)}")
        rows = data["rows"]
    elif given.peers:
        peers()
        return
    elif given.cost:
        measured = cost()
        print(f"{measured:.1f} µs a request (target {COST_MOST})")
        sys.exit(measured > COST_MOST)
    else:
        rows = scenarios(given.seeds, given.only)
        print(table(("scenario", *COLUMNS), [shown(row) for row in rows]))
    if wrong := [one for row in rows for one in missed(row)]:
        sys.exit("missed: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
