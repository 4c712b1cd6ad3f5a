"""The in-memory transport gives what the socket gives: the same bytes, the same errors, the same truth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import anyio
import httpx
import pytest

from headrace import _clock
from headrace.simulator import Framing, Script, Simulator, faults

from .raw import KEYS, VENDORS, request

SCRIPT = Script(pieces=("One", " two", " thrée", " four"), reasoning="Let me see.")


@dataclass
class Seen:
    """What an httpx client saw, and what the simulator wrote in its book."""

    status: int | None = None
    headers: object = None
    body: bytes = b""
    error: type[Exception] | None = None
    truth: object = None


async def seen(sim: Simulator, client: httpx.AsyncClient, base: str, vendor: str, *, stream: bool = True) -> Seen:
    path, body = request(vendor, stream=stream)
    result = Seen()
    try:
        async with client.stream("POST", base + path, json=body, headers=KEYS[vendor]) as response:
            result.status, result.headers = response.status_code, sorted(response.headers.items())
            async for data in response.aiter_raw():
                result.body += data
    except httpx.HTTPError as exc:
        result.error = type(exc)
    exchange = sim.exchanges[-1]
    await exchange.wait_ended()
    result.truth = (exchange.text_sent, exchange.reasoning_sent, exchange.events_sent, exchange.ended)
    return result


async def both(vendor: str, script: Script, *, stream: bool = True) -> tuple[Seen, Seen]:
    with _clock.replaced(lambda: 1_800_000_000.5):
        async with Simulator(seed=3) as sim, httpx.AsyncClient() as client:
            sim.play(vendor, script)
            on_socket = await seen(sim, client, sim.base_url(vendor), vendor, stream=stream)
        sim = Simulator(seed=3)
        sim.play(vendor, script)
        prefix = {"openai": "/openai/v1", "grok": "/grok/v1"}.get(vendor, f"/{vendor}")
        async with httpx.AsyncClient(transport=sim.transport()) as client:
            in_memory = await seen(sim, client, "http://sim" + prefix, vendor, stream=stream)
    return on_socket, in_memory


CASES = {
    "good": SCRIPT,
    "crlf": Script(pieces=("One", " two"), framing=Framing(line_end="crlf", bom=True, comments=True)),
    "tools": Script(tool_calls=(("weigh", '{"sacks": 3}'),)),
    "cut-fin": Script(pieces=("One", " two"), fault=faults.CutFin(after_events=2)),
    "cut-rst": Script(pieces=("One", " two"), fault=faults.CutRst(after_events=2)),
    "cut-at": Script(pieces=("One", " two"), fault=faults.CutFin(at_byte=333)),
    "no-head": Script(fault=faults.NoHead()),
    "no-head-rst": Script(fault=faults.NoHead(reset=True)),
    "too-long": Script(text="One", fault=faults.WrongLength(by=5)),
    "too-short": Script(text="One", fault=faults.WrongLength(by=-5)),
    "clean-end": Script(text="One", fault=faults.CleanEnd()),
    "error": Script(text="One", fault=faults.ErrorEvent(after_pieces=1)),
    "bytes": Script(text="One", fault=faults.OneByteWrites()),
    "gzip": Script(text="One", fault=faults.Gzip()),
    "refuse": Script(fault=faults.Refuse(status=429)),
    "refuse-cut": Script(fault=faults.Refuse(status=500, body="cut")),
    "refuse-reset": Script(fault=faults.Refuse(status=500, body="reset")),
    "redirect": Script(fault=faults.Redirect()),
    "html": Script(fault=faults.HtmlBody()),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_memory_equals_socket(vendor: str, name: str) -> None:
    on_socket, in_memory = await both(vendor, CASES[name])
    assert on_socket == in_memory


@pytest.mark.parametrize("fault", [None, faults.CutFin(), faults.CutRst(), faults.CleanEnd()], ids=str)
async def test_memory_equals_socket_without_a_stream(fault: faults.Fault | None) -> None:
    on_socket, in_memory = await both("anthropic", Script(text="One two", fault=fault), stream=False)
    assert on_socket == in_memory


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cut-fin", httpx.RemoteProtocolError),
        ("cut-rst", httpx.ReadError),
        ("no-head", httpx.RemoteProtocolError),
        ("no-head-rst", httpx.ReadError),
        ("too-long", httpx.RemoteProtocolError),
        ("too-short", None),
    ],
)
async def test_each_break_is_the_error_of_its_socket(name: str, error: type[Exception] | None) -> None:
    sim = Simulator()
    sim.play("openai", CASES[name])
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        assert (await seen(sim, client, "http://sim/openai/v1", "openai")).error is error


async def test_a_connection_is_open_while_its_response_is_and_is_used_again() -> None:
    sim = Simulator()
    path, body = request("openai")
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        for _ in range(2):
            async with client.stream(
                "POST", "http://sim/openai/v1" + path, json=body, headers=KEYS["openai"]
            ) as response:
                assert sim.open_connections == 1
                await response.aread()
        assert [exchange.connection for exchange in sim.exchanges] == [1, 1]
    assert (sim.open_connections, sim.connections) == (0, 1)


async def test_leaving_a_response_early_closes_its_connection() -> None:
    sim = Simulator()
    path, body = request("openai")
    async with sim.transport() as transport:
        asked = httpx.Request("POST", "http://sim/openai/v1" + path, json=body, headers=KEYS["openai"])
        response = await transport.handle_async_request(asked)
        assert await anext(aiter(response.stream)) != b""
        await response.aclose()
        assert (sim.exchanges[0].ended, sim.exchanges[0].events_sent, sim.open_connections) == ("client left", 1, 0)


@pytest.mark.virtual
async def test_waits_are_the_loops_and_cost_no_time() -> None:
    sim = Simulator()
    sim.play("openai", Script(pieces=("a", "b"), first_delay=3600.0, delay=60.0))
    path, body = request("openai")
    times = []
    async with httpx.AsyncClient(transport=sim.transport(), timeout=None) as client:
        start = anyio.current_time()
        async with client.stream("POST", "http://sim/openai/v1" + path, json=body, headers=KEYS["openai"]) as response:
            times.append(anyio.current_time() - start)
            async for _ in response.aiter_raw():
                times.append(round(anyio.current_time() - start, 6))
    assert times == [0, 3600, 3660, 3720, 3780, 3840]


@pytest.mark.virtual
async def test_late_first_lets_the_head_events_pass() -> None:
    sim = Simulator()
    sim.play("anthropic", Script(text="One", fault=faults.LateFirst(seconds=100)))
    path, body = request("anthropic")
    times = []
    async with httpx.AsyncClient(transport=sim.transport(), timeout=None) as client:
        start = anyio.current_time()
        async with client.stream(
            "POST", "http://sim/anthropic" + path, json=body, headers=KEYS["anthropic"]
        ) as response:
            async for data in response.aiter_raw():
                times.append((data.split(b"\n")[0].decode(), round(anyio.current_time() - start, 6)))
    assert times[:4] == [
        ("event: message_start", 0),
        ("event: content_block_start", 0),
        ("event: ping", 0),
        ("event: content_block_delta", 100),
    ]


@pytest.mark.virtual
async def test_pings_keep_their_interval() -> None:
    sim = Simulator()
    sim.play("anthropic", Script(fault=faults.Pings(after_events=1, interval=15.0)))
    path, body = request("anthropic")
    async with sim.transport() as transport:
        start = anyio.current_time()
        asked = httpx.Request("POST", "http://sim/anthropic" + path, json=body, headers=KEYS["anthropic"])
        response = await transport.handle_async_request(asked)
        events = aiter(response.stream)
        times = [(await anext(events), round(anyio.current_time() - start, 6)) for _ in range(4)]
        await response.aclose()
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    assert [time for _, time in times] == [0, 15, 30, 45]
    assert [event for event, _ in times[1:]] == [ping] * 3


@pytest.mark.virtual
async def test_a_stall_is_for_ever_and_can_be_cancelled() -> None:
    sim = Simulator()
    sim.play("openai", Script(pieces=("One", " two"), fault=faults.Stall(after_pieces=1)))
    path, body = request("openai")
    got = []
    async with httpx.AsyncClient(transport=sim.transport(), timeout=None) as client:
        with anyio.move_on_after(1_000_000) as scope:
            async with client.stream(
                "POST", "http://sim/openai/v1" + path, json=body, headers=KEYS["openai"]
            ) as response:
                async for data in response.aiter_raw():
                    got.append(data)
    assert scope.cancelled_caught
    assert len(got) == 2
    assert (sim.exchanges[0].ended, sim.exchanges[0].text_sent, sim.open_connections) == ("client left", "One", 0)


@pytest.mark.virtual
async def test_a_pace_is_uneven_seeded_and_slow_to_begin() -> None:
    async def gaps(seed: int) -> list[float]:
        sim = Simulator(seed=seed, pace=0.1)
        sim.play("openai", Script(pieces=tuple("abcdefghij")))
        path, body = request("openai")
        times = []
        async with httpx.AsyncClient(transport=sim.transport(), timeout=None) as client:
            async with client.stream(
                "POST", "http://sim/openai/v1" + path, json=body, headers=KEYS["openai"]
            ) as response:
                async for _ in response.aiter_raw():
                    times.append(anyio.current_time())
        return [round(after - before, 6) for before, after in pairwise(times)]

    first = await gaps(1)
    assert first == await gaps(1) != await gaps(2)
    assert 0.5 <= first[0] <= 1.2
    assert all(0.02 <= gap <= 0.18 for gap in first[1:10])
    assert first[10:] == [0, 0]  # finish and [DONE]


@pytest.mark.virtual
async def test_late_first_holds_back_words_that_share_an_event_with_the_finish() -> None:
    sim = Simulator()
    sim.play("gemini", Script(pieces=("One",), fault=faults.LateFirst(seconds=100)))
    path, body = request("gemini")
    async with httpx.AsyncClient(transport=sim.transport(), timeout=None) as client:
        start = anyio.current_time()
        response = await client.post("http://sim/gemini" + path, json=body, headers=KEYS["gemini"])
        assert (response.status_code, anyio.current_time() - start) == (200, 100)


@pytest.mark.virtual
async def test_a_stall_before_the_head_is_a_request_without_an_answer() -> None:
    sim = Simulator()
    sim.play("openai", Script(fault=faults.Stall(before_head=True)))
    path, body = request("openai")
    async with httpx.AsyncClient(transport=sim.transport(), timeout=None) as client:
        with anyio.move_on_after(1_000_000) as scope:
            await client.post("http://sim/openai/v1" + path, json=body, headers=KEYS["openai"])
    assert scope.cancelled_caught
    assert (sim.exchanges[0].status, sim.exchanges[0].ended, sim.open_connections) == (None, "client left", 0)
