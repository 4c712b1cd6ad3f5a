"""The program of docs/sharing.md, as it stands but for the server's address."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..redis_server import RedisServer, redis, redis_server

__all__ = ("redis", "redis_server")  # fixtures

PAGE = Path(__file__).parent.parent.parent / "docs" / "sharing.md"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_guides_program_shares_a_limit(backend: str, redis: RedisServer, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    for old, new in (("redis://localhost:6379/0", redis.url), ("run(main)", f"run(main, backend={backend!r})")):
        assert old in program
        program = program.replace(old, new)
    file = tmp_path / "program.py"
    file.write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", file], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "0 refusals: 30 requests may come at once, and 3 a second",
        "one: 20 answers",
        "other: 20 answers",
    ]
    assert redis.ask("KEYS", "*").startswith("headrace:{")


def test_the_account_of_the_guide_is_the_one_that_is_tested() -> None:
    (commands,) = re.findall(r"~headrace:\* (.*)", PAGE.read_text())
    assert repr(commands.split()).replace("'", '"') in (Path(__file__).parent / "test_redis.py").read_text()
