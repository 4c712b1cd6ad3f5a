"""
Valid documents in, hostile ones out.

A document is lines. A line that is JSON is changed as a tree (a key dropped, doubled, set to null, to another type, to
something huge or deep), any line as bytes. The choices come from a `random.Random`: hypothesis and atheris share them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple


class Token(NamedTuple):
    """A piece of JSON as it stands in the text, valid or not."""

    text: str


class Pairs(list):
    """A JSON object as a list of [name, value], in which a name may come twice."""


DEEP = 10_000
VALUES = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1,
    "", " ", "x", "0", "null", "error", "[DONE]", "stop", "STOP", "never heard of", "\x00\x1b[31m", "\u202eabc",
    "é" * 9,
    Token("NaN"), Token("Infinity"), Token("-Infinity"), Token("1e999"), Token("9" * 5000), Token("-1e-999"),
    Token('"\\ud800"'), Token('"\\udc00\\ud800x"'), Token('"\\ud83d\\ude00"'), Token("'x'"), Token(""),
    Token("undefined"),
    Token("[" * DEEP + "]" * DEEP), Token('{"error":' * DEEP + "1" + "}" * DEEP), Token("[" * 700 + "]" * 700),
    Token('{"a":' * 300 + '"b"' + "}" * 300), "x" * 70_000, "\n" * 400, [0] * 3000, [[]], [{}], [None], [[[]]],
    {"error": {"message": "m"}}, {"type": "text", "text": "t"}, [{"type": "text", "text": "t"}], {"message": 5},
)  # fmt: skip


def parse(line: str) -> object:
    """The line as JSON with `Pairs`, or as a `Token` where it is none, or deep already."""
    if line.count("[") + line.count("{") > 300:
        return Token(line)
    try:
        return json.loads(line, object_pairs_hook=lambda pairs: Pairs([name, value] for name, value in pairs))
    except ValueError:
        return Token(line)


def write(value: object) -> str:
    """JSON text, without a check of any kind."""
    if isinstance(value, Token):
        return value.text
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{write(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


def mutated(rng: Random, documents: Sequence[bytes], most: int = 4) -> bytes:
    """One of the documents with up to `most` changes, now and then with none."""
    lines = rng.choice(documents).decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.randint(0, most)):
        kind = rng.randrange(8)
        if kind == 0:
            lines = _spliced(rng, lines, rng.choice(documents).decode("utf-8", "surrogateescape").split("\n"))
        elif lines:
            at = rng.randrange(len(lines))
            lines[at] = write(_changed(rng, parse(lines[at])))
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    return _cut(rng, data) if rng.randrange(4) == 0 else data


def _spliced(rng: Random, lines: list[str], others: list[str]) -> list[str]:
    """Lines left out, doubled, put elsewhere, or taken from another document."""
    match rng.randrange(4):
        case 0 if lines:
            del lines[rng.randrange(len(lines))]
        case 1 if lines:
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        case 2:
            rng.shuffle(lines)
        case _:
            lines.insert(rng.randint(0, len(lines)), rng.choice(others))
    return lines


def _cut(rng: Random, data: bytes) -> bytes:
    """The same with a few bytes changed, put in, or taken away."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(found))
        match rng.randrange(4):
            case 0:
                del found[at:]
            case 1 if at < len(found):
                found[at] ^= 1 << rng.randrange(8)
            case 2:
                found[at:at] = rng.choice(
                    (b"\x00", b"\r", b"\n", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f", b'"', b"{", b"]")
                )
            case _:
                del found[at : at + rng.randint(1, 9)]
    return bytes(found)


# ---------------------------------------------------------------- trees


Slot = tuple[Callable[[], object], Callable[[object], None]]


def _changed(rng: Random, root: object) -> object:
    """The tree with one change at a place that is drawn."""
    holder = [root]
    slots = _slots(holder)
    get, put = slots[rng.randrange(len(slots))]
    value = get()
    match rng.randrange(10):
        case 0 if isinstance(value, list) and value:
            del value[rng.randrange(len(value))]
        case 1 if isinstance(value, list) and value:  # a name or an item twice, once with another value
            twin = value[rng.randrange(len(value))]
            twin = [twin[0], rng.choice(VALUES)] if isinstance(value, Pairs) else twin
            value.insert(rng.randint(0, len(value)), twin)
        case 2 if isinstance(value, Pairs) and value:
            value[rng.randrange(len(value))][0] = rng.choice(("", "type", "error", "index", "x", "content"))
        case 3:
            put([value])
        case 4:
            put(Pairs([["text", value]]))
        case 5:
            put(str(value) if isinstance(value, int | float) else None)
        case 6 if isinstance(value, str):
            put(value + rng.choice(("", "x", " ", "\x00", "_v9", "x" * 2000)))
        case _:
            put(rng.choice(VALUES))
    return holder[0]


def _slots(holder: list[object]) -> list[Slot]:
    """Every place of a tree, as a way to read it and a way to replace it."""
    slots, left = list[Slot](), [holder]
    while left:
        node = left.pop()
        for number, item in enumerate(node):
            where, key = (item, 1) if isinstance(node, Pairs) else (node, number)
            child = where[key]
            slots.append(
                (lambda where=where, key=key: where[key], lambda value, where=where, key=key: _put(where, key, value))
            )
            if isinstance(child, list):
                left.append(child)
    return slots


def _put(where: list[object], key: int, value: object) -> None:
    where[key] = value
