"""The seam: who listens is told, who fails harms nobody, and where nobody listens nothing is made."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from headrace import AIResponse
from headrace.errors import OverloadedError
from headrace.telemetry import Answer, Asked, Observation, add_observer, ending, observe

ASKED = Asked("chat", "anthropic", "claude")
ANSWER = AIResponse("Hello!", "anthropic", "claude")


class Heard:
    """An observer that writes down all it is told."""

    def __init__(self) -> None:
        self.words: list[object] = []

    def observe(self, asked: Asked) -> Observation:
        self.words.append(asked)
        return self

    def sent(self, waited: float, attempt: Asked) -> None:
        self.words.append(("sent", waited, attempt.model))

    def failed(self, error: Exception) -> None:
        self.words.append(("failed", error))

    def begun(self) -> None:
        self.words.append("begun")

    def ended(self, answer: Answer, error: BaseException | None) -> None:
        self.words.append(("ended", answer, error))


def broken(at: str) -> Heard:
    """An observer that fails at one of them."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bad observer")

    one = Heard()
    setattr(one, at, fail)
    return one


@pytest.fixture
def heard() -> Iterator[Heard]:
    """One who listens to all."""
    one = Heard()
    remove = add_observer(one)
    yield one
    remove()


@pytest.mark.parametrize(
    ("answer", "error", "state"),
    [
        (ANSWER, None, "finished"),
        (AIResponse("", "p", "m", state="failed"), OverloadedError("no room"), "failed"),
        (AIResponse("", "p", "m", state="closed"), None, "closed"),
        (None, None, "finished"),
        (None, OverloadedError("no room"), "failed"),
        (None, KeyboardInterrupt(), "cancelled"),
    ],
    ids=["finished", "failed", "closed", "no-chat-finished", "no-chat-failed", "no-chat-cancelled"],
)
def test_what_is_told_at_the_end_says_how_it_ended(answer: Answer, error: BaseException | None, state: str) -> None:
    assert ending(answer, error) == state


def test_where_nobody_listens_nothing_is_made() -> None:
    def never() -> Asked:
        raise AssertionError("somebody described an exchange for nobody")

    assert observe(never) is None


def test_an_exchange_is_told_in_order(heard: Heard) -> None:
    error = OverloadedError("no room")
    one = observe(lambda: ASKED)
    assert one is not None
    one.sent(0.5, ASKED)
    one.failed(error)
    one.sent(0.0, Asked("chat", "openai", "gpt"))
    one.begun()
    one.ended(ANSWER, None)
    assert heard.words == [
        ASKED,
        ("sent", 0.5, "claude"),
        ("failed", error),
        ("sent", 0.0, "gpt"),
        "begun",
        ("ended", ANSWER, None),
    ]


def test_those_who_listen_to_this_exchange_hear_it_beside_those_who_listen_to_all(heard: Heard) -> None:
    own = Heard()
    one = observe(lambda: ASKED, [own])
    assert one is not None
    one.begun()
    assert own.words == heard.words == [ASKED, "begun"]


def test_an_exchange_ends_once(heard: Heard) -> None:
    one = observe(lambda: ASKED)
    assert one is not None
    one.ended(ANSWER, None)
    one.ended(None, OverloadedError("again"))
    one.begun()
    assert heard.words == [ASKED, ("ended", ANSWER, None)]


def test_who_is_removed_hears_what_began_before_and_nothing_new() -> None:
    one = Heard()
    remove = add_observer(one)
    under_way = observe(lambda: ASKED)
    remove()
    remove()  # twice is once
    assert under_way is not None
    under_way.begun()
    assert observe(lambda: ASKED) is None
    assert one.words == [ASKED, "begun"]


def test_who_gives_no_observation_is_not_interested() -> None:
    class Deaf:
        def observe(self, asked: Asked) -> None:
            return None

    assert observe(lambda: ASKED, [Deaf()]) is None


@pytest.mark.parametrize("at", ["observe", "sent", "failed", "begun", "ended"])
def test_an_observer_that_fails_is_logged_and_the_others_still_hear(
    at: str, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "headrace"):
        one = observe(lambda: ASKED, [broken(at)])
        assert one is not None
        one.sent(0.0, ASKED)
        one.failed(OverloadedError("no room"))
        one.begun()
        one.ended(ANSWER, None)
    assert len(heard.words) == 5
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "a bad observer" in caplog.text
