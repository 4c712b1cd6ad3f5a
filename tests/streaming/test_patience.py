"""How long a call rests before it asks again, and for how long it waits in all: numbers, without a vendor."""

from __future__ import annotations

import pytest

from headrace.errors import RateLimitError, ServerError
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.streaming.attempts import Place
from headrace.streaming.patience import Patience

BUSY = RateLimitError("busy")


def pacer(max_wait: float = 60.0) -> Pacer:
    return Pacer(RateLimitPolicy(max_wait=max_wait))


def rest(patience: Patience, error: Exception, here: Pacer) -> float | None:
    """Seconds from the end of an attempt to the next one."""
    place = Place(here, None, 0.0)
    place.ended_at = 1000.0
    at = patience.again_at(error, place)
    return None if at is None else at - 1000.0


@pytest.mark.parametrize(("luck", "part"), [(0.0, 1.0), (1.0, 0.75), (0.4, 0.9)])
def test_rests_double_up_to_eight_seconds_and_chance_shortens_them(luck: float, part: float) -> None:
    patience, here = Patience(None, luck=lambda: luck), pacer()
    rests = [rest(patience, BUSY, here) for _ in range(2000)]
    assert rests[:6] == pytest.approx([part * seconds for seconds in (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)])
    assert rests[-1] == pytest.approx(part * 8.0)


def test_what_a_refusal_tells_is_never_shortened() -> None:
    patience, here = Patience(None, luck=lambda: 1.0), pacer()
    assert rest(patience, RateLimitError("busy", retry_after=3.0), here) == 3.0
    assert rest(patience, ServerError("down", status=503, retry_after=0.01), here) == pytest.approx(0.01)
    assert rest(patience, RateLimitError("busy", retry_after=0.0), here) == 1.5  # no time at all: the third rest


def test_what_was_waited_for_counts_and_a_call_s_own_bound_goes_over_the_policy_s() -> None:
    for most, here in ((10.0, pacer()), (None, pacer(10.0))):
        patience = Patience(most)
        assert patience.left(here) == 10.0
        patience.waited += 7.0
        assert patience.left(here) == 3.0
        assert rest(patience, RateLimitError("busy", retry_after=3.0), here) == 3.0
        refusal = RateLimitError("busy", retry_after=3.5)
        assert rest(patience, refusal, here) is None
        assert refusal.__notes__ == [
            "Not asked again: that would be in 3.5 s, and 3.0 s are left of max_wait or until the caller's deadline."
        ]


def test_each_providers_policy_has_a_patience_of_its_own_and_a_calls_is_one() -> None:
    first, second = pacer(10.0), pacer(20.0)
    for most, expected in ((None, 20.0), (15.0, 8.0)):
        patience = Patience(most)
        patience.left(first)
        patience.waited += 7.0
        assert patience.left(second) == expected


def test_a_deadline_of_the_caller_ends_it() -> None:
    patience = Patience(None, 1005.0)
    assert rest(patience, RateLimitError("busy", retry_after=4.0), pacer()) == 4.0
    assert rest(patience, RateLimitError("busy", retry_after=6.0), pacer()) is None
