"""Every async test runs on both loops: in real time by default, in virtual time where a module asks for it."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, settings

from .loops import VIRTUAL

# How fast examples come is the machine's affair: a busy one would fail what is right.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Real time; in a module marked `virtual` hours pass in no time, without sockets."""
    if request.node.get_closest_marker("virtual") is not None:
        return VIRTUAL[request.param]()
    return request.param


@pytest.fixture(autouse=True)
def no_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own keys and addresses."""
    for name in ("ANTHROPIC", "OPENAI", "XAI", "GEMINI", "GOOGLE"):
        for suffix in ("API_KEY", "BASE_URL"):
            monkeypatch.delenv(f"{name}_{suffix}", raising=False)
    for name in ("GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def quiet_log() -> None:
    """Cuts are logged at WARNING; a test that wants to see that uses caplog."""
    logging.getLogger("headrace").propagate = True
