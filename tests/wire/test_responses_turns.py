"""The Responses API: what a model said goes back as items, what another's model said as far as it can."""

from __future__ import annotations

import json

import pytest

from headrace import (
    AIMessage,
    AIResponse,
    CacheBreakpoint,
    DocumentPart,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from headrace.streaming.machine import StreamMachine
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import GROK, ResponsesCodec

from .turns import heard, sent

CODEC = ResponsesCodec("openai")
USER = AIMessage("user", "hi")

REASONING = (
    '{"type":"reasoning","id":"rs_1","status":"completed","content":null,'
    '"summary":[{"type":"summary_text","text":"let me see"}],"encrypted_content":"gAAA"}'
)
SEARCH = '{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}}'
IMAGE = (
    '{"type":"image_generation_call","id":"ig_1","status":"completed","result":"AQ==","output_format":"png",'
    '"created_by":"user_1"}'
)
CITED = '{"type":"url_citation","url":"u","title":"T","start_index":3,"end_index":6}'
CALL = (
    '{"type":"function_call","id":"fc_1","status":"completed","call_id":"call_1","name":"f","namespace":"n",'
    '"arguments":"{\\"n\\":1.0}"}'
)
MESSAGE = '{"type":"message","id":"msg_%d","role":"assistant","status":"completed","phase":"%s","content":[%s]}'


def added(index: int, item: str) -> str:
    return f'{{"type":"response.output_item.added","output_index":{index},"item":{item}}}'


def done(index: int, item: str) -> str:
    return f'{{"type":"response.output_item.done","output_index":{index},"item":{item}}}'


def text(index: int, delta: str) -> str:
    return f'{{"type":"response.output_text.delta","output_index":{index},"delta":"{delta}"}}'


FIRST = MESSAGE % (1, "commentary", '{"type":"output_text","text":"Wait."}')
SECOND = MESSAGE % (2, "final_answer", '{"type":"output_text","text":"It is.","annotations":[' + CITED + "]}")
STREAM = (
    added(0, '{"type":"reasoning","id":"rs_1","summary":[]}'),
    '{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"let me "}',
    '{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"see"}',
    done(0, REASONING),
    added(1, MESSAGE % (1, "commentary", "")),
    text(1, "Wait."),
    done(1, FIRST),
    done(2, SEARCH),
    done(3, IMAGE),
    added(4, MESSAGE % (2, "final_answer", "")),
    text(4, "It "),
    f'{{"type":"response.output_text.annotation.added","output_index":4,"annotation":{CITED}}}',
    text(4, "is."),
    done(4, SECOND),
    added(5, '{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","namespace":"n","arguments":""}'),
    '{"type":"response.function_call_arguments.delta","output_index":5,"delta":"{\\"n\\":1.0}"}',
    done(5, CALL),
    '{"type":"response.completed","response":{"status":"completed","output":[]}}',
)
ITEMS = f"{REASONING},{FIRST},{SEARCH},{IMAGE},{SECOND},{CALL}"
WHOLE = f'{{"status":"completed","error":null,"output":[{ITEMS}]}}'


def streamed() -> AIResponse:
    return heard(CODEC, *STREAM)


def whole() -> AIResponse:
    machine = StreamMachine(provider="openai")
    machine.sent()
    for chunk in CODEC.decode_body(WHOLE.encode()):
        machine.feed(chunk)
    return machine.response


def ended() -> AIResponse:
    """All of it in the event that ends the stream."""
    return heard(CODEC, f'{{"type":"response.completed","response":{WHOLE}}}')


@pytest.mark.parametrize("response", [streamed(), whole()], ids=["streamed", "whole"])
def test_a_turn_with_everything_goes_back_as_its_items_in_their_order(response: AIResponse) -> None:
    body, encoded = sent(CODEC, USER, response.to_message(), AIMessage("tool", [ToolResultPart("call_1", "7")]))
    assert body["input"] == [
        {"role": "user", "content": "hi"},
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "let me see"}],
            "encrypted_content": "gAAA",
        },
        {"role": "assistant", "content": "Wait.", "phase": "commentary"},
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
        {
            "type": "image_generation_call",
            "id": "ig_1",
            "status": "completed",
            "result": "AQ==",
            "output_format": "png",
        },
        {"role": "assistant", "content": "It is.", "phase": "final_answer"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"n":1.0}', "namespace": "n"},
        {"type": "function_call_output", "call_id": "call_1", "output": "7"},
    ]
    assert body["store"] is False and encoded.dropped == ()
    (cited,) = response.citations
    assert (cited.url, cited.title, cited.start, cited.end) == ("u", "T", 8, 11)
    assert response.content[8:11] == "is."
    assert response.images == (ImagePart(b"\1", "image/png"),)
    assert (response.reasoning, response.content) == ("let me see", "Wait.It is.")


