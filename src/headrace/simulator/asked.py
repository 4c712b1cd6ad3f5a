"""
What a request wants of the answer beside words: a JSON schema, or a call of a tool. A script that is silent gives it.

Each vendor reads its own fields into an `Asked`; `fitted` is the same for all. A script with words, calls, a refusal or
an image of its own is played as it stands.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from .schema import example
from .script import Script

__all__ = ("Asked", "fitted")


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Attributes:
        schema: of the text; None where the text is free.
        tools: name -> schema of the arguments, of the tools that may be called.
        forced: whether one of them must be.
        thoughts: whether they may be seen.
    """

    schema: object = None
    tools: Mapping[str, object] = field(default_factory=dict)
    forced: bool = False
    thoughts: bool = True


def fitted(script: Script, asked: Asked, rng: random.Random) -> Script:
    """The script that gives what was asked for."""
    if script.text is not None or script.pieces is not None or script.tool_calls or script.refusal or script.image:
        return script
    if asked.forced and asked.tools:
        name = rng.choice(list(asked.tools))
        return dataclasses.replace(script, tool_calls=((name, _json(_object(asked.tools[name]), rng)),))
    if asked.schema is not None:
        return dataclasses.replace(script, text=_json(asked.schema, rng))
    return script


def _object(schema: object) -> object:
    """A tool's arguments are an object, whether its schema says so or not."""
    return {"type": "object", **schema} if isinstance(schema, Mapping) else {"type": "object"}


def _json(schema: object, rng: random.Random) -> str:
    return json.dumps(example(schema, rng), ensure_ascii=False)
