"""generateContent: what a model said goes back unchanged, what another vendor's model said goes as far as it can."""

from __future__ import annotations

import json

import pytest

from headrace import (
    AIMessage,
    CacheBreakpoint,
    Citation,
    ImagePart,
    PromptCache,
    Reasoning,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from headrace.errors import UnsupportedOptionError
from headrace.wire.gemini import GeminiCodec

from .turns import heard, sent

CODEC = GeminiCodec()
USER = AIMessage("user", "hi")


def event(*parts: dict, **more: object) -> str:
    return json.dumps({"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}]})


def test_a_turn_with_everything_goes_back_as_it_came() -> None:
    response = heard(
        CODEC,
        event({"text": "I think", "thought": True}),
        event({"executableCode": {"language": "PYTHON", "code": "1+1"}}),
        event({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}, {"text": "It is "}),
        event({"text": "2."}),
        event({"inlineData": {"mimeType": "image/png", "data": "cG5n"}, "thoughtSignature": "s0"}),
        event(
            {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": "s1"},
            {"functionCall": {"id": "c2", "name": "g", "args": {}}},
        ),
        event({"text": "", "thoughtSignature": "s2"}, finishReason="STOP"),
    )
    body, encoded = sent(CODEC, USER, response.to_message(), AIMessage("tool", [ToolResultPart("c1", "7")]))
    assert body["contents"][1] == {
        "role": "model",
        "parts": [
            {"text": "I think", "thought": True},
            {"executableCode": {"language": "PYTHON", "code": "1+1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
            {"text": "It is 2."},
            {"inlineData": {"mimeType": "image/png", "data": "cG5n"}, "thoughtSignature": "s0"},
            {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": "s1"},
            {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            {"text": "", "thoughtSignature": "s2"},
        ],
    }
    assert body["contents"][2]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "7"}}}
    ]
    assert encoded.dropped == ()
    assert response.images == (ImagePart(b"png", "image/png"),)


def test_a_conversation_from_elsewhere_drops_what_is_not_its_own() -> None:
    turn = AIMessage(
        "assistant",
        [
            ReasoningPart("hm", "sig", origin="anthropic"),
            VendorPart("anthropic", {"type": "server_tool_use"}),
            TextPart("a"),
            CacheBreakpoint(),
            ReasoningPart("", data="b64"),
            ToolCall("t1", "f", "{}", origin="anthropic"),
        ],
    )
    body, encoded = sent(CODEC, USER, turn, AIMessage("user", "go on", name="Ann"))
    assert body["contents"][1]["parts"] == [
        {"text": "a"},
        {
            "functionCall": {"id": "t1", "name": "f", "args": {}},
            "thoughtSignature": "skip_thought_signature_validator",
        },
    ]
    assert encoded.dropped == (
        "gemini: the reasoning of anthropic: left out",
        "gemini: what only anthropic understands (server_tool_use): left out",
        "gemini: a cache breakpoint, which this vendor does not take: left out",
        "gemini: redacted reasoning, which this format does not have: left out",
        "gemini: an author's name: left out",
    )


def test_grounding_is_citations_by_characters() -> None:
    words = "Caf\u00e9 is open."
    grounding = {
        "groundingChunks": [{"web": {"uri": "u1", "title": "T1"}}, {"web": {"uri": "u2", "title": "T2"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 6, "endIndex": 8, "text": "is"}, "groundingChunkIndices": [0, 9]}
        ],
    }
    first = event({"text": words}, groundingMetadata=grounding)
    again = event({"text": "!"}, groundingMetadata=grounding, finishReason="STOP")
    response = heard(CODEC, first, again)
    assert response.citations == (
        Citation("u1", "T1", start=5, end=7, raw=grounding["groundingSupports"][0]),
        Citation("u2", "T2"),
    )
    assert words[5:7] == "is"


def test_a_tool_may_answer_with_an_image() -> None:
    result = ToolResultPart("c", [TextPart("see"), ImagePart(b"png", "image/png")], name="f")
    body, _ = sent(CODEC, AIMessage("tool", [result]))
    assert body["contents"][0]["parts"] == [
        {
            "functionResponse": {
                "id": "c",
                "name": "f",
                "response": {"output": "see"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "cG5n"}}],
            }
        }
    ]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"cache": PromptCache(name="cachedContents/1")}, "cachedContent", "cachedContents/1"),
        ({"service_tier": "flex"}, "serviceTier", "flex"),
        (
            {"reasoning": Reasoning(effort="low", show=True)},
            "generationConfig",
            {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}},
        ),
        ({"reasoning": Reasoning(budget=5)}, "generationConfig", {"thinkingConfig": {"thinkingBudget": 5}}),
    ],
)
def test_options(options: dict, field: str, value: object) -> None:
    assert sent(CODEC, USER, **options)[0][field] == value


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"cache": PromptCache(key="k")}, "cache"),
        ({"cache": PromptCache(name="c", ttl="1h")}, "cache"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"reasoning": "enormous"}, "reasoning"),
        ({"extra": {"generationConfig": {"candidateCount": 2}}}, "extra"),
    ],
)
def test_options_that_the_format_has_no_place_for(options: dict, option: str) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        sent(CODEC, USER, **options)
    assert caught.value.option == option
