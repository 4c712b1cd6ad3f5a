"""What a limit is worth some time after it was told: buckets refill evenly until their reset."""

from __future__ import annotations

import pytest

from headrace import RateLimitInfo
from headrace._types import LimitDimension

T = 1_790_000_000.0


def told(*dimensions: LimitDimension) -> RateLimitInfo:
    return RateLimitInfo(dimensions=dimensions, observed_at=T, source="headers")


REQUESTS = LimitDimension("requests", 100, 20, T + 40)  # 80 come back in 40 s, 2 a second
TOKENS = LimitDimension("tokens", 60_000, 6_000, T + 54)  # 1,000 a second
STILL = LimitDimension("tokens", 1_000, 100)  # nobody said when it resets
INPUT = LimitDimension("input_tokens", 30_000, 1_000, T + 58)  # 500 a second
OUTPUT = LimitDimension("output_tokens", 8_000, 0, T + 40)  # 200 a second


@pytest.mark.parametrize(
    ("dimensions", "after", "pressure"),
    [
        ((), 0, 0.0),
        ((REQUESTS,), 0, 0.8),
        ((REQUESTS,), 10, 0.6),
        ((REQUESTS,), 40, 0.0),
        ((REQUESTS,), 1000, 0.0),
        ((REQUESTS,), -5, 0.8),  # a clock that was put back
        ((REQUESTS, TOKENS), 0, 0.9),
        ((REQUESTS, TOKENS), 27, 0.45),
        ((STILL,), 0, 0.9),
        ((STILL,), 1000, 0.9),
        ((LimitDimension("requests", None, 5),), 0, 0.0),
        ((LimitDimension("requests", 5, None),), 0, 0.0),
        ((LimitDimension("requests", 5, 0, T - 3),), 0, 0.0),  # a reset that is over when it comes
        ((LimitDimension("requests", 5, 0, T),), 0, 0.0),
        ((LimitDimension("requests", 5, 0, T),), -9, 0.0),
        ((LimitDimension("requests", 5, 0, T - 3), TOKENS), 9, 0.75),
        ((LimitDimension("unified_5h", 1.0, 0.25, T + 90), REQUESTS), 30, 0.5),  # 0.25 a half minute; requests 0.2
        ((LimitDimension("requests", 0, 0, T + 3),), 0, 0.0),
        ((LimitDimension("requests", 5, 9, T + 3),), 0, 0.0),  # more than there can be
    ],
)
def test_pressure_is_that_of_the_tightest_dimension(
    dimensions: tuple[LimitDimension, ...], after: float, pressure: float
) -> None:
    assert told(*dimensions).pressure(T + after) == pytest.approx(pressure)


@pytest.mark.parametrize(
    ("dimensions", "asked", "after", "seconds"),
    [
        ((REQUESTS,), {"requests": 20}, 0, 0.0),
        ((REQUESTS,), {"requests": 30}, 0, 5.0),
        ((REQUESTS,), {"requests": 30}, 3, 2.0),
        ((REQUESTS,), {"requests": 30}, 60, 0.0),
        ((REQUESTS,), {"requests": 30}, -3, 5.0),
        ((REQUESTS,), {"requests": 100}, 0, 40.0),
        ((REQUESTS,), {"requests": 101}, 0, None),  # never
        ((REQUESTS,), {"requests": 101}, 60, None),
        ((REQUESTS,), {"tokens": 1}, 0, None),  # unknown
        ((REQUESTS,), {"requests": 1, "tokens": 1}, 0, None),
        ((REQUESTS, LimitDimension("requests_day", 5_000, None)), {"requests": 30}, 0, 5.0),
        ((REQUESTS, LimitDimension("requests_day", 500, 10, T + 49_000)), {"requests": 30}, 0, 2_000.0),
        ((LimitDimension("requests", None, 119),), {"requests": 119}, 0, 0.0),
        ((LimitDimension("requests", None, 119),), {"requests": 120}, 0, None),
        ((LimitDimension("requests", 5, 0, T),), {"requests": 5}, 0, 0.0),
        ((LimitDimension("requests:tokens", 10, 0, T + 10),), {"requests": 1, "tokens": 0}, 0, 1.0),
        ((LimitDimension("requests:tokens", 10, 0, T + 10),), {"tokens": 1}, 0, None),
        ((TOKENS,), {"tokens": 16_000}, 0, 10.0),
        ((INPUT, OUTPUT), {"tokens": 1_500}, 0, 7.5),
        ((INPUT, OUTPUT), {"tokens": 1_500}, 5, 2.5),
        ((INPUT, OUTPUT), {"tokens": 9_000}, 0, None),  # the output's limit holds 8,000
        ((REQUESTS, TOKENS), {"requests": 22, "tokens": 16_000}, 0, 10.0),
        ((REQUESTS, TOKENS), {"requests": 60, "tokens": 7_000}, 0, 20.0),
        ((STILL,), {"tokens": 100}, 0, 0.0),
        ((STILL,), {"tokens": 101}, 0, None),
        ((REQUESTS,), {}, 0, 0.0),
        ((), {"requests": 1}, 0, None),
    ],
)
def test_seconds_until_so_much_is_free(
    dimensions: tuple[LimitDimension, ...], asked: dict[str, float], after: float, seconds: float | None
) -> None:
    found = told(*dimensions).seconds_until(**asked, now=T + after)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_what_was_told_stays_literal() -> None:
    info = RateLimitInfo(limit_requests=100, remaining_requests=15, observed_at=T)
    assert info.usage_percentage == 0.85
    assert info.is_approaching_limit
    assert info.pressure(T) == 0.0  # no dimension was told
