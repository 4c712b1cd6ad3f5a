"""What the fault tests share: a running simulator, the leak check, and bounds that a test can reach."""

from __future__ import annotations

import gc
import ssl
from collections.abc import AsyncIterator, Iterator
from functools import cache

import pytest

from headrace.simulator import Simulator

from ..leaks import nothing_left


@pytest.fixture(scope="package", autouse=True)
def quick() -> Iterator[None]:
    """Each test makes an HTTP client and collects garbage: certificates and what the imports made are read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of 64 KiB is huge here: 16 MiB through a socket take a second."""
    monkeypatch.setattr("headrace.wire.framing.EVENT_BYTES", 1 << 16)


@pytest.fixture
async def leak_check() -> AsyncIterator[None]:
    """For async tests: `pytestmark = pytest.mark.usefixtures("leak_check")`."""
    async with nothing_left():
        yield


@pytest.fixture
async def sim(leak_check: None) -> AsyncIterator[Simulator]:
    """The vendors on a real socket."""
    async with Simulator() as running:
        yield running
