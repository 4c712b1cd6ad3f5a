"""
How many chunks a second does one client process read, against the streams that are open at once?

Each client is a process of its own and they take turns, run by run. In a run so many tasks each read one answer after
the other, at least `ANSWERS` in all, on connections that a run before it has opened as far as they are kept. Every
answer must have all its words. The source, in another process, writes as fast as it is read; how much of a core it and
the client used tells who of them was the bottleneck.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any, Self

import anyio
from anyio import create_task_group, to_thread

from ._bench import ROOT, Process, machine, save, serving, table, versions
from ._plots import Lines, Panel, Plot
from ._streams import BACKENDS, BY_HAND, CLIENTS, OURS
from .memory import SPARE, files

COUNTS = (1, 10, 100, 500, 1000)
NAMES = (BY_HAND, OURS)
ROUNDS = 5
WORDS = 100  # of an answer
ANSWERS = 100  # of a run, at least
BUSY = 0.9  # of a core: above it a process has no time to wait for the other


async def run(base: str, name: str) -> None:
    """A line of stdin asks for one run with so many streams; its answer is a line, too. Until stdin is closed."""
    async with CLIENTS[name](base) as read:

        async def nothing() -> None:
            """Read on."""

        while line := await to_thread.run_sync(sys.stdin.readline):
            streams = int(line)
            answers = iter(range(max(streams, ANSWERS)))
            counts = []

            async def one_after_the_other(answers=answers, counts=counts) -> None:
                for _ in answers:
                    counts.append(await read(0, nothing))

            wall, cpu = time.perf_counter(), time.process_time()
            async with create_task_group() as tasks:
                for _ in range(streams):
                    tasks.start_soon(one_after_the_other)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert counts == [WORDS] * max(streams, ANSWERS), "an answer is not whole"
            print(json.dumps({"chunks": sum(counts), "wall": wall, "cpu": cpu}), flush=True)


class Worker:
    """A client in another process."""

    def __init__(self, port: int, name: str, backend: str) -> None:
        command = [sys.executable, "-m", "benchmarks.throughput", "--worker", name, backend, str(port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, streams: int) -> dict[str, float]:
        """One run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{streams}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "a client has failed: see above"
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def once(worker: Worker, server: Process, streams: int) -> dict[str, float]:
    """A run: chunks a second, and the parts of a core that client and source used meanwhile."""
    before = server.cpu()
    seen = worker.ask(streams)
    served = server.cpu() - before  # NaN where it cannot be seen
    return {
        "rate": seen["chunks"] / seen["wall"],
        "us": seen["cpu"] / seen["chunks"] * 1e6,
        "client_share": seen["cpu"] / seen["wall"],
        "source_share": served / seen["wall"],
    }


def measure(*, rounds: int = ROUNDS, counts: Sequence[int] = COUNTS) -> dict[str, Any]:
    """
    Both clients on both loops at every count, interleaved.

    Returns:
        `rows` with `backend`, `client`, `streams`, and medians of the rounds: `rate` (chunks a second), `us` (CPU of
        the client for a chunk), `client_share` and `source_share` (parts of a core that they used), and `ratio`, that
        of `us` to the hand-written loop's; `left_out`: counts for which this process may not have enough files.
    """
    most = files()
    possible = [count for count in counts if count + SPARE <= most]
    seen: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with serving() as server, ExitStack() as stack:
        workers = {
            (backend, name): stack.enter_context(Worker(server.port, name, backend))
            for backend, name in product(BACKENDS, NAMES)
        }
        for worker in workers.values():
            once(worker, server, 10)  # warms up
        for _ in range(rounds):
            for count in possible:
                for (backend, name), worker in workers.items():
                    one = once(worker, server, count)
                    seen.setdefault((backend, name, count), []).append(one)
                    print(
                        f"{backend:8} {name:18} {count:5,} {one['rate']:9,.0f}/s {one['us']:6.1f} us, "
                        f"client {one['client_share']:.0%}, source {one['source_share']:.0%}",
                        flush=True,
                    )
    rows = []
    for (backend, name, count), runs in seen.items():
        by_hand = seen[backend, BY_HAND, count]
        middle = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        ratio = statistics.median(one["us"] / other["us"] for one, other in zip(runs, by_hand, strict=True))
        rows.append({"backend": backend, "client": name, "streams": count, **middle, "ratio": ratio})
    return {
        "command": f"python -m benchmarks.throughput --rounds {rounds}",
        "machine": machine(),
        "versions": versions("headrace", "anyio", "trio", "httpx", "httpx-sse", "msgspec"),
        "rounds": rounds,
        "left_out": [count for count in counts if count not in possible],
        "rows": rows,
    }


