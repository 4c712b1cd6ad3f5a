"""
What does a streamed chunk cost? CPU microseconds of the client per chunk, the server in another process.

Each client is a process of its own, in an environment of its own (`_clients`), and they take turns, answer by answer,
so that what slows the machine slows them all; the ratio of a client is the median of its ratios to the hand-written
loop, round by round. CPU time of the process, so waiting costs nothing. All words of all answers are checked.

A peer's environment is made when it is first wanted, which needs a package index; without one the peer is skipped.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ._bench import machine, save, source, table, versions
from ._clients import ALL, BY_HAND, CLIENTS, Client, Worker, chosen, told, workers
from ._plots import OURS, Bars, Panel, Plot

PACES = {"one event a read": (1, 300), "ten events a read": (10, 1000), "as fast as it comes": (1, 0)}
BACKENDS = ("asyncio", "trio")
PATIENCE = 60.0  # seconds: nothing here is slow
ROUNDS, CHUNKS = 13, 1000
QUICK_ROUNDS, QUICK_CHUNKS = 2, 300
FORMAT, LOOP = "openai", "asyncio"  # of the plot: the one on which most clients run


def taken(ring: Mapping[Client, Worker], number: int) -> list[tuple[Client, Worker]]:
    """The turns of one round: each begins with another client, so that none always follows the same one."""
    turns = list(ring.items())
    return turns[number % len(turns) :] + turns[: number % len(turns)]


def compared(
    ring: Mapping[Client, Worker], port: int, shape: str, pace: str, chunks: int, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of one shape and arrival, and of those that failed the exception's class."""
    per, gap = PACES[pace]
    url = f"http://127.0.0.1:{port}/{shape}/n-{chunks}/per-{per}/gap-{gap}"
    sent = hashlib.sha1("".join(f" token{i}" for i in range(chunks)).encode()).hexdigest()
    took: dict[str, list[float]] = {client.name: [] for client in ring}
    pieces: dict[str, Counter[int]] = {client.name: Counter() for client in ring}
    same = dict.fromkeys(took, True)
    failed: dict[str, str] = {}
    for number in range(rounds + 1):
        for client, worker in taken(ring, number):
            if client.name in failed:
                continue
            answer = worker.ask(program=client.program(shape), url=url, patience=PATIENCE)
            if "error" in answer:
                failed[client.name] = answer["error"]
                print(f"{shape}, {client.name}: {answer['error']}: {answer['says'][:120]}", flush=True)
                continue
            if number:  # the first round warms up
                took[client.name].append(answer["cpu_us"] / chunks)
            pieces[client.name][answer["pieces"]] += 1
            same[client.name] &= answer["sha1"] == sent
    if BY_HAND in failed:
        raise RuntimeError(f"{shape}: nothing to compare with: {failed[BY_HAND]}")
    by_hand = took[BY_HAND]
    return [
        {
            "arrival": pace,
            "client": name,
            "us": statistics.median(costs),
            "ratio": statistics.median(a / b for a, b in zip(costs, by_hand, strict=True)),
            "pieces": sorted(pieces[name]),
            "same_text": same[name],
        }
        for name, costs in took.items()
        if name not in failed
    ], failed


