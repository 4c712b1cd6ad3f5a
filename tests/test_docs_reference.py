"""The reference pages that are written by hand say what the code says: names, errors, defaults, layers, formats."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from benchmarks import recovery, report

import headrace
from headrace import errors
from headrace.streaming import machine
from headrace.wire import _responses_stream, anthropic, gemini, openai

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CELLS = re.compile(r"^\| (.+?) \| (.+) \|$", re.MULTILINE)
NOT_PUBLIC = (  # modules without an underscore that the page says are not public, and those below them
    "headrace.wire",
    "headrace.streaming",
    "headrace.commands",
    "headrace.cli",
    "headrace.demo",
    "headrace.__main__",
    "headrace.limits.line",
    "headrace.limits.model",
    "headrace.limits.policies",
    "headrace.simulator.",
)


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def listed() -> dict[str, list[str]]:
    """The names of each module on the page of public names."""
    found = {}
    for section in read("reference/api.md").split("\n## ")[1:]:
        module, _, body = section.partition("\n")
        rows = [cells for cells in CELLS.findall(body) if cells[0].startswith("`")]
        assert all(len(reason) > 2 for _, reason in rows)
        found[module] = [name.strip("`") for name, _ in rows]
    return found


# ---------------------------------------------------------------- public names


@pytest.mark.parametrize("module", listed())
def test_the_page_of_public_names_has_each_of_a_module(module: str) -> None:
    assert sorted(listed()[module]) == sorted(importlib.import_module(module).__all__)


def test_every_module_is_public_or_known_not_to_be() -> None:
    names = [module.name for module in pkgutil.walk_packages(headrace.__path__, "headrace.")]
    open_ones = [name for name in names if "._" not in name and getattr(importlib.import_module(name), "__all__", ())]
    left = [name for name in open_ones if name not in listed() and not name.startswith(NOT_PUBLIC)]
    assert left == []


def test_every_public_class_and_function_is_described_on_a_page() -> None:
    described = set()
    for page in (DOCS / "reference").glob("*.md"):
        for path in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE):
            thing = pkgutil.resolve_name(path)
            members = getattr(thing, "__all__", ()) if inspect.ismodule(thing) else ()
            described |= {id(thing), *(id(getattr(thing, name)) for name in members)}
    left = [
        f"{module}.{name}"
        for module, names in listed().items()
        for name in names
        if isinstance(thing := getattr(importlib.import_module(module), name), type) or inspect.isfunction(thing)
        if id(thing) not in described
    ]
    assert left == []


def test_every_name_has_a_reason_of_its_own() -> None:
    """A reason that stands behind many names is none."""
    rows = [reason for name, reason in CELLS.findall(read("reference/api.md")) if name.startswith("`")]
    often = {reason for reason in rows if rows.count(reason) > 2 and reason != "as in `headrace`"}
    assert len(rows) > 200 and often == set()


# ---------------------------------------------------------------- errors


def test_every_error_has_its_row() -> None:
    rows = [name for name, _ in CELLS.findall(read("reference/errors.md")) if name.startswith("`")]
    classes = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert sorted(row.strip("`") for row in rows) == sorted(classes)


def test_the_tree_of_errors_is_the_modules() -> None:
    assert errors.__doc__ is not None
    tree = errors.__doc__.partition("HeadraceError\n")[2].partition("\n\n")[0].splitlines()
    names = "\n".join(re.sub(r"(\w)  .*", r"\1", line) for line in tree)  # without what is said of them
    assert names.count("Error") == len(tree) > 25
    assert f"HeadraceError\n{names}\n```" in read("reference/errors.md")


# ---------------------------------------------------------------- defaults


DEFAULTS = [
    (code.strip("`"), rest.split(" | ")[0].strip("`"))
    for code, rest in CELLS.findall(read("reference/defaults.md"))
    if code.startswith("`")
]


def test_there_are_defaults() -> None:
    assert len(DEFAULTS) > 20


@pytest.mark.parametrize(("code", "value"), DEFAULTS, ids=[code for code, _ in DEFAULTS])
def test_a_default_is_what_the_page_says(code: str, value: str) -> None:
    path, call, rest = code.partition("(")  # such as `headrace.Deadlines().idle`
    found = eval(f"owner{call}{rest}", {"owner": pkgutil.resolve_name(path)})
    assert found == ast.literal_eval(value)


# ---------------------------------------------------------------- design


def test_the_layers_of_the_page_are_those_that_are_enforced() -> None:
    file = configparser.ConfigParser()
    file.read(ROOT / ".importlinter")
    layers = file["importlinter:contract:layers"]["layers"].strip().splitlines()
    shown = read("design.md").partition("```text\n__main__\n")[2].partition("```")[0].splitlines()
    assert ["__main__", *shown] == layers


def test_the_house_of_the_contributors_has_every_room_and_no_other() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## The house")[2].partition("\n\nMore of it")[0]
    places = [place for row, _ in CELLS.findall(table) for place in re.findall(r"`([\w./]+)`", row)]
    package = Path(headrace.__file__).parent
    there = {path.name + "/" * path.is_dir() for path in package.iterdir()} - {
        "__init__.py",
        "__pycache__/",
        "py.typed",
    }
    assert sorted(places) == sorted(there)


def test_the_table_of_the_stream_is_the_machines() -> None:
    assert machine.__doc__ is not None
    rows = [line.split() for line in machine.__doc__.splitlines() if line.startswith("    ")]
    shown = read("design.md").partition("| phase |")[2].partition("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in f"| phase |{line}".strip("|").split("|")] for line in shown[:1]]
    cells += [[cell.strip() for cell in line.strip("|").split("|")] for line in shown[2:]]
    assert cells == rows


# ---------------------------------------------------------------- the measured faults


def test_the_page_of_faults_explains_each_that_is_measured() -> None:
    page = read("why.md")
    explained = [name for name, _ in CELLS.findall(page.partition("\n| fault |")[2].partition("\n\n")[0])]
    assert ["no fault", *explained[1:]] == list(recovery.FAULTS)
    assert page.count(f"| {' | '.join(recovery.FAULTS)} |") == 2  # the heads of the two tables
    assert page.count(report.BEGIN) == page.count(report.END) == 1


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("Anthropic Messages", anthropic.FINISH_REASONS),
        ("Chat Completions", openai.FINISH_REASONS),
        ("Gemini generateContent", gemini.FINISH_REASONS),
        ("Responses", _responses_stream.FINISH_REASONS),
    ],
    ids=["anthropic", "chat", "gemini", "responses"],
)
def test_the_finish_reasons_of_a_format_are_the_codecs(heading: str, table: dict[str, str]) -> None:
    section = read("reference/wire-formats.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    shown = {
        word: ours.strip("`")
        for theirs, ours in CELLS.findall(section)
        for word in re.findall(r"`(\w+)`", theirs)
        if ours.strip("`") in {"stop", "length", "tool_calls", "content_filter", "refusal", "pause"}
    }
    codec = {word: ours for word, ours in table.items() if not word.isdigit()}
    assert codec.items() <= shown.items()
