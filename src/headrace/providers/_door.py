"""
The session of several providers: one task group, in which the session of each lives.

A provider that is open already keeps its own. Those of one account share a pacer. Knows no vendor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

from .._http import Session
from ..limits.pacing import AnyPacing
from ..streaming.host import Host, Hosted
from .base import BaseProvider

__all__ = ("Door", "Opening")


class Opening(Hosted):
    """A provider's `initialize()`, in a task of the session."""

    def __init__(self, provider: BaseProvider) -> None:
        super().__init__(f"opening of {provider.name}")
        self._provider = provider
        self.error: Exception | None = None

    async def main(self) -> None:
        await self._provider.initialize()

    def failed(self, exc: Exception) -> None:
        self.error = self.error or exc

    async def wait(self) -> None:
        """
        Until the provider is ready.

        Raises:
            Exception: what its `initialize()` raised.
        """
        await self.done.wait()
        if self.error is not None:
            raise self.error


class Door(Host):
    """Enter and leave it in one task, as any session. A provider is admitted once it is wanted."""

    def __init__(self) -> None:
        super().__init__("gateway")
        self._sessions: dict[BaseProvider, Session] = {}
        self._openings: dict[BaseProvider, Opening] = {}
        self._pacers: dict[str, AnyPacing] = {}
        self._admitted: list[BaseProvider] = []

    def admit(self, provider: BaseProvider) -> Opening:
        """Open `provider` for whoever uses it, as its own `async with` does."""
        opening = self._openings[provider] = Opening(provider)
        if provider._session is None:
            provider._session = self.session_of(provider)
            self._admitted.append(provider)
            self.start(opening)
        else:
            opening.done.set()
        return opening

    def ready(self, provider: BaseProvider) -> Callable[[], Awaitable[None]] | None:
        """What waits until the provider is ready; None if it is."""
        opening = self._openings.get(provider)
        return None if opening is None or (opening.done.is_set() and opening.error is None) else opening.wait

    def session_of(self, provider: BaseProvider) -> Session:
        """The provider's own session where it is open, else one that lives in this group."""
        if provider._session is not None and provider._session.is_open:
            return provider._session
        session = self._sessions.get(provider)
        if session is None:
            account = provider._account()
            pacer = self._pacers.get(account) if account else None
            session = self._sessions[provider] = provider._new_session(pacer)
            self._pacers.setdefault(account, session.pacer)
            session.bind(self)
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for provider in self._admitted:
            provider._session = None
        await super().__aexit__(kind, exc, tb)  # noqa: ASYNC102  # shielded there
