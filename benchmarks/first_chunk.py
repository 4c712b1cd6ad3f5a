"""
How much later does the first word come than from raw httpx? Wall time from the call to the first word.

The clients take turns in one process, answer by answer, on a connection that is open already and on a new one each
time. The source runs in another process and sends head and first event at once. What is added is the median of the
differences to the loop by hand within each turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio

from ._bench import machine, save, serving, table, unbroken, versions
from ._plots import Bars, Panel, Plot
from ._streams import BACKENDS, BY_HAND, CLIENTS, OURS

CONNECTIONS = {"kept alive": "", "new": "/close"}  # each with the end of the source's path
ROUNDS = 400
WORDS = 3  # of an answer: the rest of it is read outside the measured time
WARM = 20  # rounds that are not counted


def quartiles(values: Sequence[float]) -> list[float]:
    """The lower, the median, the upper."""
    return statistics.quantiles(values, n=4)


async def turns(base: str, rounds: int) -> dict[str, list[float]]:
    """Microseconds to the first word, of each client in each round."""
    took: dict[str, list[float]] = {name: [] for name in CLIENTS}
    first = 0.0

    async def stamp() -> None:
        nonlocal first
        first = time.perf_counter()

    async with AsyncExitStack() as stack:
        reads = [(name, await stack.enter_async_context(connect(base))) for name, connect in CLIENTS.items()]
        for number in range(rounds + WARM):
            at = number % len(reads)  # another one begins each round, so that none always follows the same one
            for name, read in reads[at:] + reads[:at]:
                began = time.perf_counter()
                count = await read(1, stamp)
                assert count >= WORDS, (name, count)
                if number >= WARM:
                    took[name].append((first - began) * 1e6)
    return took


def measure(*, rounds: int = ROUNDS) -> dict[str, Any]:
    """
    All clients, on both loops, on connections of both kinds.

    Returns:
        `rows` with `backend`, `connection`, `client`, `us` and `added` to the loop by hand (lower quartile, median,
        upper quartile), and `ratio`, the median of the ratios to it.
    """
    rows = []
    with serving() as server:
        for backend in BACKENDS:
            for connection, end in CONNECTIONS.items():
                base = f"http://127.0.0.1:{server.port}/openai/n-{WORDS}/per-1/gap-0{end}"
                took = anyio.run(turns, base, rounds, backend=backend)
                for name, costs in took.items():
                    pairs = list(zip(costs, took[BY_HAND], strict=True))
                    row = {
                        "backend": backend,
                        "connection": connection,
                        "client": name,
                        "us": quartiles(costs),
                        "added": quartiles([cost - other for cost, other in pairs]),
                        "ratio": statistics.median(cost / other for cost, other in pairs),
                    }
                    rows.append(row)
                    print("  ".join(f"{cell:>20}" for cell in shown(row)), flush=True)
    return {
        "command": f"python -m benchmarks.first_chunk --rounds {rounds}",
        "machine": machine(),
        "versions": versions("headrace", "anyio", "trio", "httpx", "httpx-sse", "msgspec"),
        "rounds": rounds,
        "rows": rows,
    }


HEAD = ["loop", "connection", "client", "us to the first word", "added", "ratio"]


def shown(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row."""
    low, middle, high = row["us"]
    added = "" if row["client"] == BY_HAND else "{1:+,.0f} ({0:+,.0f} to {2:+,.0f})".format(*row["added"])
    return [
        row["backend"],
        row["connection"],
        row["client"],
        unbroken(f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"),
        unbroken(added),
        f"{row['ratio']:.2f}",
    ]


def section(data: Mapping[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    return "\n\n".join(
        (
            "## Time to the first word",
            f"`{data['command']}` on {data['machine']}; {data['versions']}.",
            (
                "Wall microseconds from the call to the first word in hand: medians, and in parentheses the quartiles. "
                "Added: the same of the differences to the hand-written loop (httpx-sse and `json.loads` on raw httpx) "
                f"within each of {data['rounds']} rounds, in which the clients take turns. Bare httpx has its first "
                "bytes then, and no word. The source is another process, which answers at once: all that passes is "
                "the time of the two processes and of loopback. A vendor takes some hundred milliseconds beside that."
            ),
            table(HEAD, [shown(row) for row in data["rows"]]),
        )
    )


def plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    """The plot of the section."""
    labels = [f"{backend}, {connection}" for backend in BACKENDS for connection in CONNECTIONS]
    at = {(row["client"], f"{row['backend']}, {row['connection']}"): row["us"][1] / 1000 for row in data["rows"]}
    series = {name: [at[name, label] for label in labels] for name in CLIENTS}
    ours = ", ".join(f"{label} {at[OURS, label]:.2f} ms against {at[BY_HAND, label]:.2f} ms" for label in labels)
    alt = f"Time to the first word: headrace against the hand-written loop, by loop and connection: {ours}."
    return {"first_chunk": Bars(labels=labels, panels=[Panel("ms to the first word, median", series)], alt=alt)}


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Its lines at the top of the page."""
    parts = [
        "{} {[1]:+,.0f} µs".format(f"{row['backend']}, {row['connection']}:", row["added"])
        for row in data["rows"]
        if row["client"] == OURS
    ]
    return [("Time to the first word, added to the hand-written loop", "; ".join(parts), "time-to-the-first-word")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--save", action="store_true", help="keep it for the report")
    options = parser.parse_args()
    data = measure(rounds=options.rounds)
    if options.save:
        print(f"written: {save('first_chunk', data)}")


if __name__ == "__main__":
    main()
