"""The pytest plugin, as other people's tests meet it: any client, any plugin for async tests, and no cost unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "testing"

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

ANYIO = ("-p", "no:asyncio", "-p", "no:trio")
BY_RUNNER = {
    "anyio": (ANYIO, "@pytest.mark.anyio\n"),
    "pytest-asyncio": (
        ("-p", "no:trio", "-o", "asyncio_default_fixture_loop_scope=function"),
        "@pytest.mark.asyncio\n",
    ),
    "pytest-trio": (("-p", "no:asyncio"), "@pytest.mark.trio\n"),
}
IMPORTS = """
import pytest
from headrace import AIMessage
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Limits, Script, faults
MESSAGES = [AIMessage("user", "hi")]
ASKED = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}
"""


def run(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(IMPORTS + test)
    return pytester.runpytest_subprocess("-W", "error", "--timeout", "30", *arguments)


@pytest.mark.parametrize("runner", BY_RUNNER)
def test_headraces_own_provider_streams_from_it_and_is_cut_by_it(pytester: pytest.Pytester, runner: str) -> None:
    arguments, mark = BY_RUNNER[runner]
    test = """
async def test_it(headrace_simulator, headrace_fault, headrace_idle):
    headrace_simulator.play("openai", Script(text="All of it."))
    headrace_fault("cut-fin; after_events=3", text="one two three four")
    async with headrace_idle(OpenAIProvider("k", base_url=headrace_simulator.base_url("openai"))) as provider:
        whole = await provider.chat(MESSAGES)
        stream = headrace_idle(provider.chat_stream(MESSAGES))
        *words, marker = [chunk async for chunk in stream]
    assert (whole.content, marker.is_marker) == ("All of it.", True)
    assert "".join(chunk.content for chunk in words) == headrace_simulator.exchanges[1].text_sent == "one two"
    assert [one.ended for one in headrace_simulator.settled()] == ["complete", "cut"]
"""
    done = run(pytester, mark + test, *arguments)
    done.assert_outcomes(passed=2 if runner == "anyio" else 1)  # anyio's own fixture runs both loops


@pytest.mark.parametrize("runner", BY_RUNNER)
def test_a_test_that_leaves_a_stream_open_fails_and_one_that_closes_it_passes(
    pytester: pytest.Pytester, runner: str
) -> None:
    arguments, mark = BY_RUNNER[runner]
    leaking = """
async def test_leaking(headrace_simulator, headrace_fault, headrace_idle):
    headrace_fault("stall; after_events=3", text="one two three four")
    provider = headrace_idle(OpenAIProvider("k", base_url=headrace_simulator.base_url("openai"), model="m"))
    KEPT.append(await provider.__aenter__())
    stream = provider.chat_stream(MESSAGES)
    KEPT.append(stream)
    async for chunk in stream:
        break
"""
    tidy = """
async def test_tidy(headrace_simulator, headrace_fault, headrace_idle):
    headrace_fault("stall; after_events=3", text="one two three four")
    async with OpenAIProvider("k", base_url=headrace_simulator.base_url("openai")) as provider:
        async with headrace_idle(headrace_idle(provider).chat_stream(MESSAGES)) as stream:
            async for chunk in stream:
                break
"""
    done = run(pytester, f"KEPT = []\n{mark}{tidy}", *arguments)
    done.assert_outcomes(passed=2 if runner == "anyio" else 1)
    if runner == "pytest-trio":
        return  # trio would not let such a test end at all: a task group of its own was left open
    done = run(pytester, f"KEPT = []\n{mark}{leaking}", *arguments, "-k", "not trio")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["*AssertionError: <OpenAIProvider m> still holds stream openai/m, 1 slots*"])


def test_a_client_of_others_meets_the_fault_sync_and_async(pytester: pytest.Pytester) -> None:
    test = """
import httpx
import openai

def client(kind, simulator):
    return kind(api_key="k", base_url=simulator.base_url("openai"), max_retries=0)

def test_sync_sdk(headrace_simulator, headrace_fault):
    headrace_fault("cut-fin; after_events=3", text="one two three four")
    got = ""
    with client(openai.OpenAI, headrace_simulator) as sdk, pytest.raises(openai.APIConnectionError):
        for chunk in sdk.chat.completions.create(**ASKED, stream=True):
            got += chunk.choices[0].delta.content or ""
    assert got == headrace_simulator.exchanges[0].text_sent == "one two"

