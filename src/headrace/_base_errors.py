"""
The root of all errors, and the one that values raise by themselves.

They stand below the values; `errors.py`, which knows the values, has the whole tree and is where callers find these.
"""

from __future__ import annotations

__all__ = ("HeadraceError", "OutputValidationError")


class HeadraceError(Exception):
    """Root of all errors of this package."""


class OutputValidationError(HeadraceError, ValueError):
    """
    The model's words are not what was asked for: an answer that is not its `response_format`, or arguments that are not
    their tool's.

    Attributes:
        path: where, as in "$.items[2].price"; "$" for the whole.
        content: the words, as they came.
    """

    path: str
    content: str

    def __init__(self, message: str, *, path: str = "$", content: str = "") -> None:
        super().__init__(message)
        self.path, self.content = path, content
