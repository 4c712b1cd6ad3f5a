"""
A seeded JSON value that satisfies a JSON schema: what a simulated model says when it is held to one.

Reads what vendors take: `const`, `enum`, `anyOf`, `oneOf`, `allOf`, `$ref` into `$defs`, `type` as a word or a list (in
Gemini's capitals too, with `nullable`), objects, arrays, numbers within bounds, strings within lengths. `pattern` and
`format` are not looked at. Sources: JSON Schema 2020-12; the vendors' pages on structured outputs, read 2026-11.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ("example",)

DEEP: Final = 4  # levels from which only what must be there is there: schemas may contain themselves
WORDS: Final = ("mill", "wheel", "sluice", "barley", "flour", "weir", "heron", "stone")


def example(schema: object, rng: random.Random) -> object:
    """A value for `schema`; `rng` is the only thing that is random."""
    return _Maker(schema, rng).value(schema, 0)


class _Maker:
    def __init__(self, root: object, rng: random.Random) -> None:
        self._root, self._rng = root, rng

    def value(self, schema: object, depth: int) -> object:
        rules = self._resolved(schema)
        if "const" in rules:
            return rules["const"]
        if options := _sequence(rules.get("enum")):
            return self._rng.choice(options)
        for word in ("anyOf", "oneOf"):
            if options := _sequence(rules.get(word)):
                rest = {name: rule for name, rule in rules.items() if name != word}
                return self.value(_merged([rest, self._resolved(self._option(options, depth))]), depth)
        match self._type(rules, depth):
            case "object":
                return self._object(rules, depth)
            case "array":
                return self._array(rules, depth)
            case "integer" | "number" as kind:
                return self._number(rules, whole=kind == "integer")
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
            case _:
                return self._string(rules)

    # ---- which rules hold

    def _resolved(self, schema: object) -> Mapping[str, object]:
        """The schema with its reference followed and its `allOf` merged in."""
        rules = schema if isinstance(schema, Mapping) else {}
        seen: set[str] = set()
        while isinstance(ref := rules.get("$ref"), str) and ref not in seen:
            seen.add(ref)
            rest = {name: rule for name, rule in rules.items() if name != "$ref"}
            rules = _merged([self._target(ref), rest])
        if parts := _sequence(rules.get("allOf")):
            rest = {name: rule for name, rule in rules.items() if name != "allOf"}
            return _merged([*(self._resolved(part) for part in parts), rest])
        return rules

    def _target(self, ref: str) -> Mapping[str, object]:
        found: object = self._root
        for name in ref.removeprefix("#").split("/")[1:]:
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _option(self, options: Sequence[object], depth: int) -> object:
        if depth < DEEP:
            return self._rng.choice(options)
        return min(options, key=lambda option: self._weight(self._resolved(option)))

    @staticmethod
    def _weight(rules: Mapping[str, object]) -> int:
        """How much of itself a schema may bring along; the lightest ends a recursion."""
        return 2 if "properties" in rules else 1 if "items" in rules else 0

    def _type(self, rules: Mapping[str, object], depth: int) -> str:
        if kinds := _sequence(rules.get("type")):
            return str("null" if depth >= DEEP and "null" in kinds else self._rng.choice(kinds)).lower()
        if isinstance(kind := rules.get("type"), str):
            return "null" if depth >= DEEP and rules.get("nullable") is True else kind.lower()
        return "object" if "properties" in rules else "array" if "items" in rules else "string"

    # ---- values

    def _object(self, rules: Mapping[str, object], depth: int) -> dict[str, object]:
        properties = rules.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        required = [str(name) for name in _sequence(rules.get("required"))]
        optional = [] if depth >= DEEP else [name for name in known if name not in required]
        chosen = {*required, *(name for name in optional if self._rng.random() < 0.5)}
        names = [*(name for name in known if name in chosen), *(name for name in required if name not in known)]
        return {name: self.value(known.get(name, {}), depth + 1) for name in names}

    def _array(self, rules: Mapping[str, object], depth: int) -> list[object]:
        first = _sequence(rules.get("prefixItems"))
        least = max(_count(rules, "minItems", 0), len(first))
        most = max(least, _count(rules, "maxItems", least + 2))
        size = least if depth >= DEEP else self._rng.randint(least, min(most, max(least, 1) + 1))
        return [self.value(first[at] if at < len(first) else rules.get("items"), depth + 1) for at in range(size)]

    def _number(self, rules: Mapping[str, object], *, whole: bool) -> float:
        step = _number(rules, "multipleOf") or (1.0 if whole else 0.5)
        least, above = _number(rules, "minimum"), _number(rules, "exclusiveMinimum")
        most, below = _number(rules, "maximum"), _number(rules, "exclusiveMaximum")
        low = max((bound for bound in (least, above) if bound is not None), default=None)
        high = min((bound for bound in (most, below) if bound is not None), default=None)
        if low is None:
            low = 0.0 if high is None else high - 100 * step
        if high is None:
            high = low + 100 * step
        first, last = math.ceil(low / step), math.floor(high / step)
        first += first * step == above
        last -= last * step == below
        if first > last:  # no multiple of the step lies between the bounds, which only a fraction allows
            return (low + high) / 2
        number = self._rng.randint(first, last) * step
        return int(number) if whole else number

    def _string(self, rules: Mapping[str, object]) -> str:
        least = _count(rules, "minLength", 0)
        text = self._rng.choice(WORDS)
        while len(text) < least:
            text += " " + self._rng.choice(WORDS)
        return text[: max(least, _count(rules, "maxLength", len(text)))]


def _merged(parts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Several schemas as one: properties and required names add up, of the rest the later holds."""
    merged: dict[str, object] = {}
    for part in parts:
        for name, rule in part.items():
            before = merged.get(name)
            if name == "properties" and isinstance(before, Mapping) and isinstance(rule, Mapping):
                merged[name] = {**before, **rule}
            elif name == "required":
                merged[name] = [*_sequence(before), *_sequence(rule)]
            else:
                merged[name] = rule
    return merged


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _number(rules: Mapping[str, object], name: str) -> float | None:
    value = rules.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(rules: Mapping[str, object], name: str, default: int) -> int:
    try:
        return int(str(rules.get(name, default)))  # Gemini's schemas write counts as text
    except ValueError:
        return default
