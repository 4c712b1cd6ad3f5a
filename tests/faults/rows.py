"""
What every table is made of: the vendors, the script that is played, and a row.

A value in a row holds for all vendors, or is a mapping by vendor in which `REST` stands for those that are not named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias, TypeVar, cast

import pytest

from headrace import AIMessage, Deadlines
from headrace.errors import DeadlineKind, ProviderError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.base import BaseProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.ollama import OllamaProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Framing, Script, Simulator, Tokens
from headrace.simulator.faults import Fault
from headrace.testing import assert_idle

from ..leaks import soon

T = TypeVar("T")
PerVendor: TypeAlias = T | Mapping[str, T]

PROVIDERS: Final = {
    "anthropic": AnthropicProvider,
    "gemini": GeminiProvider,
    "grok": GrokProvider,
    "ollama": partial(OllamaProvider, model="llama3.2"),  # without one it would ask the server first
    "openai": OpenAIProvider,
}
REST: Final = ""
UNPACED: Final = RateLimitPolicy(pace=False)  # what the vendor tells, and no waiting for it
SILENT: Final = ("gemini", "ollama")  # their heads tell neither limits nor ids
MESSAGES: Final = [AIMessage("user", "Tell me of the mill.")]
MARKER: Final = "\n\n[Response interrupted]"

# Characters of one to four bytes; Gemini's last piece shares its event with the finish.
PIECES: Final = ("The ", "mill", " türns", " 水", "車 🎶", " on", ".")
ALL: Final = len(PIECES)
TOKENS: Final = Tokens(prompt=30, completion=12, cached=10, reasoning=4)

# So many events stand before the first content, and up to and with the proof of the end.
HEAD: Final = {"anthropic": 3, "gemini": 0, "grok": 1, "ollama": 0, "openai": 1}
PROOF: Final = {"anthropic": 13, "gemini": 7, "grok": 9, "ollama": 8, "openai": 9}
EVENTS: Final = {"anthropic": 13, "gemini": 7, "grok": 11, "ollama": 8, "openai": 11}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One fault or framing, and how a stream that meets it is to end.

    Attributes:
        fault, framing: what is played.
        state: of the stream.
        pieces: so many of `PIECES` are delivered; None is as many as were sent.
        more: pieces that the fault adds to them.
        beyond: words that were sent where HTTP says that the answer has ended.
        error, retryable, retry_after: the typed error, or None.
        reused: whether the next request has the same connection; None where it depends on what the kernel joined.
        deadlines, late: short ones, where there is silence to wait for, and the one that falls.
    """

    fault: PerVendor[Fault | None] = None
    framing: Framing = field(default_factory=Framing)
    state: PerVendor[Literal["finished", "unconfirmed", "interrupted", "failed"]] = "finished"
    pieces: PerVendor[int | None] = ALL
    more: PerVendor[tuple[str, ...]] = ()
    beyond: PerVendor[str] = ""
    error: PerVendor[type[ProviderError] | None] = None
    retryable: PerVendor[bool] = True
    retry_after: PerVendor[float | None] = None
    reused: PerVendor[bool | None] = False
    deadlines: Deadlines = field(default_factory=Deadlines)
    late: DeadlineKind | None = None

    def script(self, vendor: str) -> Script:
        """What the simulator plays."""
        return Script(pieces=PIECES, usage=TOKENS, fault=of(self.fault, vendor), framing=self.framing)

    @property
    def faults(self) -> list[Fault]:
        """All that it plays, of whatever vendor."""
        given = self.fault.values() if isinstance(self.fault, Mapping) else [self.fault]
        return [fault for fault in given if fault is not None]


def of(value: PerVendor[T], vendor: str) -> T:
    """What holds for this vendor."""
    if not isinstance(value, Mapping):
        return value
    return cast("T", value[vendor] if vendor in value else value[REST])


def after(fault: type[Fault], events: Mapping[str, int], **parameters: object) -> Mapping[str, Fault]:
    """The fault after so many events of each vendor."""
    made = cast("Callable[..., Fault]", fault)
    return {vendor: made(after_events=count, **parameters) for vendor, count in events.items()}


def table(rows: Mapping[str, Row]) -> pytest.MarkDecorator:
    """Every row for every vendor."""
    return pytest.mark.parametrize(
        ("vendor", "row"),
        [pytest.param(vendor, row, id=f"{name}-{vendor}") for name, row in rows.items() for vendor in PROVIDERS],
    )


async def still_works(sim: Simulator, provider: BaseProvider, *, reused: bool | None) -> None:
    """
    After the first exchange of `sim`: a plain request is answered, on the same connection or on a new one, and then
    nothing is open but one idle connection.
    """
    first = sim.exchanges[-1]
    sim.play(first.vendor, Script(text="Still here.", fault=None))
    answer = await provider.chat(MESSAGES)
    assert (answer.content, answer.state) == ("Still here.", "finished")
    second = sim.exchanges[-1]
    assert second is not first
    if reused is not None:
        assert (second.connection == first.connection) is reused
    await assert_idle(provider)
    await soon(lambda: sim.open_connections == 1)
