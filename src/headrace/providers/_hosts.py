"""
Known OpenAI-compatible servers: where each one is, how it wants its key, how it differs. One row a server.

Data only: a server that is new is a row here, and no code knows one by name. A row holds what its server is known to
refuse or to send, not what its models can do. A default model stands only where the vendor keeps an alias that moves on
by itself: any other name is retired within the year.

Sources, read 2026-11: the vendors' API references and quick starts; the paths and headers that their servers answer to.
Mistral answers 422 to every field that it does not know, 400 to an id of a call that is not nine letters and digits,
and tells usage unasked. Groq answers 400 to an author's name. Azure's newer models refuse `max_tokens`. DeepSeek and
Moonshot answer 400 where a turn that called tools comes without its reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from ..wire import responses as wire_responses
from ..wire.openai import COMPATIBLE, Quirks
from ._vendor import LOOPBACK

__all__ = ("HOSTS", "UNKNOWN", "KnownHost", "find_host")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHost:
    """
    One server, or one kind of local server.

    Attributes:
        name: of the provider that speaks to it.
        hosts: names it is recognised by, and all below them; the environment's key goes there only.
        port: a local server is recognised by its usual port as well; None means any.
        base_url: with the version, without a trailing slash; "" where every customer has an address of their own.
        key_env: environment variables of the key; the first one set wins.
        key_header, key_prefix: how the key travels.
        needs_key: whether a call without a key is refused here, before it is sent.
        quirks, responses: how its Chat Completions, and its Responses API, differ.
        dialect: its row in `limits.dialects.DIALECTS`.
        model: the model asked where nobody names one; "" for none.
    """

    name: str
    hosts: tuple[str, ...] = ()
    port: int | None = None
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    needs_key: bool = True
    quirks: Quirks = COMPATIBLE
    responses: wire_responses.Quirks = wire_responses.COMPATIBLE
    dialect: str = "any"
    model: str = ""


# Whether a server that nobody knows wants a key is its own to say, with a 401.
UNKNOWN: Final = KnownHost(name="compatible", needs_key=False)


# ---------------------------------------------------------------- how they differ

_OLD: Final = {"max_tokens": "max_tokens"}  # the name that every server knows
_OLD_TOP_K: Final = {**_OLD, "top_k": "top_k"}
_KEY: Final = frozenset({"key"})
_OPENAI_S_OWN: Final = frozenset({"seed", "parallel_tool_calls", "metadata", "service_tier"})

_MISTRAL: Final = Quirks(
    fields={**_OLD, "seed": "random_seed"},
    refuses=frozenset({"metadata", "service_tier"}),
    names=False,
    reasoning_field="content",
    call_ids="[a-zA-Z0-9]{9}",
    stream_options={},
)
_GROQ: Final = Quirks(fields=_OLD, refuses=frozenset({"metadata"}), names=False)
_FEW_FIELDS: Final = Quirks(fields=_OLD, refuses=_OPENAI_S_OWN, schemas="none", reasoning_field="reasoning_content")
_MOONSHOT: Final = Quirks(fields=_OLD, schemas="plain", reasoning_field="reasoning_content", cache=_KEY)
_ROUTER: Final = Quirks(fields=_OLD_TOP_K, reasoning="object")  # OpenRouter, and who copies it
_TOP_K: Final = Quirks(fields=_OLD_TOP_K, schemas="plain")
_THINKS: Final = Quirks(fields=_OLD, schemas="plain", reasoning_field="reasoning_content")
_VLLM: Final = Quirks(fields=_OLD_TOP_K, schemas="plain", reasoning_field="reasoning")
_LLAMACPP: Final = replace(_VLLM, reasoning_field="reasoning_content")
_OLLAMA: Final = Quirks(
    fields=_OLD,
    refuses=frozenset({"tool_choice", "parallel_tool_calls", "metadata", "service_tier"}),
    schemas="plain",
    reasoning_field="reasoning",
)
_AZURE: Final = Quirks(cache=_KEY)
_AZURE_RESPONSES: Final = wire_responses.Quirks(cache=_KEY)


# ---------------------------------------------------------------- the rows

_ROWS: Final = (
    KnownHost(
        name="groq",
        hosts=("api.groq.com",),
        base_url="https://api.groq.com/openai/v1",
        key_env=("GROQ_API_KEY",),
        quirks=_GROQ,
        dialect="groq",
    ),
    KnownHost(
        name="mistral",
        hosts=("api.mistral.ai",),
        base_url="https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        quirks=_MISTRAL,
        dialect="mistral",
        model="mistral-small-latest",
    ),
    KnownHost(
        name="deepseek",
        hosts=("api.deepseek.com",),
        base_url="https://api.deepseek.com/v1",
        key_env=("DEEPSEEK_API_KEY",),
        quirks=_FEW_FIELDS,
    ),
    KnownHost(
        name="openrouter",
        hosts=("openrouter.ai",),
        base_url="https://openrouter.ai/api/v1",
        key_env=("OPENROUTER_API_KEY",),
        quirks=_ROUTER,
        dialect="openrouter",
        model="openrouter/auto",
    ),
    KnownHost(
        name="together",
        hosts=("api.together.ai", "api.together.xyz"),
        base_url="https://api.together.ai/v1",
        key_env=("TOGETHER_API_KEY",),
        quirks=_TOP_K,
        dialect="together",
    ),
    KnownHost(
        name="fireworks",
        hosts=("api.fireworks.ai",),
        base_url="https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY",),
        quirks=_TOP_K,
        dialect="fireworks",
    ),
    KnownHost(
        name="cerebras",
        hosts=("api.cerebras.ai",),
        base_url="https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        dialect="cerebras",
    ),
    KnownHost(
        name="perplexity",
        hosts=("api.perplexity.ai",),
        base_url="https://api.perplexity.ai",
        key_env=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        model="sonar",
    ),
    # The v1 endpoint: https://<resource>.openai.azure.com/openai/v1, where a model is the name of a deployment.
    KnownHost(
        name="azure",
        hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
        key_env=("AZURE_OPENAI_API_KEY",),
        key_header="api-key",
        key_prefix="",
        quirks=_AZURE,
        responses=_AZURE_RESPONSES,
        dialect="azure",
    ),
    KnownHost(
        name="huggingface",
        hosts=("router.huggingface.co",),
        base_url="https://router.huggingface.co/v1",
        key_env=("HF_TOKEN",),
        dialect="huggingface",
    ),
    KnownHost(
        name="moonshot",
        hosts=("api.moonshot.ai", "api.moonshot.cn"),
        base_url="https://api.moonshot.ai/v1",
        key_env=("MOONSHOT_API_KEY",),
        quirks=_MOONSHOT,
    ),
    KnownHost(
        name="zai",
        hosts=("api.z.ai", "open.bigmodel.cn"),
        base_url="https://api.z.ai/api/paas/v4",
        key_env=("ZAI_API_KEY",),
        quirks=_FEW_FIELDS,
    ),
    KnownHost(
        name="alibaba",
        hosts=("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com", "dashscope.aliyuncs.com"),
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env=("DASHSCOPE_API_KEY",),
        quirks=_THINKS,
    ),
    KnownHost(
        name="nvidia",
        hosts=("integrate.api.nvidia.com",),
        base_url="https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY",),
    ),
    KnownHost(
        name="sambanova",
        hosts=("api.sambanova.ai",),
        base_url="https://api.sambanova.ai/v1",
        key_env=("SAMBANOVA_API_KEY",),
    ),
    KnownHost(
        name="deepinfra",
        hosts=("api.deepinfra.com",),
        base_url="https://api.deepinfra.com/v1/openai",
        key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        quirks=_TOP_K,
    ),
    KnownHost(
        name="cohere",
        hosts=("api.cohere.ai", "api.cohere.com"),
        base_url="https://api.cohere.ai/compatibility/v1",
        key_env=("CO_API_KEY", "COHERE_API_KEY"),
    ),
    KnownHost(
        name="nebius",
        hosts=("api.tokenfactory.nebius.com",),
        base_url="https://api.tokenfactory.nebius.com/v1",
        key_env=("NEBIUS_API_KEY",),
    ),
    KnownHost(
        name="novita",
        hosts=("api.novita.ai",),
        base_url="https://api.novita.ai/openai/v1",
        key_env=("NOVITA_API_KEY",),
        quirks=_TOP_K,
    ),
    KnownHost(
        name="baseten",
        hosts=("inference.baseten.co",),
        base_url="https://inference.baseten.co/v1",
        key_env=("BASETEN_API_KEY",),
    ),
    KnownHost(
        name="hyperbolic",
        hosts=("api.hyperbolic.xyz",),
        base_url="https://api.hyperbolic.xyz/v1",
        key_env=("HYPERBOLIC_API_KEY",),
    ),
    KnownHost(
        name="github",
        hosts=("models.github.ai",),
        base_url="https://models.github.ai/inference",
        key_env=("GITHUB_TOKEN",),
    ),
    KnownHost(
        name="vercel",
        hosts=("ai-gateway.vercel.sh",),
        base_url="https://ai-gateway.vercel.sh/v1",
        key_env=("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY"),
        quirks=_ROUTER,
    ),
    # https://api.cloudflare.com/client/v4/accounts/<account>/ai/v1
    KnownHost(
        name="cloudflare",
        hosts=("api.cloudflare.com",),
        key_env=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        quirks=_VLLM,
    ),
    KnownHost(
        name="ollama-cloud",
        hosts=("ollama.com",),
        base_url="https://ollama.com/v1",
        key_env=("OLLAMA_API_KEY",),
        quirks=_OLLAMA,
    ),
    # Local servers. Elsewhere than on their usual port they are as good as unknown, and served as well.
    KnownHost(
        name="vllm", hosts=LOOPBACK, port=8000, base_url="http://localhost:8000/v1", needs_key=False, quirks=_VLLM
    ),
    KnownHost(
        name="llamacpp",
        hosts=LOOPBACK,
        port=8080,
        base_url="http://localhost:8080/v1",
        needs_key=False,
        quirks=_LLAMACPP,
    ),
    KnownHost(
        name="lmstudio", hosts=LOOPBACK, port=1234, base_url="http://localhost:1234/v1", needs_key=False, quirks=_TOP_K
    ),
    KnownHost(
        name="ollama", hosts=LOOPBACK, port=11434, base_url="http://localhost:11434/v1", needs_key=False, quirks=_OLLAMA
    ),
    KnownHost(name="litellm", hosts=LOOPBACK, port=4000, base_url="http://localhost:4000/v1", needs_key=False),
)

HOSTS: Final[Mapping[str, KnownHost]] = MappingProxyType({row.name: row for row in _ROWS})


def find_host(base_url: str) -> KnownHost:
    """
    The row of the server at this address, or `UNKNOWN`.

    Raises:
        ValueError: the address has a port that is no number.
    """
    url = urlsplit(base_url)
    host = url.hostname or ""
    for row in _ROWS:
        if row.port in {None, url.port} and any(host == name or host.endswith(f".{name}") for name in row.hosts):
            return row
    return UNKNOWN
