"""
The documentation runs: each ```python block of README.md and of every page is executed against the simulator.

How, and what a block may use, stands in `tests/pages.py`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from headrace import cli

from .pages import blocks

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = [page for page in PAGES if any(b.language == "python" and b.reason is None for b in blocks(page.read_text()))]
LANGUAGES = {"", "python", "toml", "console", "text", "js", "html"}
GENAI = "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"  # its own doing, where aiohttp is installed
SDKS = {"coming-from-the-sdks": ("openai", "anthropic", "google.genai")}  # pages that show other people's clients


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN", "_HOST", "_URL"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", GENAI, "-m", "tests.pages", str(page)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    for package in SDKS.get(page.stem, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stderr
    assert not any(word in done.stderr for word in ("Traceback", "Warning:", "Exception ignored")), done.stderr
    shown = [block for block in blocks(page.read_text()) if block.language == "python"]
    assert done.stdout.splitlines()[-1] == f"{sum(block.reason is None for block in shown)} blocks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_says_what_it_is_and_why_it_is_not_run(page: Path) -> None:
    """So that none escapes by another name."""
    text = page.read_text()
    found = list(blocks(text))
    assert text.count("```") == 2 * len(found) + text.count("`` ```")
    assert {block.language for block in found} <= LANGUAGES
    reasons = [block.reason for block in found if block.reason is not None]
    assert len(reasons) == text.count("<!-- not run")
    assert all(len(reason.split()) >= 3 for reason in reasons)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_line_is_no_heading_by_accident(page: Path) -> None:
    """Such as one that begins with the number of an issue."""
    prose = page.read_text()
    for block in blocks(prose):
        prose = prose.replace(block.code, "")
    assert re.findall(r"^#+(?![# ]).*", prose, re.MULTILINE) == []


# ---------------------------------------------------------------- what is typed into a shell


def typed(page: Path) -> list[str]:
    """The commands of its console blocks, without what a pipe or a file does with them."""
    lines = [
        line for block in blocks(page.read_text()) if block.language == "console" for line in block.code.splitlines()
    ]
    return [re.split(r" (?:[|<]|#) ", line.removeprefix("$ "))[0].strip() for line in lines if line.startswith("$ ")]


COMMANDS = [(page, command) for page in PAGES for command in typed(page)]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[command for _, command in COMMANDS])
def test_a_command_of_a_page_can_be_typed(page: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = shlex.split(command)
    if program == "headrace":
        parsed = {name: replace(known, run=lambda _: 77) for name, known in cli.COMMANDS.items()}
        monkeypatch.setattr(cli, "COMMANDS", parsed)
        assert cli.main(arguments) == 77
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert arguments[0] in targets
    else:
        assert (program, arguments[0]) in {("pip", "install"), ("uv", "add")}, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_extra_that_a_page_names_is_there(page: Path) -> None:
    named = {name for several in re.findall(r"headrace\[([\w,-]+)\]", page.read_text()) for name in several.split(",")}
    assert named <= set(EXTRAS)


# ---------------------------------------------------------------- it can fail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("claude.no_such_method()", "has no attribute 'no_such_method'"),
        ("nowhere", "name 'nowhere' is not defined"),
        ("from headrace import NoSuchName", "cannot import name 'NoSuchName'"),
        ("await claude.chat(messages, GenerationConfig(no_such_option=1))", "no_such_option"),
        ("assert (await claude.generate('Hello')).content == 'these very words'", "AssertionError"),
        ("raise ValueError('one')\n# ValueError: other", "ValueError: one"),
        ("pass\n# ValueError: one", "it raised no 'ValueError: one'"),
        ("open('file', 'w').write('never closed')", "ResourceWarning"),
        ("print('one', 2)\n```\n\n```text\none ... 3", "page.md:8: it printed 'one 2\\n'"),
    ],
    ids=["method", "name", "import", "option", "assertion", "another error", "no error", "warning", "output"],
)
def test_a_page_that_is_wrong_is_found(code: str, told: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```python\n{code}\n```\n")
    done = run(page, tmp_path)
    assert told in done.stderr
    assert done.returncode != 0 or "Exception ignored" in done.stderr
    if "AttributeError" in done.stderr:
        assert 'page.md", line 4' in done.stderr


@pytest.mark.slow
def test_a_file_that_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```toml\n[providers.claude]\nkind = "anthropic"\nprioritty = 1\n```\n')
    done = run(page, tmp_path)
    assert done.returncode != 0 and "unknown key 'prioritty'" in done.stderr
