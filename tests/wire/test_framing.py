"""Bytes in, whole lines out: WHATWG's line ends, strict UTF-8, codings and bounds."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.wire import framing
from headrace.wire.framing import Lines, Undecodable

GOOD = 'data: {"a": 1}\n\ndata: héllo \U0001f600\n\n'


def fed(body: bytes, *cuts: int, coding: str = "") -> str:
    """All text of a body that arrives in pieces cut at these places."""
    frame, places = Lines(coding), [0, *sorted(cuts), len(body)]
    text = "".join(frame.feed(body[a:b]) for a, b in pairwise(places))
    return text + frame.end()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@given(cuts=st.lists(st.integers(0, 45), max_size=6))
def test_every_line_end_becomes_a_line_feed_wherever_it_is_split(newline: str, bom: bytes, cuts: list[int]) -> None:
    body = bom + GOOD.replace("\n", newline).encode()
    assert fed(body, *(min(cut, len(body)) for cut in cuts)) == GOOD + "\n"


def test_a_line_that_cr_ends_is_handed_on_at_once() -> None:
    assert Lines().feed(b"data: x\r\r") == "data: x\n\n"


def test_a_blank_line_behind_crlf_is_kept_where_cr_and_both_line_feeds_come_apart() -> None:
    assert fed(b"data: a\r\n\ndata: b\n\n", 8, 9) == "data: a\n\ndata: b\n\n\n"


def test_u2028_and_u0085_are_no_line_ends() -> None:
    assert fed("data: a\u2028b\u0085c\n\n".encode()) == "data: a\u2028b\u0085c\n\n\n"


def test_a_line_is_held_until_it_ends_and_completed_at_eof() -> None:
    frame = Lines()
    assert frame.feed(b"data: x\n\ndata: [DO") == "data: x\n\n"
    assert frame.feed(b"NE]") == ""
    assert frame.end() == "data: [DONE]\n"


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\xbd", b"\xc3("], ids=["ff", "surrogate", "broken pair"])
def test_what_stood_before_a_bad_byte_comes_first_then_the_error(bad: bytes) -> None:
    frame = Lines()
    assert frame.feed(b"data: a\n\ndata: b" + bad + b"\n\n") == "data: a\n\n"
    for _ in range(2):
        with pytest.raises(Undecodable, match="UTF-8"):
            frame.feed(b"data: c\n\n")
    with pytest.raises(Undecodable, match="UTF-8"):
        frame.end()


def test_half_a_character_at_the_end_is_a_cut_not_a_bad_byte() -> None:
    frame = Lines()
    assert frame.feed(b"data: a\n\ndata: \xf0\x9f") == "data: a\n\n"
    assert frame.end() == "data: \n"


# ---------------------------------------------------------------- bounds and codings


def test_an_event_is_bounded_and_a_taken_one_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "EVENT_BYTES", 100)
    frame = Lines()
    frame.feed(b"x" * 90)
    frame.unread = 0
    frame.feed(b"x" * 90)
    with pytest.raises(Undecodable, match="without a complete event"):
        frame.feed(b"x" * 11)


def test_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "STREAM_BYTES", 100)
    frame = Lines()
    for _ in range(10):
        frame.feed(b"data: xxx\n")
        frame.unread = 0
    assert frame.feed(b"\n") == "\n"
    with pytest.raises(Undecodable, match="in one stream"):
        frame.feed(b"data: y\n\n")


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_a_compressed_body_is_undone(coding: str) -> None:
    body = zlib.compress(GOOD.encode()) if coding == "deflate" else gzip.compress(GOOD.encode())
    assert fed(body, 3, 11, 12, coding=coding) == GOOD + "\n"


def test_a_bomb_is_refused() -> None:
    bomb = gzip.compress(b"\0" * (framing.EVENT_BYTES + 1000))
    with pytest.raises(Undecodable, match="expand to"):
        Lines("gzip").feed(bomb)


def test_what_stands_before_a_bomb_is_handed_on_first() -> None:
    packer = zlib.compressobj(wbits=31)
    body = packer.compress(GOOD.encode()) + packer.flush(zlib.Z_FULL_FLUSH)
    body += packer.compress(b"\0" * (framing.EVENT_BYTES + 1000)) + packer.flush()
    frame = Lines("gzip")
    assert frame.feed(body) == GOOD
    with pytest.raises(Undecodable, match="expand to"):
        frame.feed(b"")


def test_what_stands_before_a_byte_that_is_not_of_the_coding_is_handed_on_first() -> None:
    packer = zlib.compressobj(wbits=31)
    frame = Lines("gzip")
    assert frame.feed(packer.compress(GOOD.encode()) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 20) == GOOD
    assert frame.broken is not None
    with pytest.raises(Undecodable, match="not gzip"):
        frame.feed(b"more")


def test_a_body_that_is_not_of_its_coding_is_an_error() -> None:
    with pytest.raises(Undecodable, match="not gzip"):
        Lines("gzip").feed(b"data: x\n\n")


def test_a_coding_that_is_unknown_is_an_error() -> None:
    with pytest.raises(Undecodable, match="'br'"):
        Lines("br")
    assert Lines("identity").feed(b"data: x\n\n") == "data: x\n\n"


# ---------------------------------------------------------------- JSON lines

JSON_LINES = '{"a": "é 🎶"}\n{"error": 1}\n'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@given(cuts=st.lists(st.integers(0, 35), max_size=6))
def test_json_lines_come_as_they_are_wherever_they_are_split(newline: str, bom: bytes, cuts: list[int]) -> None:
    body = bom + JSON_LINES.replace("\n", newline).encode()
    lines, places = Lines(), [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    text = "".join(lines.feed(body[a:b]) for a, b in pairwise(places)) + lines.end()
    assert text == JSON_LINES + "\n"


def test_a_last_line_of_json_without_its_end_is_completed_at_eof_only() -> None:
    lines = Lines()
    assert lines.feed(b'{"a": 1}\n{"b"') == '{"a": 1}\n'
    assert lines.feed(b": 2}") == ""
    assert lines.end() == '{"b": 2}\n'


def test_json_lines_before_a_bad_byte_come_first_then_the_error() -> None:
    lines = Lines()
    lines.feed(b'{"a": 1}\n')
    assert lines.feed(b'{"b": 2}\n{"c": "\xff"}\n') == '{"b": 2}\n'
    with pytest.raises(Undecodable, match="UTF-8"):
        lines.feed(b'{"d": 4}\n')
    with pytest.raises(Undecodable, match="UTF-8"):
        lines.end()


def test_a_line_of_json_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "EVENT_BYTES", 100)
    lines = Lines()
    lines.feed(b'{"a": "' + b"x" * 80)
    with pytest.raises(Undecodable, match="without a complete event"):
        lines.feed(b"x" * 20 + b'"}\n')


def test_compressed_json_lines_are_undone() -> None:
    assert Lines("gzip").feed(gzip.compress(JSON_LINES.encode())) == JSON_LINES
