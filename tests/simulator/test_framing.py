"""Well-formed quirks, as bytes: every one of these is an event stream by the WHATWG's rules."""

from __future__ import annotations

import json

import pytest

from headrace.simulator import Framing, Script, Simulator

from .raw import fetch

SCRIPT = Script(pieces=("One", " two"))


async def written(framing: str, vendor: str = "openai") -> bytes:
    async with Simulator() as sim:
        sim.play(vendor, SCRIPT)
        answer = await fetch(sim, vendor, fault=f"framing; {framing}")
        assert (answer.status, answer.end) == (200, "complete")
        assert sim.exchanges[0].text_sent == "One two"
        return answer.body


@pytest.mark.parametrize(("line_end", "end"), [("lf", b"\n"), ("crlf", b"\r\n"), ("cr", b"\r")])
async def test_line_ends(line_end: str, end: bytes) -> None:
    body = await written(f"line_end={line_end}", "anthropic")
    assert body.startswith(b"event: message_start" + end + b"data: {")
    assert body.endswith(b"}" + end + end)
    assert set(body) & set(b"\r\n") == set(end)


async def test_gemini_writes_crlf_and_the_others_lf() -> None:
    async with Simulator() as sim:
        bodies = {vendor: (await fetch(sim, vendor)).body for vendor in ("gemini", "anthropic", "openai", "grok")}
    assert {vendor: body.endswith(b"\r\n\r\n") for vendor, body in bodies.items()} == {
        "gemini": True,
        "anthropic": False,
        "openai": False,
        "grok": False,
    }


@pytest.mark.parametrize(
    ("framing", "start"),
    [
        ("bom=1", b"\xef\xbb\xbfdata: {"),
        ("blank_lines=2", b"\n\ndata: {"),
        ("comments=1", b": 0\ndata: {"),
        ("ids=1", b"id: 0\ndata: {"),
        ("retry=1", b"retry: 3000\ndata: {"),
        ("no_space=1", b"data:{"),
        ("split_data=1", b'data: {\ndata: "id":"chatcmpl-'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_first_event_begins_so(framing: str, start: bytes) -> None:
    assert (await written(framing)).startswith(start)


async def test_several_data_lines_join_to_the_same_json() -> None:
    body = await written("split_data=1")
    first = body.split(b"\n\n")[1]
    text = b"\n".join(line.removeprefix(b"data: ") for line in first.split(b"\n"))
    assert first.count(b"data: ") == 3
    assert json.loads(text)["choices"][0]["delta"] == {"content": "One"}


async def test_no_final_blank_leaves_out_one_line_end_at_the_very_end() -> None:
    body = await written("no_final_blank=1")
    assert body.endswith(b"}\n\ndata: [DONE]\n")


@pytest.mark.parametrize(
    ("vendor", "event"),
    [
        ("anthropic", b'event: content_note\ndata: {"type":"content_note","note":"none"}\n\n'),
        ("openai", b'data: {"id":"chatcmpl-note","object":"chat.completion.note","choices":[]}\n\n'),
        ("gemini", b'data: {"modelStatus": {"modelStage": "STABLE"}}\r\n\r\n'),
    ],
)
async def test_unknown_events_stand_between_the_others(vendor: str, event: bytes) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two", " three", " four"), framing=Framing(unknown_events=True)))
        assert event in (await fetch(sim, vendor)).body


async def test_framing_and_a_fault_go_together_in_the_header() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault="framing; line_end=cr, cut-fin; after_events=2")
        assert answer.end == "fin"
        assert answer.body.count(b"\r\r") == 2


@pytest.mark.parametrize("count", [1, 2, 3, 100])
async def test_per_write_joins_events_in_one_chunk(count: int) -> None:
    async with Simulator() as sim:
        sim.play("openai", Script(pieces=("a", "b", "c"), per_write=count))
        answer = await fetch(sim, "openai")
        # a role, three words, a finish, [DONE]
        assert [chunk.count(b"\n\n") for chunk in answer.chunks] == {1: [1] * 6, 2: [2, 2, 2], 3: [3, 3], 100: [6]}[
            count
        ]
        assert sim.exchanges[0].text_sent == "abc"
