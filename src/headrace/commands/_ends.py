"""
How every subcommand ends when it is not let come to its end: by Ctrl-C, or because nobody reads on (`| head`).

As other programs of a terminal do: without a traceback, with 128 and the number of the signal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

__all__ = ("BROKEN_PIPE", "INTERRUPTED", "quietly")

INTERRUPTED: Final = 130  # 128 + SIGINT
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE


def quietly(run: Callable[[], int]) -> int:
    """`run()`, and the exit code: its own, or that of the signal which would have ended another program."""
    try:
        try:
            code = run()
        finally:
            sys.stdout.flush()  # here, not at the interpreter's exit, where nobody can take the error
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as exc:
        return _left(exc)
    except BaseExceptionGroup as exc:  # of a task group: something was printed in it, or trio interrupted it
        return _left(exc)
    return code


def _left(exc: BaseException) -> int:
    """Ctrl-C, or nobody reads on; another error is raised again."""
    if all(isinstance(one, KeyboardInterrupt) for one in _leaves(exc)):
        return INTERRUPTED
    if not all(isinstance(one, BrokenPipeError) for one in _leaves(exc)):
        raise exc
    for stream in (sys.stdout, sys.stderr):  # Python must not complain again when it flushes them at its exit
        with suppress(OSError, ValueError):  # one that is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return BROKEN_PIPE


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for one in exc.exceptions:
            yield from _leaves(one)
    else:
        yield exc
