"""The pacer's targets, in virtual time: two seeds of each scenario here, twenty in `make bench`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .test_programs import ROOT


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", [("benchmarks.pacing", "--seeds", "2"), ("benchmarks.pacing_providers",)], ids=str)
def test_every_scenario_meets_its_target(module: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *module], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OpenAI-like, tokens" in done.stdout
