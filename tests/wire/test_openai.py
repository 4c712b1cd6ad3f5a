"""Chat Completions: events to chunks, and whole answers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import errors
from headrace._types import (
    AIStreamChunk,
    Citation,
    ImagePart,
    PartialToolCall,
    ReasoningPart,
    ToolCall,
    ToolCallDelta,
    VendorPart,
)
from headrace.streaming.machine import StreamMachine
from headrace.wire._codec import SaidThenFailed
from headrace.wire.openai import COMPATIBLE, GROK, ChatCodec

from .strategies import EXPECTED, outcome

CODEC = ChatCodec("openai")
XAI = ChatCodec("grok", GROK)
OTHER = ChatCodec("other", COMPATIBLE)


def feed(*events: str, codec: ChatCodec = CODEC) -> list[AIStreamChunk | None]:
    """What a fresh stream makes of these events."""
    decoder = codec.decoder(request_id="req_1")
    return [decoder.feed("message", data) for data in events]


def one(data: str, codec: ChatCodec = CODEC) -> AIStreamChunk:
    (chunk,) = feed(data, codec=codec)
    assert chunk is not None
    return chunk


def delta(fields: str) -> str:
    return '{"choices":[{"index":0,"delta":' + fields + "}]}"


# ---------------------------------------------------------------- words


def test_a_stream_in_its_usual_form() -> None:
    role, words, end, tokens, done = feed(
        '{"model":"gpt-x","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},'
        '"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"ab"}',
        '{"model":"gpt-x","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}',
        '{"model":"gpt-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}',
        '{"model":"gpt-x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
        "[DONE]",
    )
    assert role is not None and role.meta is not None
    assert (role.content, role.meta.model, role.meta.request_id) == ("", "gpt-x", "req_1")
    assert words == AIStreamChunk("Hi")
    assert end is not None and end.meta is not None
    assert (end.finish_reason, end.meta.raw_finish_reason, end.is_final) == ("stop", "stop", False)
    assert tokens is not None and tokens.usage is not None
    assert (tokens.usage["total_tokens"], tokens.usage["source"], tokens.finish_reason) == (5, "reported", None)
    assert done == AIStreamChunk("", is_final=True)


@pytest.mark.parametrize(
    ("fields", "content", "reasoning", "refusal"),
    [
        ('{"content":"a"}', "a", "", ""),
        ('{"content":null,"reasoning_content":"a"}', "", "a", ""),
        ('{"content":"","reasoning":"a"}', "", "a", ""),
        ('{"reasoning_content":"a","reasoning":"b"}', "", "a", ""),
        ('{"reasoning_content":"","reasoning":"b"}', "", "b", ""),
        ('{"content":"a","reasoning":"b"}', "a", "b", ""),
        ('{"refusal":"No"}', "", "", "No"),
        ('{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}', "ab", "", ""),
        ('{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}],"closed":true}]}', "", "t", ""),
        ('{"content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"}]}', "a", "t", ""),
        ('{"content":["a",{"type":"text","text":"b"}]}', "ab", "", ""),
        ('{"reasoning":{"text":"a"}}', "", "a", ""),
        ('{"reasoning_content":[{"type":"text","text":"a"},"b"]}', "", "ab", ""),
        ('{"content":"\\ud83d\\ude00\\u202f"}', "😀\u202f", "", ""),
        (
            '{"reasoning_details":[{"type":"reasoning.text","text":"a"},{"type":"reasoning.summary","summary":"b"}]}',
            "",
            "ab",
            "",
        ),
    ],
    ids=[
        "text",
        "reasoning_content",
        "reasoning",
        "both-fields",
        "second-field",
        "with-text",
        "refusal",
        "text-parts",
        "thinking-part",
        "thinking-and-text",
        "bare-texts",
        "reasoning-object",
        "reasoning-parts",
        "escapes",
        "details",
    ],
)
def test_words_of_each_kind(fields: str, content: str, reasoning: str, refusal: str) -> None:
    chunk = one(delta(fields))
    assert (chunk.content, chunk.reasoning, chunk.refusal) == (content, reasoning, refusal)
    assert (chunk.tool_calls, chunk.extra, chunk.finish_reason, chunk.meta) == ((), (), None, None)


@pytest.mark.parametrize(
    "data",
    [
        "{}",
        '{"choices":[]}',
        '{"choices":null,"type":"ping"}',
        '{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
        '{"choices":[{"index":0}]}',
        '{"choices":[{"index":0,"delta":null,"content_filter_offsets":{}}]}',
        '{"choices":[{"index":0,"delta":{"content":""},"finish_reason":""}]}',
        '{"choices":[{"index":1,"delta":{"content":"the other answer"}}]}',
        '{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}',
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}],"images":[]}}],"error":null,"x_groq":{"id":"r"}}',
        " ",
    ],
    ids=[
        "empty",
        "no-choices",
        "null-choices",
        "prompt-filter",
        "no-delta",
        "null-delta",
        "empty-strings",
        "other-choice",
        "other-choice-s-end",
        "empty-pieces",
        "blank",
    ],
)
def test_an_event_that_brings_nothing_gives_nothing(data: str) -> None:
    assert feed(data) == [None]


def test_reasoning_in_parts_with_a_signature_is_told_and_handed_on() -> None:
    part = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t", "signature": "s"}]}
    chunk = one(delta(json.dumps({"content": [part, {"type": "text", "text": "a"}]})))
    assert (chunk.content, chunk.reasoning, chunk.extra) == ("a", "t", ({"content": part},))


def test_of_several_answers_in_one_event_the_first_is_read() -> None:
    data = '{"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}'
    assert one(data).content == "a"


def test_the_model_is_told_when_it_changes() -> None:
    event = '{"model":"MODEL","choices":[{"index":0,"delta":{"content":"a"}}]}'
    chunks = feed(*(event.replace("MODEL", name) for name in ("", "m", "m", "n")))
    assert [chunk and chunk.meta and chunk.meta.model for chunk in chunks] == [None, "m", None, "n"]


@pytest.mark.parametrize("data", ["[DONE]", " [DONE]", "[DONE] "], ids=["usual", "space-before", "space-after"])
def test_done_is_the_sentinel_and_no_proof(data: str) -> None:
    assert feed(data) == [AIStreamChunk("", is_final=True, finish_reason=None)]


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("tool_use", "tool_calls"),
        ("sensitive", "content_filter"),
        ("insufficient_system_resource", "insufficient_system_resource"),
    ],
)
def test_finish_reasons(word: str, reason: str) -> None:
    chunk = one('{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"' + word + '"}]}')
    assert chunk.meta is not None
    assert (chunk.content, chunk.finish_reason, chunk.meta.raw_finish_reason) == ("x", reason, word)


def test_a_repeated_finish_reason_is_no_error_and_the_last_one_wins() -> None:
    end = '{"choices":[{"index":0,"delta":{},"finish_reason":"WORD"}]}'
    chunks = feed(end.replace("WORD", "tool_calls"), end.replace("WORD", "stop"))
    assert [chunk and chunk.finish_reason for chunk in chunks] == ["tool_calls", "stop"]


def test_a_stop_after_a_refusal_is_a_refusal() -> None:
    _, end = feed(delta('{"refusal":"No."}'), '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
    assert end is not None and end.meta is not None
    assert (end.finish_reason, end.meta.raw_finish_reason) == ("refusal", "stop")


def test_a_stop_after_calls_means_the_calls() -> None:
    """So answer OpenAI where a tool was asked for by its name, and servers that know one word for every end."""
    _, end = feed(
        delta('{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}'),
        '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    )
    assert end is not None and end.meta is not None
    assert (end.finish_reason, end.meta.raw_finish_reason) == ("tool_calls", "stop")


# ---------------------------------------------------------------- tool calls


def test_a_tool_call_in_pieces() -> None:
    chunks = feed(
        delta('{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}'),
        delta('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\""}}]}'),
        delta('{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}'),
    )
    assert [chunk and chunk.tool_calls for chunk in chunks] == [
        (ToolCallDelta(0, "call_1", "f"),),
        (ToolCallDelta(0, arguments='{"a"'),),
        (ToolCallDelta(0, arguments=":1}"),),
    ]


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (
            (
                '{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}',
                '{"index":0,"function":{"arguments":"}"}}',
            ),
            (ToolCallDelta(0, "a", "f", "{"), ToolCallDelta(0, arguments="}")),
        ),
        (
            ('{"index":0,"id":"a","function":{"name":"f"}}', '{"index":1,"id":"b","function":{"name":"g"}}'),
            (ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g")),
        ),
        (
            ('{"index":0,"id":"a","function":{"name":"f"}}', '{"index":0,"id":"b","function":{"name":"f"}}'),
            (ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "f")),
        ),
        (
            (
                '{"index":0,"id":"a","function":{"name":"f","arguments":"["}}',
                '{"index":0,"id":"a","function":{"name":"f","arguments":"]"}}',
            ),
            (ToolCallDelta(0, "a", "f", "["), ToolCallDelta(0, arguments="]")),
        ),
        (
            (
                '{"id":"a","function":{"name":"f"}}',
                '{"id":"b","function":{"name":"g"}}',
                '{"id":"a","function":{"arguments":"1"}}',
            ),
            (ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g"), ToolCallDelta(0, arguments="1")),
        ),
        (
            ('{"function":{"name":"f"}}', '{"function":{"arguments":"1"}}', '{"function":{"name":"f"}}'),
            (ToolCallDelta(0, "", "f"), ToolCallDelta(0, arguments="1"), ToolCallDelta(1, "", "f")),
        ),
        (
            (
                '{"index":0,"function":{"name":"f","arguments":"{}"}}',
                '{"index":0,"function":{"name":"g","arguments":"{}"}}',
            ),
            (ToolCallDelta(0, "", "f", "{}"), ToolCallDelta(1, "", "g", "{}")),
        ),
        (
            ('{"index":0,"id":"a","function":{"name":"f","arguments":null}}',),
            (ToolCallDelta(0, "a", "f", ""),),
        ),
        (
            ('{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}',),
            (ToolCallDelta(0, "a", "f", '{"x":1}'),),
        ),
    ],
    ids=[
        "by-index",
        "parallel",
        "new-id-under-a-used-index",
        "id-repeated",
        "without-index",
        "without-either",
        "new-name-under-a-used-index",
        "null-arguments",
        "arguments-an-object",
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one-event", "one-each"])
def test_which_call_a_piece_belongs_to(
    pieces: tuple[str, ...], told: tuple[ToolCallDelta, ...], together: bool
) -> None:
    lists = [",".join(pieces)] if together else list(pieces)
    chunks = feed(*(delta('{"tool_calls":[' + items + "]}") for items in lists))
    assert tuple(call for chunk in chunks if chunk is not None for call in chunk.tool_calls) == told


def test_the_old_function_call_is_a_tool_call_without_an_id() -> None:
    first, second = feed(
        delta('{"content":null,"function_call":{"name":"f","arguments":""}}'),
        delta('{"function_call":{"arguments":"{}"}}'),
    )
    assert first is not None and first.tool_calls == (ToolCallDelta(0, "", "f"),)
    assert second is not None and second.tool_calls == (ToolCallDelta(0, arguments="{}"),)


# ---------------------------------------------------------------- what has no field


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        (delta('{"content":"a","annotations":[{"url":"u"}]}'), ({"annotations": [{"url": "u"}]},)),
        (delta('{"audio":{"data":"AA=="}}'), ({"audio": {"data": "AA=="}},)),
        (delta('{"images":[{"x":1}]}'), ({"images": [{"x": 1}]},)),
        (delta('{"content":"a","executed_tools":[{"index":0}]}'), ({"executed_tools": [{"index": 0}]},)),
        (delta('{"content":"a","context":{"citations":[1]}}'), ({"context": {"citations": [1]}},)),
        ('{"choices":[],"moderation":{"input":{"flagged":true}}}', ({"moderation": {"input": {"flagged": True}}},)),
        (
            delta('{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"sql","input":""}}]}'),
            (
                {
                    "tool_calls": [
                        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}},
                    ]
                },
            ),
        ),
        (delta('{"content":{"answer":42}}'), ({"content": {"answer": 42}},)),
        (
            delta('{"content":[{"type":"reference","reference_ids":[1]}]}'),
            ({"content": {"type": "reference", "reference_ids": [1]}},),
        ),
        (delta('{"reasoning_details":[{"data":"xx"}]}'), ({"reasoning_details": [{"data": "xx"}]},)),
        (delta('{"reasoning":"r","reasoning_details":[{"text":"r"}]}'), ()),
        (delta('{"reasoning_details":[{"text":"r"}]}'), ()),
        (
            delta('{"reasoning":"r","reasoning_details":[{"signature":"s"}]}'),
            ({"reasoning_details": [{"signature": "s"}]},),
        ),
        (
            '{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"logprob":-1}],"refusal":null}}]}',
            ({"logprobs": {"content": [{"logprob": -1}], "refusal": None}},),
        ),
        ('{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":null,"refusal":null}}]}', ()),
        ('{"citations":["u"],"choices":[{"index":0,"delta":{"content":"a"}}]}', ({"citations": ["u"]},)),
        ('{"search_results":["u"],"choices":[{"index":0,"delta":{"content":"a"}}]}', ({"search_results": ["u"]},)),
    ],
    ids=[
        "annotations",
        "audio",
        "images",
        "tools-that-the-server-ran",
        "context",
        "moderation",
        "custom-call",
        "content-object",
        "unknown-part",
        "encrypted-reasoning",
        "reasoning-twice",
        "reasoning-in-details-alone",
        "signature",
        "logprobs",
        "no-logprobs",
        "citations",
        "search-results",
    ],
)
def test_content_without_a_field_of_its_own_is_handed_on(data: str, extra: tuple[object, ...]) -> None:
    assert one(data).extra == extra


def test_sources_that_come_with_every_event_are_told_when_they_change() -> None:
    event = '{"citations":LIST,"search_results":[{"url":"u"}],"choices":[{"index":0,"delta":{"content":"a"}}]}'
    chunks = feed(*(event.replace("LIST", urls) for urls in ('["u"]', '["u"]', '["u","v"]')))
    assert [chunk and chunk.extra for chunk in chunks] == [
        ({"search_results": [{"url": "u"}]}, {"citations": ["u"]}),
        (),
        ({"citations": ["u", "v"]},),
    ]


# ---------------------------------------------------------------- what has a type beside the words

PIXEL = "data:image/png;base64,AQ=="


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (
            delta(
                '{"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"T","start_index":3,'
                '"end_index":5,"content":"words"}},{"type":"file","file":{}}]}'
            ),
            (Citation("u", "T", "words", 3, 5),),
        ),
        (delta('{"annotations":[{"type":"url_citation","url":"u","title":""}]}'), (Citation("u"),)),
        (
            delta('{"images":[{"type":"image_url","image_url":{"url":"' + PIXEL + '"}}]}'),
            (ImagePart(b"\1", "image/png"),),
        ),
        (delta('{"images":[{"image_url":{"url":"https://x/y.png"}}]}'), (ImagePart("https://x/y.png"),)),
        (delta('{"images":[{"image_url":{"url":"data:image/png;base64,A"}},{"x":1},7]}'), ()),
        ('{"citations":["u"],"choices":[]}', (Citation("u"),)),
        (
            '{"citations":["v","u"],"search_results":[{"url":"u","title":"T","snippet":"words"},{"title":"no url"}]}',
            (Citation("u", "T", "words"), Citation("v")),
        ),
    ],
    ids=["annotation", "flat-annotation", "image", "image-url", "no-image", "citations", "sources"],
)
def test_what_has_a_type_comes_as_parts(data: str, parts: tuple[object, ...]) -> None:
    found = one(data).parts
    assert tuple(replace(part, raw=None) if isinstance(part, Citation) else part for part in found) == parts


def test_a_source_is_told_once_although_every_event_repeats_the_lists() -> None:
    event = '{"citations":LIST,"choices":[{"index":0,"delta":{"content":"a"}}]}'
    chunks = feed(*(event.replace("LIST", urls) for urls in ('["u"]', '["u"]', '["u","v"]')))
    assert [chunk and chunk.parts for chunk in chunks] == [(Citation("u"),), (), (Citation("v"),)]


DETAIL = '{"reasoning_details":[{"type":"reasoning.text","index":0,"text":"TEXT","format":"f"}]}'


def test_details_of_the_reasoning_are_put_together_and_told_before_the_call_they_belong_to() -> None:
    first, second, signed, call = feed(
        delta(DETAIL.replace("TEXT", "let me ")),
        delta(DETAIL.replace("TEXT", "see")),
        delta('{"reasoning_details":[{"type":"reasoning.text","index":0,"text":null,"signature":"s"},'
              '{"type":"reasoning.encrypted","index":1,"data":"d"}]}'),
        delta('{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}'),
    )  # fmt: skip
    assert (first and first.reasoning, second and second.reasoning) == ("let me ", "see")
    assert signed is not None and signed.parts == ()
    assert call is not None and call.parts == (
        VendorPart(
            "openai",
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "text": "let me see", "format": "f", "signature": "s"},
                    {"type": "reasoning.encrypted", "index": 1, "data": "d"},
                ]
            },
            ReasoningPart("let me see", origin="openai"),
        ),
    )


def test_two_signed_texts_are_two_details() -> None:
    piece = '{"reasoning_details":[{"type":"reasoning.text","index":0,"text":"a","signature":"s"}]}'
    *_, end = feed(delta(piece), delta(piece), "[DONE]")
    detail = {"type": "reasoning.text", "index": 0, "text": "a", "signature": "s"}
    assert end is not None
    assert end.parts == (
        VendorPart("openai", {"reasoning_details": [detail, detail]}, ReasoningPart("aa", origin="openai")),
    )


# ---------------------------------------------------------------- usage


FULL = (
    '{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4,'
    '"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":5}}'
)


@pytest.mark.parametrize(
    "data",
    [
        '{"choices":[],"usage":' + FULL + "}",
        '{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":' + FULL + "}",
        '{"choices":[{"index":0,"delta":{}}],"x_groq":{"usage":' + FULL + "}}",
        '{"choices":[{"index":0,"delta":{},"usage":' + FULL + "}]}",
        '{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":' + FULL + "}",
    ],
    ids=["of-its-own", "with-the-last-content", "x_groq", "in-the-choice", "with-every-content"],
)
def test_usage_is_found_where_servers_put_it(data: str) -> None:
    chunk = one(data)
    source = "partial" if chunk.finish_reason is None else "reported"
    assert chunk.usage == {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "cached_tokens": 4,
        "cache_write_tokens": 2,
        "reasoning_tokens": 5,
        "source": source,
        "raw": json.loads(FULL),
    }


def test_usage_after_the_finish_reason_is_reported() -> None:
    _, chunk = feed(
        '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', '{"choices":[],"usage":' + FULL + "}"
    )
    assert chunk is not None and chunk.usage is not None and chunk.usage["source"] == "reported"


@pytest.mark.parametrize(
    ("field", "ours"),
    [
        ("prompt_cache_hit_tokens", "cached_tokens"),
        ("cached_tokens", "cached_tokens"),
        ("cache_read_input_tokens", "cached_tokens"),
        ("cache_creation_input_tokens", "cache_write_tokens"),
        ("reasoning_tokens", "reasoning_tokens"),
    ],
)
def test_details_of_usage_are_found_beside_it_as_well(field: str, ours: str) -> None:
    used = one(f'{{"choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":5,"{field}":4}}}}').usage
    assert used is not None
    assert (used[ours], used["prompt_tokens"], used["completion_tokens"], used["total_tokens"]) == (4, 9, 5, 14)


@pytest.mark.parametrize(
    ("prompt", "completion", "total", "cached", "reasoning", "billed"),
    [
        (702, 17, 839, 680, 120, (702, 137, 839)),
        (9, 10, 19, None, None, (9, 10, 19)),
        (10, 30, 40, 0, 20, (10, 30, 40)),
        (10, 30, None, 0, 20, (10, 50, 60)),
        (100, 10, 110, 150, 0, (250, 10, 260)),
    ],
    ids=["apart", "no-details", "counted-in-already", "no-total", "cached-beside-the-prompt"],
)
def test_reasoning_beside_the_completion_is_billed_too(
    prompt: int, completion: int, total: int | None, cached: int | None, reasoning: int | None, billed: tuple[int, ...]
) -> None:
    raw = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    used = one(json.dumps({"choices": [], "usage": raw}), codec=XAI).usage
    assert used is not None
    assert (used["prompt_tokens"], used["completion_tokens"], used["total_tokens"]) == billed
    assert (used["cached_tokens"], used["reasoning_tokens"], used["raw"]) == (cached, reasoning, raw)


def test_an_unknown_count_stays_unknown() -> None:
    used = one(
        '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":"many","prompt_tokens_details":null}}'
    ).usage
    assert used is not None
    assert (used["prompt_tokens"], used["completion_tokens"], used["total_tokens"]) == (3, None, None)
    assert (used["cached_tokens"], used["reasoning_tokens"]) == (None, None)


# ---------------------------------------------------------------- errors in mid-stream


@pytest.mark.parametrize(
    ("event", "data", "kind", "code"),
    [
        ("message", '{"error":{"message":"m","type":"server_error","code":null}}', errors.ServerError, "server_error"),
        (
            "message",
            '{"error":{"message":"m","code":502},"choices":[{"delta":{"content":""}}]}',
            errors.ServerError,
            "502",
        ),
        ("message", '{"error":{"message":"m","code":429}}', errors.RateLimitError, "429"),
        ("message", '{"error":"something broke"}', errors.ServerError, None),
        ("message", '{"choices":[{"index":0,"error":{"code":503,"message":"m"}}]}', errors.OverloadedError, "503"),
        (
            "message",
            '{"choices":[],"x_groq":{"id":"req_2","error":"over_capacity"}}',
            errors.OverloadedError,
            None,
        ),
        (
            "message",
            '[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]',
            errors.InvalidRequestError,
            "INVALID_ARGUMENT",
        ),
        (
            "message",
            '{"object":"error","message":"m","type":"BadRequestError","code":400}',
            errors.InvalidRequestError,
            "BadRequestError",
        ),
        (
            "error",
            '{"error":{"message":"m","code":"tool_use_failed","status_code":400}}',
            errors.InvalidRequestError,
            "tool_use_failed",
        ),
        ("error", "the connection to the engine was lost", errors.ServerError, None),
        ("error", '{"detail":"failed to decode"}', errors.ServerError, None),
        ("error", '{"choices":[{"index":0,"delta":{"content":"a"}}]}', errors.ServerError, None),
        (
            "message",
            '{"error":{"message":"quota","code":"insufficient_quota"}}',
            errors.QuotaExceededError,
            "insufficient_quota",
        ),
    ],
    ids=[
        "type",
        "beside-choices",
        "status-as-code",
        "a-string",
        "in-the-choice",
        "x_groq",
        "in-a-list",
        "flat",
        "status_code",
        "plain-text",
        "detail",
        "in-the-shape-of-words",
        "quota",
    ],
)
def test_an_error_in_mid_stream_is_what_the_same_refusal_would_be(
    event: str, data: str, kind: type[Exception], code: str | None
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        OTHER.decoder(request_id="req_1").feed(event, data)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.request_id, caught.value.status) == (code, "req_1", 200)
    assert caught.value.provider == "other"


@pytest.mark.parametrize(
    "rest",
    ['"error":{"message":"boom","code":502}', '"x":1'],
    ids=["an error beside the choices", "the finish reason is an error"],
)
def test_words_in_an_event_that_is_an_error_are_not_lost(rest: str) -> None:
    reason = "null" if "boom" in rest else '"error"'
    data = f'{{"choices":[{{"index":0,"delta":{{"content":"last words"}},"finish_reason":{reason}}}],{rest}}}'
    with pytest.raises(SaidThenFailed) as caught:
        OTHER.decoder().feed("message", data)
    assert caught.value.chunk.content == "last words" and caught.value.chunk.finish_reason is None
    assert isinstance(caught.value.error, errors.ProviderError)


@pytest.mark.parametrize("word", ["error", "stop"])
def test_the_finish_reason_of_an_error_is_told_and_is_no_proof(word: str) -> None:
    data = f'{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{word}"}}],"error":{{"code":502}}}}'
    with pytest.raises(SaidThenFailed) as caught:
        OTHER.decoder().feed("message", data)
    chunk = caught.value.chunk
    assert (chunk.finish_reason, chunk.meta and chunk.meta.raw_finish_reason) == (None, word)
    assert isinstance(caught.value.error, errors.ServerError)


@pytest.mark.parametrize(
    "choices", ["[]", '[{"index":0,"delta":{},"finish_reason":"stop"}]'], ids=["no choice", "a finish reason"]
)
def test_usage_in_an_event_that_is_an_error_is_not_lost_and_proves_no_end(choices: str) -> None:
    data = f'{{"choices":{choices},"usage":{{"prompt_tokens":3}},"error":{{"message":"boom","code":502}}}}'
    with pytest.raises(SaidThenFailed, match="boom") as caught:
        OTHER.decoder().feed("message", data)
    chunk = caught.value.chunk
    assert chunk.usage is not None and (chunk.usage["prompt_tokens"], chunk.usage["source"]) == (3, "partial")
    assert chunk.finish_reason is None


@pytest.mark.parametrize(
    "data",
    [
        "nonsense",
        '{"choices":[',
        "5",
        "null",
        "[]",
        '{"choices":[{"index":0,"delta":{"content":5}}]}',
        '{"choices":{}}',
        '{"a":' + "[" * 20_000,
        '{"choices":[{"delta":{"content":"\\ud800"}}]}',
        '{"x":"\ud800"}',
    ],
    ids=[
        "text",
        "cut",
        "number",
        "null",
        "list",
        "content-a-number",
        "choices-an-object",
        "deep",
        "half-escape",
        "half",
    ],
)
def test_an_event_that_cannot_be_decoded_is_never_skipped(data: str) -> None:
    with pytest.raises(errors.UndecodableEventError, match="openai: an event cannot be decoded"):
        feed(data)


KEYS = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "index",
        "finish_reason",
        "tool_calls",
        "function",
        "function_call",
        "id",
        "name",
        "arguments",
        "usage",
        "error",
        "code",
        "type",
        "text",
        "thinking",
        "model",
        "x_groq",
        "citations",
        "metadata",
        "prompt_tokens",
        "prompt_tokens_details",
        "reasoning",
        "reasoning_details",
        "logprobs",
        "raw",
        "headers",
        "detail",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["stop", "error", "text", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)
CHOICES = st.builds(
    lambda value: {"choices": [{"index": 0, "delta": value}]}, st.dictionaries(KEYS, VALUES, max_size=6)
)


@given(VALUES | CHOICES | st.dictionaries(KEYS, VALUES, max_size=6), st.sampled_from(["message", "error"]))
@example({"error": {"metadata": {"raw": '{"error":' * 2000, "headers": []}}}, "message")
@example({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {}}}]}}]}, "message")
@example({"usage": {"prompt_tokens": 1e300, "completion_tokens": -1}}, "message")
def test_any_event_gives_a_chunk_or_nothing_or_an_error_of_ours(value: object, event: str) -> None:
    for codec in (CODEC, XAI):
        assert isinstance(outcome(codec, event, value), EXPECTED)


# ---------------------------------------------------------------- whole answers


def test_a_whole_answer_is_one_chunk() -> None:
    body = (
        b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-x","choices":[{"index":0,"message":{"role":'
        b'"assistant","content":"Hi","refusal":null,"reasoning_content":"hm","annotations":[],"tool_calls":[{"id":"a",'
        b'"type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":'
        b'{"name":"g","arguments":""}}]},"logprobs":null,"finish_reason":"tool_calls"}],'
        b'"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}'
    )
    (chunk,) = CODEC.decode_body(body, request_id="req_1")
    assert (chunk.content, chunk.reasoning, chunk.finish_reason, chunk.is_final) == ("Hi", "hm", "tool_calls", True)
    assert chunk.tool_calls == (ToolCallDelta(0, "a", "f", "{}", ended=True), ToolCallDelta(1, "b", "g", ended=True))
    assert chunk.usage is not None and (chunk.usage["total_tokens"], chunk.usage["source"]) == (5, "reported")
    assert chunk.meta is not None and chunk.meta.raw_response == json.loads(body)
    assert (chunk.meta.model, chunk.meta.request_id, chunk.meta.raw_finish_reason) == ("gpt-x", "req_1", "tool_calls")


@pytest.mark.parametrize(("reason", "ended"), [("tool_calls", ToolCall), ("length", PartialToolCall)])
def test_a_whole_answer_that_a_limit_ended_has_no_whole_call_without_arguments(reason: str, ended: type) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": ""}}
    body = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": reason}]}
    machine = StreamMachine(provider="openai")
    for chunk in CODEC.decode_body(json.dumps(body).encode()):
        machine.feed(chunk)
    assert [type(call) for call in machine.response.tool_calls] == [ended]


def test_a_whole_refusal() -> None:
    body = b'{"choices":[{"index":0,"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}'
    (chunk,) = CODEC.decode_body(body)
    assert (chunk.content, chunk.refusal, chunk.finish_reason) == ("", "No.", "refusal")


@pytest.mark.parametrize("beside", ['"error":{"message":"boom","code":502}', '"code":0,"message":"Success"'])
def test_a_whole_answer_keeps_its_words_beside_whatever_looks_like_an_error(beside: str) -> None:
    body = f'{{"choices":[{{"index":0,"message":{{"content":"Hi"}},"finish_reason":"stop"}}],{beside}}}'.encode()
    if "boom" not in beside:
        assert CODEC.decode_body(body)[0].content == "Hi"
        return
    with pytest.raises(SaidThenFailed, match="boom") as caught:
        CODEC.decode_body(body)
    assert (caught.value.chunk.content, caught.value.chunk.finish_reason) == ("Hi", None)


def test_an_answer_streamed_as_one_message_is_not_lost() -> None:
    chunk = one('{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}')
    assert (chunk.content, chunk.finish_reason) == ("Hi", "stop")
    both = one('{"choices":[{"index":0,"delta":{"content":"b"},"message":{"content":"ab"}}],"citations":["u"]}')
    assert both.content == "b"


def test_an_answer_that_a_filter_held_back_has_no_message() -> None:
    (chunk,) = CODEC.decode_body(b'{"choices":[{"index":0,"finish_reason":"content_filter"}]}')
    assert (chunk.content, chunk.finish_reason, chunk.is_final) == ("", "content_filter", True)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"m","type":"server_error"}}', errors.ServerError),
        (b'{"code":"The service is currently unavailable","error":"m"}', errors.OverloadedError),
        (b'{"object":"chat.completion"}', errors.UndecodableEventError),
        (b'{"choices":5}', errors.UndecodableEventError),
        (b'{"choices":[', errors.UndecodableEventError),
        (b"[" * 50_000, errors.UndecodableEventError),
        (b"\xff", errors.UndecodableEventError),
        (b"", errors.UndecodableEventError),
    ],
    ids=["error", "xai", "no-choices", "choices-a-number", "cut", "deep", "no-utf8", "empty"],
)
def test_a_body_that_is_no_answer(body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        CODEC.decode_body(body, request_id="req_1")
    assert type(caught.value) is kind
    assert caught.value.request_id == "req_1"
