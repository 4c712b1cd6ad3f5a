"""Messages and options in, the body of `POST /api/chat` out, written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from headrace import (
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    PromptCache,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from headrace._types import Part
from headrace.errors import UnsupportedOptionError
from headrace.wire.ollama import OllamaCodec

HI = [AIMessage("user", "Hi")]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def body(messages: list[AIMessage] = HI, *, stream: bool = True, **options: object) -> dict[str, object]:
    config = GenerationConfig(**options)  # type: ignore[arg-type]  # its own fields
    encoded = OllamaCodec().encode(messages, config, model="m", stream=stream)
    assert (encoded.path, encoded.method, encoded.headers) == ("/api/chat", "POST", {})
    assert encoded.body is not None
    found = msgspec.json.decode(encoded.body)
    assert isinstance(found, dict)
    return found


def turns(*messages: AIMessage) -> object:
    return body(list(messages))["messages"]


@pytest.mark.parametrize("stream", [True, False])
def test_stream_is_always_said_and_nothing_is_cut_silently(stream: bool) -> None:
    assert body(stream=stream) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": stream,
        "truncate": False,
    }


def test_extra_goes_over_everything_and_its_options_beside_ours() -> None:
    found = body(temperature=0.5, seed=1, extra={"truncate": True, "options": {"num_ctx": 16384, "seed": 2}, "x": 1})
    assert (found["truncate"], found["x"]) == (True, 1)
    assert found["options"] == {"temperature": 0.5, "seed": 2, "num_ctx": 16384}


@pytest.mark.parametrize(
    ("reasoning", "think"),
    [
        ("none", False),
        ("low", "low"),
        ("max", "max"),
        (True, True),
        (False, False),
        (0, False),
        (Reasoning(effort="high"), "high"),
        (Reasoning(effort="none"), False),
        (Reasoning(show=True), True),
        (Reasoning(), None),
    ],
)
def test_reasoning_is_think(reasoning: object, think: object) -> None:
    assert body(reasoning=reasoning).get("think") is think or body(reasoning=reasoning)["think"] == think


@dataclass
class Age:
    years: int


@pytest.mark.parametrize("wanted", ["json", SCHEMA])
def test_a_format_is_the_word_or_the_schema(wanted: object) -> None:
    assert body(response_format=wanted)["format"] == wanted


def test_a_type_is_its_schema() -> None:
    found = body(response_format=Age)["format"]
    assert isinstance(found, dict)
    assert (found["properties"], found["required"]) == ({"years": {"type": "integer"}}, ["years"])


def test_tools_are_functions() -> None:
    assert body(tools=[Tool("f", "Does.", SCHEMA)], tool_choice="auto")["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "Does.", "parameters": SCHEMA}}
    ]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tool_choice", "none"),
        ("tool_choice", "required"),
        ("tool_choice", "f"),
        ("tools", [Tool("f", strict=False)]),
        ("reasoning", "sideways"),
        ("reasoning", 2000),
        ("reasoning", 1),
        ("reasoning", {"effort": "low"}),
        ("reasoning", Reasoning(budget=5)),
        ("reasoning", Reasoning(effort="low", show=False)),
        ("response_format", "xml"),
        ("cache", PromptCache(key="k")),
        ("metadata", {"user_id": "u"}),
        ("service_tier", "flex"),
        ("parallel_tool_calls", False),
    ],
)
def test_what_the_format_has_no_place_for_is_refused(option: str, value: object) -> None:
    with pytest.raises(UnsupportedOptionError, match=r"^ollama: ") as caught:
        body(**{option: value})  # type: ignore[arg-type]  # one of its fields
    assert caught.value.option == option


# ---------------------------------------------------------------- messages


def test_words_and_images_of_a_turn() -> None:
    parts: list[Part] = [
        TextPart("Look: "),
        ImagePart(b"\x00\x01", "image/png"),
        ImagePart("data:image/png;base64,AAEC"),
        TextPart("well?"),
    ]
    assert turns(AIMessage("system", "Be brief."), AIMessage("user", parts)) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look: well?", "images": ["AAE=", "AAEC"]},
    ]


def test_an_assistants_thinking_and_calls_keep_their_digits() -> None:
    message = AIMessage(
        "assistant", [ReasoningPart("Hm."), TextPart("So"), ToolCall("c1", "f", '{"n":1.50}'), ToolCall("", "g", "")]
    )
    encoded = OllamaCodec().encode([message], GenerationConfig(), model="m", stream=True)
    assert encoded.body is not None
    assert b'"arguments":{"n":1.50}' in encoded.body
    assert msgspec.json.decode(encoded.body)["messages"] == [
        {
            "role": "assistant",
            "content": "So",
            "thinking": "Hm.",
            "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"n": 1.5}}},
                {"function": {"name": "g", "arguments": {}}},
            ],
        }
    ]


def test_results_are_turns_of_their_own_before_the_rest() -> None:
    results: list[Part] = [
        TextPart("Go on."),
        ToolResultPart("c1", "7 m", "f"),
        ToolResultPart("", [TextPart("see"), ImagePart(b"\x00", "image/png")], "g"),
    ]
    assert turns(AIMessage("user", results), AIMessage("tool", "8 m", name="c2")) == [
        {"role": "tool", "content": "7 m", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "see", "images": ["AA=="], "tool_name": "g"},
        {"role": "user", "content": "Go on."},
        {"role": "tool", "content": "8 m", "tool_call_id": "c2"},
    ]


def test_what_another_vendor_alone_understands_is_left_out_and_said() -> None:
    parts: list[Part] = [
        ReasoningPart("Theirs.", "sig", origin="anthropic"),
        ReasoningPart("Ours.", origin="ollama"),
        VendorPart("openai", {"type": "search"}),
        VendorPart("gemini", {}, shared=TextPart("Shared. ")),
        TextPart("So."),
        CacheBreakpoint(),
    ]
    encoded = OllamaCodec().encode([AIMessage("assistant", parts)] * 2, GenerationConfig(), model="m", stream=True)
    assert encoded.body is not None
    assert (
        msgspec.json.decode(encoded.body)["messages"]
        == [{"role": "assistant", "content": "Shared. So.", "thinking": "Ours."}] * 2
    )
    assert encoded.dropped == (
        "ollama: the reasoning of anthropic: left out",
        "ollama: what only openai understands (search): left out",
        "ollama: a cache breakpoint, which this vendor does not take: left out",
    )


def test_a_breakpoint_behind_a_result_is_left_out_and_said() -> None:
    results = AIMessage("tool", [ToolResultPart("c1", "7 m", "f"), CacheBreakpoint()])
    encoded = OllamaCodec().encode([results], GenerationConfig(), model="m", stream=True)
    assert encoded.body is not None
    assert msgspec.json.decode(encoded.body)["messages"] == [
        {"role": "tool", "content": "7 m", "tool_name": "f", "tool_call_id": "c1"}
    ]
    assert encoded.dropped == ("ollama: a cache breakpoint, which this vendor does not take: left out",)


def test_a_result_without_a_name_bears_that_of_its_call() -> None:
    """The format's own field for whose result it is. Some servers give each turn the same ids."""
    said = turns(
        AIMessage("assistant", [ToolCall("c1", "f", "{}"), ToolCall("", "g", "{}")]),
        AIMessage("tool", [ToolResultPart("c1", "7 m"), ToolResultPart("", "?")]),
        AIMessage("assistant", [ToolCall("c1", "h", "{}")]),
        AIMessage("tool", "8 m", name="c1"),
    )
    assert [(turn["content"], turn.get("tool_name")) for turn in said if turn["role"] == "tool"] == [
        ("7 m", "f"), ("?", None), ("8 m", "h"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (AIMessage("user", [ImagePart("https://example.com/a.png")]), "never as a URL"),
        (AIMessage("user", [ImagePart(b"x", "image/png", "high")]), "no detail"),
        (AIMessage("user", [ImagePart(b"x")]), "media_type"),
        (AIMessage("user", [DocumentPart(b"x", "application/pdf")]), "no DocumentPart"),
        (AIMessage("user", [AudioPart(b"x", "audio/wav")]), "no AudioPart"),
        (AIMessage("user", [ToolCall("c", "f", "{}")]), "no ToolCall"),
        (AIMessage("assistant", [ToolCall("c", "f", "[1]")]), "cannot be sent back"),
        (AIMessage("tool", "8 m"), "call's id"),
        (AIMessage("tool", [TextPart("8 m")]), "tool results only"),
        (AIMessage("user", [ToolResultPart("c", [DocumentPart(b"x", "text/plain")])]), "no DocumentPart"),
    ],
)
def test_a_part_without_a_place_is_refused(message: AIMessage, why: str) -> None:
    with pytest.raises(UnsupportedOptionError, match=why):
        turns(message)


def test_a_path_that_nobody_has_read_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="Path"):
        turns(AIMessage("user", [ImagePart(Path("a.png"))]))
