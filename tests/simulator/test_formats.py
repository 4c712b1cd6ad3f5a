"""The good answers and the refusals of each vendor, read with `json` alone."""

from __future__ import annotations

import json

import pytest

from headrace.simulator import Script, Simulator, Tokens

from .raw import VENDORS, Answer, fetch

FULL = Script(
    pieces=("Flour", " – ", "and rain"),
    reasoning="What is asked for?",
    tool_calls=(("weigh", '{"sacks": 3}'),),
    usage=Tokens(prompt=100, completion=40, cached=30, reasoning=15),
)


def payloads(answer: Answer) -> list[dict[str, object]]:
    lines = [line for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def test_openai() -> None:
    async with Simulator() as sim:
        sim.play("openai", FULL)
        body = b'{"model":"gpt","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user"}]}'
        answer = await fetch(sim, "openai", body=body)
    chunks = payloads(answer)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert deltas[:4] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Flour"},
        {"content": " – "},
        {"content": "and rain"},
    ]
    (first,) = deltas[4]["tool_calls"]
    assert (first["index"], first["type"], first["function"]) == (0, "function", {"name": "weigh", "arguments": ""})
    arguments = [delta["tool_calls"][0] for delta in deltas[5:-1]]
    assert "".join(call["function"]["arguments"] for call in arguments) == '{"sacks": 3}'
    assert all(set(call) == {"index", "function"} for call in arguments)
    assert deltas[-1] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + [
        "tool_calls"
    ]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 100
    assert chunks[-1]["usage"]["completion_tokens"] == 40
    assert chunks[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 30
    assert chunks[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 15
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["obfuscation"] for chunk in chunks)
    assert answer.body.endswith(b"\n\ndata: [DONE]\n\n")


async def test_openai_sends_usage_and_padding_as_asked() -> None:
    async with Simulator() as sim:
        body = (
            b'{"model":"gpt","stream":true,"stream_options":{"include_obfuscation":false},"messages":[{"role":"user"}]}'
        )
        chunks = payloads(await fetch(sim, "openai", body=body))
    assert all("usage" not in chunk and "obfuscation" not in chunk for chunk in chunks)


async def test_anthropic() -> None:
    async with Simulator() as sim:
        sim.play("anthropic", FULL)
        answer = await fetch(sim, "anthropic")
        assert (sim.exchanges[0].text_sent, sim.exchanges[0].reasoning_sent) == (
            "Flour – and rain",
            "What is asked for?",
        )
    events = payloads(answer)
    names = [line.removeprefix("event: ") for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert names.count("ping") == 1
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in starts] == ["thinking", "text", "tool_use"]
    assert (starts[2]["name"], starts[2]["input"]) == ("weigh", {})
    deltas = [(event["index"], event["delta"]) for event in events if event["type"] == "content_block_delta"]
    thinking = [delta for index, delta in deltas if index == 0]
    assert "".join(delta.get("thinking", "") for delta in thinking) == "What is asked for?"
    assert thinking[-1]["type"] == "signature_delta"
    assert [delta["text"] for index, delta in deltas if index == 1] == ["Flour", " – ", "and rain"]
    assert "".join(delta["partial_json"] for index, delta in deltas if index == 2) == '{"sacks": 3}'
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    usage = events[-2]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (70, 30, 40)


async def test_gemini() -> None:
    async with Simulator() as sim:
        sim.play("gemini", FULL)
        answer = await fetch(sim, "gemini", path="/v1/models/gemini-x:streamGenerateContent?alt=sse")
    events = payloads(answer)
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts if part.get("thought")) == "What is asked for?"
    assert [part["text"] for part in parts if "text" in part and not part.get("thought")] == [
        "Flour",
        " – ",
        "and rain",
        "",
    ]
    assert [part["functionCall"] for part in parts if "functionCall" in part] == [
        {"name": "weigh", "args": {"sacks": 3}}
    ]
    assert [event["candidates"][0].get("finishReason") for event in events] == [None] * (len(events) - 1) + ["STOP"]
    assert all("usageMetadata" in event and event["modelVersion"] == "gemini-x" for event in events)
    usage = events[-1]["usageMetadata"]
    assert (usage["promptTokenCount"], usage["cachedContentTokenCount"]) == (100, 30)
    assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"], usage["totalTokenCount"]) == (25, 15, 140)
    assert b"[DONE]" not in answer.body


