"""
docs/benchmarks.md and its plots, made of benchmarks/results alone: nothing is measured here.

A module of the table offers `measure()` and `section(data)`, its Markdown with a heading of its own; and, itself or in
`_shown`, plots, which stand below that heading, and lines at the top of the page. What is measured of recovery is a
part of docs/why.md, and is put there.

usage: python -m benchmarks.report
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ._bench import ROOT, load, table
from ._plots import Plot, draw
from ._shown import SHOWN

MODULES: Final = {  # in the order of the page, with what stands there as long as there is no result
    "stream_overhead": "What a streamed chunk costs",
    "first_chunk": "Time to the first word",
    "throughput": "Throughput",
    "memory": "Memory of an open stream",
    "import_time": "What the import costs",
    "recovery": "Recovery",
    "pacing": "Pacing",
    "pacing_providers": "Pacing through the providers",
    "pacing_live": "Four processes, one key, in real time",
}
DOCS: Final = ROOT / "docs"
INTRO: Final = """# Benchmarks

Figures of one machine on one day. Compare the ratios, not the microseconds: clients take turns in the same minutes, so
that whatever slows the machine slows them all. [How the figures were made](measuring.md), and why such figures mislead,
has its own page. `make bench` makes this one anew; `python -m benchmarks.report` from the results that are kept.
"""


RECOVERY: Final = """## Recovery

What a program knows and holds when an answer breaks after some words, over all formats. The
[tables for each fault and client](why.md), and how it was measured, have their own page.
"""


def kept(name: str) -> dict[str, Any] | None:
    """What was measured last, if it ever was."""
    try:
        return load(name)
    except FileNotFoundError:
        return None


def module(name: str) -> ModuleType:
    return import_module(f"benchmarks.{name}")


def shown(name: str, data: dict[str, Any]) -> tuple[str, dict[str, Plot], list[tuple[str, str, str]]]:
    """Its section, its plots, its lines at the top."""
    section = RECOVERY if name == "recovery" else module(name).section(data)
    if name in SHOWN:
        return section, SHOWN[name].plots(data), SHOWN[name].lines(data)
    plots, lines = getattr(module(name), "plots", None), getattr(module(name), "summary", None)
    return section, plots(data) if plots else {}, lines(data) if lines else []


def made(results: Mapping[str, dict[str, Any] | None]) -> tuple[str, dict[str, Plot]]:
    """The page, and its plots by their names."""
    top, sections, images = list[list[str]](), [], dict[str, Plot]()
    for name, title in MODULES.items():
        if (data := results.get(name)) is None:
            sections.append(f"## {title}\n\nNot measured yet: `python -m benchmarks {name}` does it.")
            continue
        section, plots, lines = shown(name, data)
        top += [[f"[{what}](#{anchor})", much] for what, much, anchor in lines]
        sections.append(illustrated(section, plots))
        images |= plots
    summary = [f"{table(['headrace', ''], top)}\n"] if top else []
    return "\n".join([INTRO, *summary, *(f"{one.strip()}\n" for one in sections)]), images


def illustrated(section: str, plots: Mapping[str, Plot]) -> str:
    """The section with its plots below the heading."""
    heading, _, rest = section.strip().partition("\n")
    images = "".join(f"\n![{plot.alt}](plots/{name}.svg)\n" for name, plot in plots.items())
    return f"{heading}\n{images}{rest}"


def write() -> list[Path]:
    """Page and plots, and the tables of docs/why.md."""
    results = {name: kept(name) for name in MODULES}
    page, plots = made(results)
    folder = DOCS / "plots"
    folder.mkdir(exist_ok=True)
    written = [DOCS / "benchmarks.md", *(folder / f"{name}.svg" for name in plots)]
    written[0].write_text(page, encoding="utf-8")
    for plot, path in zip(plots.values(), written[1:], strict=True):
        path.write_text(draw(plot), encoding="utf-8")
    for path in set(folder.glob("*.svg")) - set(written):  # no section has them any more
        path.unlink()
    return written


if __name__ == "__main__":
    for path in write():
        print(f"written: {path.relative_to(ROOT)}")
