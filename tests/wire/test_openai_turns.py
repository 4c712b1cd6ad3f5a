"""Chat Completions: what a model said goes back as its server wants it, what another's model said as far as it can."""

from __future__ import annotations

import pytest

from headrace import (
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from headrace.wire.openai import ChatCodec, Quirks

from .turns import heard, sent

CODEC = ChatCodec("openai")
ROUTER = ChatCodec("router", Quirks(reasoning="object"))
USER = AIMessage("user", "hi")
RESULT = AIMessage("tool", [ToolResultPart("call_1", "7")])
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"n":1.0}'}}

THOUGHTS = (
    '{"choices":[{"index":0,"delta":{"role":"assistant","FIELD":"let me "}}]}',
    '{"choices":[{"index":0,"delta":{"FIELD":"see"}}]}',
)
WORDS = (
    '{"choices":[{"index":0,"delta":{"content":"It "}}]}',
    '{"choices":[{"index":0,"delta":{"annotations":[{"type":"url_citation","url_citation":{"url":"u"}}]}}]}',
    '{"choices":[{"index":0,"delta":{"content":"is."}}]}',
)
TAIL = (
    '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":""}}]}}]}',
    '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"n\\":1.0}"}}]}}]}',
    '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
    "[DONE]",
)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_turn_goes_back_with_its_reasoning_in_the_field_that_takes_it(field: str) -> None:
    codec = ChatCodec("thinker", Quirks(reasoning_field=field))
    events = [event.replace("FIELD", "reasoning_content") for event in THOUGHTS]
    response = heard(codec, *events, *WORDS, *TAIL)
    body, encoded = sent(codec, USER, response.to_message(), RESULT)
    assert body["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "It is.", field: "let me see", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "7"},
    ]
    assert encoded.dropped == ()
    assert [citation.url for citation in response.citations] == ["u"]


def test_a_call_whose_input_is_no_json_goes_back_as_it_came() -> None:
    response = heard(
        CODEC,
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"custom",'
        '"custom":{"name":"sql","input":""}}]}}]}',
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":"SELECT "}}]}}]}',
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":"1"}}]}}]}',
        '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
    )
    assert (response.tool_calls, response.finish_reason) == ((), "tool_calls")
    body, encoded = sent(CODEC, USER, response.to_message(), RESULT)
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    assert body["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [custom]}
    assert encoded.dropped == ()


def test_reasoning_in_parts_of_the_content_goes_back_so() -> None:
    codec = ChatCodec("mistral", Quirks(reasoning_field="content"))
    events = (
        '{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}',
        '{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"It is."}]}}]}',
        '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    )
    body, encoded = sent(codec, USER, heard(codec, *events).to_message())
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert body["messages"][1:] == [{"role": "assistant", "content": [thinking, {"type": "text", "text": "It is."}]}]
    assert encoded.dropped == ()


def test_reasoning_that_no_field_takes_is_left_out_and_told() -> None:
    events = [event.replace("FIELD", "reasoning") for event in THOUGHTS]
    body, encoded = sent(CODEC, USER, heard(CODEC, *events, *WORDS, *TAIL).to_message())
    assert body["messages"][1:] == [{"role": "assistant", "content": "It is.", "tool_calls": [CALL]}]
    assert encoded.dropped == (
        "openai: reasoning, which the server takes back in no field of Chat Completions: left out",
    )


DETAILS = (
    '{"choices":[{"index":0,"delta":{"reasoning":"let me ","reasoning_details":'
    '[{"type":"reasoning.text","index":0,"text":"let me ","format":"f"}]}}]}',
    '{"choices":[{"index":0,"delta":{"reasoning":"see","reasoning_details":'
    '[{"type":"reasoning.text","index":0,"text":"see","format":"f"}]}}]}',
    '{"choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.encrypted","index":1,"data":"d"}]}}]}',
)


@pytest.mark.parametrize("last", [TAIL[-2:], TAIL[-1:]], ids=["finish-reason", "done-alone"])
def test_details_of_the_reasoning_go_back_whole(last: tuple[str, ...]) -> None:
    response = heard(ROUTER, *DETAILS, *WORDS, *TAIL[:2], *last)
    assert response.reasoning == "let me see"
    text = {"type": "reasoning.text", "index": 0, "text": "let me see", "format": "f"}
    turn = {
        "role": "assistant",
        "reasoning_details": [text, {"type": "reasoning.encrypted", "index": 1, "data": "d"}],
        "content": "It is.",
    }
    body, encoded = sent(ROUTER, USER, response.to_message())
    (told,) = body["messages"][1:]
    assert {key: told[key] for key in turn} == turn
    assert encoded.dropped == ()


def test_details_of_another_server_are_left_out_and_told() -> None:
    response = heard(ROUTER, *DETAILS, *WORDS, *TAIL)
    body, encoded = sent(CODEC, USER, response.to_message(), RESULT)
    assert body["messages"][1] == {"role": "assistant", "content": "It is.", "tool_calls": [CALL]}
    assert encoded.dropped == ("openai: the reasoning of router: left out",)


def test_what_the_vendor_s_other_format_left_goes_as_far_as_it_can() -> None:
    said = [
        VendorPart("openai", {"type": "reasoning", "encrypted_content": "g"}, ReasoningPart("hm", origin="openai")),
        VendorPart("openai", {"type": "web_search_call", "id": "ws_1"}),
        VendorPart("openai", {"type": "message", "phase": "final_answer"}, TextPart("")),
        TextPart("It is."),
    ]
    body, encoded = sent(CODEC, USER, AIMessage("assistant", said))
    assert body["messages"][1:] == [{"role": "assistant", "content": "It is."}]
    assert encoded.dropped == (
        "openai: what Chat Completions has no field for (web_search_call): left out",
        "openai: reasoning, which the server takes back in no field of Chat Completions: left out",
    )


def test_what_another_vendor_s_model_said_goes_as_far_as_it_can() -> None:
    said = [
        ReasoningPart("hm", "sig", origin="anthropic"),
        VendorPart("anthropic", {"type": "server_tool_use"}),
        VendorPart("gemini", {"type": "x"}, TextPart("It ")),
        TextPart("is."),
        ImagePart(b"\1", "image/png"),
        ToolCall("call_1", "f", '{"n":1.0}'),
    ]
    body, encoded = sent(CODEC, USER, AIMessage("assistant", said))
    assert body["messages"][1:] == [{"role": "assistant", "content": "It is.", "tool_calls": [CALL]}]
    assert encoded.dropped == (
        "openai: the reasoning of anthropic: left out",
        "openai: what only anthropic understands (server_tool_use): left out",
        "openai: ImagePart in a message of the assistant, which holds text and calls: left out",
    )


def test_a_turn_of_which_nothing_can_be_sent_is_no_turn() -> None:
    said = AIMessage("assistant", [ReasoningPart("hm", origin="anthropic")])
    body, encoded = sent(CODEC, USER, said, USER)
    assert body["messages"] == [{"role": "user", "content": "hi"}] * 2
    assert encoded.dropped == ("openai: the reasoning of anthropic: left out",)


def test_reasoning_that_is_made_by_hand_goes_to_every_server_that_takes_it() -> None:
    codec = ChatCodec("thinker", Quirks(reasoning_field="reasoning"))
    body, _ = sent(codec, AIMessage("assistant", [ReasoningPart("hm"), TextPart("a")]))
    assert body["messages"] == [{"role": "assistant", "content": "a", "reasoning": "hm"}]


def test_a_content_part_of_the_vendor_s_own_goes_as_it_is() -> None:
    video = {"type": "video_url", "video_url": {"url": "u"}}
    body, _ = sent(ROUTER, AIMessage("user", [TextPart("See"), VendorPart("router", video)]))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "See"}, video]}]


