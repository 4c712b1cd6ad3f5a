"""Chat Completions requests: what the caller gave, in the vendor's words, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import pytest

from headrace._types import (
    AIMessage,
    AudioPart,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    Part,
    PromptCache,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
)
from headrace.errors import UnsupportedOptionError
from headrace.wire.openai import COMPATIBLE, GROK, ChatCodec, Quirks

CODEC = ChatCodec("openai")
HI = [AIMessage("user", "Hi")]


def body(
    messages: list[AIMessage] = HI, *, codec: ChatCodec = CODEC, stream: bool = False, **options: object
) -> dict[str, object]:
    encoded = codec.encode(messages, GenerationConfig(**options), model="m", stream=stream)
    assert encoded.path == "/chat/completions"
    return json.loads(encoded.body)


def turns(role: str, *parts: Part) -> object:
    return body([AIMessage(role, parts)])["messages"]


def test_what_is_not_given_is_not_sent() -> None:
    assert body() == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        (CODEC, {"include_usage": True, "include_obfuscation": False}),
        (ChatCodec("grok", GROK), {"include_usage": True}),
        (ChatCodec("other", COMPATIBLE), {"include_usage": True}),
    ],
    ids=["openai", "grok", "compatible"],
)
def test_a_stream_asks_for_its_usage(codec: ChatCodec, options: dict[str, bool]) -> None:
    sent = body(codec=codec, stream=True)
    assert (sent["stream"], sent["stream_options"]) == (True, options)


TOOL = Tool("f", "Does f.", MappingProxyType({"type": "object", "properties": {}}), strict=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
STRICT = {**SCHEMA, "title": "An answer!", "additionalProperties": False, "required": ["a"]}


@pytest.mark.parametrize(
    ("option", "value", "sent"),
    [
        ("max_tokens", 9, {"max_completion_tokens": 9}),
        ("temperature", 0.0, {"temperature": 0.0}),
        ("top_p", 0.5, {"top_p": 0.5}),
        ("stop_sequences", ("a", "b"), {"stop": ["a", "b"]}),
        ("seed", 0, {"seed": 0}),
        ("reasoning", "low", {"reasoning_effort": "low"}),
        ("tool_choice", "auto", {"tool_choice": "auto"}),
        ("tool_choice", "none", {"tool_choice": "none"}),
        ("tool_choice", "required", {"tool_choice": "required"}),
        ("tool_choice", "f", {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ("response_format", "json", {"response_format": {"type": "json_object"}}),
        (
            "response_format",
            SCHEMA,
            {"response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA}}},
        ),
        (
            "response_format",
            STRICT,
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "An_answer_", "schema": STRICT, "strict": True},
                }
            },
        ),
        ("reasoning", Reasoning(effort="low"), {"reasoning_effort": "low"}),
        ("reasoning", 0, {"reasoning_effort": "none"}),
        ("reasoning", Reasoning(budget=0), {"reasoning_effort": "none"}),
        ("parallel_tool_calls", False, {"parallel_tool_calls": False}),
        ("metadata", {"user": "ann"}, {"metadata": {"user": "ann"}}),
        ("service_tier", "flex", {"service_tier": "flex"}),
        (
            "cache",
            PromptCache(key="k", ttl="30m"),
            {"prompt_cache_key": "k", "prompt_cache_options": {"ttl": "30m"}},
        ),
        (
            "tools",
            [TOOL],
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "Does f.",
                            "parameters": {"type": "object", "properties": {}},
                            "strict": True,
                        },
                    }
                ]
            },
        ),
        (
            "tools",
            [Tool("g")],
            {
                "tools": [
                    {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}
                ]
            },
        ),
        ("extra", {"model": "other", "verbosity": "low", "n": 1}, {"model": "other", "verbosity": "low", "n": 1}),
    ],
)
def test_each_option_in_the_format_s_words(option: str, value: object, sent: dict[str, object]) -> None:
    assert body(**{option: value}) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | sent


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"anyOf": [STRICT, STRICT]},
        {"$ref": "#/$defs/A", "$defs": {"A": STRICT}},
    ],
    ids=["array", "choice", "reference"],
)
def test_what_is_no_object_at_its_root_is_not_called_strict(schema: dict[str, object]) -> None:
    """OpenAI: "schema must be a JSON Schema of 'type: "object"', got 'type: "array"'"."""
    wanted = {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    assert body(response_format=schema)["response_format"] == wanted


def test_other_servers_know_the_old_name_of_max_tokens() -> None:
    assert body(codec=ChatCodec("other", COMPATIBLE), max_tokens=9)["max_tokens"] == 9


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("top_k", 5),
        ("reasoning", 1024),
        ("reasoning", {"effort": "low"}),
        ("reasoning", Reasoning(budget=1024)),
        ("reasoning", Reasoning(effort="low", show=True)),
        ("cache", PromptCache(name="cachedContents/x")),
        ("response_format", "yaml"),
        ("extra", {"n": 2}),
    ],
)
def test_an_option_without_a_place_is_refused(option: str, value: object) -> None:
    with pytest.raises(UnsupportedOptionError, match="openai: ") as caught:
        body(**{option: value})
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("quirks", "options", "sent"),
    [
        (
            Quirks(fields={"top_k": "top_k", "seed": "random_seed"}),
            {"top_k": 5, "seed": 0},
            {"top_k": 5, "random_seed": 0},
        ),
        (
            Quirks(schemas="plain"),
            {"response_format": STRICT},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "An_answer_", "schema": STRICT}}},
        ),
        (Quirks(schemas="none"), {"response_format": "json"}, {"response_format": {"type": "json_object"}}),
        (Quirks(reasoning="object"), {"reasoning": "low"}, {"reasoning": {"effort": "low"}}),
        (Quirks(reasoning="object"), {"reasoning": 1024}, {"reasoning": {"max_tokens": 1024}}),
        (Quirks(reasoning="object"), {"reasoning": 0}, {"reasoning": {"effort": "none"}}),
        (Quirks(reasoning="object"), {"reasoning": Reasoning(show=False)}, {"reasoning": {"exclude": True}}),
        (Quirks(reasoning="object"), {"reasoning": {"enabled": True}}, {"reasoning": {"enabled": True}}),
        (Quirks(cache=frozenset({"key"})), {"cache": PromptCache(key="k")}, {"prompt_cache_key": "k"}),
    ],
    ids=["fields", "no-strict", "no-schema", "effort", "budget", "no-budget", "hidden", "own-object", "cache-key"],
)
def test_each_server_in_its_own_words(quirks: Quirks, options: dict[str, object], sent: dict[str, object]) -> None:
    found = body(codec=ChatCodec("other", quirks), **options)
    assert found == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | sent


@pytest.mark.parametrize(
    ("quirks", "option", "value"),
    [
        (Quirks(refuses=frozenset({"seed"})), "seed", 0),
        (Quirks(refuses=frozenset({"tool_choice"})), "tool_choice", "auto"),
        (Quirks(fields={"temperature": ""}), "temperature", 0.5),
        (Quirks(schemas="none"), "response_format", SCHEMA),
        (Quirks(), "cache", PromptCache(key="k")),
        (Quirks(cache=frozenset({"key"})), "cache", PromptCache(key="k", ttl="30m")),
    ],
    ids=["refused", "refused-choice", "no-field", "no-schema", "no-cache", "no-ttl"],
)
def test_what_a_server_has_no_field_for_is_refused_by_its_name(quirks: Quirks, option: str, value: object) -> None:
    with pytest.raises(UnsupportedOptionError, match="other: ") as caught:
        body(codec=ChatCodec("other", quirks), **{option: value})
    assert caught.value.option == option


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (ImagePart("https://x/y.png"), {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
        (
            ImagePart(b"\x01", "image/png", "low"),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ==", "detail": "low"}},
        ),
        (
            ImagePart("data:image/png;base64,AQ=="),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ=="}},
        ),
        (
            DocumentPart(b"\x01", "application/pdf", "a.pdf"),
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AQ=="}},
        ),
        (AudioPart(b"\x01", "audio/wav"), {"type": "input_audio", "input_audio": {"data": "AQ==", "format": "wav"}}),
        (AudioPart(b"\x01", "audio/mpeg"), {"type": "input_audio", "input_audio": {"data": "AQ==", "format": "mp3"}}),
    ],
    ids=["image-url", "image-bytes", "image-data-uri", "document", "wav", "mp3"],
)
def test_parts_of_a_user_s_message(part: Part, sent: dict[str, object]) -> None:
    assert turns("user", TextPart("See"), part) == [
        {"role": "user", "content": [{"type": "text", "text": "See"}, sent]}
    ]


def test_a_single_text_part_is_sent_as_plain_text() -> None:
    assert turns("system", TextPart("Be brief.")) == [{"role": "system", "content": "Be brief."}]


def test_an_assistant_s_turn_with_words_and_calls() -> None:
    sent = turns("assistant", ReasoningPart("hm", "sig"), TextPart("Look."), ToolCall("c1", "f", '{"a":1}'))
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert sent == [{"role": "assistant", "content": "Look.", "tool_calls": [call]}]


def test_a_call_without_arguments_is_sent_as_an_empty_object() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert turns("assistant", ToolCall("c1", "f", "")) == [{"role": "assistant", "content": None, "tool_calls": [call]}]


def test_tool_results_are_turns_of_their_own_before_the_rest() -> None:
    assert turns("user", TextPart("And?"), ToolResultPart("c1", "1"), ToolResultPart("c2", "2", is_error=True)) == [
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "user", "content": "And?"},
    ]


def test_a_tool_s_plain_text_answers_the_call_that_name_tells() -> None:
    assert body([AIMessage("tool", "42", name="c1")])["messages"] == [
        {"role": "tool", "tool_call_id": "c1", "content": "42"}
    ]


def test_an_author_s_name_is_sent() -> None:
    assert body([AIMessage("user", "Hi", name="ann")])["messages"] == [{"role": "user", "content": "Hi", "name": "ann"}]


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("tool", "42"),
        AIMessage("tool", [TextPart("42")]),
        AIMessage("user", [ToolCall("c1", "f", "{}")]),
        AIMessage("user", [ReasoningPart("hm")]),
        AIMessage("tool", [ToolResultPart("c1", [ImagePart(b"\x01", "image/png")])]),
        AIMessage("system", [TextPart("a"), ImagePart("https://x/y.png")]),
        AIMessage("user", [DocumentPart("https://x/y.pdf")]),
        AIMessage("user", [ImagePart(b"\x01")]),
        AIMessage("user", [AudioPart(b"\x01", "audio/ogg")]),
    ],
    ids=[
        "tool-without-id", "tool-with-text", "user-calls", "user-reasons", "image-result", "system-image",
        "document-url", "no-media-type", "audio-kind",
    ],
)  # fmt: skip
def test_a_part_without_a_place_is_refused(message: AIMessage) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        body([message])
    assert caught.value.option == "messages"


def test_a_path_has_been_read_before() -> None:
    with pytest.raises(TypeError, match="still holds a Path"):
        turns("user", ImagePart(Path("x.png")))


def test_sound_by_its_url_is_told() -> None:
    """A name of a file as a str, where a Path is meant."""
    with pytest.raises(UnsupportedOptionError, match="recorded sound has no URL here: give its bytes or a Path"):
        turns("user", AudioPart("song.mp3"))
