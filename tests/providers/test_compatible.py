"""CompatibleProvider: which row it takes, where it sends what, and with which key."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from headrace import AIGateway, AIMessage, AIResponse, GenerationConfig, models
from headrace.errors import CallerError, MissingKeyError, RateLimitError, UnsupportedOptionError
from headrace.providers import load_provider
from headrace.providers.compatible import HOSTS, CompatibleProvider, KnownHost
from headrace.providers.openai import OpenAIProvider

pytestmark = pytest.mark.virtual

MESSAGES = [AIMessage("user", "hi")]
BODY = (
    b'data: {"model":"big","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
    b'data: {"model":"big","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


class Server:
    """Answers every request alike, and keeps them."""

    def __init__(self, status: int = 200, body: bytes = BODY, headers: dict[str, str] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.answer = (status, body, {"content-type": "text/event-stream" if status == 200 else "application/json"})
        self.answer[2].update(headers or {})
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body, headers = self.answer
        return httpx.Response(status, headers=headers, content=body)

    @property
    def body(self) -> dict[str, object]:
        return json.loads(self.requests[-1].content)


@pytest.fixture
async def server():
    one = Server()
    yield one
    await one.client.aclose()


async def ask(provider: CompatibleProvider, config: GenerationConfig | None = None) -> AIResponse:
    async with provider:
        return await provider.chat(MESSAGES, config)


# ---------------------------------------------------------------- which server


def test_a_host_by_name_brings_its_address() -> None:
    provider = CompatibleProvider("k", host="groq")
    assert (provider.name, provider.base_url) == ("groq", "https://api.groq.com/openai/v1")
    assert provider.host is HOSTS["groq"]


def test_an_address_brings_its_host() -> None:
    provider = CompatibleProvider("k", base_url="https://api.groq.com/openai/v1/")
    assert (provider.name, provider.base_url) == ("groq", "https://api.groq.com/openai/v1")
    assert provider.host is HOSTS["groq"]


def test_an_unknown_address_is_spoken_to_with_what_every_server_understands() -> None:
    provider = CompatibleProvider(base_url="https://llm.example/v1")
    assert (provider.name, provider.model, provider.host.dialect) == ("compatible", "", "any")
    assert provider.is_available()


def test_what_is_said_goes_over_the_row() -> None:
    provider = CompatibleProvider(
        "k", host="mistral", base_url="http://localhost:9/v1", name="mine", model="mistral-large-latest"
    )
    assert (provider.name, provider.base_url, provider.model) == (
        "mine",
        "http://localhost:9/v1",
        "mistral-large-latest",
    )
    assert provider.host is HOSTS["mistral"]


def test_a_host_of_one_s_own_is_a_row() -> None:
    row = replace(HOSTS["groq"], name="inner", base_url="https://inner.example/v1", hosts=("inner.example",))
    provider = CompatibleProvider("k", host=row)
    assert (provider.name, provider.base_url, provider.host) == ("inner", "https://inner.example/v1", row)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "give base_url=, or host= as one of groq, mistral"),
        ({"host": "grok"}, "no known host 'grok'"),
        ({"host": "azure"}, "azure: .* give base_url="),
        ({"base_url": "localhost:8000/v1"}, "must begin with http"),
        ({"host": KnownHost(name="x")}, "x: .* give base_url="),
        ({"host": "groq", "api": "assistants"}, "groq: there is no api 'assistants': use 'chat' or 'responses'"),
    ],
    ids=["neither", "unknown", "azure", "no-scheme", "row-without-address", "no-such-api"],
)
def test_a_server_that_cannot_be_found_is_refused_at_once(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        CompatibleProvider("k", **options)


def test_it_is_in_the_registry() -> None:
    assert load_provider("compatible") is CompatibleProvider


# ---------------------------------------------------------------- the key


async def test_a_local_server_needs_no_key_and_is_sent_none(server: Server) -> None:
    provider = CompatibleProvider(base_url="http://localhost:11434/v1", model="m", http_client=server.client)
    assert provider.is_available()
    assert (await ask(provider)).content == "Hello"
    (request,) = server.requests
    assert str(request.url) == "http://localhost:11434/v1/chat/completions"
    assert {"authorization", "api-key", "x-api-key"} & set(request.headers) == set()


async def test_a_local_server_is_sent_the_key_it_is_given(server: Server) -> None:
    await ask(CompatibleProvider("sk-1", host="vllm", model="m", http_client=server.client))
    assert server.requests[0].headers["authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("row", [row for row in HOSTS.values() if row.needs_key], ids=lambda row: row.name)
async def test_the_environment_s_key_goes_to_the_row_s_hosts(
    server: Server, row: KnownHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url = row.base_url or f"https://mine.{row.hosts[0]}/openai/v1"
    provider = CompatibleProvider(base_url=base_url, model="m", http_client=server.client)
    assert not provider.is_available()
    for name in row.key_env:
        monkeypatch.setenv(name, f"sk-{name}")
    assert provider.is_available()
    await ask(provider)
    assert server.requests[0].headers[row.key_header] == f"{row.key_prefix}sk-{row.key_env[0]}"


async def test_azure_takes_its_key_in_a_header_of_its_own(server: Server) -> None:
    provider = CompatibleProvider(
        "sk-1", base_url="https://mine.openai.azure.com/openai/v1", model="m", http_client=server.client
    )
    await ask(provider, GenerationConfig(max_tokens=7))
    (request,) = server.requests
    assert request.headers["api-key"] == "sk-1"
    assert "authorization" not in request.headers
    assert (server.body["max_completion_tokens"], "max_tokens" in server.body) == (7, False)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://llm.example/v1",
        "http://api.groq.com/openai/v1",
        "https://api.groq.com.example/v1",
        "http://localhost:8000",
    ],
)
async def test_a_row_s_key_goes_nowhere_else(server: Server, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "sk-groq")
    provider = CompatibleProvider(host="groq", base_url=base_url, model="m", http_client=server.client)
    assert not provider.is_available()
    with pytest.raises(MissingKeyError, match="GROQ_API_KEY is set, but goes"):
        await ask(provider)
    assert server.requests == []


async def test_every_key_of_the_environment_stays_here_when_the_server_is_unknown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in HOSTS.values():
        for name in (*row.key_env, "OPENAI_API_KEY"):
            monkeypatch.setenv(name, "sk-secret")
    await ask(CompatibleProvider(base_url="https://llm.example/v1", model="m", http_client=server.client))
    assert [value for value in server.requests[0].headers.values() if "sk-secret" in value] == []


async def test_the_base_url_of_openai_s_variable_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    assert CompatibleProvider("k", host="groq").base_url == "https://api.groq.com/openai/v1"


async def test_a_row_that_needs_a_key_and_names_no_variable_says_so(server: Server) -> None:
    row = KnownHost(name="inner", base_url="https://inner.example/v1", model="m")
    with pytest.raises(MissingKeyError, match="inner: there is no API key"):
        await ask(CompatibleProvider(host=row, http_client=server.client))
    assert server.requests == []


# ---------------------------------------------------------------- what is sent, what comes


async def test_an_unknown_server_is_sent_the_fields_that_all_know(server: Server) -> None:
    provider = CompatibleProvider(base_url="http://gpu-box/v1", model="m", http_client=server.client)
    await ask(provider, GenerationConfig(max_tokens=7))
    assert server.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("options", "model", "field"),
    [
        ({"host": "github"}, "openai/gpt-5-mini", "max_completion_tokens"),
        ({"host": "github"}, "openai/gpt-4.1", "max_tokens"),
        ({"base_url": "https://models.example/v1"}, "gpt-6.1-terra", "max_completion_tokens"),
        ({"base_url": "https://models.example/v1"}, "llama", "max_tokens"),
    ],
    ids=["known", "known-other", "own-rule", "no-rule"],
)
async def test_max_tokens_has_the_name_that_the_model_rules_tell(
    server: Server, options: dict[str, str], model: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_in_force", None)
    models.add_rules({"compatible": [{"models": ["gpt-*"], "max_tokens_field": "max_completion_tokens"}]})
    await ask(
        CompatibleProvider("k", http_client=server.client, **options), GenerationConfig(model=model, max_tokens=9)
    )
    assert {name: value for name, value in server.body.items() if name.startswith("max_")} == {field: 9}


async def test_openai_s_name_of_max_tokens_is_a_rule_as_well(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a proxy of one's own that knows the old name only."""
    monkeypatch.setattr(models, "_in_force", None)
    models.add_rules({"openai": [{"models": ["*"], "max_tokens_field": "max_tokens"}]})
    async with OpenAIProvider("k", base_url="https://proxy.example/v1", http_client=server.client) as provider:
        await provider.chat(MESSAGES, GenerationConfig(model="gpt-4o", max_tokens=9))
    assert server.body["max_tokens"] == 9 and "max_completion_tokens" not in server.body


