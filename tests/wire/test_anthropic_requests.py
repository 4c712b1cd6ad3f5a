"""Messages and options as Anthropic's request body."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import msgspec
import pytest

from headrace import errors
from headrace._types import (
    AIMessage,
    AudioPart,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
)
from headrace.wire.anthropic import DEFAULT_MAX_TOKENS, AnthropicCodec

CODEC = AnthropicCodec()


def sent(*messages: AIMessage, stream: bool = True, **options: object) -> dict[str, object]:
    """The body of the request, decoded."""
    encoded = CODEC.encode(messages, GenerationConfig(**options), model="claude-x", stream=stream)
    assert encoded.path == "/v1/messages"
    return json.loads(encoded.body)


def test_what_was_not_given_is_not_sent() -> None:
    body = sent(AIMessage("user", "Hi"), stream=False)
    assert body == {
        "model": "claude-x",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_a_strict_tool_tells_in_words_what_the_vendor_does_not_enforce() -> None:
    """It answers 400 to a strict tool with "minimum"; one that is not strict takes every keyword."""

    def book(nights: Annotated[int, msgspec.Meta(ge=1, description="How long")], price: Decimal) -> None: ...

    nights = {"type": "integer", "minimum": 1, "description": "How long"}
    (plain,) = sent(AIMessage("user", "Hi"), tools=[Tool.of(book)])["tools"]
    assert plain["input_schema"]["properties"]["nights"] == nights
    (strict,) = sent(AIMessage("user", "Hi"), tools=[Tool.of(book, strict=True)])["tools"]
    assert strict["input_schema"]["properties"] == {
        "nights": {"type": "integer", "description": "How long (minimum: 1)"},
        "price": {"type": "string", "description": "format: decimal"},
    }


def test_what_structured_output_does_not_take_is_told_in_words() -> None:
    pair = {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}
    properties = {"pair": pair, "data": {"type": "string", "contentEncoding": "base64", "default": "", "format": "uri"}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    body = sent(AIMessage("user", "Hi"), response_format=schema)
    assert body["output_config"]["format"]["schema"]["properties"] == {
        "pair": {"type": "array", "description": "prefixItems: [{'type': 'integer'}]"},
        "data": {"type": "string", "description": "contentEncoding: base64, default: ", "format": "uri"},
    }


def test_an_answer_of_no_words_is_not_sent_again() -> None:
    """The vendor: "all messages must have non-empty content", "text content blocks must be non-empty"."""
    for nothing in ("", [], [TextPart("")]):
        body = sent(AIMessage("user", "Hi"), AIMessage("assistant", nothing), AIMessage("user", "Hi?"))
        assert body["messages"] == [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Hi?"}]
    body = sent(AIMessage("assistant", [TextPart(""), ToolCall("a", "f", "")]))
    assert body["messages"][0]["content"] == [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]


def test_what_a_user_says_without_words_is_for_the_vendor_to_refuse() -> None:
    assert sent(AIMessage("user", ""))["messages"] == [{"role": "user", "content": ""}]
    assert sent(AIMessage("user", [TextPart("")]))["messages"][0]["content"] == [{"type": "text", "text": ""}]


def test_tool_results_stand_before_the_words_of_their_message() -> None:
    """The vendor looks for them at the start of the turn behind the calls."""
    words, results = TextPart("See:"), [ToolResultPart("a", "1"), ToolResultPart("b", "2")]
    (turn,) = sent(AIMessage("user", [words, *results]))["messages"]
    assert [block["type"] for block in turn["content"]] == ["tool_result", "tool_result", "text"]
    assert [block["tool_use_id"] for block in turn["content"][:2]] == ["a", "b"]


@pytest.mark.parametrize(
    ("most", "sent_most"), [(None, DEFAULT_MAX_TOKENS), (64_000, DEFAULT_MAX_TOKENS), (4_096, 4_096)]
)
def test_max_tokens_that_nobody_gave_is_no_more_than_the_model_writes(most: int | None, sent_most: int) -> None:
    encoded = AnthropicCodec(most).encode([AIMessage("user", "Hi")], GenerationConfig(), model="m", stream=True)
    assert json.loads(encoded.body or b"")["max_tokens"] == sent_most


def test_system_messages_go_to_the_top() -> None:
    body = sent(AIMessage("system", "A"), AIMessage("user", "Hi"), AIMessage("system", "B"), AIMessage("system", ""))
    assert body["system"] == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert body["stream"] is True


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            ImagePart(b"\x89PNG", "image/png"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
        ),
        (
            ImagePart("data:image/gif;base64,R0lG"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"}},
        ),
        (ImagePart("https://x/y.png"), {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
        (
            DocumentPart(b"%PDF", "application/pdf", name="report"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "report",
            },
        ),
        (
            DocumentPart("né".encode(), "text/markdown"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "né"}},
        ),
        (ReasoningPart("hm", "sig"), {"type": "thinking", "thinking": "hm", "signature": "sig"}),
        (ReasoningPart("", data="b64"), {"type": "redacted_thinking", "data": "b64"}),
        (
            ToolCall("toolu_1", "f", '{"a": 1}'),
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ),
        (ToolCall("toolu_1", "f", ""), {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        (ToolResultPart("toolu_1", "42"), {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}),
        (
            ToolResultPart("toolu_1", "no", is_error=True),
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", "is_error": True},
        ),
    ],
    ids=["image", "data-uri", "url", "pdf", "text", "thinking", "redacted", "call", "bare-call", "result", "failure"],
)
def test_parts(part: object, block: dict[str, object]) -> None:
    assert sent(AIMessage("assistant", [part]))["messages"] == [{"role": "assistant", "content": [block]}]


def test_the_arguments_of_a_call_keep_their_digits() -> None:
    call = ToolCall("toolu_1", "f", '{"n": 12345678901234567890.10}')
    encoded = CODEC.encode([AIMessage("assistant", [call])], GenerationConfig(), model="claude-x", stream=True)
    assert b'"input":{"n": 12345678901234567890.10}' in encoded.body


def test_a_tool_message_answers_a_call() -> None:
    assert sent(AIMessage("tool", "42", name="toolu_1"))["messages"] == [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}]}
    ]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"temperature": 0.0, "top_p": 1.0, "top_k": 3}, {"temperature": 0.0, "top_p": 1.0, "top_k": 3}),
        ({"stop_sequences": ("a", "b")}, {"stop_sequences": ["a", "b"]}),
        (
            {"tools": [Tool("f", "d", {"type": "object"}, strict=True)]},
            {"tools": [{"name": "f", "input_schema": {"type": "object"}, "description": "d", "strict": True}]},
        ),
        ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        ({"tool_choice": "f"}, {"tool_choice": {"type": "tool", "name": "f"}}),
        (
            {"response_format": {"type": "object"}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
        ({"reasoning": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ({"reasoning": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning": 2048},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": DEFAULT_MAX_TOKENS + 2048},
        ),
        ({"reasoning": {"type": "between_tools"}}, {"thinking": {"type": "between_tools"}}),
        (
            {"reasoning": Reasoning(effort="low", budget=0)},
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
        ),
        ({"max_tokens": 7, "extra": {"max_tokens": 8, "speed": "fast"}}, {"max_tokens": 8, "speed": "fast"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_options(options: dict[str, object], fields: dict[str, object]) -> None:
    plain = sent(AIMessage("user", "Hi"))
    assert sent(AIMessage("user", "Hi"), **options) == plain | fields


@pytest.mark.parametrize(
    ("option", "message", "options"),
    [
        ("seed", AIMessage("user", "Hi"), {"seed": 1}),
        ("response_format", AIMessage("user", "Hi"), {"response_format": "json"}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": "minimal"}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": 1023}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": True}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": 2048, "max_tokens": 2048}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": Reasoning(effort="none", budget=2048)}),
        ("messages", AIMessage("user", [AudioPart(b"RIFF", "audio/wav")]), {}),
        ("messages", AIMessage("user", [ImagePart(b"\x89PNG")]), {}),
        ("messages", AIMessage("user", [ImagePart("https://x", detail="low")]), {}),
        ("messages", AIMessage("user", [DocumentPart(b"\xff", "text/plain")]), {}),
        ("messages", AIMessage("assistant", [ToolCall("i", "f", "[1]")]), {}),
        ("messages", AIMessage("assistant", [ToolCall("i", "f", '{"a":')]), {}),
        ("messages", AIMessage("system", [ImagePart("https://x")]), {}),
        ("messages", AIMessage("tool", "42"), {}),
    ],
    ids=[
        "seed", "json", "minimal", "small-budget", "true", "budget-is-all", "none-with-a-budget",
        "audio", "no-media-type", "detail", "no-utf8", "list-arguments", "cut-arguments",
        "system-image", "tool-without-id",
    ],
)  # fmt: skip
def test_what_messages_has_no_place_for_is_said_before_the_request(
    option: str, message: AIMessage, options: dict[str, object]
) -> None:
    with pytest.raises(errors.UnsupportedOptionError, match=r"^anthropic: ") as caught:
        sent(message, **options)
    assert caught.value.option == option
