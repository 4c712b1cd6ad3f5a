"""
The longer run: `python -m tests.fuzz [seconds] [target ...]`, or `make fuzz`.

Each target gets its share of the time: half for hypothesis, which mutates the corpus by its structure, half for
atheris, which mutates bytes and is led by coverage; where atheris is not installed, hypothesis has all of it. What
breaks a target is written to `.fuzz/`, its path is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .mutate import mutated
from .targets import TARGETS

KEPT = Path(".fuzz")
ROUND = 100  # examples between two looks at the clock


def by_structure(name: str, seconds: float) -> bool:
    """Run hypothesis for so long; whether the target held."""
    target, last, examples, end = TARGETS[name], b"", 0, time.monotonic() + seconds
    documents = list(target.documents().values())

    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(rng=st.randoms(use_true_random=False), most=st.integers(1, 8))
    def run(rng: Random, most: int) -> None:
        nonlocal last, examples
        last, examples = mutated(rng, documents, most), examples + 1
        target.run(last)

    while time.monotonic() < end:
        try:
            run()
        except Exception as exc:  # whatever a target raises is what is looked for
            KEPT.mkdir(exist_ok=True)
            path = KEPT / f"{name}-{sha256(last).hexdigest()[:12]}"
            path.write_bytes(last)  # the last one that was tried is the smallest that fails
            print(f"  {name}: {type(exc).__name__}: {str(exc)[:300]}\n  kept as {path}")
            return False
    print(f"  {name}: {examples} documents")
    return True


def by_coverage(name: str, seconds: float) -> bool:
    """Run atheris for so long, in a process of its own; whether the target held."""
    KEPT.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", name, str(max(1, round(seconds))), str(KEPT)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        kept = [line for line in done.stderr.splitlines() if "Test unit written" in line]
        print("\n".join(f"  {line}" for line in (f"{name}:", *done.stdout.splitlines()[-12:], *kept)))
    else:
        runs = [line for line in done.stderr.splitlines() if line.startswith("Done")]
        print(f"  {name}: {runs[-1] if runs else 'no figure'}, led by coverage")
    return done.returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Hostile input to every decoder.")
    parser.add_argument("seconds", nargs="?", type=float, default=120.0)
    parser.add_argument("target", nargs="*", help=f"one of {', '.join(TARGETS)}; all if none is named")
    given_ = parser.parse_args(arguments)
    if unknown := set(given_.target) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    names, guided = given_.target or list(TARGETS), find_spec("atheris") is not None
    share = given_.seconds / len(names) / (2 if guided else 1)
    if not guided:
        print("atheris is not installed (it has no wheel for every Python): hypothesis runs alone")
    held = [by_structure(name, share) for name in names]
    if guided:
        held += [by_coverage(name, share) for name in names]
    print("nothing broke" if all(held) else f"{held.count(False)} targets broke; see {KEPT}/ and CONTRIBUTING.md")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
