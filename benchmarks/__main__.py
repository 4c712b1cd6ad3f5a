"""
Measure everything, keep the results, and make docs/benchmarks.md of them: `make bench`.

usage: python -m benchmarks [NAME ...] [--quick]
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from typing import Any, Final

from . import report
from ._bench import ROOT, save

QUICK: Final[dict[str, dict[str, Any]]] = {  # what makes a look of a measurement
    "stream_overhead": {"rounds": 2, "chunks": 300},
    "first_chunk": {"rounds": 20},
    "throughput": {"rounds": 1, "counts": (1, 10, 100)},
    "memory": {"rounds": 1, "counts": (10, 100)},
    "import_time": {"rounds": 3},
    "recovery": {"each": 2},
    "pacing": {"seeds": 2},
    "pacing_providers": {},
    "pacing_live": {"count": 120, "tokens": 60_000},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", help=f"only these of {', '.join(report.MODULES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing is written")
    options = parser.parse_args()
    names = options.name or list(report.MODULES)
    if unknown := sorted(set(names) - set(report.MODULES)):
        parser.error(f"there is no {', '.join(unknown)}")
    for number, name in enumerate(names, 1):
        print(f"---- {number} of {len(names)}: {name}", flush=True)
        began = time.perf_counter()
        module = import_module(f"benchmarks.{name}")
        data = module.measure(**(QUICK[name] if options.quick else {}))
        if not options.quick:
            save(name, data)
        print(f"---- {name} took {time.perf_counter() - began:.0f} s", flush=True)
    if options.quick:
        return
    for path in report.write():
        print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
