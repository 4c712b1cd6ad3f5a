"""A server of examples/web.py in a process of its own, and the vendor behind it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from headrace.simulator import Simulator

EXAMPLE = Path(__file__).parents[2] / "examples" / "web.py"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # of the test; the application runs in its own process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture(params=["uvicorn", "hypercorn-trio"])
async def url(request: pytest.FixtureRequest, sim: Simulator) -> AsyncIterator[str]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
    command = [sys.executable, str(EXAMPLE), "--port", str(port), *(["--trio"] if "trio" in request.param else [])]
    env = kept | {"OLLAMA_HOST": sim.base_url("ollama")}
    process = await anyio.open_process(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with anyio.fail_after(20):
            while True:
                try:
                    await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await anyio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
