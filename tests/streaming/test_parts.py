"""The order of an answer: what came where, and what of it goes back in the next turn."""

from __future__ import annotations

import copy
import pickle
from types import MappingProxyType

import msgspec
import pytest

from headrace import (
    AIMessage,
    AIResponse,
    AIStreamChunk,
    Citation,
    ImagePart,
    PartialToolCall,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolCallDelta,
    VendorPart,
)
from headrace.errors import OutputValidationError, ServerError, StreamInterruptedError
from headrace.streaming.machine import StreamMachine

SEARCH = VendorPart("p", {"type": "search"})
CITED = Citation("https://a.example", "A")
IMAGE = ImagePart(b"png", "image/png")


def words(text: str) -> AIStreamChunk:
    return AIStreamChunk(text)


def thoughts(text: str) -> AIStreamChunk:
    return AIStreamChunk("", reasoning=text)


def whole(*parts: object, text: str = "") -> AIStreamChunk:
    return AIStreamChunk(text, parts=parts)


def call(index: int, name: str = "", arguments: str = "", *, ended: bool = False) -> AIStreamChunk:
    ident = f"c{index}" if name else ""
    return AIStreamChunk("", tool_calls=(ToolCallDelta(index, ident, name, arguments, ended),))


def heard(*chunks: AIStreamChunk, end: str | None = "stop") -> AIResponse:
    machine = StreamMachine(provider="p", model="m")
    machine.sent()
    for chunk in chunks:
        machine.feed(chunk)
    if end is not None:
        machine.feed(AIStreamChunk("", is_final=True, finish_reason=end))
    return machine.response


@pytest.mark.parametrize(
    ("chunks", "parts"),
    [
        pytest.param([words("a"), words("b")], [TextPart("ab")], id="words"),
        pytest.param(
            [thoughts("x"), thoughts("y"), words("a")],
            [ReasoningPart("xy", origin="p"), TextPart("a")],
            id="reasoning first",
        ),
        pytest.param(
            [thoughts("x"), words("a"), thoughts("y"), words("b")],
            [ReasoningPart("x", origin="p"), TextPart("a"), ReasoningPart("y", origin="p"), TextPart("b")],
            id="reasoning between words",
        ),
        pytest.param(
            [thoughts("x"), thoughts("y"), whole(ReasoningPart("xy", "sig", origin="p")), words("a")],
            [ReasoningPart("xy", "sig", origin="p"), TextPart("a")],
            id="the final form of reasoning takes the place of its words",
        ),
        pytest.param(
            [thoughts("x"), whole(ReasoningPart("x", "s1")), thoughts("y"), whole(ReasoningPart("y", "s2"))],
            [ReasoningPart("x", "s1"), ReasoningPart("y", "s2")],
            id="two blocks of reasoning",
        ),
        pytest.param(
            [thoughts("x"), whole(ReasoningPart("", "sig")), call(0, "f", "{}")],
            [ReasoningPart("x", origin="p"), ReasoningPart("", "sig"), ToolCall("c0", "f", "{}")],
            id="a bare signature stands before its call",
        ),
        pytest.param(
            [words("a"), call(0, "f"), call(1, "g"), call(0, arguments="{}"), call(1, arguments="[1]"), words("b")],
            [TextPart("a"), ToolCall("c0", "f", "{}"), ToolCall("c1", "g", "[1]"), TextPart("b")],
            id="calls at the place of their first piece",
        ),
        pytest.param(
            [words("a"), whole(TextPart("")), words("b")], [TextPart("a"), TextPart("b")], id="two blocks of words"
        ),
        pytest.param(
            [words("a"), whole(SEARCH), whole(CITED, IMAGE, text="b"), words("c")],
            [TextPart("a"), SEARCH, TextPart("b"), CITED, IMAGE, TextPart("c")],
            id="what came whole stands behind the words of its chunk",
        ),
        pytest.param(
            [words("a"), whole(SEARCH, TextPart("b"), CITED, TextPart("c"), IMAGE, text="bc"), words("d")],
            [TextPart("a"), SEARCH, TextPart("b"), CITED, TextPart("c"), IMAGE, TextPart("d")],
            id="unless the words are repeated in their place",
        ),
        pytest.param(
            [words("a"), whole(TextPart(""), TextPart("b"), text="b")],
            [TextPart("a"), TextPart("b")],
            id="a border before the words of its chunk",
        ),
        pytest.param([whole(SEARCH), words("a")], [SEARCH, TextPart("a")], id="before the first content"),
        pytest.param([whole(IMAGE)], [IMAGE], id="nothing else at all"),
    ],
)
def test_parts_stand_in_the_order_in_which_they_came(chunks: list[AIStreamChunk], parts: list[object]) -> None:
    response = heard(*chunks)
    assert list(response.parts) == parts
    assert response.content == "".join(part.text for part in parts if isinstance(part, TextPart))


