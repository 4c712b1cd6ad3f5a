"""Gemini generateContent: events to chunks, and whole answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given

from headrace import errors
from headrace._types import AIStreamChunk, ToolCallDelta
from headrace.streaming.machine import StreamMachine
from headrace.wire._codec import SaidThenFailed
from headrace.wire.gemini import GeminiCodec

from .strategies import EXPECTED, json_values, outcome
from .whole import merged

CODEC = GeminiCodec()


def event(*parts: object, **candidate: object) -> str:
    """An event whose first candidate has these parts and fields."""
    return json.dumps({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, **candidate}]})


def feed(*events: str) -> list[AIStreamChunk | None]:
    """What a fresh stream makes of these events."""
    decoder = CODEC.decoder(request_id="req_1")
    return [decoder.feed("message", data) for data in events]


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize("first", ["", '{"modelVersion":"gemini-x"}'], ids=["with-care", "common-event"])
def test_words_and_thoughts_are_told_apart(first: str) -> None:
    decoder = CODEC.decoder()
    if first:
        assert decoder.feed("message", first).meta.model == "gemini-x"
    assert decoder.feed("message", event({"text": "hm", "thought": True})).reasoning == "hm"
    chunk = decoder.feed("message", event({"text": "h\u00e9"}, safetyRatings=[{"category": "X"}]))
    assert (chunk.content, chunk.reasoning, chunk.finish_reason, chunk.extra) == ("hé", "", None, ())


def test_parts_of_one_event_merge_in_their_order() -> None:
    chunk = feed(
        event(
            {"text": "hm", "thought": True},
            {"text": "a"},
            {"functionCall": {"name": "f", "args": {"x": 1}}},
            {"executableCode": {"code": "1"}},
            {"text": "b"},
            {"functionCall": {"id": "c2", "name": "g"}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        )
    )[0]
    assert (chunk.content, chunk.reasoning) == ("ab", "hm")
    assert chunk.tool_calls == (
        ToolCallDelta(0, "", "f", '{"x": 1}', ended=True),
        ToolCallDelta(1, "c2", "g", "", ended=True),
    )
    assert chunk.extra == (
        {"executableCode": {"code": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("CONTINUATION", "pause"),
        ("MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
        ("NEW_REASON", "NEW_REASON"),
    ],
)
def test_finish_reason_is_the_proof(word: str, reason: str) -> None:
    chunk = feed(event({"text": "a"}, finishReason=word))[0]
    assert (chunk.content, chunk.finish_reason, chunk.meta.raw_finish_reason) == ("a", reason, word)
    assert chunk.is_final is False, "there is no sentinel"


def test_finish_reason_may_be_a_number() -> None:
    chunk = feed(event(finishReason=1))[0]
    assert (chunk.finish_reason, chunk.meta.raw_finish_reason) == ("stop", "1")


def test_stop_after_a_call_is_tool_calls_and_other_reasons_stay() -> None:
    call = event({"functionCall": {"name": "f"}})
    assert feed(call, event(finishReason="STOP"))[1].finish_reason == "tool_calls"
    assert feed(call, event(finishReason="MAX_TOKENS"))[1].finish_reason == "length"


def test_model_and_request_id_come_with_the_first_event_and_the_last() -> None:
    first, last = feed('{"modelVersion":"gemini-x","responseId":"r"}', event(finishReason="STOP"))
    assert (first.meta.model, first.meta.request_id) == ("gemini-x", "req_1")
    assert (last.meta.model, last.meta.request_id) == ("gemini-x", "req_1")
    assert CODEC.decoder().feed("message", '{"modelVersion":"g","responseId":"r"}').meta.request_id == "r"


def test_usage_adds_thoughts_and_tools_and_invents_nothing() -> None:
    partial, whole = feed(
        '{"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}',
        '{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"toolUsePromptTokenCount":2,'
        '"cachedContentTokenCount":4,"candidatesTokenCount":3,"thoughtsTokenCount":5,"totalTokenCount":19}}',
    )
    assert partial.usage == {
        "prompt_tokens": 9,
        "completion_tokens": None,
        "total_tokens": 9,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "partial",
        "raw": {"promptTokenCount": 9, "totalTokenCount": 9},
    }
    assert {name: value for name, value in whole.usage.items() if name != "raw"} == {
        "prompt_tokens": 11,
        "completion_tokens": 8,
        "total_tokens": 19,
        "cached_tokens": 4,
        "cache_write_tokens": None,
        "reasoning_tokens": 5,
        "source": "reported",
    }


def told(tokens: int, *parts: object, **candidate: object) -> str:
    """An event that tells so many tokens."""
    return json.dumps({**json.loads(event(*parts, **candidate)), "usageMetadata": {"totalTokenCount": tokens}})


def test_usage_of_each_event_is_told_when_it_is_asked_for() -> None:
    machine, decoder = StreamMachine(provider="gemini"), CODEC.decoder()
    machine.sent()
    seen = []
    for tokens, word in enumerate("abc", 1):
        machine.feed(decoder.feed("message", told(tokens, {"text": word})))
        usage = machine.response.usage
        seen.append((usage["total_tokens"], usage["source"], usage["raw"]))
    assert seen == [(n, "partial", {"totalTokenCount": n}) for n in (1, 2, 3)]
    assert [machine.take().usage for _ in "abc"] == [None, None, None]
    assert decoder.feed("message", told(4, {"text": ""})) is None
    assert machine.response.usage["total_tokens"] == 4
    machine.feed(decoder.feed("message", told(5, finishReason="STOP")))
    assert (machine.response.usage["total_tokens"], machine.response.usage["source"]) == (5, "reported")


def test_usage_of_a_cut_is_what_had_come_then() -> None:
    machine, decoder = StreamMachine(provider="gemini"), CODEC.decoder()
    machine.sent()
    for tokens in (1, 2):
        machine.feed(decoder.feed("message", told(tokens, {"text": "a"})))
    machine.fail(errors.TruncatedStreamError("cut"))
    decoder.feed("message", told(3, {"text": "late"}))
    marker = [machine.take() for _ in range(3)][-1]
    for usage in (marker.usage, machine.response.usage, machine.interruption.response.usage):
        assert (usage["total_tokens"], usage["source"]) == (2, "partial")


def test_a_usage_of_odd_shape_is_read_or_is_an_error() -> None:
    first, begun = CODEC.decoder(), event({"text": "a"})
    first.feed("message", begun)
    nested = json.dumps({"usageMetadata": {"x": {"y": [1]}, "totalTokenCount": 3}, **json.loads(begun)})
    assert first.feed("message", nested).usage["raw"] == {"x": {"y": [1]}, "totalTokenCount": 3}
    for usage in ('{"n":1e999}', "[]", "{" + '"x":{' * 200 + "}" * 201):
        with pytest.raises(errors.UndecodableEventError):
            first.feed("message", begun[:-1] + f',"usageMetadata":{usage}}}')


def test_a_blocked_prompt_is_finished_by_the_filter() -> None:
    chunk = feed('{"promptFeedback":{"blockReason":"JAILBREAK","safetyRatings":[]}}')[0]
    assert (chunk.content, chunk.finish_reason, chunk.meta.raw_finish_reason) == ("", "content_filter", "JAILBREAK")
    assert chunk.extra == ({"promptFeedback": {"blockReason": "JAILBREAK", "safetyRatings": []}},)


@pytest.mark.parametrize("candidate", [{"index": 0}, {"index": 0, "finishReason": "SAFETY"}], ids=["empty", "ended"])
def test_a_blocked_prompt_may_have_a_candidate(candidate: dict[str, object]) -> None:
    feedback = {"blockReason": "PROHIBITED_CONTENT"}
    (chunk,) = feed(json.dumps({"candidates": [candidate], "promptFeedback": feedback}))
    assert (chunk.finish_reason, chunk.meta.raw_finish_reason) == ("content_filter", "PROHIBITED_CONTENT")
    assert chunk.extra == ({"promptFeedback": feedback},)


def test_a_filtered_answer_says_by_what() -> None:
    chunk = feed(event(finishReason="SAFETY", finishMessage="no", safetyRatings=[{"blocked": True}]))[0]
    assert chunk.extra == ({"finishMessage": "no"}, {"safetyRatings": [{"blocked": True}]})


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        (event({"text": "", "thoughtSignature": "sig"}), {"text": "", "thoughtSignature": "sig"}),
        (
            event({"codeExecutionResult": {"output": "1"}}),
            {"codeExecutionResult": {"output": "1"}},
        ),
        (event({"newPart": [1]}), {"newPart": [1]}),
        (event(citationMetadata={"citations": [1]}), {"citationMetadata": {"citations": [1]}}),
        (event(urlContextMetadata={"urlMetadata": [1]}), {"urlContextMetadata": {"urlMetadata": [1]}}),
        (event(continuationToken="b64"), {"continuationToken": "b64"}),
    ],
    ids=["signature", "code-result", "unknown-part", "citations", "urls", "continuation"],
)
def test_content_without_a_field_of_ours_is_handed_on_raw(data: str, extra: dict[str, object]) -> None:
    chunk = feed(data)[0]
    assert (chunk.content, chunk.tool_calls, chunk.extra) == ("", (), (extra,))


def test_grounding_beside_the_words_is_handed_on_unless_it_is_empty() -> None:
    _, empty, told = feed(
        event({"text": "a"}),
        event({"text": "b"}, groundingMetadata={}),
        event({"text": "c"}, groundingMetadata={"webSearchQueries": ["q"]}),
    )
    assert (empty.content, empty.extra) == ("b", ())
    assert (told.content, told.extra) == ("c", ({"groundingMetadata": {"webSearchQueries": ["q"]}},))


def test_a_signature_beside_words_or_a_call_costs_neither() -> None:
    words, call = feed(
        event({"text": "a", "thoughtSignature": "s1"}),
        event({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s2"}),
    )
    assert (words.content, words.extra) == ("a", ({"text": "a", "thoughtSignature": "s1"},))
    assert call.tool_calls == (ToolCallDelta(0, "", "f", "{}", ended=True),)
    assert call.extra == ({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s2"},)


def test_a_call_in_pieces_is_joined() -> None:
    pieces = [
        {"functionCall": {"id": "c1", "name": "f", "willContinue": True}},
        {
            "functionCall": {
                "partialArgs": [{"jsonPath": "$.place.name", "stringValue": "Ro", "willContinue": True}],
                "willContinue": True,
            }
        },
        {
            "functionCall": {
                "partialArgs": [
                    {"jsonPath": "$.place.name", "stringValue": "me"},
                    {"jsonPath": "$.days[0]", "numberValue": 1},
                    {"jsonPath": "$.days[1].n", "boolValue": True},
                    {"jsonPath": "$['odd key']", "nullValue": "NULL_VALUE"},
                ],
                "willContinue": True,
            }
        },
        {"functionCall": {}},
    ]
    *chunks, whole = feed(*(event(piece) for piece in pieces), event({"functionCall": {"name": "g"}}))
    assert [chunk.extra for chunk in chunks] == [(piece,) for piece in pieces]
    assert [call for chunk in chunks for call in chunk.tool_calls] == [
        ToolCallDelta(0, "c1", "f"),
        ToolCallDelta(0, arguments='{"place":{"name":"Rome"},"days":[1,{"n":true}],"odd key":null}', ended=True),
    ]
    assert whole.tool_calls == (ToolCallDelta(1, "", "g", "", ended=True),)


def test_a_call_in_pieces_that_a_block_of_the_prompt_ends_is_not_whole() -> None:
    chunks = feed(
        event({"functionCall": {"name": "f", "willContinue": True}}),
        event({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}}),
        '{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}',
    )
    assert (chunks[-1].tool_calls, chunks[-1].finish_reason) == (
        (ToolCallDelta(0, arguments='{"a":"x"'),),
        "content_filter",
    )


def test_the_last_piece_of_a_call_may_repeat_its_name_and_id() -> None:
    first = {"partialArgs": [{"jsonPath": "$.a", "boolValue": True}], "willContinue": True}
    chunks = feed(
        event({"functionCall": {"name": "f", "id": "c1", **first}}),
        event({"functionCall": {"name": "f", "id": "c1"}}),
        event({"functionCall": {"name": "f", "id": "c2", **first}}),
        event({"functionCall": {"name": "f", "id": "c3"}}),
    )
    assert [call for chunk in chunks for call in chunk.tool_calls] == [
        ToolCallDelta(0, "c1", "f"),
        ToolCallDelta(0, arguments='{"a":true}', ended=True),
        ToolCallDelta(1, "c2", "f"),
        ToolCallDelta(1, arguments='{"a":true'),
        ToolCallDelta(2, "c3", "f", "", ended=True),
    ]


@pytest.mark.parametrize(
    "path", ["", "a", "$", "$.a[99]", "$[0]", "$.a..b", "$.a.b.", None, 7, "$" + ".a" * 1000, "$.s.t"]
)
def test_a_piece_that_leads_nowhere_is_undecodable(path: object) -> None:
    pieces = [{"jsonPath": "$.s", "stringValue": "x"}, {"jsonPath": path, "stringValue": "y"}]
    with pytest.raises(errors.UndecodableEventError):
        feed(event({"functionCall": {"name": "f", "partialArgs": pieces, "willContinue": True}}))


def test_only_the_first_candidate_counts() -> None:
    data = json.dumps(
        {
            "candidates": [
                {"index": 1, "content": {"parts": [{"text": "other"}]}, "finishReason": "STOP"},
                {"index": 0, "content": {"parts": [{"text": "first"}]}},
            ]
        }
    )
    assert feed(data) == [AIStreamChunk("first", meta=feed(data)[0].meta)]
    assert feed('{"modelVersion":"g"}', event({"text": "other"}, index=1))[1] is None


@pytest.mark.parametrize("data", ["{}", event(), event({"text": ""}), '{"candidates":null}'])
def test_an_event_that_carries_nothing_is_none(data: str) -> None:
    assert feed('{"modelVersion":"gemini-x"}', data)[1] is None


def test_done_of_a_gateway_is_final() -> None:
    final, late = feed("[DONE]", event({"text": "a"}))
    assert (final.is_final, final.finish_reason, late) == (True, None, None)


@pytest.mark.parametrize(
    "data",
    [
        '{"candidates":[{"content":{"parts":[{"te',
        event({"text": 5}),
        event({"functionCall": "f"}),
        event({"text": "a"}, finishReason={}),
        '{"candidates":{}}',
        '{"candidates":[{"content":{"parts":[{"text":"\\ud800"}]}}]}',
        '{"candidates":[{"content":{"parts":[{"text":"\ud800"}]}}]}',
        '{"deep":' + "[" * 100_000,
        "[1]",
        "null",
    ],
    ids=["cut", "number", "call", "reason", "object", "escaped-surrogate", "surrogate", "deep", "list", "null"],
)
@pytest.mark.parametrize("first", ["", '{"modelVersion":"gemini-x"}'], ids=["first", "later"])
def test_what_the_format_does_not_allow_is_never_skipped(first: str, data: str) -> None:
    decoder = CODEC.decoder()
    decoder.feed("message", first or "{}")
    with pytest.raises(errors.UndecodableEventError, match="gemini: an event cannot be decoded"):
        decoder.feed("message", data)


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (
            '{"error": {"code": 499, "message": "The operation was cancelled.", "status": "CANCELLED"}}',
            errors.ServerError,
            "CANCELLED",
        ),
        ('{"error": {"code": 503, "message": "busy"}}', errors.OverloadedError, "503"),
        ('{"error": "broken", "candidates": []}', errors.ServerError, None),
        ('[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]', errors.RateLimitError, "RESOURCE_EXHAUSTED"),
    ],
    ids=["raw-json", "no-status-word", "a-string", "in-a-list"],
)
def test_errors_in_mid_stream_are_typed(data: str, kind: type[Exception], code: str | None) -> None:
    decoder = CODEC.decoder(request_id="req_1")
    decoder.feed("message", '{"modelVersion":"gemini-x"}')
    with pytest.raises(errors.ProviderError) as caught:
        decoder.feed("message", data)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.request_id, caught.value.status) == (code, "req_1", 200)


@pytest.mark.parametrize("word", ["", "STOP"], ids=["no reason", "a reason"])
def test_an_error_beside_words_loses_neither_words_nor_usage_and_proves_no_end(word: str) -> None:
    data = {
        **json.loads(event({"text": "b"}, finishReason=word)),
        "usageMetadata": {"promptTokenCount": 5},
        "error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"},
    }
    decoder = CODEC.decoder()
    decoder.feed("message", event({"text": "a"}))
    with pytest.raises(SaidThenFailed) as caught:
        decoder.feed("message", json.dumps(data))
    chunk = caught.value.chunk
    assert (chunk.content, chunk.finish_reason, chunk.usage["prompt_tokens"]) == ("b", None, 5)
    assert isinstance(caught.value.error, errors.OverloadedError)


@given(json_values)
@example({"candidates": [{"content": {"parts": [{"text": None, "x": 1}]}}]})
@example({"candidates": [{"content": {"parts": [[]]}}]})
@example({"candidates": [{"index": 2**70}]})
@example({"details": None, "error": True, "usageMetadata": {"type": None}})
def test_any_event_gives_a_chunk_or_nothing_or_an_error_of_ours(value: object) -> None:
    assert isinstance(outcome(CODEC, "message", value), EXPECTED)
    assert isinstance(outcome(CODEC, "message", {"candidates": [value]}), EXPECTED)
    assert isinstance(outcome(CODEC, "message", {"candidates": [{"content": {"parts": [value]}}]}), EXPECTED)


# ---------------------------------------------------------------- whole answers

ANSWER = (
    '{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Hi"},{"functionCall":{"name":"f"}}]},'
    '"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3,"totalTokenCount":5},'
    '"modelVersion":"gemini-x","responseId":"r"}'
)


def test_a_whole_answer_is_one_chunk() -> None:
    chunk = merged(CODEC.decode_body(ANSWER.encode()))
    assert (chunk.content, chunk.reasoning, chunk.finish_reason, chunk.is_final) == ("Hi", "hm", "tool_calls", True)
    assert chunk.tool_calls == (ToolCallDelta(0, "", "f", "", ended=True),)
    assert (chunk.usage["total_tokens"], chunk.usage["source"]) == (5, "reported")
    assert (chunk.meta.model, chunk.meta.request_id, chunk.meta.raw_finish_reason) == ("gemini-x", "r", "STOP")
    assert chunk.meta.raw_response == json.loads(ANSWER)


def test_a_whole_answer_may_be_an_array_of_events() -> None:
    body = f"[{event({'text': 'H'})}\n,\n{event({'text': 'i'}, finishReason='STOP')}]"
    chunk = merged(CODEC.decode_body(body.encode()))
    assert (chunk.content, chunk.finish_reason) == ("Hi", "stop")
    assert chunk.meta.raw_response == json.loads(body)


def test_an_array_that_ends_with_an_error_keeps_its_words() -> None:
    error = '{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}'
    body = f"[{event({'text': 'a'}, {'functionCall': {'name': 'f'}})},{event({'text': 'b'})},{error}]"
    with pytest.raises(SaidThenFailed, match="overloaded") as caught:
        CODEC.decode_body(body.encode())
    chunk = caught.value.chunk
    assert (chunk.content, chunk.finish_reason) == ("ab", None)
    assert [call.name for call in chunk.tool_calls] == ["f"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"code":404,"status":"NOT_FOUND"}}', errors.NotFoundError),
        (b'[{"error":{"code":404,"status":"NOT_FOUND"}}]', errors.NotFoundError),
        (b"{}", errors.UndecodableEventError),
        (b"[]", errors.UndecodableEventError),
        (b'[{"candidates":', errors.UndecodableEventError),
        (b"\xff", errors.UndecodableEventError),
        (b"", errors.UndecodableEventError),
    ],
    ids=["error", "error-in-a-list", "nothing", "no-events", "cut", "no-utf8", "empty"],
)
def test_a_body_that_is_no_answer(body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        CODEC.decode_body(body)
    assert type(caught.value) is kind
