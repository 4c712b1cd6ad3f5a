"""A silent script gives what the request holds the model to: a JSON value, or a call of a tool."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from headrace.simulator import Script, Simulator
from headrace.simulator.schema import example

from .raw import Answer, post

AGE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "years": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["name", "years"],
}
HI = [{"role": "user", "content": "Hi"}]
ASK = {
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": HI}),
    "openai": ("/chat/completions", {"model": "m", "messages": HI}),
    "responses": ("/responses", {"model": "m", "input": "Hi"}),
    "gemini": ("/v1/models/m:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    "grok": ("/chat/completions", {"model": "m", "messages": HI}),
}
CHAT_FORMAT = {"response_format": {"type": "json_schema", "json_schema": {"name": "age", "schema": AGE}}}
SCHEMAS = {
    "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": AGE}}},
    "openai": CHAT_FORMAT,
    "responses": {"text": {"format": {"type": "json_schema", "name": "age", "schema": AGE}}},
    "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": AGE}},
    "grok": CHAT_FORMAT,
}
CHAT_TOOLS = [{"type": "function", "function": {"name": name, "parameters": AGE}} for name in ("age", "size")]
TOOLS = {
    "anthropic": {"tools": [{"name": name, "input_schema": AGE} for name in ("age", "size")]},
    "openai": {"tools": CHAT_TOOLS},
    "responses": {"tools": [{"type": "function", "name": name, "parameters": AGE} for name in ("age", "size")]},
    "gemini": {
        "tools": [
            {"functionDeclarations": [{"name": "age", "parametersJsonSchema": AGE}]},
            {"functionDeclarations": [{"name": "size", "parameters": AGE}]},
        ]
    },
    "grok": {"tools": CHAT_TOOLS},
}
ANY = {
    "anthropic": {"tool_choice": {"type": "any"}},
    "openai": {"tool_choice": "required"},
    "responses": {"tool_choice": "required"},
    "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
    "grok": {"tool_choice": "required"},
}
SIZE = {
    "anthropic": {"tool_choice": {"type": "tool", "name": "size"}},
    "openai": {"tool_choice": {"type": "function", "function": {"name": "size"}}},
    "responses": {"tool_choice": {"type": "function", "name": "size"}},
    "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["size"]}}},
    "grok": {"tool_choice": {"type": "function", "function": {"name": "size"}}},
}


def vendor_of(api: str) -> str:
    return "openai" if api == "responses" else api


def said(api: str, answer: Answer) -> tuple[str, list[tuple[str, object]]]:
    """The words and the calls."""
    body = json.loads(answer.body)
    match api:
        case "anthropic":
            blocks = body["content"]
            text = "".join(block.get("text", "") for block in blocks)
            return text, [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        case "gemini":
            parts = body["candidates"][0]["content"]["parts"]
            calls = [part["functionCall"] for part in parts if "functionCall" in part]
            return "".join(part.get("text", "") for part in parts), [(call["name"], call["args"]) for call in calls]
        case "responses":
            items = body["output"]
            texts = [item["content"][0]["text"] for item in items if item["type"] == "message"]
            calls = [item for item in items if item["type"] == "function_call"]
            return "".join(texts), [(call["name"], json.loads(call["arguments"])) for call in calls]
        case _:
            message = body["choices"][0]["message"]
            calls = [call["function"] for call in message.get("tool_calls") or ()]
            return message["content"] or "", [(call["name"], json.loads(call["arguments"])) for call in calls]


def is_age(value: object) -> bool:
    return (
        isinstance(value, dict)
        and list(value) == ["name", "years"]
        and isinstance(value["name"], str)
        and value["years"] in range(10)
    )


@pytest.mark.parametrize("api", ASK)
async def test_the_words_are_json_by_the_schema(api: str) -> None:
    path, fields = ASK[api]
    async with Simulator() as sim:
        text, calls = said(api, await post(sim, vendor_of(api), path, **fields, **SCHEMAS[api]))
        assert sim.exchanges[0].text_sent == text
    assert is_age(json.loads(text))
    assert calls == []


@pytest.mark.parametrize("api", ASK)
async def test_a_forced_tool_is_called_with_arguments_by_its_schema(api: str) -> None:
    path, fields = ASK[api]
    async with Simulator() as sim:
        text, ((name, value),) = said(api, await post(sim, vendor_of(api), path, **fields, **TOOLS[api], **ANY[api]))
    assert text == ""
    assert name in {"age", "size"}
    assert is_age(value)


@pytest.mark.parametrize("api", ASK)
async def test_a_named_tool_is_the_one_that_is_called(api: str) -> None:
    path, fields = ASK[api]
    async with Simulator() as sim:
        for _ in range(3):
            _, ((name, value),) = said(api, await post(sim, vendor_of(api), path, **fields, **TOOLS[api], **SIZE[api]))
            assert (name, is_age(value)) == ("size", True)


@pytest.mark.parametrize("api", ASK)
async def test_tools_that_are_only_offered_are_not_called(api: str) -> None:
    path, fields = ASK[api]
    async with Simulator() as sim:
        text, calls = said(api, await post(sim, vendor_of(api), path, **fields, **TOOLS[api]))
    assert (bool(text), calls) == (True, [])


@pytest.mark.parametrize("api", ASK)
async def test_a_script_with_words_of_its_own_is_played_as_it_stands(api: str) -> None:
    path, fields = ASK[api]
    async with Simulator() as sim:
        sim.play(vendor_of(api), Script(text="Not JSON."))
        answer = await post(sim, vendor_of(api), path, **fields, **TOOLS[api], **ANY[api], **SCHEMAS[api])
    assert said(api, answer) == ("Not JSON.", [])


async def test_equal_seeds_give_equal_values() -> None:
    path, fields = ASK["openai"]
    texts = []
    for seed in (1, 1, 2):
        async with Simulator(seed=seed) as sim:
            texts.append(said("openai", await post(sim, "openai", path, **fields, **CHAT_FORMAT))[0])
    assert texts[0] == texts[1] != texts[2]


# ---------------------------------------------------------------- one schema at a time

TREE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"const": "node"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "next"],
        }
    },
    "$ref": "#/$defs/Node",
}


def is_tree(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"name", "children", "next"}
        and value["name"] == "node"
        and all(is_tree(child) for child in value["children"])
        and (value["next"] is None or is_tree(value["next"]))
    )


BRANCH = {"anyOf": [{"$ref": "#/$defs/N"}, {"$ref": "#/$defs/N"}, {"type": "null"}]}

SATISFIED: dict[str, tuple[object, Callable[[object], bool]]] = {
    "anything": ({}, lambda value: isinstance(value, str)),
    "const": ({"const": [1, None]}, lambda value: value == [1, None]),
    "enum": ({"type": "string", "enum": ["a", "b"]}, lambda value: value in {"a", "b"}),
    "any of": ({"anyOf": [{"const": 1}, {"type": "null"}]}, lambda value: value in {1, None}),
    "any of, with more": (
        {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "anyOf": [{"required": ["b"]}]},
        lambda value: value["a"] == 1 and "b" in value,
    ),
    "one of": ({"oneOf": [{"type": "boolean"}, {"const": 3}]}, lambda value: value in {True, False, 3}),
    "all of": (
        {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"required": ["a"]}]},
        lambda value: value == {"a": 1},
    ),
    "types": ({"type": ["integer", "null"]}, lambda value: value is None or isinstance(value, int)),
    "capitals": (
        {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]},
        lambda value: isinstance(value["n"], int),
    ),
    "least items": ({"type": "array", "items": {"const": 1}, "minItems": 3}, lambda value: value[:3] == [1, 1, 1]),
    "least items, as text": ({"type": "ARRAY", "items": {"type": "NULL"}, "minItems": "2"}, lambda v: len(v) >= 2),
    "most items": ({"type": "array", "items": {}, "maxItems": 1}, lambda value: len(value) <= 1),
    "no items": ({"type": "array", "maxItems": 0}, lambda value: value == []),
    "first items": (
        {"type": "array", "prefixItems": [{"const": "a"}, {"const": 2}], "maxItems": 2},
        lambda value: value == ["a", 2],
    ),
    "bounds": ({"type": "integer", "minimum": 3, "exclusiveMaximum": 5}, lambda value: value in {3, 4}),
    "above": ({"type": "integer", "exclusiveMinimum": 3, "maximum": 4}, lambda value: value == 4),
    "steps": ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 13}, lambda value: value == 7),
    "between": ({"type": "number", "minimum": 0.1, "maximum": 0.2}, lambda value: 0.1 <= value <= 0.2),
    "below": ({"type": "number", "maximum": -1}, lambda value: value <= -1),
    "long": ({"type": "string", "minLength": 30}, lambda value: len(value) >= 30),
    "short": ({"type": "string", "maxLength": 2}, lambda value: len(value) <= 2),
    "required without a schema": ({"type": "object", "required": ["a"]}, lambda value: set(value) == {"a"}),
    "a reference beside rules": (
        {"$defs": {"A": {"type": "integer"}}, "$ref": "#/$defs/A", "minimum": 5, "maximum": 5},
        lambda value: value == 5,
    ),
    "a reference to nothing": ({"$ref": "#/$defs/none"}, lambda value: isinstance(value, str)),
    "a reference to itself": ({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}, lambda v: v is not None),
    "recursion": (TREE, is_tree),
    "recursion that branches": (
        {
            "$defs": {"N": {"type": "object", "properties": {"a": BRANCH, "b": BRANCH}, "required": ["a", "b"]}},
            "$ref": "#/$defs/N",
        },
        lambda value: set(value) == {"a", "b"},
    ),
}


@pytest.mark.parametrize(("schema", "fits"), SATISFIED.values(), ids=SATISFIED)
def test_a_value_satisfies_its_schema(schema: object, fits: Callable[[object], bool]) -> None:
    for seed in range(50):
        value = example(schema, random.Random(seed))
        assert fits(value), (seed, value)


def test_what_is_optional_is_there_at_times() -> None:
    schema = {"type": "object", "properties": {"a": {"const": 1}}}
    seen = {len(example(schema, random.Random(seed))) for seed in range(20)}
    assert seen == {0, 1}
