"""Places in a pacer: by priority, in order among equals; a waiter that leaves costs nobody a place; words that help."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from anyio import CancelScope, create_task_group, current_time, sleep, wait_all_tasks_blocked

from headrace import RateLimitInfo, _clock
from headrace._types import LimitDimension, Usage
from headrace.errors import ConcurrencyLimitError, OverloadedError, RateLimitError, RequestTooLargeError
from headrace.limits._refusals import no_place
from headrace.limits.cost import Cost
from headrace.limits.model import Wait
from headrace.limits.pacer import Pacer
from headrace.limits.policy import RateLimitPolicy
from headrace.telemetry import Event, add_hook

pytestmark = pytest.mark.virtual

FREE = Cost(0.0)
T = 1_790_000_000.0


@pytest.fixture
def wall() -> Iterator[None]:
    """The wall clock stands still, so that what is told is exact."""
    with _clock.replaced(lambda: T):
        yield


@pytest.fixture
def told() -> Iterator[list[Event]]:
    events: list[Event] = []
    remove = add_hook(events.append)
    yield events
    remove()


def slots(most: int, **policy: float) -> Pacer:
    return Pacer(RateLimitPolicy(pace=False, **policy), name="openai", max_requests=most)  # type: ignore[arg-type]  # numbers of the policy


def answer(limit: float, left: float, full_in: float, name: str = "requests") -> RateLimitInfo:
    return RateLimitInfo(dimensions=(LimitDimension(name, limit, left, T + full_in),), observed_at=T, source="headers")


def usage(prompt: int) -> Usage:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": 100,
        "total_tokens": prompt + 100,
        "cached_tokens": prompt - 2_000,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "reported",
        "raw": {},
    }


# ---------------------------------------------------------------- slots


async def test_the_highest_priority_is_served_first_and_equals_in_order() -> None:
    pacer, order = slots(1), list[str]()
    first = await pacer.take(FREE, max_wait=0)

    async def wait(label: str, priority: int) -> None:
        ticket = await pacer.take(FREE, max_wait=60, priority=priority, label=label)
        order.append(label)
        pacer.finish(ticket)

    async with create_task_group() as tasks:
        for label, priority in (("a", 0), ("b", 0), ("urgent", 5), ("c", 0), ("low", -1)):
            tasks.start_soon(wait, label, priority)
            await wait_all_tasks_blocked()
        pacer.finish(first)
    assert order == ["urgent", "a", "b", "c", "low"]
    assert (pacer.taken, pacer.waiting) == (0, 0)


async def test_a_waiter_waits_as_long_as_it_is_willing_and_names_the_holders() -> None:
    pacer = slots(2)
    for label in ("stream openai/big", "stream openai/small"):
        await pacer.take(FREE, max_wait=0, label=label)
        await sleep(5)
    began = current_time()
    with pytest.raises(ConcurrencyLimitError) as refused:
        await pacer.take(FREE, max_wait=30)
    assert current_time() - began == pytest.approx(30)
    assert (refused.value.limit, refused.value.waited) == (2, 30)
    assert refused.value.holders == ("stream openai/big (open 40.0 s)", "stream openai/small (open 35.0 s)")
    assert "openai: no slot within 30 s, all 2 are held by stream openai/big (open 40.0 s)" in str(refused.value)
    assert pacer.taken == 2


async def test_without_patience_there_is_no_wait() -> None:
    pacer = slots(1)
    await pacer.take(FREE, max_wait=0)
    began = current_time()
    with pytest.raises(ConcurrencyLimitError):
        await pacer.take(FREE, max_wait=0)
    assert current_time() == began


@pytest.mark.parametrize("granted_first", [True, False])
async def test_a_cancelled_waiter_costs_nobody_a_place(granted_first: bool) -> None:
    """The place becomes free and the waiter is cancelled in one step, in both orders."""
    pacer = slots(1)
    first = await pacer.take(FREE, max_wait=0)
    scope = CancelScope()

    async def wait() -> None:
        with scope:
            pacer.finish(await pacer.take(FREE, max_wait=60))

    async with create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        if granted_first:
            pacer.finish(first)
        scope.cancel()
        if not granted_first:
            pacer.finish(first)
    await pacer.take(FREE, max_wait=0)
    assert pacer.taken == 1


async def test_closing_a_ticket_twice_is_nothing() -> None:
    pacer = slots(2)
    ticket = await pacer.take(FREE, max_wait=0)
    await pacer.take(FREE, max_wait=0)
    pacer.cancel(ticket)
    pacer.finish(ticket)
    pacer.limited(ticket, RateLimitError("late"))
    assert pacer.taken == 1


def test_there_is_at_least_one_slot() -> None:
    with pytest.raises(ValueError, match="max_requests is 0: it must be a whole number of at least 1"):
        Pacer(max_requests=0)


async def test_a_line_that_is_full_refuses_at_once() -> None:
    pacer = slots(1, max_queue=1)
    await pacer.take(FREE, max_wait=0)
    async with create_task_group() as tasks:
        tasks.start_soon(pacer.take, FREE)
        await wait_all_tasks_blocked()
        with pytest.raises(RateLimitError, match=r"the line is full \(max_queue\)") as refused:
            await pacer.take(FREE)
        assert not refused.value.sent
        tasks.cancel_scope.cancel()


async def test_one_that_was_refused_stands_where_it_stood(wall: None) -> None:
    pacer, order = Pacer(max_requests=1), list[str]()
    first = await pacer.take(FREE, max_wait=0)
    pacer.sample(first, answer(100, 99, 0.6))
    pacer.finish(first)
    refused = await pacer.take(FREE, max_wait=0)

    async def wait() -> None:
        ticket = await pacer.take(FREE, max_wait=60)
        order.append("later")
        pacer.finish(ticket)

    async with create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        pacer.limited(refused, RateLimitError("slow down", retry_after=5.0))
        holder = await pacer.take(FREE, max_wait=60, again=refused)
        order.append("again")
        await sleep(1)
        pacer.finish(holder)
    assert order == ["again", "later"]
    assert pacer.taken == 0


async def test_the_forecast_of_one_that_was_refused_is_that_of_its_place(wall: None) -> None:
    """A hundred came later: they do not stand before it."""
    pacer = Pacer(RateLimitPolicy(max_wait=math.inf))
    first = await pacer.take(FREE)
    pacer.sample(first, answer(60, 59, 1))
    pacer.finish(first)
    refused = await pacer.take(FREE)
    async with create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(pacer.take, FREE)
        await wait_all_tasks_blocked()
        pacer.limited(refused, RateLimitError("slow down", retry_after=5.0))
        began = current_time()
        pacer.finish(await pacer.take(FREE, max_wait=10, again=refused))
        assert current_time() - began == pytest.approx(5.0, abs=0.1)
        tasks.cancel_scope.cancel()


async def test_those_of_a_lower_priority_are_not_said_to_be_ahead(wall: None) -> None:
    pacer = Pacer(RateLimitPolicy(max_wait=math.inf))
    pacer.limited(await pacer.take(FREE), RateLimitError("slow down", retry_after=50.0))
    async with create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(pacer.take, FREE)
        await wait_all_tasks_blocked()
        with pytest.raises(RateLimitError, match=r"no place within 20 s.* 0 ahead"):
            await pacer.take(FREE, priority=1, max_wait=20)
        tasks.cancel_scope.cancel()


# ---------------------------------------------------------------- limits


async def test_the_refusal_names_limit_rest_need_time_and_help(wall: None) -> None:
    pacer = Pacer(name="openai")
    ticket = await pacer.take(Cost(1_000.0, 50_000), scope="gpt-x")
    pacer.sample(ticket, answer(60_000, 9_000, 51, "tokens"))
    pacer.finish(ticket)
    with pytest.raises(RateLimitError) as refused:
        await pacer.take(Cost(1_000.0, 10_000), scope="gpt-x", max_wait=2)
    error, text = refused.value, str(refused.value)
    assert text.startswith("openai:gpt-x: no place within 2 s. tokens: ")
    assert " of 60,000 are left, this request needs ~11," in text
    assert "Next place in " in text
    assert "Z), 0 ahead. Nothing was sent" in text
    assert "Raise max_wait above " in text
    assert "lower max_tokens" in text
    assert (error.dimension, error.limit, error.sent, error.source) == ("tokens", 60_000, False, "pacer")
    assert error.retry_after is not None
    assert error.retry_at == pytest.approx(T + error.retry_after)
    assert error.needed is not None
    assert error.remaining is not None
    assert error.retry_after >= (error.needed - error.remaining) / 1000


async def test_more_than_the_limit_ever_lets_in_is_refused_at_once(wall: None) -> None:
    pacer = Pacer(name="openai")
    ticket = await pacer.take(FREE)
    pacer.sample(ticket, answer(1_000, 1_000, 0, "tokens"))
    pacer.finish(ticket)
    with pytest.raises(RequestTooLargeError, match=r"needs ~1,[0-9]{3} tokens, and the limit is 1,000"):
        await pacer.take(Cost(1_000.0, 500))


async def test_a_doubt_larger_than_the_limit_is_content_with_a_full_bucket(wall: None) -> None:
    pacer = Pacer(RateLimitPolicy(max_wait=100))
    await sleep(1)
    for prompt in (4_000, 16_000, 1_000, 20_000):  # estimates that were far off
        ticket = await pacer.take(Cost(4_000.0, 500))
        pacer.sample(ticket, answer(50_000, 48_000, 2.4, "input_tokens"))
        pacer.finish(ticket, usage(prompt))
    began = current_time()
    await pacer.take(Cost(20_000.0, 500))
    assert current_time() - began < 60


async def test_what_was_let_in_before_is_not_too_large(wall: None) -> None:
    """Anthropic does not count what it reads from its cache, and a talk grows: nobody may say "never" then."""
    pacer = Pacer(name="anthropic")
    for prompt in (60_000, 60_000, 64_000, 64_000, 66_000, 68_000, 70_000, 70_000):
        ticket = await pacer.take(Cost(0.5 * prompt, 500))
        pacer.sample(ticket, answer(50_000, 48_000, 2.4, "input_tokens"))
        pacer.finish(ticket, usage(prompt))
    with pytest.raises(RequestTooLargeError):
        await pacer.take(Cost(80_000.0, 500))


async def test_who_waits_longer_than_the_caller_can_is_refused_by_the_forecast(wall: None) -> None:
    """Not after waiting: at once, and again when the forecast grows."""
    pacer = Pacer(name="openai")
    ticket = await pacer.take(FREE)
    pacer.sample(ticket, answer(6, 0, 60))
    began = current_time()
    with pytest.raises(RateLimitError):
        await pacer.take(FREE, deadline=current_time() + 5)
    assert current_time() == began


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600.0, r"3600.0 s \(15:13:20Z\)"), (9e5, r"900000.0 s \(2026-10-02 00:13:20Z\)")]
)
async def test_a_wait_of_days_names_the_day(wall: None, seconds: float, words: str) -> None:
    pacer = Pacer(name="openai")
    pacer.limited(await pacer.take(FREE), RateLimitError("later", retry_after=seconds))
    with pytest.raises(RateLimitError, match=words):
        await pacer.take(FREE)


@pytest.mark.parametrize(
    ("refusal", "words", "dimension", "kind"),
    [
        (RateLimitError("later", retry_after=9, dimension="tokens"), " for its limit of tokens.", "tokens", "rate"),
        (
            RateLimitError("later", retry_after=90, rate_limit=answer(100, 0, 5)),
            " for its limit of requests.",
            "requests",
            "rate",
        ),
        (RateLimitError("later", retry_after=9), ".", None, "rate"),
        (OverloadedError("busy", retry_after=9, kind="overload"), ", as it has no capacity.", None, "overload"),
    ],
    ids=["named", "by-headers", "unsaid", "overload"],
)
@pytest.mark.parametrize("patience", [0, 2], ids=["at-once", "foreseen"])
async def test_who_comes_after_a_refusal_hears_which_limit_it_was(
    wall: None, refusal: RateLimitError, words: str, dimension: str | None, kind: str, patience: float
) -> None:
    pacer = Pacer(name="openai")
    pacer.limited(await pacer.take(FREE), refusal)
    with pytest.raises(RateLimitError) as caught:
        await pacer.take(FREE, max_wait=patience)
    assert f"The vendor refused a request{words} Next place in " in str(caught.value)
    assert "lower max_tokens" not in str(caught.value)
    assert (caught.value.dimension, caught.value.kind, caught.value.sent) == (dimension, kind, False)
    assert (caught.value.retry_after or 0) >= (refusal.retry_after or 0) - 1  # who is refused together comes back apart


def test_a_wait_of_thousands_of_years_has_words_too() -> None:
    """A long line before a small limit is as long as it is."""
    error = no_place("openai", "", Wait(1e12), ahead=0, patience=5, full=False, wall=T)
    assert "Next place in 1000000000000.0 s, 0 ahead." in str(error)


@pytest.mark.parametrize(("limits", "waiting", "minutes"), [(None, 400, 3), ({"requests": 100.0}, 350, 3)])
async def test_the_forecast_of_a_long_line_is_longer_than_a_window(
    wall: None, limits: dict[str, float] | None, waiting: int, minutes: int
) -> None:
    """What stands before a request has to be paid for too, however much more than one bucket it is."""
    pacer = Pacer(RateLimitPolicy(max_wait=math.inf, limits=limits))
    for _ in range(14):
        ticket = await pacer.take(FREE)
        pacer.sample(ticket, RateLimitInfo() if limits else answer(100, 99, 0.6))
        pacer.finish(ticket)
        await sleep(1)
    done = 0

    async def wait() -> None:
        nonlocal done
        ticket = await pacer.take(FREE)
        pacer.finish(ticket)
        done += 1

    async with create_task_group() as tasks:
        for _ in range(waiting):
            tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        began, foretold = current_time(), pacer.forecast(FREE)
        assert 60 * (minutes - 1) < foretold < 60 * (minutes + 0.5)
        with pytest.raises(RateLimitError, match="Next place in 1") as refused:
            await pacer.take(FREE, max_wait=70)
        assert current_time() == began
        assert refused.value.retry_after == pytest.approx(foretold)
        while done < waiting:
            await sleep(1)
        assert current_time() - began == pytest.approx(foretold, rel=0.1)


async def test_a_refusal_keeps_all_away_until_the_vendor_said(wall: None, told: list[Event]) -> None:
    pacer = Pacer(name="openai")
    ticket = await pacer.take(FREE, scope="m")
    pacer.limited(ticket, RateLimitError("slow down", retry_after=7.0, dimension="requests"))
    assert pacer.snapshot()[0].blocked == pytest.approx(7.0)
    began = current_time()
    again = await pacer.take(FREE, scope="m", again=ticket)
    assert current_time() - began >= 7.0
    pacer.finish(again)
    names = [event.name for event in told]
    assert names[0] == "rate_limited"
    (held,) = [event for event in told if event.name == "request_held"]
    assert (held.provider, held.model) == ("openai", "m")
    assert held.data["seconds"] == pytest.approx(7.0)
    assert "request_granted" in names


async def test_a_refusal_before_anything_was_let_in_says_when_and_not_how_much() -> None:
    """Somebody else's requests filled the limit; it is not one request a minute."""
    pacer = Pacer(name="compatible")
    first = [await pacer.take(FREE, max_wait=0) for _ in range(3)]
    for ticket in first:
        pacer.limited(ticket, RateLimitError("slow down", retry_after=2.0))
    began = current_time()
    for _ in range(10):
        ticket = await pacer.take(FREE)
        pacer.sample(ticket, RateLimitInfo())
        pacer.finish(ticket)
    assert 2.0 <= current_time() - began < 3.0


