"""Responses requests: what the caller gave, in the vendor's words, and two things more."""

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
from headrace.errors import CallerError, UnsupportedOptionError
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import GROK, ResponsesCodec

CODEC = ResponsesCodec("openai")
HI = [AIMessage("user", "Hi")]


def body(
    messages: list[AIMessage] = HI, *, codec: ResponsesCodec = CODEC, stream: bool = False, **options: object
) -> dict[str, object]:
    encoded = codec.encode(messages, GenerationConfig(**options), model="m", stream=stream)
    assert encoded.path == "/responses"
    return json.loads(encoded.body)


def items(role: str, *parts: Part) -> object:
    return body([AIMessage(role, parts)])["input"]


def test_what_is_not_given_is_not_sent_and_nothing_is_stored() -> None:
    assert body() == {"model": "m", "input": [{"role": "user", "content": "Hi"}], "store": False}


def test_a_stream_is_asked_for_without_padding() -> None:
    sent = body(stream=True)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_obfuscation": False})
    sent = body(stream=True, codec=ResponsesCodec("grok", GROK))
    assert sent["stream"] is True and "stream_options" not in sent


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"max_tokens": 9}, {"max_output_tokens": 9}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tool_choice": "f"}, {"tool_choice": {"type": "function", "name": "f"}}),
        ({"response_format": "json"}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"response_format": {"type": "object", "title": "A b", "properties": {}, "additionalProperties": False}},
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "A_b",
                        "schema": {"type": "object", "title": "A b", "properties": {}, "additionalProperties": False},
                        "strict": True,
                    }
                }
            },
        ),
        (
            {"response_format": {"type": "object"}},
            {"text": {"format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}}}},
        ),
        (
            {"reasoning": "low"},
            {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]},
        ),
        (
            {"reasoning": MappingProxyType({"summary": "auto"})},
            {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        ),
        ({"reasoning": "none"}, {"reasoning": {"effort": "none"}}),
        ({"reasoning": 0}, {"reasoning": {"effort": "none"}}),
        ({"reasoning": {"effort": "none"}}, {"reasoning": {"effort": "none"}}),
        (
            {"reasoning": Reasoning(effort="low", show=True)},
            {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        ),
        ({"reasoning": Reasoning(show=False)}, {"include": ["reasoning.encrypted_content"]}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"metadata": {"user": "ann"}}, {"metadata": {"user": "ann"}}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        (
            {"cache": PromptCache(key="k", ttl="12h")},
            {"prompt_cache_key": "k", "prompt_cache_options": {"ttl": "12h"}},
        ),
        ({"extra": {"store": True, "verbosity": 1}}, {"store": True, "verbosity": 1}),
        ({"max_tokens": 9, "extra": {"max_output_tokens": 10}}, {"max_output_tokens": 10}),
    ],
    ids=[
        "max_tokens",
        "temperature",
        "top_p",
        "choice",
        "named-choice",
        "json",
        "strict-schema",
        "schema",
        "effort",
        "own-object",
        "no-reasoning",
        "no-budget",
        "no-reasoning-in-own-words",
        "shown",
        "hidden",
        "parallel",
        "metadata",
        "tier",
        "cache",
        "extra",
        "extra-wins",
    ],
)
def test_options(options: dict[str, object], sent: dict[str, object]) -> None:
    assert body(**options) == {"model": "m", "input": [{"role": "user", "content": "Hi"}], "store": False, **sent}


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"stop_sequences": ["."]}, "stop_sequences"),
        ({"seed": 0}, "seed"),
        ({"top_k": 1}, "top_k"),
        ({"reasoning": 1024}, "reasoning"),
        ({"cache": PromptCache(name="x")}, "cache"),
        ({"response_format": "xml"}, "response_format"),
        ({"extra": {"background": True}}, "extra"),
    ],
    ids=["stop", "seed", "top_k", "budget", "cache-name", "format", "background"],
)
def test_options_that_the_format_lacks_are_refused(options: dict[str, object], option: str) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        body(**options)
    assert caught.value.option == option and str(caught.value).startswith("openai: ")


@pytest.mark.parametrize("option", ["metadata", "cache"])
def test_what_a_server_has_no_field_for_is_refused(option: str) -> None:
    value = {"metadata": {"a": "b"}, "cache": PromptCache(ttl="30m")}[option]
    with pytest.raises(UnsupportedOptionError) as caught:
        body(codec=ResponsesCodec("grok", GROK), **{option: value})
    assert caught.value.option == option


def test_a_model_that_reasons_unasked_is_asked_for_its_reasoning() -> None:
    codec = ResponsesCodec("openai", reasons=True)
    assert body(codec=codec)["include"] == ["reasoning.encrypted_content"]
    assert "include" not in body(codec=codec, reasoning="none")


def test_an_answer_in_the_background_may_be_streamed() -> None:
    assert body(stream=True, extra={"background": True})["background"] is True


def test_tools_are_flat_and_their_schema_is_taken_as_it_stands() -> None:
    tools = [Tool("f"), Tool("g", "does g", {"type": "object"}, strict=True)]
    assert body(tools=tools)["tools"] == [
        {"type": "function", "name": "f", "strict": False, "parameters": {"type": "object", "properties": {}}},
        {"type": "function", "name": "g", "strict": True, "description": "does g", "parameters": {"type": "object"}},
    ]


