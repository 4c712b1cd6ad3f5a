"""Messages: what a model said goes back unchanged, what another vendor's model said goes as far as it can."""

from __future__ import annotations

import pytest

from headrace import (
    AIMessage,
    CacheBreakpoint,
    Citation,
    ImagePart,
    PromptCache,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from headrace.errors import UnsupportedOptionError
from headrace.wire.anthropic import AnthropicCodec

from .turns import heard, sent

CODEC = AnthropicCodec()
USER = AIMessage("user", "hi")

STREAM = (
    '{"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":1}}}',
    '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}',
    '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"let me "}}',
    '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see"}}',
    '{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}',
    '{"type":"content_block_stop","index":0}',
    '{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"b64"}}',
    '{"type":"content_block_stop","index":1}',
    '{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"srv_1",'
    '"name":"web_search","input":{}}}',
    '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"query\\":"}}',
    '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\\"x\\"}"}}',
    '{"type":"content_block_stop","index":2}',
    '{"type":"content_block_start","index":3,"content_block":{"type":"web_search_tool_result",'
    '"tool_use_id":"srv_1","content":[{"url":"u","encrypted_content":"e"}]}}',
    '{"type":"content_block_stop","index":3}',
    '{"type":"content_block_start","index":4,"content_block":{"type":"text","text":""}}',
    '{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"It is"}}',
    '{"type":"content_block_stop","index":4}',
    '{"type":"content_block_start","index":5,"content_block":{"type":"text","text":""}}',
    '{"type":"content_block_delta","index":5,"delta":{"type":"text_delta","text":" so."}}',
    '{"type":"content_block_delta","index":5,"delta":{"type":"citations_delta","citation":'
    '{"type":"web_search_result_location","url":"u","title":"T","cited_text":"so"}}}',
    '{"type":"content_block_stop","index":5}',
    '{"type":"content_block_start","index":6,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}',
    '{"type":"content_block_delta","index":6,"delta":{"type":"input_json_delta","partial_json":"{\\"n\\":1.0}"}}',
    '{"type":"content_block_stop","index":6}',
    '{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}',
    '{"type":"message_stop"}',
)


def test_a_turn_with_everything_goes_back_as_it_came() -> None:
    response = heard(CODEC, *STREAM)
    body, encoded = sent(CODEC, USER, response.to_message(), AIMessage("tool", [ToolResultPart("toolu_1", "7")]))
    assert body["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "b64"},
                {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srv_1",
                    "content": [{"url": "u", "encrypted_content": "e"}],
                },
                {"type": "text", "text": "It is"},
                {"type": "text", "text": " so."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1.0}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "7"}]},
    ]
    assert b'{"n":1.0}' in (encoded.body or b"")  # the digits as they came
    assert encoded.dropped == ()
    assert response.citations == (
        Citation(
            "u",
            "T",
            "so",
            raw={"type": "web_search_result_location", "url": "u", "title": "T", "cited_text": "so"},
        ),
    )


@pytest.mark.parametrize("content", ["null", '""'])
def test_a_compaction_goes_back_with_its_summary(content: str) -> None:
    response = heard(
        CODEC,
        f'{{"type":"content_block_start","index":0,"content_block":{{"type":"compaction","content":{content}}}}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"They met.",'
        '"encrypted_content":"b64"}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}',
        '{"type":"content_block_stop","index":0}',
        '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}',
        '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_stop","index":1}',
    )
    assert sent(CODEC, USER, response.to_message())[0]["messages"][1]["content"] == [
        {"type": "compaction", "content": "They met.", "encrypted_content": "b64", "signature": "c2ln"},
        {"type": "text", "text": "Hi"},
    ]


def test_a_call_that_code_made_goes_back_with_its_caller() -> None:
    caller = {"type": "code_execution_20250825", "tool_id": "srv_1"}
    response = heard(
        CODEC,
        '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f",'
        '"input":{},"caller":{"type":"code_execution_20250825","tool_id":"srv_1"},"toolset_name":"t"}}',
        '{"type":"content_block_stop","index":0}',
        '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_2","name":"g",'
        '"input":{},"caller":{"type":"direct"}}}',
        '{"type":"content_block_stop","index":1}',
        '{"type":"message_delta","delta":{"stop_reason":"tool_use"}}',
        '{"type":"message_stop"}',
    )
    assert [call.id for call in response.tool_calls] == ["toolu_1", "toolu_2"]
    assert response.extra == ({"type": "tool_use", "index": 0, "id": "toolu_1", "caller": caller, "toolset_name": "t"},)
    body, encoded = sent(CODEC, USER, response.to_message())
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": caller, "toolset_name": "t"},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    assert encoded.dropped == ()


def test_thinking_that_was_cut_does_not_go_back() -> None:
    response = heard(CODEC, *STREAM[:4])
    body, encoded = sent(CODEC, USER, response.to_message(), USER)
    assert body["messages"] == [{"role": "user", "content": "hi"}] * 2
    assert encoded.dropped == ("anthropic: reasoning without the vendor's signature: left out",)


def test_hidden_thinking_goes_back_by_its_signature_alone() -> None:
    response = heard(CODEC, STREAM[0], STREAM[1], STREAM[4], STREAM[5])
    body, _ = sent(CODEC, USER, response.to_message())
    assert body["messages"][1]["content"] == [{"type": "thinking", "thinking": "", "signature": "c2ln"}]


