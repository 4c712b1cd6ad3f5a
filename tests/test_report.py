"""docs/benchmarks.md and its plots are what `benchmarks.report` makes of benchmarks/results, and can be seen."""

from __future__ import annotations

import copy
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from anyio import CancelScope, Event, create_task_group, fail_after, wait_all_tasks_blocked
from anyio.abc import TaskStatus
from benchmarks import _bench, _plots, first_chunk, memory, recovery, report, stream_overhead, throughput
from benchmarks._streams import CLIENTS, Read

from headrace.providers.openai import OpenAIProvider

ROOT = Path(__file__).parent.parent
PLOTS = ROOT / "docs" / "plots"
RESULTS = {name: report.kept(name) for name in report.MODULES}

WHERE = {"machine": "a machine", "versions": "headrace 9.9", "left_out": [], "rounds": 2}
PAIRS = [(backend, name) for backend in ("asyncio", "trio") for name in ("hand-written loop", "headrace")]


def cell(value: float, most: float | None = None, least: float | None = None) -> dict[str, float | None]:
    return {"value": value, "most": most, "least": least}


FIGURES = {
    "refusals": cell(3, most=2),
    "lost": cell(0, most=0),
    "goodput, mean": cell(0.998),
    "goodput, least": cell(0.991, least=0.97),
    "time / ideal": cell(1.004),
    "p99 wait / ideal": cell(1.01),
    "out of order": cell(0),
    "Jain": cell(1.0),
    "store calls a request": cell(0.0),
}
FIXTURES: dict[str, dict[str, Any]] = {
    "first_chunk": {
        **WHERE,
        "command": "python -m benchmarks.first_chunk",
        "rows": [
            {
                "backend": backend,
                "connection": connection,
                "client": client,
                "us": [900.0, 1000.0 + 500 * (client == "headrace"), 1100.0],
                "added": [400.0, 512.0, 600.0],
                "ratio": 1.5,
            }
            for backend in ("asyncio", "trio")
            for connection in ("kept alive", "new")
            for client in ("bare httpx bytes", "hand-written loop", "headrace")
        ],
    },
    "memory": {
        **WHERE,
        "command": "python -m benchmarks.memory",
        "left_out": [5000],
        "rows": [
            {"backend": backend, "client": client, "streams": count, "bytes": 32 * 1024 * count}
            for backend in ("asyncio", "trio")
            for client in ("bare httpx bytes", "hand-written loop", "headrace")
            for count in (10, 1000)
        ],
        "slopes": [
            {"backend": backend, "client": client, "bytes": 32768.0 * (1 + (client == "headrace"))}
            for backend in ("asyncio", "trio")
            for client in ("bare httpx bytes", "hand-written loop", "headrace")
        ],
    },
    "throughput": {
        **WHERE,
        "command": "python -m benchmarks.throughput",
        "rows": [
            {
                "backend": backend,
                "client": client,
                "streams": count,
                "rate": 25_000.0,
                "us": 40.0,
                "ratio": 1.0,
                "client_share": 0.99,
                "source_share": 0.4,
            }
            for backend, client in PAIRS
            for count in (1, 100)
        ],
    },
    "pacing": {
        **WHERE,
        "command": "python -m benchmarks.pacing",
        "seeds": 2,
        "requests": 500,
        "rows": [
            {"scenario": "OpenAI-like, tokens", "figures": FIGURES},
            {
                "scenario": "Anthropic-like",
                "figures": {
                    **{name: one for name, one in FIGURES.items() if name != "p99 wait / ideal"},
                    "refusals": cell(0, most=0),
                    "p99 wait, s": cell(0.0, most=0.0),
                },
            },
        ],
        "peers": [
            {
                "scenario": "OpenAI-like, tokens, 4 without a store",
                "who": who,
                "refusals": refusals,
                "lost": lost,
                "goodput": 0.5,
                "time": 1.0,
                "out of order": 1,
            }
            for who, refusals, lost in (("headrace", 0, 0), ("official SDKs, 2 retries", 1318, 437))
        ],
        "cost_us": 22.2,
    },
    "pacing_providers": {
        **WHERE,
        "command": "python -m benchmarks.pacing_providers",
        "requests": 500,
        "rows": [
            {
                "scenario": "OpenAI-like, tokens",
                "refusals": 0,
                "lost": 0,
                "goodput": 0.976,
                "took": 248.0,
                "most refusals": 0,
                "least goodput": 0.97,
            }
        ],
    },
    "pacing_live": {
        **WHERE,
        "command": "python -m benchmarks.pacing_live",
        "requests": 500,
        "tokens": 150_000,
        "rows": [
            {
                "share": "a Redis",
                "answers": 540,
                "asked": 540,
                "refusals": 0,
                "goodput": 0.993,
                "seconds": 20.9,
                "calls": 3.4,
                "quiet_calls": 2.0,
                "call_us": [500.0, 11_200.0],
            },
            {"share": "nothing", "answers": 540, "asked": 540, "refusals": 1, "goodput": 0.948, "seconds": 22.3},
        ],
    },
}
LINES = {  # a row of each section, and a sentence that depends on the figures
    "first_chunk": ["| asyncio | kept alive | headrace | 1,500 (900 to 1,100) | +512 (+400 to +600) | 1.50 |"],
    "memory": ["| trio | headrace | 0.3 | 31.2 | 64.0 | 2.00 |", "5,000 streams were left out"],
    "throughput": ["| trio | 100 | headrace | 25,000 | 40.0 | 1.00 | 99% | 40% |", "nowhere the bottleneck"],
    "pacing": [
        "| OpenAI-like, tokens | 3 (≤ 2) | 0 (≤ 0) | 99.8% | 99.1% (≥ 97.0%) | 1.004 | 1.010 | 0 | 1.000 | 0.0 |",
        "| Anthropic-like | 0 (≤ 0) | 0 (≤ 0) | 99.8% | 99.1% (≥ 97.0%) | 1.004 | 0.0 (≤ 0.0) s | 0 | 1.000 | 0.0 |",
        "| official SDKs, 2 retries | 1,318 | 50.0%, 437 lost | 1.00 | 1 |",
        "**missed: OpenAI-like, tokens: refusals**",
    ],
    "pacing_providers": ["| OpenAI-like, tokens | 0 (≤ 0) | 0 (≤ 0) | 97.6% (≥ 97.0%) | 248 |", "all targets are met"],
    "pacing_live": [
        "| a Redis | 540 of 540 | 0 | 99.3% | 20.9 s | 3.4, 2.0 | 0.5, 11.2 ms |",
        "| nothing | 540 of 540 | 1 | 94.8% | 22.3 s |  |  |",
        "all targets are met",
    ],
}


