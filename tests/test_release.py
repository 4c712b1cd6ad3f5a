"""What a release is made by: the files that name make's targets, and what is looked for in a wheel."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from .test_programs import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_targets_that_there_are(workflow: Path) -> None:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    called = {name for command in commands for name in re.findall(r"\bmake ([a-z-]+)", command)}
    assert called and called <= TARGETS


def test_the_gate_and_the_workflow_run_the_same_targets() -> None:
    if not (ROOT / ".ci").exists():
        pytest.skip("the gate is no part of what is released")
    gate = re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    steps = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["gate"]["steps"]
    assert [step["run"].removeprefix("make ") for step in steps if step.get("run", "").startswith("make ")] == gate


def test_a_wheel_that_lacks_a_file_or_has_one_too_many_is_told(tmp_path: Path) -> None:
    if not (ROOT / "src").exists():
        pytest.skip("there is no src/ to compare with")
    sys.path.insert(0, str(ROOT))
    from release.contents import wrong

    with zipfile.ZipFile(tmp_path / "headrace-1-py3-none-any.whl", "w") as wheel:
        for path in (ROOT / "src").rglob("*"):
            if path.suffix in {".py", ".toml"}:
                wheel.write(path, path.relative_to(ROOT / "src"))
        wheel.writestr("headrace/notes.txt", "")
        wheel.writestr("headrace-1.dist-info/licenses/LICENSE", "")
        wheel.writestr("headrace-1.dist-info/METADATA", "Requires-Python: >=3.11\n\nText")
    shutil.make_archive(str(tmp_path / "headrace-1"), "gztar", ROOT, "examples")
    found = wrong(tmp_path)
    assert found[:2] == ["the wheel lacks headrace/py.typed", "the wheel has headrace/notes.txt"]
    assert "the sdist lacks pyproject.toml" in found