async def test_a_wait_of_more_than_a_second_is_a_line_of_the_log(wall: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "headrace")
    pacer = Pacer(name="openai")
    ticket = await pacer.take(FREE, scope="m")
    pacer.limited(ticket, RateLimitError("slow down", retry_after=7.0))
    pacer.finish(await pacer.take(FREE, scope="m", label="stream openai/m"))
    assert "openai:m: stream openai/m waits 7.0 s (0 ahead)" in caplog.messages


async def test_a_limit_that_nears_is_told_once_and_again_when_it_is_free(wall: None, told: list[Event]) -> None:
    pacer = Pacer(name="openai")
    for left in (50, 21, 19, 18, 25, 40):
        ticket = await pacer.take(FREE, scope="m", max_wait=600)
        pacer.sample(ticket, answer(100, left, 60))
        pacer.finish(ticket)
        await sleep(2)
    kinds = [event.name for event in told if event.name.startswith("rate_limit_")]
    assert kinds[0] == "rate_limit_approaching"
    assert kinds == [kinds[i] for i in range(len(kinds)) if i == 0 or kinds[i] != kinds[i - 1]]
    learned = [event for event in told if event.name == "limits_learned"]
    assert (learned[0].data["dimension"], learned[0].data["limit"]) == ("requests", 100)


