"""
The key goes to one place, in one header, and shows itself nowhere else.
"""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Final

import pytest

from headrace.errors import CallerError, HeadraceError, MissingKeyError
from headrace.simulator import Script, Simulator, faults

from .rows import MESSAGES, PIECES, PROVIDERS, REST, PerVendor, of

pytestmark = pytest.mark.usefixtures("leak_check")

KEY: Final = "sk-live-7Gq0hT"
HEADERS: Final[PerVendor[tuple[str, str]]] = {
    "anthropic": ("x-api-key", KEY),
    "gemini": ("x-goog-api-key", KEY),
    REST: ("authorization", f"Bearer {KEY}"),
}
VARIABLES: Final = {
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "grok": "XAI_API_KEY",
    "openai": "OPENAI_API_KEY",
}
KEYED: Final = tuple(VARIABLES)  # Ollama on one's own machine needs none


async def later() -> str:
    return KEY


GIVEN: Final = {"text": KEY, "callable": lambda: KEY, "async": later}


@pytest.mark.parametrize("how", GIVEN)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_the_key_travels_in_the_vendors_header_and_in_no_other(sim: Simulator, vendor: str, how: str) -> None:
    name, value = of(HEADERS, vendor)
    async with PROVIDERS[vendor](GIVEN[how], base_url=sim.base_url(vendor)) as provider:
        await provider.chat(MESSAGES)
    (exchange,) = sim.exchanges
    assert {header: text for header, text in exchange.headers.items() if KEY in text} == {name: value}
    assert {"x-api-key", "x-goog-api-key", "authorization"} & exchange.headers.keys() == {name}
    assert KEY not in exchange.path + str(exchange.body)


async def test_a_callable_is_asked_for_every_request(sim: Simulator) -> None:
    keys = iter(["first", "second"])
    async with PROVIDERS["openai"](lambda: next(keys), base_url=sim.base_url("openai")) as provider:
        await provider.chat(MESSAGES)
        await provider.chat(MESSAGES)
    assert [one.headers["authorization"] for one in sim.exchanges] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("vendor", KEYED)
async def test_the_environments_key_goes_to_the_vendors_own_hosts_only(
    sim: Simulator, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, KEY)
    local = sim.base_url(vendor)
    for hosts in ((), ("127.0.0.1",)):  # nor does it go anywhere without TLS
        async with PROVIDERS[vendor](base_url=local, key_hosts=hosts) as provider:
            assert not provider.is_available()
            with pytest.raises(MissingKeyError, match=r"127\.0\.0\.1") as caught:
                await provider.chat(MESSAGES)
            assert KEY not in shown(caught.value)
    assert (sim.requests, sim.connections) == (0, 0)
    assert PROVIDERS[vendor]().is_available()
    elsewhere = local.replace("http://127.0.0.1", "https://gateway.example")
    assert not PROVIDERS[vendor](base_url=elsewhere).is_available()
    assert not PROVIDERS[vendor](base_url=elsewhere, key_hosts=["teway.example"]).is_available()
    assert PROVIDERS[vendor](base_url=elsewhere, key_hosts=["gateway.example"]).is_available()


@pytest.mark.parametrize("vendor", KEYED)
async def test_without_any_key_nothing_is_sent_and_the_variable_is_named(sim: Simulator, vendor: str) -> None:
    async with PROVIDERS[vendor](base_url=sim.base_url(vendor)) as provider:
        with pytest.raises(MissingKeyError, match=r"api_key=.*_API_KEY"):
            await provider.chat(MESSAGES)
    assert (sim.requests, sim.connections) == (0, 0)


UNFIT: Final = {"line break": f"{KEY}\n", "two lines": f"{KEY}\r\nx-evil: 1", "empty": " ", "no ascii": f"{KEY}é"}


@pytest.mark.parametrize("why", UNFIT)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    sim: Simulator, vendor: str, why: str
) -> None:
    async with PROVIDERS[vendor](UNFIT[why], base_url=sim.base_url(vendor)) as provider:
        with pytest.raises(MissingKeyError, match=f"^{vendor}: .*line break") as caught:
            await provider.chat(MESSAGES)
    assert (sim.requests, sim.connections) == (0, 0)
    assert KEY not in shown(caught.value)


async def test_a_header_that_cannot_be_sent_is_refused_without_being_shown(sim: Simulator) -> None:
    headers = {"x-proxy-key": f"{KEY}\n"}
    async with PROVIDERS["openai"]("k", base_url=sim.base_url("openai"), headers=headers) as provider:
        with pytest.raises(CallerError, match="line breaks") as caught:
            await provider.chat(MESSAGES)
    assert sim.requests == 0
    assert KEY not in shown(caught.value)


def shown(error: BaseException) -> str:
    """All that a log, a traceback or another process could see of it."""
    pickled = pickle.dumps(error).decode("latin-1")
    return "".join([str(error), repr(error), repr(vars(error)), pickled, *traceback.format_exception(error)])


FAILURES: Final[dict[str, faults.Fault]] = {
    **{str(status): faults.Refuse(status=status) for status in (400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 529)},
    "429-quota": faults.Refuse(status=429, kind="quota"),
    "403-html": faults.Refuse(status=403, body="html"),
    "500-cut": faults.Refuse(status=500, body="cut"),
    "no-head": faults.NoHead(),
    "html": faults.HtmlBody(),
    "json": faults.JsonBody(),
    "redirect": faults.Redirect(),
    "cut": faults.CutFin(after_pieces=3),
    "error": faults.ErrorEvent(after_pieces=3),
    "malformed": faults.Malformed(after_pieces=3),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_the_key_shows_itself_nowhere(
    sim: Simulator, vendor: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a text, a traceback, a pickle or a log, those of the HTTP libraries at DEBUG included."""
    caplog.set_level(logging.DEBUG)
    sim.play(vendor, Script(pieces=PIECES, fault=FAILURES[name]))
    async with PROVIDERS[vendor](KEY, base_url=sim.base_url(vendor)) as provider:
        stream = provider.chat_stream(MESSAGES)
        with pytest.raises(HeadraceError) as caught:
            await stream.collect()
        views = (provider, stream, stream.response, vars(provider), sim.exchanges[0])
        seen = shown(caught.value) + "".join(f"{view!r}{view}" for view in views)
        assert vendor in seen
        assert KEY not in seen
    loggers = {record.name.partition(".")[0] for record in caplog.records}
    assert "httpcore" in loggers
    assert KEY not in caplog.text
    assert KEY not in "".join(str(record.args) for record in caplog.records)
