"""`Tool.of`, `decode` and `run`: from a function or a type to a tool, and from a model's call to its result."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from headrace import Tool, ToolCall, ToolResultPart
from headrace.errors import OutputValidationError


def weather(city: str, days: int = 1) -> dict[str, object]:
    """Tell the weather of a city."""
    return {"city": city, "days": days}


def walk(places: list[str] = ["weir"], *, by: dict[str, int] = {"foot": 1}) -> object:  # what many write
    return [places, by]


def count(places: complex) -> object:
    return places


async def shout(text: str) -> str:
    return text.upper()


class Search(msgspec.Struct):
    """Look something up."""

    query: str


@dataclass
class Bare:
    query: str


def test_a_function_is_a_tool() -> None:
    tool = Tool.of(weather)
    assert (tool.name, tool.description, tool.strict) == ("weather", "Tell the weather of a city.", None)
    assert tool.parameters == {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
        "required": ["city"],
        "additionalProperties": False,
    }


def test_a_strict_tool_requires_all() -> None:
    assert Tool.of(weather, strict=True).parameters["required"] == ["city", "days"]


def test_a_type_is_a_tool_and_its_generated_docstring_is_no_description() -> None:
    assert Tool.of(Search).description == "Look something up."
    assert Tool.of(Bare).description == ""
    assert Tool.of(Bare, name="find", description="Find it.").name == "find"


def test_a_thing_that_is_neither_is_refused() -> None:
    with pytest.raises(TypeError, match="a function or a type with fields, not of 7"):
        Tool.of(7)


def test_a_type_without_a_schema_is_told_by_the_function_and_its_own_name() -> None:
    with pytest.raises(TypeError, match=r"^count: there is no JSON schema for one of its types: .*complex.*$"):
        Tool.of(count)


async def test_a_default_that_can_be_changed_is_given_anew_to_each_call() -> None:
    tool = Tool.of(walk)
    found = tool.decode(ToolCall("1", "walk", ""))
    found.places.append("gate")
    assert await tool.run(ToolCall("1", "walk", "")) == ToolResultPart("1", '[["weir"],{"foot":1}]', "walk")
    assert tool.parameters["required"] == []


async def test_a_result_without_a_json_form_names_the_tool() -> None:
    def thing() -> object:
        return object()

    with pytest.raises(TypeError, match=r"^tool 'thing': its result has no JSON form: "):
        await Tool.of(thing).run(ToolCall("1", "thing", ""))


def test_decode_gives_an_instance_or_names_the_path() -> None:
    assert Tool.of(Search).decode(ToolCall("1", "Search", '{"query":"x"}')) == Search("x")
    assert Tool("plain").decode(ToolCall("1", "plain", "")) == {}
    with pytest.raises(OutputValidationError, match=r"the input of Search\(\) .*`\$.query`") as caught:
        Tool.of(Search).decode(ToolCall("1", "Search", '{"query":1}'))
    assert caught.value.path == "$.query"


@pytest.mark.parametrize(
    ("source", "arguments", "result"),
    [
        (weather, '{"city":"Rome"}', ToolResultPart("1", '{"city":"Rome","days":1}', "weather")),
        (shout, '{"text":"hi"}', ToolResultPart("1", "HI", "shout")),
    ],
    ids=["plain", "async"],
)
async def test_run_calls_the_function_and_gives_the_result_as_text(
    source: object, arguments: str, result: ToolResultPart
) -> None:
    tool = Tool.of(source)
    assert await tool.run(ToolCall("1", tool.name, arguments)) == result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"city":1}', "Expected `str`, got `int` - at `$.city`"),
        ('{"city":"Rome","unit":"C"}', "unknown field `unit`"),
        ("{}", "missing required field `city`"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: str, words: str) -> None:
    result = await Tool.of(weather).run(ToolCall("1", "weather", arguments))
    assert result.is_error and result.call_id == "1"
    assert words in result.text


async def test_a_call_of_another_tool_is_refused() -> None:
    ran: list[str] = []

    def delete(city: str) -> str:
        ran.append(city)
        return "gone"

    with pytest.raises(ValueError, match="tool 'delete' cannot run a call of 'weather': choose the tool by"):
        await Tool.of(delete).run(ToolCall("1", "weather", '{"city": "Rome"}'))
    assert ran == []


async def test_a_tool_without_a_function_cannot_run() -> None:
    with pytest.raises(TypeError, match=r"make it by Tool\.of"):
        await Tool("plain").run(ToolCall("1", "plain", ""))


async def test_what_the_function_raises_is_raised() -> None:
    def fail() -> str:
        raise LookupError("no such place")

    with pytest.raises(LookupError, match="no such place"):
        await Tool.of(fail).run(ToolCall("1", "fail", "{}"))


class Spot(msgspec.Struct):
    x: int = 0


@pytest.mark.parametrize("result", [["\ud800"], ["a\udfff"]], ids=["high", "low"])
async def test_half_of_a_surrogate_pair_in_a_result_names_the_tool(result: list[str]) -> None:
    def broken() -> list[str]:
        return result

    with pytest.raises(TypeError, match="tool 'broken': its result has no JSON form"):
        await Tool.of(broken).run(ToolCall("1", "broken", ""))


async def test_a_struct_is_a_default() -> None:
    def move(to: Spot = Spot(3)) -> int:  # what is tested
        to.x += 1
        return to.x

    tool = Tool.of(move)
    results = [await tool.run(ToolCall("1", "move", arguments)) for arguments in ("", "", '{"to": {"x": 1}}')]
    assert [result.content for result in results] == ["4", "4", "2"]


def test_what_a_function_returns_need_not_be_there_when_it_runs() -> None:
    """As a name that is imported for type checkers alone."""

    def look(city: str) -> Forecast: ...  # noqa: F821  # what is tested

    assert Tool.of(look).parameters["required"] == ["city"]


def test_an_annotation_that_names_nothing_is_told_by_the_function() -> None:
    def look(city: Town) -> str: ...  # noqa: F821  # what is tested

    with pytest.raises(TypeError, match=r"look\(\): an annotation names what is not there .*'Town' is not defined"):
        Tool.of(look)


@pytest.mark.parametrize(
    "content", [{"sky": "clear"}, 5, None, ["clear"], b"clear"], ids=lambda one: type(one).__name__
)
def test_a_result_that_is_no_text_is_told_where_it_is_made(content: object) -> None:
    with pytest.raises(TypeError, match=r"it must be a text, such as json\.dumps\(\.\.\.\), or a list of parts"):
        ToolResultPart("1", content)
