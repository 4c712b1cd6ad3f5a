"""Embeddings, counts and lists of models, as each vendor answers them."""

from __future__ import annotations

import base64
import json
import math
import struct

import pytest

from headrace.simulator import Limits, Script, Simulator, faults

from .raw import get, post


def length(numbers: list[float]) -> float:
    return math.sqrt(sum(number * number for number in numbers))


# ---------------------------------------------------------------- embeddings


@pytest.mark.parametrize("vendor", ["openai", "grok"])
async def test_equal_texts_have_equal_vectors_of_unit_length(vendor: str) -> None:
    async with Simulator(seed=1) as sim, Simulator(seed=1) as twin:
        body = json.loads((await post(sim, vendor, "/embeddings", model="e", input=["mill", "weir", "mill"])).body)
        again = json.loads((await post(twin, vendor, "/embeddings", model="e", input="mill")).body)
    first, second, third = (one["embedding"] for one in body["data"])
    assert [(one["index"], one["object"]) for one in body["data"]] == [(n, "embedding") for n in range(3)]
    assert first == third == again["data"][0]["embedding"]
    assert first != second
    assert (len(first), length(first)) == (1536, pytest.approx(1.0, abs=1e-6))
    assert (body["object"], body["model"]) == ("list", "e")
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_base64_carries_the_same_numbers_and_a_shorter_vector_its_own_length() -> None:
    async with Simulator() as sim:
        asked = {"model": "text-embedding-3-large", "input": "mill", "dimensions": 8}
        plain = json.loads((await post(sim, "openai", "/embeddings", **asked)).body)
        packed = json.loads((await post(sim, "openai", "/embeddings", **asked, encoding_format="base64")).body)
        whole = json.loads((await post(sim, "openai", "/embeddings", model=asked["model"], input="mill")).body)
    numbers = plain["data"][0]["embedding"]
    assert list(struct.unpack("<8f", base64.b64decode(packed["data"][0]["embedding"]))) == numbers
    assert length(numbers) == pytest.approx(1.0, abs=1e-6)
    long = whole["data"][0]["embedding"]
    assert len(long) == 3072
    assert [one / long[0] for one in long[:8]] == pytest.approx([one / numbers[0] for one in numbers], rel=1e-4)


@pytest.mark.parametrize("given", [[5, 6], [[5, 6], [7]]], ids=["tokens", "lists of tokens"])
async def test_tokens_are_embedded_as_well(given: list) -> None:
    async with Simulator() as sim:
        body = json.loads((await post(sim, "openai", "/embeddings", model="e", input=given)).body)
    assert len(body["data"]) == (1 if given[0] == 5 else 2)


REFUSED = {
    "no model": ({"input": "x"}, "you must provide a model parameter"),
    "unknown model": (
        {"input": "x", "model": "no-such-model"},
        "The model `no-such-model` does not exist or you do not have access to it.",
    ),
    "empty": (
        {"input": "", "model": "e"},
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
    ),
    "mixed": (
        {"input": ["x", 3], "model": "e"},
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
    ),
    "too many": (
        {"input": ["x"] * 2049, "model": "e"},
        "Invalid 'input': array too long. Expected an array with maximum length 2048, but got an array with length "
        "2049 instead.",
    ),
    "too long": (
        {"input": "x", "model": "e", "dimensions": 1537},
        "Invalid value for 'dimensions' = 1537. Must be between 1 and 1536.",
    ),
}


