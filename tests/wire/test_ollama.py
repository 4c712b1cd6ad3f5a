"""Lines of `/api/chat` in, chunks out: words, thinking, whole tool calls, the proof, errors; nothing is made up."""

from __future__ import annotations

import pytest

from headrace import AIStreamChunk, ToolCallDelta
from headrace.errors import ContextLengthError, OverloadedError, ServerError, UndecodableEventError
from headrace.wire._codec import SaidThenFailed
from headrace.wire.framing import NDJSON
from headrace.wire.ollama import OllamaCodec

CODEC = OllamaCodec()
HI = '{"model":"m","created_at":"2026-11-20T10:00:00Z","message":{"role":"assistant","content":"Hi"},"done":false}'
DONE = (
    '{"model":"m","created_at":"2026-11-20T10:00:01Z","message":{"role":"assistant","content":""},"done":true,'
    '"done_reason":"stop","total_duration":52000001,"load_duration":9007199254740993,"prompt_eval_count":26,'
    '"prompt_eval_duration":7,"eval_count":10,"eval_duration":8}'
)


def fed(*lines: str) -> list[AIStreamChunk]:
    """What each line brings; those that bring nothing are left out."""
    decoder = CODEC.decoder(request_id="r1")
    return [chunk for line in lines if (chunk := decoder.feed("message", line)) is not None]


def line(message: str, rest: str = '"done":false') -> str:
    return f'{{"model":"m","message":{{"role":"assistant",{message}}},{rest}}}'


def test_it_streams_json_lines() -> None:
    assert (CODEC.provider, CODEC.stream_type) == ("ollama", NDJSON)


def test_words_then_the_proof_with_usage_and_durations_in_raw() -> None:
    first, second, last = fed(HI, line('"content":" – 水"'), DONE)
    assert (first.content, second.content, second.meta) == ("Hi", " – 水", None)
    assert first.meta is not None
    assert (first.meta.model, first.meta.request_id) == ("m", "r1")
    assert (last.content, last.finish_reason, last.is_final) == ("", "stop", False)
    assert last.meta is not None
    assert last.meta.raw_finish_reason == "stop"
    assert last.usage == {
        "prompt_tokens": 26,
        "completion_tokens": 10,
        "total_tokens": 36,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "reported",
        "raw": {
            "total_duration": 52000001,
            "load_duration": 9007199254740993,
            "prompt_eval_count": 26,
            "prompt_eval_duration": 7,
            "eval_count": 10,
            "eval_duration": 8,
        },
    }


def test_thinking_is_reasoning_also_beside_words() -> None:
    chunks = fed(HI, line('"content":"","thinking":"Hm."'), line('"content":"So","thinking":" Yes."'))
    assert [(chunk.content, chunk.reasoning) for chunk in chunks] == [("Hi", ""), ("", "Hm."), ("So", " Yes.")]


@pytest.mark.parametrize(
    ("ending", "finish", "raw"),
    [
        ('"done_reason":"stop"', "stop", "stop"),
        ('"done_reason":"length"', "length", "length"),
        ('"done_reason":"load"', "load", "load"),
        ('"done_reason":"unload"', "unload", "unload"),
        ('"done_reason":"of_its_own"', "of_its_own", "of_its_own"),
    ],
)
def test_the_reason_is_the_proof(ending: str, finish: str, raw: str) -> None:
    (chunk,) = fed(line('"content":""', f'"done":true,{ending}'))
    assert (chunk.finish_reason, chunk.is_final, chunk.usage) == (finish, False, None)
    assert chunk.meta is not None
    assert chunk.meta.raw_finish_reason == raw


@pytest.mark.parametrize("ending", ['"done":true', '"done":true,"done_reason":""', '"done":true,"done_reason":null'])
def test_an_end_without_a_reason_is_told_and_not_proven(ending: str) -> None:
    """The server writes none where a generation was broken off."""
    (chunk,) = fed(line('"content":"Hi"', ending))
    assert (chunk.content, chunk.finish_reason, chunk.is_final) == ("Hi", None, True)


@pytest.mark.parametrize(
    ("counts", "prompt", "completion", "total"),
    [
        ('"eval_count":10', None, 10, None),
        ('"prompt_eval_count":26', 26, None, None),
        ('"prompt_eval_count":0,"eval_count":1', 0, 1, 1),
        ('"prompt_eval_count":-1,"eval_count":"x"', None, None, None),
    ],
)
def test_a_count_that_is_missing_is_unknown_and_no_zero(
    counts: str, prompt: int | None, completion: int | None, total: int | None
) -> None:
    (chunk,) = fed(line('"content":""', f'"done":true,"done_reason":"stop",{counts}'))
    assert chunk.usage is not None
    assert (chunk.usage["prompt_tokens"], chunk.usage["completion_tokens"]) == (prompt, completion)
    assert chunk.usage["total_tokens"] == total


# ---------------------------------------------------------------- tool calls


def test_a_tool_call_comes_whole_and_keeps_its_digits() -> None:
    calls = (
        '"content":"","tool_calls":[{"id":"call_1","function":{"index":0,"name":"f",'
        '"arguments":{"n":1.50,"big":12345678901234567890}}},{"function":{"name":"g","arguments":{}}}]'
    )
    chunk, again, last = fed(
        line(calls), line('"content":"","tool_calls":[{"function":{"name":"h","arguments":null}}]'), DONE
    )
    assert chunk.tool_calls == (
        ToolCallDelta(0, "call_1", "f", '{"n":1.50,"big":12345678901234567890}', ended=True),
        ToolCallDelta(1, "", "g", "{}", ended=True),
    )
    assert again.tool_calls == (ToolCallDelta(2, "", "h", "", ended=True),)
    assert last.finish_reason == "tool_calls"
    assert last.meta is not None
    assert last.meta.raw_finish_reason == "stop"


