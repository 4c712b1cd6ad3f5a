"""What the OpenAI-compatible servers say of their limits; the figures are made up."""

from __future__ import annotations

import pytest

from headrace._types import LimitDimension, RateLimitInfo
from headrace.limits.dialects import DIALECTS
from headrace.limits.headers import parse

NOW = 1_790_000_000.0


def read(dialect: str, headers: dict[str, str]) -> RateLimitInfo:
    """What is read where nothing is to be skipped."""
    info, skipped = parse(headers, DIALECTS[dialect], now=NOW)
    assert skipped == ()
    return info


def numbers(info: RateLimitInfo) -> tuple[int, int, int, int, float | None]:
    reset = None if info.reset_time is None else round(info.reset_time - NOW, 6)
    return info.limit_requests, info.remaining_requests, info.limit_tokens, info.remaining_tokens, reset


def dimensions(info: RateLimitInfo) -> dict[str, tuple[float | None, float | None, float | None]]:
    return {
        one.name: (one.limit, one.remaining, None if one.reset_at is None else round(one.reset_at - NOW, 6))
        for one in info.dimensions
    }


def test_groq_s_requests_are_a_day_s_and_its_resets_are_go_durations_with_the_noise_of_a_float() -> None:
    headers = {
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-requests": "14370",
        "x-ratelimit-remaining-tokens": "5200",
        "x-ratelimit-reset-requests": "2m59.999999999s",
        "x-ratelimit-reset-tokens": "8.000000001s",
    }
    info = read("groq", headers)
    assert numbers(info) == (14400, 14370, 6000, 5200, 180.0)
    assert dimensions(info) == {"requests_day": (14400.0, 14370.0, 180.0), "tokens_minute": (6000.0, 5200.0, 8.0)}


def test_azure_s_resets_are_bare_seconds() -> None:
    headers = {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-limit-tokens": "20000",
        "x-ratelimit-remaining-requests": "19",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-requests": "10",
        "x-ratelimit-reset-tokens": "27",
        "x-ratelimit-renewalperiod-requests": "10",
    }
    assert numbers(read("azure", headers)) == (20, 19, 20000, 0, 10.0)


def test_cerebras_tells_windows_and_its_resets_are_seconds_with_a_fraction() -> None:
    headers = {
        "x-ratelimit-limit-requests-day": "14400",
        "x-ratelimit-limit-tokens-minute": "60000",
        "x-ratelimit-remaining-requests-day": "14399",
        "x-ratelimit-remaining-tokens-minute": "59000",
        "x-ratelimit-reset-requests-day": "33011.382867",
        "x-ratelimit-reset-tokens-minute": "11.382867",
    }
    info = read("cerebras", headers)
    assert numbers(info) == (14400, 14399, 60000, 59000, 33011.382867)
    assert dimensions(info) == {
        "requests_day": (14400.0, 14399.0, 33011.382867),
        "tokens_minute": (60000.0, 59000.0, 11.382867),
    }


def test_of_several_windows_the_shortest_stands_for_all() -> None:
    headers = {
        f"x-ratelimit-{field}-requests-{window}": str(value)
        for window, limit in {"day": 5000, "hour": 900, "minute": 30}.items()
        for field, value in {"limit": limit, "remaining": limit - 1}.items()
    }
    info = read("cerebras", headers)
    assert (info.limit_requests, info.remaining_requests) == (30, 29)
    assert sorted(dimensions(info)) == ["requests_day", "requests_hour", "requests_minute"]


def test_mistral_s_old_set_tells_each_minute_twice() -> None:
    headers = {
        "ratelimitbysize-limit": "500000",
        "ratelimitbysize-remaining": "499000",
        "ratelimitbysize-reset": "41",
        "ratelimitbysize-query-cost": "1000",
        "x-ratelimitbysize-limit-minute": "500000",
        "x-ratelimitbysize-remaining-minute": "499000",
        "x-ratelimitbysize-limit-month": "1000000000",
        "x-ratelimitbysize-remaining-month": "999999000",
    }
    info = read("mistral", headers)
    assert numbers(info) == (0, 0, 500000, 499000, 41.0)
    assert dimensions(info) == {
        "tokens_minute": (500000.0, 499000.0, 41.0),
        "tokens_month": (1e9, 999999000.0, None),
    }


def test_mistral_s_new_set_tells_no_reset() -> None:
    headers = {
        "x-ratelimit-limit-req-minute": "60",
        "x-ratelimit-remaining-req-minute": "58",
        "x-ratelimit-limit-tokens-minute": "50000",
        "x-ratelimit-remaining-tokens-minute": "49900",
        "x-ratelimit-tokens-query-cost": "100",
    }
    assert numbers(read("mistral", headers)) == (60, 58, 50000, 49900, None)


def test_openrouter_s_reset_is_an_instant_in_milliseconds() -> None:
    headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000030500"}
    info = read("openrouter", headers)
    assert numbers(info) == (20, 0, 0, 0, 30.5)
    assert info.is_approaching_limit


def test_together_s_reset_is_a_wait_and_tokens_have_names_of_their_own() -> None:
    headers = {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "9",
        "x-ratelimit-reset": "1",
        "x-tokenlimit-limit": "3000",
        "x-tokenlimit-remaining": "2900",
    }
    assert numbers(read("together", headers)) == (10, 9, 3000, 2900, 1.0)


