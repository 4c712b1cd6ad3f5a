"""examples/web.py on both servers: the whole answer arrives, and one who leaves ends the vendor's stream at once."""

from __future__ import annotations

import json

import anyio
import httpx
import httpx_sse

from headrace.simulator import Script, Simulator, faults

ENDLESS = Script(text="word " * 5000, first_delay=0.0, delay=0.01)


async def events(url: str, **headers: str) -> list[httpx_sse.ServerSentEvent]:
    async with httpx.AsyncClient(headers=headers) as client:
        async with httpx_sse.aconnect_sse(client, "GET", url, params={"q": "Hello"}) as source:
            return [event async for event in source.aiter_sse() if event.data]


async def test_the_whole_answer_arrives_and_then_the_end(url: str, sim: Simulator) -> None:
    sim.play("ollama", Script(text="one two three"))
    got = await events(f"{url}/chat")
    assert "".join(json.loads(event.data)["content"] for event in got[:-1]) == "one two three"
    assert (got[-1].event, json.loads(got[-1].data)["finish_reason"]) == ("end", "stop")


async def test_a_cut_is_shown_as_one(url: str, sim: Simulator) -> None:
    sim.play("ollama", Script(text="one two three four five", fault=faults.CutFin(after_events=3)))
    cut, end = (await events(f"{url}/chat"))[-2:]
    assert (cut.event, end.event) == ("interrupted", "end")
    assert json.loads(cut.data) == {
        "marker": "\n\n[Response interrupted]",
        "type": "TruncatedStreamError",
        "message": "The connection to the model was lost.",
        "retry_after": None,
    }


async def test_one_who_leaves_ends_the_vendors_stream(url: str, sim: Simulator) -> None:
    sim.play("ollama", ENDLESS)
    async with httpx.AsyncClient() as client, client.stream("GET", f"{url}/chat", params={"q": "Hello"}) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                break
    with anyio.fail_after(5):
        await sim.wait_all_closed()
    exchange = sim.exchanges[-1]  # before it, the models that there are were asked for
    assert 0 < len(exchange.text_sent) < 5000  # of 25,000: at 100 words a second it was left within ten seconds


async def test_a_browser_that_asks_again_is_told_to_stop(url: str, sim: Simulator) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/chat?q=Hello", headers={"Last-Event-ID": "3"})).status_code == 204
        assert (await client.head(f"{url}/chat?q=Hello")).status_code == 204  # nor does a link checker pay
        assert (await client.get(f"{url}/chat")).status_code == 400
        assert "EventSource" in (await client.get(url)).text
    assert sim.requests == 0
