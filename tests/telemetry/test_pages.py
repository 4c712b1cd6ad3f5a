"""The programs of docs/telemetry.md and docs/usage.md, each as it stands, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"

# What each prints, in the order of the page.
PRINTED = {
    "usage": (
        r"openai/gpt-4o: 2 requests, 1 left early\nprompt about \d+, completion about \d+, cost about 0\.\d+ USD\n",
        r"cost: about 0 USD\n",
        r"the budget of 100,000 tokens per 3600 s is spent \(120,000 tokens\)\. There is room again in 3\d{3} s, at "
        r"\S+ \S+ UTC\. Nothing was sent: .*\ntokens 100000 120000 True\n",
    ),
    "telemetry": (
        r"chat claude-\S+\nmy request\n",
        r"sent to gemini\nthe first words\nended: finished\n",
    ),
}


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text("utf-8"), flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("page", "index"), [(page, index) for page, printed in PRINTED.items() for index in range(len(printed))], ids=str
)
def test_a_program_of_the_page_runs_as_it_stands(page: str, index: int, backend: str, tmp_path: Path) -> None:
    program = programs(page)[index].replace("anyio.run(main)", f'anyio.run(main, backend="{backend}")')
    file = tmp_path / "program.py"
    file.write_text(program)
    done = subprocess.run([sys.executable, "-W", "error", str(file)], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(PRINTED[page][index], done.stdout), done.stdout


@pytest.mark.parametrize("page", PRINTED)
def test_every_program_of_the_page_is_run(page: str) -> None:
    assert len(programs(page)) == len(PRINTED[page])
