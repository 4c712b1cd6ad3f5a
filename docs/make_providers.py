"""
docs/reference/providers.md, made from the code: `make reference`.

Nothing about a provider is typed in here. What it is comes from its class, what a known server is from its row, and
what a format takes is found out: a request with one thing more is really encoded, and either the format refuses it, or
the thing is in the body. Knows no model: what those refuse is in the model rules.
"""  # noqa: INP001  # a script, no package

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, NamedTuple

from headrace import (
    AICapability,
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    PromptCache,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
)
from headrace.errors import UnsupportedOptionError
from headrace.providers import PROVIDERS, load_provider
from headrace.providers._apis import APIS, Api, ChatOrResponsesProvider
from headrace.providers._hosts import HOSTS, UNKNOWN, KnownHost
from headrace.providers._vendor import VendorProvider
from headrace.providers.compatible import CompatibleProvider

PAGE: Final = Path(__file__).parent / "reference" / "providers.md"

WITH_APIS: Final = (ChatOrResponsesProvider, CompatibleProvider)
YES, NO, LEFT_OUT, LOST = "yes", "–", "left out", "lost"

INTRO: Final = """# Providers

Made from the code by `make reference`; a test fails when it is not current. A "yes" means that the format has a place
for it. Whether a model takes it is another question: see [what models take](../models.md).
"""
TABLES: Final = {
    "providers": """## Where they are

The key of the environment goes to the vendor's own hosts only. A rate-limit dialect is a row of
`headrace.limits.dialects`; `any` reads the spellings that servers have in common. Without a default model, name one.
""",
    "capabilities": """## What they can do

`embed()`, `count_tokens()` and `list_models()` are `UnsupportedOptionError` where there is no "yes".
""",
    "formats": """## Formats

Where a provider has two, `api=` chooses: `OpenAIProvider(api="responses")`.
""",
    "options": """## Options

What the format takes of `GenerationConfig`. The rest is `UnsupportedOptionError`, before anything is sent; with
`strict_options=False` it is left out, and an event says so. All take
{everywhere}.
""",
    "parts": """## Messages

What the format takes in a conversation. "left out" is told by an event, "lost" is not; the rest is
`UnsupportedOptionError`.
""",
    "hosts": """## Compatible servers

`CompatibleProvider(host="...")`; most are known by their address as well. The last two columns are the difference to a
server that nobody knows: `compatible, chat` above, and `compatible, responses` where that is named.
""",
}


# ---------------------------------------------------------------- what is tried


class Probe(NamedTuple):
    """
    One thing that a request may have.

    Attributes:
        label, kind: in the table; `kind` tells apart what has one label, else "".
        option: what the format's refusal must name.
        without, messages: the conversation without it and with it.
        bare, config: the options without it and with it.
        trace: what of it must be in the body; "" where any change will do.
    """

    label: str
    kind: str
    option: str
    without: Sequence[AIMessage]
    messages: Sequence[AIMessage]
    bare: GenerationConfig
    config: GenerationConfig
    trace: str = ""

    @property
    def title(self) -> str:
        """Label and kind."""
        return f"{self.label}: {self.kind}" if self.kind else self.label


# No format's business.
EVERYWHERE: Final = ("model", "stream", "extra", "priority", "max_wait", "max_attempts", "deadlines")
LOOK: Final = Tool("look", "Look.")
SCHEMA: Final = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
SAMPLES: Final[Mapping[str, Mapping[str, object]]] = {  # of each option: what it may be, and an example of that
    "max_tokens": {"": 77},
    "temperature": {"": 0.7},
    "top_p": {"": 0.7},
    "top_k": {"": 7},
    "stop_sequences": {"": ["END"]},
    "seed": {"": 7},
    "tools": {"": [LOOK]},
    "tool_choice": {'"required"': "required", '"none"': "none", "one tool": "look"},
    "parallel_tool_calls": {"": False},
    "response_format": {'"json"': "json", "a schema or type": SCHEMA},
    "reasoning": {
        "effort": "low",
        "budget": 2048,
        "shown": Reasoning(show=True),
        "hidden": Reasoning(show=False),
        "the vendor's own": {"effort": "low"},
    },
    "cache": {
        "key": PromptCache(key="key-1"),
        "ttl": PromptCache(ttl="1h"),
        "name": PromptCache(name="cachedContents/1"),
    },
    "metadata": {"user_id": {"user_id": "user-1"}, "any key": {"team": "red"}},
    "service_tier": {"": "auto"},
}
WITH_TOOLS: Final = ("tool_choice", "parallel_tool_calls")  # options that mean nothing without a tool

