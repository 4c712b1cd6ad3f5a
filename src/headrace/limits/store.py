"""
Where processes share a model: load it, decide, and put it back if nobody else did in between.

A store knows bytes and versions, and has the one clock that counts for those who share it. `MemoryStore` is for
several pacers in one process, and for tests.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from anyio import current_time, sleep_forever

from ..errors import HeadraceError

__all__ = ("KEPT", "MemoryStore", "Store", "StoreError", "Stored")

KEPT: Final = 86_400.0  # seconds a model is kept that nobody asks for: the longest window that vendors have


class StoreError(HeadraceError):
    """The store cannot be reached, or answers with what it should not."""


class Stored(NamedTuple):
    """
    What lies in the store: `version` 0 and no bytes where nothing does; `now` is the store's clock in seconds.

    `won`: of a swap, whether these bytes are the ones that were given.
    """

    version: int
    blob: bytes
    now: float
    won: bool = False


class Store(Protocol):
    """Any store that can compare and set. `load` and `swap` raise `StoreError`, soon, while it is away."""

    async def run(self) -> None:
        """Keep it within reach, until cancelled; raises nothing. Each pacer that uses the store runs it."""
        ...

    async def load(self, key: str) -> Stored:
        """What lies under `key`."""
        ...

    async def swap(self, key: str, version: int, blob: bytes) -> Stored:
        """Put `blob` there if `version` is still right, for at least `KEPT` seconds; what lies there afterwards."""
        ...


class MemoryStore:
    """A store for the pacers of one event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, bytes]] = {}

    async def run(self) -> None:
        """Nothing to keep."""
        await sleep_forever()

    async def load(self, key: str) -> Stored:
        """What lies under `key`."""
        version, blob = self._kept.get(key, (0, b""))
        return Stored(version, blob, current_time())

    async def swap(self, key: str, version: int, blob: bytes) -> Stored:
        """Put `blob` there if `version` is still right."""
        present, old = self._kept.get(key, (0, b""))
        if present != version:
            return Stored(present, old, current_time())
        self._kept[key] = version + 1, blob
        return Stored(version + 1, blob, current_time(), won=True)
