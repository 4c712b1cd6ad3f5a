"""The Responses API of OpenAI and xAI, as bytes and read with `json` alone."""

from __future__ import annotations

import json

import pytest

from headrace.simulator import Framing, Script, Simulator, Tokens, faults

from .raw import fetch, payloads, post

BOTH = ("openai", "grok")
ENCRYPTED = {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}}
FULL = Script(
    pieces=("Flour", " – rain"),
    reasoning="Hm.",
    tool_calls=(("weigh", '{"sacks": 3}'),),
    usage=Tokens(prompt=100, completion=40, cached=30, reasoning=15),
)


async def test_a_stream_tells_every_item_from_its_beginning_to_its_end() -> None:
    async with Simulator() as sim:
        sim.play("openai", FULL)
        answer = await post(sim, "openai", "/responses", model="m", input="Hi", stream=True, **ENCRYPTED)
        assert (sim.exchanges[0].text_sent, sim.exchanges[0].reasoning_sent) == ("Flour – rain", "Hm.")
    events = payloads(answer)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    told = [event["type"] for event in events if event["type"] != "response.function_call_arguments.delta"]
    assert told == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    lines = answer.body.decode().splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    assert b"[DONE]" not in answer.body


async def test_what_the_items_carry() -> None:
    async with Simulator() as sim:
        sim.play("openai", FULL)
        answer = await post(sim, "openai", "/responses", model="m", input="Hi", stream=True, **ENCRYPTED)
    events = payloads(answer)
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert [(one["delta"], one["output_index"], one["content_index"]) for one in deltas] == [
        ("Flour", 1, 0),
        (" – rain", 1, 0),
    ]
    assert all(one["obfuscation"] for one in deltas)
    parts = [event for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert "".join(part["delta"] for part in parts) == '{"sacks": 3}'
    assert len(parts) > 1
    response = events[-1]["response"]
    reasoning, message, call = response["output"]
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == response["output"]
    assert (reasoning["type"], reasoning["summary"]) == ("reasoning", [{"type": "summary_text", "text": "Hm."}])
    assert reasoning["encrypted_content"]
    assert (message["type"], message["role"], message["status"]) == ("message", "assistant", "completed")
    assert message["content"] == [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Flour – rain"}]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "weigh", '{"sacks": 3}')
    assert response["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 30},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 15},
        "total_tokens": 140,
    }
    assert (response["status"], response["error"], response["incomplete_details"]) == ("completed", None, None)
    assert events[0]["response"]["output"] == []
    assert events[0]["response"]["usage"] is None


async def test_grok_pads_nothing_and_sends_the_arguments_at_once() -> None:
    async with Simulator() as sim:
        sim.play("grok", FULL)
        events = payloads(await post(sim, "grok", "/responses", model="m", input="Hi", stream=True))
    (arguments,) = [event for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert arguments["delta"] == '{"sacks": 3}'
    assert all("obfuscation" not in event for event in events)
    assert [event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"] == ["Hm."]


@pytest.mark.parametrize(
    ("asked", "summary", "encrypted"),
    [
        ({}, [], False),
        ({"reasoning": {"summary": "auto"}}, [{"type": "summary_text", "text": "Hm."}], False),
        ({"include": ["reasoning.encrypted_content"]}, [], True),
    ],
    ids=["nothing", "summary", "encrypted"],
)
async def test_openai_shows_of_its_thoughts_what_is_asked_for(asked: dict, summary: list, encrypted: bool) -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(text="Yes.", reasoning="Hm."))
        body = json.loads((await post(sim, "openai", "/responses", model="m", input="Hi", **asked)).body)
    assert body["output"][0]["summary"] == summary
    assert ("encrypted_content" in body["output"][0]) == encrypted
    assert body["usage"]["output_tokens_details"]["reasoning_tokens"] == 1


@pytest.mark.parametrize("vendor", BOTH)
async def test_a_plain_answer_is_the_response_that_a_stream_ends_with(vendor: str) -> None:
    async with Simulator(seed=4) as sim, Simulator(seed=4) as other:
        sim.play(vendor, FULL)
        other.play(vendor, FULL)
        plain = json.loads((await post(sim, vendor, "/responses", model="m", input="Hi")).body)
        events = payloads(await post(other, vendor, "/responses", model="m", input="Hi", stream=True))
    streamed = events[-1]["response"]
    assert (plain["object"], plain["status"]) == ("response", "completed")
    assert [item["type"] for item in plain["output"]] == ["reasoning", "message", "function_call"]
    assert plain["output"][1] == streamed["output"][1]
    assert plain["usage"] == streamed["usage"]


@pytest.mark.parametrize("vendor", BOTH)
@pytest.mark.parametrize(
    ("finish", "last", "details"),
    [
        ("length", "response.incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "response.incomplete", {"reason": "content_filter"}),
        ("failed", "response.failed", None),
    ],
)
async def test_other_endings(vendor: str, finish: str, last: str, details: object) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(text="One", finish=finish))
        events = payloads(await post(sim, vendor, "/responses", model="m", input="Hi", stream=True))
    assert events[-1]["type"] == last
    response = events[-1]["response"]
    assert (f"response.{response['status']}", response["incomplete_details"]) == (last, details)
    assert response["output"][0]["status"] == ("completed" if finish == "failed" else "incomplete")
    assert (response["error"] or {}).get("code") == ("server_error" if finish == "failed" else None)


async def test_a_refusal_has_events_of_its_own() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(refusal="I would rather not."))
        events = payloads(await post(sim, "openai", "/responses", model="m", input="Hi", stream=True))
        assert sim.exchanges[0].text_sent == ""
    assert events[3]["part"] == {"type": "refusal", "refusal": ""}
    told = [event["delta"] for event in events if event["type"] == "response.refusal.delta"]
    assert "".join(told) == "I would rather not."
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "I would rather not."}]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            "usual",
            {
                "type": "error",
                "sequence_number": 5,
                "code": "server_is_overloaded",
                "message": "Our servers are currently overloaded. Please try again later.",
                "param": None,
            },
        ),
        (
            "nested",
            {
                "type": "error",
                "sequence_number": 5,
                "error": {
                    "type": "server_error",
                    "code": "server_is_overloaded",
                    "message": "Our servers are currently overloaded. Please try again later.",
                    "param": None,
                },
            },
        ),
    ],
)
async def test_an_error_in_mid_stream_comes_in_two_shapes_and_the_response_fails(shape: str, expected: object) -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(pieces=("One", " two"), fault=faults.ErrorEvent(after_pieces=1, shape=shape)))
        answer = await post(sim, "openai", "/responses", model="m", input="Hi", stream=True)
        assert sim.exchanges[0].text_before_fault == "One"
    *_, error, failed = payloads(answer)
    assert error == expected
    assert answer.body.count(b"event: error\n") == 1
    assert (failed["type"], failed["sequence_number"], failed["response"]["status"]) == ("response.failed", 6, "failed")
    assert failed["response"]["error"]["code"] == "server_is_overloaded"


