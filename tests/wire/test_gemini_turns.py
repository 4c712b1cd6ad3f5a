"""generateContent: what a model said goes back unchanged, what another vendor's model said goes as far as it can."""

from __future__ import annotations

import json

import pytest

from headrace import (
    AIMessage,
    CacheBreakpoint,
    Citation,
    ImagePart,
    PartialToolCall,
    PromptCache,
    Reasoning,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from headrace.errors import UnsupportedOptionError
from headrace.streaming.machine import StreamMachine
from headrace.wire.anthropic import AnthropicCodec
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


def test_results_in_messages_of_their_own_answer_the_calls_in_one_turn() -> None:
    """One turn for each was refused: its results must be as many as the calls that they answer."""
    calls = AIMessage("assistant", [ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}"), ToolCall("c3", "g", "{}")])
    body, _ = sent(
        CODEC,
        calls,
        AIMessage("tool", "1", name="c1"),
        AIMessage("tool", [ToolResultPart("c2", "2")]),
        AIMessage("user", [ToolResultPart("c3", "3", is_error=True), TextPart("Why?")]),
        AIMessage("user", "Well?"),
    )
    _, *turns = body["contents"]
    assert turns == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "1"}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"output": "2"}}},
                {"functionResponse": {"id": "c3", "name": "g", "response": {"error": "3"}}},
                {"text": "Why?"},
            ],
        },
        {"role": "user", "parts": [{"text": "Well?"}]},
    ]


def test_a_system_message_loses_its_breakpoint_and_its_name_and_says_so() -> None:
    body, encoded = sent(CODEC, AIMessage("system", [TextPart("rules"), CacheBreakpoint()], name="Ann"), USER)
    assert body["systemInstruction"] == {"parts": [{"text": "rules"}]}
    assert encoded.dropped == (
        "gemini: an author's name: left out",
        "gemini: a cache breakpoint, which this vendor does not take: left out",
    )


CALL = {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1}}}
OTHER = {"functionCall": {"id": "c2", "name": "g", "args": {}}}
AGAIN = {"functionCall": {"name": "f", "args": {}}}  # older models give no ids


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "a"}, CALL, {"text": "b"}, OTHER, {"text": "c"}],
        [CALL, {"text": "b"}, OTHER],
        [AGAIN, {"text": "b"}, AGAIN],
        [CALL, OTHER | {"thoughtSignature": "s"}],
        [{"text": "a"}, CALL, {"executableCode": {"code": "1"}}, OTHER, {"text": "b"}],
        [{"text": "a", "thoughtSignature": "s"}, {"text": "b"}],
        [{"text": "hm", "thought": True, "thoughtSignature": "s"}, CALL],
        [CALL, {"text": "", "thoughtSignature": "s"}, OTHER],
        [{"inlineData": {"mimeType": "image/png", "data": "cG5n"}, "thought": True, "thoughtSignature": "s"}, CALL],
        [{"executableCode": {"code": "1"}, "thoughtSignature": "s"}, CALL],
    ],
    ids=[
        "words-and-calls",
        "call-first",
        "same-call-twice",
        "second-call-is-signed",
        "other-parts-between",
        "words-are-signed",
        "thoughts-are-signed",
        "signature-alone",
        "a-draft-image",
        "code-is-signed",
    ],
)
@pytest.mark.parametrize("before", [False, True], ids=["first-event", "later-event"])
def test_what_one_event_mixes_goes_back_in_its_order(parts: list[dict], before: bool) -> None:
    earlier = [{"executableCode": {"code": "0"}}] if before else []
    response = heard(CODEC, *(event(part) for part in earlier), event(*parts, finishReason="STOP"))
    assert sent(CODEC, USER, response.to_message())[0]["contents"][1]["parts"] == [*earlier, *parts]


def test_a_call_in_pieces_has_no_place_among_whole_ones() -> None:
    begun = {"functionCall": {"name": "h", "partialArgs": [], "willContinue": True}}
    response = heard(CODEC, event(begun, CALL, {"text": "b"}, OTHER))
    assert [getattr(part, "name", "words") for part in response.parts] == ["f", "words", "g", "h"]


def test_a_signature_alone_is_no_loss_elsewhere() -> None:
    response = heard(CODEC, event({"text": "a"}), event({"text": "", "thoughtSignature": "s"}, finishReason="STOP"))
    body, encoded = sent(AnthropicCodec(), USER, response.to_message(), USER)
    assert body["messages"][1]["content"] == [{"type": "text", "text": "a"}]
    assert encoded.dropped == ()


def test_a_whole_answer_keeps_its_order() -> None:
    answer = {"candidates": [{"content": {"parts": [CALL, {"text": "b"}, OTHER]}, "finishReason": "STOP"}]}
    machine = StreamMachine(provider="gemini")
    for chunk in CODEC.decode_body(json.dumps(answer).encode()):
        machine.feed(chunk)
    assert machine.response.parts == (ToolCall("c1", "f", '{"n": 1}'), TextPart("b"), ToolCall("c2", "g", "{}"))
    assert machine.response.tool_calls == (ToolCall("c1", "f", '{"n": 1}'), ToolCall("c2", "g", "{}"))


