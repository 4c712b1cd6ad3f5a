"""Ollama's answers, as bytes and read with `json` alone: lines, not events; no key, no limits."""

from __future__ import annotations

import json

import pytest

from headrace.simulator import Framing, Script, Simulator, Tokens

from .raw import Answer, connect, fetch


def lines(answer: Answer) -> list[dict[str, object]]:
    return [json.loads(line) for line in answer.body.decode().splitlines()]


async def test_a_stream_is_a_line_for_each_piece_and_the_counts_in_the_last() -> None:
    async with Simulator() as sim:
        script = Script(
            pieces=("Flour", " – 水"),
            reasoning="Hm.",
            tool_calls=(("weigh", '{"sacks": 3}'), ("open_gate", "")),
            usage=Tokens(prompt=100, completion=40),
        )
        sim.play("ollama", script)
        answer = await fetch(sim, "ollama")
        assert (sim.exchanges[0].text_sent, sim.exchanges[0].reasoning_sent) == ("Flour – 水", "Hm.")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    thought, first, second, call, other, last = lines(answer)
    assert first["message"] == {"role": "assistant", "content": "Flour"}
    assert (first["model"], first["done"], second["message"]["content"]) == ("m", False, " – 水")
    assert thought["message"] == {"role": "assistant", "content": "", "thinking": "Hm."}
    (told,) = call["message"]["tool_calls"]
    assert told["function"] == {"index": 0, "name": "weigh", "arguments": {"sacks": 3}}
    assert other["message"]["tool_calls"][0]["function"] == {"index": 1, "name": "open_gate", "arguments": {}}
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")
    assert (last["prompt_eval_count"], last["eval_count"]) == (100, 40)
    assert last["total_duration"] > last["eval_duration"] > 0


async def test_a_stream_is_what_it_sends_unless_it_is_told_not_to() -> None:
    async with Simulator() as sim:
        body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
        answer = await fetch(sim, "ollama", body=body)
    assert answer.headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("framing", "start", "end"),
    [
        (Framing(), b'{"model":', b"}\n"),
        (Framing(line_end="crlf"), b'{"model":', b"}\r\n"),
        (Framing(bom=True), b'\xef\xbb\xbf{"model":', b"}\n"),
        (Framing(blank_lines=2), b'\n\n{"model":', b"}\n"),
        (Framing(comments=True), b'\n{"model":', b"}\n"),
        (Framing(no_final_blank=True), b'{"model":', b"}"),
        (Framing(ids=True, retry=True, no_space=True, split_data=True), b'{"model":', b"}\n"),
    ],
    ids=["plain", "crlf", "bom", "blank-lines", "comments", "no-final-blank", "fields"],
)
async def test_lines_are_written_as_the_framing_says(framing: Framing, start: bytes, end: bytes) -> None:
    async with Simulator() as sim:
        sim.play("ollama", Script(pieces=("One", " two"), framing=framing))
        answer = await fetch(sim, "ollama")
        assert sim.exchanges[0].text_sent == "One two"
    assert answer.body.startswith(start)
    assert answer.body.endswith(end)
    assert len([line for line in answer.body.split(b"\n") if line.strip()]) == 3


async def test_an_unknown_line_stands_between_the_others() -> None:
    async with Simulator() as sim:
        sim.play("ollama", Script(pieces=("One", " two", " three"), framing=Framing(unknown_events=True)))
        assert {"status": "warming up", "completed": 1, "total": 2} in lines(await fetch(sim, "ollama"))


async def test_an_error_is_a_line_of_its_own() -> None:
    async with Simulator() as sim:
        usual = await fetch(sim, "ollama", fault="error-event; after_events=1; kind=api")
        nested = await fetch(sim, "ollama", fault="error-event; kind=overloaded; shape=nested")
    assert lines(usual)[-1] == {"error": "an error was encountered while running the model"}
    assert lines(nested)[-1] == {
        "error": {"message": "server busy, please try again.  maximum pending requests exceeded"}
    }


async def test_a_ping_and_a_comment_are_empty_lines() -> None:
    async with Simulator() as sim:
        for fault in ("pings; interval=0.01", "pings; interval=0.01; comments=1"):
            client = await connect(sim)
            async with client.socket:
                await client.ask(sim, "ollama", headers={"x-headrace-fault": f"{fault}; after_events=1"})
                await client.head()
                assert (await client.chunk()).startswith(b'{"model":')
                assert [await client.chunk(), await client.chunk()] == [b"\n", b"\n"]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b'{"messages":[]}', "model is required"),
        (b'{"model":"m","messages":{}}', "cannot unmarshal"),
        (b'{"model":"m","messages":[{"role":"user","images":["https://x.example/a.png"]}]}', "illegal base64"),
        (b'{"model":"m","messages":[],"format":"xml"}', "invalid format"),
        (b'{"model":"m","messages":[],"format":["json"]}', "invalid format"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_in_one_sentence(body: bytes, complaint: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "ollama", body=body)
    assert answer.status == 400
    assert complaint in json.loads(answer.body)["error"]


async def test_a_model_that_is_not_there_is_to_be_pulled() -> None:
    async with Simulator() as sim:
        for path in ("/api/chat", "/api/show", "/api/embed"):
            answer = await fetch(sim, "ollama", path=path, body=b'{"model":"no-such-model","messages":[]}')
            assert answer.status == 404
            assert json.loads(answer.body) == {"error": 'model "no-such-model" not found, try pulling it first'}
        assert (await fetch(sim, "ollama", path="/api/show", body=b'{"model":"llama9"}')).status == 404


@pytest.mark.parametrize(("path", "key"), [("tags", "models"), ("ps", "models"), ("version", "version")])
async def test_what_the_server_tells_of_itself(path: str, key: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "ollama", method="GET", path=f"/api/{path}", body=b"")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body)[key]


async def test_vectors_of_one_text_or_of_many() -> None:
    async with Simulator() as sim:
        one = await fetch(sim, "ollama", path="/api/embed", body=b'{"model":"m","input":"a"}')
        two = await fetch(sim, "ollama", path="/api/embed", body=b'{"model":"m","input":["a","b"],"dimensions":3}')
        bad = await fetch(sim, "ollama", path="/api/embed", body=b'{"model":"m","input":[1]}')
    assert [len(vector) for vector in json.loads(one.body)["embeddings"]] == [64]
    assert [len(vector) for vector in json.loads(two.body)["embeddings"]] == [3, 3]
    assert (bad.status, json.loads(bad.body)) == (400, {"error": "invalid input type"})


async def test_a_schema_is_kept() -> None:
    async with Simulator() as sim:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], "format": schema}).encode()
        answer = await fetch(sim, "ollama", body=body)
    words = "".join(line["message"]["content"] for line in lines(answer))
    assert isinstance(json.loads(words)["n"], int)
