"""
What does `import headrace` cost, against what it stands on? Wall milliseconds of fresh interpreters, interleaved.

usage: python -m benchmarks.import_time [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from ._bench import ROOT, machine, table, versions

LINES = {
    "nothing": "pass",
    "import anyio, httpx, msgspec": "import anyio, httpx, msgspec",
    "import headrace": "import headrace",
    "import openai": "import openai",
    "import anthropic": "import anthropic",
}
CODE = "import time; a = time.perf_counter()\n{}\nprint(time.perf_counter() - a)"


def once(line: str) -> float | None:
    """Milliseconds in a fresh interpreter; None where it cannot be imported."""
    command = [sys.executable, "-c", CODE.format(line)]
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, env=compiled, capture_output=True, text=True, check=False)
    return float(done.stdout) * 1000 if done.returncode == 0 else None


def report(*, rounds: int = 15) -> str:
    """The section of docs/benchmarks.md."""
    took: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, line in LINES.items():
            cost = once(line)
            if number and cost is not None:
                took.setdefault(name, []).append(cost)
    ground = took["import anyio, httpx, msgspec"]
    rows = []
    for name, costs in took.items():
        ratio = statistics.median(a / b for a, b in zip(costs, ground, strict=True))
        rows.append([f"`{name}`", f"{statistics.median(costs):.0f}", f"{ratio:.2f}"])
        print("  ".join(f"{cell:>32}" for cell in rows[-1]), flush=True)
    return "\n\n".join(
        (
            "## What the import costs",
            (
                f"`python -m benchmarks.import_time --rounds {rounds}` on {machine()}; "
                f"{versions('anyio', 'httpx', 'msgspec', 'openai', 'anthropic')}."
            ),
            "Wall milliseconds in a fresh interpreter, medians, files in the page cache.",
            table(["line", "ms", "ratio"], rows),
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    report(rounds=parser.parse_args().rounds)
