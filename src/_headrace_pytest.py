"""
headrace's pytest plugin: the simulator, its faults and the leak check, as fixtures.

It is loaded in every run of pytest wherever headrace is installed, so it stands beside the package and imports nothing
of it before a fixture is asked for: `import headrace` takes a quarter of a second, this a fraction of a millisecond.
Depends on no plugin for async tests, and works with each: anyio's, pytest-asyncio, pytest-trio.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from headrace.simulator.faults import Fault
    from headrace.testing import BackgroundSimulator, SimulatorOptions
    from headrace.testing._idle import Subject

__all__ = ("BreakNext", "headrace_fault", "headrace_idle", "headrace_simulator", "headrace_simulator_options")

T = TypeVar("T", bound="Subject")


class BreakNext(Protocol):
    """What `headrace_fault` is."""

    def __call__(self, fault: Fault | str, *, vendor: str = "openai", text: str | None = None) -> None:
        """Let the next request to `vendor` meet `fault`; see `BackgroundSimulator.fault`."""
        ...


class Watch(Protocol):
    """What `headrace_idle` is."""

    def __call__(self, subject: T, /) -> T:
        """Look at it when the test has passed; returns it."""
        ...


@pytest.fixture
def headrace_simulator_options() -> SimulatorOptions:
    """How `headrace_simulator` is made, such as {"limits": {"openai": Limits(requests=3)}}. Override it."""
    return {}


@pytest.fixture
def headrace_simulator(headrace_simulator_options: SimulatorOptions) -> Iterator[BackgroundSimulator]:
    """Five vendors on a loopback port, for any client, sync or async; a new one for each test."""
    try:
        import_module("headrace.simulator")
    except ModuleNotFoundError as exc:
        if exc.name != "h11":
            raise
        needed = "headrace_simulator needs h11: pip install 'headrace[simulator]'"
        raise pytest.fail.Exception(needed, pytrace=False) from None
    from headrace.testing import simulator_in_background

    with simulator_in_background(**headrace_simulator_options) as running:
        yield running


@pytest.fixture
def headrace_fault(headrace_simulator: BackgroundSimulator) -> BreakNext:
    """Break the next answer: `headrace_fault("cut-fin; after_events=3")`."""

    def break_next(fault: Fault | str, *, vendor: str = "openai", text: str | None = None) -> None:
        headrace_simulator.fault(vendor, fault, text=text)

    return break_next


@pytest.fixture
def headrace_idle(request: pytest.FixtureRequest) -> Watch:
    """
    The leak check: `provider = headrace_idle(OpenAIProvider())`.

    When the test has passed, nothing that it gave may be open. An async test is asked in its own loop, at its end.
    """
    subjects: list[Subject] = []

    def watch(subject: T, /) -> T:
        subjects.append(subject)
        return subject

    item = request.node
    assert isinstance(item, pytest.Function)
    # Before any plugin takes the function to run it: only in the test's own loop can things come to their end.
    item.obj = _checked(item.obj, subjects)
    return watch


def _checked(test: Callable[..., object], subjects: list[Subject]) -> Callable[..., object]:
    """`test`, and the check after it."""
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def async_test(*args: object, **kwargs: object) -> None:
            await test(*args, **kwargs)
            from headrace.testing import assert_idle

            for subject in subjects:
                await assert_idle(subject)

        return async_test

    @functools.wraps(test)
    def sync_test(*args: object, **kwargs: object) -> None:
        test(*args, **kwargs)
        from headrace.testing import assert_idle_now

        for subject in subjects:
            assert_idle_now(subject)

    return sync_test
