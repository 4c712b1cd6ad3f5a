"""
What a provider, a gateway or a stream still holds: tasks, places, connections. Knows nothing of pytest.
"""

from __future__ import annotations

from typing import TypeAlias

from anyio import move_on_after, sleep

from .._http import Session
from ..gateway import AIGateway
from ..providers.base import BaseProvider
from ..streaming.host import Keeper
from ..streaming.stream import ChatStream

__all__ = ("Subject", "assert_idle", "assert_idle_now")

Subject: TypeAlias = BaseProvider | AIGateway | ChatStream


async def assert_idle(subject: Subject, *, within: float = 1.0) -> None:
    """
    Assert that `subject` holds nothing: no task, no slot, and no connection that is not idle in its pool.

    Args:
        subject: a provider or gateway (entered or not), or a stream.
        within: seconds for what is just being closed. A stream dropped by `break` is closed by the loop a moment later.

    Raises:
        AssertionError: something is still open; the message names it.
    """
    with move_on_after(within):
        while _open(subject):  # noqa: ASYNC110  # there is no event for what another library's pool still holds
            await sleep(0.002)
    assert_idle_now(subject)


def assert_idle_now(subject: Subject) -> None:
    """The same without a wait, for where no loop runs: what is open then stays open."""
    left = _open(subject)
    if left:
        raise AssertionError(f"{subject!r} still holds {', '.join(left)}")


def _open(subject: Subject) -> list[str]:
    if isinstance(subject, AIGateway):
        return [held for _, provider in subject._providers.values() for held in _open(provider)]
    if isinstance(subject, ChatStream):
        pump = subject._pump
        return [] if pump is None or pump.done.is_set() else [pump.label]
    return [] if subject._session is None else _held(subject._session)


def _held(session: Session) -> list[str]:
    slots = session.pacer.taken
    return [
        *(task.label for task in session.hosted if not isinstance(task, Keeper)),
        *([f"{slots} slots"] if slots else []),
        *session.busy_connections(),
    ]
