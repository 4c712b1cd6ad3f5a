"""
Does the built wheel work where src/ is not? Installs it in an environment of its own and runs the tests there.

`newest` takes the newest versions of all dependencies, `lowest` the lowest that pyproject.toml allows for the package
and its extras. With `--consumer`, `tests/consumer` is type-checked (mypy --strict, pyright) against the wheel and run.
A Python that is not on this machine is skipped, and told. Wants dist/, by `make build`.

usage: python -m release.wheel_test [--python 3.12 ...] [--versions newest|lowest] [--consumer] [--quick] [-- ...]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
UV: Final = str(Path(sys.executable).with_name("uv"))
TAKEN: Final = (
    "tests",
    "examples",
    "benchmarks",
    "docs",
    "release",
    ".github",
    "pyproject.toml",
    "mkdocs.yml",
    "Makefile",
)
TAKEN_FILES: Final = (".importlinter", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
QUICK: Final = (
    "tests/test_public_api.py",
    "tests/test_entry_points.py",
    "tests/streaming",
    "tests/plugin",
    "tests/faults/test_after_content.py",
    "tests/simulator/test_formats.py",
)
ALL_CORES: Final = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")
WHERE: Final = "import headrace, sys; sys.exit('site-packages' not in headrace.__file__ and headrace.__file__)"


def run(*command: str | Path, cwd: Path | None = None, quiet: bool = False) -> bool:
    """Whether it ended well. No variable of the outer environment names another one's packages."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    print("+", *(str(word) for word in command), flush=True)
    out = subprocess.PIPE if quiet else None
    done = subprocess.run(
        command, cwd=cwd, env=kept, check=False, stdout=out, stderr=subprocess.STDOUT if quiet else None
    )
    if quiet and done.returncode:
        print((done.stdout or b"").decode(errors="replace")[-4000:])
    return done.returncode == 0


def found(version: str) -> str:
    """The Python of that version that pyenv has, if any: its own commands refuse to run one that is not chosen."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return next((str(path) for path in sorted(root.glob(f"versions/{version}*/bin/python"), reverse=True)), version)


def install(python: Path, wheel: Path, versions: str, folder: Path) -> bool:
    """The wheel with all its extras, at the versions wanted; then what the tests need beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ours = folder / "ours.txt"  # as direct requirements: those alone are lowered
    lines = [f"headrace[{','.join(extras)}] @ {wheel.as_uri()}"]
    ours.write_text("\n".join([*lines, *project["dependencies"], *(one for extra in extras.values() for one in extra)]))
    resolution = "highest" if versions == "newest" else "lowest-direct"
    pip = (UV, "pip", "install", "--quiet", "--python", python)
    if not run(*pip, "--resolution", resolution, "-r", ours):
        return False
    held = folder / "held.txt"
    frozen = subprocess.run(
        [UV, "pip", "freeze", "--python", python], check=True, capture_output=True, text=True
    ).stdout
    held.write_text("\n".join(line for line in frozen.splitlines() if not line.startswith("headrace")))
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    tools = folder / "tools.txt"
    tools.write_text("\n".join(one for name in ("dev", "witness") for one in groups[name] if "headrace[" not in one))
    return run(*pip, "-c", held, "-r", tools) and run(python, "-c", WHERE, cwd=folder)


def consume(python: Path, folder: Path) -> bool:
    """Somebody else's program: its types by both checkers, and a run of it."""
    program = folder / "consumer"
    shutil.copytree(ROOT / "tests" / "consumer", program)
    return (
        run(python, "-m", "mypy", "--strict", "src", cwd=program)
        and run(python, "-m", "pyright", f"--pythonpath={python}", "src", cwd=program)
        and run(python, "-W", "error", "src/consumer/app.py", cwd=program)
    )


def tests(python: Path, folder: Path, arguments: Sequence[str]) -> bool:
    """The tests, in a tree without src/."""
    tree = folder / "tree"
    tree.mkdir()
    for name in (*TAKEN, *TAKEN_FILES):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, tree / name)
    return run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ALL_CORES, *arguments, cwd=tree)


def one(version: str, options: argparse.Namespace, wheel: Path) -> str:
    """What came of one Python."""
    with tempfile.TemporaryDirectory(prefix="headrace-wheel-") as name:
        folder, venv = Path(name), Path(name) / "venv"
        if not run(UV, "venv", "--quiet", "--no-python-downloads", "--python", found(version), venv, quiet=True):
            return "skipped: there is no such Python here"
        python = venv / "bin" / "python"
        if not install(python, wheel, options.versions, folder):
            return "FAILED to install"
        if options.consumer and not consume(python, folder):
            return "FAILED in tests/consumer"
        if not tests(python, folder, [*(QUICK if options.quick else ()), *options.pytest]):
            return "FAILED in the tests"
    return "passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--python", action="append", help="3.11, or a path; several times for several; this one's if absent"
    )
    parser.add_argument("--versions", choices=["newest", "lowest"], default="newest")
    parser.add_argument("--consumer", action="store_true")
    parser.add_argument("--quick", action="store_true", help="some of the tests")
    parser.add_argument("pytest", nargs="*", help="for pytest, behind --")
    options = parser.parse_args()
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        print("there is not one wheel in dist/: make build")
        return 2
    results: dict[str, str] = {}
    for version in options.python or [f"{sys.version_info.major}.{sys.version_info.minor}"]:
        began = time.monotonic()
        result = one(version, options, wheels[0])
        results[version] = f"{result} ({time.monotonic() - began:.0f} s)"
    for version, result in results.items():
        print(f"Python {version}, {options.versions} versions: {result}")
    return int(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
