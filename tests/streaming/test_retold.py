"""Errors of somebody's own classes, told by a stream: all that they are is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.errors import HeadraceError, ServerError
from headrace.streaming.retold import Retold


class Demanding(ServerError):
    def __init__(self, *, where: str) -> None:
        super().__init__("down", provider="own")
        self.where = where


class Slotted(HeadraceError):
    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        super().__init__("down")
        self.where = where


class Made(HeadraceError):
    where: str

    def __new__(cls, *, where: str) -> Made:
        made = super().__new__(cls, "down")
        made.where = where
        return made

    def __init__(self, *, where: str) -> None:
        super().__init__("down")


class Numbered(HeadraceError, OSError):
    where = "here"

    def __init__(self) -> None:
        super().__init__(2, "down")


@pytest.mark.parametrize(
    ("make", "is_twin"),
    [
        (lambda: Demanding(where="here"), True),
        (lambda: Slotted("here"), False),
        (lambda: Made(where="here"), False),
        (Numbered, False),
    ],
    ids=["argument", "slot", "new", "oserror"],
)
def test_an_error_of_a_class_of_ones_own_is_told_whole(make: Callable[[], HeadraceError], is_twin: bool) -> None:
    error = make()
    error.__cause__ = KeyError("why")
    told = Retold(error).again()
    assert (type(told), str(told), told.args) == (type(error), str(error), error.args)
    assert (getattr(told, "where", None), told.__cause__) == ("here", error.__cause__)
    assert (told is not error) is is_twin
    told.add_note("seen")
    assert error.__notes__ == ["seen"]
