"""
A limit of which the vendor tells nothing but its refusals: so many in a window.

What I sent is kept in a log. While nobody has said when a window begins, no trailing window may hold more than the
limit, which is safe for any phase; a refusal with a delay tells the phase, and from then on whole windows are counted.
If fewer than the limit were mine when it refused, others use it too: I keep below what I had, and rise slowly. Pure
arithmetic; `now` is an argument. Source: ai.google.dev/gemini-api/docs/rate-limits (no headers; refusals name the
quota and a delay), recorded refusals, 2026-11.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

__all__ = ("MINUTE", "Window")

MINUTE: Final = 60.0
SLOTS: Final = 256  # parts of a window in which sends are added up, so that the log stays small
AFTER: Final = 0.02  # seconds behind a boundary, for a request that overtakes
ALL_MINE: Final = 0.85  # of the limit: with more than this used when it refused, nobody else was there
BACK: Final = 0.95  # of what I had when it refused again
STEP: Final = 0.02  # of the limit, after CALM windows without a refusal
CALM: Final = 3
TINY: Final = 1e-9


class Window(msgspec.Struct):
    """
    One dimension. `allowed` is my part of `limit` in `span` seconds, never more than `share` of it.

    Windows are counted from `ends`, which is a boundary of the vendor's once `phased`. `spread`: sends are spread over
    half of the window, since others take from it, or nobody has said what it holds.
    """

    measure: int
    limit: float
    allowed: float
    ends: float
    span: float = MINUTE
    phased: bool = False
    spread: bool = False
    refused: bool = False  # in this window
    calm: int = 0  # windows since the last refusal
    log: list[tuple[float, float]] = []
    share: float = 1.0

    def used(self, now: float) -> float:
        """What I sent in the window that `now` lies in."""
        self._roll(now)
        log, start = self.log, (self.ends if self.phased else now) - self.span
        gone = 0
        while gone < len(log) and log[gone][0] <= start:
            gone += 1
        if gone:
            del log[:gone]
        return sum(amount for _, amount in log)

    def wait(self, amount: float, now: float, ahead: float = 0.0) -> float:
        """
        Seconds until `amount` fits, after `ahead`; what is larger than all that is allowed is content with an empty
        window.
        """
        if self.allowed == math.inf:
            return 0.0
        over = self.used(now) + ahead + min(amount, self.allowed) - self.allowed
        if over <= TINY:
            return 0.0
        later = max(0, math.ceil(over / self.allowed - TINY) - 1)  # windows that those ahead fill
        if self.phased:
            return self.ends - now + later * self.span + AFTER
        over -= later * self.allowed
        for sent_at, taken in (*self.log, (now, math.inf)):
            over -= taken
            if over <= TINY:
                return sent_at + (later + 1) * self.span - now + AFTER
        raise AssertionError("what is sent now is more than anything")

    def charge(self, amount: float, now: float) -> None:
        """Note a send."""
        slot = self.span / SLOTS
        at = (now // slot + 1) * slot  # the end of the slot: never earlier than it was
        log = self.log
        if log and log[-1][0] >= at:
            log[-1] = (log[-1][0], log[-1][1] + amount)
        else:
            if len(log) > SLOTS:
                self.used(now)
            log.append((at, amount))

    def refund(self, amount: float) -> None:
        """The vendor never counted it: it is taken from the latest sends."""
        log = self.log
        while log and amount > 0:
            at, taken = log.pop()
            if taken > amount:
                log.append((at, taken - amount))
            amount -= taken

    def refuse(self, now: float, limit: float | None, retry_after: float | None) -> None:
        """The vendor let no more in, although this was free; `limit` and a delay within the window if it said them."""
        mine = max(1.0, self.used(now))
        if limit is None:
            self.limit = self.allowed = min(self.allowed, mine)  # what was let in before it, in any phase
            self.spread = True
        else:
            if mine >= ALL_MINE * limit:
                self.allowed = limit * self.share
            elif not self.refused:
                self.allowed, self.spread = max(1.0, min(BACK * mine, limit * self.share)), True
            self.limit = limit
            if retry_after is not None and retry_after <= self.span:
                self.ends, self.phased = now + retry_after, True
        self.refused, self.calm = True, 0

    def _roll(self, now: float) -> None:
        """Count the windows that went by; after some calm ones each lets me have a little more."""
        passed = math.floor((now - self.ends) / self.span) + 1
        if passed <= 0:
            return
        self.ends += passed * self.span
        if self.refused:
            self.refused = False
            return
        self.calm += passed
        if self.calm >= CALM and self.allowed < self.limit * self.share:
            self.allowed = min(self.limit * self.share, self.allowed + STEP * self.limit)
        elif self.calm >= CALM and self.spread and not self.phased:
            self.limit = self.allowed = self.limit + max(1.0, STEP * self.limit)
