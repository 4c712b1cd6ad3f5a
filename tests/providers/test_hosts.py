"""The table of known hosts: what every row must have, and which row an address gets."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import urlsplit

import pytest

from headrace import GenerationConfig
from headrace.limits.dialects import DIALECTS
from headrace.providers._hosts import HOSTS, UNKNOWN, KnownHost, find_host

ROWS = [pytest.param(row, id=name) for name, row in HOSTS.items()]


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://API.GROQ.COM/openai/v1/", "groq"),
        ("https://api.groq.com:443/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.deepseek.com/beta", "deepseek"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.together.ai/v1", "together"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://mine.openai.azure.com/openai/v1", "azure"),
        ("https://mine.services.ai.azure.com/openai/v1/", "azure"),
        ("https://mine.cognitiveservices.azure.com/openai/v1", "azure"),
        ("https://router.huggingface.co/v1", "huggingface"),
        ("https://api.moonshot.cn/v1", "moonshot"),
        ("https://api.z.ai/api/coding/paas/v4", "zai"),
        ("https://integrate.api.nvidia.com/v1", "nvidia"),
        ("https://api.sambanova.ai/v1", "sambanova"),
        ("https://api.deepinfra.com/v1/openai", "deepinfra"),
        ("https://ollama.com/v1", "ollama-cloud"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "alibaba"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "alibaba"),
        ("https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1", "alibaba"),
        ("https://api.cohere.ai/compatibility/v1", "cohere"),
        ("https://api.tokenfactory.nebius.com/v1/", "nebius"),
        ("https://api.novita.ai/v3/openai", "novita"),
        ("https://inference.baseten.co/v1", "baseten"),
        ("https://api.hyperbolic.xyz/v1", "hyperbolic"),
        ("https://models.github.ai/inference", "github"),
        ("https://ai-gateway.vercel.sh/v1", "vercel"),
        ("https://api.cloudflare.com/client/v4/accounts/0123/ai/v1", "cloudflare"),
        ("http://localhost:4000/v1", "litellm"),
        ("http://localhost:8000/v1", "vllm"),
        ("http://127.0.0.1:8080/v1", "llamacpp"),
        ("http://[::1]:1234/v1", "lmstudio"),
        ("http://localhost:11434/v1", "ollama"),
    ],
)
def test_an_address_gets_its_row(base_url: str, name: str) -> None:
    assert find_host(base_url) is HOSTS[name]


@pytest.mark.parametrize(
    "base_url",
    [
        "https://llm.example/v1",
        "https://notapi.groq.com.example/v1",
        "https://fakeapi.groq.com-x.example/v1",
        "https://evilopenrouter.ai/api/v1",
        "https://api.groq.com@example.com/v1",
        "https://example.com/api.groq.com/v1",
        "https://huggingface.co/v1",
        "http://localhost:9999/v1",
        "http://localhost/v1",
        "http://gpu-box:8000/v1",
        "localhost:8000/v1",
        "",
    ],
)
def test_any_other_address_is_unknown(base_url: str) -> None:
    assert find_host(base_url) is UNKNOWN


@pytest.mark.parametrize("row", ROWS)
def test_a_row_s_own_address_is_its_own(row: KnownHost) -> None:
    if row.base_url:
        assert find_host(row.base_url) is row
        assert not row.base_url.endswith("/")


@pytest.mark.parametrize("row", ROWS)
def test_a_key_goes_by_https_and_a_server_without_keys_is_on_this_machine(row: KnownHost) -> None:
    assert (row.key_env != ()) == row.needs_key
    assert (row.port is None) == row.needs_key
    if row.base_url:
        assert urlsplit(row.base_url).scheme == ("https" if row.needs_key else "http")


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_a_dialect_that_exists(row: KnownHost) -> None:
    assert row.dialect in DIALECTS


def test_no_two_rows_share_an_address_or_a_variable() -> None:
    addresses = [(host, row.port) for row in HOSTS.values() for host in row.hosts]
    variables = [name for row in HOSTS.values() for name in row.key_env]
    assert len(set(addresses)) == len(addresses)
    assert len(set(variables)) == len(variables)
    assert not any(a != b and a[1] == b[1] and a[0].endswith(f".{b[0]}") for a in addresses for b in addresses), (
        "the first row would hide the second"
    )


def test_a_name_can_stand_before_the_slash_of_a_model() -> None:
    assert [name for name in HOSTS if "/" in name or not name.isascii()] == []


def test_nobody_is_sent_a_field_that_only_openai_knows_unless_the_row_says_so() -> None:
    assert {name for name, row in HOSTS.items() if row.quirks.fields.get("max_tokens") != "max_tokens"} == {"azure"}
    assert {name for name, row in HOSTS.items() if "include_usage" not in row.quirks.stream_options} == {"mistral"}
    assert {name for name, row in HOSTS.items() if row.quirks.cache} == {"azure", "moonshot"}
    assert (UNKNOWN.quirks.fields, UNKNOWN.quirks.schemas) == ({"max_tokens": "max_tokens"}, "plain")
    assert (UNKNOWN.dialect, UNKNOWN.needs_key) == ("any", False)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_s_quirks_name_options_that_exist(row: KnownHost) -> None:
    options = {field.name for field in fields(GenerationConfig)}
    assert row.quirks.refuses | row.responses.refuses | set(row.quirks.fields) <= options


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("deepseek", "reasoning_content"),
        ("moonshot", "reasoning_content"),
        ("zai", "reasoning_content"),
        ("alibaba", "reasoning_content"),
        ("llamacpp", "reasoning_content"),
        ("vllm", "reasoning"),
        ("cloudflare", "reasoning"),
        ("ollama", "reasoning"),
        ("mistral", "content"),
        ("groq", ""),
        ("azure", ""),
    ],
)
def test_where_reasoning_goes_back(name: str, field: str) -> None:
    assert HOSTS[name].quirks.reasoning_field == field