async def test_gemini_puts_the_last_words_and_the_finish_in_one_event() -> None:
    async with Simulator() as sim:
        sim.play("gemini", Script(pieces=("One", " two"), finish="length"))
        events = payloads(await fetch(sim, "gemini"))
    last = events[-1]["candidates"][0]
    assert (last["content"]["parts"], last["finishReason"]) == ([{"text": " two"}], "MAX_TOKENS")


async def test_gemini_without_sse_is_one_json_array() -> None:
    async with Simulator() as sim:
        sim.play("gemini", Script(pieces=("One", " two")))
        answer = await fetch(sim, "gemini", path="/v1beta/models/m:streamGenerateContent")
    texts = [event["candidates"][0]["content"]["parts"][0]["text"] for event in json.loads(answer.body)]
    assert (answer.headers["content-type"], texts) == ("application/json", ["One", " two"])


async def test_grok() -> None:
    async with Simulator() as sim:
        sim.play("grok", FULL)
        answer = await fetch(sim, "grok")
    chunks = payloads(answer)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "What is asked for?"
    assert "".join(delta.get("content", "") for delta in deltas) == "Flour – and rain"
    (calls,) = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["function"] == {"name": "weigh", "arguments": '{"sacks": 3}'}
    usage = chunks[-1]["usage"]
    assert (usage["completion_tokens"], usage["completion_tokens_details"]["reasoning_tokens"]) == (25, 15)
    assert usage["total_tokens"] == 140
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("vendor", "proof"),
    [
        ("openai", b'"delta":{"refusal":"'),
        ("grok", b'"delta":{"refusal":"'),
        ("anthropic", b'"stop_reason":"refusal"'),
        ("gemini", b'"promptFeedback": {"blockReason": "SAFETY"}'),
    ],
)
async def test_a_model_that_declines(vendor: str, proof: bytes) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(refusal="I would rather not."))
        answer = await fetch(sim, vendor)
        assert proof in answer.body
        assert sim.exchanges[0].text_sent == ""


@pytest.mark.parametrize(
    ("vendor", "word"),
    [("openai", "length"), ("grok", "length"), ("anthropic", "max_tokens"), ("gemini", "MAX_TOKENS")],
)
async def test_finish_is_said_in_the_vendors_word(vendor: str, word: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(text="One", finish="length"))
        assert f'"{word}"'.encode() in (await fetch(sim, vendor)).body


PLAIN = {
    "openai": lambda body: body["choices"][0]["message"]["content"],
    "grok": lambda body: body["choices"][0]["message"]["content"],
    "anthropic": lambda body: body["content"][1]["text"],
    "gemini": lambda body: body["candidates"][0]["content"]["parts"][1]["text"],
    "ollama": lambda body: body["message"]["content"],
}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_without_stream_the_answer_is_one_json_body(vendor: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, FULL)
        answer = await fetch(sim, vendor, stream=False)
        assert answer.headers["content-type"] == "application/json"
        assert PLAIN[vendor](json.loads(answer.body)) == "Flour – and rain"
        assert int(answer.headers["content-length"]) == len(answer.body) == sim.exchanges[0].bytes_sent
        assert (sim.exchanges[0].text_sent, sim.exchanges[0].ended) == ("Flour – and rain", "complete")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_plain_body_is_cut_in_its_middle(vendor: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, stream=False, fault="cut-fin")
        assert (answer.end, len(answer.body)) == ("fin", int(answer.headers["content-length"]) // 2)
        assert sim.exchanges[0].text_sent == ""


TYPES = {
    "openai": lambda body: (body["error"]["type"], body["error"]["code"]),
    "anthropic": lambda body: body["error"]["type"],
    "gemini": lambda body: (body["error"]["code"], body["error"]["status"]),
    "grok": lambda body: body["code"],
    "ollama": lambda body: body["error"],
}
REFUSALS = [
    ("openai", 401, ("invalid_request_error", "invalid_api_key")),
    ("openai", 404, ("invalid_request_error", "model_not_found")),
    ("openai", 429, ("requests", "rate_limit_exceeded")),
    ("openai", 500, ("server_error", None)),
    ("openai", 503, ("server_error", "server_is_overloaded")),
    ("anthropic", 400, "invalid_request_error"),
    ("anthropic", 401, "authentication_error"),
    ("anthropic", 402, "billing_error"),
    ("anthropic", 403, "permission_error"),
    ("anthropic", 404, "not_found_error"),
    ("anthropic", 413, "request_too_large"),
    ("anthropic", 429, "rate_limit_error"),
    ("anthropic", 500, "api_error"),
    ("anthropic", 529, "overloaded_error"),
    ("gemini", 400, (400, "INVALID_ARGUMENT")),
    ("gemini", 403, (403, "PERMISSION_DENIED")),
    ("gemini", 429, (429, "RESOURCE_EXHAUSTED")),
    ("gemini", 503, (503, "UNAVAILABLE")),
    ("grok", 400, "Client specified an invalid argument"),
    ("grok", 404, "Some requested entity was not found"),
    ("grok", 503, "The service is currently unavailable"),
]


@pytest.mark.parametrize(("vendor", "status", "expected"), REFUSALS)
async def test_a_refusal_has_its_vendors_words(vendor: str, status: int, expected: object) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, fault=f"refuse; status={status}")
        assert answer.status == status
        assert TYPES[vendor](json.loads(answer.body)) == expected


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 529])
async def test_every_status_is_there_for_every_vendor(vendor: str, status: int) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, fault=f"refuse; status={status}")
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert json.loads(answer.body)


