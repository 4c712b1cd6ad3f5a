"""
`RateLimit` and `RateLimit-Policy`: lists of policies by name, each with its parameters.

Reads the structured fields as far as limits need them, and the looser forms that servers send: a name without quotes,
and more than one quoted name before the parameters, of which the last one counts. Text in, text out; what the figures
mean is said in `headers`. Source: draft-ietf-httpapi-ratelimit-headers-11, RFC 9651, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ("read_policies",)

MOST: Final = 16  # policies of one server; three is the most seen
LONGEST: Final = 2048  # characters of the field

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PIECE: Final = re.compile(rf'[ \t]*(?:({_QUOTED})|([^\s";,=]+)(?:=({_QUOTED}|[^\s";,]+))?)[ \t]*([;,]|\Z)')
_ESCAPED: Final = re.compile(r"\\(.)")


def read_policies(text: str) -> Mapping[str, Mapping[str, str]]:
    """
    The parameters of each policy, by its name; of a repeated name the last ones.

    `"burst";q=100;w=60, "day";q=1000;w=86400` is `{"burst": {"q": "100", "w": "60"}, "day": {...}}`. A field that
    cannot be read to its end is `{}`: half a list could miss the policy that matters.
    """
    found: dict[str, Mapping[str, str]] = {}
    name, parameters, at, end = "", dict[str, str](), 0, ","
    if len(text) > LONGEST:
        return {}
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            return {}
        quoted, word, value, end = piece.groups()
        if value is not None:
            parameters[word] = _plain(value)
        else:  # after a name, a word alone is a parameter that says no more than yes
            name = _plain(quoted) if quoted else name or word
        at = piece.end()
        if end == ";":
            continue
        if not name or len(found) == MOST:
            return {}
        found[name], name, parameters = parameters, "", {}
    return {} if end else found


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