def test_an_author_s_name_goes_where_the_server_has_a_field_for_it() -> None:
    body, encoded = sent(ChatCodec("other", Quirks(names=False)), AIMessage("user", "Hi", name="ann"))
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert encoded.dropped == ("other: an author's name, for which the server has no field: left out",)


# ---------------------------------------------------------------- cache breakpoints

MARK = {"mode": "explicit"}


def test_a_breakpoint_stands_on_the_part_before_it() -> None:
    image = ImagePart("https://x/y.png")
    body, encoded = sent(
        CODEC,
        AIMessage("system", [TextPart("Long."), CacheBreakpoint("12h")]),
        AIMessage("user", [TextPart("See"), image, CacheBreakpoint(), TextPart("Now")]),
        AIMessage("tool", [ToolResultPart("c1", "1"), CacheBreakpoint()]),
        AIMessage("tool", [ToolResultPart("c2", [TextPart("a"), TextPart("b")]), CacheBreakpoint()]),
        AIMessage("assistant", [TextPart("So."), CacheBreakpoint(), TextPart("Yes.")]),
    )
    text = {"type": "text"}
    assert body["messages"] == [
        {
            "role": "system",
            "content": [{**text, "text": "Long.", "prompt_cache_breakpoint": {**MARK, "ttl": "12h"}}],
        },
        {
            "role": "user",
            "content": [
                {**text, "text": "See"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}, "prompt_cache_breakpoint": MARK},
                {**text, "text": "Now"},
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{**text, "text": "1", "prompt_cache_breakpoint": MARK}],
        },
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{**text, "text": "a"}, {**text, "text": "b", "prompt_cache_breakpoint": MARK}],
        },
        {
            "role": "assistant",
            "content": [{**text, "text": "So.", "prompt_cache_breakpoint": MARK}, {**text, "text": "Yes."}],
        },
    ]
    assert encoded.dropped == ()


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_breakpoint_that_nothing_stands_before_is_left_out_and_told(role: str) -> None:
    body, encoded = sent(CODEC, AIMessage(role, [CacheBreakpoint(), TextPart("a")]))
    assert body["messages"] == [{"role": role, "content": "a"}]
    assert encoded.dropped == (
        "openai: a cache breakpoint that has no text or media before it in its message: left out",
    )


def test_a_server_without_breakpoints_is_sent_none() -> None:
    body, encoded = sent(ROUTER, AIMessage("user", [TextPart("a"), CacheBreakpoint()]))
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert encoded.dropped == ("router: a cache breakpoint, which this vendor does not take: left out",)


def test_sound_that_another_s_model_made_is_left_out_and_told() -> None:
    _, encoded = sent(CODEC, AIMessage("assistant", [TextPart("a"), AudioPart(b"\1", "audio/wav")]))
    assert encoded.dropped == ("openai: AudioPart in a message of the assistant, which holds text and calls: left out",)