@pytest.mark.parametrize(
    ("part", "dropped"),
    [
        (ReasoningPart("hm", "sig", origin="gemini"), "the reasoning of gemini"),
        (VendorPart("openai", {"type": "web_search_call"}), "what only openai understands (web_search_call)"),
        (
            VendorPart("openai", {"type": "reasoning"}, shared=ReasoningPart("hm", origin="openai")),
            "the reasoning of openai",
        ),
    ],
    ids=["reasoning", "a vendor's tool", "a vendor's reasoning"],
)
def test_what_another_vendor_alone_can_read_is_left_out_and_told(part: object, dropped: str) -> None:
    turn = AIMessage("assistant", [part, TextPart("yes"), ToolCall("call_1", "f", "{}")])
    body, encoded = sent(CODEC, USER, turn)
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "yes"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
    ]
    assert encoded.dropped == (f"anthropic: {dropped}: left out",)


def test_a_breakpoint_whose_parts_are_left_out_goes_with_them() -> None:
    turn = AIMessage("assistant", [ReasoningPart("hm", "sig", origin="openai"), CacheBreakpoint(), TextPart("yes")])
    body, encoded = sent(CODEC, USER, turn)
    assert body["messages"][1]["content"] == [{"type": "text", "text": "yes"}]
    assert encoded.dropped == (
        "anthropic: the reasoning of openai: left out",
        "anthropic: a cache breakpoint that has nothing before it then: left out",
    )


def test_the_name_on_a_system_message_is_left_out_and_told() -> None:
    _, encoded = sent(CODEC, AIMessage("system", "rules", name="Ann"), USER)
    assert encoded.dropped == ("anthropic: an author's name: left out",)


def test_blank_texts_are_not_sent() -> None:
    """Other vendors' models write line breaks before a call; here a text of nothing else is an answer 400."""
    body, encoded = sent(
        CODEC,
        AIMessage("system", [TextPart(" "), TextPart("rules")]),
        USER,
        AIMessage("assistant", "\n\n"),
        AIMessage("assistant", [TextPart("\n\n"), ToolCall("c1", "f", "{}")]),
        AIMessage("tool", [ToolResultPart("c1", [TextPart(""), ImagePart(b"png", "image/png")])]),
    )
    assert body["system"] == [{"type": "text", "text": "rules"}]
    _, call, result = body["messages"]
    assert call["content"] == [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]
    assert [block["type"] for block in result["content"][0]["content"]] == ["image"]
    assert encoded.dropped == ()


def test_breakpoints_mark_the_block_before_them() -> None:
    body, _ = sent(
        CODEC,
        AIMessage("system", [TextPart("rules"), CacheBreakpoint("1h")]),
        AIMessage("user", [TextPart("a"), CacheBreakpoint(), TextPart("b")]),
    )
    assert body["system"] == [{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "b"},
    ]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([TextPart("a"), *[CacheBreakpoint()] * 5], "at most 4 cache breakpoints, and here are 5"),
        ([CacheBreakpoint(), TextPart("a")], "stands behind what it keeps"),
        ([ReasoningPart("hm", "sig", origin="anthropic"), CacheBreakpoint()], "right behind reasoning"),
    ],
)
def test_breakpoints_that_cannot_be(parts: list[object], words: str) -> None:
    with pytest.raises(UnsupportedOptionError, match=words) as caught:
        sent(CODEC, AIMessage("user", parts))
    assert caught.value.option == "messages"


def test_a_prompt_cache_takes_one_of_the_breakpoints() -> None:
    """The vendor counts it with the others: "A maximum of 4 blocks with cache_control may be provided. Found 5."."""
    turn = AIMessage("user", [TextPart("a"), CacheBreakpoint()])
    body, _ = sent(CODEC, *[turn] * 3, cache=PromptCache())
    assert body["cache_control"] == {"type": "ephemeral"}
    with pytest.raises(UnsupportedOptionError, match="one of the request's 4 cache breakpoints") as caught:
        sent(CODEC, *[turn] * 4, cache=PromptCache())
    assert caught.value.option == "cache"


def test_a_tool_may_answer_with_an_image() -> None:
    result = ToolResultPart("t", [TextPart("see"), ImagePart(b"png", "image/png")])
    body, _ = sent(CODEC, AIMessage("tool", [result]))
    assert body["messages"][0]["content"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
    ]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"cache": PromptCache(ttl="1h")}, "cache_control", {"type": "ephemeral", "ttl": "1h"}),
        ({"metadata": {"user_id": "u1"}}, "metadata", {"user_id": "u1"}),
        ({"service_tier": "standard_only"}, "service_tier", "standard_only"),
        ({"parallel_tool_calls": False}, "tool_choice", {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"parallel_tool_calls": True, "tool_choice": "f", "tools": [Tool("f")]},
            "tool_choice",
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
        ),
        ({"reasoning": Reasoning(budget=2048)}, "thinking", {"type": "enabled", "budget_tokens": 2048}),
        ({"reasoning": Reasoning(show=False)}, "thinking", {"type": "adaptive", "display": "omitted"}),
        ({"reasoning": Reasoning(effort="high")}, "output_config", {"effort": "high"}),
        (
            {"response_format": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}},
            "output_config",
            {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {"n": {"type": "integer", "description": "minimum: 1"}},
                    },
                }
            },
        ),
    ],
)
def test_options(options: dict, field: str, value: object) -> None:
    assert sent(CODEC, USER, **options)[0][field] == value


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"cache": PromptCache(key="k")}, "cache"),
        ({"metadata": {"team": "a"}}, "metadata"),
        ({"reasoning": Reasoning(effort="enormous")}, "reasoning"),
        ({"response_format": "json"}, "response_format"),
    ],
)
def test_options_that_the_format_has_no_place_for(options: dict, option: str) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        sent(CODEC, USER, **options)
    assert caught.value.option == option
