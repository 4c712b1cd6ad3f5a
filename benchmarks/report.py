"""
docs/benchmarks.md and its plots, and the tables of README.md and docs/why.md, made of benchmarks/results alone: nothing
is measured here.

A module of the table offers `measure()` and `section(data)`, its Markdown with a heading of its own; and, if it likes,
`plots(data)`, which stand below that heading, and `summary(data)`, lines at the top of the page. What is measured of
recovery is a part of docs/why.md, and is put there.

usage: python -m benchmarks.report
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ._bench import ROOT, load, table
from ._clients import BY_HAND
from ._plots import Plot, draw

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
BEGIN, END = "<!-- measured -->", "<!-- end -->"
SHORT: Final = (BY_HAND, "headrace", "headrace, on httpx-aiohttp", "openai SDK", "litellm", "pydantic-ai")
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


def short(overhead: Mapping[str, Any]) -> str:
    """The table of the README: OpenAI's format, in the order of the cost."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for row in overhead["rows"]:
        if row["shape"] == "openai" and row["client"] in SHORT and "ratio" in row:
            loop = "both" if row["client"] == BY_HAND else row["backend"]  # 1.00 on each
            rows.setdefault((row["client"], loop), {})[row["arrival"]] = row["ratio"]
    arrivals = list(next(iter(rows.values())))
    cells = [
        [f"**{client}**" if client.startswith("headrace") else client, loop, *(f"{ratio[one]:.2f}" for one in arrivals)]
        for (client, loop), ratio in sorted(rows.items(), key=lambda item: max(item[1].values()))
    ]
    return table(["client", "loop", *arrivals], cells)


def texts(results: Mapping[str, dict[str, Any] | None]) -> dict[Path, str]:
    """The pages that hold what was measured, and all of their text."""
    found = {DOCS / "benchmarks.md": made(results)[0]}
    if (overhead := results.get("stream_overhead")) is not None:
        found[ROOT / "README.md"] = between(ROOT / "README.md", short(overhead))
    if (recovered := results.get("recovery")) is not None:
        found[DOCS / "why.md"] = between(DOCS / "why.md", module("recovery").section(recovered))
    return found


def between(path: Path, text: str) -> str:
    """The page with this text between its marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"


def write() -> list[Path]:
    """Pages and plots."""
    results = {name: kept(name) for name in MODULES}
    plots, pages = made(results)[1], texts(results)
    folder = DOCS / "plots"
    folder.mkdir(exist_ok=True)
    drawn = {folder / f"{name}.svg": draw(plot) for name, plot in plots.items()}
    for path, text in (pages | drawn).items():
        path.write_text(text, encoding="utf-8")
    for path in set(folder.glob("*.svg")) - set(drawn):  # no section has them any more
        path.unlink()
    return [*pages, *drawn]


if __name__ == "__main__":
    for path in write():
        print(f"written: {path.relative_to(ROOT)}")
