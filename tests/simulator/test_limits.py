"""Limits in virtual time: charged, told and enforced in every vendor's way."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest

from headrace import _clock
from headrace.simulator import Limits, Script, Simulator, Tokens
from headrace.simulator.buckets import Buckets
from headrace.simulator.vendors._openai_errors import go_duration

from .raw import KEYS, request

pytestmark = [pytest.mark.virtual]

START = 1_800_000_000.0  # 2027-01-15T08:00:00Z
SAY = Script(text="Hi", usage=Tokens(prompt=9, completion=100))


PREFIX = {"anthropic": "/anthropic", "openai": "/openai/v1", "gemini": "/gemini", "grok": "/grok/v1"}


async def ask(client: httpx.AsyncClient, vendor: str, **fields: object) -> httpx.Response:
    """The usual question, whose "What is a headrace?" is 19 characters: 5 tokens. `fields` are added to its body."""
    path, body = request(vendor)
    return await client.post(f"http://sim{PREFIX[vendor]}{path}", json={**body, **fields}, headers=KEYS[vendor])


def limits_of(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if "ratelimit" in name}


@pytest.fixture
def wall() -> object:
    with _clock.replaced(lambda: START):
        yield


async def test_openai_tells_go_durations_and_charges_prompt_and_max_tokens_at_once(wall: object) -> None:
    sim = Simulator(limits={"openai": Limits(requests=6, tokens=600)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert limits_of(await ask(client, "openai", max_tokens=20)) == {
            "x-ratelimit-limit-requests": "6",
            "x-ratelimit-remaining-requests": "5",
            "x-ratelimit-reset-requests": "10s",
            "x-ratelimit-limit-tokens": "600",
            "x-ratelimit-remaining-tokens": "575",
            "x-ratelimit-reset-tokens": "2.5s",
        }
        await anyio.sleep(5)
        response = await ask(client, "openai")
        assert limits_of(response)["x-ratelimit-reset-requests"] == "15s"
        assert limits_of(response)["x-ratelimit-remaining-requests"] == "4"


async def test_anthropic_tells_dates_and_rounds_tokens_to_the_thousand(wall: object) -> None:
    limits = Limits(requests=60, tokens=None, input_tokens=30_000, output_tokens=6_000)
    sim = Simulator(limits={"anthropic": limits})
    sim.play("anthropic", Script(text="Hi", usage=Tokens(prompt=9, completion=1_600)))
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        first = limits_of(await ask(client, "anthropic"))
        second = limits_of(await ask(client, "anthropic"))
    assert first == {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "30000",
        "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:01Z",
        "anthropic-ratelimit-output-tokens-limit": "6000",
        "anthropic-ratelimit-output-tokens-remaining": "6000",
        "anthropic-ratelimit-output-tokens-reset": "2027-01-15T08:00:00Z",
        "anthropic-ratelimit-tokens-limit": "36000",
        "anthropic-ratelimit-tokens-remaining": "36000",
        "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:01Z",
    }
    assert second["anthropic-ratelimit-output-tokens-remaining"] == "4000"  # 4400
    assert second["anthropic-ratelimit-output-tokens-reset"] == "2027-01-15T08:00:16Z"


async def test_anthropics_output_is_billed_while_it_is_produced_and_lets_nobody_in_once_it_is_owed() -> None:
    limits = Limits(requests=None, tokens=None, output_tokens=10, window=3600.0)  # one comes back in 6 minutes
    sim = Simulator(limits={"anthropic": limits})
    slow = Script(pieces=("word ",) * 20, delay=1.0)  # an event a second
    sim.play("anthropic", slow, Script(text="Hi", usage=Tokens(prompt=5, completion=1)))
    async with httpx.AsyncClient(transport=sim.transport()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, client, "anthropic")
        await anyio.sleep(7.5)
        assert (await ask(client, "anthropic")).status_code == 200  # 8 of 10 are used, now 9
        await anyio.sleep(5)
        refused = await ask(client, "anthropic")
        assert sim.exchanges[0].ended == "open"
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1428")  # 4 are owed, 12.5 s came back


async def test_who_leaves_pays_for_what_was_produced() -> None:
    limits = Limits(requests=None, tokens=None, output_tokens=10, window=3600.0)
    sim = Simulator(limits={"anthropic": limits})
    sim.play("anthropic", *[Script(pieces=("word ",) * 100, delay=1.0)] * 2)
    statuses = []
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        for seconds in (5.5, 9.5, 1.0):  # 6 events, then 10 more
            with anyio.move_on_after(seconds):
                statuses.append((await ask(client, "anthropic")).status_code)
    assert statuses == [429]
    assert [exchange.events_sent for exchange in sim.exchanges[:2]] == [6, 10]


@pytest.mark.parametrize(("prompt", "cached", "seconds"), [(605, 0, 10), (605, 595, 0)], ids=["new", "cached"])
async def test_anthropics_estimate_of_the_input_is_corrected_at_the_end(
    wall: object, prompt: int, cached: int, seconds: int
) -> None:
    sim = Simulator(limits={"anthropic": Limits(requests=None, tokens=None, input_tokens=3_600)})  # 60 a second
    sim.play("anthropic", Script(text="Hi", usage=Tokens(prompt=prompt, completion=1, cached=cached)))
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        first, second = [await ask(client, "anthropic") for _ in range(2)]
    assert first.headers["anthropic-ratelimit-input-tokens-reset"] == "2027-01-15T08:00:01Z"
    assert second.headers["anthropic-ratelimit-input-tokens-reset"] == f"2027-01-15T08:00:{seconds + 1:02}Z"


async def test_xai_tells_no_resets_and_gemini_nothing(wall: object) -> None:
    sim = Simulator(limits={"grok": Limits(requests=10, tokens=1000), "gemini": Limits(requests=10)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert limits_of(await ask(client, "grok")) == {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": "9",
            "x-ratelimit-limit-tokens": "1000",
            "x-ratelimit-remaining-tokens": "995",
        }
        assert limits_of(await ask(client, "gemini")) == {}


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "grok"])
async def test_an_empty_bucket_is_a_429_and_its_retry_after_is_long_enough(vendor: str) -> None:
    sim = Simulator(limits={vendor: Limits(requests=2, tokens=None)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert [(await ask(client, vendor)).status_code for _ in range(3)] == [200, 200, 429]
        refused = await ask(client, vendor)
        assert refused.headers["retry-after"] == "30"
        assert refused.headers.get("retry-after-ms") == (None if vendor == "anthropic" else "30000")
        await anyio.sleep(29.9)
        assert (await ask(client, vendor)).status_code == 429
        await anyio.sleep(0.1)
        assert (await ask(client, vendor)).status_code == 200
    assert [exchange.script is None for exchange in sim.exchanges] == [False, False, True, True, True, False]


async def test_openais_refusal_has_a_code_and_says_which_limit() -> None:
    sim = Simulator(limits={"openai": Limits(requests=None, tokens=60)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert (await ask(client, "openai", max_tokens=50)).status_code == 200
        refused = await ask(client, "openai", max_tokens=45)  # 50 are needed, 5 are left, one comes in a second
        assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("45", "45000")
    assert json.loads(refused.content)["error"] == {
        "message": "Rate limit reached on tokens per min (TPM): Limit 60. Please try again in 45s.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }


async def test_a_day_of_requests_stands_where_groq_has_it_and_comes_back_one_by_one() -> None:
    sim = Simulator(limits={"openai": Limits(requests=None, requests_day=2, tokens=None)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert limits_of(await ask(client, "openai")) == {
            "x-ratelimit-limit-requests": "2",
            "x-ratelimit-remaining-requests": "1",
            "x-ratelimit-reset-requests": "12h0m0s",
        }
        assert [(await ask(client, "openai")).status_code for _ in range(2)] == [200, 429]
        refused = await ask(client, "openai")
        assert refused.headers["retry-after"] == "43200"
        assert b"requests per day (RPD): Limit 2" in refused.content
        await anyio.sleep(43_200)
        assert (await ask(client, "openai")).status_code == 200


async def test_geminis_429_tells_limit_and_wait_in_its_body_and_its_windows_begin_anew() -> None:
    sim = Simulator(limits={"gemini": Limits(requests=2)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        while (refused := await ask(client, "gemini")).status_code == 200:
            pass
        quota, retry = json.loads(refused.content)["error"]["details"]
        assert quota["violations"][0]["quotaValue"] == "2"
        assert quota["violations"][0]["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
        assert "retry-after" not in refused.headers
        wait = float(retry["retryDelay"].removesuffix("s"))
        assert 0 < wait <= 60
        await anyio.sleep(wait - 0.1)
        assert (await ask(client, "gemini")).status_code == 429
        await anyio.sleep(0.1)
        assert [(await ask(client, "gemini")).status_code for _ in range(3)] == [200, 200, 429]
        await anyio.sleep(60)
        assert (await ask(client, "gemini")).status_code == 200


async def test_gemini_counts_the_prompt_alone() -> None:
    sim = Simulator(limits={"gemini": Limits(requests=None, tokens=12)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        answers = [await ask(client, "gemini", generationConfig={"maxOutputTokens": 100}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]  # 5 tokens each; the answers have many
    quota, _ = json.loads(answers[-1].content)["error"]["details"]
    assert quota["violations"] == [
        {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_input_token_count",
            "quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            "quotaValue": "12",
        }
    ]


async def test_geminis_day_ends_at_midnight_in_california(wall: object) -> None:
    sim = Simulator(limits={"gemini": Limits(requests=10, requests_day=1)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert (await ask(client, "gemini")).status_code == 200  # START is midnight there
        await anyio.sleep(36_000.0)
        refused = await ask(client, "gemini")
        assert refused.status_code == 429
        quota, retry = json.loads(refused.content)["error"]["details"]
        assert quota["violations"][0]["quotaId"] == "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
        assert (quota["violations"][0]["quotaValue"], retry["retryDelay"]) == ("1", "50400s")
        await anyio.sleep(50_399.0)
        assert (await ask(client, "gemini")).status_code == 429
        await anyio.sleep(1.0)
        assert (await ask(client, "gemini")).status_code == 200


@pytest.mark.parametrize("vendor", PREFIX)
async def test_a_limit_of_nothing_lets_nobody_in(vendor: str) -> None:
    sim = Simulator(limits={vendor: Limits(requests=0)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        for _ in range(2):
            refused = await ask(client, vendor)
            assert refused.status_code == 429
            await anyio.sleep(3600)
    if vendor == "gemini":
        assert json.loads(refused.content)["error"]["details"][0]["violations"][0]["quotaValue"] == "0"
    else:
        assert refused.headers["retry-after"] == "60"


async def test_a_refused_request_counts_with_openai_and_not_with_anthropic() -> None:
    few = {"openai": Limits(requests=4, tokens=10), "anthropic": Limits(requests=4, tokens=None, input_tokens=10)}
    for vendor, left in (("openai", "1"), ("anthropic", "2")):
        most = few[vendor]
        sim = Simulator(limits={vendor: most})
        async with httpx.AsyncClient(transport=sim.transport()) as client:
            answers = [await ask(client, vendor) for _ in range(3)]  # 5 tokens each
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        name = "x-ratelimit-remaining-requests" if vendor == "openai" else "anthropic-ratelimit-requests-remaining"
        assert answers[-1].headers[name] == left


async def test_a_hidden_window_refuses_while_the_headers_show_room() -> None:
    sim = Simulator(limits={"openai": Limits(requests=60, hidden=1.0)})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        first, second = [await ask(client, "openai") for _ in range(2)]
        assert (first.status_code, second.status_code) == (200, 429)
        assert int(second.headers["x-ratelimit-remaining-requests"]) >= 57
        await anyio.sleep(1.0)
        assert (await ask(client, "openai")).status_code == 200


async def test_a_refused_request_leaves_its_script_in_the_queue() -> None:
    sim = Simulator(limits={"openai": Limits(requests=1)})
    sim.play("openai", Script(text="first"), Script(text="second"))
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert [(await ask(client, "openai")).status_code for _ in range(2)] == [200, 429]
        await anyio.sleep(60)
        assert "second" in (await ask(client, "openai")).text


async def test_tokens_are_charged_when_the_answer_has_told_what_it_cost() -> None:
    sim = Simulator(limits={"grok": Limits(requests=None, tokens=120)})
    sim.play("grok", SAY)
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        before = await ask(client, "grok")
        after = await ask(client, "grok")
    assert before.headers["x-ratelimit-remaining-tokens"] == "115"
    assert after.headers["x-ratelimit-remaining-tokens"] == "6"  # 9 and 100, and 5 of the second


async def test_none_is_no_limits_and_no_headers() -> None:
    sim = Simulator(limits={"openai": None})
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert limits_of(await ask(client, "openai")) == {}


def test_a_request_larger_than_the_bucket_never_fits() -> None:
    buckets = Buckets(Limits(requests=None, tokens=100), now=0.0)
    denial = buckets.admit({"tokens": 101}, now=10_000.0)
    assert denial is not None
    assert (denial.dimension, denial.limit, denial.remaining) == ("tokens", 100, 100)


def test_the_longest_wait_is_told_of_two_empty_buckets() -> None:
    buckets = Buckets(Limits(requests=60, tokens=60), now=0.0)
    assert buckets.admit({"requests": 60, "tokens": 60}, now=0.0) is None
    denial = buckets.admit({"requests": 1, "tokens": 30}, now=0.0)
    assert denial is not None
    assert (denial.dimension, denial.wait) == ("tokens", 30.0)


def test_a_clock_that_goes_back_refills_nothing() -> None:
    buckets = Buckets(Limits(requests=60, tokens=None), now=100.0)
    buckets.charge({"requests": 60}, now=100.0)
    assert buckets.read(50.0)["requests"].remaining == 0
    assert buckets.read(101.0)["requests"].remaining == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.006, "6ms"),
        (1, "1s"),
        (1.58, "1.58s"),
        (79.156, "1m19.156s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (-1, "0s"),
    ],
)
def test_go_durations(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
