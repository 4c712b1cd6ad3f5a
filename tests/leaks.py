"""
The check that a test leaves nothing: no task, no warning, nothing unraisable, no generator for a hook to finish.

An async generator that the garbage collector has to finish runs its `finally` in another task, at another time, or
(on trio) in a task that is already cancelled. So whatever a loop's hook is asked to finish is a leak, even if that
went well.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import AsyncGeneratorType
from typing import TypeAlias
from weakref import WeakSet

import anyio
from anyio.lowlevel import checkpoint

from headrace.providers.base import BaseProvider
from headrace.testing import assert_idle

__all__ = ("nothing_left", "session", "soon")

Hook: TypeAlias = Callable[[AsyncGenerator[object, object]], None]


async def soon(true: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for what another thread, or the kernel, will do in a moment."""
    with anyio.fail_after(within):
        while not true():
            await anyio.sleep(0.001)


@asynccontextmanager
async def session(provider: BaseProvider) -> AsyncIterator[BaseProvider]:
    """`async with provider`, and before it is left: nothing is open."""
    async with provider:
        yield provider
        await assert_idle(provider)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Whatever the block leaves behind is an AssertionError."""
    found: list[str] = []
    generators: WeakSet[AsyncGeneratorType[object, object]] = WeakSet()
    raise_hook, set_hooks, hooks = sys.unraisablehook, sys.set_asyncgen_hooks, sys.get_asyncgen_hooks()

    def begun(then: Hook, generator: AsyncGenerator[object, object]) -> None:
        assert isinstance(generator, AsyncGeneratorType)
        generators.add(generator)
        then(generator)

    def collected(then: Hook, generator: AsyncGenerator[object, object]) -> None:
        found.append(f"a hook had to finish {generator!r}")
        then(generator)

    def set_watched(firstiter: Hook | None = None, finalizer: Hook | None = None) -> None:
        set_hooks(firstiter and partial(begun, firstiter), finalizer and partial(collected, finalizer))

    sys.set_asyncgen_hooks = set_watched  # asyncio sets its hooks anew for each step of a test, trio once
    set_watched(*hooks)
    sys.unraisablehook = lambda what: found.append(f"unraisable {what.exc_value!r} in {what.object!r}")
    before = {task.id for task in _tasks()}
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            gc.collect()
            for _ in range(3):  # what the collector has set off
                await checkpoint()
    finally:
        sys.set_asyncgen_hooks = set_hooks
        set_hooks(*hooks)
        sys.unraisablehook = raise_hook
    found += [f"warned: {str(warning.message)[:200]}" for warning in warned]
    found += [f"task {task.name}" for task in _tasks() if task.id not in before]
    found += [f"open generator {one.__qualname__}" for one in generators if one.ag_frame is not None]
    assert not found, found


def _tasks() -> list[anyio.TaskInfo]:
    """All but the test runner's own, of which each step of a test may have another."""
    return [task for task in anyio.get_running_tasks() if "_call_in_runner_task" not in repr(task.coro)]