# ---------------------------------------------------------------- sections


@pytest.mark.parametrize("name", LINES)
def test_a_section_has_its_figures_its_heading_and_how_it_was_made(name: str) -> None:
    section, _, lines = report.shown(name, FIXTURES[name])
    section = section.replace("\N{NO-BREAK SPACE}", " ")
    assert section.startswith(f"## {report.MODULES[name]}\n")
    for words in (*LINES[name], FIXTURES[name]["command"], "a machine", "headrace 9.9"):
        assert words in section
    anchors = {anchor for _, _, anchor in lines}
    assert anchors <= {re.sub(r"[^\w ]", "", report.MODULES[name]).lower().replace(" ", "-")}


def test_the_page_says_how_to_make_what_is_missing() -> None:
    page, plots = report.made({"memory": FIXTURES["memory"]})
    assert list(plots) == ["memory"]
    assert f"## Memory of an open stream\n\n![{plots['memory'].alt}](plots/memory.svg)\n\n`python" in page
    assert "## Pacing\n\nNot measured yet: `python -m benchmarks pacing` does it.\n" in page
    assert (
        "| [Memory of an open stream, against the hand-written loop](#memory-of-an-open-stream) | 2.00 (asyncio" in page
    )


def test_a_source_that_was_too_slow_is_told() -> None:
    data = copy.deepcopy(FIXTURES["throughput"])
    data["rows"][1] |= {"client_share": 0.7, "source_share": 0.97}
    section, _, _ = report.shown("throughput", data)
    assert "The source was the bottleneck at 100 streams" in section
    assert "waited for the machine" not in section
    data["rows"][0] |= {"client_share": 0.5}
    assert "At 1 streams a client had less than 90% of a core" in report.shown("throughput", data)[0]


