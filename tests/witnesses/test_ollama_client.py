"""
Ollama's own client reads the simulator: what it understands is what the server sends. On asyncio alone, where it runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from headrace.simulator import Script, Simulator, Tokens, faults

ollama = pytest.importorskip("ollama", reason="Ollama's client is not installed")

SCRIPT = Script(
    pieces=("Flour", " – ", "rain", " ✨"),
    reasoning="What is asked for?",
    tool_calls=(("weigh", '{"sacks": 3}'), ("open_gate", "")),
    usage=Tokens(prompt=100, completion=40),
)
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=5) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[object]:
    async with ollama.AsyncClient(sim.base_url("ollama"), trust_env=False) as opened:
        yield opened


async def test_it_reads_a_stream_with_thinking_and_tools(sim: Simulator, client: ollama.AsyncClient) -> None:
    sim.play("ollama", SCRIPT)
    parts = [part async for part in await client.chat(model="m", messages=HELLO, stream=True, think=True)]
    assert "".join(part.message.content or "" for part in parts) == sim.exchanges[0].text_sent == "Flour – rain ✨"
    assert "".join(part.message.thinking or "" for part in parts) == "What is asked for?"
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    assert [(call.name, call.arguments) for call in calls] == [("weigh", {"sacks": 3}), ("open_gate", {})]
    *before, last = parts
    assert not any(part.done for part in before)
    assert (last.done, last.done_reason, last.prompt_eval_count, last.eval_count) == (True, "stop", 100, 40)
    assert last.total_duration >= last.eval_duration > 0


async def test_it_reads_a_plain_answer(sim: Simulator, client: ollama.AsyncClient) -> None:
    sim.play("ollama", SCRIPT)
    answer = await client.chat(model="m", messages=HELLO)
    assert (answer.message.content, answer.message.thinking) == ("Flour – rain ✨", "What is asked for?")
    assert answer.message.tool_calls[0].function.arguments == {"sacks": 3}
    assert (answer.model, answer.done_reason, answer.eval_count) == ("m", "stop", 40)


async def test_an_image_and_a_schema_are_taken(sim: Simulator, client: ollama.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"years": {"type": "integer"}}, "required": ["years"]}
    turn = {"role": "user", "content": "How old?", "images": [b"\x89PNG"]}
    answer = await client.chat(model="m", messages=[turn], format=schema)
    assert answer.message.content.startswith('{"years":')
    assert sim.exchanges[0].body["messages"][0]["images"] == ["iVBORw=="]


async def test_it_lists_shows_and_tells_what_runs(client: ollama.AsyncClient) -> None:
    newest, other = (await client.list()).models
    assert (newest.model, newest.details.family, newest.size) == ("nomic-embed-text:latest", "nomic-bert", 274302450)
    assert (other.model, other.details.parameter_size) == ("llama3.2:latest", "3.2B")
    assert newest.modified_at > other.modified_at
    shown = await client.show("llama3.2")
    assert (shown.modelinfo["llama.context_length"], shown.capabilities) == (131072, ["completion", "tools"])
    (loaded,) = (await client.ps()).models
    assert (loaded.model, loaded.context_length) == ("llama3.2:latest", 4096)


async def test_it_embeds(client: ollama.AsyncClient) -> None:
    answer = await client.embed(model="nomic-embed-text", input=["one", "two", "one"], dimensions=8)
    first, second, again = answer.embeddings
    assert first == again != second
    assert (len(first), answer.model) == (8, "nomic-embed-text")
    assert len((await client.embed(model="m", input="one")).embeddings) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_it_raises_its_own_error(sim: Simulator, client: ollama.AsyncClient, status: int, stream: bool) -> None:
    sim.play("ollama", Script(fault=faults.Refuse(status=status)))
    with pytest.raises(ollama.ResponseError) as raised:
        answer = await client.chat(model="m", messages=HELLO, stream=stream)
        async for _ in answer:
            pass
    assert raised.value.status_code == status
    assert (status == 404) is ("try pulling it first" in raised.value.error)


async def test_it_raises_the_error_in_mid_stream(sim: Simulator, client: ollama.AsyncClient) -> None:
    sim.play("ollama", Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1, kind="api")))
    text = ""
    with pytest.raises(ollama.ResponseError, match="while running the model"):
        async for part in await client.chat(model="m", messages=HELLO, stream=True):
            text += part.message.content or ""
    assert text == sim.exchanges[0].text_before_fault == "One"
