"""The ids of another vendor's calls, as each format takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace._types import AIMessage, GenerationConfig, ToolCall, ToolResultPart
from headrace.providers._hosts import HOSTS
from headrace.wire._history import with_ids
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import ResponsesCodec

ANY = ".{1,40}"


def talk(*idents: str, origin: str | None = "gemini") -> list[AIMessage]:
    """One turn with a call and its result for each id."""
    found = [AIMessage("user", "Hi")]
    for number, ident in enumerate(idents):
        found.append(AIMessage("assistant", [ToolCall(ident, "weather", "{}", origin=origin)]))
        found.append(AIMessage("tool", [ToolResultPart(ident, f"sun {number}", "weather")]))
    return found


def ids(messages: Any) -> list[str]:
    return [
        part.id if isinstance(part, ToolCall) else part.call_id
        for message in messages
        for part in message.parts
        if isinstance(part, ToolCall | ToolResultPart)
    ]


def test_ids_that_are_taken_stay() -> None:
    messages = talk("toolu_1", "call-2")
    assert list(with_ids(messages, "anthropic", "[a-zA-Z0-9_-]+")) == messages


def test_a_providers_own_ids_stay_whatever_they_are() -> None:
    messages = talk("", "functions.weather:0", "", origin="moonshot")
    assert list(with_ids(messages, "moonshot", "[a-z]+")) == messages


def test_an_id_of_an_earlier_turn_is_another_the_second_time() -> None:
    assert ids(with_ids(talk("call_0", "call_0"), "anthropic", ANY)) == ["call_0"] * 2 + ["call00001"] * 2


def test_a_new_id_is_none_that_is_there() -> None:
    assert ids(with_ids(talk("", "call00001"), "anthropic", ANY)) == ["call00002"] * 2 + ["call00001"] * 2


def test_results_without_ids_answer_the_calls_of_their_names_in_order() -> None:
    calls = [ToolCall("", name, "{}", origin="ollama") for name in ("weather", "time", "weather")]
    results = [ToolResultPart("", text, text.split()[0]) for text in ("time 1", "weather 1", "weather 2")]
    *_, answered = with_ids([AIMessage("assistant", calls), AIMessage("tool", results)], "openai", ANY)
    assert [(part.call_id, part.content) for part in answered.parts] == [
        ("call00002", "time 1"),
        ("call00001", "weather 1"),
        ("call00003", "weather 2"),
    ]


def test_a_result_as_a_text_is_joined_by_its_messages_name() -> None:
    call = AIMessage("assistant", [ToolCall("functions.a:0", "a", "{}")])
    *_, answer = with_ids([call, AIMessage("tool", "sun", name="functions.a:0")], "anthropic", "[a-z0-9]+")
    assert answer == AIMessage("tool", "sun", name="call00001")


def test_a_result_without_a_call_stays() -> None:
    messages = [AIMessage("tool", [ToolResultPart("x:1", "sun")])]
    assert list(with_ids(messages, "anthropic", "[a-z]+")) == messages


MISTRAL = HOSTS["mistral"]


@pytest.mark.parametrize(
    ("codec", "ident"),
    [
        (AnthropicCodec(), ""),
        (AnthropicCodec(), "functions.weather:0"),
        (ChatCodec(), ""),
        (ChatCodec(), "call_" + "0" * 36),
        (ResponsesCodec(), ""),
        (ResponsesCodec(), "x" * 65),
        (ChatCodec("mistral", MISTRAL.quirks), "toolu_0123456789"),
    ],
    ids=lambda value: getattr(value, "provider", value),
)
def test_every_format_sends_an_id_that_its_vendor_takes(codec: Any, ident: str) -> None:
    body = codec.encode(talk(ident), GenerationConfig(), model="m", stream=False).body
    assert body.count(b'"call00001"') == 2
    assert not ident or ident.encode() not in body
    assert json.loads(body)