def test_thoughts_that_came_in_pieces_are_signed_together() -> None:
    response = heard(
        CODEC,
        event({"text": "old", "thought": True}),
        event({"text": "a"}),
        event({"text": "I th", "thought": True}),
        event({"text": "ink", "thought": True}),
        event({"text": "", "thought": True, "thoughtSignature": "s"}),
        event({"text": "b"}, finishReason="STOP"),
    )
    assert response.reasoning == "oldI think"
    assert sent(CODEC, USER, response.to_message())[0]["contents"][1]["parts"] == [
        {"text": "old", "thought": True},
        {"text": "a"},
        {"text": "I think", "thought": True, "thoughtSignature": "s"},
        {"text": "b"},
    ]


def test_a_signature_of_words_is_not_of_those_that_follow() -> None:
    signed = event({"text": "a", "thoughtSignature": "s"})
    response = heard(CODEC, event({"text": "x"}), signed, event({"text": "b"}), event({"text": "c"}))
    assert sent(CODEC, USER, response.to_message())[0]["contents"][1]["parts"] == [
        {"text": "x"},
        {"text": "a", "thoughtSignature": "s"},
        {"text": "bc"},
    ]


@pytest.mark.parametrize("signature", ["+/+/Aw==", "-_-_Aw==", "-_-_Aw"], ids=["standard", "url-safe", "unpadded"])
def test_a_signature_goes_back_in_the_letters_that_it_came_in(signature: str) -> None:
    parts = [CALL | {"thoughtSignature": signature}, {"text": "", "thoughtSignature": signature}]
    response = heard(CODEC, event(*parts, finishReason="STOP"))
    assert sent(CODEC, USER, response.to_message())[0]["contents"][1]["parts"] == parts


@pytest.mark.parametrize("data", ["+/+/Aw==", "-_-_Aw==", "-_-_Aw"], ids=["standard", "url-safe", "unpadded"])
def test_an_image_may_come_in_either_base64(data: str) -> None:
    response = heard(CODEC, event({"inlineData": {"mimeType": "image/png", "data": data}}))
    assert response.images == (ImagePart(b"\xfb\xff\xbf\x03", "image/png"),)


def pieces(*args: dict, **call: object) -> str:
    return event({"functionCall": {**call, "partialArgs": list(args), "willContinue": True}})


def test_numbers_that_come_in_pieces_keep_their_digits() -> None:
    begun = event({"functionCall": {"name": "f", "args": {"given": 1}, "willContinue": True}})
    number = '{"jsonPath":"$.n","numberValue":12345678901234567890.10}'
    response = heard(CODEC, begun, pieces("@").replace('"@"', number), event({"functionCall": {}}, finishReason="STOP"))
    assert response.tool_calls == (ToolCall("", "f", '{"given":1,"n":12345678901234567890.10}'),)


@pytest.mark.parametrize(
    "after", [event(finishReason="MAX_TOKENS"), event(OTHER, finishReason="STOP")], ids=["the-end", "another-call"]
)
def test_a_call_that_is_broken_off_cannot_be_run(after: str) -> None:
    response = heard(CODEC, pieces({"jsonPath": "$.a", "stringValue": "x"}, id="c1", name="f"), after)
    broken = response.tool_calls[0]
    assert isinstance(broken, PartialToolCall)
    assert (broken.id, broken.name, broken.arguments) == ("c1", "f", '{"a":"x"')
    assert [call.name for call in response.tool_calls[1:]] == (["g"] if "g" in after else [])


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


@pytest.mark.parametrize(
    ("segment", "place"),
    [
        ({"startIndex": 3, "endIndex": 6, "text": "\u00e9 b"}, (3, 6)),
        ({"startIndex": 0, "endIndex": 1, "text": "b"}, (5, 6)),
        ({"startIndex": 0, "endIndex": 1, "text": "a"}, (None, None)),
        ({"startIndex": 0, "endIndex": 1, "text": "z"}, (None, None)),
        ({"endIndex": 4}, (0, 3)),
        ({"endIndex": 99}, (None, None)),
        ({"startIndex": 3, "endIndex": 1}, (None, None)),
        ({"partIndex": 1, "endIndex": 1}, (None, None)),
        ({}, (None, None)),
    ],
    ids=[
        "as-it-says",
        "where-its-words-are",
        "words-twice",
        "no-such-words",
        "no-words",
        "behind-the-end",
        "backwards",
        "of-another-part",
        "empty",
    ],
)
def test_a_segment_is_where_its_words_are(segment: dict, place: tuple[int | None, int | None]) -> None:
    grounding = {
        "groundingChunks": [{"retrievedContext": {"uri": "u", "text": "T"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
    }
    (cited,) = heard(CODEC, event({"text": "\u00e9aa\u00e9 b"}, groundingMetadata=grounding)).citations
    assert (cited.url, cited.text, cited.start, cited.end) == ("u", "T", *place)


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
