"""What a format cannot carry of a conversation is told, once, whichever vendor it is."""

from __future__ import annotations

import pytest

from headrace import AIMessage, GenerationConfig
from headrace.wire._codec import Codec
from headrace.wire.anthropic import AnthropicCodec
from headrace.wire.gemini import GeminiCodec
from headrace.wire.ollama import OllamaCodec
from headrace.wire.openai import ChatCodec
from headrace.wire.responses import ResponsesCodec

FIRST, USER, LATER = AIMessage("system", "Be brief."), AIMessage("user", "Hi"), AIMessage("system", "Now be long.")
ON_TOP = {"anthropic": AnthropicCodec(), "gemini": GeminiCodec()}
IN_PLACE = {"chat": ChatCodec(), "responses": ResponsesCodec(), "ollama": OllamaCodec()}


def dropped(codec: Codec, *messages: AIMessage) -> tuple[str, ...]:
    return codec.encode(messages, GenerationConfig(), model="m", stream=True).dropped


@pytest.mark.parametrize("vendor", ON_TOP)
def test_a_system_message_that_loses_its_place_is_told(vendor: str) -> None:
    told = (f"{vendor}: the place of a system message behind others: left out",)
    assert dropped(ON_TOP[vendor], FIRST, USER, LATER, USER, LATER) == told
    assert dropped(ON_TOP[vendor], FIRST, LATER, USER) == ()
    assert dropped(ON_TOP[vendor], FIRST, USER, AIMessage("system", "")) == ()  # it says nothing in any place


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_system_message_that_keeps_its_place_is_not(name: str) -> None:
    assert dropped(IN_PLACE[name], FIRST, USER, LATER) == ()
