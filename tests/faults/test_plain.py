"""
`stream=False`: one plain JSON answer has the same content as the stream, and is never half an answer.
"""

from __future__ import annotations

from typing import Final

import pytest

from headrace import AIResponse, Deadlines, GenerationConfig, ToolCall
from headrace.errors import (
    ConnectionFailedError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamTimeoutError,
    TruncatedStreamError,
    UndecodableEventError,
    UnexpectedResponseError,
)
from headrace.simulator import Script, Simulator, faults

from .rows import MESSAGES, PIECES, PROVIDERS, REST, TOKENS, PerVendor, of, still_works

pytestmark = pytest.mark.usefixtures("leak_check")

PLAIN: Final = GenerationConfig(stream=False)
SAID: Final = {
    "words": Script(pieces=PIECES, usage=TOKENS),
    "reasoning": Script(pieces=PIECES, reasoning="First, the wätèr.", usage=TOKENS),
    "tool-calls": Script(pieces=PIECES, tool_calls=(("measure", '{"of":"flöw"}'), ("open_gate", "")), usage=TOKENS),
    "length": Script(pieces=PIECES, finish="length", usage=TOKENS),
    "refusal": Script(refusal="That I will not do.", usage=TOKENS),
    "gzip": Script(pieces=PIECES, fault=faults.Gzip(), usage=TOKENS),
    "one-byte-writes": Script(pieces=PIECES, fault=faults.OneByteWrites(), usage=TOKENS),
    "late": Script(pieces=PIECES, fault=faults.LateFirst(seconds=0.05), usage=TOKENS),
}


def told(answer: AIResponse) -> dict[str, object]:
    """What an answer says, without what differs by nature: ids and the vendor's own objects."""
    usage = {name: value for name, value in (answer.usage or {}).items() if name != "raw"}
    calls = [(call.name, call.input) for call in answer.tool_calls if isinstance(call, ToolCall)]
    return {
        "content": answer.content,
        "reasoning": answer.reasoning,
        "refusal": answer.refusal,
        "calls": calls,
        "finish": (answer.finish_reason, answer.raw_finish_reason, answer.state),
        "usage": usage,
        "model": answer.model,
    }


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_plain_answer_says_what_the_stream_says(sim: Simulator, vendor: str, name: str) -> None:
    script = SAID[name]
    sim.play(vendor, script, script)
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        streamed, plain = await provider.chat(MESSAGES), await provider.chat(MESSAGES, PLAIN)
        assert told(plain) == told(streamed)
        assert plain.content == "".join(script.pieces or ())
        assert isinstance(plain.raw_response, dict)
        assert streamed.raw_response is None
        await still_works(sim, provider, reused=True)


BROKEN: Final[dict[str, tuple[faults.Fault, PerVendor[type[ProviderError]]]]] = {
    "cut-fin": (faults.CutFin(), TruncatedStreamError),
    "cut-rst": (faults.CutRst(), TruncatedStreamError),
    "cut-at-byte": (faults.CutFin(at_byte=10), TruncatedStreamError),
    "too-long-length": (faults.WrongLength(by=10), TruncatedStreamError),
    "too-short-length": (faults.WrongLength(by=-10), UndecodableEventError),
    "half": (faults.CleanEnd(), UndecodableEventError),
    "malformed": (faults.Malformed(), UndecodableEventError),
    "bad-utf8": (faults.BadUtf8(), UndecodableEventError),
    "stall": (faults.Stall(), StreamTimeoutError),
    "stall-before-head": (faults.Stall(before_head=True), StreamTimeoutError),
    "no-head": (faults.NoHead(), ConnectionFailedError),
    "html": (faults.HtmlBody(), UnexpectedResponseError),
    "json": (faults.JsonBody(), {"anthropic": ServerError, REST: OverloadedError}),
    "429": (faults.Refuse(status=429), RateLimitError),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_plain_answer_that_breaks_is_an_error_and_no_half_of_an_answer(
    sim: Simulator, vendor: str, name: str
) -> None:
    fault, errors = BROKEN[name]
    sim.play(vendor, Script(pieces=PIECES, fault=fault))
    deadlines = Deadlines(first_chunk=0.3) if isinstance(fault, faults.Stall) else Deadlines()
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor), deadlines=deadlines) as provider:
        with pytest.raises(of(errors, vendor)) as caught:
            await provider.chat(MESSAGES, PLAIN)
        assert type(caught.value) is of(errors, vendor)
        assert caught.value.provider == vendor
        await still_works(sim, provider, reused=None)