async def test_mistral_is_not_asked_for_the_usage_that_it_tells_anyway(server: Server) -> None:
    await ask(CompatibleProvider("k", host="mistral", http_client=server.client))
    assert server.body["model"] == "mistral-small-latest"
    assert not server.body.get("stream_options")


async def test_a_server_s_responses_api_is_spoken_where_it_is_asked_for() -> None:
    body = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"Hi"}\n\n'
    end = b'data: {"type":"response.completed","response":{"status":"completed","output":[]}}\n\n'
    server = Server(body=body + end)
    async with server.client:
        provider = CompatibleProvider("k", host="groq", api="responses", model="m", http_client=server.client)
        assert (await ask(provider, GenerationConfig(max_tokens=7))).content == "Hi"
    assert str(server.requests[0].url) == "https://api.groq.com/openai/v1/responses"
    assert server.body == {
        "model": "m",
        "input": [{"role": "user", "content": "hi"}],
        "max_output_tokens": 7,
        "store": False,
        "stream": True,
    }


async def test_an_option_that_the_row_refuses_is_never_sent(server: Server) -> None:
    provider = CompatibleProvider("k", host="deepseek", model="m", http_client=server.client)
    with pytest.raises(UnsupportedOptionError, match="deepseek: the server has no seed") as caught:
        await ask(provider, GenerationConfig(seed=1))
    assert (caught.value.option, server.requests) == ("seed", [])


