"""
How every subcommand ends when it is not let come to its end: by Ctrl-C, because nobody reads on (`| head`), or on a
full disk.

As other programs of a terminal do: without a traceback, with 128 and the number of the signal.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

__all__ = ("BROKEN_PIPE", "INTERRUPTED", "UNWRITABLE", "is_unwritable", "quietly")

INTERRUPTED: Final = 130  # 128 + SIGINT
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE
UNWRITABLE: Final = 74  # EX_IOERR of sysexits.h: not 1, by which `chat` says that nothing of the answer had come
FULL: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EBADF})


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
    """Ctrl-C, nobody reads on, or the output is full; another error is raised again."""
    if all(isinstance(one, KeyboardInterrupt) for one in _leaves(exc)):
        return INTERRUPTED
    if not all(is_unwritable(one) for one in _leaves(exc)):
        raise exc
    left = all(isinstance(one, BrokenPipeError) for one in _leaves(exc))
    if not left:
        with suppress(OSError):  # standard error may be on the same disk
            why = next(one for one in _leaves(exc) if not isinstance(one, BrokenPipeError))
            print(f"headrace: the output cannot be written: {why}", file=sys.stderr, flush=True)
    for stream in (sys.stdout, sys.stderr):  # Python must not complain again when it flushes them at its exit
        with suppress(OSError, ValueError):  # one that is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return BROKEN_PIPE if left else UNWRITABLE


def is_unwritable(exc: BaseException) -> bool:
    """Whether an error of printing says that the output takes no more."""
    return isinstance(exc, BrokenPipeError) or (isinstance(exc, OSError) and exc.errno in FULL)


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for one in exc.exceptions:
            yield from _leaves(one)
    else:
        yield exc