# ---------------------------------------------------------------- messages


def test_leading_system_messages_are_the_instructions() -> None:
    sent = body(
        [
            AIMessage("system", "One."),
            AIMessage("system", [TextPart("T"), TextPart("wo.")]),
            AIMessage("user", "Hi"),
            AIMessage("system", "Three."),
        ]
    )
    assert sent["instructions"] == "One.\n\nTwo."
    assert sent["input"] == [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Three."}]


def test_system_messages_alone_are_the_input() -> None:
    sent = body([AIMessage("system", "One.")])
    assert "instructions" not in sent and sent["input"] == [{"role": "system", "content": "One."}]


def test_a_turn_with_calls_keeps_the_order_of_its_parts() -> None:
    assert items(
        "assistant",
        ReasoningPart("plain thoughts"),
        ReasoningPart("thoughts", data="gAAA"),
        TextPart("a"),
        TextPart("b"),
        ToolCall("c1", "f", '{"x":1}'),
        ToolCall("c2", "g", ""),
        ReasoningPart("", data="gBBB"),
        TextPart("c"),
    ) == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thoughts"}], "encrypted_content": "gAAA"},
        {"role": "assistant", "content": "ab"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x":1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
        {"role": "assistant", "content": "c"},
    ]


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("tool", "42", name="c1"),
        AIMessage("tool", [ToolResultPart("c1", "42")]),
        AIMessage("user", [ToolResultPart("c1", "42", name="f", is_error=True)]),
    ],
    ids=["text", "part", "user"],
)
def test_tool_results(message: AIMessage) -> None:
    assert body([message])["input"] == [{"type": "function_call_output", "call_id": "c1", "output": "42"}]


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (TextPart("a"), {"type": "input_text", "text": "a"}),
        (ImagePart("https://x/y.png"), {"type": "input_image", "image_url": "https://x/y.png"}),
        (
            ImagePart(b"\x00", "image/png", detail="low"),
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        ),
        (DocumentPart("https://x/y.pdf"), {"type": "input_file", "file_url": "https://x/y.pdf"}),
        (
            DocumentPart(b"\x00", "application/pdf", "y.pdf"),
            {"type": "input_file", "filename": "y.pdf", "file_data": "data:application/pdf;base64,AA=="},
        ),
        (
            AudioPart(b"\x00", "audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        ),
    ],
    ids=["text", "image-url", "image", "document-url", "document", "audio"],
)
def test_parts_of_a_user_message(part: Part, sent: dict[str, object]) -> None:
    assert items("user", part) == [{"role": "user", "content": [sent]}]


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("system", [ImagePart(b"\x00", "image/png")]),
        AIMessage("user", [ToolCall("c", "f", "{}")]),
        AIMessage("user", [ReasoningPart("t", data="gAAA")]),
        AIMessage("user", [AudioPart(b"\x00", "audio/flac")]),
        AIMessage("user", [ImagePart(b"\x00")]),
        AIMessage("tool", "42"),
        AIMessage("tool", [TextPart("42")]),
    ],
    ids=["system", "call", "reasoning", "flac", "no-type", "no-id", "tool-text"],
)
def test_parts_without_a_place_are_refused(message: AIMessage) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        body([*HI, message])
    assert caught.value.option == "messages"


def test_a_path_must_have_been_read_and_a_text_must_be_unicode() -> None:
    with pytest.raises(TypeError, match="Path"):
        items("user", ImagePart(Path("x.png")))
    with pytest.raises(CallerError, match="surrogate"):
        body([AIMessage("user", "\ud83d")])


# ---------------------------------------------------------------- the choice of the format


@pytest.mark.parametrize("provider", [OpenAIProvider, GrokProvider], ids=["openai", "grok"])
def test_a_provider_speaks_chat_unless_asked_for_the_other(provider: type[OpenAIProvider | GrokProvider]) -> None:
    assert isinstance(provider("k")._codec_for("m"), ChatCodec)
    assert isinstance(provider("k", api="chat")._codec_for("m"), ChatCodec)
    codec = provider("k", api="responses")._codec_for("m")
    assert isinstance(codec, ResponsesCodec) and (codec.provider, codec.reasons) == (provider.name, False)
    with pytest.raises(ValueError, match="there is no api 'assistants': use 'chat' or 'responses'"):
        provider("k", api="assistants")


def test_a_model_that_exists_in_one_api_only_is_asked_there() -> None:
    chosen = OpenAIProvider("k")._codec_for("o3-pro")
    assert isinstance(chosen, ResponsesCodec) and chosen.reasons
    assert isinstance(OpenAIProvider("k", api="chat")._codec_for("o3-pro"), ChatCodec)


@pytest.mark.parametrize(
    ("model", "reasons"), [("gpt-6.1-terra", True), ("gpt-4o", False), ("gpt-5.4", False), ("of-tomorrow", False)]
)
def test_the_model_rules_say_who_reasons_unasked(model: str, reasons: bool) -> None:
    codec = OpenAIProvider("k", api="responses")._codec_for(model)
    assert isinstance(codec, ResponsesCodec) and codec.reasons is reasons
