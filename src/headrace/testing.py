"""
For tests of programs that stream: nothing may stay open.

`assert_idle` looks at what a provider, a gateway or a stream still holds. Knows nothing of pytest.
"""

from __future__ import annotations

from anyio import move_on_after, sleep

from ._http import Session
from .gateway import AIGateway
from .providers.base import BaseProvider
from .streaming.host import Keeper
from .streaming.stream import ChatStream

__all__ = ("assert_idle",)


async def assert_idle(subject: BaseProvider | AIGateway | ChatStream, *, within: float = 1.0) -> None:
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
    left = _open(subject)
    if left:
        raise AssertionError(f"{subject!r} still holds {', '.join(left)}")


def _open(subject: BaseProvider | AIGateway | ChatStream) -> list[str]:
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
