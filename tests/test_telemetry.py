"""Hooks and the log."""

from __future__ import annotations

import logging

import pytest

from headrace.telemetry import Event, add_hook, emit

EVENT = Event("option_dropped", "p", "m", "p: m takes no temperature: left out", {"option": "temperature"})


def test_a_hook_hears_until_it_is_removed() -> None:
    heard: list[Event] = []
    remove = add_hook(heard.append)
    emit(EVENT)
    remove()
    remove()  # twice is once
    emit(EVENT)
    assert heard == [EVENT]


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
