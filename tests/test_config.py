"""A gateway from a file: what it says is so, what is wrong is told with its place, and no key goes astray."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from headrace import AIGateway, Deadlines, models
from headrace.errors import ConfigError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers import PROVIDERS, load_provider
from headrace.providers._config import DEADLINES, GATEWAY, LIMITS, PROVIDER
from headrace.providers._environment import variables_by_provider
from headrace.providers._hosts import HOSTS
from headrace.providers._named import names
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.compatible import CompatibleProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator

SECRET: Final = "sk-ant-this-is-secret"
PAGE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
VARIABLES: Final = PAGE.parent / "reference" / "environment.md"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for group in variables_by_provider().values() for name in group} & os.environ.keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def written(path: Path, text: str) -> Path:
    file = path / "gateway.toml"
    file.write_text(text)
    return file


def mistakes(path: Path, text: str, **given: object) -> list[str]:
    file = written(path, text)
    with pytest.raises(ConfigError) as caught:
        AIGateway.from_config(file, **given)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)
    return [line.removeprefix(f"{file}: ") for line in str(caught.value).splitlines()]


def test_a_file_says_it_all(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        default = "main"
        fallback = false

        [providers.main]
        kind = "anthropic"
        model = "claude-haiku-5-5"
        priority = 2
        max_attempts = 3
        max_requests = 7
        marker = "[cut]"
        strict_options = false

        [providers.main.limits]
        max_wait = 5
        share = 0.5
        limits = { requests = 50 }

        [providers.main.deadlines]
        first_chunk = 30
        total = 120.5

        [providers.openai]
        api = "responses"
        priority = 9

        [providers.local]
        kind = "compatible"
        base_url = "http://127.0.0.1:8000/v1"
        model = "m"
        """,
    )
    gateway = AIGateway.from_config(file)
    main, openai, local = (gateway.get_provider(name) for name in ("main", "openai", "local"))
    assert gateway.get_provider() is main
    assert [one.name for one in gateway._in_order()] == ["openai", "main", "local"]
    assert gateway._fallback is None
    assert isinstance(main, AnthropicProvider)
    assert (main.model, main.max_attempts, main.max_requests) == ("claude-haiku-5-5", 3, 7)
    assert (main.marker, main.strict_options) == ("[cut]", False)
    assert main.limits == RateLimitPolicy(max_wait=5, share=0.5, limits={"requests": 50})
    assert main.deadlines == Deadlines(first_chunk=30, total=120.5)
    assert isinstance(openai, OpenAIProvider)
    assert (openai.api, openai.name) == ("responses", "openai")
    assert isinstance(local, CompatibleProvider)
    assert SECRET not in repr(gateway)