async def test_what_a_server_takes_by_another_name_goes_by_that_name(server: Server) -> None:
    config = GenerationConfig(seed=1, max_tokens=7)
    await ask(CompatibleProvider("k", host="mistral", http_client=server.client), config)
    assert (server.body["random_seed"], server.body["max_tokens"], "seed" in server.body) == (1, 7, False)
    await ask(CompatibleProvider("k", host="together", model="m", http_client=server.client), GenerationConfig(top_k=5))
    assert server.body["top_k"] == 5


@pytest.mark.parametrize("config", [None, GenerationConfig()], ids=["none", "empty"])
async def test_without_any_model_nothing_is_sent(server: Server, config: GenerationConfig | None) -> None:
    with pytest.raises(CallerError, match="groq: no model is named"):
        await ask(CompatibleProvider("k", host="groq", http_client=server.client), config)
    assert server.requests == []


async def test_a_model_of_the_call_is_enough(server: Server) -> None:
    provider = CompatibleProvider("k", host="groq", http_client=server.client)
    answer = await ask(provider, GenerationConfig(model="llama"))
    assert (server.body["model"], answer.model, answer.provider) == ("llama", "big", "groq")


async def test_limits_are_read_in_the_row_s_dialect() -> None:
    headers = {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59"}
    server = Server(headers=headers)
    async with server.client:
        answer = await ask(CompatibleProvider("k", host="mistral", http_client=server.client))
        assert (answer.rate_limit.limit_requests, answer.rate_limit.remaining_requests) == (60, 59)
        answer = await ask(CompatibleProvider("k", host="groq", model="m", http_client=server.client))
        assert answer.rate_limit.limit_requests == 0


async def test_a_refusal_bears_the_provider_s_name_and_the_limits_told_with_it() -> None:
    server = Server(
        429, b'{"error":{"code":429,"message":"slow"}}', {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0"}
    )
    async with server.client:
        with pytest.raises(RateLimitError, match=r"^or2: ") as caught:
            await ask(CompatibleProvider("k", host="openrouter", name="or2", http_client=server.client))
    assert caught.value.provider == "or2"
    assert (caught.value.rate_limit.limit_requests, caught.value.rate_limit.remaining_requests) == (20, 0)


async def test_two_stand_in_one_gateway_under_different_names(server: Server) -> None:
    here = CompatibleProvider(base_url="http://localhost:8000/v1", http_client=server.client)
    there = CompatibleProvider(base_url="http://gpu-box:8000/v1", name="there", http_client=server.client)
    async with AIGateway(here, there) as gateway:
        first = await gateway.chat(MESSAGES, model="vllm/a/b")
        second = await gateway.chat(MESSAGES, model="there/c")
    assert [str(one.url.host) for one in server.requests] == ["localhost", "gpu-box"]
    assert (first.provider, second.provider) == ("vllm", "there")
    assert [json.loads(one.content)["model"] for one in server.requests] == ["a/b", "c"]