def section(data: Mapping[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    rows = [
        [
            row["backend"],
            f"{row['streams']:,}",
            row["client"],
            f"{row['rate']:,.0f}",
            f"{row['us']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['client_share']:.0%}",
            f"{row['source_share']:.0%}",
        ]
        for row in sorted(data["rows"], key=lambda row: (row["backend"], row["streams"]))
    ]
    short = [row for row in data["rows"] if row["client_share"] < BUSY]
    waited = sorted({row["streams"] for row in short if row["source_share"] > BUSY})
    starved = sorted({row["streams"] for row in short} - set(waited))
    verdict = (
        f"The source was the bottleneck at {', '.join(f'{count:,}' for count in waited)} streams: the client could "
        "read more there."
        if waited
        else "The source was nowhere the bottleneck: it never had a core to the full while the client waited."
    )
    if starved:
        verdict += (
            f" At {', '.join(f'{count:,}' for count in starved)} streams a client had less than {BUSY:.0%} of a core, "
            "and not for the source: it waited for the machine, and could read more."
        )
    left = "".join(f" {count:,} streams were left out: the system allows too few files." for count in data["left_out"])
    return "\n\n".join(
        (
            "## Throughput",
            f"`{data['command']}` on {data['machine']}; {data['versions']}.{left}",
            (
                f"Chunks a second that one client process reads while so many streams are open, each of {WORDS} words, "
                "one after the other, and everything that an answer takes is in it: the request, the head, the end. "
                "Every answer had all its words. Medians; us is the CPU time of the client for a chunk, and the ratio "
                "that of its CPU time to the hand-written loop's, round by round. The last columns are the parts of a "
                f"core that the two processes used. {verdict}"
            ),
            table(["loop", "streams", "client", "chunks/s", "us a chunk", "ratio", "client CPU", "source CPU"], rows),
        )
    )


def plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    """The plot of the section."""
    panels = []
    for backend in BACKENDS:
        lines = {
            name: [
                (row["streams"], row["rate"] / 1000)
                for row in data["rows"]
                if (row["backend"], row["client"]) == (backend, name)
            ]
            for name in NAMES
        }
        panels.append(Panel(backend, lines))
    top = max(row["streams"] for row in data["rows"])
    told = "; ".join(
        f"{row['client']} on {row['backend']} {row['rate']:,.0f}" for row in data["rows"] if row["streams"] == top
    )
    alt = f"Chunks a second of one process against streams at once; at {top:,} streams: {told}."
    return {"throughput": Lines(panels=panels, x="streams at once", y="thousand chunks a second", alt=alt)}


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Its lines at the top of the page: what, how much, the section's anchor."""
    ratios = [row["ratio"] for row in data["rows"] if row["client"] == OURS]
    counts = [row["streams"] for row in data["rows"]]
    what = f"CPU time with {min(counts):,} to {max(counts):,} streams at once, against the hand-written loop"
    return [(what, f"{min(ratios):.2f} to {max(ratios):.2f}", "throughput")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--save", action="store_true", help="keep it for the report")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, backend, port = options.worker
        files()
        anyio.run(run, f"http://127.0.0.1:{port}/openai/n-{WORDS}/per-1/gap-0", name, backend=backend)
        return
    data = measure(rounds=options.rounds)
    if options.save:
        print(f"written: {save('throughput', data)}")


if __name__ == "__main__":
    main()
