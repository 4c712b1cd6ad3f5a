"""Lines to events, by the standard's own rules, and with another decoder as a witness."""

import httpx
import httpx_sse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.wire.events import Events, JsonLines


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("data: one\n\n", [("message", "one")]),
        ("data:one\n\n", [("message", "one")]),
        ("data:  one\n\n", [("message", " one")]),
        ("data: one\ndata: two\n\n", [("message", "one\ntwo")]),
        ("data: one\ndata\ndata:\n\n", [("message", "one\n\n")]),
        ("data\n\n", [("message", "")]),
        ("event: ping\ndata: {}\n\n", [("ping", "{}")]),
        ("event:ping\ndata: {}\n\n", [("ping", "{}")]),
        ("data: {}\nevent: ping\n\n", [("ping", "{}")]),
        ("event: \ndata: 1\n\n", [("message", "1")]),
        ("event: a\n\n\ndata: 1\n\n", [("message", "1")]),
        ("event: a\nevent: b\ndata: 1\n\n", [("b", "1")]),
        ("event: a\nevent\ndata: 1\n\n", [("message", "1")]),
        ("event: a\n\ndata: 1\n\n", [("message", "1")]),
        ("id: 7\nretry: 10\ndata: 1\n\n", [("message", "1")]),
        ("id: 7\n\n\n\n", []),
        (": data: 1\n\n", []),
        ("data : 1\nDATA: 1\ndatum: 1\n data: 1\n\n", []),
        ("data: a: b\n\n", [("message", "a: b")]),
        ("data: 1\n\ndata: 2\n\n\ndata: 3\n\n", [("message", "1"), ("message", "2"), ("message", "3")]),
        ("data: \u2028\x85\x0b\n\n", [("message", "\u2028\x85\x0b")]),
    ],
    ids=lambda value: value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else "",
)
def test_the_standard_s_rules(text: str, events: list[tuple[str, str]]) -> None:
    assert Events().feed(text) == events


def test_an_event_comes_with_its_blank_line_and_not_before() -> None:
    events = Events()
    assert events.feed("event: a\ndata: 1\n") == []
    assert events.feed("data: 2\n") == []
    assert events.feed("\ndata: 3\n") == [("a", "1\n2")]
    assert events.feed("") == []
    assert events.feed("\n") == [("message", "3")]


def test_json_lines_are_events_unless_they_are_blank() -> None:
    assert JsonLines().feed('{"a":1}\n\n  \n{"b":2}\n') == [("message", '{"a":1}'), ("message", '{"b":2}')]
    assert JsonLines().feed("") == []


FIELDS = ["data", "event", "id", "retry", "other"]
LINES = ["data", "data:", "data: ", "data: 1", "event", "event:", "event: ", "event: x", "id: 1", ": a comment", "x: y"]
line = st.one_of(
    st.just(""),
    st.sampled_from(LINES),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8),
    st.builds("{}:{}".format, st.sampled_from(FIELDS), st.text("ab: {}\t", max_size=6)),
)


@given(st.lists(line, max_size=12))
def test_another_decoder_finds_the_same_events(lines: list[str]) -> None:
    text = "".join(f"{one}\n" for one in (*lines, ""))
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=text.encode())
    # It also makes an event of every blank line once there was an id: or a name, even without data.
    witness = [(one.event, one.data) for one in httpx_sse.EventSource(answer).iter_sse() if one.data]
    assert [(name, data) for name, data in Events().feed(text) if data] == witness


@given(st.lists(line, max_size=12), st.data())
def test_where_the_lines_are_parted_changes_nothing(lines: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(lines)))
    first, second = ("".join(f"{one}\n" for one in some) for some in (lines[:at], lines[at:]))
    parted = Events()
    assert parted.feed(first) + parted.feed(second) == Events().feed(first + second)
