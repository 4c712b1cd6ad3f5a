"""
The standard streams as a shell may hand them over: closed, or of an encoding that lacks letters.

An answer is paid for: a letter that the encoding lacks (LC_ALL=C, a pipe on Windows) is written as an escape, and the
words after it come as well.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

__all__ = ("json_line", "prepare", "shown")

LOSING: Final = ("strict", "surrogateescape")  # both raise for a letter that is lacking; another choice is the caller's


def prepare() -> None:
    """Make the three streams usable by whatever a command does."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `>&-`; in this order each gets its own number again
            nowhere = Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in LOSING:
        sys.stdout.reconfigure(errors="backslashreplace")


def json_line(value: object) -> str:
    """The value as JSON in one line; with JSON's own escapes where the encoding of standard output lacks letters."""
    encoded = msgspec.json.encode(value)
    line = encoded.decode()
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(msgspec.json.decode(encoded), separators=(",", ":"))
    return line


def shown(text: str) -> str:
    """
    What a server or a file calls something, for a terminal: a control character is written as an escape, so that no
    name moves the cursor, makes a line of its own or sets the window's title.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