@pytest.mark.parametrize(("fields", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_openai_does_not_embed(fields: dict, told: str) -> None:
    async with Simulator() as sim:
        answer = await post(sim, "openai", "/embeddings", **fields)
    assert json.loads(answer.body)["error"]["message"] == told
    assert answer.status == (404 if "no-such-model" in told else 400)


async def test_2048_inputs_are_not_too_many() -> None:
    async with Simulator() as sim:
        answer = await post(sim, "openai", "/embeddings", model="e", input=["x"] * 2048, dimensions=2)
    assert len(json.loads(answer.body)["data"]) == 2048


def content(text: str) -> dict:
    return {"parts": [{"text": text}]}


async def test_gemini_embeds_one_and_many() -> None:
    path = "/v1beta/models/gemini-embedding-001"
    async with Simulator() as sim:
        one = json.loads((await post(sim, "gemini", f"{path}:embedContent", content=content("mill"))).body)
        asked = [
            {"model": "models/gemini-embedding-001", "content": content(text), "outputDimensionality": size}
            for text, size in (("weir", 768), ("mill", 3072))
        ]
        many = json.loads((await post(sim, "gemini", f"{path}:batchEmbedContents", requests=asked)).body)
    short, long = (one["values"] for one in many["embeddings"])
    assert one["embedding"]["values"] == long
    assert (len(short), len(long)) == (768, 3072)
    assert length(short) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        (101, "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n"),
        (100, None),
    ],
)
async def test_gemini_takes_100_requests_in_one_batch(requests: int, told: str | None) -> None:
    asked = [{"model": "models/e", "content": content("x"), "outputDimensionality": 2}] * requests
    async with Simulator() as sim:
        answer = await post(sim, "gemini", "/v1/models/e:batchEmbedContents", requests=asked)
    body = json.loads(answer.body)
    assert body.get("error", {}).get("message") == told
    assert len(body.get("embeddings", ())) == (0 if told else 100)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        ({"content": content("x")}, "* BatchEmbedContentsRequest.requests[0].model: unexpected model name format\n"),
        ({"model": "models/e"}, "* BatchEmbedContentsRequest.requests[0].content: contents is not specified\n"),
        (
            {"model": "models/e", "content": content("x"), "outputDimensionality": 0},
            "* BatchEmbedContentsRequest.requests[0].output_dimensionality: must be between 1 and 3072\n",
        ),
    ],
    ids=["model", "content", "size"],
)
async def test_gemini_says_which_of_a_batch_is_wrong(one: dict, told: str) -> None:
    async with Simulator() as sim:
        answer = await post(sim, "gemini", "/v1/models/e:batchEmbedContents", requests=[one])
    assert (answer.status, json.loads(answer.body)["error"]["message"]) == (400, told)


async def test_embeddings_take_a_script_s_fault_and_count_against_the_limits() -> None:
    async with Simulator(limits={"openai": Limits(requests=2, tokens=1000)}) as sim:
        sim.play("openai", Script(fault=faults.Refuse(status=503)), Script(fault=faults.CutFin()))
        busy = await post(sim, "openai", "/embeddings", model="e", input="x")
        cut = await post(sim, "openai", "/embeddings", model="e", input="x")
        spent = await post(sim, "openai", "/embeddings", model="e", input="x")
        free = await get(sim, "openai", "/models")
        assert [exchange.text_sent for exchange in sim.exchanges] == [""] * 4
    assert (busy.status, cut.end, spent.status, free.status) == (503, "fin", 429, 200)


# ---------------------------------------------------------------- counts


COUNTS = {
    "anthropic": (
        "/v1/messages/count_tokens",
        {"model": "m", "messages": [{"role": "user", "content": "12345678"}]},
        {"input_tokens": 2},
    ),
    "openai": (
        "/responses/input_tokens",
        {"model": "m", "input": "12345678"},
        {"object": "response.input_tokens", "input_tokens": 2},
    ),
    "gemini": (
        "/v1beta/models/m:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "12345678"}]}]},
        {"totalTokens": 2, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]},
    ),
}


@pytest.mark.parametrize("vendor", COUNTS)
async def test_a_prompt_is_counted_without_a_script(vendor: str) -> None:
    path, fields, expected = COUNTS[vendor]
    async with Simulator() as sim:
        sim.play(vendor, Script(text="for the next conversation"))
        answer = await post(sim, vendor, path, **fields)
        assert sim.exchanges[0].script is None
    assert json.loads(answer.body) == expected


async def test_anthropic_counts_nothing_that_it_would_not_answer() -> None:
    async with Simulator() as sim:
        answer = await post(sim, "anthropic", "/v1/messages/count_tokens", model="m", messages=[])
    assert json.loads(answer.body)["error"]["message"] == "messages: at least one message is required"


