"""
What does an open stream take of the client's memory? Streams that have each had some words, and then rest.

Each figure is of a fresh process: it opens one stream, so that all is imported and made; notes its resident size; opens
that many more, reads the first words of each; and notes it again. The source runs in another process. What a stream
takes is the slope: of the line through the largest and the smallest count, so that what is taken once does not count.

More than `SESSION` streams are spread over several sessions, all made before the size is noted: for each new connection
httpx's pool looks at every other one, so that 5,000 in one pool take a minute of CPU time to open.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import product
from pathlib import Path
from typing import Any

import anyio
from anyio import CapacityLimiter, Event, create_task_group, sleep_forever

from ._bench import ROOT, machine, save, serving, table, versions
from ._plots import Lines, Panel, Plot
from ._streams import BACKENDS, BY_HAND, CLIENTS, OURS, Read

COUNTS = (10, 100, 1000, 5000)
ROUNDS = 3
SESSION = 1000  # streams of one session
WORDS = 5  # that each stream has had when it rests
OPENING = 20  # at once: more would wait for each other in httpx's pool
SPARE = 100  # files beside one for each stream
LIMIT = 600.0  # seconds for one process; 5,000 streams take half a minute on a quiet machine


def resident() -> int:
    """Bytes of this process that are in memory: now where there is a /proc, else the most so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def files() -> int:
    """How many this process, and one that it starts, may have open: as many as it can have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else sys.maxsize


async def child(port: int, name: str, count: int) -> None:
    """Open them all, print what they take, and go without a word to the source."""
    base = f"http://127.0.0.1:{port}/openai/n-{WORDS}/per-1/gap-0/rest"
    few = CapacityLimiter(OPENING)

    async def opened(reads: Sequence[Read], number: int) -> None:
        """Come back when so many more rest, in all of the sessions alike."""
        left, all_rest = number, Event()

        async def stream(read: Read) -> None:
            opening = object()
            await few.acquire_on_behalf_of(opening)

            async def rest() -> None:
                nonlocal left
                few.release_on_behalf_of(opening)
                left -= 1
                if not left:
                    all_rest.set()
                await sleep_forever()

            await read(WORDS, rest)

        for at in range(number):
            tasks.start_soon(stream, reads[at % len(reads)])
        await all_rest.wait()

    async with AsyncExitStack() as stack, create_task_group() as tasks:
        sessions = [await stack.enter_async_context(CLIENTS[name](base)) for _ in range(math.ceil(count / SESSION))]
        await opened(sessions, len(sessions))
        gc.collect()
        before = resident()
        await opened(sessions, count)
        gc.collect()
        sys.stdout.write(f"{resident() - before}\n")
        sys.stdout.flush()
        os._exit(0)  # to close them one by one takes longer than to open them


def once(port: int, name: str, backend: str, count: int) -> int:
    """Bytes by which one fresh process grows."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", name, backend, str(count), str(port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def slope(sizes: Mapping[int, float]) -> float:
    """Bytes a stream, from the fewest streams to the most."""
    fewest, most = min(sizes), max(sizes)
    return (sizes[most] - sizes[fewest]) / (most - fewest)


def measure(*, rounds: int = ROUNDS, counts: Sequence[int] = COUNTS) -> dict[str, Any]:
    """
    Every client at every count on both loops; medians of the rounds.

    Returns:
        `rows` with `backend`, `client`, `streams` and `bytes`, the growth of the process; `slopes` with `backend`,
        `client` and `bytes`; `left_out`: counts for which this process may not have enough files.
    """
    most = files()
    possible = [count for count in counts if count + SPARE <= most]
    rows, slopes = [], []
    grown: dict[tuple[str, str, int], list[int]] = {}

    def run(backend: str, count: int, name: str) -> None:
        began = time.perf_counter()
        grown.setdefault((backend, name, count), []).append(size := once(server.port, name, backend, count))
        took = time.perf_counter() - began
        print(f"{backend:8} {name:20} {count:6,} {size / 2**20:8.1f} MiB {took:6.1f} s", flush=True)

    # As many at once as there are cores: what a process holds does not depend on how fast it is.
    with serving() as server, ThreadPoolExecutor(os.cpu_count()) as threads:
        runs = product(possible, BACKENDS, CLIENTS)
        wanted = [threads.submit(run, backend, count, name) for count, backend, name in runs for _ in range(rounds)]
        for one in wanted:
            one.result()
    for backend, name in product(BACKENDS, CLIENTS):
        sizes = {count: statistics.median(grown[backend, name, count]) for count in possible}
        rows += [{"backend": backend, "client": name, "streams": count, "bytes": size} for count, size in sizes.items()]
        slopes.append({"backend": backend, "client": name, "bytes": slope(sizes)})
    return {
        "command": f"python -m benchmarks.memory --rounds {rounds}",
        "machine": machine(),
        "versions": versions("headrace", "anyio", "trio", "httpx", "httpx-sse", "msgspec"),
        "rounds": rounds,
        "left_out": [count for count in counts if count not in possible],
        "rows": rows,
        "slopes": slopes,
    }


def section(data: Mapping[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    counts = sorted({row["streams"] for row in data["rows"]})
    sizes = {(row["backend"], row["client"], row["streams"]): row["bytes"] for row in data["rows"]}
    slopes = {(row["backend"], row["client"]): row["bytes"] for row in data["slopes"]}
    rows = [
        [
            *key,
            *(f"{sizes[*key, count] / 2**20:.1f}" for count in counts),
            f"{each / 1024:.1f}",
            _times(each, slopes[key[0], BY_HAND]),
        ]
        for key, each in slopes.items()
    ]
    left = "".join(f" {count:,} streams were left out: the system allows too few files." for count in data["left_out"])
    return "\n\n".join(
        (
            "## Memory of an open stream",
            f"`{data['command']}` on {data['machine']}; {data['versions']}.{left}",
            (
                "MiB by which the client process grows when that many streams are opened, each of which has had "
                f"{WORDS} words and then rests; medians of {data['rounds']}, each in a fresh process that had a stream "
                f"open before, in sessions of {SESSION:,} streams. The resident size counts; sockets' buffers in the "
                "kernel and TLS come on top. A stream: the slope from the fewest streams to the most, in KiB; the "
                "ratio is to the hand-written loop."
            ),
            table(["loop", "client", *(f"{count:,} streams" for count in counts), "KiB a stream", "ratio"], rows),
        )
    )


def _times(bytes_: float, by_hand: float) -> str:
    """How many times as much. Few streams may fit into what the process had: no growth, and no ratio to it."""
    return f"{bytes_ / by_hand:.2f}" if by_hand > 0 else "–"


def plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    """The plot of the section."""
    panels = []
    for backend in BACKENDS:
        lines = {
            name: [
                (row["streams"], row["bytes"] / 2**20)
                for row in data["rows"]
                if (row["backend"], row["client"]) == (backend, name)
            ]
            for name in CLIENTS
        }
        panels.append(Panel(backend, lines))
    told = "; ".join(
        f"{row['client']} on {row['backend']} {row['bytes'] / 1024:.0f} KiB a stream" for row in data["slopes"]
    )
    alt = f"MiB of the client against open streams, which grows evenly: {told}."
    return {"memory": Lines(panels=panels, x="open streams", y="MiB", alt=alt, log=False)}


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Its lines at the top of the page: what, how much, the section's anchor."""
    slopes = {(row["backend"], row["client"]): row["bytes"] for row in data["slopes"]}
    told = "; ".join(
        f"{_times(slopes[backend, OURS], slopes[backend, BY_HAND])} ({backend}, {slopes[backend, OURS] / 1024:.0f} KiB)"
        for backend in BACKENDS
    )
    return [("Memory of an open stream, against the hand-written loop", told, "memory-of-an-open-stream")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--save", action="store_true", help="keep it for the report")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, backend, count, port = options.child
        files()
        anyio.run(child, int(port), name, int(count), backend=backend)
        return
    data = measure(rounds=options.rounds)
    if options.save:
        print(f"written: {save('memory', data)}")


if __name__ == "__main__":
    main()
