"""
However a good answer is written, delayed or ended, it is read as the same good answer.

One table of ways to write, one of ways to end, and one block of assertions, over real sockets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

import pytest

from headrace import GenerationConfig, ToolCall
from headrace.providers.base import BaseProvider
from headrace.simulator import Framing, Script, Simulator, faults

from .rows import MESSAGES, PIECES, PROVIDERS, REST, SILENT, TOKENS, PerVendor, Row, of, still_works, table

pytestmark = pytest.mark.usefixtures("leak_check")


def written(**options: object) -> Row:
    """The events as `Framing` has them written."""
    return Row(framing=dataclasses.replace(Framing(), **options), reused=True)  # type: ignore[arg-type]  # its own fields


GOOD: Final = {
    "plain": Row(reused=True),
    "one-byte-writes": Row(fault=faults.OneByteWrites(), reused=True),
    "split-chars": Row(fault=faults.SplitChars(), reused=True),
    "gzip": Row(fault=faults.Gzip(), reused=True),
    "late-first": Row(fault=faults.LateFirst(seconds=0.1), reused=True),
    "duplicate-finish": Row(fault=faults.DuplicateFinish(), more={"gemini": (".",), REST: ()}, reused=True),
    "content-after-finish": Row(fault=faults.ContentAfterFinish(), more=(" And one word more.",), reused=True),
    "lf": written(line_end="lf"),
    "cr": written(line_end="cr"),
    "crlf": written(line_end="crlf"),
    "comments": written(comments=True),
    "blank-lines": written(blank_lines=3),
    "bom": written(bom=True),
    "ids": written(ids=True),
    "retry": written(retry=True),
    "no-space": written(no_space=True),
    "split-data": written(split_data=True),
    "unknown-events": written(unknown_events=True),
    "no-final-blank": written(no_final_blank=True),
    "all-at-once": written(
        line_end="cr",
        comments=True,
        blank_lines=2,
        bom=True,
        ids=True,
        retry=True,
        no_space=True,
        split_data=True,
        unknown_events=True,
        no_final_blank=True,
    ),
    "all-byte-by-byte": Row(
        fault=faults.OneByteWrites(),
        framing=Framing(line_end="crlf", comments=True, bom=True, ids=True, split_data=True, unknown_events=True),
        reused=True,
    ),
}

# What 30 tokens in (10 of them cached) and 12 out (4 of them reasoning) are for each vendor, in our words.
TOTALS: Final = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42, "cached_tokens": 10}
USAGE: Final[Mapping[str, Mapping[str, object]]] = {
    "anthropic": {**TOTALS, "cache_write_tokens": 0, "reasoning_tokens": 4, "source": "reported"},
    "ollama": {
        **TOTALS,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "reported",
    },
    REST: {**TOTALS, "cache_write_tokens": None, "reasoning_tokens": 4, "source": "reported"},
}
BLOCKED: Final[Mapping[str, object]] = {
    **USAGE[REST],
    "completion_tokens": None,
    "total_tokens": 30,
    "reasoning_tokens": None,
}


@table(GOOD)
async def test_however_it_is_written_it_is_the_same_answer(sim: Simulator, vendor: str, row: Row) -> None:
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        pieces = (*PIECES, *of(row.more, vendor))
        await assert_whole(sim, provider, row.script(vendor), pieces, "stop", of(USAGE, vendor))
        await still_works(sim, provider, reused=of(row.reused, vendor))
    await sim.wait_all_closed()


async def assert_whole(
    sim: Simulator,
    provider: BaseProvider,
    script: Script,
    pieces: tuple[str, ...],
    finish: str,
    usage: Mapping[str, object],
) -> None:
    """The one block: all words, one final chunk, and all that it tells."""
    vendor = provider.name
    sim.play(vendor, script)
    stream = provider.chat_stream(MESSAGES)
    *words, last = [chunk async for chunk in stream]

    assert tuple(chunk.content for chunk in words if chunk.content) == pieces
    assert stream.partial_content == "".join(pieces) == sim.exchanges[-1].text_sent
    assert stream.response.reasoning == sim.exchanges[-1].reasoning_sent
    assert not any(chunk.is_final or chunk.is_marker or chunk.usage or chunk.finish_reason for chunk in words)
    assert (last.content, last.is_final, last.is_marker, last.error) == ("", True, False, None)
    assert (last.finish_reason, stream.response.finish_reason) == (finish, finish)
    assert last.usage is not None
    assert {name: value for name, value in last.usage.items() if name != "raw"} == usage
    assert last.usage["raw"]
    assert last.rate_limit is stream.rate_limit is stream.response.rate_limit
    assert last.rate_limit is not None
    assert last.rate_limit.limit_requests == (0 if vendor in SILENT else 100_000)
    assert (stream.state, stream.response.state, stream.interruption) == ("finished", "finished", None)
    assert stream.response.model == provider.model
    stream.raise_for_interruption()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


# ---------------------------------------------------------------- what is said, and how it ends

CALLS: Final = (("measure", '{"of":"flöw","n":[1,2]}'), ("open_gate", ""))
ENDS: Final[dict[str, tuple[Script, PerVendor[str]]]] = {
    "length": (Script(pieces=PIECES, finish="length"), "length"),
    "content-filter": (
        Script(pieces=PIECES, finish="content_filter"),
        {"anthropic": "refusal", REST: "content_filter"},
    ),
    "joined-writes": (Script(pieces=PIECES, per_write=4), "stop"),
    "slow": (Script(pieces=PIECES, first_delay=0.02, delay=0.005), "stop"),
    "reasoning": (Script(pieces=PIECES, reasoning="First, the wätèr. Then 水車."), "stop"),
    "tool-calls": (Script(tool_calls=CALLS), "tool_calls"),
    "words-and-tool-calls": (Script(pieces=PIECES, tool_calls=CALLS), "tool_calls"),
    "refusal": (Script(refusal="That I will not do."), {"gemini": "content_filter", "ollama": "stop", REST: "refusal"}),
    "empty": (Script(text=""), "stop"),
    "long": (Script(pieces=tuple(f"{n} " for n in range(600))), "stop"),
}


@pytest.mark.parametrize("vendor", PROVIDERS)
@pytest.mark.parametrize("name", ENDS)
async def test_whatever_is_said_comes_whole_and_its_end_in_one_word(sim: Simulator, vendor: str, name: str) -> None:
    script, finish = ENDS[name]
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        usage: Mapping[str, object] = of(USAGE, vendor)
        if name == "refusal" and vendor == "gemini":
            usage = BLOCKED
        script = dataclasses.replace(script, usage=TOKENS)
        await assert_whole(sim, provider, script, script.pieces or (), of(finish, vendor), usage)
        await still_works(sim, provider, reused=True)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_tool_calls_come_whole_and_parsed(sim: Simulator, vendor: str, stream: bool) -> None:
    sim.play(vendor, Script(pieces=PIECES, tool_calls=CALLS))
    async with PROVIDERS[vendor]("k", base_url=sim.base_url(vendor)) as provider:
        answer = await provider.chat(MESSAGES, GenerationConfig(stream=stream))
        calls = [call for call in answer.tool_calls if isinstance(call, ToolCall)]
        assert [(call.name, call.input) for call in calls] == [
            ("measure", {"of": "flöw", "n": [1, 2]}),
            ("open_gate", {}),
        ]
        assert (answer.content, answer.finish_reason) == ("".join(PIECES), "tool_calls")
