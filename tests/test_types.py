"""
What type checkers make of the public API: mypy and pyright reveal the same types, and nobody gets an `Any`.

`tests/revealed.py` says the types. `make type` checks the rest: that all is complete, and that programs fit.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import os
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .test_docs_reference import listed

ROOT = Path(__file__).parent.parent
REVEALED = ROOT / "tests" / "revealed.py"
EXPECTED = {
    number: line.partition("  # ")[2]
    for number, line in enumerate(REVEALED.read_text().splitlines(), start=1)
    if "reveal_type(" in line
}
SAID = {
    "mypy": re.compile(r'revealed\.py:(\d+): note: Revealed type is "(.+)"'),
    "pyright": re.compile(r'revealed\.py:(\d+):\d+ - information: Type of ".+" is "(.+)"'),
}


def command(checker: str) -> list[str]:
    if checker == "mypy":
        return [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, str(REVEALED)]
    return [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(REVEALED)]


def plain(told: str) -> str:
    """As one writes it: no modules, and no marks of what was only inferred."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", told).replace("?", "").replace("*", "")


@pytest.mark.slow
@pytest.mark.timeout(240)  # the first run of pyright on a machine, and mypy without its cache
@pytest.mark.parametrize("checker", SAID)
def test_the_public_api_has_the_types_that_the_file_says(checker: str) -> None:
    assert len(EXPECTED) > 40 and all(EXPECTED.values())
    done = subprocess.run(command(checker), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = {int(line): plain(what) for line, what in SAID[checker].findall(done.stdout)}
    assert told == EXPECTED


# ---------------------------------------------------------------- no Any


def annotations(thing: object) -> dict[str, object]:
    """As types; as text where a name is known to type checkers alone."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except NameError:
        return dict(thing.__annotations__)


def signatures(name: str, thing: object) -> Iterator[tuple[str, dict[str, object]]]:
    """The annotations of a public name: its own, and those of what can be reached by its public attributes."""
    if isinstance(thing, type) and not issubclass(thing, enum.Enum):
        yield name, annotations(thing)
        for attribute, value in vars(thing).items():
            if not attribute.startswith("_") or attribute in {"__init__", "__call__", "__aiter__", "__anext__"}:
                yield from signatures(f"{name}.{attribute}", value)
    elif isinstance(thing, property):
        yield from signatures(name, thing.fget)
    elif isinstance(thing, (classmethod, staticmethod)):
        yield from signatures(name, thing.__func__)
    elif inspect.isfunction(thing):
        yield name, annotations(thing)


def holds_any(hint: object) -> bool:
    if hint is typing.Any or (isinstance(hint, str) and re.search(r"\bAny\b", hint)):
        return True
    inside = [*typing.get_args(hint), *(getattr(hint, "__bound__", None),) * isinstance(hint, typing.TypeVar)]
    return any(holds_any(one) if not isinstance(one, list) else any(map(holds_any, one)) for one in inside)


def with_any(thing: object, name: str) -> list[str]:
    return [
        f"{where}: {what}"
        for where, hints in signatures(name, thing)
        for what, hint in hints.items()
        if holds_any(hint)
    ]


def test_no_public_signature_has_an_any() -> None:
    """But where a pacer is taken: a session hands back its tickets, whatever they are, and no other type says that."""
    found, seen = [], 0
    for module, names in listed().items():
        for name in names:
            thing = getattr(importlib.import_module(module), name)
            seen += len(list(signatures(name, thing)))
            found += with_any(thing, f"{module}.{name}")
    assert seen > 400
    pacers = {one for one in found if one.endswith(": limits") or one == "headrace.testing.check_pacer: make"}
    assert set(found) - pacers == set()


@pytest.mark.parametrize(
    "hint",
    [typing.Any, list[typing.Any], dict[str, tuple[typing.Any, ...]], Callable[[typing.Any], int], "Unknown | Any"],
    ids=str,
)
def test_an_any_is_found_wherever_it_hides(hint: object) -> None:
    def leaks(value):
        return value

    leaks.__annotations__ = {"value": int, "return": hint}
    assert with_any(leaks, "leaks") == ["leaks: return"]