async def test_two_of_one_vendor_answer_under_their_own_names(tmp_path: Path) -> None:
    async with Simulator() as sim:
        sim.play("anthropic", Script(text="One."), Script(text="Two."))
        url = sim.base_url("anthropic")
        file = written(
            tmp_path,
            f'[providers.first]\nkind = "anthropic"\nbase_url = "{url}"\n'
            f'[providers.second]\nkind = "anthropic"\nbase_url = "{url}"\nmodel = "claude-haiku-5-5"\n',
        )
        async with AIGateway.from_config(
            file,
            keys={"first": "a-key", "second": lambda: "b-key"},
            key_hosts={"first": "127.0.0.1", "second": "127.0.0.1"},
        ) as gateway:
            one = await gateway.generate("Hello", provider="first")
            two = await gateway.generate("Hello", provider="second")
    assert [(answer.provider, answer.content) for answer in (one, two)] == [("first", "One."), ("second", "Two.")]
    assert two.model == "claude-haiku-5-5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("providers = 3", ["providers must be a table, and is the number 3"], id="no tables"),
        pytest.param("", ["there is no provider: write a table such as [providers.anthropic]"], id="empty"),
        pytest.param(
            "defualt = 'x'\n[providers.openai]", ["unknown key 'defualt': did you mean 'default'?"], id="a key above"
        ),
        pytest.param(
            "[providers.openai]\nprioritty = 1\nmodel = 3",
            [
                "[providers.openai]: unknown key 'prioritty': did you mean 'priority'?",
                "[providers.openai]: model must be a text, and is the number 3",
            ],
            id="two in one",
        ),
        pytest.param(
            "[providers.openai]\npriority = true",
            ["[providers.openai]: priority must be a whole number, and is true or false"],
            id="a switch is no number",
        ),
        pytest.param(
            "[providers.openai]\npriority = 1.5\nmax_attempts = 0\nmax_requests = -1",
            [
                "[providers.openai]: priority must be a whole number, and is the number 1.5",
                "[providers.openai]: max_attempts must be a whole number above 0, and is the number 0",
                "[providers.openai]: max_requests must be a whole number above 0, and is the number -1",
            ],
            id="numbers",
        ),
        pytest.param("[[providers.openai]]", ["[providers.openai]: it must be a table, and is a list"], id="a list"),
        pytest.param(
            "[providers.'a/b']\n[providers.'']\n[providers.\"a\\nb\"]",
            [
                f"[providers.{name}]: the name of a provider is of letters, digits and the signs _ - . : @ +"
                for name in ("'a/b'", "''", "'a\\nb'")
            ],
            id="names",
        ),
        pytest.param(
            "[providers.openai]\nmarker = 2026-11-24",
            ["[providers.openai]: marker must be a text, and is a date or time"],
            id="a date",
        ),
        pytest.param(
            "[providers.openai.limits]\nmax_wiat = 1",
            ["[providers.openai.limits]: unknown key 'max_wiat': did you mean 'max_wait'?"],
            id="a key of limits",
        ),
        pytest.param(
            "[providers.openai.limits]\nlimits = { requests = 'many' }",
            ["[providers.openai.limits]: limits must be a table of numbers, and is a table"],
            id="a limit",
        ),
        pytest.param(
            "[providers.openai.limits]\nshare = 2\n[providers.openai.deadlines]\nidle = nan",
            [
                "[providers.openai.limits]: share is 2: it must be a number above 0 and at most 1",
                "[providers.openai.deadlines]: deadline idle is nan: it must be a number of seconds above 0",
            ],
            id="a value of limits, and one of deadlines",
        ),
        pytest.param(
            "[providers.openai.deadlines]\nidle = -1",
            ["[providers.openai.deadlines]: deadline idle is -1: it must be a number of seconds above 0"],
            id="a deadline",
        ),
        pytest.param(
            "[providers.antropic]",
            [
                "[providers.antropic]: there is no provider 'antropic': did you mean 'anthropic'? "
                "(a `kind` names another one)"
            ],
            id="a kind",
        ),
        pytest.param(
            "[providers.anthropic]\napi = 'chat'",
            ["[providers.anthropic]: AnthropicProvider has no option 'api'"],
            id="an option of others",
        ),
        pytest.param(
            "[providers.openai]\napi = 'chats'",
            ["[providers.openai]: openai: there is no api 'chats': use 'chat' or 'responses'"],
            id="a value of an option",
        ),
        pytest.param(
            "default = 'opena'\n[providers.openai]",
            ["default: there is no provider 'opena': did you mean 'openai'?"],
            id="the default",
        ),
        pytest.param(
            "[providers.groq]", ["[providers.groq]: there is no key: set GROQ_API_KEY"], id="a key that is not set"
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert mistakes(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            b"[providers.openai]\nmodel = gpt\npriority = 1", "Invalid value (at line 2, column 9)", id="a value"
        ),
        pytest.param(
            b"[providers.openai]\n\nmodel = '\xff'", "what stands there is not UTF-8 (at line 3)", id="another encoding"
        ),
        pytest.param(b"default = " + b"1" * 5000, "Exceeds the limit (4300 digits)", id="a number without end"),
        pytest.param(b"default = " + b"[" * 5000, "maximum recursion depth exceeded", id="depth without end"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, text: bytes, expected: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        AIGateway.from_config(file)
    assert str(caught.value).startswith(f"{file}: it is not TOML: {expected}")
    assert caught.value.__context__ is None  # whose locals hold the text


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    gateway = AIGateway.from_config(written(tmp_path, "\ufeff[providers.openai]"))
    assert gateway.get_provider().name == "openai"


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "#" * ((1 << 20) + 1)) == ["it is longer than 1048576 bytes, which no configuration is"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: it cannot be read: No such file"):
        AIGateway.from_config(tmp_path / "none.toml")


@pytest.mark.parametrize("key", ["api_key", "apikey", "key_env", "key_hosts", "auth_token", "headers", "Password"])
@pytest.mark.parametrize(
    ("table", "place", "variable", "name"),
    [
        ("[providers.openai]", "[providers.openai]: ", "OPENAI_API_KEY", "openai"),
        ("[providers.openai.limits]", "[providers.openai.limits]: ", "OPENAI_API_KEY", "openai"),
        ("[providers.team]\nkind = 'groq'", "[providers.team]: ", "GROQ_API_KEY", "team"),
        ("[providers.compatible]", "[providers.compatible]: ", "the vendor's own variable", "compatible"),
        ("", "", "the vendor's own variable", "NAME"),
    ],
    ids=["a vendor", "its limits", "a host", "nobody's", "above"],
)
def test_no_key_stands_in_a_file(tmp_path: Path, key: str, table: str, place: str, variable: str, name: str) -> None:
    (line,) = mistakes(tmp_path, f'{table}\n{key} = "{SECRET}"')
    assert line == (
        f"{place}{key!r} does not stand in a file: set {variable}, which is read by itself, or give another key in "
        f"code: from_config(path, keys={{{name!r}: os.environ['...']}})"
    )


def test_a_key_in_the_file_hides_no_other_mistake(tmp_path: Path) -> None:
    secret, other = mistakes(tmp_path, f'[providers.openai]\napi_key = "{SECRET}"\nmodle = "x"')
    assert secret.startswith("[providers.openai]: 'api_key' does not stand in a file")
    assert other == "[providers.openai]: unknown key 'modle': did you mean 'model'?"


@pytest.mark.parametrize(
    ("url", "consent"),
    [
        (
            "https://proxy.example/v1",
            "If it may go there, say so in code: from_config(path, keys={'openai': os.environ['OPENAI_API_KEY']}, "
            "key_hosts={'openai': 'proxy.example'})",
        ),
        (
            "https://api.openai.com.proxy.example/v1",
            "If it may go there, say so in code: from_config(path, keys={'openai': os.environ['OPENAI_API_KEY']}, "
            "key_hosts={'openai': 'api.openai.com.proxy.example'})",
        ),
        (
            "http://127.0.0.1/v1",
            "If it may go there, say so in code: from_config(path, keys={'openai': os.environ['OPENAI_API_KEY']}, "
            "key_hosts={'openai': '127.0.0.1'})",
        ),
        ("http://api.openai.com/v1", "By plain http a key goes to this machine alone"),
    ],
    ids=["another host", "a longer name", "this machine", "in the clear"],
)
def test_a_file_alone_sends_no_key_elsewhere(tmp_path: Path, url: str, consent: str) -> None:
    (line,) = mistakes(tmp_path, f'[providers.openai]\nbase_url = "{url}"')
    assert line == (
        "[providers.openai]: OPENAI_API_KEY goes to the vendor's own hosts by https only, and base_url is at "
        f"'{url.removesuffix('/v1')}'. {consent}"
    )


def test_a_file_takes_a_key_of_the_code_nowhere_either(tmp_path: Path) -> None:
    """Who may write the file may not choose who is sent the key that the code has given for one host."""
    (line,) = mistakes(tmp_path, '[providers.openai]\nbase_url = "https://evil.example/v1"', keys={"openai": SECRET})
    assert line == (
        "[providers.openai]: this key goes to the vendor's own hosts by https only, and base_url is at "
        "'https://evil.example'. If it may go there, say so in code: from_config(path, keys={'openai': ...}, "
        "key_hosts={'openai': 'evil.example'})"
    )


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("https://proxy.example/v1", False),
        ("https://api.openai.com/v1", False),
        ("https://evil.example/v1", True),
        ("https://sub.proxy.example/v1", True),
        ("http://proxy.example/v1", True),
        ("http://127.0.0.1/v1", True),
    ],
)
def test_consent_is_for_the_one_host_that_it_names(tmp_path: Path, url: str, is_refused: bool) -> None:
    text = f'[providers.openai]\nbase_url = "{url}"'
    consent = {"keys": {"openai": SECRET}, "key_hosts": {"openai": "proxy.example"}}
    if is_refused:
        (line,) = mistakes(tmp_path, text, **consent)
        assert "this key goes to the vendor's own hosts by https only" in line
    else:
        gateway = AIGateway.from_config(written(tmp_path, text), **consent)
        assert gateway.get_provider("openai").is_available()
        assert SECRET not in repr(vars(gateway.get_provider("openai")))


