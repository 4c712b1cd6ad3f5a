"""Pages of a search and drawn images, written as each vendor writes them; and errors by the vendor's own word."""

from __future__ import annotations

import base64
import json
import re

import pytest

from headrace.simulator import Citation, Script, Simulator, faults

from .raw import VENDORS, fetch, payloads, post

PAGE = Citation(url="https://mill.example/history", title="The mill", text="It was built in 1850.")
CITED = Script(pieces=("Built ", "1850 – ja."), citations=(PAGE,))
NOTE = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 16,
    "title": "The mill",
    "url": "https://mill.example/history",
}
PNG = b"\x89PNG\r\n\x1a\n and so on"
CODED = base64.b64encode(PNG).decode()


async def both(vendor: str, script: Script, path: str | None = None, **fields: object) -> tuple[list, dict]:
    """The events of a stream, and the plain body."""
    async with Simulator() as sim:
        sim.play(vendor, script, script)
        if path is not None:
            stream, plain = (
                await post(sim, vendor, path, stream=True, **fields),
                await post(sim, vendor, path, **fields),
            )
        else:
            stream, plain = await fetch(sim, vendor), await fetch(sim, vendor, stream=False)
        assert sim.exchanges[0].text_sent == sim.exchanges[1].text_sent == "".join(script.pieces or ())
        return payloads(stream), json.loads(plain.body)


# ---------------------------------------------------------------- citations


async def test_anthropic_searches_before_it_cites() -> None:
    events, body = await both("anthropic", CITED)
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in starts] == ["server_tool_use", "web_search_tool_result", "text"]
    assert (starts[0]["name"], starts[0]["input"]) == ("web_search", {})
    assert starts[1]["tool_use_id"] == starts[0]["id"]
    assert (starts[1]["content"][0]["url"], starts[1]["content"][0]["title"]) == (PAGE.url, PAGE.title)
    assert starts[2] == {"type": "text", "text": "", "citations": []}
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta" and event["index"] == 2]
    assert [delta["type"] for delta in deltas] == ["citations_delta", "text_delta", "text_delta"]
    cited = deltas[0]["citation"]
    assert cited == {
        "type": "web_search_result_location",
        "cited_text": "It was built in 1850.",
        "url": PAGE.url,
        "title": PAGE.title,
        "encrypted_index": cited["encrypted_index"],
    }
    query = "".join(
        event["delta"].get("partial_json", "") for event in events if event.get("index") == 0 and "delta" in event
    )
    assert json.loads(query) == body["content"][0]["input"] == {"query": "what the question is about"}
    assert body["content"][2]["text"] == "Built 1850 – ja."
    assert body["content"][2]["citations"][0]["cited_text"] == "It was built in 1850."
    assert body["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


async def test_openai_chat_annotates_the_message() -> None:
    events, body = await both("openai", CITED)
    (told,) = [event["choices"][0]["delta"]["annotations"] for event in events if "annotations" in str(event)]
    fields = {name: value for name, value in NOTE.items() if name != "type"}
    expected = [{"type": "url_citation", "url_citation": fields}]
    assert told == body["choices"][0]["message"]["annotations"] == expected


async def test_responses_annotate_the_text_after_a_search() -> None:
    events, body = await both("openai", CITED, "/responses", model="m", input="Hi")
    search, message = body["output"]
    assert (search["type"], search["status"], search["action"]["type"]) == ("web_search_call", "completed", "search")
    assert message["content"][0]["annotations"] == [NOTE]
    types = [event["type"] for event in events]
    assert types[2:7] == [
        "response.output_item.added",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_item.done",
    ]
    (added,) = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert (added["annotation"], added["annotation_index"], added["content_index"]) == (NOTE, 0, 0)


async def test_gemini_grounds_the_whole_of_the_words_in_bytes() -> None:
    events, body = await both("gemini", CITED)
    metadata = events[-1]["candidates"][0]["groundingMetadata"]
    assert metadata == body["candidates"][0]["groundingMetadata"]
    assert metadata["groundingChunks"] == [{"web": {"uri": PAGE.url, "title": PAGE.title}}]
    assert metadata["groundingSupports"] == [
        {"segment": {"endIndex": 18, "text": "Built 1850 – ja."}, "groundingChunkIndices": [0]}
    ]
    assert metadata["webSearchQueries"] == ["what the question is about"]
    assert all("groundingMetadata" not in event["candidates"][0] for event in events[:-1])


async def test_grok_lists_addresses_at_the_end() -> None:
    events, body = await both("grok", CITED)
    assert events[-1]["citations"] == body["citations"] == ["https://mill.example/history"]
    assert all("citations" not in event for event in events[:-1])
    assert body["usage"]["num_sources_used"] == 1


# ---------------------------------------------------------------- an image


async def test_gemini_draws_inline() -> None:
    events, body = await both("gemini", Script(image=PNG))
    part = {"inlineData": {"mimeType": "image/png", "data": CODED}}
    assert [event["candidates"][0]["content"]["parts"] for event in events] == [[part], [{"text": ""}]]
    assert body["candidates"][0]["content"]["parts"] == [part]


async def test_responses_draw_in_an_item_of_their_own() -> None:
    events, body = await both("openai", Script(image=PNG), "/responses", model="m", input="Draw.")
    (item,) = body["output"]
    assert (item["type"], item["status"], item["result"]) == ("image_generation_call", "completed", CODED)
    assert [event["type"] for event in events[2:-1]] == [
        "response.output_item.added",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.completed",
        "response.output_item.done",
    ]
    assert "result" not in events[2]["item"]
    assert events[-2]["item"]["result"] == CODED


@pytest.mark.parametrize("vendor", ["openai", "grok"])
async def test_chat_writes_an_image_as_aggregators_do(vendor: str) -> None:
    events, body = await both(vendor, Script(pieces=("Here.",), image=PNG))
    expected = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CODED}"}, "index": 0}]
    (told,) = [event["choices"][0]["delta"]["images"] for event in events if "'images'" in str(event)]
    assert told == body["choices"][0]["message"]["images"] == expected