async def test_grok_tells_the_tokens_themselves() -> None:
    async with Simulator() as sim:
        body = json.loads((await post(sim, "grok", "/tokenize-text", model="m", text="mill 水 mill")).body)
        nothing = await post(sim, "grok", "/tokenize-text", model="m")
    first, second, third = body["token_ids"]
    assert [token["string_token"] for token in (first, second, third)] == ["mill", " 水", " mill"]
    assert second["token_bytes"] == [32, 230, 176, 180]
    assert first["token_id"] != third["token_id"]
    assert nothing.status == 422


# ---------------------------------------------------------------- models


async def test_anthropic_lists_models_page_by_page_in_both_directions() -> None:
    async with Simulator() as sim:
        first = json.loads((await get(sim, "anthropic", "/v1/models?limit=4")).body)
        second = json.loads((await get(sim, "anthropic", f"/v1/models?limit=4&after_id={first['last_id']}")).body)
        back = json.loads((await get(sim, "anthropic", f"/v1/models?limit=1&before_id={second['first_id']}")).body)
        wrong = await get(sim, "anthropic", "/v1/models?limit=0")
    assert ([len(page["data"]) for page in (first, second)], first["has_more"], second["has_more"]) == (
        [4, 2],
        True,
        False,
    )
    assert (first["first_id"], first["last_id"]) == ("claude-haiku-5-5", "claude-opus-4-6")
    assert (back["data"][0]["id"], back["has_more"]) == ("claude-opus-4-6", True)
    assert json.loads(wrong.body)["error"]["message"] == "limit: Input should be between 1 and 1000"


async def test_gemini_lists_models_page_by_page() -> None:
    async with Simulator() as sim:
        first = json.loads((await get(sim, "gemini", "/v1beta/models?pageSize=3")).body)
        token = first["nextPageToken"]
        second = json.loads((await get(sim, "gemini", f"/v1beta/models?pageSize=3&pageToken={token}")).body)
        wrong = await get(sim, "gemini", "/v1beta/models?pageToken=nonsense")
    assert [len(page["models"]) for page in (first, second)] == [3, 2]
    assert "nextPageToken" not in second
    assert second["models"][-1]["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents", "countTokens"]
    assert json.loads(wrong.body)["error"]["message"] == "* ListModelsRequest.page_token: the value is not valid\n"


ONE = {
    "anthropic": ("/v1/models/", "id", "claude-x"),
    "openai": ("/models/", "id", "gpt-x"),
    "gemini": ("/v1beta/models/", "name", "models/gemini-x"),
    "grok": ("/models/", "id", "grok-x"),
}


@pytest.mark.parametrize("vendor", ONE)
async def test_every_model_exists_but_one(vendor: str) -> None:
    path, key, name = ONE[vendor]
    async with Simulator() as sim:
        found = await get(sim, vendor, path + name.removeprefix("models/"))
        missing = await get(sim, vendor, path + "no-such-model")
    assert (found.status, json.loads(found.body)[key]) == (200, name)
    assert missing.status == 404
    assert "no-such-model" in missing.body.decode()


CHATS = {
    "anthropic": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}, 404),
    "openai": ("/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, 404),
    "gemini": ("/v1/models/no-such-model:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}, 404),
    "grok": ("/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, 404),
}
UNKNOWN = {
    "anthropic": "model: no-such-model",
    "openai": "The model `no-such-model` does not exist or you do not have access to it.",
    "gemini": "models/no-such-model is not found for API version v1, or is not supported for this method. Call "
    "ListModels to see the list of available models and their methods.",
    "grok": "The model no-such-model does not exist or your team does not have access to it.",
}


@pytest.mark.parametrize("vendor", CHATS)
async def test_a_model_that_does_not_exist_is_refused_in_the_vendor_s_words(vendor: str) -> None:
    path, fields, status = CHATS[vendor]
    async with Simulator() as sim:
        answer = await post(sim, vendor, path, model="no-such-model", **fields)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error if isinstance(error, str) else error["message"]) == (status, UNKNOWN[vendor])
