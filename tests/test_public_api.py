"""What is public is importable, listed, and the same wherever it stands."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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


@pytest.mark.slow
@pytest.mark.timeout(300)  # a process for each module: a busy machine takes more than the usual minute
def test_each_module_may_be_imported_first() -> None:
    def failure(name: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True, check=False)
        return [name, *done.stderr.splitlines()[-1:]] if done.returncode else []

    with ThreadPoolExecutor(4) as threads:
        assert [found for found in threads.map(failure, MODULES) if found] == []


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


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert headrace.__version__ == version("headrace")
