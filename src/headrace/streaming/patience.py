"""
How long a call may wait for its turns, over all its attempts, and how long it rests before it asks the same again.

A refusal that tells when to come back is obeyed to the second; after one that tells nothing each rest is twice the one
before. Numbers in, numbers out: the waiting itself is done elsewhere.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import HeadraceError, ProviderError
from ..limits.pacer import Pacer
from ..limits.pacing import AnyPacing
from ..limits.policy import RateLimitPolicy

if TYPE_CHECKING:
    from .attempts import Place

__all__ = ("FIRST", "JITTER", "LONGEST", "Patience", "unasked")

FIRST: Final = 0.5  # seconds of the first rest that nobody told; the vendors' SDKs begin with as many,
LONGEST: Final = 8.0  # and end with these
JITTER: Final = 0.25  # the part that chance takes off: who was refused together shall not come back together
UNKNOWN: Final = RateLimitPolicy().max_wait  # of a pacer of another make, which does not tell its own


class Patience:
    """
    Of one call.

    Args:
        most: seconds that it may wait in all; None is what the policy of each pacer says.
        deadline: the caller's, in the loop's time.
        luck: gives 0..1, for `JITTER`.
    """

    __slots__ = ("_luck", "_most", "_next", "_pacer", "deadline", "waited")
    deadline: float
    waited: float
    _pacer: AnyPacing | None

    def __init__(
        self, most: float | None, deadline: float = math.inf, *, luck: Callable[[], float] | None = None
    ) -> None:
        self.deadline, self.waited = deadline, 0.0
        self._most, self._luck = most, luck or random.random  # noqa: S311  # parts those who were refused together
        self._next, self._pacer = FIRST, None

    def left(self, pacer: AnyPacing) -> float | None:
        """Seconds for the next wait there; None is the pacer's own patience."""
        return None if self._most is None and not isinstance(pacer, Pacer) else self._left(pacer)

    def _left(self, pacer: AnyPacing) -> float:
        most = self._most
        if most is None:
            most = pacer.policy.max_wait if isinstance(pacer, Pacer) else UNKNOWN
            if pacer is not self._pacer:  # another provider's policy is no other's continuation
                self._pacer, self.waited = pacer, 0.0
        return max(0.0, most - self.waited)

    def again_at(self, error: Exception, place: Place) -> float | None:
        """
        The loop's time before which the one who refused with `error`, in that place, is not asked again; None where the
        call does not wait for so long, and then a note of the error says so.
        """
        told = error.retry_after if isinstance(error, ProviderError) else None
        seconds = told or self._next * (1 - JITTER * self._luck())  # "0" is a header without a thought
        self._next = min(LONGEST, 2 * self._next)
        left = min(self._left(place.pacer), self.deadline - place.ended_at)
        if seconds <= left:
            return place.ended_at + seconds
        error.add_note(
            f"Not asked again: that would be in {seconds:.1f} s, and {max(0.0, left):.1f} s are left of max_wait or "
            "until the caller's deadline."
        )
        return None


def unasked(refusal: Exception, why: HeadraceError) -> Exception:
    """The refusal itself, where its vendor was to be asked again and the pacer gave no place: `why` is what it says."""
    refusal.add_note(f"The attempt after this refusal was not made: {why}")
    return refusal
