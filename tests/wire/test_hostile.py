"""What fuzzing found, one test each: depth, absurd numbers, and errors that quote a whole event."""

from __future__ import annotations

import pickle

import pytest

from headrace.errors import ServerError, UndecodableEventError
from headrace.wire._codec import Codec
from headrace.wire._shared import DEPTH, is_deep
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.gemini import GeminiCodec
from headrace.wire.ollama import OllamaCodec
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import ResponsesCodec


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("json", "deep"),
    [
        (nested(DEPTH), False),
        (nested(DEPTH + 1), True),
        ('{"a":' * (DEPTH + 1) + "1" + "}" * (DEPTH + 1), True),
        ("[{}," * (DEPTH + 1) + "1" + "]" * (DEPTH + 1), True),
        (f"[{','.join(['[]'] * 500)}]", False),
        (f'["{nested(500)}","\\"{nested(500)}"]', False),
        ('["\\\\",' + nested(DEPTH) + "]", True),
        ('["' + '\\"' * 100_000 + nested(DEPTH), False),
    ],
    ids=["at-the-bound", "lists", "objects", "with-closed-ones", "wide", "in-strings", "behind-a-backslash", "open"],
)
def test_depth_is_counted_outside_of_strings(json: str, deep: bool) -> None:
    assert is_deep(json) is deep
    assert is_deep(json.encode()) is deep


HELD = [  # an event with what is handed on as it came, its place marked
    (AnthropicCodec(), '{"type":"content_block_start","index":0,"content_block":{"type":"new","x":@}}'),
    (AnthropicCodec(), '{"type":"content_block_start","index":0,"content_block":{"type":"new","text":@}}'),
    (AnthropicCodec(), '{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","x":@}}'),
    (AnthropicCodec(), '{"type":"message_delta","delta":{},"usage":{"x":@}}'),
    (ChatCodec(), '{"choices":[{"delta":{"content":"a","audio":@}}]}'),
    (ChatCodec(), '{"choices":[],"usage":{"x":@}}'),
    (GeminiCodec(), '{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"x":@}}'),
    (GeminiCodec(), '{"candidates":[{"content":{"parts":[{"new":@}]}}]}'),
    (OllamaCodec(), '{"message":{"content":""},"logprobs":@,"done":false}'),
    (ResponsesCodec(), '{"type":"response.output_item.done","output_index":0,"item":{"type":"new","x":@}}'),
    (ResponsesCodec(), '{"type":"response.completed","response":{"status":"completed","usage":{"x":@}}}'),
]


@pytest.mark.parametrize(("codec", "event"), HELD)
def test_what_is_handed_on_is_not_too_deep_to_be_copied(codec: Codec, event: str) -> None:
    decoder = codec.decoder()
    decoder.feed("message", event.replace("@", nested(9)))
    chunk = decoder.feed("message", event.replace("@", nested(DEPTH - 20)))
    assert chunk is not None and pickle.loads(pickle.dumps(chunk)) == chunk
    with pytest.raises(UndecodableEventError):
        decoder.feed("message", event.replace("@", nested(600)))


BODIES = [
    (AnthropicCodec(), '{"content":[],"stop_reason":"end_turn","x":@}'),
    (ChatCodec(), '{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"x":@}'),
    (GeminiCodec(), '{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"x":@}'),
    (OllamaCodec(), '{"message":{"content":"a"},"done":true,"done_reason":"stop","x":@}'),
    (ResponsesCodec(), '{"status":"completed","output":[],"x":@}'),
]


@pytest.mark.parametrize(("codec", "body"), BODIES)
def test_nor_is_a_whole_answer(codec: Codec, body: str) -> None:
    assert codec.decode_body(body.replace("@", "[]").encode())
    with pytest.raises(UndecodableEventError, match="nested too deep"):
        codec.decode_body(body.replace("@", nested(600)).encode())


def test_an_error_may_be_as_deep_as_it_likes() -> None:
    event = '{"type":"error","error":{"type":"api_error","message":"Too bad","details":' + nested(600) + "}}"
    with pytest.raises(ServerError, match="Too bad"):
        AnthropicCodec().decoder().feed("error", event)


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (ResponsesCodec(), '{"status":"' + "x" * 9000 + '\\n","output":[]}'),
        (ChatCodec(), '{"choices":' + "[" * 90 + "1e999" + "]" * 90 + "}"),
    ],
    ids=["status", "path"],
)
def test_an_error_does_not_quote_a_whole_event(codec: Codec, body: str) -> None:
    with pytest.raises(UndecodableEventError) as caught:
        codec.decode_body(body.encode())
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


def test_an_absurd_count_is_undecodable() -> None:
    line = '{"message":{"content":"a"},"done":true,"done_reason":"stop","eval_count":1e999}'
    with pytest.raises(UndecodableEventError):
        OllamaCodec().decoder().feed("message", line)
