"""
What reaches the server: the whole request as the vendor's format has it, nothing that was not given, nothing at all
where an option cannot be honoured. The expected bodies are written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from headrace import AIMessage, GenerationConfig
from headrace._types import Tool
from headrace.errors import UnsupportedOptionError
from headrace.simulator import Simulator

from .rows import PROVIDERS, REST, PerVendor, of

pytestmark = pytest.mark.usefixtures("leak_check")

HI: Final = [AIMessage("user", "Hi.")]
TURNS: Final = [
    AIMessage("system", "Be brief."),
    AIMessage("user", "Is the mill old?"),
    AIMessage("assistant", "Ja, sehr alt: 水車."),
    AIMessage("user", "How old?"),
]
DEPTH: Final = {"type": "object", "properties": {"of": {"type": "string"}}, "required": ["of"]}
AGE: Final = {"type": "object", "properties": {"years": {"type": "integer"}}}
SHARED: Final[dict[str, object]] = {
    "model": "model-of-mine",
    "max_tokens": 50,
    "temperature": 0.5,
    "top_p": 0.9,
    "stop_sequences": ["END", "Ende"],
    "tools": [Tool("measure", "How deep it is.", DEPTH), Tool("open_gate")],
    "tool_choice": "required",
    "response_format": AGE,
    "reasoning": "low",
    "extra": {"x_own": [1, None]},
}
OWN: Final[Mapping[str, Mapping[str, object]]] = {
    "anthropic": {"top_k": 3},
    "gemini": {"top_k": 3, "seed": 7},
    "ollama": {"top_k": 3, "seed": 7, "tool_choice": "auto"},
    REST: {"seed": 7},
}
NO_PARAMETERS: Final = {"type": "object", "properties": {}}

CHAT_COMPLETIONS: Final[dict[str, object]] = {
    "model": "model-of-mine",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is the mill old?"},
        {"role": "assistant", "content": "Ja, sehr alt: 水車."},
        {"role": "user", "content": "How old?"},
    ],
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "top_p": 0.9,
    "stop": ["END", "Ende"],
    "seed": 7,
    "tools": [
        {"type": "function", "function": {"name": "measure", "description": "How deep it is.", "parameters": DEPTH}},
        {"type": "function", "function": {"name": "open_gate", "parameters": NO_PARAMETERS}},
    ],
    "tool_choice": "required",
    "response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": AGE}},
    "reasoning_effort": "low",
    "stream": True,
    "x_own": [1, None],
}
EVERYTHING: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "anthropic": (
        "/anthropic/v1/messages",
        {
            "model": "model-of-mine",
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": "Is the mill old?"},
                {"role": "assistant", "content": "Ja, sehr alt: 水車."},
                {"role": "user", "content": "How old?"},
            ],
            "max_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 3,
            "stop_sequences": ["END", "Ende"],
            "tools": [
                {"name": "measure", "description": "How deep it is.", "input_schema": DEPTH},
                {"name": "open_gate", "input_schema": NO_PARAMETERS},
            ],
            "tool_choice": {"type": "any"},
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": AGE}},
            "stream": True,
            "x_own": [1, None],
        },
    ),
    "gemini": (
        "/gemini/v1beta/models/model-of-mine:streamGenerateContent",
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Is the mill old?"}]},
                {"role": "model", "parts": [{"text": "Ja, sehr alt: 水車."}]},
                {"role": "user", "parts": [{"text": "How old?"}]},
            ],
            "generationConfig": {
                "maxOutputTokens": 50,
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 3,
                "seed": 7,
                "stopSequences": ["END", "Ende"],
                "responseMimeType": "application/json",
                "responseJsonSchema": AGE,
                "thinkingConfig": {"thinkingLevel": "LOW"},
            },
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "measure", "description": "How deep it is.", "parametersJsonSchema": DEPTH},
                        {"name": "open_gate", "parametersJsonSchema": NO_PARAMETERS},
                    ]
                }
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "x_own": [1, None],
        },
    ),
    "grok": ("/grok/v1/chat/completions", {**CHAT_COMPLETIONS, "stream_options": {"include_usage": True}}),
    "ollama": (
        "/ollama/api/chat",
        {
            "model": "model-of-mine",
            "messages": CHAT_COMPLETIONS["messages"],
            "options": {
                "num_predict": 50,
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 3,
                "seed": 7,
                "stop": ["END", "Ende"],
            },
            "format": AGE,
            "think": "low",
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "measure", "description": "How deep it is.", "parameters": DEPTH},
                },
                {"type": "function", "function": {"name": "open_gate", "description": "", "parameters": NO_PARAMETERS}},
            ],
            "stream": True,
            "truncate": False,
            "x_own": [1, None],
        },
    ),
    "openai": (
        "/openai/v1/chat/completions",
        {**CHAT_COMPLETIONS, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    ),
}
HI_TURNS: Final = [{"role": "user", "content": "Hi."}]
NOTHING: Final[dict[str, dict[str, object]]] = {  # what the vendor asks for, and no more
    "anthropic": {"model": "claude-sonnet-5-5", "messages": HI_TURNS, "max_tokens": 16_384},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]},
    "grok": {"model": "grok-4.6", "messages": HI_TURNS},
    "ollama": {"model": "llama3.2", "messages": HI_TURNS, "stream": False, "truncate": False},
    "openai": {"model": "gpt-6.1-terra", "messages": HI_TURNS},
}
STREAMED: Final[dict[str, dict[str, object]]] = {
    "anthropic": {"stream": True},
    "gemini": {},  # its path says it
    "grok": {"stream": True, "stream_options": {"include_usage": True}},
    "ollama": {"stream": True},
    "openai": {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
}
METHODS: Final[PerVendor[tuple[str, str]]] = {
    "anthropic": ("/v1/messages", "/v1/messages"),
    "gemini": (":streamGenerateContent", ":generateContent"),
    "ollama": ("/api/chat", "/api/chat"),
    REST: ("/v1/chat/completions", "/v1/chat/completions"),
}


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_every_option_reaches_the_server_in_the_vendors_words(sim: Simulator, vendor: str) -> None:
    config = GenerationConfig(**{**SHARED, **of(OWN, vendor)})  # type: ignore[arg-type]  # one table for all
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        answer = await provider.chat(TURNS, config)
    (exchange,) = sim.exchanges
    assert (exchange.method, exchange.path, exchange.body) == ("POST", *EVERYTHING[vendor])
    assert answer.model == "model-of-mine"


@pytest.mark.parametrize("vendor", PROVIDERS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_what_is_not_given_is_not_sent(sim: Simulator, vendor: str, stream: bool) -> None:
    config = None if stream else GenerationConfig(stream=False)
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        await provider.chat(HI, config)
    (exchange,) = sim.exchanges
    assert exchange.body == {**NOTHING[vendor], **(STREAMED[vendor] if stream else {})}
    assert exchange.path.endswith(of(METHODS, vendor)[0 if stream else 1])
    streamed = "application/x-ndjson" if vendor == "ollama" else "text/event-stream"
    assert exchange.headers["accept"] == (streamed if stream else "application/json")
    assert exchange.headers["accept-encoding"] == "identity"
    assert exchange.headers["content-type"] == "application/json"


UNSUPPORTED: Final[dict[str, tuple[str, GenerationConfig]]] = {
    "anthropic-seed": ("seed", GenerationConfig(seed=7)),
    "anthropic-json": ("response_format", GenerationConfig(response_format="json")),
    "anthropic-effort": ("reasoning", GenerationConfig(reasoning="sideways")),
    "gemini-effort": ("reasoning", GenerationConfig(reasoning="sideways")),
    "gemini-strict": ("tools", GenerationConfig(tools=[Tool("measure", strict=True)])),
    "grok-top-k": ("top_k", GenerationConfig(top_k=3)),
    "grok-budget": ("reasoning", GenerationConfig(reasoning=2000)),
    "ollama-tool-choice": ("tool_choice", GenerationConfig(tool_choice="required")),
    "ollama-effort": ("reasoning", GenerationConfig(reasoning="sideways")),
    "ollama-budget": ("reasoning", GenerationConfig(reasoning=2000)),
    "ollama-strict": ("tools", GenerationConfig(tools=[Tool("measure", strict=True)])),
    "openai-top-k": ("top_k", GenerationConfig(top_k=3)),
    "openai-budget": ("reasoning", GenerationConfig(reasoning=2000)),
    "openai-two-answers": ("extra", GenerationConfig(extra={"n": 2})),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
async def test_an_option_that_cannot_be_honoured_is_refused_before_any_request(sim: Simulator, name: str) -> None:
    option, config = UNSUPPORTED[name]
    vendor = name.partition("-")[0]
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        stream = provider.chat_stream(HI, config)
        with pytest.raises(UnsupportedOptionError, match=f"^{vendor}: ") as caught:
            await anext(stream)
        assert (caught.value.option, stream.state) == (option, "failed")
        with pytest.raises(UnsupportedOptionError):
            await provider.chat(HI, config)
    assert (sim.requests, sim.connections) == (0, 0)