async def test_what_is_known_can_be_asked_for(wall: None) -> None:
    pacer = Pacer(name="openai")
    assert pacer.rate_limits() == {}
    ticket = await pacer.take(FREE, scope="m")
    pacer.sample(ticket, answer(100, 40, 36))
    (scope,) = pacer.snapshot()
    assert (scope.scope, scope.flying, scope.waiting, scope.blocked) == ("m", 1, 0, 0.0)
    assert [(one.name, one.limit, one.left) for one in scope.levels] == [("requests", 100, 40)]
    info = pacer.rate_limits()["m"]
    assert (info.limit_requests, info.remaining_requests, info.source, info.observed_at) == (100, 40, "pacer", T)
    await sleep(12)  # 20 come back
    assert pacer.rate_limits()["m"].remaining_requests == 60
    pacer.finish(ticket)


async def test_names_of_models_that_are_not_used_are_forgotten() -> None:
    pacer = Pacer()
    held = await pacer.take(FREE, scope="held")
    for number in range(1100):
        pacer.finish(await pacer.take(FREE, scope=str(number)))
    scopes = {one.scope for one in pacer.snapshot()}
    assert len(scopes) <= 1000
    assert {"held", "1099"} <= scopes
    pacer.finish(held)


async def test_what_was_never_sent_comes_back_whole(wall: None) -> None:
    pacer = Pacer(name="openai")
    ticket = await pacer.take(FREE)
    pacer.sample(ticket, answer(100, 99, 0.6))
    before = pacer.snapshot()[0].levels[0].left
    taken = await pacer.take(FREE)
    assert pacer.snapshot()[0].levels[0].left == pytest.approx(before - 1, abs=0.01)
    pacer.cancel(taken)
    assert pacer.snapshot()[0].levels[0].left == pytest.approx(before, abs=0.01)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_wait": -1.0}, "max_wait is -1.0"),
        ({"max_wait": math.nan}, "max_wait is nan"),
        ({"max_queue": -1}, "max_queue is -1"),
        ({"share": 0.0}, "share is 0.0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"limits": {"requests": 0}}, "the limit of requests is 0"),
        ({"limits": {"wishes": 3}}, "there is no limit called 'wishes'"),
        ({"on_store_failure": "panic"}, "on_store_failure is 'panic'"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RateLimitPolicy(**given)  # type: ignore[arg-type]  # what is wrong with it is the test


# ---------------------------------------------------------------- shares, days


async def paced(pacer: Pacer, limit: float, seconds: float) -> int:
    """Requests that a bucket of `limit` a minute, full at first but for what others took, lets in."""
    began = at = current_time()
    level, sent = 0.8 * limit, 0
    while current_time() < began + seconds:
        ticket = await pacer.take(FREE, max_wait=600)
        now = current_time()
        level, at, sent = min(limit, level + (now - at) * limit / 60) - 1, now, sent + 1
        pacer.sample(ticket, answer(limit, float(int(level)), 60 * (1 - level / limit)))
        pacer.finish(ticket)
    return sent


async def test_a_share_is_that_part_of_the_limit_also_when_the_limit_changes(wall: None) -> None:
    """What the first answer shows that others took is no reason to keep off the own part of it."""
    pacer = Pacer(RateLimitPolicy(share=0.5))
    assert 240 < await paced(pacer, 100, 300) < 320
    assert 1_200 < await paced(pacer, 500, 300) < 1_600
    assert 45 < await paced(pacer, 20, 300) < 80
    levels = {level.name: (level.limit, level.rate * 60) for level in pacer.snapshot()[0].levels}
    assert levels["share of requests"] == pytest.approx((10, 10))


async def test_a_limit_that_falls_leaves_no_debt(wall: None) -> None:
    pacer = Pacer()
    for limit in (500, 20):
        ticket = await pacer.take(FREE)
        pacer.sample(ticket, answer(limit, limit - 1, 0))
        pacer.finish(ticket)
    assert pacer.snapshot()[0].levels[0].left > 17


async def test_a_share_of_limits_that_were_told_does_not_grow() -> None:
    pacer = Pacer(RateLimitPolicy(share=0.5, limits={"requests": 50}), blind=True)
    began, sent = current_time(), 0
    while current_time() < began + 1_800:
        ticket = await pacer.take(FREE, max_wait=600)
        pacer.sample(ticket, RateLimitInfo())
        pacer.finish(ticket)
        sent += 1
    assert 700 <= sent <= 26 * 30


@pytest.mark.parametrize("is_refusal", [False, True])
async def test_what_is_left_of_a_day_can_be_used(wall: None, is_refusal: bool) -> None:
    """Who took the rest of it took it in all of the day."""
    pacer = Pacer(RateLimitPolicy(max_wait=5))
    if is_refusal:
        refusal = RateLimitError("tokens", retry_after=2.0, rate_limit=answer(1_000, 60, 3_600, "requests_day"))
        pacer.limited(await pacer.take(FREE), refusal)
    for left in range(59, 19, -1):
        ticket = await pacer.take(FREE)
        pacer.sample(ticket, answer(1_000, left, 3_600, "requests_day"))
        pacer.finish(ticket)
        await sleep(0.5)


@pytest.mark.parametrize("limit", [10.0, None])
async def test_a_refusal_by_the_minute_says_nothing_of_the_day(limit: float | None) -> None:
    pacer = Pacer(RateLimitPolicy(limits={"requests": 10, "requests_day": 1_000}), name="gemini", blind=True)
    for _ in range(9):
        ticket = await pacer.take(FREE)
        pacer.sample(ticket, RateLimitInfo())
        pacer.finish(ticket)
    refused = await pacer.take(FREE)
    pacer.limited(refused, RateLimitError("quota", retry_after=20.0, dimension="requests", limit=limit))
    levels = {level.name: level for level in pacer.snapshot()[0].levels}
    assert (levels["requests_day"].limit, levels["requests_day"].left) == pytest.approx((1_000, 991))
    pacer.finish(await pacer.take(FREE, max_wait=61))


async def test_a_refusal_by_the_day_says_nothing_of_the_minute() -> None:
    pacer = Pacer(RateLimitPolicy(limits={"requests": 10, "requests_day": 20}), name="gemini", blind=True)
    refused = await pacer.take(FREE)
    pacer.limited(refused, RateLimitError("quota", retry_after=20.0, dimension="requests", limit=20))
    assert {level.name: level.limit for level in pacer.snapshot()[0].levels} == {"requests": 10, "requests_day": 20}