@pytest.mark.anyio
async def test_async_sdk(headrace_simulator, headrace_fault, anyio_backend_name):
    headrace_fault(faults.Refuse(status=429, retry_after=7))
    async with client(openai.AsyncOpenAI, headrace_simulator) as sdk:
        with pytest.raises(openai.RateLimitError) as refused:
            await sdk.chat.completions.create(**ASKED)
    assert refused.value.response.headers["retry-after"] == "7"

def test_plain_http(headrace_simulator):
    headrace_simulator.play("openai", Script(text="All of it."))
    url = headrace_simulator.base_url("openai") + "/chat/completions"
    answer = httpx.post(url, headers={"authorization": "Bearer k"}, json=ASKED).json()
    assert answer["choices"][0]["message"]["content"] == "All of it."
    assert (headrace_simulator.requests, headrace_simulator.url in url) == (1, True)

def test_a_reader_that_leaves_is_seen(headrace_simulator, headrace_fault):
    headrace_fault("stall; after_events=3")
    with client(openai.OpenAI, headrace_simulator) as sdk:
        with sdk.chat.completions.create(**ASKED, stream=True) as stream:
            next(stream)
            with pytest.raises(AssertionError, match="still open after 0.05 s: POST /openai/v1/chat/completions"):
                headrace_simulator.settled(within=0.05)
        assert [one.ended for one in headrace_simulator.settled()] == ["client left"]
    assert headrace_simulator.open_connections == 0
"""
    done = run(pytester, test, *ANYIO)
    done.assert_outcomes(passed=5)


def test_the_simulators_options_may_be_overridden(pytester: pytest.Pytester) -> None:
    test = """
import openai

@pytest.fixture
def headrace_simulator_options():
    return {"limits": {"openai": Limits(requests=1)}, "seed": 3}

def test_it(headrace_simulator):
    with openai.OpenAI(api_key="k", base_url=headrace_simulator.base_url("openai"), max_retries=0) as sdk:
        sdk.chat.completions.create(**ASKED)
        with pytest.raises(openai.RateLimitError):
            sdk.chat.completions.create(**ASKED)
"""
    run(pytester, test, *ANYIO).assert_outcomes(passed=1)


def test_a_sync_test_that_leaks_fails_too(pytester: pytest.Pytester) -> None:
    test = """
import anyio

def test_it(headrace_simulator, headrace_idle):
    provider = headrace_idle(OpenAIProvider("k", base_url=headrace_simulator.base_url("openai"), model="m"))
    anyio.run(provider.generate, "hi")
    provider._session = provider._new_session()
    provider._session.pacer._held[object()] = None  # what a place left behind looks like
"""
    done = run(pytester, test, *ANYIO)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*AssertionError: <OpenAIProvider m> still holds 1 slots"])


def test_a_test_that_fails_by_itself_says_so_and_not_what_it_left_open(pytester: pytest.Pytester) -> None:
    test = """
def test_it(headrace_idle):
    headrace_idle(OpenAIProvider("k"))._session = object()
    assert 1 == 2
"""
    done = run(pytester, test, *ANYIO)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["E * assert 1 == 2"])
    done.stdout.no_fnmatch_line("*still holds*")


def test_what_cannot_be_queued_is_told(pytester: pytest.Pytester) -> None:
    test = """
def test_it(headrace_simulator, headrace_fault):
    with pytest.raises(ValueError, match="there is no fault 'cut'; there are: cut-fin, "):
        headrace_fault("cut")
    with pytest.raises(ValueError, match="there is no vendor 'mill'"):
        headrace_fault("cut-fin", vendor="mill")
    with pytest.raises(ValueError, match="is more than one fault"):
        headrace_fault("cut-fin, stall")
    headrace_fault("framing; line_end=crlf, cut-fin")
"""
    run(pytester, test, *ANYIO).assert_outcomes(passed=1)


def test_who_does_not_use_it_pays_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("headrace")
            assert [name for name in sys.modules if name.partition(".")[0] in {"headrace", "httpx", "msgspec"}] == []
    """)
    pytester.runpytest_subprocess("-W", "error", *ANYIO, "-p", "no:anyio").assert_outcomes(passed=1)


def test_without_h11_the_fixture_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        sys.modules["h11"] = None

        def test_it(headrace_simulator):
            pass
    """)
    done = pytester.runpytest_subprocess(*ANYIO)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["headrace_simulator needs h11: pip install 'headrace?simulator?'"])


def test_the_example_runs_as_it_stands(pytester: pytest.Pytester) -> None:
    pytester.makepyfile((EXAMPLES / "test_with_simulator.py").read_text())
    pytester.runpytest_subprocess("-W", "error", *ANYIO).assert_outcomes(passed=6)
