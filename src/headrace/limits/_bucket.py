"""
A model of one of the vendor's buckets: how full it will be once everything that was sent has arrived.

A refilling bucket gives its full rate at any level, so the reserve against surprises is held in the bucket and costs
nothing by the minute. Each answer corrects the level: what the vendor says is left is compared with what the model said
at the moment that request was sent, so that a header may be seconds old. Costs are multiplied by `inflation`, learned
as (what all took) / (what I think I took): one number for others on the key, for processes that share no store, and for
a charging rule that differs from mine. Pure arithmetic; `now` is an argument. Buckets that refill: platform.claude.com/
docs/en/api/rate-limits; the meaning of a reset: platform.openai.com/docs/guides/rate-limits (read 2026-11).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from ._window import MINUTE
from .cost import OUTPUT

__all__ = ("SHARED_FROM", "Bucket", "Mark", "Reading")

WINDOWS: Final = (1.0, 10.0, 60.0, 3600.0, 86400.0)  # seconds; what vendors count in
RESERVE: Final = 0.01  # of the limit stays in the bucket
RESERVE_SHARED: Final = 0.10  # the same when others take from it, whose next request I cannot know
RESERVE_MOST: Final = 0.40
SHARED_FROM: Final = 1.05  # inflation above which others are assumed
DEAD: Final = 0.02  # of the limit: a difference below this is no sign of others
FAIR: Final = 0.16  # pull towards equal shares, else whoever came first keeps all
INFLATION_MOST: Final = 50.0
MOMENT: Final = 0.2  # seconds in which requests may overtake each other on the way
WAVE: Final = 20.0  # seconds that the inflation reaches back
WAVE_LATE: Final = 60.0  # the same where the bill comes with the words
CALM: Final = 300.0  # seconds in which the lesson of a refusal fades
SEEN: Final = 4  # units used, from which on rounding cannot make one window look like another
NEAR: Final = 1.5  # times a window that a reset may be off


class Reading(NamedTuple):
    """One dimension as an answer tells it. `full_in` seconds; `exact` unless the reset is a whole second's date."""

    name: str
    measure: int
    limit: float
    remaining: float
    full_in: float | None = None
    exact: bool = True


class Mark(NamedTuple):
    """What the bucket looked like when a request was sent: its level less all corrections, and what was taken."""

    expected: float
    taken: float
    rush: float