def test_a_target_of_shared_limits_that_is_missed_is_told() -> None:
    data = copy.deepcopy(FIXTURES["pacing_live"])
    data["rows"][0]["refusals"] = 1
    assert "**a target is missed**" in report.shown("pacing_live", data)[0]
    assert "there was no redis-server on a machine" in report.shown("pacing_live", {**data, "rows": []})[0]


def test_the_plots_of_overhead_and_recovery_are_made_of_their_rows() -> None:
    row = {"shape": "openai", "backend": "asyncio", "us": 1.0}
    rows = [
        {**row, "arrival": "ten events a read", "client": "headrace", "ratio": 0.91},
        {**row, "arrival": "ten events a read", "client": "openai SDK", "ratio": 3.9},
        {"shape": "openai", "backend": "asyncio", "client": "a peer", "fails": "TypeError"},
        {**row, "backend": "trio", "arrival": "ten events a read", "client": "headrace", "ratio": 1.02},
    ]
    plot = stream_overhead.plots({"rows": rows})["stream_overhead"]
    assert plot.labels == ["headrace", "openai SDK"]
    assert [panel.series for panel in plot.panels] == [{"ratio": [0.91, 3.9]}]
    assert stream_overhead.summary({"rows": rows})[0][1] == "0.91 to 1.02"
    pieces = [
        {"format": "openai", "program": "headrace, `x()`", "told": 1.0, "sent": 100, "lost": 0},
        {"format": "gemini", "program": "headrace, `x()`", "told": 1.0, "sent": 100, "lost": 0},
        {"format": "openai", "program": "openai SDK", "told": 0.5, "sent": 100, "lost": 1},
        {"format": "gemini", "program": "openai SDK", "told": 0.7, "sent": 300, "lost": 3},
    ]
    assert recovery.programs(pieces) == {"headrace, x()": (1.0, 0.0), "openai SDK": (0.6, 0.01)}
    assert list(recovery.plots({"pieces": pieces, "wholes": pieces})) == ["recovery", "recovery_whole"]
    assert recovery.summary({"pieces": pieces, "wholes": pieces[:1]}) == [
        ("Faults after content that are told, and characters lost", "100%, 0.0%", "recovery")
    ]


def test_results_come_back_as_they_were_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_bench, "RESULTS", tmp_path / "results")
    path = _bench.save("a", {"rows": [{"x": 1.5, "y": None}]})
    assert path.read_text().endswith("}\n")
    assert _bench.load("a") == {"rows": [{"x": 1.5, "y": None}]}


# ---------------------------------------------------------------- measuring, in short


@pytest.mark.slow
def test_there_is_no_ratio_to_no_growth() -> None:
    none = [{**slope, "bytes": 0.0} for slope in FIXTURES["memory"]["slopes"]]
    page, _ = report.made({"memory": FIXTURES["memory"] | {"slopes": none}})
    assert "| trio | headrace | 0.3 | 31.2 | 0.0 | – |" in page


@pytest.mark.parametrize("module", [first_chunk, throughput, memory], ids=lambda module: module.__name__)
def test_what_is_measured_in_short_can_be_kept_and_shown(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_chunk, "WARM", 1)
    short = {
        "first_chunk": {"rounds": 2},
        "throughput": {"rounds": 1, "counts": (1, 3)},
        "memory": {"rounds": 1, "counts": (10, 60)},
    }
    name = module.__name__.rpartition(".")[2]
    data = json.loads(json.dumps(module.measure(**short[name])))
    section, plots, lines = report.shown(name, data)
    for backend in ("asyncio", "trio"):
        assert re.search(rf"\| {backend} .*\| headrace \|", section)
    assert list(plots) == [name]
    assert lines


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_of_the_many_streams_pauses_at_a_piece_and_reads_to_the_end(client: str) -> None:
    seen = []

    async def pause() -> None:
        seen.append("paused")

    with _bench.source() as port:
        for end in ("", "/close"):
            async with CLIENTS[client](f"http://127.0.0.1:{port}/openai/n-4/per-1/gap-0{end}") as read:
                assert await read(2, pause) >= 4
                assert await read(0, pause) >= 4
    assert seen == ["paused"] * 2


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_stream_of_the_source_rests_after_its_words(client: str) -> None:
    has_all = Event()

    async def pause() -> None:
        has_all.set()

    async def read_on(read: Read, *, task_status: TaskStatus[CancelScope]) -> None:
        with CancelScope() as scope:
            task_status.started(scope)
            await read(4, pause)
            pytest.fail("the answer ended")

    with _bench.source() as port:
        async with CLIENTS[client](f"http://127.0.0.1:{port}/openai/n-4/per-1/gap-0/rest") as read:
            async with create_task_group() as tasks:
                scope = await tasks.start(read_on, read)
                with fail_after(10):
                    await has_all.wait()
                await wait_all_tasks_blocked()
                scope.cancel()


