"""OpenAI's formats beside chat: vectors, counts and lists of models, byte by byte."""

from __future__ import annotations

import json

import pytest

from headrace import AIMessage, CacheBreakpoint, GenerationConfig, ImagePart, ReasoningPart, TextPart, Tool
from headrace.errors import UndecodableEventError, UnsupportedOptionError
from headrace.wire._openai_beside import OpenAICatalog, OpenAIEmbedder, ResponsesCounter

EMBEDDER = OpenAIEmbedder("openai")


def asked(embedder: OpenAIEmbedder = EMBEDDER, **options: object) -> dict[str, object]:
    given = {"dimensions": None, "task": None, "extra": None, **options}
    encoded = embedder.encode(["a", "b"], model="m", **given)
    assert (encoded.path, encoded.method) == ("/embeddings", "POST")
    return json.loads(encoded.body or b"")


# ---------------------------------------------------------------- vectors


def test_vectors_are_asked_for_in_base64() -> None:
    assert asked() == {"model": "m", "input": ["a", "b"], "encoding_format": "base64"}
    assert asked(dimensions=8, extra={"user": "u", "encoding_format": "float"}) == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "float",
        "dimensions": 8,
        "user": "u",
    }


def test_a_server_that_may_refuse_the_field_is_not_sent_it() -> None:
    assert asked(OpenAIEmbedder("other", encoding=None)) == {"model": "m", "input": ["a", "b"]}


def test_a_task_has_no_field() -> None:
    with pytest.raises(UnsupportedOptionError, match="openai: ") as caught:
        asked(task="query")
    assert caught.value.option == "task"


@pytest.mark.parametrize(
    ("first", "second"),
    [("[0.5,-2.0]", "[1,0.25]"), ('"AAAAPwAAAMA="', '"AACAPwAAgD4="'), ("[0.5,-2.0]", '"AACAPwAAgD4="')],
    ids=["numbers", "base64", "both"],
)
def test_vectors_come_in_the_order_of_their_texts(first: str, second: str) -> None:
    body = (
        f'{{"object":"list","data":[{{"index":1,"embedding":{second}}},{{"index":0,"embedding":{first}}}],'
        '"model":"m-1","usage":{"prompt_tokens":4,"total_tokens":4}}'
    )
    found = EMBEDDER.decode(body.encode(), count=2)
    assert (found.vectors, found.model) == ([(0.5, -2.0), (1.0, 0.25)], "m-1")
    assert found.usage is not None
    assert (found.usage["prompt_tokens"], found.usage["total_tokens"]) == (4, 4)


def test_a_server_that_numbers_nothing_and_counts_nothing_is_understood() -> None:
    found = EMBEDDER.decode(b'{"data":[{"embedding":[1.0]},{"embedding":[2.0]}]}', count=2)
    assert (found.vectors, found.model, found.usage) == ([(1.0,), (2.0,)], None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"data":[{"index":0,"embedding":[1.0]}]}',
        b'{"data":[{"index":0,"embedding":[1.0]},{"index":0,"embedding":[2.0]}]}',
        b'{"data":[{"index":1,"embedding":[1.0]},{"index":2,"embedding":[2.0]}]}',
        b'{"data":[{"index":0,"embedding":"AAAAPw="},{"index":1,"embedding":[2.0]}]}',
        b'{"data":[{"index":0,"embedding":"AAAA"},{"index":1,"embedding":[2.0]}]}',
        b'{"data":[{"index":0,"embedding":["x"]},{"index":1,"embedding":[2.0]}]}',
    ],
    ids=["empty", "one-missing", "same-number", "from-one", "no-base64", "no-float", "words"],
)
def test_a_vector_is_never_made_up(body: bytes) -> None:
    with pytest.raises(UndecodableEventError) as caught:
        EMBEDDER.decode(body, count=2, request_id="req_1")
    assert caught.value.request_id == "req_1"


# ---------------------------------------------------------------- counts


def test_what_the_model_reads_is_counted_and_no_more() -> None:
    encoded = ResponsesCounter("openai").encode(
        [
            AIMessage("system", "Be brief."),
            AIMessage("user", [TextPart("See"), ImagePart("https://x/y.png"), CacheBreakpoint()]),
            AIMessage("assistant", [ReasoningPart("hm", origin="anthropic"), TextPart("So.")]),
        ],
        GenerationConfig(
            tools=[Tool("f")],
            temperature=0.5,
            max_tokens=9,
            parallel_tool_calls=False,
            extra={"truncation": "auto", "user": "u"},
        ),
        model="m",
    )
    assert (encoded.path, encoded.dropped) == (
        "/responses/input_tokens",
        ("openai: the reasoning of anthropic: left out",),
    )
    assert json.loads(encoded.body or b"") == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See"},
                    {
                        "type": "input_image",
                        "image_url": "https://x/y.png",
                        "prompt_cache_breakpoint": {"mode": "explicit"},
                    },
                ],
            },
            {"role": "assistant", "content": "So."},
        ],
        "tools": [
            {"type": "function", "strict": False, "name": "f", "parameters": {"type": "object", "properties": {}}}
        ],
        "parallel_tool_calls": False,
        "truncation": "auto",
    }


def test_a_count_is_a_number() -> None:
    assert ResponsesCounter().decode(b'{"object":"response.input_tokens","input_tokens":11}') == 11
    with pytest.raises(UndecodableEventError):
        ResponsesCounter().decode(b'{"input_tokens":"many"}')


# ---------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("row", "sizes", "name", "created"),
    [
        ('{"id":"m","object":"model","created":1715367049,"owned_by":"x"}', (None, None), "", 1715367049.0),
        ('{"id":"m","context_window":131072,"max_completion_tokens":8192}', (131072, 8192), "", None),
        (
            '{"id":"m","name":"M","created":7,"context_length":400000,'
            '"top_provider":{"context_length":1,"max_completion_tokens":128000}}',
            (400000, 128000),
            "M",
            7.0,
        ),
        ('{"id":"m","display_name":"M","context_length":4096,"created":0}', (4096, None), "M", None),
        ('{"id":"m","max_context_length":32768}', (32768, None), "", None),
        ('{"id":"m","max_model_len":2048,"created":"soon"}', (2048, None), "", None),
    ],
    ids=["openai", "groq", "openrouter", "together", "mistral", "vllm"],
)
@pytest.mark.parametrize("frame", ['{"object":"list","data":[ROW]}', "[ROW]"], ids=["data", "list"])
def test_each_server_s_words_for_a_model(
    row: str, sizes: tuple[int | None, int | None], name: str, created: float | None, frame: str
) -> None:
    (found,), cursor = OpenAICatalog("other").decode(frame.replace("ROW", row).encode())
    assert (found.id, found.provider, found.name, found.created_at) == ("m", "other", name, created)
    assert (found.context_tokens, found.output_tokens) == sizes
    assert (found.raw, cursor) == (json.loads(row), None)


def test_the_list_is_one_page() -> None:
    encoded = OpenAICatalog().encode(None)
    assert (encoded.path, encoded.method, encoded.body) == ("/models", "GET", None)


@pytest.mark.parametrize("body", [b"", b"{}", b"[7]", b'{"data":7}'])
def test_a_list_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(UndecodableEventError):
        OpenAICatalog().decode(body)