class Bucket(msgspec.Struct):
    """One dimension. `level` is what is left, `at` the time it is of, `rate` units a second."""

    measure: int
    limit: float
    rate: float
    level: float
    at: float
    corrected: float = 0.0  # sum of all corrections of the level
    newest: int = -1  # the latest sent request whose answer was used
    grain: float = 1.0  # Anthropic rounds to thousands
    inflation: float = 1.0
    mine: float = 0.0
    others: float = 0.0
    last: tuple[float, float, float] | None = None  # remaining, sent at, and all I had sent by then
    rush: float = 0.0  # what was taken in the last moment
    extra: float = 0.0  # reserve learned from refusals
    vote: float = 0.0  # the window that one reset told, and not yet another

    @property
    def is_late(self) -> bool:
        """Whether it is billed after a request was let in."""
        return self.measure == OUTPUT

    @property
    def reserve(self) -> float:
        """What is left in the vendor's bucket."""
        part = max(RESERVE * self.limit, self.grain / 2 if self.grain > 1 else 0.0)
        if self.inflation > SHARED_FROM:
            minute = min(self.limit, MINUTE * self.rate)  # a day's limit must not end with a tenth of it unused
            part = max(part, RESERVE_SHARED * minute, self.grain if self.grain > 1 else 0.0)
        return min(RESERVE_MOST * self.limit, part + self.extra)

    def refill(self, now: float) -> None:
        """Up to `now`; a clock that goes back changes nothing."""
        passed = now - self.at
        if passed > 0:
            self.level = min(self.limit, self.level + passed * self.rate)
            self.rush *= math.exp(-passed / MOMENT)
            if self.extra:
                self.extra *= math.exp(-passed / CALM)
            self.at = now

    def missing(self, amount: float, doubt: float, ahead: float = 0.0) -> float:
        """
        What must come in before `amount` can be taken, after `ahead`; a large request is content with a full bucket.
        Those ahead count as what they are: what others take may be over by then, and too long a forecast would refuse
        what will be let in.
        """
        need = min(self.limit, amount * self.inflation + self.reserve + doubt)
        if self.is_late:
            need = max(need, 1.0)
        return need + ahead - self.level

    def charge(self, amount: float, unbilled: float) -> Mark:
        """Take `amount`; `unbilled` is what others of mine will still be billed for."""
        taken = amount * self.inflation
        self.level -= taken
        late = (unbilled + amount) * self.inflation if self.is_late else 0.0
        rush, self.rush = self.rush, self.rush + taken
        return Mark(self.level + late - self.corrected, taken, rush)

    def refund(self, mark: Mark) -> None:
        """The vendor never counted it."""
        self.level = min(self.limit, self.level + mark.taken)
        self.corrected += mark.taken

    def settle(self, mark: Mark, used: float) -> None:
        """A late bill: what was not used comes back, what was used beyond it is owed."""
        self.level = min(self.limit, self.level + mark.taken - used * self.inflation)

    def read(self, told: Reading, mark: Mark | None, *, seq: int, sent_at: float, sent: float) -> None:
        """Correct the model by an answer to request `seq`; `sent` is all that I had sent when it went."""
        if told.limit != self.limit:
            self.rate *= told.limit / self.limit
            self.limit = told.limit
            self.lower(told.limit)  # a correction too: what was expected of the old one is no debt
        if self.grain > 1 and told.remaining % self.grain:
            self.grain = 1.0
        self._learn_rate(told)
        if mark is None or seq < self.newest:
            return  # an older picture than one that was used
        self.newest = seq
        self._learn_inflation(told.remaining, sent_at, sent)
        expected = mark.expected + self.corrected
        off = told.remaining - expected
        if off < 0:
            off = min(0.0, off + self.grain / 2)
        elif told.remaining == 0:
            off = 0.0  # it may be below
        else:
            off = max(0.0, off - self.grain / 2 - mark.rush)
        off = min(off, self.limit - self.level)
        self.level += off
        self.corrected += off

    def follow(self, whole: Bucket, share: float) -> None:
        """Be the same part of another one, whose limit or rate may be others by now."""
        self.level *= whole.limit * share / self.limit
        self.limit, self.rate = whole.limit * share, whole.rate * share

    def lower(self, level: float) -> None:
        """The level is no more than this."""
        if level < self.level:
            self.corrected += level - self.level
            self.level = level

    def warn(self) -> None:
        """Refused for want of this: hold back more for a while."""
        self.extra = min(RESERVE_MOST * self.limit, 2 * max(self.extra, RESERVE * self.limit))

    def first(self, mine: float, all_mine: float, remaining: float, sent_at: float) -> None:
        """
        The first reading: what my own requests do not explain was used by others, of a day's limit in all of the day.
        """
        lately = min(1.0, MINUTE * self.rate / self.limit)
        self.mine, self.others = max(mine, 1e-9), lately * max(0.0, self.limit - remaining - all_mine)
        surplus = self.others - self._dead
        if surplus > 0:
            self.inflation = min(INFLATION_MOST, (mine + surplus) / self.mine)
        self.last = (remaining, sent_at, mine)

    @property
    def _dead(self) -> float:
        return 1.5 * self.grain if self.grain > 1 else DEAD * self.limit

    def _learn_inflation(self, remaining: float, sent_at: float, sent: float) -> None:
        """From two pictures of the vendor's: what went between them, against what I sent between them."""
        if self.last is not None:
            before, at, sent_before = self.last
            passed, mine = sent_at - at, sent - sent_before
            if passed < 0:
                return
            content = before + self.rate * passed
            foreign = min(self.limit, content) - remaining - mine
            if content > self.limit:  # it may have overflowed in between, and that hides what was taken
                foreign = max(0.0, foreign)
            fade = math.exp(-passed / (WAVE_LATE if self.is_late else WAVE))
            self.mine = self.mine * fade + mine
            self.others = self.others * fade + foreign
            others = max(0.0, self.others - self._dead)
            if others > 0:
                share = max(0.0, self.mine) / (max(0.0, self.mine) + others) * (1 - FAIR) + FAIR / 2
                self.inflation = min(INFLATION_MOST, 1 / share)
            elif self.mine > 0:
                self.inflation = 1.0
        self.last = (remaining, sent_at, sent)

    def _learn_rate(self, told: Reading) -> None:
        """A reset is the time to a full bucket, and so tells the window; rounding blurs it, so two must agree."""
        used = told.limit - told.remaining
        if not told.full_in or used < (SEEN if told.exact else 0.5 * told.limit):
            return
        span = told.limit * told.full_in / used
        if self.limit / NEAR < span * self.rate < self.limit * NEAR:  # as believed
            self.vote = 0.0
            return
        window = min(WINDOWS, key=lambda known: abs(math.log(known / span)))
        if not span / NEAR < window < span * NEAR:
            self.vote = 0.0
        elif window == self.vote:
            self.rate, self.vote = told.limit / window, 0.0
        else:
            self.vote = window
