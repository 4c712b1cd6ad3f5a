"""Lines to events, by the standard's own rules, and with another decoder as a witness."""

from itertools import pairwise

import httpx
import httpx_sse
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.wire import events as events_module
from headrace.wire.events import Events, JsonLines
from headrace.wire.framing import Lines, Undecodable


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


@given(st.lists(line.filter(lambda one: not one.startswith(("{", "error:"))), max_size=12))
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


# ---------------------------------------------------------------- what is no event stream

RAW = b'data: {"n": 1}\n\n{\n  "error": {\n    "code": 499,\n    "message": "x"\n  }\n}\n'


def told(body: bytes, *cuts: int) -> list[tuple[str, str]]:
    """All events of a body that arrives in pieces cut at these places."""
    lines, events, places = Lines(), Events(), [0, *sorted(cuts), len(body)]
    found = [one for a, b in pairwise(places) for one in events.feed(lines.feed(body[a:b]))]
    return found + events.end(lines.end())


@given(cuts=st.lists(st.integers(0, len(RAW)), max_size=5), crlf=st.booleans(), bare_end=st.booleans())
def test_json_without_framing_is_an_event(cuts: list[int], crlf: bool, bare_end: bool) -> None:
    body = RAW.replace(b"\n", b"\r\n") if crlf else RAW
    body = body.rstrip() if bare_end else body
    assert told(body, *(min(cut, len(body)) for cut in cuts)) == [
        ("message", '{"n": 1}'),
        ("message", '{"error":{"code":499,"message":"x"}}'),
    ]


def test_events_around_json_without_framing_still_come() -> None:
    found = told(b'event: a\ndata: 1\n{"error":\n\n {"code": 1}}\n\ndata: 2\n\n')
    assert found == [("a", "1"), ("message", '{"error":{"code":1}}'), ("message", "2")]


def test_each_of_an_array_without_framing_is_an_event() -> None:
    body = b'data: 1\n\n[{\n  "error": {"code": 499}\n}\n,\n{"b": 2}]\n'
    assert told(body) == [("message", "1"), ("message", '{"error":{"code":499}}'), ("message", '{"b":2}')]


def test_an_error_line_is_an_error_event() -> None:
    assert told(b'data: 1\n\nerror: {"detail":"no"}\n\n') == [("message", "1"), ("error", '{"detail":"no"}')]


def test_an_error_line_ends_an_event_that_lacks_its_blank_line() -> None:
    assert told(b"data: 1\nerror:no\n") == [("message", "1"), ("error", "no")]


def test_json_without_framing_that_was_cut_is_nothing() -> None:
    assert told(b'data: 1\n\n{\n "error": {\n') == [("message", "1")]


def test_json_that_follows_a_field_is_its_data() -> None:
    assert told(b'data: {"a":\ndata: {"b": 1}}\n\n') == [("message", '{"a":\n{"b": 1}}')]


def test_what_stood_before_too_much_json_comes_first_then_the_error() -> None:
    events = Events()
    text = "data: a\n\n{" + "x" * events_module.RAW_JSON + "\n\ndata: b\n\n"
    assert events.feed(text) == [("message", "a")]
    assert isinstance(events.broken, Undecodable)
    assert "without framing" in str(events.broken)


def test_what_looks_like_json_without_framing_and_is_none_is_an_error_at_once() -> None:
    events = Events()
    assert events.feed("data: a\n\n{not so}\ndata: b\n\n") == [("message", "a")]
    assert "that is none" in str(events.broken)


def test_brackets_within_its_strings_close_nothing() -> None:
    assert told(b'{"a": "}",\n"b": "\\"]}",\n"c": [1\n]}\n') == [("message", '{"a":"}","b":"\\"]}","c":[1]}')]


def test_json_without_framing_is_decoded_once_however_many_lines_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 10,000 lines may look like the last: tried at each, 64 K characters took half a minute."""
    decoded: list[int] = []
    decode = msgspec.json.decode
    monkeypatch.setattr(msgspec.json, "decode", lambda text: decoded.append(len(text)) or decode(text))
    (found,) = told(b'{"a":[[]\n' + b",[]\n" * 10_000 + b"]}\n")
    assert found[1].count("[]") == 10_001
    assert len(decoded) == 1


@pytest.mark.parametrize("line", ["\n", '"a": 1,\n'], ids=["blank", "full"])
def test_json_without_framing_is_bounded(line: str) -> None:
    events = Events()
    assert events.feed("{\n") == []
    assert events.broken is None
    assert events.feed(line * (events_module.RAW_JSON + 2)) == []
    assert events.broken is not None