def test_an_answer_that_was_cut_by_its_length_is_not_one_of_tool_calls() -> None:
    *_, last = fed(
        line('"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]'),
        DONE.replace('"stop"', '"length"'),
    )
    assert last.finish_reason == "length"


def test_arguments_in_a_string_are_taken_as_their_text() -> None:
    (chunk,) = fed(line(r'"content":"","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]'))
    assert chunk.tool_calls == (ToolCallDelta(0, "", "f", '{"a":1}', ended=True),)


def test_the_last_line_may_bring_words_and_calls_too() -> None:
    (chunk,) = fed(
        line(
            '"content":"Bye","tool_calls":[{"function":{"name":"f","arguments":{}}}]',
            '"done":true,"done_reason":"stop"',
        )
    )
    assert (chunk.content, chunk.finish_reason) == ("Bye", "tool_calls")
    assert chunk.tool_calls[0].name == "f"


# ---------------------------------------------------------------- what is odd


def test_content_without_a_field_of_its_own_is_handed_on() -> None:
    (chunk,) = fed(line('"content":"","images":["iVBO"]', '"done":false,"logprobs":[{"token":"a"}]'))
    assert chunk.extra == ({"images": ["iVBO"]}, {"logprobs": [{"token": "a"}]})


@pytest.mark.parametrize(
    "odd", ['{"status":"pulling manifest"}', "{}", line('"content":""'), line('"content":null,"thinking":null')]
)
def test_a_line_that_brings_nothing_is_nothing(odd: str) -> None:
    assert [chunk.content for chunk in fed(HI, odd, HI)] == ["Hi", "Hi"]


@pytest.mark.parametrize(
    "bad",
    [
        HI[:60],
        "not json",
        "[]",
        '"text"',
        line('"content":7'),
        line('"content":"x"', '"done":"yes"'),
        line(r'"content":"\ud83d"'),
        line('"content":"","tool_calls":[{"name":"f"}]'),
        "[" * 100_000,
    ],
    ids=["cut", "no json", "array", "string", "number", "done", "surrogate", "call", "deep"],
)
def test_a_line_that_cannot_be_decoded_is_an_error_and_never_skipped(bad: str) -> None:
    decoder = CODEC.decoder(request_id="r1")
    decoder.feed("message", HI)
    with pytest.raises(UndecodableEventError, match=r"^ollama: an event cannot be decoded") as caught:
        decoder.feed("message", bad)
    assert caught.value.request_id == "r1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"error":"an error was encountered while running the model"}', ServerError),
        ('{"error":"server busy, please try again.  maximum pending requests exceeded"}', OverloadedError),
        ('{"error":{"message":"prompt too long; exceeded max context length by 3 tokens"}}', ContextLengthError),
        ('{"error":"broken","message":"no object"}', ServerError),
    ],
)
def test_an_error_line_is_the_typed_error(body: str, kind: type[Exception]) -> None:
    decoder = CODEC.decoder(request_id="r1")
    decoder.feed("message", HI)
    with pytest.raises(kind) as caught:
        decoder.feed("message", body)
    assert type(caught.value) is kind
    assert caught.value.request_id == "r1"  # type: ignore[attr-defined]  # a ProviderError


def test_an_error_beside_words_comes_after_them() -> None:
    decoder = CODEC.decoder()
    with pytest.raises(SaidThenFailed) as caught:
        decoder.feed("message", line('"content":"Hi"', '"done":false,"error":"overloaded"'))
    assert caught.value.chunk.content == "Hi"
    assert type(caught.value.error) is OverloadedError


def test_usage_beside_an_error_is_not_lost_and_proves_no_end() -> None:
    with pytest.raises(SaidThenFailed) as caught:
        CODEC.decoder().feed("message", f'{{"error":"crashed",{DONE[1:]}')
    chunk = caught.value.chunk
    assert chunk.usage is not None and chunk.usage["prompt_tokens"] == 26
    assert (chunk.finish_reason, chunk.is_final) == (None, False)


def test_an_error_after_the_proof_is_an_error() -> None:
    decoder = CODEC.decoder()
    assert decoder.feed("message", DONE) is not None
    with pytest.raises(ServerError):
        decoder.feed("message", '{"error":"crashed"}')


# ---------------------------------------------------------------- whole answers


def test_a_whole_answer() -> None:
    body = DONE.replace('"content":""', '"content":"Hi","thinking":"Hm."')
    (chunk,) = CODEC.decode_body(body.encode(), request_id="r1")
    assert (chunk.content, chunk.reasoning, chunk.finish_reason, chunk.is_final) == ("Hi", "Hm.", "stop", True)
    assert chunk.usage is not None
    assert chunk.usage["total_tokens"] == 36
    assert chunk.meta is not None
    assert (chunk.meta.model, chunk.meta.request_id, chunk.meta.raw_finish_reason) == ("m", "r1", "stop")
    assert isinstance(chunk.meta.raw_response, dict)
    assert chunk.meta.raw_response["eval_count"] == 10


@pytest.mark.parametrize(
    "body", [b"", DONE[:100].encode(), b'{"done":true}', b"[]", DONE.encode().replace(b'""', b'"\xff"')]
)
def test_half_an_answer_is_no_answer(body: bytes) -> None:
    with pytest.raises(UndecodableEventError, match=r"^ollama: "):
        CODEC.decode_body(body)


def test_an_error_in_place_of_an_answer() -> None:
    with pytest.raises(OverloadedError):
        CODEC.decode_body(b'{"error":"server busy"}')
