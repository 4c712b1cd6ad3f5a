"""A running simulator, on asyncio alone: the SDKs run nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from headrace.simulator import Simulator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=5) as simulator:
        yield simulator