# ---------------------------------------------------------------- errors by code


def told(answer: bytes) -> object:
    return json.loads(answer)["error"]


BY_CODE = {
    "openai quota": ("openai", 429, "project_spend_limit_exceeded", lambda e: (e["type"], e["code"])),
    "openai context": ("openai", 400, "context_length_exceeded", lambda e: (e["type"], e["code"])),
    "openai unknown": ("openai", 400, "something_new", lambda e: (e["type"], e["code"])),
    "anthropic ramp": ("anthropic", 429, "ramp_limit_exceeded", lambda e: (e["type"], e["details"]["error_code"])),
    "anthropic billing": (
        "anthropic",
        402,
        "linked_organization_spend_limit_reached",
        lambda e: (e["type"], e["details"]["error_code"]),
    ),
    "anthropic context": ("anthropic", 400, "context_length_exceeded", lambda e: (e["type"], e["message"][:18])),
    "gemini key": ("gemini", 400, "API_KEY_INVALID", lambda e: (e["status"], e["details"][0]["reason"])),
    "gemini context": ("gemini", 400, "context_length_exceeded", lambda e: (e["status"], e["message"][:21])),
    "grok": ("grok", 400, "invalid-argument", lambda e: e),
}
WORDS = {
    "openai quota": ("insufficient_quota", "project_spend_limit_exceeded"),
    "openai context": ("invalid_request_error", "context_length_exceeded"),
    "openai unknown": ("invalid_request_error", "something_new"),
    "anthropic ramp": ("rate_limit_error", "ramp_limit_exceeded"),
    "anthropic billing": ("billing_error", "linked_organization_spend_limit_reached"),
    "anthropic context": ("invalid_request_error", "prompt is too long"),
    "gemini key": ("INVALID_ARGUMENT", "API_KEY_INVALID"),
    "gemini context": ("INVALID_ARGUMENT", "The input token count"),
    "grok": "The request is not valid.",
}


@pytest.mark.parametrize("name", BY_CODE)
async def test_a_refusal_may_bear_the_vendor_s_own_code(name: str) -> None:
    vendor, status, code, read = BY_CODE[name]
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, fault=f"refuse; status={status}; code={code}")
    assert (answer.status, read(told(answer.body))) == (status, WORDS[name])


@pytest.mark.parametrize("code", ["enforced_spend_limit_reached", "contract_spend_limit_reached"])
async def test_anthropic_tells_no_wait_where_waiting_is_no_use(code: str) -> None:
    async with Simulator() as sim:
        spent = await fetch(sim, "anthropic", fault=f"refuse; status=429; code={code}")
        ramp = await fetch(sim, "anthropic", fault="refuse; status=429; code=ramp_limit_exceeded; retry_after=7")
    assert ("retry-after" in spent.headers, spent.headers["x-should-retry"]) == (False, "false")
    assert (ramp.headers["retry-after"], ramp.headers["x-should-retry"]) == ("7", "true")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            "usual",
            {"code": "The service is currently unavailable", "error": "The model is at capacity, try again later."},
        ),
        ("string", {"error": "The model is at capacity, try again later."}),
        (
            "nested",
            {
                "error": {
                    "message": "Our servers are currently overloaded. Please try again later.",
                    "type": "server_error",
                    "param": None,
                    "code": "server_is_overloaded",
                }
            },
        ),
    ],
)
async def test_grok_refuses_in_three_shapes(shape: str, expected: object) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "grok", fault=f"refuse; status=503; shape={shape}")
    assert json.loads(answer.body) == expected


IN_STREAM = {
    "anthropic": (
        "timeout_error",
        b'"error":{"type":"timeout_error","message":"The request took too long to process."}',
    ),
    "openai": ("insufficient_quota", b'"type":"insufficient_quota","param":null,"code":"insufficient_quota"'),
    "gemini": ("API_KEY_INVALID", b'"reason": "API_KEY_INVALID"'),
    "grok": ("insufficient_quota", b'{"code":"insufficient_quota","error":"You exceeded your current quota'),
}


@pytest.mark.parametrize("vendor", IN_STREAM)
async def test_an_error_in_mid_stream_may_bear_a_code(vendor: str) -> None:
    code, expected = IN_STREAM[vendor]
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1, code=code)))
        answer = await fetch(sim, vendor)
        assert sim.exchanges[0].text_before_fault == "One"
    assert expected in answer.body


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [409, 422, 504])
async def test_rarer_statuses(vendor: str, status: int) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, vendor, fault=f"refuse; status={status}")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert told(answer.body)


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "grok"])
async def test_arguments_that_end_too_early_are_sent_as_they_stand(vendor: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(tool_calls=(("weigh", '{"sacks": '),), finish="length"))
        answer = await fetch(sim, vendor)
    assert answer.status == 200
    told = re.findall(r'"(?:arguments|partial_json)":("(?:[^"\\]|\\.)*")', answer.body.decode())
    assert "".join(map(json.loads, told)) == '{"sacks": '
