"""
headrace's independent witness: a local server that speaks the vendors' formats, keeps their limits, breaks on demand.

    async with Simulator(seed=1) as sim:
        sim.play("openai", Script(text="Hello there.", fault=faults.CutFin(after_events=3)))
        ... sim.base_url("openai") ...
        assert sim.exchanges[0].text_sent == "Hello "

It shares no code with the decoders it is a witness against: only the vendors' documents are common to both.
"""

from . import faults
from ._simulator import Simulator
from .buckets import Limits
from .exchange import Exchange
from .script import Citation, Framing, Script, Tokens

__all__ = ("Citation", "Exchange", "Framing", "Limits", "Script", "Simulator", "Tokens", "faults")
