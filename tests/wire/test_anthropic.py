"""Anthropic Messages: events to chunks, and whole answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import errors
from headrace._types import (
    AIStreamChunk,
    Citation,
    PartialToolCall,
    ReasoningPart,
    ToolCall,
    ToolCallDelta,
    VendorPart,
)
from headrace.streaming.machine import StreamMachine
from headrace.wire.anthropic import AnthropicCodec

from .strategies import EXPECTED, json_values, outcome
from .whole import merged

CODEC = AnthropicCodec()

START = (
    '{"type":"message_start","message":{"model":"claude-x","usage":'
    '{"input_tokens":5,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":1}}}'
)
STOP = '{"type":"message_stop"}'


def feed(*events: str) -> list[AIStreamChunk | None]:
    """What a fresh stream makes of these events."""
    decoder = CODEC.decoder(request_id="req_1")
    return [decoder.feed(str(json.loads(data)["type"]), data) for data in events]


def block(index: int, **fields: object) -> str:
    return json.dumps({"type": "content_block_start", "index": index, "content_block": fields})


def delta(index: int, **fields: object) -> str:
    return json.dumps({"type": "content_block_delta", "index": index, "delta": fields})


def stop(index: int) -> str:
    return json.dumps({"type": "content_block_stop", "index": index})


def ending(reason: str | None, **usage: object) -> str:
    return json.dumps({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage})


# ---------------------------------------------------------------- streams


def test_text_and_thinking_are_told_piece_by_piece() -> None:
    chunks = feed(
        START,
        '{"type": "ping"}',
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="c2ln"),
        stop(0),
        block(1, type="text", text=""),
        '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"h\\u00e9"}      }',
    )
    assert chunks[1:] == [
        None,
        None,
        AIStreamChunk("", reasoning="hm"),
        AIStreamChunk("", extra=({"type": "signature_delta", "index": 0, "signature": "c2ln"},)),
        AIStreamChunk("", parts=(ReasoningPart("hm", "c2ln", origin="anthropic"),)),
        None,
        AIStreamChunk("hé"),
    ]


def test_proof_comes_with_message_stop_and_not_before() -> None:
    start, told, final, late = feed(START, ending("end_turn", output_tokens=9), STOP, STOP)
    assert start is not None and told is not None and final is not None
    assert (start.meta.model, start.meta.request_id) == ("claude-x", "req_1")
    assert (told.finish_reason, told.is_final) == (None, False)
    assert (final.finish_reason, final.is_final, final.meta.raw_finish_reason) == ("stop", True, "end_turn")
    assert late is None


def test_stop_without_a_stop_reason_proves_nothing() -> None:
    final = feed(START, STOP)[1]
    assert final is not None and final.is_final and final.finish_reason is None


def test_done_of_a_gateway_is_final_and_after_the_stop_it_is_nothing() -> None:
    decoder = CODEC.decoder()
    assert decoder.feed("data", "[DONE]").is_final
    assert decoder.feed("data", "[DONE]") is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("a_new_reason", "a_new_reason"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    final = feed(START, ending(word), STOP)[-1]
    assert (final.finish_reason, final.meta.raw_finish_reason) == (reason, word)


def test_what_else_the_ending_says_is_handed_on() -> None:
    said = '{"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":"bio"}}'
    final = feed(START, f'{{"type":"message_delta","delta":{said},"usage":{{}}}}', STOP)[-1]
    assert final.extra == ({"type": "message_delta", "stop_details": {"type": "refusal", "category": "bio"}},)


def test_what_was_taken_out_of_the_context_is_handed_on() -> None:
    edits = '{"applied_edits":[{"type":"clear_tool_uses_20250919","cleared_tool_uses":3}]}'
    said = f'{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"context_management":{edits},"usage":{{}}}}'
    final = feed(START, said, STOP)[-1]
    assert final.extra == ({"type": "message_delta", "context_management": json.loads(edits)},)
    body = f'{{"content":[],"stop_reason":"end_turn","container":{{"id":"c_1"}},"context_management":{edits}}}'
    whole = CODEC.decode_body(body.encode())[-1]
    assert whole.extra == (
        {"type": "message_delta", "container": {"id": "c_1"}, "context_management": json.loads(edits)},
    )


def test_what_is_billed_beside_the_totals_is_counted() -> None:
    entry = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    iterations = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 7, **entry},
        {"type": "message", "input_tokens": 5, "output_tokens": 9, **entry},
        {"type": "advisor_message", "input_tokens": 30, "output_tokens": 4, **entry},
    ]
    final = feed(START, ending("end_turn", output_tokens=9, iterations=iterations), STOP)[-1]
    told = final.usage
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (10 + 130, 9 + 11, 160)
    assert told["raw"]["output_tokens"] == 9


def test_usage_counts_all_input_and_is_reported_once_the_stop_reason_came() -> None:
    start, early, late, final = feed(
        START,
        ending(None, output_tokens=4),
        ending("end_turn", input_tokens=None, output_tokens=9, output_tokens_details={"thinking_tokens": 6}),
        STOP,
    )
    assert start.usage["source"] == early.usage["source"] == "partial"
    assert late.usage == final.usage == {
        "prompt_tokens": 10,
        "completion_tokens": 9,
        "total_tokens": 19,
        "cached_tokens": 3,
        "cache_write_tokens": 2,
        "reasoning_tokens": 6,
        "source": "reported",
        "raw": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 6},
        },
    }  # fmt: skip
    assert early.usage["completion_tokens"] == 4, "an earlier chunk keeps what it told"


def test_tool_calls_are_numbered_and_end_with_their_block() -> None:
    chunks = feed(
        block(1, type="tool_use", id="toolu_1", name="f", input={}),
        delta(1, type="input_json_delta", partial_json=""),
        delta(1, type="input_json_delta", partial_json='{"a"'),
        delta(1, type="input_json_delta", partial_json=":1}"),
        stop(1),
        block(3, type="tool_use", id="toolu_2", name="g", input={}),
        stop(3),
        '{"type":"content_block_start","index":4,"content_block":'
        '{"type":"tool_use","id":"toolu_3","name":"h","input":{"x": 1.0}}}',
        stop(4),
        block(5, type="tool_use", id="toolu_4", name="i", input={"y": 2}),
        delta(5, type="input_json_delta", partial_json='{"y":2}'),
        stop(5),
    )
    assert [call for chunk in chunks if chunk for call in chunk.tool_calls] == [
        ToolCallDelta(0, "toolu_1", "f"),
        ToolCallDelta(0, arguments='{"a"'),
        ToolCallDelta(0, arguments=":1}"),
        ToolCallDelta(0, ended=True),
        ToolCallDelta(1, "toolu_2", "g"),
        ToolCallDelta(1, ended=True),
        ToolCallDelta(2, "toolu_3", "h"),
        ToolCallDelta(2, arguments='{"x": 1.0}', ended=True),
        ToolCallDelta(3, "toolu_4", "i"),
        ToolCallDelta(3, arguments='{"y":2}'),
        ToolCallDelta(3, ended=True),
    ]


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        ((ending("tool_use"), STOP), ToolCall),
        ((block(1, type="text", text="so"), stop(1), ending("max_tokens"), STOP), ToolCall),
        ((block(1, type="text", text=""), stop(1), ending("max_tokens"), STOP), ToolCall),
        ((ending("max_tokens"), STOP), PartialToolCall),
        ((), PartialToolCall),
    ],
    ids=["ended", "words follow", "a block follows", "limit", "cut"],
)
def test_a_block_that_ends_without_input_is_a_whole_call_only_if_no_limit_ended_it(
    after: tuple[str, ...], kind: type
) -> None:
    """The vendor ends the block of a call that a limit cut, too, and may have held back what there was of its input."""
    start = (START, block(0, type="tool_use", id="toolu_1", name="f", input={}))
    machine = StreamMachine(provider="anthropic")
    for chunk in feed(*start, delta(0, type="input_json_delta", partial_json=""), stop(0), *after):
        if chunk is not None:
            machine.feed(chunk)
    (call,) = machine.response.tool_calls
    assert (type(call), call.name, call.arguments) == (kind, "f", "")


@pytest.mark.parametrize(("reason", "kind"), [("tool_use", ToolCall), ("max_tokens", PartialToolCall)])
def test_a_whole_answer_that_a_limit_ended_has_no_whole_call_without_input(reason: str, kind: type) -> None:
    machine = StreamMachine(provider="anthropic")
    body = {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}], "stop_reason": reason}
    for chunk in CODEC.decode_body(json.dumps(body).encode()):
        machine.feed(chunk)
    assert [type(call) for call in machine.response.tool_calls] == [kind]


def test_a_call_of_the_vendors_tool_that_was_cut_by_a_limit_does_not_break_the_answer() -> None:
    chunks = feed(
        START,
        block(0, type="server_tool_use", id="srv", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"query": "sol'),
        stop(0),
        ending("max_tokens"),
        STOP,
    )
    assert chunks[2].extra == ({"type": "input_json_delta", "index": 0, "partial_json": '{"query": "sol'},)
    assert chunks[3] is None, "nobody would take it back"
    assert chunks[-1].finish_reason == "length"


def test_a_document_that_is_named_by_its_source_is_cited() -> None:
    found = {"type": "search_result_location", "source": "https://docs.test/a", "title": "A", "cited_text": "so"}
    (chunk,) = feed(delta(0, type="citations_delta", citation=found))
    assert chunk.parts == (Citation("https://docs.test/a", "A", "so", raw=found),)


@pytest.mark.parametrize(
    ("event", "extra"),
    [
        (
            block(2, type="redacted_thinking", data="b64"),
            {"type": "redacted_thinking", "index": 2, "data": "b64"},
        ),
        (
            block(2, type="server_tool_use", id="srv", name="web_search", input={}),
            {"type": "server_tool_use", "index": 2, "id": "srv", "name": "web_search", "input": {}},
        ),
        (
            delta(2, type="input_json_delta", partial_json='{"q":'),
            {"type": "input_json_delta", "index": 2, "partial_json": '{"q":'},
        ),
        (
            delta(2, type="citations_delta", citation={"url": "u"}),
            {"type": "citations_delta", "index": 2, "citation": {"url": "u"}},
        ),
        (
            delta(2, type="new_delta", text={"of": "another shape"}),
            {"type": "new_delta", "index": 2, "text": {"of": "another shape"}},
        ),
        (
            block(2, type="new_block", text=["of another shape"]),
            {"type": "new_block", "index": 2, "text": ["of another shape"]},
        ),
    ],
    ids=["redacted", "server-tool", "server-tool-input", "citation", "unknown-delta", "unknown-block"],
)
def test_content_without_a_field_of_ours_is_handed_on_raw(event: str, extra: dict[str, object]) -> None:
    (chunk,) = feed(event)
    assert (chunk.content, chunk.extra) == ("", (extra,))


@pytest.mark.parametrize(
    "data", ['{"type":"new_event","delta":7}', '{"type":"ping"}', '{"type":"new_event","index":"x"}', "{}"]
)
def test_unknown_events_are_skipped(data: str) -> None:
    assert CODEC.decoder().feed("message", data) is None


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","te',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}',
        '{"type":"content_block_delta","index":0}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud800"}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud800"}}',
        '{"type":"message_delta","delta":{"stop_reason":7}}',
        '{"type":"new_event","deep":' + "[" * 100_000,
        "null",
    ],
    ids=["cut", "number", "no-delta", "escaped-surrogate", "surrogate", "stop-reason", "deep", "null"],
)
def test_what_the_format_does_not_allow_is_never_skipped(data: str) -> None:
    with pytest.raises(errors.UndecodableEventError, match="anthropic: an event cannot be decoded"):
        CODEC.decoder().feed("message", data)


@pytest.mark.parametrize(
    ("event", "data", "kind", "code", "request_id"),
    [
        (
            "error",
            '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_9"}',
            errors.OverloadedError,
            "overloaded_error",
            "req_9",
        ),
        ("message", '{"error":{"type":"rate_limit_error"}}', errors.RateLimitError, "rate_limit_error", "req_1"),
        ("error", '{"type":"error","error":{"type":"new_error"}}', errors.ServerError, "new_error", "req_1"),
        ("error", '{"type":"error","error":"broken"}', errors.ServerError, None, "req_1"),
        (
            "error",
            '{"type":"overloaded_error","message":"busy"}',
            errors.OverloadedError,
            "overloaded_error",
            "req_1",
        ),
        ("error", '{"type":"overloaded_error"}', errors.OverloadedError, "overloaded_error", "req_1"),
        ("error", "upstream went away", errors.ServerError, None, "req_1"),
    ],
    ids=["overloaded", "no-event-name", "unknown-type", "a-string", "bare", "type-alone", "plain-text"],
)
def test_errors_in_mid_stream_are_typed(
    event: str, data: str, kind: type[Exception], code: str | None, request_id: str
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        CODEC.decoder(request_id="req_1").feed(event, data)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.request_id, caught.value.status) == (code, request_id, 200)


kinds = st.sampled_from([
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error", "x",
])  # fmt: skip


@given(kinds, st.dictionaries(st.sampled_from(["index", "delta", "content_block", "message", "usage"]), json_values))
@example("content_block_delta", {"delta": {"type": "x"}, "index": "y"})
def test_any_event_gives_a_chunk_or_nothing_or_an_error_of_ours(kind: str, fields: dict[str, object]) -> None:
    assert isinstance(outcome(CODEC, kind, fields | {"type": kind}), EXPECTED)


# ---------------------------------------------------------------- whole answers


def test_a_whole_answer_is_what_its_stream_would_have_brought() -> None:
    body = (
        b'{"type":"message","model":"claude-x","stop_reason":"tool_use","stop_sequence":null,"content":['
        b'{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"text","text":"Hi","citations":[{"url":"u"}]},'
        b'{"type":"mcp_tool_use","id":"m"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],'
        b'"usage":{"input_tokens":2,"output_tokens":3}}'
    )
    chunk = merged(CODEC.decode_body(body, request_id="req_1"))
    assert (chunk.content, chunk.reasoning, chunk.finish_reason, chunk.is_final) == ("Hi", "hm", "tool_calls", True)
    assert chunk.tool_calls == (ToolCallDelta(0, "toolu_1", "f"), ToolCallDelta(0, arguments='{"a":1}', ended=True))
    assert chunk.extra == (
        {"type": "signature_delta", "index": 0, "signature": "sig"},
        {"type": "citations_delta", "index": 1, "citation": {"url": "u"}},
        {"type": "mcp_tool_use", "index": 2, "id": "m"},
    )
    assert chunk.parts == (
        ReasoningPart("hm", "sig", origin="anthropic"),
        Citation("u", raw={"url": "u"}),
        VendorPart("anthropic", {"type": "mcp_tool_use", "id": "m"}),
    )
    assert chunk.usage is not None and (chunk.usage["total_tokens"], chunk.usage["cached_tokens"]) == (5, None)
    assert chunk.meta is not None and chunk.meta.raw_response == json.loads(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"error","error":{"type":"not_found_error","message":"m"}}', errors.NotFoundError),
        (b'{"type":"message"}', errors.UndecodableEventError),
        (b'{"content":[', errors.UndecodableEventError),
        (b"\xff", errors.UndecodableEventError),
        (b"", errors.UndecodableEventError),
    ],
    ids=["error", "no-content", "cut", "no-utf8", "empty"],
)
def test_a_body_that_is_no_answer(body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        CODEC.decode_body(body)
    assert type(caught.value) is kind