def test_fireworks_counts_input_twice() -> None:
    headers = {
        "x-ratelimit-limit-tokens-prompt": "60000",
        "x-ratelimit-remaining-tokens-prompt": "59000",
        "x-ratelimit-limit-tokens-cache-adjusted-prompt": "15000",
        "x-ratelimit-remaining-tokens-cache-adjusted-prompt": "14500",
        "x-ratelimit-limit-tokens-generated": "600",
        "x-ratelimit-remaining-tokens-generated": "590",
    }
    info = read("fireworks", headers)
    assert numbers(info) == (0, 0, 60000, 59000, None)
    assert dimensions(info) == {
        "input_tokens": (60000.0, 59000.0, None),
        "uncached_input_tokens": (15000.0, 14500.0, None),
        "output_tokens": (600.0, 590.0, None),
    }


def test_the_hugging_face_router_hands_on_what_another_server_said_and_a_limit_beyond_counting_is_none() -> None:
    headers = {
        "x-ratelimit-limit-tokens-day": "9223372036854775807",
        "x-ratelimit-remaining-tokens-day": "9223372036854775000",
        "x-ratelimit-limit-requests-minute": "600",
        "x-ratelimit-remaining-requests-minute": "599",
    }
    info, skipped = parse(headers, DIALECTS["huggingface"], now=NOW)
    assert numbers(info) == (600, 599, 0, 0, None)
    assert dimensions(info) == {"requests_minute": (600.0, 599.0, None)}
    assert skipped == ("x-ratelimit-limit-tokens-day", "x-ratelimit-remaining-tokens-day")


def test_a_rest_of_a_limit_that_is_none_is_no_dimension() -> None:
    headers = {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}
    info, _ = parse(headers, DIALECTS["azure"], now=NOW)
    assert info.dimensions == ()


def test_a_rest_whose_limit_is_unsaid_is_a_dimension() -> None:
    info = read("azure", {"x-ratelimit-remaining-requests": "7"})
    assert info.dimensions == (LimitDimension("requests", None, 7.0),)


@pytest.mark.parametrize("dialect", ["huggingface", "any"])
def test_the_three_headers_of_the_early_drafts_are_read(dialect: str) -> None:
    headers = {"RateLimit-Limit": "100", "RateLimit-Remaining": "12", "RateLimit-Reset": "33"}
    assert numbers(read(dialect, headers)) == (100, 12, 0, 0, 33.0)


# ---------------------------------------------------------------- RateLimit, RateLimit-Policy


def test_hugging_face_s_policy_has_two_names_before_its_parameters() -> None:
    headers = {"ratelimit": '"api";r=980;t=120', "ratelimit-policy": '"sliding window";"api";q=1000;w=300'}
    info = read("huggingface", headers)
    assert numbers(info) == (1000, 980, 0, 0, 120.0)
    assert info.dimensions == (LimitDimension("requests:api", 1000.0, 980.0, NOW + 120),)


def test_of_several_policies_the_one_with_the_least_left_stands_for_all() -> None:
    headers = {
        "RateLimit-Policy": '"burst";q=100;w=60, "day";q=5000;w=86400',
        "RateLimit": '"burst";r=60;t=30, "day";r=20;t=4000',
    }
    info = read("any", headers)
    assert numbers(info) == (5000, 20, 0, 0, 4000.0)
    assert dimensions(info) == {"requests:burst": (100.0, 60.0, 30.0), "requests:day": (5000.0, 20.0, 4000.0)}


def test_a_policy_says_what_it_counts() -> None:
    headers = {
        "RateLimit-Policy": '"in";q=9000;w=60;qu="tokens", "many";q=8;qu="concurrent-requests"',
        "RateLimit": '"in";r=8000;t=5,"many";r=7',
    }
    info = read("any", headers)
    assert numbers(info) == (0, 0, 9000, 8000, 5.0)
    assert dimensions(info) == {"tokens:in": (9000.0, 8000.0, 5.0), "concurrent_requests:many": (8.0, 7.0, None)}


def test_a_policy_without_its_rest_is_no_exhausted_limit() -> None:
    info = read("any", {"RateLimit-Policy": '"default";q=100;w=60'})
    assert numbers(info) == (0, 0, 0, 0, None)
    assert dimensions(info) == {"requests:default": (100.0, None, None)}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('"api";r=1;t=2, "', "cut"),
        ("limit=100, remaining=50, reset=5", "an older draft, without names"),
        ('"api";r=-1', "a count below nothing"),
        ('"api";r=many', "a word"),
        ("", "empty"),
    ],
    ids=lambda value: None,
)
def test_a_field_that_says_nothing_is_skipped_and_named(value: str, reason: str) -> None:
    info, skipped = parse({"ratelimit": value, "x-ratelimit-limit": "5"}, DIALECTS["any"], now=NOW)
    assert skipped == ("ratelimit",), reason
    assert dimensions(info) == {"requests": (5.0, None, None)}


# ---------------------------------------------------------------- the table


def test_a_dialect_stands_under_its_own_name() -> None:
    assert [name for name, dialect in DIALECTS.items() if dialect.name != name] == []


def test_no_row_stands_twice() -> None:
    assert [name for name, dialect in DIALECTS.items() if len(set(dialect.rows)) != len(dialect.rows)] == []


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "any"])
def test_whoever_nobody_knows_may_speak_every_dialect(name: str) -> None:
    assert DIALECTS[name].headers <= DIALECTS["any"].headers