async def test_the_source_paces_nobody() -> None:
    """It is asked hundreds of times a second: a limit that is near would be waited for, and measured."""
    with _bench.source() as port:
        async with OpenAIProvider("k", base_url=f"http://127.0.0.1:{port}/openai/n-1/per-1/gap-0") as provider:
            await provider.generate("hi")
            info = provider.rate_limit()
    assert info is not None
    assert info.limit_requests > 1_000_000
    assert info.usage_percentage < 0.01


# ---------------------------------------------------------------- what is committed


def test_the_pages_are_of_the_results_that_are_kept() -> None:
    texts = report.texts(RESULTS)
    assert {path.name for path in texts} == {"benchmarks.md", "README.md", "why.md"}
    for path, text in texts.items():
        current = path.read_text(encoding="utf-8") == text
        assert current, f"{path.name} is not of benchmarks/results: run `python -m benchmarks.report`"


def test_the_plots_are_of_the_results_that_are_kept() -> None:
    plots = report.made(RESULTS)[1]
    assert {path.stem for path in PLOTS.glob("*.svg")} == set(plots)
    for name, plot in plots.items():
        digests = re.findall(r"<dc:identifier>(\w+)</dc:identifier>", (PLOTS / f"{name}.svg").read_text())
        assert digests == [_plots.digest(plot)], f"docs/plots/{name}.svg: run `python -m benchmarks.report`"


@pytest.mark.parametrize("name", sorted(path.stem for path in PLOTS.glob("*.svg")))
def test_a_plot_is_drawn_the_same_again(name: str) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed: `pip install --group bench`")
    if not matplotlib.__version__.startswith("3.11."):
        pytest.skip(f"matplotlib {matplotlib.__version__} draws otherwise than the 3.11 of the group `bench`")
    same = (PLOTS / f"{name}.svg").read_text(encoding="utf-8") == _plots.draw(report.made(RESULTS)[1][name])
    assert same, f"docs/plots/{name}.svg: run `python -m benchmarks.report`"


# ---------------------------------------------------------------- plots


@pytest.mark.parametrize("ground", _plots.GROUNDS)
@pytest.mark.parametrize("colour", [_plots.INK, *_plots.COLOURS])
def test_a_colour_can_be_seen_on_both_grounds(colour: str, ground: str) -> None:
    assert _plots.contrast(colour, ground) >= 3.0


def test_contrast_is_that_of_wcag() -> None:
    assert _plots.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert _plots.contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.005)


def test_a_plot_has_no_colour_but_those() -> None:
    for path in PLOTS.glob("*.svg"):
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", path.read_text()))
        assert used <= {_plots.INK, *_plots.COLOURS}, path.name


def test_every_series_of_a_plot_has_a_colour_of_its_own() -> None:
    for name in FIXTURES:
        for plot in report.shown(name, FIXTURES[name])[1].values():
            names = list(plot.panels[0].series)
            assert len({_plots.colours(names)[one] for one in names}) == len(names)


def test_the_digest_changes_with_a_figure() -> None:
    plot = _plots.Bars(labels=["a"], panels=[_plots.Panel("p", {"s": [1.0]})], alt="a plot")
    assert _plots.digest(plot) != _plots.digest(replace(plot, panels=[_plots.Panel("p", {"s": [1.1]})]))
    assert _plots.digest(plot) == _plots.digest(copy.deepcopy(plot))


def test_every_module_of_the_page_can_be_measured_in_short() -> None:
    main = importlib.import_module("benchmarks.__main__")
    assert main.QUICK.keys() == report.MODULES.keys()
    json.dumps(main.QUICK)