@pytest.mark.parametrize(
    ("vendor", "proof"),
    [
        ("openai", b'"code":"insufficient_quota"'),
        ("anthropic", b'"error_code":"enforced_spend_limit_reached"'),
        ("gemini", b"GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        ("grok", b"has used all available credits"),
    ],
)
async def test_a_quota_is_another_429_and_tells_no_wait(vendor: str, proof: bytes) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, fault="refuse; kind=quota")
        assert answer.status == 429
        assert proof in answer.body
        assert "retry-after" not in answer.headers


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "grok"])
async def test_retry_after_is_whole_seconds_and_ms_exact(vendor: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, fault="refuse; status=429; retry_after=1.25; retry_after_ms=1")
        assert (answer.headers["retry-after"], answer.headers["retry-after-ms"]) == ("2", "1250")


async def test_gemini_tells_the_wait_in_the_body() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "gemini", fault="refuse; status=429; retry_after=34.5")
        quota, retry = json.loads(answer.body)["error"]["details"]
        assert quota["@type"] == "type.googleapis.com/google.rpc.QuotaFailure"
        assert quota["violations"][0]["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
        assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
        assert "retry-after" not in answer.headers


async def test_anthropics_refusal_repeats_the_id_of_the_head() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "anthropic", fault="refuse; status=529")
        assert json.loads(answer.body)["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_what_is_not_asked_rightly(vendor: str) -> None:
    async with Simulator() as sim:
        nowhere = await fetch(sim, vendor, path="/v1/no/such/path")
        method = await fetch(sim, vendor, method="PUT")
        no_key = await fetch(sim, vendor, headers={"x-api-key": "", "authorization": "", "x-goog-api-key": ""})
        no_json = await fetch(sim, vendor, body=b"{")
        no_fields = await fetch(sim, vendor, body=b"{}")
        answers = (nowhere, method, no_json, no_fields)
        assert [answer.status for answer in answers] == [404, 405, 400, 400]
        assert all(TYPES[vendor](json.loads(answer.body)) for answer in answers)
        assert no_key.status == (200 if vendor == "ollama" else 401)  # which asks for none
        assert vendor == "ollama" or TYPES[vendor](json.loads(no_key.body))
        played = [exchange.script is not None for exchange in sim.exchanges]
        assert played == [False, False, vendor == "ollama", False, False]


async def test_anthropic_asks_for_its_version_and_for_max_tokens() -> None:
    async with Simulator() as sim:
        body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
        answer = await fetch(sim, "anthropic", body=body)
        assert json.loads(answer.body)["error"]["message"] == "max_tokens: Field required"


@pytest.mark.parametrize(
    ("vendor", "path", "key"),
    [
        ("openai", "/models", "data"),
        ("grok", "/models", "data"),
        ("anthropic", "/v1/models", "data"),
        ("gemini", "/v1/models", "models"),
    ],
)
async def test_models_are_listed(vendor: str, path: str, key: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, method="GET", path=path, body=b"")
        assert answer.status == 200
        assert len(json.loads(answer.body)[key]) >= 2


async def test_a_path_of_no_vendor_names_those_that_are() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "gemini", path="x")  # "/geminix"
        assert answer.status == 404
        assert json.loads(answer.body)["error"]["message"] == (
            "There is nothing at /geminix; paths begin with one of: /anthropic, /openai/v1, /gemini, /grok/v1, /ollama"
        )
        assert sim.exchanges[0].vendor == ""
