"""The Responses API: events to chunks, and whole answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import errors
from headrace._types import (
    AIStreamChunk,
    Citation,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCallDelta,
    VendorPart,
)
from headrace.wire._codec import SaidThenFailed
from headrace.wire._responses_stream import _AUDIO, _DELTAS, _ENDS, _RUNNING
from headrace.wire.responses import ResponsesCodec

from .whole import merged

CODEC = ResponsesCodec("openai")
HI = '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi","logprobs":[]}'
DONE = '{"type":"response.completed","response":{"status":"completed","output":[]}}'


def feed(*events: str) -> list[AIStreamChunk | None]:
    """What a fresh stream makes of these events, none of which has an `event:` line."""
    decoder = CODEC.decoder(request_id="req_1")
    return [decoder.feed("message", data) for data in events]


def last(*events: str) -> AIStreamChunk:
    """The chunk of the last event."""
    chunk = feed(*events)[-1]
    assert chunk is not None
    return chunk


def item_done(item: str, index: int = 0) -> str:
    return f'{{"type":"response.output_item.done","output_index":{index},"item":{item}}}'


def completed(*output: str, kind: str = "completed", more: str = "") -> str:
    response = f'{{"status":"{kind}","output":[{",".join(output)}]{more}}}'
    return f'{{"type":"response.{kind}","response":{response}}}'


def message(*parts: str) -> str:
    return f'{{"type":"message","id":"msg_1","content":[{",".join(parts)}]}}'


# ---------------------------------------------------------------- words


def test_a_stream_in_its_usual_form() -> None:
    created, running, added, part, words, more, text, part_end, done, end = feed(
        '{"type":"response.created","sequence_number":0,"response":{"status":"in_progress","model":"gpt-x"}}',
        '{"type":"response.in_progress","sequence_number":1,"response":{"status":"in_progress","model":"gpt-x"}}',
        '{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}',
        '{"type":"response.content_part.added","output_index":0,"part":{"type":"output_text","text":""}}',
        HI,
        '{"type":"response.output_text.delta","output_index":0,"delta":" there","logprobs":[],"obfuscation":"ab"}',
        '{"type":"response.output_text.done","output_index":0,"text":"Hi there"}',
        '{"type":"response.content_part.done","output_index":0,"part":{"type":"output_text","text":"Hi there"}}',
        item_done(message('{"type":"output_text","text":"Hi there","annotations":[]}')),
        completed(
            message('{"type":"output_text","text":"Hi there","annotations":[]}'),
            more=',"model":"gpt-x-2","usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}',
        ),
    )
    assert created is not None and created.meta is not None
    assert (created.content, created.meta.model, created.meta.request_id) == ("", "gpt-x", "req_1")
    assert (running, added, part, text, part_end, done) == (None, None, None, None, None, None)
    assert (words, more) == (AIStreamChunk("Hi"), AIStreamChunk(" there"))
    assert end is not None and end.meta is not None and end.usage is not None
    assert (end.content, end.finish_reason, end.is_final) == ("", "stop", True)
    assert (end.meta.model, end.meta.raw_finish_reason) == ("gpt-x-2", "completed")
    assert (end.usage["total_tokens"], end.usage["source"]) == (5, "reported")


@pytest.mark.parametrize(
    ("kind", "chunk"),
    [
        ("output_text", AIStreamChunk("a")),
        ("refusal", AIStreamChunk("", refusal="a")),
        ("reasoning_summary_text", AIStreamChunk("", reasoning="a")),
        ("reasoning_text", AIStreamChunk("", reasoning="a")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("place", ['"output_index":3,', '"output_index":null,', ""], ids=["index", "null", "none"])
def test_words_of_each_kind(kind: str, chunk: AIStreamChunk, place: str) -> None:
    data = f'{{"type":"response.{kind}.delta",{place}"delta":"a"}}'
    assert feed(data, data) == [chunk, chunk]


def test_words_of_several_kinds_may_be_of_one_item() -> None:
    hm = '{"type":"response.reasoning_text.delta","output_index":0,"delta":"hm"}'
    assert feed(HI, hm, HI) == [AIStreamChunk("Hi"), AIStreamChunk("", reasoning="hm"), AIStreamChunk("Hi")]


def test_an_event_that_is_named_an_error_is_one() -> None:
    with pytest.raises(errors.ProviderError):
        CODEC.decoder().feed("error", HI)


def test_the_type_may_stand_on_the_event_line_alone() -> None:
    chunk = CODEC.decoder().feed("response.output_text.delta", '{"output_index":0,"delta":"Hi"}')
    assert chunk == AIStreamChunk("Hi")


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"keepalive","sequence_number":2}',
        '{"type":"response.invented","delta":{"a":1},"item":7}',
        '{"type":"response.web_search_call.searching","output_index":0,"item_id":"ws_1"}',
        '{"type":"response.image_generation_call.partial_image","partial_image_b64":"AA=="}',
        '{"type":"response.output_text.delta","output_index":0,"delta":""}',
        '{"type":"response.in_progress"}',
        "{}",
        " ",
    ],
    ids=["keepalive", "unknown", "progress", "partial-image", "empty-delta", "no-response", "empty", "blank"],
)
def test_events_that_bring_nothing(data: str) -> None:
    assert feed(data) == [None]


def test_the_sentinel_alone_is_an_end_without_a_proof() -> None:
    assert feed(HI, "[DONE]")[1] == AIStreamChunk("", is_final=True)


def test_logprobs_are_handed_on_beside_their_words() -> None:
    data = '{"type":"response.output_text.delta","output_index":0,"delta":"a","logprobs":[{"token":"a","logprob":-1}]}'
    assert feed(HI, data)[1] == AIStreamChunk("a", extra=({"logprobs": [{"token": "a", "logprob": -1}]},))


# ---------------------------------------------------------------- what comes whole

TEXT = '{"type":"output_text","text":"Hello"}'
REFUSAL = '{"type":"refusal","refusal":"No"}'
THOUGHTS = (
    '{"type":"reasoning","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],'
    '"content":[{"type":"reasoning_text","text":"c"}]}'
)


@pytest.mark.parametrize(
    ("item", "content", "reasoning", "refusal"),
    [
        (message(TEXT, TEXT), "HelloHello", "", ""),
        (message(REFUSAL), "", "", "No"),
        (message(TEXT, REFUSAL), "Hello", "", "No"),
        (THOUGHTS, "", "abc", ""),
    ],
    ids=["text", "refusal", "both", "reasoning"],
)
@pytest.mark.parametrize("where", ["item", "end", "body"])
def test_words_without_deltas_are_told_once(where: str, item: str, content: str, reasoning: str, refusal: str) -> None:
    if where == "item":
        chunks = feed(item_done(item), completed(item))
    elif where == "end":
        chunks = feed(completed(item))
    else:
        chunks = CODEC.decode_body(f'{{"status":"completed","error":null,"output":[{item}]}}'.encode())
    assert "".join(chunk.content for chunk in chunks if chunk) == content
    assert "".join(chunk.reasoning for chunk in chunks if chunk) == reasoning
    assert "".join(chunk.refusal for chunk in chunks if chunk) == refusal


def test_words_that_no_delta_brought_are_told_when_they_are_done() -> None:
    done = '{"type":"response.%s.done","output_index":%d,"content_index":%d,"%s":"%s"}'
    chunks = feed(
        done % ("reasoning_summary_text", 0, 0, "text", "hm"),
        done % ("output_text", 1, 0, "text", "Hi"),
        done % ("output_text", 1, 1, "text", " there"),
        done % ("output_text", 2, 0, "text", "."),
        '{"type":"response.output_text.delta","output_index":3,"delta":"So"}',
        done % ("output_text", 3, 0, "text", "So"),
        done % ("refusal", 4, 0, "refusal", "No"),
        item_done(message('{"type":"output_text","text":"Hi"}', '{"type":"output_text","text":" there"}'), 1),
        DONE,
    )
    said = [chunk for chunk in chunks if chunk is not None]
    assert "".join(chunk.content for chunk in said) == "Hi there.So"
    assert ("".join(chunk.reasoning for chunk in said), "".join(chunk.refusal for chunk in said)) == ("hm", "No")


def test_words_are_not_doubled_where_their_end_has_another_place_than_their_pieces() -> None:
    _, done = feed(
        '{"type":"response.output_text.delta","delta":"Hi"}',
        '{"type":"response.output_text.done","output_index":0,"text":"Hi"}',
    )
    assert done is None


def test_words_of_a_second_message_without_deltas_are_told() -> None:
    second = item_done(message('{"type":"output_text","text":"B"}'), 1)
    chunks = feed(HI, item_done(message('{"type":"output_text","text":"Hi"}')), second, DONE)
    assert [chunk.content for chunk in chunks if chunk] == ["Hi", "B", ""]


def test_an_item_that_is_not_told_to_be_done_is_completed_from_the_whole_answer() -> None:
    """OpenAI leaves out `output_item.done` for all but the last of several lists of tools."""
    lists = ['{"type":"mcp_list_tools","id":"l_0","tools":[0]}', '{"type":"mcp_list_tools","id":"l_1","tools":[1]}']
    begun = '{"type":"response.output_item.added","output_index":%d,"item":{"type":"mcp_list_tools","id":"l_%d"}}'
    *_, told, end = feed(begun % (0, 0), begun % (1, 1), item_done(lists[1], 1), completed(*lists))
    assert told is not None and told.extra == ({"type": "mcp_list_tools", "id": "l_1", "tools": [1]},)
    assert end is not None and end.extra == ({"type": "mcp_list_tools", "id": "l_0", "tools": [0]},)


@pytest.mark.parametrize(
    ("item", "shared"),
    [
        ('{"type":"web_search_call","id":"ws_1","action":{"type":"search","query":"q"}}', None),
        ('{"type":"custom_tool_call","call_id":"c","name":"x_search","input":"free text"}', None),
        ('{"type":"image_generation_call","result":"AA=="}', ImagePart(b"\0", "image/png")),
        ('{"type":"image_generation_call","result":"AA==","output_format":"webp"}', ImagePart(b"\0", "image/webp")),
        ('{"type":"image_generation_call","result":null}', None),
        ('{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}', None),
        ('{"type":"invented_yesterday","value":1}', None),
    ],
    ids=["hosted-tool", "custom-tool", "image", "webp", "no-image", "encrypted-reasoning", "unknown"],
)
def test_an_item_without_a_field_is_handed_on_once(item: str, shared: ImagePart | None) -> None:
    raw = json.loads(item)
    told, end = feed(item_done(item), completed(item))
    assert told == AIStreamChunk("", parts=(VendorPart("openai", raw, shared),), extra=(raw,))
    assert end is not None and (end.extra, end.parts, end.finish_reason) == ((), (), "stop")
    assert last(completed(item)).extra == (raw,)


def test_encrypted_reasoning_takes_the_place_of_its_words() -> None:
    item = '{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gA"}'
    words, told = feed(
        '{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"hm"}', item_done(item)
    )
    assert words == AIStreamChunk("", reasoning="hm")
    part = VendorPart("openai", json.loads(item), ReasoningPart("hm", origin="openai"))
    assert told is not None and (told.reasoning, told.parts) == ("", (part,))


BEGUN = '{"type":"response.output_item.added","output_index":%d,"item":%s}'


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ('{"type":"message","id":"m","phase":"commentary","content":[]}', {"type": "message", "phase": "commentary"}),
        (
            '{"type":"function_call","call_id":"c","name":"f","namespace":"n","arguments":""}',
            {"type": "function_call", "namespace": "n"},
        ),
    ],
    ids=["phase", "namespace"],
)
def test_what_belongs_to_words_or_a_call_stands_before_them_once_and_says_nothing_to_others(
    item: str, part: dict[str, str]
) -> None:
    told, done, end = feed(BEGUN % (0, item), item_done(item), completed(item))
    assert told is not None and told.parts == (VendorPart("openai", part, TextPart("")),)
    assert (done.parts if done else ()) == () and end is not None and end.parts == ()


def test_the_places_of_citations_are_counted_from_the_beginning_of_the_content() -> None:
    def item(text: str, start: int) -> str:
        cited = f'{{"type":"url_citation","url":"u","start_index":{start},"end_index":{start + 1}}}'
        return message(f'{{"type":"output_text","text":"{text}","annotations":[{cited}]}}')

    def streamed(index: int, text: str, start: int) -> list[str]:
        at = f'"output_index":{index}'
        return [
            BEGUN % (index, f'{{"type":"message","id":"m{index}"}}'),
            f'{{"type":"response.content_part.added",{at}}}',
            f'{{"type":"response.output_text.delta",{at},"delta":"{text}"}}',
            f'{{"type":"response.output_text.done",{at},"text":"{text}"}}',
            f'{{"type":"response.output_text.annotation.added",{at},"annotation":'
            f'{{"type":"url_citation","url":"u","start_index":{start},"end_index":{start + 1}}}}}',
            item_done(item(text, start), index),
        ]

    whole = f'{{"status":"completed","error":null,"output":[{item("Hello", 1)},{item(" you", 2)}]}}'
    for chunks in (
        feed(*streamed(0, "Hello", 1), *streamed(1, " you", 2)),
        feed(item_done(item("Hello", 1)), item_done(item(" you", 2), 1)),
        CODEC.decode_body(whole.encode()),
    ):
        found = [part for chunk in chunks if chunk for part in chunk.parts if isinstance(part, Citation)]
        assert [(one.start, one.end, one.url) for one in found] == [(1, 2, "u"), (7, 8, "u")]


def test_a_file_that_is_cited_is_named() -> None:
    cited = '{"type":"file_citation","file_id":"f","filename":"a.pdf","index":3}'
    chunk = last(item_done(message(f'{{"type":"output_text","text":"Hi","annotations":[{cited}]}}')))
    assert chunk.parts == (Citation(None, "a.pdf", raw=json.loads(cited)),)
    assert chunk.extra == (json.loads(cited),)


def test_reasoning_that_is_words_alone_is_not_handed_on_a_second_time() -> None:
    assert last(item_done(THOUGHTS)) == AIStreamChunk("", reasoning="abc")


def test_annotations_are_handed_on_once_and_in_order() -> None:
    cited = '{"type":"output_text","text":"Hi","annotations":[{"title":"one"},{"title":"two"}]}'
    _, first, rest, end = feed(
        HI,
        '{"type":"response.output_text.annotation.added","output_index":0,"annotation":{"title":"one"}}',
        item_done(message(cited)),
        completed(message(cited)),
    )
    one, two = {"title": "one"}, {"title": "two"}
    assert first == AIStreamChunk("", parts=(Citation(title="one", raw=one),), extra=(one,))
    assert rest == AIStreamChunk("", parts=(Citation(title="two", raw=two),), extra=(two,))
    assert end is not None and (end.extra, end.parts) == ((), ())


def test_unknown_parts_audio_and_whole_logprobs_are_handed_on() -> None:
    part = '{"type":"output_video","url":"u"}'
    assert last(item_done(message(part))).extra == ({"type": "output_video", "url": "u"},)
    audio = '{"type":"response.audio.delta","delta":"AA=="}'
    assert feed(audio) == [AIStreamChunk("", extra=({"type": "response.audio.delta", "delta": "AA=="},))]
    logged = message('{"type":"output_text","text":"Hi","logprobs":[{"token":"Hi"}]}')
    assert last(item_done(logged)).extra == ({"logprobs": [{"token": "Hi"}]},)
    assert feed(HI, item_done(logged))[1] is None


# ---------------------------------------------------------------- tool calls


def call(arguments: str, *, ident: str = "call_1", status: str = "completed") -> str:
    return (
        f'{{"type":"function_call","id":"fc_{ident}","call_id":"{ident}","name":"f",'
        f'"arguments":{json.dumps(arguments)},"status":"{status}"}}'
    )


ADDED = '{"type":"response.output_item.added","output_index":1,"item":' + call("", status="in_progress") + "}"
PIECE = '{"type":"response.function_call_arguments.delta","output_index":1,"item_id":"fc_call_1","delta":"{}"}'
WHOLE = '{"type":"response.function_call_arguments.done","output_index":1,"item_id":"fc_call_1","arguments":"{}"}'


def test_a_call_in_pieces() -> None:
    began, piece, whole, ended, end = feed(ADDED, PIECE, WHOLE, item_done(call("{}"), 1), completed(call("{}")))
    assert began == AIStreamChunk("", tool_calls=(ToolCallDelta(0, "call_1", "f"),))
    assert piece == AIStreamChunk("", tool_calls=(ToolCallDelta(0, arguments="{}"),))
    assert whole is None
    assert ended == AIStreamChunk("", tool_calls=(ToolCallDelta(0, ended=True),))
    assert end is not None and (end.tool_calls, end.finish_reason) == ((), "tool_calls")


@pytest.mark.parametrize(
    "events",
    [
        [item_done(call("{}"), 1), completed(call("{}"))],
        [completed(call("{}"))],
        [ADDED, WHOLE, item_done(call("{}"), 1), DONE],
        [ADDED, item_done(call("{}"), 1), DONE],
        [ADDED, PIECE, completed(message(TEXT), call("{}"))],
        [ADDED, completed(call("{}"))],
        [PIECE, item_done(call("{}"), 1), DONE],
        [item_done(call("{}"), 1), item_done(call("{}"), 1), DONE],
    ],
    ids=["item", "end", "done-event", "item-after-added", "no-item-done", "no-arguments-event", "not-added", "twice"],
)
def test_a_call_is_told_once_whichever_event_brings_it(events: list[str]) -> None:
    chunks = [chunk for chunk in feed(*events) if chunk is not None]
    pieces = [piece for chunk in chunks for piece in chunk.tool_calls]
    assert {piece.index for piece in pieces} == {0}
    assert [piece.id for piece in pieces if piece.id] == ["call_1"]
    assert [piece.name for piece in pieces if piece.name] == ["f"]
    assert "".join(piece.arguments for piece in pieces) == "{}"
    assert [piece.ended for piece in pieces].count(True) == 1
    assert chunks[-1].finish_reason == "tool_calls"


def test_calls_have_running_numbers_and_are_told_apart_by_item_where_there_is_no_index() -> None:
    first, second = call("{}", ident="a"), call('{"x":1}', ident="b")
    chunks = feed(
        f'{{"type":"response.output_item.added","item":{call("", ident="a")}}}',
        f'{{"type":"response.output_item.added","item":{call("", ident="b")}}}',
        '{"type":"response.function_call_arguments.delta","item_id":"fc_b","delta":"{\\"x\\":1}"}',
        f'{{"type":"response.output_item.done","item":{first}}}',
        f'{{"type":"response.output_item.done","item":{second}}}',
    )
    assert [chunk.tool_calls for chunk in chunks if chunk] == [
        (ToolCallDelta(0, "a", "f"),),
        (ToolCallDelta(1, "b", "f"),),
        (ToolCallDelta(1, arguments='{"x":1}'),),
        (ToolCallDelta(0, arguments="{}", ended=True),),
        (ToolCallDelta(1, ended=True),),
    ]


def test_a_call_that_a_limit_cut_is_done_but_has_not_ended() -> None:
    chunk = last(item_done(call('{"a', status="incomplete")))
    assert chunk.tool_calls == (ToolCallDelta(0, "call_1", "f", '{"a', ended=False),)


def test_the_namespace_of_a_call_is_not_lost() -> None:
    item = '{"type":"function_call","call_id":"c","name":"f","arguments":"{}","namespace":"shop"}'
    assert last(item_done(item)).extra == (json.loads(item),)


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("data", "reason", "raw"),
    [
        (completed(message(TEXT)), "stop", "completed"),
        (completed(call("{}")), "tool_calls", "completed"),
        (completed(message(REFUSAL)), "refusal", "completed"),
        (completed(message(TEXT, REFUSAL)), "stop", "completed"),
        (
            completed(kind="incomplete", more=',"incomplete_details":{"reason":"max_output_tokens"}'),
            "length",
            "incomplete:max_output_tokens",
        ),
        (
            completed(kind="incomplete", more=',"incomplete_details":{"reason":"content_filter"}'),
            "content_filter",
            "incomplete:content_filter",
        ),
        (
            completed(kind="incomplete", more=',"incomplete_details":{"reason":"steered"}'),
            "steered",
            "incomplete:steered",
        ),
        (completed(kind="incomplete", more=',"incomplete_details":null'), "incomplete", "incomplete"),
        (completed(kind="cancelled"), "cancelled", "cancelled"),
        ('{"type":"response.done","response":{"output":[]}}', "stop", "completed"),
        (
            completed(kind="incomplete", more=',"incomplete_details":{"reason":"max_output_tokens"}').replace(
                "response.incomplete", "response.completed"
            ),
            "length",
            "incomplete:max_output_tokens",
        ),
        ('{"type":"response.completed","response":{"status":"in_progress"}}', "stop", "completed"),
        ('{"type":"response.incomplete"}', "incomplete", "incomplete"),
    ],
    ids=[
        "text",
        "call",
        "refusal",
        "text-and-refusal",
        "length",
        "filter",
        "other-reason",
        "no-reason",
        "cancelled",
        "done",
        "status-over-type",
        "running-status",
        "no-response",
    ],
)
def test_finish_reasons(data: str, reason: str, raw: str) -> None:
    chunk = last(data)
    assert chunk.meta is not None
    assert (chunk.finish_reason, chunk.meta.raw_finish_reason, chunk.is_final) == (reason, raw, True)


def test_usage_counts_all_that_was_billed() -> None:
    raw = (
        '{"input_tokens":100,"input_tokens_details":{"cached_tokens":80,"cache_write_tokens":5},'
        '"output_tokens":40,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":140}'
    )
    assert last(completed(more=f',"usage":{raw}')).usage == {
        "prompt_tokens": 100,
        "completion_tokens": 40,
        "total_tokens": 140,
        "cached_tokens": 80,
        "cache_write_tokens": 5,
        "reasoning_tokens": 30,
        "source": "reported",
        "raw": json.loads(raw),
    }
    assert last(completed(more=',"usage":null')).usage is None


# ---------------------------------------------------------------- whole answers


def test_a_whole_answer() -> None:
    body = (
        '{"object":"response","status":"completed","model":"m","error":null,"output":['
        + ",".join([THOUGHTS, message(TEXT), call("{}")])
        + '],"usage":{"input_tokens":1,"output_tokens":2}}'
    )
    chunk = merged(CODEC.decode_body(body.encode(), request_id="req_1"))
    assert (chunk.reasoning, chunk.content, chunk.finish_reason, chunk.is_final) == ("abc", "Hello", "tool_calls", True)
    assert chunk.tool_calls == (ToolCallDelta(0, "call_1", "f", "{}", ended=True),)
    assert chunk.usage is not None and chunk.usage["total_tokens"] == 3
    assert chunk.meta is not None
    assert (chunk.meta.model, chunk.meta.request_id, chunk.meta.raw_response) == ("m", "req_1", json.loads(body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"status":"completed"}',
        b'{"status":"queued","output":[]}',
        b'{"output":[]}',
        b'{"a":"\xff"}',
    ],
    ids=["nothing", "list", "empty", "no-output", "not-ended", "no-status", "no-utf-8"],
)
def test_what_is_no_answer_is_undecodable(body: bytes) -> None:
    with pytest.raises(errors.UndecodableEventError):
        CODEC.decode_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":"server_error","message":"Oops"}}',
        b'{"status":"failed","output":[],"error":{"code":"server_error","message":"Oops"}}',
    ],
    ids=["error", "failed-answer"],
)
def test_a_body_that_is_an_error(body: bytes) -> None:
    with pytest.raises(errors.ServerError, match="Oops"):
        CODEC.decode_body(body)


FAILED = ',"error":{"code":"server_error","message":"Oops"}'


def test_the_words_of_an_answer_that_failed_are_kept() -> None:
    with pytest.raises(SaidThenFailed) as caught:
        feed(completed(message(TEXT), kind="failed", more=FAILED))
    assert caught.value.chunk == AIStreamChunk("Hello")
    assert isinstance(caught.value.error, errors.ServerError)
    with pytest.raises(SaidThenFailed) as caught:
        CODEC.decode_body(f'{{"status":"failed","output":[{message(TEXT)}]{FAILED}}}'.encode())
    assert caught.value.chunk == AIStreamChunk("Hello")


def test_what_an_answer_that_failed_has_cost_is_kept() -> None:
    with pytest.raises(SaidThenFailed) as caught:
        feed(completed(kind="failed", more=FAILED + ',"usage":{"input_tokens":7}'))
    assert caught.value.chunk.usage is not None and caught.value.chunk.usage["prompt_tokens"] == 7


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"response.output_text.delta","output_index":0,"delta":"H',
        '{"type":"response.output_text.delta","output_index":0,"delta":7}',
        '{"type":"response.output_text.delta","output_index":0,"delta":"\\ud83d"}',
        '{"type":"response.output_item.done","output_index":0,"item":"text"}',
        '{"type":"response.completed","response":[]}',
        '["a"]',
        "Hello",
    ],
    ids=["cut", "number", "half-surrogate", "item-text", "response-list", "list", "no-json"],
)
def test_an_event_that_cannot_be_read_is_never_skipped(data: str) -> None:
    with pytest.raises(errors.UndecodableEventError) as caught:
        feed(HI, data)
    assert caught.value.request_id == "req_1"


TYPES = st.sampled_from([*_DELTAS, *_ENDS, *_RUNNING, *_AUDIO, "error"]) | st.sampled_from(
    [
        "response.output_item.added",
        "response.output_item.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_text.annotation.added",
    ]
)
KEYS = st.sampled_from(
    (
        "type", "delta", "arguments", "output_index", "item_id", "item", "annotation", "logprobs", "response", "status",
        "model", "output", "usage", "error", "incomplete_details", "reason", "code", "message", "content", "summary",
        "text", "refusal", "annotations", "call_id", "name", "id",
    )
)  # fmt: skip
WORDS = st.sampled_from(
    ["message", "output_text", "refusal", "reasoning", "function_call", "failed", "incomplete", "", "\x00", "é\u2028"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(TYPES, st.dictionaries(KEYS, VALUES, max_size=4)), min_size=1, max_size=4),
    st.sampled_from(["message", "error"]),
)
@example([("response.output_item.done", {"item": {"type": "message", "content": {"a": 1}}})], "message")
@example([("response.output_item.done", {"item": {"type": 7, "content": [1]}})], "message")
@example([("response.output_item.added", {"item": {"type": "function_call", "id": 1, "name": None}})], "message")
@example([("response.completed", {"response": {"usage": {"input_tokens": -1}, "incomplete_details": 3}})], "message")
def test_any_events_give_chunks_or_nothing_or_an_error_of_ours(
    events: list[tuple[str, dict[str, object]]], event: str
) -> None:
    decoder = CODEC.decoder()
    for kind, fields in events:
        try:
            told: object = decoder.feed(event, json.dumps({**fields, "type": kind}))
        except errors.ProviderError as exc:
            told = exc
        except SaidThenFailed as both:
            told = both.error
        assert told is None or isinstance(told, AIStreamChunk | errors.ProviderError)
