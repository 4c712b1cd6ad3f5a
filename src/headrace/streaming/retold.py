"""
An error that is told again and again, and holds nobody's frames.

A raised exception collects the frames that it passes, whose locals hold the stream, which holds the exception: such a
circle waits for the garbage collector, and all the caller's locals with it. So what is raised is a twin, which the
stream knows only as long as somebody else does. (From Python 3.12 on the frames in which it arose hold those of the
pump; they wait for the collector, the caller's do not.) Knows no stream.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Generic, TypeVar
from weakref import ref

from ..errors import HeadraceError, ProviderError

__all__ = ("Retold", "without_frames_of")

OURS: Final = frozenset({HeadraceError.__module__, ProviderError.__module__})

E = TypeVar("E", bound=Exception)


class Retold(Generic[E]):
    """`error` as it is; `shown()` and `again()` give it to others: the same each time, for whoever has kept it."""

    __slots__ = ("_is_plain", "_origin", "_twin", "error")
    error: E

    def __init__(self, error: E) -> None:
        self.error, self._origin = error, error.__traceback__
        self._is_plain = _is_plain(error)
        if self._is_plain and not hasattr(error, "__notes__"):
            error.__notes__ = []  # shared with the twins: a note that is added to one is on all
        self._twin: ref[E] | None = None

    def again(self) -> E:
        """What is to be raised: with the frames in which it arose, and no longer with each repetition."""
        return self.shown().with_traceback(self._origin)

    def shown(self) -> E:
        """What was raised, or will be."""
        twin = self._twin() if self._twin is not None else None
        if twin is None:
            twin = self.error
            if self._is_plain:
                twin = _twin(twin)
                self._twin = ref(twin)
        return twin


def _is_plain(error: Exception) -> bool:
    """
    Whether all that it is stands in its arguments and its dict: it is made, and laid out, as an error of this package.
    One with slots, with a `__new__` of its own, or that is an OSError as well, is raised as it is.
    """
    kind = type(error)
    ours = next((one for one in kind.__mro__ if one.__module__ in OURS), None)
    return ours is not None and kind.__new__ is ours.__new__ and kind.__basicsize__ == ours.__basicsize__


def _twin(error: E) -> E:
    twin = type(error).__new__(type(error), *error.args)
    twin.args = error.args
    vars(twin).update(vars(error))
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin


def without_frames_of(traceback: TracebackType | None, file: str) -> TracebackType | None:
    """The frames below those of `file`, with which the traceback begins."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename == file:
        traceback = traceback.tb_next
    return traceback
