"""
The vendors' own SDKs read the simulator: what they understand is what the vendors send.

On asyncio alone, where they run. xAI's SDK speaks gRPC; OpenAI's stands in for it, as xAI's own documents suggest.
"""

from __future__ import annotations

import json

import pytest

from headrace.simulator import Script, Simulator, Tokens, faults

SCRIPT = Script(
    pieces=("Flour", " – ", "rain", " ✨"),
    reasoning="What is asked for?",
    tool_calls=(("weigh", '{"sacks": 3}'),),
    usage=Tokens(prompt=100, completion=40, cached=30, reasoning=15),
)
HELLO = [{"role": "user", "content": "Hello"}]


# ---------------------------------------------------------------- OpenAI, and xAI through it


@pytest.mark.parametrize(("vendor", "billed"), [("openai", 40), ("grok", 25)])
async def test_openai_reads_a_stream(sim: Simulator, vendor: str, billed: int) -> None:
    openai = pytest.importorskip("openai", reason="OpenAI's SDK is not installed")
    sim.play(vendor, SCRIPT)
    text, reasoning, arguments, names, finishes, usages = "", "", "", [], [], []
    async with openai.AsyncOpenAI(api_key="any", base_url=sim.base_url(vendor), max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            if chunk.usage:
                usages.append(chunk.usage)
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                for call in choice.delta.tool_calls or ():
                    names += [call.function.name] if call.function.name else []
                    arguments += call.function.arguments
                finishes += [choice.finish_reason] if choice.finish_reason else []
    assert text == sim.exchanges[0].text_sent == "Flour – rain ✨"
    assert reasoning == ("What is asked for?" if vendor == "grok" else "")
    assert (names, arguments, finishes) == (["weigh"], '{"sacks": 3}', ["tool_calls"])
    (usage,) = usages
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, billed, 140)
    assert usage.prompt_tokens_details.cached_tokens == 30
    assert usage.completion_tokens_details.reasoning_tokens == 15


@pytest.mark.parametrize("vendor", ["openai", "grok"])
async def test_openai_reads_a_plain_answer_and_the_models(sim: Simulator, vendor: str) -> None:
    openai = pytest.importorskip("openai", reason="OpenAI's SDK is not installed")
    sim.play(vendor, SCRIPT)
    async with openai.AsyncOpenAI(api_key="any", base_url=sim.base_url(vendor), max_retries=0) as client:
        answer = await client.chat.completions.create(model="m", messages=HELLO)
        models = [model.id async for model in client.models.list()]
    assert answer.choices[0].message.content == "Flour – rain ✨"
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"sacks": 3}
    assert len(models) >= 2


@pytest.mark.parametrize("vendor", ["openai", "grok"])
@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
    ],
)
async def test_openai_raises_its_own_classes(sim: Simulator, vendor: str, status: int, name: str) -> None:
    openai = pytest.importorskip("openai", reason="OpenAI's SDK is not installed")
    sim.play(vendor, Script(fault=faults.Refuse(status=status)))
    async with openai.AsyncOpenAI(api_key="any", base_url=sim.base_url(vendor), max_retries=0) as client:
        with pytest.raises(getattr(openai, name)) as raised:
            await client.chat.completions.create(model="m", messages=HELLO, stream=True)
    assert raised.value.status_code == status
    if vendor == "openai" and status == 429:
        assert raised.value.code == "rate_limit_exceeded"


async def test_openai_raises_the_error_in_mid_stream(sim: Simulator) -> None:
    openai = pytest.importorskip("openai", reason="OpenAI's SDK is not installed")
    sim.play("openai", Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1)))
    text = ""
    async with openai.AsyncOpenAI(api_key="any", base_url=sim.base_url("openai"), max_retries=0) as client:
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="currently overloaded"):
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
    assert text == sim.exchanges[0].text_before_fault == "One"


# ---------------------------------------------------------------- Anthropic


async def test_anthropic_reads_a_stream(sim: Simulator) -> None:
    anthropic = pytest.importorskip("anthropic", reason="Anthropic's SDK is not installed")
    sim.play("anthropic", SCRIPT)
    async with anthropic.AsyncAnthropic(api_key="any", base_url=sim.base_url("anthropic"), max_retries=0) as client:
        async with client.messages.stream(model="m", max_tokens=100, messages=HELLO) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()
    assert text == sim.exchanges[0].text_sent == "Flour – rain ✨"
    thinking, words, call = message.content
    assert (thinking.type, thinking.thinking) == ("thinking", "What is asked for?")
    assert thinking.signature
    assert words.text == "Flour – rain ✨"
    assert (call.type, call.name, call.input) == ("tool_use", "weigh", {"sacks": 3})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (70, 30, 40)