HI: Final = AIMessage("user", "Hi")
SAID: Final = AIMessage("assistant", "Hi")
DATA: Final = b"sample of bytes."
IN_BASE64: Final = b64encode(DATA).decode()
URL: Final = "https://example.com/sample"
IMAGE: Final = ImagePart(DATA, "image/png")
PDF: Final = DocumentPart(DATA, "application/pdf", "a.pdf")
WORDS: Final = TextPart("Hi")


def options() -> Iterator[Probe]:
    """Every option of `GenerationConfig`, in its order there."""
    for field in fields(GenerationConfig):
        if field.name in EVERYWHERE:
            continue
        for kind, value in SAMPLES[field.name].items():
            bare = GenerationConfig(tools=[LOOK] if field.name in WITH_TOOLS else None)
            config = replace(bare)
            setattr(config, field.name, value)
            yield Probe(f"`{field.name}`", kind, field.name, [HI], [HI], bare, config)


def parts() -> Iterator[Probe]:
    """What a conversation may have beside words."""
    rows: list[tuple[str, str, Sequence[AIMessage], Sequence[AIMessage], str]] = []
    for label, kind, part, trace in (
        ("image", "bytes", IMAGE, IN_BASE64),
        ("image", "URL", ImagePart(URL, "image/png"), URL),
        ("PDF", "bytes", PDF, IN_BASE64),
        ("PDF", "URL", DocumentPart(URL, "application/pdf", "a.pdf"), URL),
        ("sound", "bytes", AudioPart(DATA, "audio/wav"), IN_BASE64),
    ):
        rows.append((label, kind, [HI], [AIMessage("user", [WORDS, part])], trace))
    asked = [HI, AIMessage("assistant", [ToolCall("call_1", "look", "{}")])]
    plain = [*asked, _result("seen")]
    rows += [
        ("result of a tool", "text", asked, plain, "seen"),
        ("result of a tool", "image", plain, [*asked, _result([WORDS, IMAGE])], IN_BASE64),
        ("result of a tool", "PDF", plain, [*asked, _result([WORDS, PDF])], IN_BASE64),
    ]
    for kind, thought, trace in (
        ("words", ReasoningPart("a thought"), "a thought"),
        ("signed", ReasoningPart("a thought", IN_BASE64), IN_BASE64),
        ("encrypted", ReasoningPart("", data=IN_BASE64), IN_BASE64),
    ):
        rows.append(
            ("reasoning given back", kind, [HI, SAID, HI], [HI, replace(SAID, content=[thought, WORDS]), HI], trace)
        )
    cached = AIMessage("user", [WORDS, CacheBreakpoint(), WORDS])
    rows += [
        ("cache breakpoint", "", [AIMessage("user", [WORDS, WORDS])], [cached], ""),
        ("author's name", "", [HI], [replace(HI, name="some_author")], "some_author"),
    ]
    for label, kind, without, messages, trace in rows:
        yield Probe(label, kind, "messages", without, messages, GenerationConfig(), GenerationConfig(), trace)


def _result(content: str | Sequence[TextPart | ImagePart | DocumentPart]) -> AIMessage:
    return AIMessage("tool", [ToolResultPart("call_1", content, "look")])


def tried(provider: VendorProvider, probe: Probe) -> str:
    """What the provider's format makes of it. `LOST` is neither taken nor refused by its name nor told."""
    model = provider.model or "a-model"
    encode = provider.codec.encode
    before = encode(probe.without, probe.bare, model=model, stream=True)
    try:
        after = encode(probe.messages, probe.config, model=model, stream=True)
    except UnsupportedOptionError as exc:
        return NO if exc.option == probe.option else LOST
    if set(after.dropped) > set(before.dropped):
        return LEFT_OUT
    changed = (after.path, after.body, after.headers) != (before.path, before.body, before.headers)
    return YES if changed and probe.trace.encode() in (after.body or b"") else LOST


# ---------------------------------------------------------------- what there is


def providers() -> dict[str, VendorProvider]:
    """One of each, made without a look at the environment."""
    return {name: _made(name, None) for name in PROVIDERS}


def formats() -> dict[str, VendorProvider]:
    """One for each format of each, as the columns name them."""
    return {
        f"{name}, {api}" if api else name: _made(name, api)
        for name in PROVIDERS
        for api in (APIS if issubclass(load_provider(name), WITH_APIS) else (None,))
    }