def test_a_call_that_runs_beside_others_goes_back_so() -> None:
    call = (
        '{"type":"function_call","call_id":"c1","name":"f","arguments":"{}","async":true,"caller":{"type":"program"}}'
    )
    response = heard(CODEC, f'{{"type":"response.output_item.done","output_index":0,"item":{call}}}')
    assert sent(CODEC, USER, response.to_message())[0]["input"][1] == {
        "type": "function_call",
        "call_id": "c1",
        "name": "f",
        "arguments": "{}",
        "async": True,
        "caller": {"type": "program"},
    }


def test_what_chat_completions_left_of_a_custom_call_is_told_and_left_out() -> None:
    part = VendorPart("openai", {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}})
    body, encoded = sent(CODEC, USER, AIMessage("assistant", [part, TextPart("Hi")]))
    assert body["input"][1:] == [{"role": "assistant", "content": "Hi"}]
    assert encoded.dropped == ("openai: what the Responses API has no item for (id, type, custom): left out",)


def test_an_answer_that_comes_with_the_last_event_alone_keeps_words_and_items_in_order() -> None:
    kinds = [type(part).__name__ for part in ended().parts]
    assert kinds == [
        "VendorPart",  # the reasoning
        "VendorPart",
        "TextPart",
        "VendorPart",  # the search
        "VendorPart",  # the image
        "VendorPart",
        "TextPart",
        "Citation",
        "VendorPart",
        "ToolCall",
    ]
    body, _ = sent(CODEC, ended().to_message())
    assert [item.get("phase") for item in body["input"] if item.get("role")] == ["commentary", "final_answer"]


def test_words_and_items_keep_their_order_where_nothing_belongs_to_the_words() -> None:
    plain = '{"type":"message","content":[{"type":"output_text","text":"%s"}]}'
    output = f"{plain % 'Wait.'},{SEARCH},{plain % 'It is.'}"
    end = f'{{"type":"response.completed","response":{{"status":"completed","output":[{output}]}}}}'
    assert heard(CODEC, end).parts == (
        TextPart("Wait."),
        VendorPart("openai", json.loads(SEARCH)),
        TextPart("It is."),
    )


def test_reasoning_that_is_not_encrypted_does_not_go_back() -> None:
    """With `store` off the vendor finds nothing by its id: "Item with id 'rs_1' not found"."""
    plain = REASONING.replace('"encrypted_content":"gAAA"', '"encrypted_content":null')
    response = heard(CODEC, *STREAM[:3], done(0, plain), done(1, FIRST), STREAM[-1])
    body, encoded = sent(CODEC, USER, response.to_message())
    assert body["input"][1:] == [{"role": "assistant", "content": "Wait.", "phase": "commentary"}]
    assert encoded.dropped == (
        "openai: reasoning that is not encrypted, which the Responses API does not take back: left out",
    )


def test_a_call_of_a_custom_tool_is_answered_in_its_own_words() -> None:
    call = (
        '{"type":"custom_tool_call","id":"ctc_1","status":"completed","call_id":"c9","name":"sql","input":"SELECT 1"}'
    )
    response = heard(CODEC, done(0, call), STREAM[-1])
    body, _ = sent(CODEC, USER, response.to_message(), AIMessage("tool", "1", name="c9"))
    assert body["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c9", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "c9", "output": "1"},
    ]


@pytest.mark.parametrize(
    "codec", [ResponsesCodec("grok", GROK), ChatCodec("grok")], ids=["other-vendor", "other-vendor-s-chat"]
)
def test_another_vendor_gets_the_words_and_the_calls(codec: ResponsesCodec | ChatCodec) -> None:
    body, encoded = sent(codec, USER, streamed().to_message())
    turns = body["input"] if "input" in body else body["messages"]
    assert "".join(turn.get("content") or "" for turn in turns[1:]) == "Wait.It is."
    assert "gAAA" not in str(turns) and "ws_1" not in str(turns) and "phase" not in str(turns)
    assert encoded.dropped == (
        "grok: the reasoning of openai: left out",
        "grok: what only openai understands (web_search_call): left out",
        "grok: ImagePart in a message of the assistant, which holds text and calls: left out",
    )


