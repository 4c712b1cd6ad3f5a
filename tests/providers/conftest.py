"""No test sees the developer's own keys for the known hosts."""

from __future__ import annotations

import pytest

from headrace.providers.compatible import HOSTS


@pytest.fixture(autouse=True)
def no_host_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in HOSTS.values():
        for name in row.key_env:
            monkeypatch.delenv(name, raising=False)