def test_a_host_for_no_key_is_a_mistake(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "[providers.openai]", keys={"openai": SECRET}, key_hosts={"opneai": "proxy.example"})
    assert line == "key_hosts= names 'opneai', which keys= does not: did you mean 'openai'?"


def test_a_key_for_nobody_is_a_mistake(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "[providers.openai]", keys={"opneai": SECRET})
    assert line == "keys= names 'opneai', which the file does not have: did you mean 'openai'?"


def test_what_code_says_goes_over_the_file(tmp_path: Path) -> None:
    from headrace.gateway import DEFAULT

    gateway = AIGateway.from_config(written(tmp_path, "fallback = false\n[providers.openai]"), fallback=DEFAULT)
    assert gateway._fallback is DEFAULT


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("the file", GATEWAY),
        ("`[providers.NAME]`", PROVIDER),
        ("`[providers.NAME.limits]`", LIMITS),
        ("`[providers.NAME.deadlines]`", DEADLINES),
    ],
)
def test_every_key_stands_in_the_page(title: str, known: Mapping[str, object]) -> None:
    (table,) = re.findall(rf"^\| key of {re.escape(title)} \|.*\n(?:\|.*\n)+", PAGE.read_text(), re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(known)


def test_the_pages_example_is_a_right_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    gateway = AIGateway.from_config(written(tmp_path, example))
    assert len(gateway._providers) == 4


def test_the_pages_table_of_variables_is_current() -> None:
    text = VARIABLES.read_text()
    for name, variables in variables_by_provider().items():
        assert f"| `{name}` | {', '.join(f'`{one}`' for one in variables)} |" in text


def test_every_variable_and_every_kind_stands_in_the_page() -> None:
    vendors = [load_provider(name).vendor for name in PROVIDERS if name != "compatible"]
    variables = {variable for one in vendors for variable in (*one.key_env, *one.url_env)}
    variables |= {variable for row in HOSTS.values() for variable in row.key_env}
    variables |= {"OLLAMA_HOST", models.VARIABLE}
    wanted = {f"`{word}`" for word in (*variables, *names())}
    shown = PAGE.read_text() + VARIABLES.read_text()
    assert wanted - set(re.findall(r"`[\w-]+`", shown)) == set()


def test_every_variable_that_is_read_stands_in_the_page() -> None:
    """headrace's own, wherever they are named: in the package, its tests, or what runs them."""
    root = PAGE.parents[1]
    files = [path for name in ("src", "tests", "release", ".ci") for path in (root / name).rglob("*") if path.is_file()]
    text = "".join(path.read_text() for path in files if path.suffix in {".py", ""})
    named = set(re.findall(r"\bHEADRACE_[A-Z]+(?:_[A-Z]+)*\b", text))
    assert named >= {"HEADRACE_MODELS", "HEADRACE_RECORDINGS", "HEADRACE_REQUIRE_REDIS"}
    assert {f"`{name}`" for name in named} - set(re.findall(r"`\w+`", VARIABLES.read_text())) == set()
