"""Run every benchmark, write docs/benchmarks.md and the tables of docs/why.md: `make bench`. `--quick` for a look."""

from __future__ import annotations

import argparse

from . import import_time, pacing, pacing_live, pacing_providers, recovery, stream_overhead
from ._bench import ROOT

INTRO = """# Benchmarks

Figures of one machine on one day. Compare the ratios, not the microseconds: peers run interleaved in the same process
and the same minutes, so that whatever slows the machine slows them all. `make bench` makes this page anew.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing is written")
    quick = parser.parse_args().quick
    sections = [
        stream_overhead.section(stream_overhead.measure(**({"rounds": 2, "chunks": 300} if quick else {}))),
        import_time.section(import_time.measure(**({"rounds": 3} if quick else {}))),
    ]
    if not quick:
        sections += [pacing.report(), pacing_providers.report(), pacing_live.report()]
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text("\n".join([INTRO, *(f"{section}\n" for section in sections)]))
        print(f"written: {page.relative_to(ROOT)}")
        recovery.write(recovery.section(recovery.measure()))


if __name__ == "__main__":
    main()
