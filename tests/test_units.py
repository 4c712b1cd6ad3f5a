"""Durations, dates and waits as vendors write them."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import _units

NOW = 1_790_000_000.0
NOV_6_1994 = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120ms", 0.12),
        ("0s", 0.0),
        ("1s", 1.0),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("1m19.156s", 79.156),
        ("12m57.599999999s", 777.599999999),
        ("1h0m0s", 3600.0),
        ("10h17m5.7s", 37025.7),
        ("1d", 86400.0),
        ("1d2h", 93600.0),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("250μs", 0.00025),
        ("5ns", 5e-9),
        (".5s", 0.5),
        ("5.s", 5.0),
        (" 2s ", 2.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert _units.parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", " ", "5", "s", "-1s", "1s2", "1 s", "1S", "1y", "1.2.3s", "٣s", "1e3s", "s1", "1s,2s", "1" * 64 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    assert _units.parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0.0), ("-1", -1.0), ("+7", 7.0), ("59.9", 59.9), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), (" 8\n", 8.0)],
)
def test_numbers(text: str, number: float) -> None:
    assert _units.parse_number(text) == number


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "nan", "inf", "-Infinity", "1e400", "1_000", "1,000", "0x10", "٣", "1 2", "--1", "1" * 65]
)
def test_what_is_no_number(text: str) -> None:
    assert _units.parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", NOV_6_1994),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NOV_6_1994),
        ("Sun Nov  6 08:49:37 1994", NOV_6_1994),
        ("Sun, 06 Nov 1994 09:49:37 +0100", NOV_6_1994),
        ("Sun, 06 Nov 1994 08:49:37 -0000", NOV_6_1994),
        ("1994-11-06T08:49:37Z", NOV_6_1994),
        ("1994-11-06t08:49:37z", NOV_6_1994),
        ("1994-11-06T08:49:37.25Z", NOV_6_1994 + 0.25),
        ("1994-11-06T08:49:37.250000000Z", NOV_6_1994 + 0.25),
        ("1994-11-06T03:49:37-05:00", NOV_6_1994),
        ("1994-11-06 08:49:37", NOV_6_1994),
        (" 1994-11-06T08:49:37Z ", NOV_6_1994),
    ],
)
def test_dates(text: str, at: float) -> None:
    assert _units.parse_date(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Sun, 06 Nov",
        "1994-13-06T08:49:37Z",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "1994-11-06T08:49:37Z" + "0" * 50,
    ],
    ids=["empty", "word", "cut", "month-13", "day-99", "absurd-zone", "long"],
)
def test_what_is_no_date(text: str) -> None:
    assert _units.parse_date(text) is None


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("0", NOW),
        ("40", NOW + 40),
        (40, NOW + 40),
        (1.5, NOW + 1.5),
        ("59.75", NOW + 59.75),
        ("6m0s", NOW + 360),
        ("250ms", NOW + 0.25),
        ("999999999", NOW + 999_999_999),
        ("1000000000", 1e9),
        ("1790814600", 1_790_814_600.0),
        (1_790_814_600, 1_790_814_600.0),
        ("1759845420000", 1_759_845_420.0),
        ("1759845420250", 1_759_845_420.25),
        ("1994-11-06T08:49:37Z", NOV_6_1994),
        ("Sun, 06 Nov 1994 08:49:37 GMT", NOV_6_1994),
    ],
)
def test_resets(value: object, at: float) -> None:
    assert _units.parse_reset_time(value, now=NOW) == at


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, "", "abc", "-1", -1, "-5s", float("nan"), float("inf"), 10**5000, "1e300",
        "999999999999", "1759845420000000", "0001-01-01T00:00:00Z", b"12", [], {},
    ],
    ids=[
        "None", "True", "False", "empty", "word", "minus-text", "minus", "minus-duration", "nan", "inf", "huge-int",
        "huge-text", "year-33658", "microseconds", "year-1", "bytes", "list", "dict",
    ],
)  # fmt: skip
def test_what_is_no_reset(value: object) -> None:
    assert _units.parse_reset_time(value, now=NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "19"}, 19.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "34.5s"}, 34.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, 20.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:05 GMT"}, 0.0),
        ({"retry-after": "1000000030"}, 1_000_000_020.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "0"}, None),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "1e300", "retry-after": "2"}, 2.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1e300"}, None),
    ],
    ids=[
        "unsaid", "seconds", "now", "float", "go", "date", "past-date", "epoch", "ms", "ms-first", "azure", "ms-zero",
        "ms-nonsense", "ms-absurd", "minus", "word", "empty", "absurd",
    ],
)  # fmt: skip
def test_waits_of_an_error(headers: dict[str, str], seconds: float | None) -> None:
    assert _units.parse_retry_after(headers, now=10.0) == seconds


@pytest.mark.parametrize("ahead", [-3600.0, -2.0, 0.0, 60.0, 86_400.0])
def test_a_date_to_come_back_is_one_of_the_vendors_clock(ahead: float) -> None:
    """Read an hour late or early it would keep all away, or none."""
    vendors = NOW - ahead
    headers = {"date": formatdate(vendors, usegmt=True), "retry-after": formatdate(vendors + 30, usegmt=True)}
    assert _units.parse_retry_after(headers, now=NOW) == pytest.approx(30, abs=_units.DRIFT)
    assert _units.parse_retry_after(headers | {"retry-after": "30"}, now=NOW) == 30
    headers |= {"retry-after": str(int(vendors) + 30)}
    assert _units.parse_retry_after(headers, now=NOW) == pytest.approx(30, abs=_units.DRIFT)


def test_names_are_lowered_and_the_last_value_stays() -> None:
    assert _units.lowered({"Retry-After": "1", "X-A": "b", "retry-after": "2"}) == {"retry-after": "2", "x-a": "b"}


TEXTS = st.text(alphabet="0123456789+-:TZ.,/ GMTJanFebSunµsmhdze()\x00٣", max_size=66) | st.text()


@given(TEXTS)
def test_no_text_makes_them_raise(text: str) -> None:
    for at in (_units.parse_reset_time(text, now=NOW), _units.parse_retry_after({"retry-after": text}, now=NOW)):
        assert at is None or at >= 0
    _units.parse_date(text)
