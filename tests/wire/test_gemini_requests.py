"""Messages and options as Gemini's request body."""

from __future__ import annotations

import json

import msgspec
import pytest

from headrace import _schema, errors
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
from headrace.wire.gemini import GeminiCodec

CODEC = GeminiCodec()


def sent(*messages: AIMessage, **options: object) -> dict[str, object]:
    """The body of the request, decoded."""
    return json.loads(CODEC.encode(messages, GenerationConfig(**options), model="gemini-x", stream=True).body)


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-x", True, "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("gemini-x", False, "/models/gemini-x:generateContent"),
        ("models/gemini-x", False, "/models/gemini-x:generateContent"),
        ("../files?x=1#", False, "/models/..%2Ffiles%3Fx%3D1%23:generateContent"),
    ],
)
def test_the_model_is_part_of_the_path_and_of_nothing_else(model: str, stream: bool, path: str) -> None:
    assert CODEC.encode([AIMessage("user", "Hi")], GenerationConfig(), model=model, stream=stream).path == path


def test_what_was_not_given_is_not_sent() -> None:
    assert sent(AIMessage("user", "Hi")) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


class Node(msgspec.Struct):
    value: int
    next: Node | None
    children: list[Node]


class Tree(msgspec.Struct):
    root: Node
    name: str


def test_what_leads_back_to_its_own_type_is_not_required() -> None:
    """The vendor's reference: cyclic references only within non-required properties; nullable is not enough."""
    for cls, required in ((Tree, ["root", "name"]), (Node, ["value", "next", "children"])):
        body = sent(AIMessage("user", "Hi"), response_format=_schema.of_type(cls, strict=True))
        schema = body["generationConfig"]["responseJsonSchema"]
        assert schema["required"] == required
        assert schema["$defs"]["Node"]["required"] == ["value"]
        assert set(schema["$defs"]["Node"]["properties"]) == {"value", "next", "children"}


def test_a_schema_that_refers_to_its_own_root_is_loosened_there() -> None:
    me = {"type": "object", "properties": {"a": {"type": "integer"}, "me": {"$ref": "#"}}, "required": ("a", "me")}
    body = sent(AIMessage("user", "Hi"), response_format=me)
    assert body["generationConfig"]["responseJsonSchema"] == {**me, "required": ["a"]}


