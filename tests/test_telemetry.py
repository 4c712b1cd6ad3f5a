"""Hooks and the log."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from headrace import AIGateway
from headrace.telemetry import Event, add_hook, add_observer, emit

EVENT = Event("option_dropped", "p", "m", "p: m takes no temperature: left out", {"option": "temperature"})


def test_a_hook_hears_until_it_is_removed() -> None:
    heard: list[Event] = []
    remove = add_hook(heard.append)
    emit(EVENT)
    remove()
    remove()  # twice is once
    emit(EVENT)
    assert heard == [EVENT]


async def later(_: object) -> None:
    """Would never be awaited."""


@pytest.mark.parametrize("wrong", [None, "print", later], ids=["none", "text", "async"])
def test_who_listens_is_a_function(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^hook is .*: it must be a function, and no `async def`$"):
        add_hook(wrong)
    with pytest.raises(TypeError, match=r"^observer.observe is .*: it must be a function, and no `async def`$"):
        add_observer(SimpleNamespace(observe=wrong))
    if wrong is not None:
        for name in ("prices", "on_rate_limit"):
            with pytest.raises(TypeError, match=f"^{name} is "):
                AIGateway(**{name: wrong})


def test_a_hook_that_fails_is_logged_and_the_others_still_hear(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def bad(event: Event) -> None:
        raise RuntimeError("a bad hook")

    removes = [add_hook(bad), add_hook(heard.append)]
    try:
        with caplog.at_level(logging.INFO, "headrace"):
            emit(EVENT)
    finally:
        for remove in removes:
            remove()
    assert heard == [EVENT]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "a bad hook" in caplog.text


def test_an_event_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "headrace"):
        emit(EVENT)
    assert caplog.messages == ["p: m takes no temperature: left out"]
