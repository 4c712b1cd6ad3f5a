"""Connections: what is reused, who left, what is closed."""

from __future__ import annotations

import json
import random

import anyio
import pytest

from headrace.simulator import Exchange, Script, Simulator, faults
from headrace.simulator.script import prose, split_words
from headrace.simulator.steps import Frame, Piece

from .raw import connect, fetch


async def test_a_connection_is_used_again() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            for vendor in ("openai", "anthropic", "gemini", "grok"):
                await client.ask(sim, vendor)
                assert (await client.read()).end == "complete"
            assert [exchange.connection for exchange in sim.exchanges] == [1, 1, 1, 1]
            assert (sim.connections, sim.open_connections, sim.requests) == (1, 1, 4)
        await sim.wait_all_closed()
        await fetch(sim, "openai")
        assert sim.exchanges[-1].connection == 2


async def test_what_is_sent_ahead_is_answered_in_order() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(text="first"), Script(text="second"))
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai")
            await client.ask(sim, "openai")
            assert b"first" in (await client.read()).body
            assert b"second" in (await client.read()).body


async def test_connection_close_is_obeyed() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai", headers={"connection": "close"})
            answer = await client.read()
            assert (answer.end, answer.headers["connection"]) == ("complete", "close")
            with pytest.raises(anyio.EndOfStream):
                await client.line()


async def test_expect_100_continue() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            await client.send(
                "POST /openai/v1/chat/completions HTTP/1.1\nhost: s\nauthorization: Bearer k\n"
                "content-length: 2\nexpect: 100-continue\n\n"
            )
            assert (await client.head()).status == 100
            await client.send("", b"{}")
            assert (await client.read()).status == 400


async def test_a_client_that_leaves_is_recorded_with_what_it_was_sent() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(pieces=("One", " two"), fault=faults.Stall(after_pieces=1)))
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai")
            await client.head()
            await client.chunk()
            await client.chunk()
        await sim.exchanges[0].wait_ended()
        assert (sim.exchanges[0].ended, sim.exchanges[0].text_sent) == ("client left", "One")
        await sim.wait_all_closed()
        assert sim.open_connections == 0


async def test_what_nobody_reads_is_not_sent() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(pieces=("One", "x" * 50_000_000, " two")))
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai")
            await client.head()
            await client.chunk()
            await client.chunk()
            await anyio.wait_all_tasks_blocked()
            assert (sim.exchanges[0].text_sent, sim.exchanges[0].ended) == ("One", "open")
            assert sim.exchanges[0].bytes_sent < 50_000_000
        await sim.exchanges[0].wait_ended()
        assert sim.exchanges[0].ended == "client left"
        assert sim.exchanges[0].text_sent == "One"


async def test_of_a_write_that_was_taken_in_part_the_events_that_are_whole_count() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(pieces=("One", "x" * 50_000_000), per_write=3))
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai")
            await client.head()
            assert int(await client.line(), 16) > 50_000_000
            await anyio.wait_all_tasks_blocked()
            assert (sim.exchanges[0].events_sent, sim.exchanges[0].text_sent) == (2, "One")
            assert 0 < sim.exchanges[0].bytes_sent < 50_000_000


@pytest.mark.parametrize(("start", "stop", "text"), [(0, 4, ""), (0, 5, "a"), (4, 8, "a"), (5, 9, "b"), (0, 9, "ab")])
def test_words_count_when_their_last_byte_was_taken(start: int, stop: int, text: str) -> None:
    exchange = Exchange(vendor="", method="", path="", headers={}, body=None, connection=1)
    exchange.sent(Piece(b"12345" + b"6789", ((5, Frame(text="a")), (9, Frame(text="b")))), start, stop)
    assert (exchange.text_sent, exchange.bytes_sent) == (text, stop - start)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"A" * 100_000,
    ],
    ids=["tls", "words", "no-host", "endless"],
)
async def test_rubbish_is_refused_and_the_next_client_is_served(rubbish: bytes) -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            await client.socket.send(rubbish)
            answer = await client.read()
            assert answer.status in {400, 431}
        assert (await fetch(sim, "openai")).status == 200


async def test_clients_that_vanish_anywhere_leave_the_server_whole() -> None:
    async with Simulator() as sim:
        whole = b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: s\r\ncontent-length: 99\r\n\r\n{"
        for length in range(0, len(whole), 5):
            client = await connect(sim)
            await client.socket.send(whole[:length] or b"\r\n")
            await client.socket.aclose()
        await sim.wait_all_closed()
        assert (await fetch(sim, "openai")).status == 200


async def test_a_body_over_the_limit_is_a_413() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "anthropic", body=b" " * (32 * 2**20 + 1))
        assert answer.status == 413


async def test_http_1_0_gets_a_body_that_ends_with_the_connection() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(text="Hello"))
        client = await connect(sim)
        async with client.socket:
            body = b'{"model":"m","stream":true,"messages":[{}]}'
            head = (
                f"POST /openai/v1/chat/completions HTTP/1.0\nauthorization: Bearer k\ncontent-length: {len(body)}\n\n"
            )
            await client.send(head, body)
            data = b""
            with pytest.raises(anyio.EndOfStream):
                while True:
                    data += await client.socket.receive()
            assert data.endswith(b"\n\ndata: [DONE]\n\n")
            assert sim.exchanges[0].text_sent == "Hello"


async def test_leaving_the_simulator_closes_what_is_open() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        await client.ask(sim, "openai", headers={"x-headrace-fault": "stall; after_events=1"})
        await client.head()
        await client.chunk()
        idle = await connect(sim)
    assert sim.exchanges[0].ended == "closed"
    assert sim.open_connections == 0
    for one in (client, idle):
        async with one.socket:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await one.line()


