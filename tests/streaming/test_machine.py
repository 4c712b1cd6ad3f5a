"""The machine alone: its printed table is what it does, and no order of events makes it lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest
from anyio import ClosedResourceError
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import AIStreamChunk, StreamInterruptedError, ToolCallDelta
from headrace.errors import NetworkError, ServerError, TruncatedStreamError
from headrace.streaming import machine as module
from headrace.streaming.machine import StreamMachine

PROOF: Final = AIStreamChunk("", finish_reason="stop")
WORD: Final = AIStreamChunk("a")
DONE: Final = AIStreamChunk("", True)


def feed(chunk: AIStreamChunk) -> Callable[[StreamMachine], object]:
    return lambda machine: machine.feed(replace(chunk))


def lose(machine: StreamMachine) -> None:
    machine.fail(TruncatedStreamError("cut"))


def fail(machine: StreamMachine) -> None:
    machine.fail(ServerError("boom"))


EVENTS: Final[dict[str, Callable[[StreamMachine], object]]] = {
    "content": feed(WORD),
    "proof": feed(PROOF),
    "done": feed(DONE),
    "lost": lose,
    "fail": fail,
    "leave": lambda machine: machine.leave("closed"),
}

PATHS: Final[dict[str, list[list[str]]]] = {  # ways to come to a phase
    "waiting": [[]],
    "begun": [["content"]],
    "bare": [["proof"]],
    "proven": [["content", "proof"], ["proof", "content"]],
    "ended": [["content", "fail"], ["lost"], ["proof", "done"], ["content", "done"], ["leave"]],
}


def table() -> list[tuple[str, str, str]]:
    """Phase, event and cell, as the module's docstring prints them."""
    assert module.__doc__ is not None
    found = re.search(r"^    phase .*?(?=\n\n)", module.__doc__, re.MULTILINE | re.DOTALL)
    assert found is not None
    head, *rows = (line.split() for line in found[0].splitlines())
    return [(row[0], event, cell) for row in rows for event, cell in zip(head[1:], row[1:], strict=True)]


def begun(path: list[str]) -> StreamMachine:
    machine = StreamMachine(provider="p", model="m")
    machine.queue()
    machine.sent()
    for event in path:
        EVENTS[event](machine)
    return machine


def phase(machine: StreamMachine) -> str:
    """Told from outside, by what an ending now would be."""
    if machine.ended:
        return machine.received
    proven, content = machine.due == "tail", machine.begun
    return {(False, False): "waiting", (False, True): "begun", (True, False): "bare", (True, True): "proven"}[
        proven, content
    ]


def test_rule_08_the_table_has_every_phase_and_every_event() -> None:
    assert {(row, event) for row, event, _ in table()} == {(row, event) for row in PATHS for event in EVENTS}


@pytest.mark.parametrize(("row", "event", "cell"), table(), ids=lambda text: text)
def test_rule_08_each_cell_of_the_table_is_what_the_machine_does(row: str, event: str, cell: str) -> None:
    for path in PATHS[row]:
        machine = begun(path)
        error, ending = machine.error, machine.received
        EVENTS[event](machine)
        if row == "ended":
            assert (machine.ended, machine.error, machine.received) == (True, error, ending)
        else:
            assert phase(machine) == cell.rstrip("+")
            assert (machine.error is not None) == cell.endswith("+")


@pytest.mark.parametrize("row", ["waiting", "begun", "bare", "proven"])
def test_rule_06_every_phase_tells_all_that_it_received(row: str) -> None:
    for path in PATHS[row]:
        machine = begun(path)
        machine.feed(AIStreamChunk("b"))
        assert machine.partial_content == "a" * path.count("content") + "b"


def test_rule_04_a_marker_that_says_nothing_is_a_cut_all_the_same() -> None:
    machine = StreamMachine()
    machine.feed(AIStreamChunk("a"))
    machine.feed(AIStreamChunk("[cut]", is_marker=True))
    assert (machine.partial_content, machine.received) == ("a", "interrupted")


# ---------------------------------------------------------------- what travels with chunks


def test_rule_03_what_has_no_field_here_waits_for_the_first_content() -> None:
    machine = begun([])
    assert not machine.feed(AIStreamChunk("", extra=({"citation": 1},)))
    assert not machine.begun
    assert machine.feed(AIStreamChunk("a", extra=({"citation": 2},)))
    assert machine.take().extra == ({"citation": 1}, {"citation": 2})
    assert machine.feed(AIStreamChunk("", extra=({"citation": 3},)))
    assert machine.take().extra == ({"citation": 3},)
    assert machine.response.extra == ({"citation": 1}, {"citation": 2}, {"citation": 3})


