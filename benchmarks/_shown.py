"""
Plots and lines at the top of the page for the modules that give tables only: by their results, pure.

`SHOWN` has for each the plots, and the lines: what, how much, the anchor of its section.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ._plots import OURS, Bars, Panel, Plot

BY_HAND: Final = "hand-written loop"
FORMAT, LOOP = "openai", "asyncio"  # of the plot: the one on which most clients run
Lines = list[tuple[str, str, str]]


def overhead_plots(data: Mapping[str, Any]) -> dict[str, Plot]:
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


def overhead_lines(data: Mapping[str, Any]) -> Lines:
    ratios = [row["ratio"] for row in data["rows"] if row["client"] == OURS and "ratio" in row]
    what = "CPU time for a streamed chunk, against the hand-written loop"
    return [(what, f"{min(ratios):.2f} to {max(ratios):.2f}", "what-a-streamed-chunk-costs")]


def import_lines(data: Mapping[str, Any]) -> Lines:
    ratio = next(row["ratio"] for row in data["rows"] if row["line"] == "import headrace")
    return [("`import headrace`, against what it stands on", f"{ratio:.2f}", "what-the-import-costs")]


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


def recovery_plots(data: Mapping[str, Any]) -> dict[str, Plot]:
    plots = {}
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
        plots[name] = Bars(labels=list(found), panels=panels, alt=alt)
    return plots


def recovery_lines(data: Mapping[str, Any]) -> Lines:
    """The best that headrace's programs do, since one of them does not ask to be told."""
    ours = [row for name, row in programs([*data["pieces"], *data["wholes"]]).items() if name.startswith(OURS)]
    told, lost = max(told for told, _ in ours), max(lost for _, lost in ours)
    return [("Faults after content that are told, and characters lost", f"{told:.0%}, {lost:.1%}", "recovery")]


class Shown(NamedTuple):
    plots: Callable[[Mapping[str, Any]], dict[str, Plot]]
    lines: Callable[[Mapping[str, Any]], Lines]


SHOWN: Final = {
    "stream_overhead": Shown(overhead_plots, overhead_lines),
    "import_time": Shown(lambda _: {}, import_lines),
    "recovery": Shown(recovery_plots, recovery_lines),
}
