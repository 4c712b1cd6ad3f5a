"""
JSON schemas from Python types and functions, and the way back: JSON text to a checked value.

Types are what msgspec knows: Structs, dataclasses, TypedDicts, and what they are made of. Knows no vendor; what vendors
call a strict schema (every object closed, every property required) is told by `is_strict`. Source: JSON Schema 2020-12;
OpenAI's guide to structured outputs, read 2026-11.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import SimpleNamespace
from typing import Final, Literal, TypeAlias, cast, get_type_hints

import msgspec

from ._base_errors import HeadraceError, OutputValidationError

__all__ = ("OutputFormat", "decode", "is_strict", "of_function", "of_type")

JSON: TypeAlias = Mapping[str, "JSON"] | Sequence["JSON"] | str | int | float | bool | None
OutputFormat: TypeAlias = Literal["json"] | Mapping[str, object] | type[object]

_NAMED: Final = frozenset({"properties", "$defs", "definitions"})  # their keys are names, not keywords
_NESTED: Final = frozenset({"items", "anyOf", "additionalProperties"})  # these hold schemas; all others hold values
_NOT_STRICT: Final = frozenset({"default", "discriminator"})  # strict modes refuse these; nothing is lost without them
# What strict modes do not take, by OpenAI's guide or by the name in its answer 400.
_UNENFORCED: Final = frozenset(
    {
        "allOf",
        "contains",
        "contentEncoding",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "maxContains",
        "maxProperties",
        "minContains",
        "minProperties",
        "not",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_KINDS: Final = frozenset({"type", "anyOf", "$ref"})  # one of them says what a value is
_TYPES: Final[Mapping[type[object], str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
_PATH: Final = re.compile(r"`(\$[^`]*)`")
_NO_FIELDS: Final = (
    "is no type with fields: give a msgspec Struct, a dataclass or a TypedDict (a list goes into a field of one)"
)
_MALFORMED: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


# ---------------------------------------------------------------- types to schemas


def of_type(source: type[object], *, strict: bool) -> dict[str, object]:
    """
    The schema of an object.

    Args:
        source: a msgspec Struct, a dataclass, a TypedDict, or another class with typed fields.
        strict: close every object and require every property: models then fill in what has a default, too.

    Raises:
        TypeError: msgspec knows no schema for it, or it is no object.
    """
    try:
        schema = msgspec.json.schema(source)
    except TypeError as exc:  # the last line names the type; those before give advice for users of msgspec
        name, why = getattr(source, "__name__", source), str(exc).splitlines()[-1]
        if hasattr(source, "model_json_schema"):
            raise TypeError(
                f"{name} is a pydantic model: give its schema, {name}.model_json_schema(), "
                "and let pydantic read what comes"
            ) from exc
        if repr(source) in why:
            raise TypeError(f"{name} {_NO_FIELDS}") from exc
        raise TypeError(f"{name}: there is no JSON schema for one of its types: {why}") from exc
    found = schema.pop("$defs", {})
    root = schema.pop("$ref", "").rpartition("/")[2]
    if root:
        schema = {**found[root]}
        if not any(one == f"#/$defs/{root}" for one in _references([found, schema])):
            del found[root]
    if schema.get("type") != "object" or "properties" not in schema:
        raise TypeError(f"{getattr(source, '__name__', source)} {_NO_FIELDS}")
    for one in (schema, *found.values()):
        if "description" in one:  # a docstring, indented as it stands
            one["description"] = inspect.cleandoc(one["description"])
    if found:
        schema["$defs"] = found
    return _closed(schema, found) if strict else schema


def of_function(function: Callable[..., object]) -> tuple[type[msgspec.Struct], str]:
    """
    A Struct of the function's parameters, and the first paragraph of its docstring.

    Raises:
        TypeError: a parameter without an annotation, with one that names nothing, or one that cannot be given by name.
    """
    name = getattr(function, "__name__", "tool")
    try:
        hints = get_type_hints(_given_to(function), getattr(inspect.unwrap(function), "__globals__", None), None, True)
    except NameError as exc:
        raise TypeError(f"{name}(): an annotation names what is not there when it runs: {exc}") from exc
    fields: list[tuple[str, object] | tuple[str, object, object]] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise TypeError(f"{name}(): a model gives arguments by name, which {parameter} cannot be")
        if parameter.name not in hints:
            raise TypeError(f"{name}(): parameter {parameter.name!r} has no annotation, so it has no schema")
        hint = hints[parameter.name]
        default = parameter.default
        # msgspec takes none of these but empty ones as they are
        if isinstance(default, list | dict | set | msgspec.Struct) and default:
            default = msgspec.field(default_factory=partial(deepcopy, default))
        has_default = parameter.default is not parameter.empty
        fields.append((parameter.name, hint, default) if has_default else (parameter.name, hint))
    struct = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
    return struct, " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())


def _given_to(function: Callable[..., object]) -> object:
    """Something with the annotations of the parameters: what a function returns may be there for checkers alone."""
    told = getattr(function, "__annotations__", {})
    return SimpleNamespace(__annotations__={name: one for name, one in told.items() if name != "return"})


def is_strict(schema: object) -> bool:
    """
    Whether a vendor can enforce it: every object is closed and requires all of its properties, every value has a type,
    and no keyword is there that strict modes answer 400 to. That the root is an object is not asked here.
    """
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return schema is not True  # which any value fits
    if schema.keys() & _UNENFORCED or not schema.keys() & _KINDS or schema.get("format", "date") not in _FORMATS:
        return False
    if "$ref" in schema and len(schema.keys() - {"$defs"}) > 1:  # it may have no other keyword beside it
        return False
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list | tuple) else (kind,)  # such as ["object", "null"]
    if "array" in kinds and not isinstance(schema.get("items"), Mapping):
        return False
    if "object" in kinds or "properties" in schema:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        if schema.get("additionalProperties") is not False or not isinstance(properties, Mapping):
            return False
        if not isinstance(required, list | tuple) or set(properties) - set(required):
            return False
    return all(map(is_strict, _children(schema)))


def _children(schema: Mapping[str, object]) -> Iterator[object]:
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, Mapping):
            yield from value.values()
        elif key in _NESTED:
            yield value


def _closed(
    schema: Mapping[str, object], found: Mapping[str, Mapping[str, object]], within: frozenset[str] = frozenset()
) -> dict[str, object]:
    schema = {key: value for key, value in schema.items() if key not in _NOT_STRICT}
    if (ref := schema.get("$ref")) is not None and len(schema) > 1:
        # A reference may have no description beside it (OpenAI, Gemini): what it names takes its place, but not in
        # itself, where there would be no end.
        name = str(ref).rpartition("/")[2]
        if name in within:
            return {"$ref": ref}
        within |= {name}
        schema = {**found[name], **schema}
        del schema["$ref"]
    body: dict[str, object] = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, Mapping):
            body[key] = {name: _close(one, found, within) for name, one in value.items()}
        elif key not in _NOT_STRICT:
            body[key] = _close(value, found, within) if key in _NESTED else value
    if isinstance(values := schema.get("enum"), list) and "type" not in schema:  # a value without a type is refused
        types = sorted({_TYPES.get(type(value), "string") for value in values})
        body["type"] = types[0] if len(types) == 1 else types
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        body["additionalProperties"], body["required"] = False, list(properties)
    return body


def _close(schema: object, found: Mapping[str, Mapping[str, object]], within: frozenset[str]) -> object:
    if isinstance(schema, list):
        return [_close(one, found, within) for one in schema]
    return _closed(schema, found, within) if isinstance(schema, Mapping) else schema


def _references(schema: object) -> Iterator[object]:
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value
            yield from _references(value)


# ---------------------------------------------------------------- text to values


def decode(text: str, wanted: OutputFormat, *, what: str) -> object:
    """
    The value of a JSON text.

    Args:
        wanted: "json" for any value, a JSON schema, or a type, of which the value will be.
        what: what the text is, for the error, as in "the answer".

    Raises:
        OutputValidationError: it is no JSON, or not as wanted; names the path.
        HeadraceError: a schema is to be checked, and the package for it is not installed.
    """
    is_type = wanted != "json" and not isinstance(wanted, Mapping)
    try:
        value: object = msgspec.json.decode(text, type=wanted if is_type else object)
    except _MALFORMED as exc:
        path = _PATH.search(str(exc))
        raise _invalid(what, str(exc), path.group(1) if path else "$", text) from exc
    if isinstance(wanted, Mapping):
        _check(cast("JSON", value), wanted, what, text)
    return value


def _check(value: JSON, schema: Mapping[str, object], what: str, text: str) -> None:
    try:
        from jsonschema.exceptions import best_match
        from jsonschema.validators import validator_for
    except ImportError:
        raise HeadraceError(
            "checking a value against a JSON schema needs jsonschema: pip install 'headrace[schema]' "
            "(a Struct or dataclass as response_format needs nothing)"
        ) from None
    cls = validator_for(dict(schema))
    error = best_match(cls(dict(schema)).iter_errors(value))
    if error is not None:
        raise _invalid(what, error.message, error.json_path, text)


def _invalid(what: str, why: str, path: str, text: str) -> OutputValidationError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    where = "" if path in why else f" at {path}"
    return OutputValidationError(f"{what} is not as asked for: {why}{where}: {shown!r}", path=path, content=text)
