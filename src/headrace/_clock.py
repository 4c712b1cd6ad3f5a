"""
The one reader of time: Unix seconds for what vendors date, and a seam where a test puts its own.

Deadlines do not come from here: they run on the event loop's clock, so that virtual time moves them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ("replaced", "wall")

_wall: Callable[[], float] = time.time


def wall() -> float:
    """Unix seconds now."""
    return _wall()


@contextmanager
def replaced(source: Callable[[], float]) -> Iterator[None]:
    """Within the block `wall()` answers with `source()`. For tests: it is the whole process that is told."""
    global _wall  # noqa: PLW0603  # one clock for the process is the point
    before, _wall = _wall, source
    try:
        yield
    finally:
        _wall = before
