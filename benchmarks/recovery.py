"""
What does a program know, and hold, when an answer breaks? Clients against the faults of the simulator, after content.

Each cell is one client and one fault, at several positions in several answers. A client is a process of its own, in an
environment of its own (`_clients`); the simulator stays here. Every client has the same second of patience, by its own
documented option, and retries nothing. Told apart are:

    raised   an exception reached the program
    visible  none did, but the public API's documented end signal (a finish reason, `message_stop`) is missing, so that
             a program which looks for it can know
    silent   neither: it looks like the end of a whole answer, and words are missing or changed
    whole    the end signal came, and every word
    hangs    nothing of that within four seconds

and how many of the characters that were sent, in whole events before the fault, the program has in hand at the end.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import anyio
import anyio.to_thread

from headrace.simulator import Script, Simulator, faults
from headrace.simulator.script import prose

from ._bench import machine, save, table, versions
from ._clients import BY_HAND, CLIENTS, Client, Worker, chosen, told, workers
from ._plots import OURS, Bars, Panel, Plot

PATIENCE = 1.0  # seconds, told to every client
BOUND = 4.0  # seconds until a client counts as hanging
FEW = 5  # answers at once: a busy machine must not be taken for a slow vendor
EACH, QUICK_EACH = 20, 5
VENDORS = ("openai", "anthropic", "gemini")
FAULTS: dict[str, Callable[[int], faults.Fault | None]] = {
    "no fault": lambda _: None,
    "closed": lambda at: faults.CutFin(after_pieces=at),
    "reset": lambda at: faults.CutRst(after_pieces=at),
    "ended early": lambda at: faults.CleanEnd(after_pieces=at),
    "gzip cut": lambda at: faults.TruncatedGzip(after_events=at + 2),
    "silence": lambda at: faults.Stall(after_pieces=at),
    "pings only": lambda at: faults.Pings(after_pieces=at, interval=0.2),
    "error event": lambda at: faults.ErrorEvent(after_pieces=at),
    "half an event": lambda at: faults.Malformed(after_pieces=at),
    "bad byte": lambda at: faults.BadUtf8(after_pieces=at),
}


# ---------------------------------------------------------------- who is compared


@dataclass(frozen=True)
class Row:
    """One program of a client."""

    vendor: str
    name: str
    client: Client
    program: str


# client: what its call for the whole answer is named, and the formats in which it is measured
WHOLE = {
    "openai SDK": ("`get_final_completion()`", ("openai",)),
    "anthropic SDK": ("`get_final_message()`", ("anthropic",)),
    "pydantic-ai": ("`run_stream()` and `get_output()`", ("openai", "anthropic")),
    "langchain-openai": ("`ainvoke()` with `streaming=True`", ("openai",)),
    "headrace": ("`chat()`", VENDORS),
}


def pieces(clients: Sequence[Client]) -> list[Row]:
    """Programs that read piece by piece, and keep what they read."""
    rows = []
    for vendor in VENDORS:
        speak = [client for client in clients if vendor in client.shapes]
        rows += [Row(vendor, client.name, client, vendor) for client in speak if client.package]
        rows += [Row(vendor, client.name, client, vendor) for client in speak if client.name == BY_HAND]
        for client in speak:
            if client.name == "headrace":
                rows.append(Row(vendor, "headrace, the loop alone", client, f"{vendor} quiet"))
                rows.append(Row(vendor, "headrace, and `raise_for_interruption()`", client, vendor))
    return rows


def wholes(clients: Sequence[Client]) -> list[Row]:
    """Programs that ask for the answer in one call, which streams, and keep what it returns or raises."""
    found = {client.name: client for client in clients}
    return [
        Row(vendor, f"{name}, {call}", found[name], f"{vendor} whole")
        for name, (call, vendors) in WHOLE.items()
        if name in found
        for vendor in vendors
    ]


# ---------------------------------------------------------------- measure

Found = tuple[str, int, int]  # how the program learns of the end; the characters sent; and those of them in hand


def judged(answer: dict[str, Any], text: str, sent: str) -> Found:
    """What one answer came to."""
    how, held = answer["how"], answer["words"]
    if how == "returned":
        how = "visible" if not answer["ended"] else "whole" if held == text else "silent"
    return how, len(sent), sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(sent, held, strict=False)))


async def at_once(row: Row, worker: Worker, fault: str, numbers: Sequence[int]) -> list[Found]:
    """That many answers, each of a simulator of its own."""
    texts = [prose(random.Random(number)) for number in numbers]
    async with AsyncExitStack() as stack:
        sims = [await stack.enter_async_context(Simulator(seed=number)) for number in numbers]
        for sim, number, text in zip(sims, numbers, texts, strict=True):
            sim.play(row.vendor, Script(text=text, fault=FAULTS[fault](3 + 2 * (number % 10)), delay=0.004))
        urls = [sim.base_url(row.vendor) for sim in sims]
        ask = partial(worker.ask, program=row.program, urls=urls, patience=PATIENCE, bound=BOUND)
        answer = await anyio.to_thread.run_sync(ask)
        if "error" in answer:
            raise RuntimeError(f"{row.name}: {answer['error']}: {answer['says']}")
        sent = [sim.exchanges[0].text_before_fault if sim.exchanges else "" for sim in sims]
    return [judged(*one) for one in zip(answer["answers"], texts, sent, strict=True)]


async def cell(row: Row, worker: Worker, fault: str, each: int) -> list[Found]:
    """All answers of one client and one fault."""
    found: list[Found] = []
    for first in range(0, each, FEW):
        found += await at_once(row, worker, fault, range(first, min(first + FEW, each)))
    return found


def measured(row: Row, worker: Worker, each: int) -> dict[str, Any]:
    """One row: of each fault how often the program learned how, and what it lost in all of them."""
    cells: dict[str, dict[str, int]] = {}
    broken: list[Found] = []
    anyio.run(cell, row, worker, "no fault", 1)  # whatever is done once
    for fault in FAULTS:
        found = anyio.run(cell, row, worker, fault, each)
        cells[fault] = dict(Counter(how for how, _, _ in found).most_common())
        if fault != "no fault":
            broken += found
    return {
        "format": row.vendor,
        "program": row.name,
        "cells": cells,
        "told": sum(how == "raised" for how, _, _ in broken) / len(broken),
        "sent": sum(sent for _, sent, _ in broken),
        "lost": sum(sent - held for _, sent, held in broken),
    }


def measure(*, each: int = EACH, names: Sequence[str] | None = None) -> dict[str, Any]:
    """
    Every program against every fault, `each` answers a cell.

    Returns:
        machine, versions, `peers`, command, `skipped` (client: reason), and `pieces` and `wholes`: rows with `format`,
        `program`, `cells` (fault: {how: answers}), `told` (share of faults that raised), `sent`, `lost` (characters).
    """
    skipped: dict[str, str] = {}
    clients = [client for client in chosen(names) if set(client.shapes) & set(VENDORS)]
    with workers([client for client in clients if client.variant == ""], "asyncio", skipped) as ring:
        found: dict[str, list[dict[str, Any]]] = {}
        for name, rows in (("pieces", pieces(clients)), ("wholes", wholes(clients))):
            found[name] = []
            for row in rows:
                if row.client in ring:
                    found[name].append(measured(row, ring[row.client], each))
                    print("  ".join(line(found[name][-1])), flush=True)
    return {
        "machine": machine(),
        "versions": versions("headrace", "httpx", "httpx-sse", "anyio"),
        "peers": {c.name: told(c) for c in clients if c.package and c.name not in skipped},
        "command": f"python -m benchmarks.recovery --each {each}",
        "skipped": skipped,
        **found,
    }


# ---------------------------------------------------------------- show


def words(counts: dict[str, int]) -> str:
    """`raised`, or where answers differ each with its number."""
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{how} {n}" for how, n in counts.items())


def line(row: dict[str, Any]) -> list[str]:
    """A line of a table."""
    cells = [words(row["cells"][fault]) for fault in FAULTS]
    return [row["format"], row["program"], *cells, f"{row['told']:.0%}", f"{row['lost']:,} of {row['sent']:,}"]


def section(data: dict[str, Any]) -> str:
    """The measured part of docs/why.md."""
    head = ["format", "program", *FAULTS, "told", "lost"]
    peers = "; ".join(f"{name}: {found}" for name, found in data["peers"].items())
    left = "".join(f" Not measured: {reason}." for reason in data["skipped"].values())
    return "\n\n".join(
        (
            f"`{data['command']}` on {data['machine']}; {data['versions']}. The peers: {peers}.{left}",
            "### Read piece by piece",
            table(head, [line(row) for row in data["pieces"]]),
            "### Asked for in one call",
            table(head, [line(row) for row in data["wholes"]]),
        )
    )


def programs(answers: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """Of each program, over all formats: the share of faults told, of characters lost."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in answers:
        found.setdefault(row["program"].replace("`", ""), []).append(row)
    return {
        name: (
            sum(row["told"] for row in rows) / len(rows),
            sum(row["lost"] for row in rows) / sum(row["sent"] for row in rows),
        )
        for name, rows in found.items()
    }


def plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    """What is told and lost, of programs that read piece by piece, and of those that ask for the whole."""
    drawn = {}
    for name, key, how in (
        ("recovery", "pieces", "read piece by piece"),
        ("recovery_whole", "wholes", "asked for whole"),
    ):
        found = programs(data[key])
        panels = [
            Panel(f"{how}: faults told", {"told": [told for told, _ in found.values()]}, form="{:.0%}"),
            Panel(f"{how}: characters lost", {"lost": [lost for _, lost in found.values()]}, form="{:.1%}"),
        ]
        told = "; ".join(f"{program} {told:.0%} told, {lost:.1%} lost" for program, (told, lost) in found.items())
        alt = f"Faults told by an exception, and characters lost, of programs whose answer is {how}: {told}."
        drawn[name] = Bars(labels=list(found), panels=panels, alt=alt)
    return drawn


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The best that headrace's programs do, since one of them does not ask to be told."""
    ours = [row for name, row in programs([*data["pieces"], *data["wholes"]]).items() if name.startswith(OURS)]
    told, lost = max(told for told, _ in ours), max(lost for _, lost in ours)
    return [("Faults after content that are told, and characters lost", f"{told:.0%}, {lost:.1%}", "recovery")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--each", type=int, default=EACH, help="answers for each client and fault (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EACH} answers for each")
    names = [client.name for client in CLIENTS if not client.variant]
    parser.add_argument(
        "--client",
        choices=names,
        action="append",
        metavar="NAME",
        help=f"this client beside the hand-written loop; may be repeated (default: all of {', '.join(names)})",
    )
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    data = measure(each=QUICK_EACH if options.quick else options.each, names=options.client)
    print(f"\n{section(data)}")
    if options.save:
        print(f"\nsaved: {save('recovery', data).name}")


if __name__ == "__main__":
    main()
