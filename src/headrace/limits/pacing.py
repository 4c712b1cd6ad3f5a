"""
What a session asks of a pacer: `limits=` takes any object that has these methods, such as a `Pacer`.

A pacer of another make shares limits in its own way, with a service or a scheduler. `headrace.testing.check_pacer` runs
one against what is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from .._types import RateLimitInfo, Usage
from ..errors import RateLimitError
from .cost import Cost

__all__ = ("AnyPacing", "Pacing")

T = TypeVar("T")


class Pacing(Protocol[T]):
    """
    Gives each request its place, and is told what became of it. `T` is its ticket: what stands for a place.

    A ticket is closed once, by `finish`, `limited` or `cancel`; whatever is said of it afterwards is nothing. These
    three and `sample` are called in the event loop, must return at once, and raise nothing.
    """

    @property
    def taken(self) -> int:
        """How many places are held."""
        ...

    def forecast(self, cost: Cost, *, scope: str = "", priority: int = 0) -> float:
        """Seconds that a request would wait if it came now; 0.0 where nothing is known."""
        ...

    def rate_limits(self) -> Mapping[str, RateLimitInfo]:
        """The limits of each scope, as they stand by what is known."""
        ...

    async def take(
        self,
        cost: Cost,
        *,
        scope: str = "",
        priority: int = 0,
        max_wait: float | None = None,
        deadline: float = ...,
        label: str = "exchange",
        again: T | None = None,
    ) -> T:
        """
        Wait for a place; who is cancelled meanwhile costs nobody one.

        Args:
            cost: what the request is thought to take.
            scope: what has limits of its own, such as the model.
            priority: higher goes first, equals in order of arrival.
            max_wait: seconds; None is the pacer's own patience.
            deadline: the caller's, in the loop's time; infinite by default.
            label: what the place is for, in a few words.
            again: the ticket of the same request, which was refused: it stands where it stood.

        Raises:
            RateLimitError: with `sent` False: no place within `max_wait` or before `deadline`, for want of the limit.
            ConcurrencyLimitError: the same, since too many others are under way.
        """
        ...

    def sample(self, ticket: T, info: RateLimitInfo) -> None:
        """The head of the answer: the vendor let it in, and told this of its limits."""
        ...

    def finish(self, ticket: T, usage: Usage | None = None) -> None:
        """The end of a request that was sent, whatever the end; `usage` if the vendor told it."""
        ...

    def limited(self, ticket: T, error: RateLimitError) -> None:
        """The vendor refused it for now."""
        ...

    def cancel(self, ticket: T) -> None:
        """It was never handed to the wire: all comes back."""
        ...


AnyPacing: TypeAlias = Pacing[Any]
"""A pacer, whatever its tickets are: a session hands them back and never looks at them. No other type says that."""
