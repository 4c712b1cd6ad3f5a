"""A gateway from a file: what it says is so, what is wrong is told with its place, and no key goes astray."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import pytest

from headrace import AIGateway, Deadlines
from headrace.errors import ConfigError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers._config import DEADLINES, GATEWAY, LIMITS, PROVIDER
from headrace.providers._environment import variables_by_provider
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.compatible import CompatibleProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator

SECRET: Final = "sk-ant-this-is-secret"
PAGE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for names in variables_by_provider().values() for name in names} & os.environ.keys():
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
        async with AIGateway.from_config(file, keys={"first": "a-key", "second": lambda: "b-key"}) as gateway:
            one = await gateway.generate("Hello", provider="first")
            two = await gateway.generate("Hello", provider="second")
    assert [(answer.provider, answer.content) for answer in (one, two)] == [("first", "One."), ("second", "Two.")]
    assert two.model == "claude-haiku-5-5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("providers = 3", ["providers must be a table, and is a whole number"], id="no tables"),
        pytest.param("", ["there is no provider: write a table such as [providers.anthropic]"], id="empty"),
        pytest.param(
            "defualt = 'x'\n[providers.openai]", ["unknown key 'defualt': did you mean 'default'?"], id="a key above"
        ),
        pytest.param(
            "[providers.openai]\nprioritty = 1\nmodel = 3",
            [
                "[providers.openai]: unknown key 'prioritty': did you mean 'priority'?",
                "[providers.openai]: model must be a text, and is a whole number",
            ],
            id="two in one",
        ),
        pytest.param(
            "[providers.openai]\npriority = true",
            ["[providers.openai]: priority must be a whole number, and is true or false"],
            id="a switch is no number",
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
            "[providers.openai.limits]\nshare = 2",
            ["[providers.openai]: share is 2: it must be above 0 and at most 1"],
            id="a value of limits",
        ),
        pytest.param(
            "[providers.openai.deadlines]\nidle = -1",
            ["[providers.openai]: deadline idle is -1: it must be a number of seconds above 0"],
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


def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "[providers.openai]\nmodel = gpt\npriority = 1")
    assert line.startswith("it is not TOML: ")
    assert "line 2" in line


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: it cannot be read: No such file"):
        AIGateway.from_config(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["api_key", "key_env", "token", "headers", "key_hosts"])
def test_no_key_stands_in_a_file(tmp_path: Path, name: str) -> None:
    (line,) = mistakes(tmp_path, f'[providers.openai]\n{name} = "{SECRET}"')
    assert line == (
        f"[providers.openai]: {name} does not stand in a file: the vendor's own variable is read by itself, and any "
        "other key is given in code: from_config(path, keys={'openai': os.environ['...']})"
    )


@pytest.mark.parametrize("url", ["https://proxy.example/v1", "http://api.openai.com/v1"])
def test_a_file_alone_sends_no_key_elsewhere(tmp_path: Path, url: str) -> None:
    text = f'[providers.openai]\nbase_url = "{url}"'
    (line,) = mistakes(tmp_path, text)
    assert line == (
        f"[providers.openai]: OPENAI_API_KEY goes to the vendor's own hosts by https only, and base_url is {url!r}. If "
        "the key may go there, say so in code: from_config(path, keys={'openai': os.environ['OPENAI_API_KEY']})"
    )
    gateway = AIGateway.from_config(written(tmp_path, text), keys={"openai": SECRET})  # the consent
    assert gateway.get_provider("openai").is_available()


def test_a_key_for_nobody_is_a_mistake(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "[providers.openai]", keys={"opneai": SECRET})
    assert line == "keys= names 'opneai', which the file does not have: did you mean 'openai'?"


def test_what_code_says_goes_over_the_file(tmp_path: Path) -> None:
    from headrace.gateway import DEFAULT

    gateway = AIGateway.from_config(written(tmp_path, "fallback = false\n[providers.openai]"), fallback=DEFAULT)
    assert gateway._fallback is DEFAULT


@pytest.mark.parametrize(("table", "keys_"), [("", GATEWAY), ("", PROVIDER), ("", LIMITS), ("", DEADLINES)])
def test_every_key_stands_in_the_page(table: str, keys_: dict[str, object]) -> None:
    text = PAGE.read_text()
    assert [key for key in keys_ if f"`{key}`" not in text] == []


def test_the_pages_example_is_a_right_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    gateway = AIGateway.from_config(written(tmp_path, example))
    assert len(gateway._providers) == 4


def test_the_pages_table_of_variables_is_current() -> None:
    text = PAGE.read_text()
    for name, variables in variables_by_provider().items():
        assert f"| `{name}` | {', '.join(f'`{one}`' for one in variables)} |" in text