def _made(name: str, api: Api | None) -> VendorProvider:
    kind = load_provider(name)
    if issubclass(kind, CompatibleProvider):
        return _at(UNKNOWN, api or "chat")
    if issubclass(kind, ChatOrResponsesProvider):
        return kind(base_url=kind.vendor.base_url, api=api)
    assert issubclass(kind, VendorProvider)
    return kind(base_url=kind.vendor.base_url)


def _at(host: KnownHost, api: Api) -> CompatibleProvider:
    return CompatibleProvider(host=host, base_url=host.base_url or URL, api=api)


# ---------------------------------------------------------------- tables


def _where(found: Mapping[str, VendorProvider]) -> str:
    rows = []
    for name, one in found.items():
        vendor, cls = one.vendor, type(one)
        asks = cls._model_for is not VendorProvider._model_for
        rows.append(
            [
                name,
                f"`{cls.__name__}`",
                _code(vendor.base_url),
                _code(*vendor.key_env),
                _needs(vendor.needs_key),
                "found by asking" if asks else _code(one.model),
                one.dialect.name,
            ]
        )
    return _table(["", "class", "base URL", "key", "key needed", "default model", "rate limits"], rows)


def _can(found: Mapping[str, VendorProvider]) -> str:
    beside = {"embed": "embedder", "count_tokens": "counter", "list_models": "catalog"}
    rows = [
        [f"`{capability}`", *(YES if capability in one.capabilities else NO for one in found.values())]
        for capability in AICapability
    ]
    rows += [
        [f"`{method}()`", *(_has(one, method, codec) for one in found.values())] for method, codec in beside.items()
    ]
    return _table(["", *found], rows)


def _has(one: VendorProvider, method: str, codec: str) -> str:
    own = getattr(type(one), method) is not getattr(VendorProvider, method)
    return YES if own or getattr(one, codec) is not None else NO


def _formats(found: Mapping[str, VendorProvider]) -> str:
    rows = []
    for name, one in found.items():
        encoded = one.codec.encode([HI], GenerationConfig(), model=one.model or "<model>", stream=True)
        address = one._url(encoded.path).removeprefix(one.base_url).replace(one.model or "<model>", "<model>")
        rows.append([name, _code(address), _code(one.codec.stream_type)])
    return _table(["", "path, behind the base URL", "streams are"], rows)


def _tried(probes: Iterable[Probe], found: Mapping[str, VendorProvider]) -> str:
    return _table(["", *found], [[probe.title, *(tried(one, probe) for one in found.values())] for probe in probes])


def _hosts() -> str:
    probes = [*options(), *parts()]
    usual = {api: _outcomes(UNKNOWN, api, probes) for api in APIS}
    rows = []
    for host in HOSTS.values():
        found = {api: _outcomes(host, api, probes) for api in APIS}
        rows.append(
            [
                host.name,
                _code(host.base_url) if host.base_url else "your own",
                _code(*host.key_env),
                _needs(host.needs_key),
                _code(host.model),
                host.dialect,
                _beyond(probes, found, usual),
                _beyond(probes, usual, found),
            ]
        )
    return _table(
        ["", "base URL", "key", "key needed", "default model", "rate limits", "takes, too", "does not take"], rows
    )


def _outcomes(host: KnownHost, api: Api, probes: Sequence[Probe]) -> list[str]:
    return [tried(_at(host, api), probe) for probe in probes]


def _beyond(probes: Sequence[Probe], more: Mapping[str, list[str]], less: Mapping[str, list[str]]) -> str:
    """What the one takes and the other does not, in words."""
    kinds: dict[str, list[str]] = {}
    for api in APIS:
        for probe, one, other in zip(probes, more[api], less[api], strict=True):
            if one == YES != other:
                label = probe.label if api == "chat" else f"{probe.label} in {api}"
                kinds.setdefault(label, []).append(probe.kind)
    return "; ".join(f"{label} ({', '.join(found)})" if any(found) else label for label, found in kinds.items()) or NO


def _code(*values: str) -> str:
    return ", ".join(f"`{value}`" for value in values if value) or NO


def _needs(needed: bool) -> str:
    return YES if needed else "no"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page() -> str:
    """The whole page."""
    everyone, each = providers(), formats()
    tables = {
        "providers": _where(everyone),
        "capabilities": _can(everyone),
        "formats": _formats(each),
        "options": _tried(options(), each),
        "parts": _tried(parts(), each),
        "hosts": _hosts(),
    }
    sections = (f"{TABLES[name]}\n{table}" for name, table in tables.items())
    return "\n".join([INTRO, *sections]).replace("{everywhere}", _code(*EVERYWHERE))


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}")  # noqa: T201  # for whoever ran make
