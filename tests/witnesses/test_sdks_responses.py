"""OpenAI's SDK reads the Responses API of both vendors that have it, and sends back what it has read."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from headrace.simulator import Citation, Script, Simulator, Tokens, faults

openai = pytest.importorskip("openai", reason="OpenAI's SDK is not installed")

SCRIPT = Script(
    pieces=("Flour", " – ", "rain", " ✨"),
    reasoning="What is asked for?",
    tool_calls=(("weigh", '{"sacks": 3}'),),
    usage=Tokens(prompt=100, completion=40, cached=30, reasoning=15),
)
ASK = {
    "model": "m",
    "input": "Hello",
    "reasoning": {"summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}
BOTH = ["openai", "grok"]


@pytest.fixture(params=BOTH)
def vendor(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def client(sim: Simulator, vendor: str) -> AsyncIterator[object]:
    async with openai.AsyncOpenAI(api_key="any", base_url=sim.base_url(vendor), max_retries=0) as client:
        yield client


async def test_the_sdk_reads_a_stream_and_assembles_the_response(sim: Simulator, vendor: str, client: object) -> None:
    sim.play(vendor, SCRIPT)
    text, thoughts, arguments = "", "", ""
    async with client.responses.stream(**ASK) as stream:
        async for event in stream:
            match event.type:
                case "response.output_text.delta":
                    text += event.delta
                case "response.reasoning_summary_text.delta":
                    thoughts += event.delta
                case "response.function_call_arguments.delta":
                    arguments += event.delta
        response = await stream.get_final_response()
    assert text == response.output_text == sim.exchanges[0].text_sent == "Flour – rain ✨"
    assert thoughts == "What is asked for?"
    reasoning, _, call = response.output
    assert reasoning.summary[0].text == "What is asked for?"
    assert reasoning.encrypted_content
    assert arguments == call.arguments == '{"sacks": 3}'
    assert (response.status, call.name) == ("completed", "weigh")
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 40, 140)
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (30, 15)


async def test_the_sdk_reads_a_plain_answer(sim: Simulator, vendor: str, client: object) -> None:
    sim.play(vendor, SCRIPT)
    response = await client.responses.create(**ASK)
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.output_text == "Flour – rain ✨"


async def test_what_the_sdk_read_it_may_send_back(sim: Simulator, vendor: str, client: object) -> None:
    sim.play(vendor, SCRIPT, Script(text="Three kilos."))
    first = await client.responses.create(**ASK)
    items = [item.model_dump(exclude_none=True) for item in first.output]
    result = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "3 kg"}
    hello = {"role": "user", "content": "Hello"}
    second = await client.responses.create(**{**ASK, "input": [hello, *items, result]})
    assert second.output_text == "Three kilos."
    items[0]["encrypted_content"] = items[0]["encrypted_content"][::-1]
    with pytest.raises(openai.BadRequestError) as forged:
        await client.responses.create(**{**ASK, "input": [hello, *items, result]})
    with pytest.raises(openai.BadRequestError) as alone:
        await client.responses.create(**{**ASK, "input": [hello, result]})
    # Of xAI's shape the SDK makes no message.
    assert "could not be verified" in forged.value.response.text
    assert "No tool call found for function call output" in alone.value.response.text


@pytest.mark.parametrize("shape", ["usual", "nested"])
async def test_the_sdk_raises_the_error_in_mid_stream(sim: Simulator, vendor: str, client: object, shape: str) -> None:
    sim.play(vendor, Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1, shape=shape)))
    text, failed = "", ""
    stream = await client.responses.create(**ASK, stream=True)
    try:
        async for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type in {"error", "response.failed"}:
                failed += event.type
    except openai.APIError as exc:
        failed = str(exc)
    assert text == sim.exchanges[0].text_before_fault == "One"
    assert failed


async def test_the_sdk_sees_an_incomplete_response(sim: Simulator, vendor: str, client: object) -> None:
    sim.play(vendor, Script(text="One", finish="length"))
    response = await client.responses.create(**ASK)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


async def test_the_sdk_reads_citations_and_an_image(sim: Simulator, vendor: str, client: object) -> None:
    page = Citation(url="https://mill.example", title="The mill", text="1850")
    sim.play(vendor, Script(text="Built 1850.", citations=(page,), image=b"\x89PNG"))
    response = await client.responses.create(**ASK)
    search, image, message = response.output
    (note,) = message.content[0].annotations
    assert (search.type, search.status) == ("web_search_call", "completed")
    assert base64.b64decode(image.result) == b"\x89PNG"
    assert (note.type, note.url, note.title, note.start_index, note.end_index) == (
        "url_citation",
        "https://mill.example",
        "The mill",
        0,
        11,
    )


async def test_the_sdk_reads_a_refusal(sim: Simulator, vendor: str, client: object) -> None:
    sim.play(vendor, Script(refusal="I would rather not."))
    response = await client.responses.create(**ASK)
    assert response.output[0].content[0].refusal == "I would rather not."


async def test_the_sdk_parses_the_words_by_its_own_schema(sim: Simulator, vendor: str, client: object) -> None:
    pydantic = pytest.importorskip("pydantic", reason="it comes with OpenAI's SDK")
    sacks = pydantic.create_model("Sacks", count=(int, ...), names=(list[str], ...), open=(bool | None, ...))
    response = await client.responses.parse(**ASK, text_format=sacks)
    chat = await client.chat.completions.parse(
        model="m", messages=[{"role": "user", "content": "Hello"}], response_format=sacks
    )
    assert isinstance(response.output_parsed, sacks)
    assert isinstance(chat.choices[0].message.parsed, sacks)


async def test_the_sdk_embeds_counts_and_lists(sim: Simulator) -> None:
    async with openai.AsyncOpenAI(api_key="any", base_url=sim.base_url("openai"), max_retries=0) as client:
        made = await client.embeddings.create(model="text-embedding-3-small", input=["mill", "weir", "mill"])
        plain = await client.embeddings.create(
            model="text-embedding-3-small", input="mill", dimensions=4, encoding_format="float"
        )
        counted = await client.responses.input_tokens.count(model="m", input="12345678")
        models = [model.id async for model in client.models.list()]
        one = await client.models.retrieve(models[0])
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("no-such-model")
        with pytest.raises(openai.BadRequestError, match="array too long"):
            await client.embeddings.create(model="m", input=["x"] * 2049)
    assert sim.exchanges[0].body["encoding_format"] == "base64"  # what the SDK asks for by itself
    assert made.data[0].embedding == made.data[2].embedding != made.data[1].embedding
    assert (len(made.data[0].embedding), len(plain.data[0].embedding)) == (1536, 4)
    assert made.usage.total_tokens == 3
    assert counted.input_tokens == 2
    assert one.id == models[0]
    assert json.dumps(models)