async def test_the_bodys_exception_leaves_alone() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with Simulator() as sim:
            client = await connect(sim)
            async with client.socket:
                await client.ask(sim, "openai", headers={"x-headrace-fault": "stall"})
                await client.head()
                raise KeyError("mine")
    assert sim.open_connections == 0


async def test_cancelling_the_body_leaves_nothing_open() -> None:
    with anyio.CancelScope() as scope:
        async with Simulator() as sim:
            client = await connect(sim)
            await client.ask(sim, "openai", headers={"x-headrace-fault": "stall"})
            await client.head()
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert sim.open_connections == 0
    await client.socket.aclose()


async def test_it_is_entered_once_and_has_no_port_before() -> None:
    sim = Simulator()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sim.port
    async with sim:
        assert sim.base_url("openai") == f"http://127.0.0.1:{sim.port}/openai/v1"
        with pytest.raises(RuntimeError, match="already running"):
            await sim.__aenter__()


async def test_a_port_that_is_taken_is_an_oserror_and_leaves_no_task() -> None:
    async with Simulator() as sim:
        with pytest.raises(OSError, match="in use"):
            async with Simulator(port=sim.port):
                pass


async def test_equal_seeds_give_equal_answers_and_others_others() -> None:
    async def text(seed: int) -> str:
        async with Simulator(seed=seed) as sim:
            await fetch(sim, "openai")
            return sim.exchanges[0].text_sent

    assert await text(1) == await text(1) != await text(2)


async def test_scripts_are_played_in_order_and_then_prose() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(text="one"), Script(text="two"))
        sim.play("grok", Script(text="other"))
        for vendor in ("openai", "grok", "openai", "openai"):
            await fetch(sim, vendor)
        said = [exchange.text_sent for exchange in sim.exchanges]
        assert said[:3] == ["one", "other", "two"]
        assert len(said[3]) > 100


async def test_faults_are_taken_in_turn_where_nothing_is_queued() -> None:
    async with Simulator(faults=[faults.CutFin(), faults.Refuse(status=500)]) as sim:
        answers = [await fetch(sim, "openai") for _ in range(3)]
        assert [(answer.status, answer.end) for answer in answers] == [(200, "fin"), (500, "complete"), (200, "fin")]


async def test_status_and_headers_of_a_script_replace_the_vendors() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(status=203, headers={"X-Request-Id": "mine", "content-type": "text/plain"}))
        answer = await fetch(sim, "openai")
        assert (answer.status, answer.headers["x-request-id"], answer.headers["content-type"]) == (
            203,
            "mine",
            "text/plain",
        )


async def test_on_exchange_is_told_of_every_ending() -> None:
    told: list[str] = []
    async with Simulator(on_exchange=lambda exchange: told.append(f"{exchange.path} {exchange.ended}")) as sim:
        await fetch(sim, "openai")
        await fetch(sim, "openai", fault="cut-fin")
        await fetch(sim, "openai", path="/nowhere")
    assert told == [
        "/openai/v1/chat/completions complete",
        "/openai/v1/chat/completions cut",
        "/openai/v1/nowhere complete",
    ]


ODD = {
    "half-pair": ("openai", {"model": "\ud83d", "messages": [{}]}),
    "half-pair-of-a-prompt": ("openai", {"model": "m", "input": "\ud83d"}),
    "nan": ("openai", {"model": "m", "messages": [{}], "temperature": float("nan")}),
    "id-that-is-a-list": ("openai", {"model": "m", "messages": [{"role": "tool", "tool_call_id": []}]}),
    "bool-for-a-number": ("openai", {"model": "m", "input": "a", "dimensions": True}),
    "choice-that-is-a-list": (
        "anthropic",
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user"}], "tool_choice": {"type": []}},
    ),
    "schema-without-end": (
        "gemini",
        {"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"responseSchema": {"anyOf": [{"$ref": "#"}]}}},
    ),
    "number-too-large": ("ollama", {"model": "m", "input": "a", "dimensions": 10**30}),
}


@pytest.mark.parametrize(("vendor", "body"), ODD.values(), ids=ODD)
async def test_an_odd_request_is_refused_and_the_server_goes_on(vendor: str, body: dict[str, object]) -> None:
    path = {"openai": "/embeddings", "ollama": "/api/embed"}.get(vendor) if "input" in body else None
    async with Simulator() as sim:
        assert (await fetch(sim, vendor, path=path, body=json.dumps(body).encode())).status == 400
        assert (await fetch(sim, vendor)).status == 200


async def test_an_address_that_is_none_leads_nowhere() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            await client.send("GET //[ HTTP/1.1\nhost: s\n\n")
            assert (await client.read()).status == 404


async def test_the_key_is_not_in_the_repr() -> None:
    async with Simulator() as sim:
        await fetch(sim, "openai", headers={"authorization": "Bearer very-secret"})
        assert "very-secret" not in repr(sim.exchanges[0])


@pytest.mark.parametrize("seed", range(20))
def test_pieces_join_to_the_text(seed: int) -> None:
    text = prose(random.Random(seed))
    pieces = split_words(text, random.Random(seed))
    assert "".join(pieces) == text
    assert len(pieces) > 20


@pytest.mark.parametrize(
    "wrong",
    [{"text": "a", "pieces": ("b",)}, {"per_write": 0}, {"delay": -1.0}, {"first_delay": float("nan")}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_script_that_makes_no_sense_is_a_value_error(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"pieces|per_write|delay"):
        Script(**wrong)


def test_an_unknown_vendor_is_named() -> None:
    with pytest.raises(ValueError, match="there is no vendor 'x'; there are: anthropic, openai, gemini, grok"):
        Simulator().play("x", Script())