def test_rule_03_what_has_no_field_here_comes_with_the_end_where_no_content_does() -> None:
    machine = begun([])
    machine.feed(AIStreamChunk("", extra=({"citation": 1},)))
    machine.feed(replace(PROOF))
    machine.feed(replace(DONE))
    assert (machine.take().extra, machine.state) == (({"citation": 1},), "finished")


def test_rule_03_a_piece_of_a_tool_call_is_content() -> None:
    machine = begun([])
    assert machine.feed(AIStreamChunk("", tool_calls=(ToolCallDelta(0, "id", "f", '{"x"'),)))
    lose(machine)
    assert machine.received == "interrupted"
    (call,) = machine.response.tool_calls
    assert (type(call).__name__, call.arguments) == ("PartialToolCall", '{"x"')


def test_rule_05_an_error_is_raised_with_the_same_traceback_each_time() -> None:
    machine = begun([])
    try:
        raise ServerError("boom")
    except ServerError as exc:
        machine.fail(exc)
    lengths = []
    for _ in range(3):
        with pytest.raises(ServerError) as caught:
            machine.take()
        lengths.append(len(caught.traceback))
    assert lengths[0] == lengths[1] == lengths[2]


# ---------------------------------------------------------------- invariants

STEPS: Final = st.lists(
    st.sampled_from(["a", "b", "nothing", "reasoning", "extra", "proof", "a+proof", "a+done", "done", "lost", "fail"])
    | st.sampled_from(["take", "take", "take", "cancelled", "closed"]),
    max_size=14,
)
RAW: Final = {
    "a": AIStreamChunk("a"),
    "b": AIStreamChunk("b"),
    "nothing": AIStreamChunk(""),
    "reasoning": AIStreamChunk("", reasoning="r"),
    "extra": AIStreamChunk("", extra=({"x": 1},)),
    "proof": PROOF,
    "a+proof": AIStreamChunk("a", finish_reason="stop"),
    "a+done": AIStreamChunk("a", True),
    "done": DONE,
}
ENDINGS: Final = ("finished", "unconfirmed", "interrupted", "failed", "cancelled", "closed")


@settings(max_examples=500)
@given(STEPS)
def test_rules_05_and_06_hold_in_any_order_of_events(steps: list[str]) -> None:
    machine = begun([])
    out: list[AIStreamChunk] = []
    after: list[Exception] = []
    said, ending, left = "", None, None

    def take() -> None:
        try:
            chunk = machine.take()
        except (StopAsyncIteration, ClosedResourceError, NetworkError, ServerError) as exc:
            after.append(exc)
        else:
            assert not after, "something came after the end"
            out.append(chunk)

    for step in [*steps, "lost", *["take"] * 20]:
        match step:
            case "take":
                if machine.ended or machine.pending:
                    take()
            case "lost":
                lose(machine)
            case "fail":
                fail(machine)
            case "cancelled" | "closed":
                left = left or (None if machine.told else step)
                machine.leave(step)
            case _:
                said += RAW[step].content if not machine.ended else ""
                machine.feed(replace(RAW[step]))
        if ending is None and machine.ended:
            ending = machine.received
            assert ending in ENDINGS
        words = "".join(chunk.content for chunk in out if not chunk.is_marker)
        assert ending in {None, machine.received}, "an ending is for ever"
        assert machine.partial_content == said
        assert said.startswith(words)
        assert (machine.interruption is not None) == (machine.received == "interrupted")
        if machine.interruption is not None:
            assert isinstance(machine.interruption, StreamInterruptedError)
            assert machine.interruption.partial_content == said

    assert machine.state == (left or ending)
    assert len({type(exc) for exc in after}) == 1, "it keeps raising the same"
    finals = [chunk.is_final for chunk in out]
    if isinstance(after[0], StopAsyncIteration):
        assert finals == [False] * (len(out) - 1) + [True]
        assert words == said
        assert out[-1].is_marker == (machine.state == "interrupted")
    else:
        assert not any(finals)
        assert machine.state in {"failed", "cancelled", "closed"}
    assert all(c.content or c.reasoning or c.extra or c.is_final for c in out), "an empty chunk"
