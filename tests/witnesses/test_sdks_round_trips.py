"""Anthropic's and Google's SDKs: what they read they may send back, and their other calls are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from headrace.simulator import Citation, Script, Simulator

THINKING = Script(reasoning="How heavy?", tool_calls=(("weigh", '{"sacks": 3}'),))
PAGE = Citation(url="https://mill.example", title="The mill", text="1850")


# ---------------------------------------------------------------- Anthropic


@pytest.fixture
async def claude(sim: Simulator) -> AsyncIterator[object]:
    anthropic = pytest.importorskip("anthropic", reason="Anthropic's SDK is not installed")
    async with anthropic.AsyncAnthropic(api_key="any", base_url=sim.base_url("anthropic"), max_retries=0) as client:
        yield client


ASK = {"model": "m", "max_tokens": 2000, "thinking": {"type": "adaptive"}}
QUESTION = {"role": "user", "content": "Weigh them."}


async def test_anthropic_takes_back_what_its_sdk_has_streamed(sim: Simulator, claude: object) -> None:
    anthropic = pytest.importorskip("anthropic")
    sim.play("anthropic", THINKING, Script(text="Three kilos."))
    async with claude.messages.stream(**ASK, messages=[QUESTION]) as stream:
        first = await stream.get_final_message()
    thought, call = first.content
    assert (thought.thinking, call.input) == ("How heavy?", {"sacks": 3})
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "3 kg"}]}
    second = await claude.messages.create(
        **ASK, messages=[QUESTION, {"role": "assistant", "content": first.content}, result]
    )
    assert second.content[0].text == "Three kilos."
    changed = [thought.model_copy(update={"thinking": "How light?"}), call]
    with pytest.raises(anthropic.BadRequestError, match="cannot be modified"):
        await claude.messages.create(**ASK, messages=[QUESTION, {"role": "assistant", "content": changed}, result])
    with pytest.raises(anthropic.BadRequestError, match="Expected `thinking`"):
        await claude.messages.create(**ASK, messages=[QUESTION, {"role": "assistant", "content": [call]}, result])
    with pytest.raises(anthropic.BadRequestError, match="unexpected `tool_use_id`"):
        await claude.messages.create(**ASK, messages=[result])


@pytest.mark.parametrize("script", [Script(text="Yes.", reasoning="Hm.", redacted=True), Script(text="Yes.")])
async def test_anthropic_s_sdk_reads_redacted_thinking_and_takes_it_back(
    sim: Simulator, claude: object, script: Script
) -> None:
    sim.play("anthropic", script, Script(text="Again."))
    async with claude.messages.stream(**ASK, messages=[QUESTION]) as stream:
        first = await stream.get_final_message()
    assert [block.type for block in first.content] == (["redacted_thinking", "text"] if script.redacted else ["text"])
    turns = [QUESTION, {"role": "assistant", "content": first.content}, QUESTION]
    assert (await claude.messages.create(**ASK, messages=turns)).content[0].text == "Again."


async def test_anthropic_s_sdk_reads_citations_and_takes_them_back(sim: Simulator, claude: object) -> None:
    sim.play("anthropic", Script(text="Built 1850.", citations=(PAGE,)), Script(text="Again."))
    async with claude.messages.stream(**ASK, messages=[QUESTION]) as stream:
        first = await stream.get_final_message()
    call, found, text = first.content
    assert (call.type, call.input) == ("server_tool_use", {"query": "what the question is about"})
    assert (found.content[0].url, found.content[0].title) == ("https://mill.example", "The mill")
    assert (text.text, text.citations[0].cited_text) == ("Built 1850.", "1850")
    turns = [QUESTION, {"role": "assistant", "content": first.content}, QUESTION]
    assert (await claude.messages.create(**ASK, messages=turns)).content[0].text == "Again."


async def test_anthropic_s_sdk_counts_and_turns_the_pages_of_the_models(sim: Simulator, claude: object) -> None:
    anthropic = pytest.importorskip("anthropic")
    counted = await claude.messages.count_tokens(model="m", messages=[{"role": "user", "content": "12345678"}])
    names = [model.id async for model in claude.models.list(limit=4)]
    one = await claude.models.retrieve("claude-opus-5-5")
    with pytest.raises(anthropic.NotFoundError):
        await claude.models.retrieve("no-such-model")
    assert counted.input_tokens == 2
    assert (len(names), len(set(names))) == (6, 6)
    assert [exchange.path for exchange in sim.exchanges].count("/anthropic/v1/models") == 2
    assert (one.id, one.max_tokens) == ("claude-opus-5-5", 128_000)


# ---------------------------------------------------------------- Gemini


@pytest.fixture
async def gemini(sim: Simulator) -> AsyncIterator[object]:
    genai = pytest.importorskip("google.genai", reason="Google's SDK is not installed")
    client = genai.Client(api_key="any", http_options=genai.types.HttpOptions(base_url=sim.base_url("gemini")))
    yield client.aio
    await client.aio.aclose()


MODEL = "gemini-3.8-flash"


async def test_gemini_takes_back_what_its_sdk_has_read(sim: Simulator, gemini: object) -> None:
    genai = pytest.importorskip("google.genai")
    types = genai.types
    sim.play("gemini", THINKING, Script(text="Three kilos."))
    question = types.Content(role="user", parts=[types.Part(text="Weigh them.")])
    first = await gemini.models.generate_content(model=MODEL, contents=[question])
    content = first.candidates[0].content
    call = content.parts[1]
    assert (call.function_call.name, call.function_call.args) == ("weigh", {"sacks": 3})
    assert call.thought_signature
    response = types.FunctionResponse(id=call.function_call.id, name="weigh", response={"kg": 3})
    result = types.Content(role="user", parts=[types.Part(function_response=response)])
    second = await gemini.models.generate_content(model=MODEL, contents=[question, content, result])
    assert second.text == "Three kilos."
    bare = types.Content(role="model", parts=[types.Part(function_call=call.function_call)])
    with pytest.raises(genai.errors.ClientError, match="missing a thought_signature"):
        await gemini.models.generate_content(model=MODEL, contents=[question, bare, result])
    forged = call.model_copy(update={"thought_signature": b"forged"})
    with pytest.raises(genai.errors.ClientError, match="Corrupted thought signature"):
        contents = [question, types.Content(role="model", parts=[forged]), result]
        await gemini.models.generate_content(model=MODEL, contents=contents)


async def test_gemini_s_sdk_reads_a_search_and_an_image(sim: Simulator, gemini: object) -> None:
    sim.play("gemini", Script(text="Built 1850.", citations=(PAGE,), image=b"\x89PNG"))
    last, images = None, []
    async for last in await gemini.models.generate_content_stream(model=MODEL, contents="When?"):
        images += [part.inline_data.data for part in last.candidates[0].content.parts if part.inline_data]
    metadata = last.candidates[0].grounding_metadata
    assert (metadata.grounding_chunks[0].web.uri, metadata.grounding_supports[0].segment.text) == (
        "https://mill.example",
        "Built 1850.",
    )
    assert images == [b"\x89PNG"]


async def test_gemini_s_sdk_parses_the_words_by_its_schema(sim: Simulator, gemini: object) -> None:
    pydantic = pytest.importorskip("pydantic", reason="it comes with Google's SDK")
    sacks = pydantic.create_model("Sacks", count=(int, ...), names=(list[str], ...))
    config = {"response_mime_type": "application/json", "response_schema": sacks}
    answer = await gemini.models.generate_content(model=MODEL, contents="How many?", config=config)
    assert isinstance(answer.parsed, sacks)


async def test_gemini_s_sdk_embeds_counts_and_turns_the_pages_of_the_models(sim: Simulator, gemini: object) -> None:
    genai = pytest.importorskip("google.genai")
    embedded = await gemini.models.embed_content(
        model="gemini-embedding-001", contents=["mill", "weir", "mill"], config={"output_dimensionality": 8}
    )
    counted = await gemini.models.count_tokens(model=MODEL, contents="12345678")
    pager = await gemini.models.list(config={"page_size": 2, "query_base": True})
    names = [model.name async for model in pager]
    one = await gemini.models.get(model="gemini-2.5-pro")
    with pytest.raises(genai.errors.ClientError, match="is not found"):
        await gemini.models.generate_content(model="no-such-model", contents="Hi")
    with pytest.raises(genai.errors.ClientError, match="at most 100 requests"):
        await gemini.models.embed_content(model="gemini-embedding-001", contents=["x"] * 101)
    first, second, third = (one.values for one in embedded.embeddings)
    assert (first == third != second, len(first)) == (True, 8)
    assert counted.total_tokens == 2
    assert (len(names), len(set(names))) == (5, 5)
    assert sum(exchange.path.endswith("/models") for exchange in sim.exchanges) == 3
    assert (one.name, one.input_token_limit) == ("models/gemini-2.5-pro", 1_048_576)
