"""The rules of models: what they foresee, how they are laid over one another, and how the caller changes them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import _models, models
from headrace._options import Refusal, check, dropped, unsupported
from headrace._types import AIMessage, GenerationConfig, Reasoning
from headrace.errors import ModelRulesError, UnsupportedOptionError
from headrace.providers._hosts import HOSTS
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
from headrace.wire import openai as chat

from .recordings.cases import ROOT, WHY

ASK = [AIMessage("user", "Hi")]
PREFILL = [AIMessage("user", "Count to 3."), AIMessage("assistant", "1, 2,")]
OWN = _models.load(models.OWN.read_text("utf-8"))


@pytest.fixture(autouse=True)
def rules_of_the_package_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_in_force", None)
    monkeypatch.delenv("HEADRACE_MODELS", raising=False)


def refused(model: str, *, api: str | None = None, messages: list[AIMessage] = ASK, **options: object) -> set[str]:
    provider, _, name = model.partition("/")
    return {refusal.option for refusal in check(provider, name, GenerationConfig(**options), messages, api=api)}


# ---------------------------------------------------------------- what models refuse

SAMPLING = {"temperature": 0.2, "top_p": 0.9, "top_k": 40}

REFUSED = [  # model, options, which of them are refused
    # Claude: none of the new ones samples
    ("anthropic/claude-opus-4-7", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-opus-4-8", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-opus-5", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-opus-5-5", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-sonnet-5", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-sonnet-5-5", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-haiku-5-5", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-fable-5-2", SAMPLING, {"temperature", "top_p", "top_k"}),
    ("anthropic/claude-mythos-5", SAMPLING, {"temperature", "top_p", "top_k"}),
    # Claude 4.5 and 4.6: one of two
    ("anthropic/claude-sonnet-4-6", {"temperature": 0.2, "top_k": 40}, set()),
    ("anthropic/claude-sonnet-4-6", {"top_p": 0.5, "top_k": 40}, set()),
    ("anthropic/claude-sonnet-4-6", {"temperature": 0.2, "top_p": 0.9}, {"top_p"}),
    ("anthropic/claude-haiku-4-5-20251001", {"temperature": 0.2, "top_p": 0.9}, {"top_p"}),
    ("anthropic/claude-haiku-4-5", {"temperature": 1.5}, {"temperature"}),
    # ... and while they think
    ("anthropic/claude-opus-4-5", {"reasoning": 2048, "temperature": 0.2}, {"temperature"}),
    ("anthropic/claude-opus-4-5", {"reasoning": 2048, "temperature": 1.0}, set()),
    ("anthropic/claude-opus-4-5", {"reasoning": 2048, "top_k": 40}, {"top_k"}),
    ("anthropic/claude-opus-4-5", {"reasoning": 2048, "top_p": 0.94}, {"top_p"}),
    ("anthropic/claude-opus-4-5", {"reasoning": 2048, "top_p": 0.95}, set()),
    ("anthropic/claude-opus-4-5", {"reasoning": "none", "top_p": 0.5}, set()),
    ("anthropic/claude-opus-4-5", {"reasoning": Reasoning(budget=2048), "top_k": 40}, {"top_k"}),
    # Claude: efforts, budgets, and none
    ("anthropic/claude-opus-4-5", {"reasoning": "high"}, {"reasoning"}),
    ("anthropic/claude-opus-4-6", {"reasoning": "high"}, set()),
    ("anthropic/claude-opus-4-6", {"reasoning": "max"}, set()),
    ("anthropic/claude-opus-4-6", {"reasoning": "xhigh"}, {"reasoning"}),
    ("anthropic/claude-opus-4-6", {"reasoning": 2048}, set()),
    ("anthropic/claude-opus-4-7", {"reasoning": "xhigh"}, set()),
    ("anthropic/claude-opus-4-7", {"reasoning": "minimal"}, {"reasoning"}),
    ("anthropic/claude-opus-4-7", {"reasoning": 2048}, {"reasoning"}),
    ("anthropic/claude-opus-4-7", {"reasoning": Reasoning(effort="high", budget=2048)}, {"reasoning"}),
    ("anthropic/claude-opus-4-7", {"reasoning": Reasoning(show=True)}, set()),
    ("anthropic/claude-opus-5", {"reasoning": "none"}, set()),
    ("anthropic/claude-haiku-5-5", {"reasoning": "none"}, set()),
    ("anthropic/claude-opus-5-5", {"reasoning": "none"}, {"reasoning"}),
    ("anthropic/claude-opus-5-5", {"reasoning": 0}, {"reasoning"}),
    ("anthropic/claude-opus-5-5", {"reasoning": Reasoning(effort="none")}, {"reasoning"}),
    ("anthropic/claude-sonnet-5-5", {"reasoning": "none"}, {"reasoning"}),
    ("anthropic/claude-sonnet-5-5", {"reasoning": {"type": "between_tools"}}, set()),
    ("anthropic/claude-fable-5", {"reasoning": "none"}, {"reasoning"}),
    ("anthropic/claude-mythos-preview", {"reasoning": "none"}, {"reasoning"}),
    # Claude: forced calls
    ("anthropic/claude-opus-5", {"tool_choice": "required"}, set()),
    ("anthropic/claude-opus-5-5", {"tool_choice": "required"}, {"tool_choice"}),
    ("anthropic/claude-opus-5-5", {"tool_choice": "get_weather"}, {"tool_choice"}),
    ("anthropic/claude-opus-5-5", {"tool_choice": "auto"}, set()),
    ("anthropic/claude-opus-5-5", {"tool_choice": "none"}, set()),
    ("anthropic/claude-sonnet-5-5", {"tool_choice": "required"}, {"tool_choice"}),
    ("anthropic/claude-fable-5", {"tool_choice": "required"}, set()),
    ("anthropic/claude-fable-5-1", {"tool_choice": "required"}, {"tool_choice"}),
    ("anthropic/claude-mythos-5-2", {"tool_choice": "required"}, {"tool_choice"}),
    ("anthropic/claude-sonnet-4-5", {"tool_choice": "required"}, set()),
    ("anthropic/claude-sonnet-4-5", {"tool_choice": "required", "reasoning": 2048}, {"tool_choice"}),
    # Claude: limits
    ("anthropic/claude-haiku-4-5", {"max_tokens": 64_000}, set()),
    ("anthropic/claude-haiku-4-5", {"max_tokens": 64_001}, {"max_tokens"}),
    ("anthropic/claude-sonnet-5-5", {"max_tokens": 128_000}, set()),
    ("anthropic/claude-sonnet-5-5", {"max_tokens": 128_001}, {"max_tokens"}),
    # GPT: those that always reason
    ("openai/gpt-6-astra", {"temperature": 0.2, "reasoning": "low"}, {"temperature"}),
    ("openai/gpt-6-astra", {"reasoning": "none"}, {"reasoning"}),
    ("openai/gpt-6.1-sol", {"top_p": 0.2}, {"top_p"}),
    ("openai/gpt-5", {"temperature": 0.2}, {"temperature"}),
    ("openai/gpt-5-mini-2025-08-07", {"top_p": 0.2, "stop_sequences": ["x"]}, {"top_p", "stop_sequences"}),
    ("openai/gpt-5", {"reasoning": "minimal"}, set()),
    ("openai/gpt-5", {"reasoning": "xhigh"}, {"reasoning"}),
    ("openai/gpt-5-pro", {"reasoning": "high"}, set()),
    ("openai/gpt-5-pro", {"reasoning": "low"}, {"reasoning"}),
    ("openai/o3", {"temperature": 0.2, "stop_sequences": ["x"]}, {"temperature", "stop_sequences"}),
    ("openai/o1-2024-12-17", {"temperature": 0.2, "stop_sequences": ["x"]}, {"temperature"}),
    ("openai/o3-deep-research", {"tools": []}, {"tools"}),
    ("openai/gpt-5.5-pro", {"temperature": 0.2, "reasoning": "low"}, {"temperature", "reasoning"}),
    ("openai/gpt-5.4-pro-2026-03-05", {"reasoning": "none"}, {"reasoning"}),
    ("openai/gpt-5.2-chat-latest", {"temperature": 0.2, "reasoning": "low"}, {"temperature", "reasoning"}),
    # GPT: those that reason unless told otherwise
    ("openai/gpt-6.1-terra", {"temperature": 0.2}, {"temperature"}),
    ("openai/gpt-6.1-terra", {"temperature": 0.2, "reasoning": "none"}, set()),
    ("openai/gpt-6.1-terra", {"temperature": 0.2, "reasoning": Reasoning(effort="none")}, set()),
    ("openai/gpt-6.1-terra", {"reasoning": "minimal"}, {"reasoning"}),
    ("openai/gpt-5.6", {"top_p": 0.2}, {"top_p"}),
    ("openai/gpt-5.6-luna", {"top_p": 0.2, "reasoning": "none"}, set()),
    ("openai/gpt-5.5", {"temperature": 0.2, "reasoning": "high"}, {"temperature"}),
    ("openai/gpt-5.5", {"reasoning": "max"}, {"reasoning"}),
    # GPT: those that reason when asked
    ("openai/gpt-5.4", {"temperature": 0.2}, set()),
    ("openai/gpt-5.4", {"temperature": 0.2, "reasoning": "none"}, set()),
    ("openai/gpt-5.4", {"temperature": 0.2, "reasoning": "low"}, {"temperature"}),
    ("openai/gpt-5.4-nano-2026-03-17", {"top_p": 0.2, "reasoning": "low"}, {"top_p"}),
    ("openai/gpt-5.1", {"temperature": 0.2}, set()),
    ("openai/gpt-5.1", {"temperature": 0.2, "reasoning": "low"}, {"temperature"}),
    ("openai/gpt-5.1", {"reasoning": "xhigh"}, {"reasoning"}),
    ("openai/gpt-5.4", {"reasoning": 2048}, {"reasoning"}),
    # GPT: those that do not
    ("openai/gpt-4.1", {"temperature": 0.2, "top_p": 0.9, "stop_sequences": ["x"]}, set()),
    ("openai/gpt-4o-2024-08-06", {"reasoning": "none"}, {"reasoning"}),
    ("openai/gpt-5-chat-latest", {"temperature": 0.2}, set()),
    ("openai/gpt-4o", {"max_tokens": 16_385}, {"max_tokens"}),
    ("openai/gpt-4.1", {"max_tokens": 32_768}, set()),
    ("openai/gpt-4.1", {"temperature": 2.1}, {"temperature"}),
    # Gemini: budgets to 2.5, levels from 3
    ("gemini/gemini-2.5-flash", {"reasoning": 1024, "temperature": 0.2, "top_p": 0.9, "top_k": 40}, set()),
    ("gemini/gemini-2.5-flash", {"reasoning": 0}, set()),
    ("gemini/gemini-2.5-flash", {"reasoning": "low"}, {"reasoning"}),
    ("gemini/gemini-2.5-pro", {"reasoning": 0}, {"reasoning"}),
    ("gemini/gemini-2.5-pro", {"reasoning": "none"}, {"reasoning"}),
    ("gemini/gemini-2.5-pro", {"temperature": 1000.0}, {"temperature"}),
    ("gemini/gemini-2.5-pro", {"temperature": 2.0}, set()),
    ("gemini/gemini-2.0-flash", {"reasoning": 1024}, {"reasoning"}),
    ("gemini/gemma-4-31b-it", {"reasoning": "low"}, {"reasoning"}),
    ("gemini/gemini-3.6-flash", {"reasoning": "minimal"}, set()),
    ("gemini/gemini-3.8-flash", {"reasoning": "minimal"}, {"reasoning"}),
    ("gemini/models/gemini-3.8-flash", {"reasoning": "minimal"}, {"reasoning"}),
    ("gemini/gemini-3.8-flash", {"reasoning": "low"}, set()),
    ("gemini/gemini-3.7-flash", {"reasoning": "minimal"}, {"reasoning"}),
    ("gemini/gemini-4-argon", {"reasoning": "minimal"}, {"reasoning"}),
    ("gemini/gemini-4-argon", {"max_tokens": 1_000_000}, set()),
    ("gemini/gemini-3.1-pro-preview", {"reasoning": 0}, {"reasoning"}),
    ("gemini/gemini-3.8-flash", {"max_tokens": 65_537}, {"max_tokens"}),
    # Grok
    ("grok/grok-4.6", {"stop_sequences": ["x"]}, {"stop_sequences"}),
    ("grok/grok-4.6", {"temperature": 0.2, "top_p": 0.9}, set()),
    ("grok/grok-4.6", {"reasoning": "none"}, {"reasoning"}),
    ("grok/grok-4.6", {"reasoning": "xhigh"}, set()),
    ("grok/grok-4.5", {"reasoning": "xhigh"}, {"reasoning"}),
    ("grok/grok-4.3", {"reasoning": "none"}, set()),
    ("grok/grok-4.20-reasoning", {"reasoning": "low"}, {"reasoning"}),
    ("grok/grok-4.20-non-reasoning", {"stop_sequences": ["x"]}, set()),
    # Compatible hosts
    ("deepseek/deepseek-v4-flash", {"tool_choice": "required"}, {"tool_choice"}),
    ("deepseek/deepseek-v4-flash", {"tool_choice": "auto", "temperature": 0.2}, set()),
    ("deepseek/deepseek-v4-flash", {"tool_choice": "required", "extra": {"thinking": {"type": "disabled"}}}, set()),
    ("openrouter/openai/gpt-5-image", {"temperature": 0.0}, {"temperature"}),
    ("openrouter/openai/gpt-5", {"temperature": 0.0}, set()),
    ("ollama/qwen3", {**SAMPLING, "reasoning": "none", "tool_choice": "required", "max_tokens": 10**6}, set()),
]


@pytest.mark.parametrize(
    ("model", "options", "expected"), REFUSED, ids=[f"{model}-{'-'.join(options)}" for model, options, _ in REFUSED]
)
def test_it_is_foreseen_what_a_model_refuses(model: str, options: dict[str, object], expected: set[str]) -> None:
    assert refused(model, **options) == expected


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("anthropic/claude-opus-4-5", {}, set()),
        ("anthropic/claude-haiku-4-5-20251001", {"reasoning": "none"}, set()),
        ("anthropic/claude-opus-4-5", {"reasoning": 2048}, {"messages"}),
        ("anthropic/claude-opus-4-6", {}, {"messages"}),
        ("anthropic/claude-sonnet-4-6", {}, {"messages"}),
        ("anthropic/claude-sonnet-5-5", {}, {"messages"}),
        ("anthropic/claude-mythos-preview", {}, {"messages"}),
        ("openai/gpt-6.1-terra", {}, set()),
        ("gemini/gemini-3.8-flash", {}, set()),
        ("anthropic/claude-9", {}, set()),
    ],
)
def test_a_prefill_is_refused_where_it_is_not_continued(
    model: str, options: dict[str, object], expected: set[str]
) -> None:
    assert refused(model, messages=PREFILL, **options) == expected
    assert refused(model, messages=[*PREFILL, AIMessage("user", "Go on.")], **options) == set()


@pytest.mark.parametrize(
    ("model", "api", "options", "expected"),
    [
        ("openai/gpt-5.5-pro", "chat", {}, {"model"}),
        ("openai/gpt-5.5-pro", "responses", {}, set()),
        ("openai/gpt-5.5-pro", None, {}, set()),
        ("openai/gpt-5.3-codex", "chat", {}, {"model"}),
        ("openai/o3-deep-research-2025-06-26", "chat", {}, {"model"}),
        ("openai/gpt-5.5", "chat", {}, set()),
        ("openai/gpt-6.1-terra", "chat", {"reasoning": "max"}, {"reasoning"}),
        ("openai/gpt-6.1-terra", "responses", {"reasoning": "max"}, set()),
        ("openai/gpt-6.1-terra", "chat", {"reasoning": "xhigh"}, set()),
    ],
)
def test_what_the_responses_api_alone_has_is_refused_for_chat(
    model: str, api: str | None, options: dict[str, object], expected: set[str]
) -> None:
    assert refused(model, api=api, **options) == expected


def test_a_model_that_nobody_knows_is_for_the_vendor_to_judge() -> None:
    everything = {**SAMPLING, "reasoning": "none", "tool_choice": "required", "max_tokens": 10**9, "seed": 1}
    assert refused("nobody/any-model", messages=PREFILL, **everything) == set()
    assert refused("anthropic/claude-9-sonnet", messages=PREFILL, **everything) == set()


@pytest.mark.parametrize("options", [{"extra": {"reasoning_effort": "none"}}, {"reasoning": {"effort": "none"}}])
def test_the_vendors_own_words_are_not_read(options: dict[str, object]) -> None:
    assert refused("openai/gpt-5.5", temperature=0.2, **options) == set()
    assert refused("openai/gpt-6-astra", temperature=0.2, **options) == {"temperature"}, "it never takes one"


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [
        ("openai/gpt-5", {"temperature": 0}, "the model takes no temperature: leave it out"),
        (
            "openai/gpt-5.5",
            {"temperature": 0},
            "while it reasons, the model takes no temperature: leave it out, or set reasoning='none'",
        ),
        (
            "anthropic/claude-opus-4-5",
            {"top_p": 0.5, "reasoning": 2048},
            "while it reasons, the model takes a top_p of 0.95 to 1, not 0.5: change it, leave it out, "
            "or set reasoning='none'",
        ),
        (
            "anthropic/claude-opus-4-5",
            {"temperature": 0, "reasoning": 2048},
            "while it reasons, the model takes a temperature of 1 only, not 0: change it, leave it out, "
            "or set reasoning='none'",
        ),
        (
            "gemini/gemini-2.5-pro",
            {"temperature": 3},
            "the model takes a temperature of 0 to 2, not 3: change it or leave it out",
        ),
        (
            "anthropic/claude-opus-4-6",
            {"temperature": 0, "top_p": 0.5},
            "the model takes temperature or top_p, not both: leave one out",
        ),
        (
            "openai/gpt-4o",
            {"max_tokens": 20_000},
            "the model writes at most 16,384 tokens, and max_tokens is 20,000: lower it",
        ),
        (
            "anthropic/claude-opus-5-5",
            {"tool_choice": "required"},
            "the model cannot be forced to call a tool: use 'auto', and ask for the call in words",
        ),
        (
            "gemini/gemini-3.8-flash",
            {"reasoning": "minimal"},
            "the model takes no reasoning effort 'minimal': use 'low', 'medium', 'high'",
        ),
        (
            "gemini/gemini-2.5-pro",
            {"reasoning": "low"},
            "the model takes no reasoning effort 'low': use a budget in tokens",
        ),
        (
            "openai/gpt-5.1",
            {"reasoning": 2048},
            "the model takes no budget of tokens to reason with: use 'low', 'medium', 'high'",
        ),
        ("gemini/gemini-2.5-pro", {"reasoning": 0}, "the model's reasoning cannot be turned off: leave it out"),
        (
            "anthropic/claude-sonnet-5-5",
            {"reasoning": "none"},
            "the model's reasoning cannot be turned off: use 'low', 'medium', 'high', 'xhigh', 'max'. "
            "Next to none is reasoning={'type': 'between_tools'}.",
        ),
    ],
)
def test_a_refusal_says_what_to_do(model: str, options: dict[str, object], why: str) -> None:
    provider, _, name = model.partition("/")
    assert [refusal.why for refusal in check(provider, name, GenerationConfig(**options), ASK)] == [why]


def test_an_option_is_refused_once_for_its_first_reason() -> None:
    models.add_rules({"x": [{"models": ["m"], "refuses": ["top_p"], "refuses_together": ["temperature", "top_p"]}]})
    found = check("x", "m", GenerationConfig(temperature=0.2, top_p=0.5), ASK)
    assert found == (Refusal("top_p", "the model takes no top_p: leave it out"),)


def test_refused_options_are_dropped_and_the_rest_stays() -> None:
    config = GenerationConfig(model="claude-opus-5-5", temperature=0.2, top_k=40, max_tokens=500, priority=3)
    refusals = check("anthropic", "claude-opus-5-5", config, PREFILL)
    assert [(refusal.option, refusal.can_drop) for refusal in refusals] == [
        ("messages", False),
        ("temperature", True),
        ("top_k", True),
    ]
    assert dropped(config, refusals) == GenerationConfig(model="claude-opus-5-5", max_tokens=500, priority=3)
    assert config.temperature == 0.2, "the caller's own config is not touched"


def test_what_is_dropped_is_not_refused_again() -> None:
    for model, options, _ in REFUSED:
        provider, _, name = model.partition("/")
        config = GenerationConfig(**options)
        fewer = dropped(config, check(provider, name, config, ASK))
        assert check(provider, name, fewer, ASK) == (), model


def test_one_error_tells_all_refusals() -> None:
    refusals = (Refusal("temperature", "the model takes no temperature: leave it out"), Refusal("seed", "no seed"))
    error = unsupported("openai", "gpt-5", refusals)
    assert isinstance(error, UnsupportedOptionError)
    assert str(error) == "openai: gpt-5: the model takes no temperature: leave it out; no seed"
    assert error.option == "temperature"


# ---------------------------------------------------------------- the table


def test_later_rows_win_field_by_field_and_key_by_key() -> None:
    rules = _models.load(
        """
        [[x]]
        models = ["*"]
        context_tokens = 100
        refuses = ["temperature", "top_p"]
        reasoning = { default = true, efforts = ["low"] }
        ranges = { top_k = [1, 40] }

        [[x]]
        models = ["a-*"]
        output_tokens = 10
        refuses = ["seed"]
        reasoning = { efforts = ["high"] }
        ranges = { temperature = [0, 1] }
        retired = 2026-10-23
        """
    )
    rule = rules.rule("x", "a-1")
    assert (rule.context_tokens, rule.output_tokens, rule.refuses) == (100, 10, ("seed",))
    assert (rule.reasoning.default, rule.reasoning.efforts) == (True, ("high",))
    assert rule.ranges == {"top_k": (1.0, 40.0), "temperature": (0.0, 1.0)}
    assert rule.retired == date(2026, 10, 23)
    assert rules.rule("x", "b").refuses == ("temperature", "top_p")
    assert rules.rule("y", "a-1") == _models.ModelRule()


def test_defaults_and_names_are_read_from_the_rows() -> None:
    rules = _models.load(
        """
        x = [
          { models = ["new"], default = true },
          { models = ["old", "older*"] },
          { models = ["gone"], retired = "2026-01-31" },
          { models = ["vectors"], default = true, embeddings = { dimensions = 8 } },
        ]
        """
    )
    assert rules.known_models("x") == ("new", "old", "vectors")
    assert rules.default_model("x") == "new"
    assert rules.default_model("x", embeddings=True) == "vectors"
    assert (rules.default_model("y"), rules.known_models("y")) == (None, ())
    newer = _models.load('x = [{ models = ["newest"], default = true }]')
    assert rules.merged(newer).default_model("x") == "newest"
    assert newer.merged(rules).default_model("x") == "new"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[x]", "rules.toml: this is no TOML: "),
        ("x = 3", "rules.toml: x: rows are a list of tables: write [[x]], or a list in code"),
        ("[x]\nmodels = ['a']", "rules.toml: x: rows are a list of tables: write [[x]], or a list in code"),
        ("x = [3]", "rules.toml: x[0]: a row is a table, not 3"),
        ("[[x]]\nseed = 1", "rules.toml: x[0]: there is no 'seed' here: known are "),
        (
            "[[x]]\nmodels = ['a']\n[[x]]\nmodels = ['b']\nrefuse = ['seed']",
            "rules.toml: x[1]: there is no 'refuse' here: did you mean 'refuses'?",
        ),
        (
            "[[x]]\nmodels = ['a']\nreasoning = { can_disabled = true }",
            "rules.toml: x[0].reasoning: there is no 'can_disabled' here: did you mean 'can_disable'?",
        ),
        (
            "[[x]]\nmodels = ['a']\nranges = { temprature = [0, 1] }",
            "rules.toml: x[0].ranges: there is no 'temprature' here: did you mean 'temperature'?",
        ),
        (
            "[[x]]\nmodels = ['a']\nrefuses = ['top-k']",
            "rules.toml: x[0].refuses: there is no 'top-k' here: did you mean 'top_k'?",
        ),
        (
            "[[x]]\nmodels = ['a']\ncontext_tokens = '1M'",
            "rules.toml: x[0].context_tokens: Expected `int | null`, got `str`",
        ),
        (
            "[[x]]\nmodels = ['a']\nreasoning = { efforts = ['low', 3] }",
            "rules.toml: x[0].reasoning.efforts[1]: Expected `str`, got `int`",
        ),
        ("[[x]]\nmodels = ['a']\noutput_tokens = 0", "rules.toml: x[0].output_tokens: Expected `int` >= 1"),
        ("[[x]]\nmodels = ['a']\nprefill = 'never'", "rules.toml: x[0].prefill: Invalid enum value 'never'"),
        ("[[x]]\nmodels = ['a']\nranges = { top_p = [1, 0] }", "rules.toml: x[0].ranges.top_p: nothing lies in [1, 0]"),
        ("[[x]]\nmodels = ['a']\nranges = { top_p = [nan, 1] }", "rules.toml: x[0].ranges.top_p: nothing lies in "),
        ("[[x]]\nmodels = 'a'", "rules.toml: x[0].models: Expected `array`, got `str`"),
        ("[[x]]\nmodels = []", "rules.toml: x[0].models: name at least one model, or a glob such as 'gpt-*'"),
        ("[[x]]\nrefuses = []", "rules.toml: x[0]: Object missing required field `models`"),
        ("[[x]]\nmodels = ['a*']\ndefault = true", "rules.toml: x[0].default: a default is one model by its name"),
        ("[[x]]\nmodels = ['a', 'b']\ndefault = true", "rules.toml: x[0].default: a default is one model by its name"),
    ],
)
def test_a_broken_table_is_told_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ModelRulesError) as caught:
        _models.load(text, source="rules.toml")
    assert str(caught.value).startswith(words)
    assert isinstance(caught.value, ValueError)


WORDS = st.text(max_size=8)
KEYS = st.sampled_from(("models", "default", *_models.ModelRule.__struct_fields__, "budget", "temperature")) | WORDS
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | WORDS
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=8)
    | st.just(object())
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(st.dictionaries(WORDS | st.integers(), VALUES | st.lists(ROWS, max_size=3), max_size=3))
def test_any_mapping_is_read_or_refused_with_the_one_error(table: dict[str, object]) -> None:
    try:
        rules = _models.read(table)
    except ModelRulesError as error:
        assert str(error).startswith("model rules: ")
    else:
        assert set(rules.rows) == {str(name) for name in table}


@given(ROWS)
def test_any_fields_of_a_row_are_read_or_refused_with_the_one_error(row: dict[str, object]) -> None:
    try:
        rules = _models.read({"x": [{**row, "models": ["a"]}]})
    except ModelRulesError as error:
        assert str(error).startswith("model rules: x[0]")
    else:
        assert isinstance(rules.rule("x", "a"), _models.ModelRule)


@given(st.text() | st.integers(1, 10**4).map(lambda depth: "x = " + "[" * depth))
def test_any_text_is_read_or_refused_with_the_one_error(text: str) -> None:
    try:
        assert isinstance(_models.load(text), _models.Rules)
    except ModelRulesError as error:
        assert str(error).startswith("model rules: ")


def test_a_rule_may_name_every_option_that_reaches_the_model() -> None:
    ours = {"model", "stream", "extra", "priority", "max_wait", "max_attempts", "deadlines"}
    assert {field.name for field in fields(GenerationConfig)} - ours == set(_models.OPTIONS)


def test_the_cache_of_rules_stays_bounded() -> None:
    rules = _models.load('[[x]]\nmodels = ["a"]\nrefuses = ["seed"]')
    for number in range(3 * _models.REMEMBERED):
        rules.rule("x", f"model-{number}")
    assert len(rules._found) <= _models.REMEMBERED
    assert rules.rule("x", "a").refuses == ("seed",)


# ---------------------------------------------------------------- the package's own table


@pytest.mark.parametrize("provider", [AnthropicProvider, OpenAIProvider, GeminiProvider, GrokProvider])
def test_a_providers_model_is_the_tables_default(provider: type) -> None:
    assert models.default_model(provider.name) == provider.model
    assert provider.model in models.known_models(provider.name)


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_a_hosts_model_is_the_tables_default(host: str) -> None:
    assert (models.default_model(host) or "") == HOSTS[host].model


@pytest.mark.parametrize(("quirks", "provider"), [(chat.OPENAI, "openai"), (chat.GROK, "grok")])
def test_the_field_for_max_tokens_is_the_formats(quirks: chat.Quirks, provider: str) -> None:
    assert OWN.rule(provider, "any").max_tokens_field == quirks.fields.get("max_tokens", "max_completion_tokens")


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_the_field_for_max_tokens_is_the_hosts(host: str) -> None:
    field = HOSTS[host].quirks.fields.get("max_tokens", "max_completion_tokens")
    assert OWN.rule(host, "any").max_tokens_field in {None, field}


@pytest.mark.parametrize("provider", sorted(OWN.rows))
def test_a_default_is_there_and_not_retired(provider: str) -> None:
    known = OWN.known_models(provider)
    assert len(set(known)) == len(known)
    for embeddings in (False, True):
        assert OWN.default_model(provider, embeddings=embeddings) in {None, *known}


def test_limits_are_told_in_tokens() -> None:
    assert models.limits("anthropic", "claude-sonnet-5-5") == (1_000_000, 128_000)
    assert models.limits("openai", "gpt-4o").output_tokens == 16_384
    assert models.limits("ollama", "qwen3") == (None, None)


@pytest.mark.parametrize(
    ("model", "dimensions", "batch"),
    [("openai/text-embedding-3-large", 3072, 2048), ("gemini/gemini-embedding-2", 3072, 100)],
)
def test_embedding_models_have_their_sizes(model: str, dimensions: int, batch: int) -> None:
    found = models.rules_for(*model.split("/")).embeddings
    assert found is not None
    assert (found.dimensions, found.batch) == (dimensions, batch)


def test_a_model_that_is_gone_is_told_with_its_day() -> None:
    assert models.retirement("openai", "gpt-4") == (
        "The vendor retires 'gpt-4' on 2026-10-23: 'gpt-6.1-terra' is a newer one."
    )
    assert models.retirement("openai", "gpt-6.1-terra") == ""
    assert "gpt-4" not in models.known_models("openai")
    assert "gpt-5" not in models.known_models("openai"), "announced is as good as gone"


def test_the_table_is_not_read_at_import() -> None:
    code = "import sys, headrace.models; print(headrace.models._in_force, 'tomllib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


# ---------------------------------------------------------------- the caller's own rules


def test_a_file_that_the_environment_names_is_put_over_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[openai]]\nmodels = ["gpt-5.5"]\nrefuses_reasoning = []\n[[mine]]\nmodels = ["m"]\ndefault = true'
    )
    monkeypatch.setenv("HEADRACE_MODELS", str(path))
    assert refused("openai/gpt-5.5", temperature=0.2) == set()
    assert refused("openai/gpt-5.6", temperature=0.2) == {"temperature"}
    assert refused("openai/gpt-5.5", reasoning="minimal") == {"reasoning"}, "what it does not set stays"
    assert models.default_model("mine") == "m"
    path.unlink()
    assert models.default_model("mine") == "m", "it is read once"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "this file cannot be read: "),
        (b"\xff", "this file cannot be read: "),
        (b"[[", "this is no TOML: "),
        (b"[[x]]\nmodel = ['a']", "x[0]: there is no 'model' here: did you mean 'models'?"),
    ],
    ids=["missing", "not UTF-8", "no TOML", "unknown key"],
)
def test_a_broken_file_is_named_each_time(
    text: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_bytes(text)
    monkeypatch.setenv("HEADRACE_MODELS", str(path))
    for _ in range(2):
        with pytest.raises(ModelRulesError) as caught:
            check("openai", "gpt-5", GenerationConfig(), ASK)
        assert str(caught.value).startswith(f"HEADRACE_MODELS={path}: {words}")


def test_rules_are_added_in_code_over_all_others(tmp_path: Path) -> None:
    assert refused("openai/gpt-7", temperature=0.2) == set()
    models.add_rules({"openai": [{"models": ["gpt-7*"], "refuses": ["temperature"], "output_tokens": 10}]})
    assert refused("openai/gpt-7", temperature=0.2, max_tokens=11) == {"temperature", "max_tokens"}
    path = tmp_path / "mine.toml"
    path.write_text('[[openai]]\nmodels = ["gpt-7*"]\nrefuses = []')
    models.add_rules(path)
    assert refused("openai/gpt-7", temperature=0.2, max_tokens=11) == {"max_tokens"}


def test_a_model_that_always_reasons_does_so_whatever_it_is_asked() -> None:
    row = {"models": ["m"], "refuses_reasoning": ["seed"], "reasoning": {"can_disable": False}}
    models.add_rules({"x": [row]})
    assert refused("x/m", seed=1) == {"seed"}
    assert refused("x/m", seed=1, reasoning="none") == {"seed", "reasoning"}
    assert refused("x/m", seed=1, extra={"thinking": False}) == {"seed"}


def test_the_rules_of_the_page_are_rules() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    rules = _models.load(page.partition("```toml\n")[2].partition("```")[0])
    assert rules.rule("openai", "gpt-7-mini").refuses == ("temperature", "top_p")
    assert OWN.merged(rules).default_model("gemini") == "gemini-4-argon"


def test_rules_that_are_refused_change_nothing() -> None:
    before = models.current()
    with pytest.raises(ModelRulesError, match=r"^add_rules\(\): rules are a mapping .*, or a Path, not 'mine.toml'"):
        models.add_rules("mine.toml")
    with pytest.raises(ModelRulesError, match=r"^add_rules\(\): openai\[0\]: there is no 'refuse' here"):
        models.add_rules({"openai": [{"models": ["gpt-7*"], "refuse": ["temperature"]}]})
    assert models.current() is before


# ---------------------------------------------------------------- what vendors really answered

FORESEEN = {
    "err400-nomodel-2560be": {"temperature"},
    "err400-openai-gpt-5-image-581573": {"temperature"},
    "err400-deepseek-v4-flash-f0fd2c": {"tool_choice"},
    "err400-o3-deep-research-78c904": {"tools"},
}
SCHEMA = "what a schema may hold is the format's rule"
TOO_LONG = "nobody counts the input's tokens here"
OTHER = "about the messages, the key or the model's name, not about an option"
NOT_FORESEEN = {
    "err400-claude-3-5-haiku-20241022-c189c9": SCHEMA,
    "err400-claude-haiku-4-5-20251001-e154cd": TOO_LONG,
    "err400-claude-sonnet-4-6-05096e": SCHEMA,
    "err400-claude-sonnet-4-6-6bb1c7": SCHEMA,
    "err400-claude-sonnet-4-6-bff8cd": SCHEMA,
    "err400-nomodel-0f7e6d": OTHER,
    "err400-nomodel-11ba17": "a model that speaks is asked for text: there is no option for that",
    "err400-nomodel-bcede1": TOO_LONG,
    "err400-nomodel-d86810": OTHER,
    "err400-gpt-3-5-turbo-ee1f50": "an invented error",
    "err400-gpt-4o-mini-d7bc5d": OTHER,
    "err400-gpt-5-mini-a121b0": OTHER,
    "err400-gpt-5-nano-a65196": OTHER,
    "err400-o1-mini-45b51f": OTHER,
    "err400-gpt-4o-mini-1fbfab": SCHEMA,
    "err400-gpt-5-12b81d": OTHER,
    "err400-o1-mini-984881": "the least max_tokens is the Responses API's, of every model",
    "err400-this-model-does-not-exist-12345-ffe26a": OTHER,
    "err400-deepseek-chat-18c443": TOO_LONG,
    "err400-deepseek-v4-flash-00a4c9": OTHER,
    "err400-llama3-70b-8192-1d9cf4": "the model is gone",
    "err400-openai-gpt-oss-120b-6eff2b": "the model did not do as it was told: its fault, not the option's",
    "err400-qwen3-1-7b-q4-k-m-4295a9": TOO_LONG,
    "err400-qwen3-vl-2b-instruct-q8-0-a8b36f": OTHER,
    "err400-ministral-3b-latest-51b601": "logprobs is no option here",
    "err400-gpt-oss-120b-593fa9": TOO_LONG,
    "err400-sonar-8fb0ef": TOO_LONG,
    "err400-grok-nonexistent-model-for-identit-baff3f": OTHER,
}
FOLDERS = {"xai": "grok"}


def recorded(status: int) -> list[Path]:
    if ROOT is None:
        return []
    heads = sorted(ROOT.rglob("*.headers.json"))
    stems = [head.with_name(head.name.removesuffix(".headers.json")) for head in heads]
    return [stem for head, stem in zip(heads, stems, strict=True) if json.loads(head.read_text())["status"] == status]


def choice(value: object) -> str | None:
    if not isinstance(value, dict):
        return "required" if value == "any" else value
    return (
        {"any": "required"}.get(value["type"]) or value.get("name") or value.get("function", {}).get("name") or "auto"
    )


def thinking(body: dict) -> object:
    """The `reasoning` that makes this body."""
    own = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    kind = body.get("thinking") or {}
    return (
        body.get("reasoning_effort")
        or (body.get("reasoning") or {}).get("effort")
        or (own.get("thinkingLevel") or "").lower()
        or own.get("thinkingBudget")
        or {"disabled": "none", "enabled": kind.get("budget_tokens", "high")}.get(kind.get("type"))
    )


def asked(path: Path) -> set[str]:
    """What the rules refuse of the request that was recorded beside an answer."""
    request = json.loads(path.with_name(f"{path.name}.request.json").read_text())
    body = request["body"] if isinstance(request.get("body"), dict) else {}
    google = body.get("generationConfig") or {}
    parts = path.relative_to(ROOT).parts
    vendor = parts[1] if parts[0] == "openai-compatible" else FOLDERS.get(parts[0], parts[0])
    model = body.get("model") or request["path"].rpartition("/")[2].partition(":")[0]
    config = GenerationConfig(
        temperature=body.get("temperature", google.get("temperature")),
        top_p=body.get("top_p", google.get("topP")),
        top_k=body.get("top_k", google.get("topK")),
        stop_sequences=body.get("stop", body.get("stop_sequences")),
        max_tokens=body.get("max_tokens")
        or body.get("max_completion_tokens")
        or body.get("max_output_tokens")
        or google.get("maxOutputTokens"),
        tools=[] if any(tool.get("type") == "function" for tool in body.get("tools") or ()) else None,
        tool_choice=choice(body.get("tool_choice")),
        reasoning=thinking(body),
    )
    turns = body.get("messages") if isinstance(body.get("messages"), list) else []
    messages = [AIMessage("assistant" if turn.get("role") == "assistant" else "user", "x") for turn in turns]
    api = parts[-2] if parts[0] == "openai" else None
    return {refusal.option for refusal in check(vendor, model, config, messages, api=api)}


@pytest.mark.skipif(ROOT is None, reason=WHY)
def test_every_recorded_400_is_foreseen_or_explained() -> None:
    found = {path.name: path for path in recorded(400)}
    assert found.keys() == FORESEEN.keys() | NOT_FORESEEN.keys()
    assert {name: asked(found[name]) for name in FORESEEN} == FORESEEN


@pytest.mark.skipif(ROOT is None, reason=WHY)
def test_nothing_is_refused_that_a_vendor_was_seen_to_answer() -> None:
    answered = [path for path in recorded(200) if path.with_name(f"{path.name}.request.json").exists()]
    assert len(answered) > 200
    assert {path.name: asked(path) for path in answered if asked(path)} == {}