def test_what_belongs_to_words_is_nothing_at_all_to_another_vendor() -> None:
    """An empty text is refused there."""
    body, _ = sent(AnthropicCodec(), USER, streamed().to_message())
    blocks = body["messages"][1]["content"]
    assert [block["text"] for block in blocks if block["type"] == "text"] == ["Wait.", "It ", "is."]


def test_what_another_vendor_s_model_said_goes_as_far_as_it_can() -> None:
    said = [
        ReasoningPart("hm", "sig", origin="anthropic"),
        VendorPart("openai", {"reasoning_details": []}),
        VendorPart("gemini", {"type": "x"}, TextPart("It ")),
        TextPart("is."),
        ToolCall("c", "f", ""),
    ]
    body, encoded = sent(CODEC, USER, AIMessage("assistant", said, name="bo"))
    assert body["input"][1:] == [
        {"role": "assistant", "content": "It is."},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    assert encoded.dropped == (
        "openai: an author's name, for which the Responses API has no field: left out",
        "openai: the reasoning of anthropic: left out",
        "openai: what the Responses API has no item for (reasoning_details): left out",
    )


def test_what_belonged_to_a_call_that_was_cut_belongs_to_no_other() -> None:
    frame = VendorPart("openai", {"type": "function_call", "namespace": "n"}, TextPart(""))
    body, _ = sent(CODEC, USER, AIMessage("assistant", [frame, TextPart("a"), ToolCall("c", "f", "")]))
    assert body["input"][1:] == [
        {"role": "assistant", "content": "a"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]


def test_a_tool_may_answer_with_images_and_documents() -> None:
    result = ToolResultPart("c", [TextPart("a"), ImagePart(b"\1", "image/png"), DocumentPart(b"\1", "application/pdf")])
    body, _ = sent(CODEC, AIMessage("tool", [result]))
    assert body["input"] == [
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "data:image/png;base64,AQ=="},
                {"type": "input_file", "filename": "document", "file_data": "data:application/pdf;base64,AQ=="},
            ],
        }
    ]


def test_items_and_parts_of_the_vendor_s_own_go_as_they_are() -> None:
    approval = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}
    file = {"type": "input_file", "file_id": "f"}
    body, _ = sent(
        CODEC, AIMessage("user", [VendorPart("openai", approval), TextPart("See"), VendorPart("openai", file)])
    )
    assert body["input"] == [approval, {"role": "user", "content": [{"type": "input_text", "text": "See"}, file]}]


# ---------------------------------------------------------------- cache breakpoints

MARK = {"mode": "explicit"}


def test_a_breakpoint_stands_on_the_part_before_it() -> None:
    body, encoded = sent(
        CODEC,
        AIMessage("system", "One."),
        AIMessage("system", [TextPart("Long."), CacheBreakpoint("12h")]),
        AIMessage("user", [TextPart("See"), CacheBreakpoint(), TextPart("Now")]),
        AIMessage("tool", [ToolResultPart("c1", "1"), CacheBreakpoint()]),
    )
    assert body["instructions"] == "One."
    assert body["input"] == [
        {
            "role": "system",
            "content": [{"type": "input_text", "text": "Long.", "prompt_cache_breakpoint": {**MARK, "ttl": "12h"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See", "prompt_cache_breakpoint": MARK},
                {"type": "input_text", "text": "Now"},
            ],
        },
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "1", "prompt_cache_breakpoint": MARK}],
        },
    ]
    assert encoded.dropped == ()


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("user", "a cache breakpoint that has no text or media before it in its message"),
        ("assistant", "a cache breakpoint behind what the model said: put it into a message of another"),
    ],
)
def test_a_breakpoint_without_a_place_is_left_out_and_told(role: str, why: str) -> None:
    _, encoded = sent(CODEC, AIMessage(role, [CacheBreakpoint(), TextPart("a")]))
    assert encoded.dropped == (f"openai: {why}: left out",)