async def test_anthropic_reads_a_plain_answer_and_the_models(sim: Simulator) -> None:
    anthropic = pytest.importorskip("anthropic", reason="Anthropic's SDK is not installed")
    sim.play("anthropic", Script(text="Hello you"))
    async with anthropic.AsyncAnthropic(api_key="any", base_url=sim.base_url("anthropic"), max_retries=0) as client:
        message = await client.messages.create(model="m", max_tokens=100, messages=HELLO)
        models = [model.id async for model in client.models.list()]
    assert (message.content[0].text, message.stop_reason) == ("Hello you", "end_turn")
    assert len(models) >= 2


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (413, "RequestTooLargeError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (529, "OverloadedError"),
    ],
)
async def test_anthropic_raises_its_own_classes(sim: Simulator, status: int, name: str) -> None:
    anthropic = pytest.importorskip("anthropic", reason="Anthropic's SDK is not installed")
    sim.play("anthropic", Script(fault=faults.Refuse(status=status)))
    # Not every one of them is exported.
    expected = getattr(anthropic, name, None) or getattr(anthropic._exceptions, name)
    async with anthropic.AsyncAnthropic(api_key="any", base_url=sim.base_url("anthropic"), max_retries=0) as client:
        with pytest.raises(expected) as raised:
            await client.messages.create(model="m", max_tokens=100, messages=HELLO, stream=True)
    assert raised.value.status_code == status
    assert raised.value.request_id == raised.value.body["request_id"]


async def test_anthropic_raises_the_error_in_mid_stream(sim: Simulator) -> None:
    anthropic = pytest.importorskip("anthropic", reason="Anthropic's SDK is not installed")
    sim.play("anthropic", Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1)))
    async with anthropic.AsyncAnthropic(api_key="any", base_url=sim.base_url("anthropic"), max_retries=0) as client:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            async with client.messages.stream(model="m", max_tokens=100, messages=HELLO) as stream:
                async for _ in stream:
                    pass


# ---------------------------------------------------------------- Gemini


def gemini(sim: Simulator) -> object:
    genai = pytest.importorskip("google.genai", reason="Google's SDK is not installed")
    options = genai.types.HttpOptions(base_url=sim.base_url("gemini"))
    return genai.Client(api_key="any", http_options=options)


async def test_gemini_reads_a_stream(sim: Simulator) -> None:
    sim.play("gemini", SCRIPT)
    client = gemini(sim)
    text, reasoning, calls, last = "", "", [], None
    async for last in await client.aio.models.generate_content_stream(model="m", contents="Hello"):
        for part in last.candidates[0].content.parts:
            if part.function_call:
                calls.append((part.function_call.name, part.function_call.args))
            elif part.thought:
                reasoning += part.text
            else:
                text += part.text
    await client.aio.aclose()
    assert text == sim.exchanges[0].text_sent == "Flour – rain ✨"
    assert (reasoning, calls) == ("What is asked for?", [("weigh", {"sacks": 3})])
    assert last.candidates[0].finish_reason.name == "STOP"
    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (100, 30)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (25, 15, 140)


async def test_gemini_reads_a_plain_answer(sim: Simulator) -> None:
    sim.play("gemini", Script(text="Hello you", finish="length"))
    client = gemini(sim)
    answer = await client.aio.models.generate_content(model="m", contents="Hello")
    await client.aio.aclose()
    assert (answer.text, answer.candidates[0].finish_reason.name) == ("Hello you", "MAX_TOKENS")


@pytest.mark.parametrize(
    ("status", "name", "word"),
    [
        (400, "ClientError", "INVALID_ARGUMENT"),
        (401, "ClientError", "UNAUTHENTICATED"),
        (429, "ClientError", "RESOURCE_EXHAUSTED"),
        (503, "ServerError", "UNAVAILABLE"),
    ],
)
async def test_gemini_raises_its_own_classes(sim: Simulator, status: int, name: str, word: str) -> None:
    errors = pytest.importorskip("google.genai.errors", reason="Google's SDK is not installed")
    sim.play("gemini", Script(fault=faults.Refuse(status=status)))
    client = gemini(sim)
    with pytest.raises(getattr(errors, name)) as raised:
        async for _ in await client.aio.models.generate_content_stream(model="m", contents="Hello"):
            pass
    await client.aio.aclose()
    assert (raised.value.code, raised.value.status) == (status, word)


async def test_gemini_raises_the_bare_json_in_mid_stream(sim: Simulator) -> None:
    errors = pytest.importorskip("google.genai.errors", reason="Google's SDK is not installed")
    sim.play("gemini", Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1)))
    client = gemini(sim)
    text = ""
    with pytest.raises(errors.ServerError, match="overloaded"):
        async for chunk in await client.aio.models.generate_content_stream(model="m", contents="Hello"):
            text += chunk.text or ""
    await client.aio.aclose()
    assert text == sim.exchanges[0].text_before_fault == "One"
