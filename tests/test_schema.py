"""Types and functions to JSON schemas, and JSON text back to checked values."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from headrace import _schema
from headrace._schema import is_strict, of_function, of_type
from headrace.errors import HeadraceError, OutputValidationError


class Item(msgspec.Struct):
    name: str
    price: float = 0.0


class Invoice(msgspec.Struct):
    """A bill.

    More about it.
    """

    items: list[Item]
    note: str | None = None


@dataclass
class Place:
    city: str
    zip: int | None = None


class Point(TypedDict):
    x: int
    y: int


class Node(msgspec.Struct):
    value: int
    next: Node | None = None


STRICT_INVOICE = {
    "title": "Invoice",
    "description": "A bill.\n\nMore about it.",
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["items", "note"],
    "additionalProperties": False,
    "$defs": {
        "Item": {
            "title": "Item",
            "type": "object",
            "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
            "required": ["name", "price"],
            "additionalProperties": False,
        }
    },
}


def test_a_strict_schema_closes_every_object_and_requires_every_property() -> None:
    assert of_type(Invoice, strict=True) == STRICT_INVOICE
    assert is_strict(STRICT_INVOICE)


def test_without_strict_a_default_stays_optional() -> None:
    schema = of_type(Invoice, strict=False)
    assert schema["required"] == ["items"]
    assert not is_strict(schema)


@pytest.mark.parametrize("cls", [Place, Point, Node], ids=lambda cls: cls.__name__)
def test_dataclasses_typed_dicts_and_recursive_types_have_an_object_at_the_root(cls: type) -> None:
    schema = of_type(cls, strict=True)
    assert (schema["type"], schema["title"]) == ("object", cls.__name__)
    assert is_strict(schema)


def test_a_recursive_type_keeps_its_definition_and_an_unused_one_is_dropped() -> None:
    assert set(of_type(Node, strict=True)["$defs"]) == {"Node"}
    assert "$defs" not in of_type(Place, strict=True)


def test_a_property_may_bear_the_name_of_a_keyword() -> None:
    class Odd(msgspec.Struct):
        default: int
        properties: str
        enum: list[int] = []

    schema = of_type(Odd, strict=True)
    assert set(schema["properties"]) == {"default", "properties", "enum"}
    assert is_strict(schema)


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Diary(msgspec.Struct):
    mood: Annotated[Mood, msgspec.Meta(description="Of the day")]
    weather: Literal["sun", "rain"]
    stars: Literal[1, 2, None] = None
    pages: list[Annotated[Diary, msgspec.Meta(description="Older ones")]] = []


def test_a_value_has_a_type_and_no_reference_has_a_word_beside_it() -> None:
    """OpenAI: "schema must have a 'type' key", "$ref cannot have keywords {'description'}"."""
    schema = of_type(Diary, strict=True)
    assert schema["properties"]["mood"] == {
        "title": "Mood",
        "enum": ["bad", "good"],
        "description": "Of the day",
        "type": "string",
    }
    assert schema["properties"]["weather"] == {"enum": ["rain", "sun"], "type": "string"}
    assert schema["properties"]["stars"]["type"] == ["integer", "null"]
    older = schema["properties"]["pages"]["items"]
    assert (older["title"], older["description"]) == ("Diary", "Older ones")
    assert older["properties"]["pages"]["items"] == {"$ref": "#/$defs/Diary"}  # and so on
    assert is_strict(schema)


@pytest.mark.parametrize(
    "kind", [Any, list, set[str], tuple[int, str], bytes, Decimal, dict[str, int]], ids=lambda kind: str(kind)
)
def test_what_strict_modes_refuse_is_not_called_strict(kind: object) -> None:
    """Such a schema goes out as a wish: with `strict` beside it the whole call would be refused."""
    assert not is_strict(of_type(msgspec.defstruct("Odd", [("value", kind)]), strict=True))


class Plain:
    pass


@pytest.mark.parametrize("source", [int, list, dict, Plain], ids=["int", "list", "dict", "class"])
def test_a_type_without_fields_is_refused(source: type) -> None:
    with pytest.raises(TypeError, match="no type with fields: give a msgspec Struct, a dataclass or a TypedDict"):
        of_type(source, strict=True)


def test_a_pydantic_model_is_refused_with_the_way_that_it_goes() -> None:
    class Model:  # as pydantic's: msgspec knows no fields of it
        @classmethod
        def model_json_schema(cls) -> dict[str, object]:
            return {"type": "object"}

    with pytest.raises(TypeError, match=r"Model is a pydantic model: give its schema, Model\.model_json_schema\(\)"):
        of_type(Model, strict=True)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object"}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "string", "enum": [{"type": "object"}]}, True),
        ({"anyOf": [{"type": "object"}, {"type": "null"}]}, False),
        ({"const": "a"}, False),
        ({"type": "string", "format": "uri"}, False),
        ({"type": "string", "format": "uuid", "default": {"type": "object"}}, True),
        ({"$ref": "#/$defs/A", "description": "An A"}, False),
        ({"definitions": {"A": {"type": "object"}}, "type": "string"}, False),
        ({"type": ["object", "null"]}, False),
        ({"type": ["object", "null"], "properties": {}, "additionalProperties": False}, True),
        ({"type": ["array", "null"]}, False),
        ({"type": "array", "items": True}, False),
        ({"type": "array", "items": [{"type": "string"}]}, False),
        ({"type": "object", "properties": {"a": True}, "required": ["a"], "additionalProperties": False}, False),
    ],
)
def test_a_schema_is_strict_if_every_object_is_closed_and_whole(schema: dict, strict: bool) -> None:
    assert is_strict(schema) is strict


# ---------------------------------------------------------------- functions


def weather(city: Annotated[str, msgspec.Meta(description="Its name")], days: int = 1) -> str:
    """Tell the weather
    of a city.

    Only of cities.
    """
    return f"{city} {days}"


def test_a_functions_parameters_and_first_paragraph_are_a_tool() -> None:
    struct, words = of_function(weather)
    assert words == "Tell the weather of a city."
    schema = of_type(struct, strict=False)
    assert schema["properties"] == {
        "city": {"type": "string", "description": "Its name"},
        "days": {"type": "integer", "default": 1},
    }
    assert schema["required"] == ["city"]


def _bare(city) -> str:
    return city


def _star(*cities: str) -> str:
    return cities[0]


def _positional(city: str, /) -> str:
    return city


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_bare, "parameter 'city' has no annotation"),
        (_star, "arguments by name, which \\*cities: 'str' cannot be"),
        (_positional, "arguments by name, which city: 'str' cannot be"),
    ],
)
def test_a_parameter_that_no_model_could_give_is_refused_by_name(function: object, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        of_function(function)


# ---------------------------------------------------------------- values


def test_a_text_becomes_an_instance_of_the_type() -> None:
    assert _schema.decode('{"items":[{"name":"pen","price":2.5}]}', Invoice, what="it") == Invoice([Item("pen", 2.5)])
    assert _schema.decode('{"x":1,"y":2}', Point, what="it") == {"x": 1, "y": 2}
    assert _schema.decode("[1]", "json", what="it") == [1]


@pytest.mark.parametrize(
    ("text", "wanted", "path", "words"),
    [
        ('{"items":[{"name":"pen"},{"name":7}]}', Invoice, "$.items[1].name", "Expected `str`, got `int`"),
        ('{"note":"x"}', Invoice, "$", "missing required field `items`"),
        ('{"items":[', Invoice, "$", "the answer is not as asked for: Input data was truncated"),
        ("", "json", "$", "Input data was truncated"),
        (
            '{"items":[{"name":"pen","price":"2"}],"note":null}',
            STRICT_INVOICE,
            "$.items[0].price",
            "'2' is not of type 'number'",
        ),
        ('{"items":[]}', STRICT_INVOICE, "$", "'note' is a required property"),
        ("[" * 100_000, "json", "$", "recursion"),
    ],
    ids=["type", "missing", "cut", "empty", "schema", "schema-missing", "deep"],
)
def test_a_failed_validation_names_the_path_and_keeps_the_words(
    text: str, wanted: object, path: str, words: str
) -> None:
    with pytest.raises(OutputValidationError) as caught:
        _schema.decode(text, wanted, what="the answer")
    assert (caught.value.path, caught.value.content) == (path, text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_schema_without_the_package_for_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema.exceptions", None)
    with pytest.raises(HeadraceError, match=r"pip install 'headrace\[schema\]'"):
        _schema.decode("{}", {"type": "object"}, what="it")