def measure(
    *,
    rounds: int = ROUNDS,
    chunks: int = CHUNKS,
    shapes: Sequence[str] = ALL,
    backends: Sequence[str] = BACKENDS,
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """
    Every client that speaks it, in each shape, on each loop, at each pace.

    Returns:
        machine, versions, `peers`, command, `rounds`, `chunks`, `skipped` (client: reason), and `rows` with `shape`,
        `backend`, `client` and either `arrival`, `us` (CPU a chunk), `ratio`, `pieces` (counts of pieces with text that
        were seen), `same_text`, or `fails`: the exception's class.
    """
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    clients = [client for client in chosen(names) if set(client.shapes) & set(shapes)]
    with source() as port:
        for backend in backends:
            with workers(clients, backend, skipped) as ring:
                for shape in shapes:
                    speak = {client: worker for client, worker in ring.items() if shape in client.shapes}
                    for pace in PACES:
                        found, failed = compared(speak, port, shape, pace, chunks, rounds)
                        found += [{"client": name, "fails": error} for name, error in failed.items()]
                        speak = {client: worker for client, worker in speak.items() if client.name not in failed}
                        rows += [{"shape": shape, "backend": backend, **row} for row in found]
                        show(shape, backend, pace, found)
    return {
        "machine": machine(),
        "versions": versions("headrace", "anyio", "trio", "httpx", "httpx-sse", "msgspec"),
        "peers": {c.name: told(c) for c in clients if c.package and c.name not in skipped},
        "command": f"python -m benchmarks.stream_overhead --rounds {rounds} --chunks {chunks}",
        "rounds": rounds,
        "chunks": chunks,
        "skipped": skipped,
        "rows": rows,
    }


def show(shape: str, backend: str, pace: str, found: Sequence[Mapping[str, Any]]) -> None:
    """Progress."""
    for row in found:
        if "us" in row:
            print(
                f"{shape:10} {backend:8} {pace:20} {row['client']:28} {row['us']:7.1f} {row['ratio']:6.2f}", flush=True
            )


def checked(data: Mapping[str, Any]) -> str:
    """What came of comparing the words with what was sent."""
    read = [row for row in data["rows"] if "us" in row and any(row["pieces"])]
    lost = sorted({row["client"] for row in read if not row["same_text"]})
    grouped = sorted({row["client"] for row in read if row["same_text"] and row["pieces"] != [data["chunks"]]})
    parts = ["Every word of every answer was compared with what was sent"]
    parts.append(f"; these had other words: {', '.join(lost)}" if lost else ", and all were the same")
    parts.append(
        f"; these gave them in another number of pieces than were sent: {', '.join(grouped)}."
        if grouped
        else f", in as many pieces as were sent ({data['chunks']:,} an answer)."
    )
    return "".join(parts)


def section(data: dict[str, Any]) -> str:
    """Its part of docs/benchmarks.md."""
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in data["rows"]:
        line = cells.setdefault((row["shape"], row["backend"], row["client"]), {})
        if "fails" in row:
            line.setdefault("fails", f"does not run: `{row['fails']}`")
        else:
            line[row["arrival"]] = f"{row['ratio']:.2f} ({row['us']:.1f})"
    rows = [[*key, *(line.get(pace, line.get("fails", "")) for pace in PACES)] for key, line in cells.items()]
    peers = "; ".join(f"{name}: {found}" for name, found in data["peers"].items())
    left = "".join(f" Not measured: {reason}." for reason in data["skipped"].values())
    return "\n\n".join(
        (
            "## What a streamed chunk costs",
            f"`{data['command']}` on {data['machine']}; {data['versions']}. The peers: {peers}.{left}",
            (
                "The ratio to the hand-written loop (httpx-sse and `json.loads`, no deadlines, no recovery), and CPU "
                "microseconds a chunk. Each client is a process in an environment of its own, and they take turns, "
                "answer by answer; the ratio is the median over the rounds of the ratio within a round, the "
                "microseconds are medians. The server runs in another process; headrace runs with all deadlines and "
                "guarantees on. Nobody listens to its telemetry but in the row that says so: spans and metrics cost "
                "what they cost once for a response. Peers run without retries and without telemetry; pydantic-ai by "
                "`direct.model_request_stream()`, its leanest way. `does not run` names the exception's class on that "
                "loop. `bare socket` is the loop and the kernel alone, reading what comes without a look at it: no "
                "client on that loop can cost less."
            ),
            (
                "One event a read: the server rests 300 us after each event, so that each wakes the client by itself; "
                "as fast as it comes: one write an event without a rest; ten events a read: one write for ten, then a "
                "rest of 1 ms."
            ),
            checked(data),
            table(["format", "loop", "client", *PACES], rows),
        )
    )


def plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    """The ratios of all clients in one format on one loop, a panel for each way of arrival."""
    rows = [row for row in data["rows"] if (row["shape"], row["backend"]) == (FORMAT, LOOP) and "ratio" in row]
    labels = list(dict.fromkeys(row["client"] for row in rows))
    ratios = {(row["client"], row["arrival"]): row["ratio"] for row in rows}
    panels = [
        Panel(arrival, {"ratio": [ratios.get((label, arrival)) for label in labels]}, log=True, mark=1.0)
        for arrival in dict.fromkeys(row["arrival"] for row in rows)
    ]
    told = "; ".join(
        f"{label} {' / '.join(f'{ratio:.2f}' for (client, _), ratio in ratios.items() if client == label)}"
        for label in labels
    )
    alt = (
        f"CPU time for a chunk as a ratio to the hand-written loop, OpenAI's format on {LOOP} "
        f"({' / '.join(panel.title for panel in panels)}): {told}."
    )
    return {"stream_overhead": Bars(labels=labels, panels=panels, alt=alt)}


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Its line at the top of the page."""
    ratios = [row["ratio"] for row in data["rows"] if row["client"] == OURS and "ratio" in row]
    what = "CPU time for a streamed chunk, against the hand-written loop"
    return [(what, f"{min(ratios):.2f} to {max(ratios):.2f}", "what-a-streamed-chunk-costs")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="answers of each client (default: %(default)s)")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="words of an answer (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of {QUICK_CHUNKS} chunks, for a look"
    )
    parser.add_argument("--shape", choices=ALL, action="append", help="this format; may be repeated (default: all)")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="this loop (default: both)")
    names = [client.name for client in CLIENTS]
    parser.add_argument(
        "--client",
        choices=names,
        action="append",
        metavar="NAME",
        help=f"this client beside the hand-written loop; may be repeated (default: all of {', '.join(names)})",
    )
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    data = measure(
        rounds=QUICK_ROUNDS if options.quick else options.rounds,
        chunks=QUICK_CHUNKS if options.quick else options.chunks,
        shapes=options.shape or ALL,
        backends=options.backend or BACKENDS,
        names=options.client,
    )
    print(f"\n{section(data)}")
    if options.save:
        print(f"\nsaved: {save('stream_overhead', data).name}")


if __name__ == "__main__":
    main()