async def test_a_quota_may_run_out_inside_a_good_status() -> None:
    async with Simulator() as sim:
        fault = faults.ErrorEvent(after_events=2, code="insufficient_quota", shape="nested")
        sim.play("openai", Script(fault=fault))
        answer = await post(sim, "openai", "/responses", model="m", input="Hi", stream=True)
    assert answer.status == 200
    assert [event["type"] for event in payloads(answer)] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]
    assert b'"code":"insufficient_quota"' in answer.body


FAULTS = {
    "cut": ("cut-fin; after_pieces=2", "fin", "One two"),
    "reset": ("cut-rst; after_pieces=2", "rst", "One two"),
    "clean end": ("clean-end", "complete", "One two three"),
    "no finish": ("clean-end; drop=finish", "complete", "One two three"),
    "malformed": ("malformed; after_pieces=1", "complete", "One three"),
    "bad utf-8": ("bad-utf8; after_pieces=1", "complete", "One three"),
    "one byte": ("one-byte-writes", "complete", "One two three"),
    "twice": ("duplicate-finish", "complete", "One two three"),
    "more": ("content-after-finish", "complete", "One two three And one word more."),
}


@pytest.mark.parametrize("vendor", BOTH)
@pytest.mark.parametrize(("fault", "end", "text"), FAULTS.values(), ids=FAULTS)
async def test_every_kind_of_fault_strikes_here_as_well(vendor: str, fault: str, end: str, text: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two", " three")))
        body = json.dumps({"model": "m", "input": "Hi", "stream": True}).encode()
        answer = await fetch(sim, vendor, path="/responses", body=body, fault=fault)
        assert (answer.end, sim.exchanges[0].text_sent) == (end, text)
    finished = answer.body.count(b"event: response.completed\n")
    assert finished == {"no finish": 0, "clean end": 0, "cut": 0, "reset": 0, "twice": 2}.get(
        next(name for name, row in FAULTS.items() if row[0] == fault), 1
    )


async def test_framing_and_unknown_events() -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(pieces=("One", " two"), framing=Framing(line_end="crlf", unknown_events=True)))
        answer = await post(sim, "openai", "/responses", model="m", input="Hi", stream=True)
    assert answer.body.startswith(b"event: response.created\r\ndata: {")
    assert b'event: response.note\r\ndata: {"type":"response.note","note":"none"}\r\n\r\n' in answer.body


CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "3"}
HELLO = {"role": "user", "content": "Hi"}
REFUSED = {
    "model": ({"input": "Hi"}, "Missing required parameter: 'model'.", "missing_required_parameter"),
    "input": (
        {"model": "m"},
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
        "missing_required_parameter",
    ),
    "type": (
        {"model": "m", "input": 3},
        "Invalid type for 'input': expected one of an array of objects or string.",
        "invalid_type",
    ),
    "moved": (
        {"model": "m", "input": "Hi", "messages": []},
        "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'.",
        "unsupported_parameter",
    ),
    "unknown": ({"model": "m", "input": "Hi", "seed": 3}, "Unknown parameter: 'seed'.", "unknown_parameter"),
    "no model": (
        {"model": "no-such-model", "input": "Hi"},
        "The requested model 'no-such-model' does not exist.",
        "model_not_found",
    ),
    "output alone": (
        {"model": "m", "input": [HELLO, OUTPUT]},
        "No tool call found for function call output with call_id call_1.",
        None,
    ),
    "call alone": ({"model": "m", "input": [HELLO, CALL]}, "No tool output found for function call call_1.", None),
    "not ours": (
        {"model": "m", "input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAforged"}, CALL, OUTPUT]},
        "The encrypted content gAAA...rged could not be verified.",
        "invalid_encrypted_content",
    ),
    "thoughts alone": (
        {"model": "m", "input": [HELLO, {"type": "reasoning", "id": "rs_1", "summary": []}, HELLO]},
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        None,
    ),
}


@pytest.mark.parametrize(("fields", "message", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_and_in_which_words(fields: dict, message: str, code: str | None) -> None:
    async with Simulator() as sim:
        answer = await post(sim, "openai", "/responses", **fields)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["message"], error["code"]) == (400, message, code)
    assert error["type"] == "invalid_request_error"


async def test_grok_refuses_in_its_own_shape() -> None:
    async with Simulator() as sim:
        model = await post(sim, "grok", "/responses", model="no-such-model", input="Hi")
        nothing = await post(sim, "grok", "/responses", model="m")
    assert json.loads(model.body) == {"code": "invalid-argument", "error": "Model not found: no-such-model"}
    assert json.loads(nothing.body)["code"] == "invalid-argument"


async def test_the_other_half_of_a_pair_may_lie_with_the_vendor() -> None:
    async with Simulator() as sim:
        answer = await post(
            sim, "openai", "/responses", model="m", previous_response_id="resp_1", input=[OUTPUT], stream=False
        )
    assert answer.status == 200


@pytest.mark.parametrize("vendor", BOTH)
async def test_what_was_answered_may_be_sent_back(vendor: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(reasoning="Hm.", tool_calls=(("f", "{}"),)))
        first = json.loads((await post(sim, vendor, "/responses", model="m", input=[HELLO], **ENCRYPTED)).body)
        reasoning, call = first["output"]
        result = {**OUTPUT, "call_id": call["call_id"]}
        whole = await post(sim, vendor, "/responses", model="m", input=[HELLO, reasoning, call, result], stream=False)
        without = await post(sim, vendor, "/responses", model="m", input=[HELLO, call, result])
        nameless = {name: value for name, value in call.items() if name != "id"}
        allowed = await post(sim, vendor, "/responses", model="m", input=[HELLO, nameless, result])
    assert whole.status == 200
    assert without.status == 400
    told = f"Item '{call['id']}' of type 'function_call' was provided without its required 'reasoning' item."
    assert told in without.body.decode()
    assert allowed.status == 200


async def test_thoughts_of_another_simulator_are_not_ours() -> None:
    async with Simulator(seed=1) as one, Simulator(seed=2) as other:
        one.play("openai", Script(reasoning="Hm.", tool_calls=(("f", "{}"),)))
        first = json.loads((await post(one, "openai", "/responses", model="m", input=[HELLO], **ENCRYPTED)).body)
        reasoning, call = first["output"]
        items = [HELLO, reasoning, call, {**OUTPUT, "call_id": call["call_id"]}]
        answer = await post(other, "openai", "/responses", model="m", input=items)
    assert json.loads(answer.body)["error"]["code"] == "invalid_encrypted_content"
