"""What vendors' rate-limit headers say, and that nothing in them can cost a reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace._types import LimitDimension, RateLimitInfo
from headrace.limits.dialects import DIALECTS, Dialect, Row
from headrace.limits.headers import parse

NOW = 1_790_000_000.0
JAN_2 = 1_767_397_758.0  # 2026-01-02T23:49:18Z


def read(dialect: str, headers: dict[str, str]) -> RateLimitInfo:
    """What is read where nothing is to be skipped."""
    info, skipped = parse(headers, DIALECTS[dialect], now=NOW)
    assert skipped == ()
    return info


# ---------------------------------------------------------------- the vendors


OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-remaining-tokens": "159970",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-reset-tokens": "1m19.156s",
}


def test_openai() -> None:
    assert read("openai", OPENAI) == RateLimitInfo(
        limit_requests=5000,
        remaining_requests=4999,
        reset_time=NOW + 0.012,
        limit_tokens=160000,
        remaining_tokens=159970,
        dimensions=(
            LimitDimension("requests", 5000.0, 4999.0, NOW + 0.012),
            LimitDimension("tokens", 160000.0, 159970.0, NOW + 79.156),
        ),
        observed_at=NOW,
        source="headers",
    )


@pytest.mark.parametrize(
    "name", ["tokens_usage_based", "tokens-usage-based", "input-images", "project-requests", "project-tokens"]
)
def test_openai_has_more_dimensions(name: str) -> None:
    info = read(
        "openai",
        OPENAI
        | {
            f"x-ratelimit-limit-{name}": "250000",
            f"x-ratelimit-remaining-{name}": "249979",
            f"x-ratelimit-reset-{name}": "4ms",
        },
    )
    assert info.dimensions[2:] == (LimitDimension(name.replace("-", "_"), 250000.0, 249979.0, NOW + 0.004),)
    assert (info.limit_tokens, info.reset_time) == (160000, NOW + 0.012)


ANTHROPIC = {
    "anthropic-ratelimit-input-tokens-limit": "4000000",
    "anthropic-ratelimit-input-tokens-remaining": "3999000",
    "anthropic-ratelimit-input-tokens-reset": "2026-01-02T23:49:18Z",
    "anthropic-ratelimit-output-tokens-limit": "800000",
    "anthropic-ratelimit-output-tokens-remaining": "800000",
    "anthropic-ratelimit-output-tokens-reset": "2026-01-02T23:49:18Z",
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-01-02T23:49:17Z",
    "anthropic-ratelimit-tokens-limit": "4800000",
    "anthropic-ratelimit-tokens-remaining": "4799000",
    "anthropic-ratelimit-tokens-reset": "2026-01-02T23:49:18Z",
    "retry-after": "43",
}


def test_anthropic() -> None:
    assert read("anthropic", ANTHROPIC) == RateLimitInfo(
        limit_requests=4000,
        remaining_requests=3999,
        reset_time=JAN_2 - 1,
        limit_tokens=4800000,
        remaining_tokens=4799000,
        dimensions=(
            LimitDimension("requests", 4000.0, 3999.0, JAN_2 - 1),
            LimitDimension("tokens", 4800000.0, 4799000.0, JAN_2),
            LimitDimension("input_tokens", 4000000.0, 3999000.0, JAN_2),
            LimitDimension("output_tokens", 800000.0, 800000.0, JAN_2),
        ),
        observed_at=NOW,
        source="headers",
    )


@pytest.mark.parametrize("dialect", ["anthropic", "any"])
def test_anthropic_without_the_sum_of_tokens_tells_the_input_s(dialect: str) -> None:
    headers = {name: value for name, value in ANTHROPIC.items() if "-ratelimit-tokens-" not in name}
    info = read(dialect, headers)
    assert (info.limit_tokens, info.remaining_tokens) == (4000000, 3999000)


@pytest.mark.parametrize("tier", ["priority", "fast"])
@pytest.mark.parametrize("tokens", ["input", "output"])
def test_anthropic_s_other_tiers_are_dimensions_of_their_own(tier: str, tokens: str) -> None:
    name = f"anthropic-{tier}-{tokens}-tokens"
    info = read("anthropic", {f"{name}-limit": "10000", f"{name}-remaining": "9618"})
    assert info.dimensions == (LimitDimension(f"{tier}_{tokens}_tokens", 10000.0, 9618.0),)
    assert (info.limit_tokens, info.limit_requests, info.reset_time) == (0, 0, None)


@pytest.mark.parametrize("dialect", ["anthropic", "any"])
def test_a_subscription_tells_the_share_that_is_used_of_five_hours_and_of_a_week(dialect: str) -> None:
    headers = {
        "anthropic-ratelimit-unified-status": "allowed_warning",
        "anthropic-ratelimit-unified-5h-status": "allowed",
        "anthropic-ratelimit-unified-5h-utilization": "0.25",
        "anthropic-ratelimit-unified-5h-reset": "1790009000",
        "anthropic-ratelimit-unified-7d-utilization": "1.03",
        "anthropic-ratelimit-unified-7d-reset": "1790400000",
        "anthropic-ratelimit-unified-7d-sonnet-utilization": "0",
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    }
    info = read(dialect, headers)
    assert info.dimensions == (
        LimitDimension("unified_5h", 1.0, 0.75, NOW + 9000),
        LimitDimension("unified_7d", 1.0, 0.0, NOW + 400_000),
        LimitDimension("unified_7d_sonnet", 1.0, 1.0),
    )
    assert (info.limit_requests, info.limit_tokens, info.reset_time) == (0, 0, NOW + 9000)
    assert info.pressure(NOW) == 1.0


@pytest.mark.parametrize("value", ["42", "-0.1", "nan", "much", "1e30"])
def test_what_is_no_share_is_unknown(value: str) -> None:
    headers = {
        "anthropic-ratelimit-unified-5h-utilization": value,
        "anthropic-ratelimit-unified-5h-reset": "1790009000",
    }
    info, skipped = parse(headers, DIALECTS["anthropic"], now=NOW)
    assert (info, skipped) == (RateLimitInfo(), ("anthropic-ratelimit-unified-5h-utilization",))


def test_grok_tells_no_resets() -> None:
    headers = {
        "x-ratelimit-limit-requests": "1800",
        "x-ratelimit-limit-tokens": "10000000",
        "x-ratelimit-remaining-requests": "1799",
        "x-ratelimit-remaining-tokens": "9999000",
    }
    assert read("grok", headers) == RateLimitInfo(
        limit_requests=1800,
        remaining_requests=1799,
        limit_tokens=10000000,
        remaining_tokens=9999000,
        dimensions=(LimitDimension("requests", 1800.0, 1799.0), LimitDimension("tokens", 10000000.0, 9999000.0)),
        observed_at=NOW,
        source="headers",
    )


def test_gemini_tells_nothing() -> None:
    assert read("gemini", {"server-timing": "gfet4t7; dur=1234", **OPENAI, **ANTHROPIC}) == RateLimitInfo()


@pytest.mark.parametrize("headers", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_an_unknown_server_may_speak_any_of_them(headers: dict[str, str]) -> None:
    own = "openai" if headers is OPENAI else "anthropic"
    assert read("any", headers) == read(own, headers)


# ---------------------------------------------------------------- whose clock


AHEAD = "Mon, 21 Sep 2026 14:15:20 GMT"  # NOW is 14:13:20


@pytest.mark.parametrize(
    ("date", "told", "at"),
    [
        (AHEAD, "2026-09-21T14:15:50Z", NOW + 30),
        (AHEAD, "1790000150", NOW + 30),
        (AHEAD, "30s", NOW + 30),
        (AHEAD, "30", NOW + 30),
        ("Mon, 21 Sep 2026 14:13:18 GMT", "2026-09-21T14:13:50Z", NOW + 30),  # two seconds on its way
        ("Sun, 21 Sep 1986 14:13:20 GMT", "1986-09-21T14:13:50Z", NOW + 30),
        ("in a while", "2026-09-21T14:13:50Z", NOW + 30),
        ("", "2026-09-21T14:13:50Z", NOW + 30),
    ],
    ids=["date", "epoch", "duration", "seconds", "near", "far", "words", "empty"],
)
def test_a_moment_is_told_by_the_vendor_s_clock(date: str, told: str, at: float) -> None:
    info = read("openai", OPENAI | {"Date": date, "x-ratelimit-reset-requests": told})
    assert info.reset_time == at
    assert info.observed_at == NOW


# ---------------------------------------------------------------- what is missing


def test_an_answer_without_limits_tells_nothing() -> None:
    info = read("any", {"content-type": "text/event-stream", "retry-after": "3"})
    assert info == RateLimitInfo()
    assert (info.source, info.observed_at) == ("", None)


@pytest.mark.parametrize("case", [str.upper, str.title, str.lower])
def test_names_come_in_any_case(case: object) -> None:
    assert callable(case)
    assert read("openai", {case(name): value for name, value in OPENAI.items()}).remaining_requests == 4999


def test_a_limit_without_its_rest_is_no_exhausted_limit() -> None:
    info = read("openai", {"x-ratelimit-limit-requests": "60", "x-ratelimit-limit-tokens": "900"})
    assert (info.limit_requests, info.remaining_requests, info.limit_tokens, info.remaining_tokens) == (0, 0, 0, 0)
    assert (info.usage_percentage, info.is_approaching_limit) == (0.0, False)
    assert info.dimensions == (LimitDimension("requests", 60.0, None), LimitDimension("tokens", 900.0, None))


def test_the_rest_without_its_limit_is_told() -> None:
    info = read("openai", {"x-ratelimit-remaining-requests": "119", "x-ratelimit-remaining-tokens": "119984"})
    assert (info.limit_requests, info.remaining_requests, info.remaining_tokens) == (0, 119, 119984)
    assert info.dimensions == (LimitDimension("requests", None, 119.0), LimitDimension("tokens", None, 119984.0))
    assert info.source == "headers"


@pytest.mark.parametrize(
    ("resets", "at"),
    [
        ({"requests": "9s", "tokens": "1s", "input-images": "0s"}, NOW + 9),
        ({"tokens": "7s", "input-images": "1s"}, NOW + 7),
        ({"input-images": "3s", "project-tokens": "2s"}, NOW + 2),
        ({}, None),
    ],
    ids=["requests", "tokens", "earliest-other", "none"],
)
def test_which_reset_is_the_reset(resets: dict[str, str], at: float | None) -> None:
    headers = OPENAI | {f"x-ratelimit-limit-{name}": "9" for name in ("input-images", "project-tokens")}
    headers |= {f"x-ratelimit-remaining-{name}": "9" for name in ("input-images", "project-tokens")}
    del headers["x-ratelimit-reset-requests"], headers["x-ratelimit-reset-tokens"]
    assert (
        read("openai", headers | {f"x-ratelimit-reset-{name}": text for name, text in resets.items()}).reset_time == at
    )


# ---------------------------------------------------------------- what is broken


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "",
        " ",
        "abc",
        "1e400",
        "nan",
        "inf",
        "9223372036854767616",
        "1e16",
        "1,000",
        "0x10",
        "٣",
        "12 34",
        "1" * 99,
    ],
)
@pytest.mark.parametrize("name", ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"])
def test_a_count_that_says_nothing_is_skipped_and_named(name: str, value: str) -> None:
    info, skipped = parse(OPENAI | {name: value}, DIALECTS["openai"], now=NOW)
    assert skipped == (name,)
    assert (info.limit_tokens, info.remaining_tokens) == (160000, 159970)
    assert (info.limit_requests, info.remaining_requests) == (0, 0)


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "",
        "soon",
        "1e15",
        "1e30",
        "nan",
        "9223372036854775807",
        "-3s",
        "400000000",  # more than twelve years
        "100000h0m0s",
        "2126-09-21T13:33:20Z",
        "1926-09-21T13:33:20Z",
        "0001-01-01T00:00:00Z",
        "2026-13-45T00:00:00Z",
        "99999-01-01T00:00:00Z",
    ],
)
def test_a_reset_that_says_nothing_is_skipped_and_named(value: str) -> None:
    info, skipped = parse(OPENAI | {"x-ratelimit-reset-requests": value}, DIALECTS["openai"], now=NOW)
    assert skipped == ("x-ratelimit-reset-requests",)
    assert info.reset_time == NOW + 79.156
    assert info.limit_requests == 5000


def test_a_server_that_does_not_count_says_minus_one() -> None:
    headers = {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"}
    info, skipped = parse(headers, DIALECTS["anthropic"], now=NOW)
    assert (info, skipped) == (RateLimitInfo(), ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"))


@pytest.mark.parametrize("limit", ["-1", "0", "9223372036854775807"])
def test_of_a_limit_that_is_none_neither_rest_nor_reset_is_told(limit: str) -> None:
    headers = {
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "60",
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "19",
    }
    info, skipped = parse(headers, DIALECTS["azure"], now=NOW)
    assert (info.limit_tokens, info.remaining_tokens, info.reset_time) == (0, 0, None)
    assert info.dimensions == (LimitDimension("requests", 20.0, 19.0),)
    assert skipped == ("x-ratelimit-limit-tokens",)


def test_only_broken_values_tell_nothing() -> None:
    info, skipped = parse({"X-RateLimit-Limit-Requests": "many"}, DIALECTS["any"], now=NOW)
    assert (info, skipped) == (RateLimitInfo(), ("x-ratelimit-limit-requests",))


@pytest.mark.parametrize(
    ("value", "remaining"), [("59.9", 59), ("0", 0), ("0.9", 0), (" 7 ", 7), ("+7", 7), ("1e3", 1000)]
)
def test_a_rest_is_a_whole_number(value: str, remaining: int) -> None:
    info = read("openai", OPENAI | {"x-ratelimit-remaining-requests": value})
    assert (info.remaining_requests, info.dimensions[0].remaining) == (remaining, float(remaining))


def test_of_two_headers_for_one_value_the_earlier_row_wins_unless_it_is_broken() -> None:
    twice = Dialect("x", (Row("a", "requests", "limit", "count"), Row("b", "requests", "limit", "count")))
    assert parse({"b": "2", "a": "1"}, twice, now=NOW).info.dimensions == (LimitDimension("requests", 1.0),)
    assert parse({"b": "2", "a": "?"}, twice, now=NOW) == (
        RateLimitInfo(dimensions=(LimitDimension("requests", 2.0),), observed_at=NOW, source="headers"),
        ("a",),
    )


names = st.sampled_from([row.header for row in DIALECTS["any"].rows])
values = (
    st.text() | st.integers().map(str) | st.floats().map(str) | st.integers() | st.floats() | st.none() | st.binary()
)


@given(st.dictionaries(names | st.text() | st.integers(), values, max_size=8), st.sampled_from(sorted(DIALECTS)))
def test_no_mapping_makes_it_raise(headers: dict[str, str], dialect: str) -> None:
    info, skipped = parse(headers, DIALECTS[dialect], now=NOW)
    assert info.remaining_requests >= 0
    assert set(skipped) <= DIALECTS[dialect].headers


def test_rows_have_lower_case_names() -> None:
    assert [
        row.header for dialect in DIALECTS.values() for row in dialect.rows if row.header != row.header.lower()
    ] == []
