"""
What does the import cost, against what headrace stands on? Wall milliseconds of fresh interpreters, interleaved.

Each peer is imported in an environment of its own (`_clients`), with the line that a program needs to use it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._bench import ROOT, machine, save, table, versions
from ._clients import CLIENTS, Client, Skipped, outside, python, told

GROUND = "import anyio, httpx, msgspec"
HERE = CLIENTS[0]  # in the project's own environment
OURS = ("pass", GROUND, "import headrace", "from headrace.providers.openai import OpenAIProvider")
CODE = "import time; a = time.perf_counter()\n{}\nprint(time.perf_counter() - a)"
ROUNDS, QUICK_ROUNDS = 11, 3


def once(interpreter: Path, line: str, environment: Mapping[str, str]) -> float:
    """Milliseconds in a fresh interpreter."""
    command = [str(interpreter), "-c", CODE.format(line)]
    compiled = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, env=compiled, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1]) * 1000


def lines(skipped: dict[str, str]) -> list[tuple[str, Client]]:
    """What is imported, and in whose environment."""
    found = [(line, HERE) for line in OURS]
    for client in CLIENTS:
        try:
            if client.line:  # else it is imported by one of these
                python(client)
                found.append((client.line, client))
        except Skipped as reason:
            print(f"skipped: {reason}", flush=True)
            skipped[client.name] = str(reason)
    return found


def measure(*, rounds: int = ROUNDS) -> dict[str, Any]:
    """
    Every line, once a round.

    Returns:
        machine, versions, `peers`, command, `skipped` (client: reason), and `rows` with `line`, `ms`, `ratio` to what
        headrace stands on.
    """
    skipped: dict[str, str] = {}
    asked = lines(skipped)
    took: dict[str, list[float]] = {line: [] for line, _ in asked}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}" if number else "a round to warm up", flush=True)
        for line, client in asked:
            # No peer asks the network for a table while it is imported.
            settings = outside() | {
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
            }
            cost = once(python(client), line, settings if client.package else os.environ)
            if number:
                took[line].append(cost)
    return {
        "machine": machine(),
        "versions": versions("headrace", "anyio", "httpx", "msgspec"),
        "peers": {client.name: told(client) for _, client in asked if client.package},
        "command": f"python -m benchmarks.import_time --rounds {rounds}",
        "skipped": skipped,
        "rows": [
            {
                "line": line,
                "ms": statistics.median(costs),
                "ratio": statistics.median(a / b for a, b in zip(costs, took[GROUND], strict=True)),
            }
            for line, costs in took.items()
        ],
    }


def section(data: dict[str, Any]) -> str:
    """Its part of docs/benchmarks.md."""
    peers = "; ".join(f"{name}: {found}" for name, found in data["peers"].items())
    left = "".join(f" Not measured: {reason}." for reason in data["skipped"].values())
    rows = [[f"`{row['line']}`", f"{row['ms']:.0f}", f"{row['ratio']:.2f}"] for row in data["rows"]]
    return "\n\n".join(
        (
            "## What the import costs",
            f"`{data['command']}` on {data['machine']}; {data['versions']}. The peers: {peers}.{left}",
            (
                "Wall milliseconds in a fresh interpreter, medians, files in the page cache; each peer in an "
                "environment of its own. Some put off a part of their imports until the first client or call."
            ),
            table(["line", "ms", "ratio"], rows),
        )
    )


def summary(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Its line at the top of the page."""
    ratio = next(row["ratio"] for row in data["rows"] if row["line"] == "import headrace")
    return [("`import headrace`, against what it stands on", f"{ratio:.2f}", "what-the-import-costs")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="imports of each (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    data = measure(rounds=QUICK_ROUNDS if options.quick else options.rounds)
    print(f"\n{section(data)}")
    if options.save:
        print(f"\nsaved: {save('import_time', data).name}")


if __name__ == "__main__":
    main()
