"""A coroutine driven by hand on whatever loop runs it, so that a test can act at each of its suspensions."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import TypeVar

T = TypeVar("T")


def nothing() -> None:
    """Do nothing."""


@types.coroutine
def stepped(
    coroutine: Coroutine[object, object, T], suspended: Callable[[], None], resumed: Callable[[], None] = nothing
) -> Generator[object, object, T]:
    """Await `coroutine`; call `suspended` as it is about to suspend, and `resumed` as it is about to go on."""
    value: object = None
    error: BaseException | None = None
    while True:
        try:
            message = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        error = None
        suspended()
        try:
            value = yield message
        except BaseException as exc:  # it is the coroutine's
            error = exc
        resumed()