def test_system_messages_become_the_instruction() -> None:
    body = sent(AIMessage("system", "A"), AIMessage("user", "Hi"), AIMessage("system", "B"))
    assert body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([ImagePart(b"\x89PNG", "image/png")], [{"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}]),
        ([AudioPart(b"RIFF", "audio/wav")], [{"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}]),
        ([ImagePart("data:image/gif;base64,R0lG")], [{"inlineData": {"mimeType": "image/gif", "data": "R0lG"}}]),
        (
            [DocumentPart("https://x/y.pdf", "application/pdf")],
            [{"fileData": {"fileUri": "https://x/y.pdf", "mimeType": "application/pdf"}}],
        ),
        ([DocumentPart("https://x/y.pdf")], [{"fileData": {"fileUri": "https://x/y.pdf"}}]),
        ([ReasoningPart("hm", "sig")], [{"text": "hm", "thought": True, "thoughtSignature": "sig"}]),
        (
            [ReasoningPart("hm"), ReasoningPart("", "sig"), ToolCall("c1", "f", '{"x": 1}')],
            [
                {"text": "hm", "thought": True},
                {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "sig"},
            ],
        ),
        (
            [TextPart("a"), ReasoningPart("", "sig")],
            [{"text": "a"}, {"text": "", "thoughtSignature": "sig"}],
        ),
        ([ToolCall("", "f", "", origin="gemini")], [{"functionCall": {"name": "f", "args": {}}}]),
        (
            [ToolCall("", "f", "")],  # made by hand, as from a log: its signature is unknown, and may not lack
            [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}],
        ),
    ],
    ids=["image", "audio", "data-uri", "file", "bare-url", "thought", "signed", "last", "call", "by-hand"],
)
def test_parts(parts: list[object], wanted: list[dict[str, object]]) -> None:
    assert sent(AIMessage("assistant", parts))["contents"] == [{"role": "model", "parts": wanted}]


@pytest.mark.parametrize(
    ("call", "answer", "response"),
    [
        (
            ToolCall("c1", "f", "{}"),
            AIMessage("tool", "42", name="c1"),
            {"id": "c1", "name": "f", "response": {"output": "42"}},
        ),
        (
            ToolCall("c1", "f", "{}"),
            AIMessage("tool", [ToolResultPart("c1", "no", is_error=True)]),
            {"id": "c1", "name": "f", "response": {"error": "no"}},
        ),
        (
            ToolCall("", "f", "{}"),
            AIMessage("tool", "42", name="f"),
            {"name": "f", "response": {"output": "42"}},
        ),
        (
            ToolCall("", "f", "{}"),
            AIMessage("tool", [ToolResultPart("", "42", name="f")]),
            {"name": "f", "response": {"output": "42"}},
        ),
    ],
    ids=["by-id", "failure", "by-name", "name-given"],
)
def test_a_tools_answer_finds_its_name(call: ToolCall, answer: AIMessage, response: dict[str, object]) -> None:
    contents = sent(AIMessage("user", "Hi"), AIMessage("assistant", [call]), answer)["contents"]
    assert contents[2] == {"role": "user", "parts": [{"functionResponse": response}]}


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (
            {"max_tokens": 7, "temperature": 0.0, "top_p": 1.0, "top_k": 3, "seed": 1, "stop_sequences": ("a",)},
            {
                "generationConfig": {
                    "maxOutputTokens": 7,
                    "temperature": 0.0,
                    "topP": 1.0,
                    "topK": 3,
                    "seed": 1,
                    "stopSequences": ["a"],
                }
            },
        ),
        (
            {"tools": [Tool("f", "d", {"type": "object"})]},
            {
                "tools": [
                    {
                        "functionDeclarations": [
                            {"name": "f", "parametersJsonSchema": {"type": "object"}, "description": "d"}
                        ]
                    }
                ]
            },
        ),
        ({"tool_choice": "required"}, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        (
            {"tool_choice": "f"},
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
        ),
        ({"response_format": "json"}, {"generationConfig": {"responseMimeType": "application/json"}}),
        (
            {"response_format": {"type": "object"}},
            {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": {"type": "object"},
                }
            },
        ),
        ({"reasoning": "high"}, {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}),
        ({"reasoning": "none"}, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}),
        ({"reasoning": -1}, {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}),
        (
            {"reasoning": {"includeThoughts": True}},
            {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
        ),
        (
            {"seed": 1, "extra": {"generationConfig": {"candidateCount": 1}, "serviceTier": "flex"}},
            {"generationConfig": {"seed": 1, "candidateCount": 1}, "serviceTier": "flex"},
        ),
    ],
    ids=[
        "sampling", "tools", "required", "named", "json", "schema", "effort", "no-reasoning", "budget", "mapping",
        "extra",
    ],
)  # fmt: skip
def test_options(options: dict[str, object], fields: dict[str, object]) -> None:
    assert sent(AIMessage("user", "Hi"), **options) == sent(AIMessage("user", "Hi")) | fields


def test_no_reasoning_is_a_number() -> None:
    body = sent(AIMessage("user", "Hi"), reasoning=False)
    assert json.dumps(body["generationConfig"]) == '{"thinkingConfig": {"thinkingBudget": 0}}'


@pytest.mark.parametrize(
    ("option", "message", "options"),
    [
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": "max"}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": True}),
        ("reasoning", AIMessage("user", "Hi"), {"reasoning": Reasoning(effort="high", budget=2048)}),
        ("tools", AIMessage("user", "Hi"), {"tools": [Tool("f", strict=True)]}),
        ("messages", AIMessage("user", [ImagePart("https://x", detail="low")]), {}),
        ("messages", AIMessage("user", [AudioPart(b"RIFF")]), {}),
        ("messages", AIMessage("assistant", [ToolCall("i", "f", "[1]")]), {}),
        ("messages", AIMessage("system", [ImagePart("https://x")]), {}),
        ("messages", AIMessage("tool", "42", name="unknown"), {}),
        ("messages", AIMessage("tool", "42"), {}),
    ],
    ids=[
        "max",
        "true",
        "level-and-budget",
        "strict",
        "detail",
        "no-media-type",
        "list",
        "system-image",
        "unknown-call",
        "no-call",
    ],
)
def test_what_gemini_has_no_place_for_is_said_before_the_request(
    option: str, message: AIMessage, options: dict[str, object]
) -> None:
    with pytest.raises(errors.UnsupportedOptionError, match=r"^gemini: ") as caught:
        sent(message, **options)
    assert caught.value.option == option
