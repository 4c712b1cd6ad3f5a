"""What is public is importable, listed, and the same wherever it stands."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest

import headrace
import headrace.errors
import headrace.gateway

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(headrace.__path__, "headrace.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_honest(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", ())
    assert isinstance(listed, tuple), "a tuple, so that nobody appends to it"
    assert len(set(listed)) == len(listed)
    assert [one for one in listed if not hasattr(module, one)] == []


FIRST = """
import importlib, os, sys
import anyio, h11, httpx, msgspec  # not what is asked about, and half the time

failed = 0
for name in sys.argv[1:]:
    if not (child := os.fork()):
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(name, repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    failed += os.waitpid(child, 0)[1] != 0
sys.exit(failed)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fresh interpreter for each module would take minutes")
@pytest.mark.timeout(300)  # a process for each module: a busy machine takes more than the usual minute
def test_each_module_may_be_imported_first() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST, *MODULES], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_one_identity() -> None:
    assert (
        headrace.gateway.StreamInterruptedError
        is headrace.errors.StreamInterruptedError
        is headrace.StreamInterruptedError
    )


def test_nothing_optional_is_imported_with_the_package() -> None:
    code = "import sys, headrace; print(sorted({'trio', 'httpx2', 'headrace.simulator'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("module", "formats"), [("headrace", set()), ("headrace.providers.anthropic", {"anthropic"})])
def test_no_format_is_loaded_that_nobody_asked_for(module: str, formats: set[str]) -> None:
    code = f"import sys, {module}; print(*(name for name in sys.modules if name.startswith('headrace.wire.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    all_of_them = {"anthropic", "gemini", "ollama", "openai", "responses"}
    assert {name.rpartition(".")[2] for name in done.stdout.split()} & all_of_them == formats


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert headrace.__version__ == version("headrace")
