"""
Plots as SVG for docs/plots, readable on a light page and on a dark one, and the same bytes for the same figures.

A plot is first a value (`Bars`, `Lines`), which the modules make of their results; only `draw` needs matplotlib. The
ground is transparent. Nothing tells an image which scheme a page has been switched to, so that one set of colours must
do: each has a contrast of 3 to 1 at least with both grounds; that of the words, 3.8, is nearly the most that one colour
can have with both. Words are kept as text, not as paths: the files are small and can be searched, and since matplotlib
leaves room for its own wide font, another one fits. A file carries the digest of what it shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Final

GROUNDS: Final = ("#ffffff", "#1e2129")  # of the page, light and dark
INK: Final = "#7f8287"  # words and axes
COLOURS: Final = ("#2f7fd6", "#c9682a", "#2e9464", "#a45fc4", "#8a8040", "#c2548a")
OURS: Final = "headrace"
ALWAYS: Final = {OURS: 0, "bare httpx bytes": 1, "hand-written loop": 2}  # have the same colour in every plot
WIDTH: Final = 9.0  # inches, of 72 points each
ROW: Final = 0.24  # inches of a bar


@dataclass(frozen=True)
class Panel:
    """One pair of axes. Bars have a value for each label in a series, lines have points. `mark`: where to compare."""

    title: str
    series: Mapping[str, Sequence[float | None]] | Mapping[str, Sequence[tuple[float, float]]]
    log: bool = False
    mark: float | None = None
    form: str = "{:.2f}"


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Horizontal bars: panels side by side, which share their labels and the names of their series."""

    labels: Sequence[str]
    panels: Sequence[Panel]
    alt: str


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines: panels side by side, which share both axes and the names of their series. `log` is of the axis below."""

    panels: Sequence[Panel]
    x: str
    y: str
    alt: str
    log: bool = True


Plot = Bars | Lines


def digest(plot: Plot) -> str:
    """Of all that is shown; the file of a plot has it in it."""
    return hashlib.sha256(json.dumps([type(plot).__name__, asdict(plot)]).encode()).hexdigest()[:16]


def contrast(one: str, other: str) -> float:
    """WCAG's, from 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colours(names: Sequence[str]) -> dict[str, str]:
    """One for each name."""
    others = iter(COLOURS[len(ALWAYS) :])
    return {name: COLOURS[ALWAYS[name]] if name in ALWAYS else next(others) for name in names}


def draw(plot: Plot) -> str:
    """The SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "headrace",  # without one the names in the file are random
        "font.family": ["DejaVu Sans", "sans-serif"],
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": INK,
        "grid.alpha": 0.25,
        "legend.frameon": False,
    }
    with mpl.rc_context(style):
        figure = _bars(plt, plot) if isinstance(plot, Bars) else _lines(plt, plot)
        out = StringIO()
        about = {"Date": None, "Creator": None, "Title": plot.alt, "Identifier": digest(plot)}
        figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata=about)
        plt.close(figure)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _bars(plt, plot: Bars):
    names = list(plot.panels[0].series)
    rows = len(plot.labels) * (len(names) + 0.6)
    height = 1.0 + ROW * rows + 0.25 * (len(names) > 1)
    figure, axes = plt.subplots(
        1, len(plot.panels), figsize=(WIDTH, height), sharey=True, squeeze=False, layout="constrained"
    )
    shade = colours(names)
    places = [at * (len(names) + 0.6) for at in range(len(plot.labels))]
    for panel, ax in zip(plot.panels, axes[0], strict=True):
        if panel.log:  # from where nothing is: a bar begins somewhere
            ax.set_xscale("symlog", linthresh=1)
        for number, (name, values) in enumerate(panel.series.items()):
            one = len(names) == 1
            fill = (
                [COLOURS[0] if label.startswith(OURS) else COLOURS[1] for label in plot.labels] if one else shade[name]
            )
            lengths = [0 if value is None else value for value in values]
            bars = ax.barh([place + number for place in places], lengths, 0.86, label=name, color=fill)
            texts = ["" if value is None else panel.form.format(value) for value in values]
            ax.bar_label(bars, texts, padding=3, fontsize=8)
        if panel.mark is not None:
            ax.axvline(panel.mark, color=INK, linewidth=1, linestyle="--")
        ax.margins(x=0.25)  # room for the figures beside the bars
        if panel.log:
            ax.set_xticks(*_ticks(max(value or 0 for values in panel.series.values() for value in values)))
            ax.minorticks_off()
        elif panel.form.endswith("%}"):
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
            ax.set_xticks([0, 0.5, 1])
        ax.set_xlim(left=0, right=1.25 if panel.form.endswith("%}") else None)
        ax.set_xlabel(panel.title)
        ax.set_yticks([place + (len(names) - 1) / 2 for place in places], plot.labels)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
    axes[0][0].invert_yaxis()
    if len(names) > 1:
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _ticks(top: float) -> tuple[list[int], list[str]]:
    """Where a logarithmic axis has marks, from 0 to the greatest value, and what they say."""
    marks = [0, 1, 2, 5, 10, 20, 50] if top < 100 else [0, 1, *(100**power for power in range(1, 6))]
    marks = [mark for mark in marks if mark <= top]
    return marks, [f"{mark:,}" for mark in marks]


def _lines(plt, plot: Lines):
    figure, axes = plt.subplots(
        1, len(plot.panels), figsize=(WIDTH, 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    names = list(plot.panels[0].series)
    shade = colours(names)
    for panel, ax in zip(plot.panels, axes[0], strict=True):
        for (name, points), marker in zip(panel.series.items(), "osD^v", strict=False):
            xs, ys = zip(*points, strict=True)
            ax.plot(xs, ys, marker=marker, markersize=5, linewidth=1.8, color=shade[name], label=name)
        if plot.log:
            ax.set_xscale("log")
            ticks = sorted({x for points in panel.series.values() for x, _ in points})
            ax.set_xticks(ticks, [f"{x:,}" for x in ticks])
            ax.minorticks_off()
        else:
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.set_title(panel.title)
        ax.set_xlabel(plot.x)
        ax.grid()
    ys = [y for panel in plot.panels for points in panel.series.values() for _, y in points]
    axes[0][0].set_ylim(0, 1.08 * max(ys))  # of all panels: they share it
    axes[0][0].set_ylabel(plot.y)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names))
    return figure