@pytest.mark.parametrize(
    ("end", "ended", "kind"),
    [
        ("tool_calls", False, ToolCall),
        ("stop", False, ToolCall),
        ("pause", False, ToolCall),
        ("length", True, ToolCall),
        ("length", False, PartialToolCall),
        ("content_filter", False, PartialToolCall),
        ("cancelled", False, PartialToolCall),
        ("MALFORMED_FUNCTION_CALL", False, PartialToolCall),
    ],
)
def test_a_call_without_arguments_is_whole_if_it_ended_or_the_model_ended_the_answer(
    end: str, ended: bool, kind: type
) -> None:
    """A limit may strike between a call's name and its arguments: run without these, it would be another call."""
    (call_,) = heard(call(0, "delete", ended=ended), end=end).tool_calls
    assert (type(call_), call_.arguments) == (kind, "")
    if isinstance(call_, PartialToolCall):
        assert call_.reason == f"the answer ended before the arguments ({end})"


def test_parts_are_valid_at_any_moment() -> None:
    response = heard(words("a"), call(0, "f", '{"x'), end=None)
    assert response.parts == (
        TextPart("a"),
        PartialToolCall("c0", "f", '{"x', "the call did not end (streaming)"),
    )


def test_what_comes_before_the_first_content_is_delivered_with_it_in_order() -> None:
    machine = StreamMachine()
    machine.sent()
    for chunk in (whole(SEARCH), whole(CITED)):
        assert machine.feed(chunk) is False
    machine.feed(whole(IMAGE, text="a"))
    assert machine.take().parts == (SEARCH, CITED, IMAGE)


def test_without_content_the_parts_are_on_the_final_chunk() -> None:
    machine = StreamMachine()
    machine.sent()
    machine.feed(whole(IMAGE))
    machine.feed(AIStreamChunk("", is_final=True, finish_reason="stop"))
    final = machine.take()
    assert (final.is_final, final.parts) == (True, (IMAGE,))


# ---------------------------------------------------------------- the next turn


def test_the_next_turn_has_all_but_citations_and_broken_calls() -> None:
    response = heard(
        thoughts("x"),
        whole(ReasoningPart("x", "sig", origin="p")),
        words("a"),
        whole(CITED),
        call(0, "f", "{}", ended=True),
        call(1, "g", '{"x'),
        end="length",
    )
    assert response.to_message() == AIMessage(
        "assistant", [ReasoningPart("x", "sig", origin="p"), TextPart("a"), ToolCall("c0", "f", "{}")]
    )


def test_plain_words_are_a_plain_message() -> None:
    assert heard(words("a"), words("b")).to_message() == AIMessage("assistant", "ab")


def test_a_refusal_is_what_the_model_said() -> None:
    assert heard(AIStreamChunk("", refusal="No.")).to_message() == AIMessage("assistant", "No.")


def test_a_marker_is_never_in_the_next_turn() -> None:
    machine = StreamMachine(provider="p")
    machine.sent()
    machine.feed(words("half"))
    machine.fail(ServerError("gone"))
    assert machine.response.to_message() == AIMessage("assistant", "half")


# ---------------------------------------------------------------- what is read off it


def test_citations_and_images_are_found_in_order() -> None:
    drawn = VendorPart("p", {"type": "image"}, shared=ImagePart("https://i.example/1.png"))
    response = heard(words("a"), whole(CITED, IMAGE, drawn, SEARCH))
    assert response.citations == (CITED,)
    assert response.images == (IMAGE, drawn.shared)


class Answer(msgspec.Struct):
    n: int


def test_parse_gives_what_was_asked_for() -> None:
    machine = StreamMachine(response_format=Answer)
    machine.sent()
    machine.feed(words('{"n":1}'))
    machine.feed(AIStreamChunk("", is_final=True, finish_reason="stop"))
    assert machine.response.parse() == Answer(1)
    assert machine.response.parse(dict) == {"n": 1}
    assert heard(words("[1]")).parse() == [1]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (heard(words('{"n":"x"}')), r"the answer is not as asked for: Expected `int`, got `str` - at `\$.n`"),
        (heard(words('{"n":'), end="length"), r"the answer \(it ended by 'length'\) is not as asked for"),
        (heard(words('{"n":'), end=None), r"the answer \(it ended by 'streaming'\) is not as asked for"),
        (heard(AIStreamChunk("", refusal="No.")), "there is no answer: the model refused: 'No.'"),
    ],
    ids=["wrong", "cut by max_tokens", "not ended", "refused"],
)
def test_parse_says_why_there_is_no_value(response: AIResponse, message: str) -> None:
    with pytest.raises(OutputValidationError, match=message):
        response.parse(Answer)


def test_an_interruption_travels_although_its_type_cannot() -> None:
    class Local(msgspec.Struct):
        n: int

    machine = StreamMachine(response_format=Local)
    machine.sent()
    machine.feed(words("half"))
    machine.fail(ServerError("gone"))
    again = pickle.loads(pickle.dumps(machine.interruption))
    assert isinstance(again, StreamInterruptedError)
    assert again.response is not None
    assert (again.response.content, again.response.response_format) == ("half", None)


def test_an_interruption_travels_although_what_stood_beside_the_words_cannot() -> None:
    machine = StreamMachine()
    machine.sent()
    machine.feed(AIStreamChunk("half", extra=(MappingProxyType({"source": "theirs"}),)))
    machine.fail(ServerError("gone"))
    assert machine.interruption is not None
    machine.interruption.add_note("of the third run")
    for again in (pickle.loads(pickle.dumps(machine.interruption)), copy.deepcopy(machine.interruption)):
        assert isinstance(again, StreamInterruptedError)
        assert again.response is not None
        assert (again.response.content, again.response.extra) == ("half", ())
        assert again.__notes__ == ["of the third run"]
