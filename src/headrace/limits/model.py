"""
The model of one vendor's limits, and what may happen to it.

One serialisable value. Every transition is a method that takes the event and `now`, changes this value and nothing
else, and awaits nothing: so the same code decides for one process, and for many that share the value through a store
(load, decide, compare and set). Those who share it are its members. Each shows the first request of its own line, so
that places are given in order of arrival, by priority; a member that is not heard of loses its place and what it had
in flight when its lease ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from .._types import RateLimitInfo
from ._bucket import SHARED_FROM, Bucket, Mark, Reading
from ._window import MINUTE, Window
from .cost import MEASURES, OUTPUT, REQUESTS, TOTAL, Amounts, Price

__all__ = (
    "LEASE",
    "LONGEST",
    "OVERLOADED",
    "PLACE",
    "Level",
    "Member",
    "Model",
    "Receipt",
    "Refused",
    "Wait",
    "readings",
)

FIRST: Final = 4  # requests in flight before the first answer
MORE: Final = 1  # more of them for each answer
KNOWN: Final = 12  # answers after which the limits are believed
EARLY: Final = 0.3  # of each limit is held back until then: others may start in the same moment
FADES: Final = 20.0  # seconds in which that ends: those who came earlier must not keep a newcomer out
STEADY: Final = (
    4.0  # times the vendor's rate of requests at which a burst is sent: limits hold for parts of a window too
)
STRICT: Final = 0.97  # the same once a shorter window than the headers tell has refused
STRICT_LEAST: Final = 0.5
FREE: Final = 3  # requests that need not keep that distance
DOUBLING: Final = 2.0  # seconds, of the rate at which a vendor without headers is tried
SIGMAS: Final = 3.0  # of the estimates in flight are held back
LEASE: Final = 30.0  # seconds a member is believed without a word of it
PLACE: Final = 3.0  # seconds its place in the line is
APART: Final = 0.5  # seconds; refusals that are closer are of one wave
LONGEST_BACKOFF: Final = 64.0
LONGEST: Final = 31 * 86_400.0  # seconds, a month: a refusal that tells more does not keep all away for ever

OVERLOADED: Final = "overload"

_SPANS: Final = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 2_592_000.0}


class Wait(NamedTuple):
    """
    Not now: in `seconds` (inf: when an answer comes) there is room; `dimension` is short of it, or the vendor `refused`
    one for it. OVERLOADED is no limit, but stands for one.
    """

    seconds: float
    dimension: str = ""
    limit: float | None = None
    remaining: float | None = None
    needed: float | None = None
    refused: bool = False


class Level(NamedTuple):
    """One limit at this moment: `left` of `limit`, coming back at `rate` a second, or all of it with a new window."""

    name: str
    limit: float
    left: float
    rate: float
    full_in: float

    @property
    def used(self) -> float:
        """The share of it that is used, 0.0 to 1.0."""
        return min(1.0, max(0.0, 1 - self.left / self.limit))


class Receipt(NamedTuple):
    """A reservation: what was taken, and what the model looked like then."""

    epoch: float
    member: str
    joined: float
    seq: int
    at: float
    price: Price
    sent: Amounts
    marks: dict[str, Mark]


class Refused(NamedTuple):
    """
    What a refusal tells. `name`, `measure` and `limit` where it names the quota; `luck` in 0..1 parts those who wait.
    """

    readings: tuple[Reading, ...] = ()
    retry_after: float | None = None
    measure: int | None = None
    limit: float | None = None
    kind: Literal["rate", "ramp", "overload"] = "rate"
    luck: float = 0.0
    name: str = ""


class Place(msgspec.Struct):
    """The first of a member's line."""

    turn: int
    priority: int
    charge: Amounts
    until: float


class Member(msgspec.Struct):
    """One who takes part: what it has in flight, and the first of its line."""

    joined: float
    lease: float
    step: int = 0  # the last of its changes that is in here
    flying: int = 0
    unbilled: float = 0.0
    doubt: list[float] = msgspec.field(default_factory=lambda: [0.0] * 4)
    place: Place | None = None


class Model(msgspec.Struct):
    """
    Everything that is known of the limits of one scope.

    `epoch` tells it from an earlier model of the same scope. `blind`: the vendor is known to tell nothing before it
    refuses. `share`: the part of the limits that may be used.
    """

    epoch: float
    blind: bool = False
    share: float = 1.0
    buckets: dict[str, Bucket] = {}
    windows: dict[str, Window] = {}
    members: dict[str, Member] = {}
    sent: list[float] = msgspec.field(default_factory=lambda: [0.0] * 4)
    seq: int = 0
    turns: int = 0
    answers: int = 0
    blocked: float = -math.inf
    blocked_by: str = ""
    refused: float = -math.inf
    fails: int = 0
    pace: float = STEADY
    next_at: float = -math.inf
    began: float | None = None

    # ---------------------------------------------------------------- taking

    def take(self, who: str, price: Price, now: float, *, priority: int = 0, force: bool = False) -> Receipt | Wait:
        """Reserve `price`, or say how long it must wait; `force` reserves in any case."""
        member = self._member(who, now)
        if not force and (wait := self._wait(member, price, now, priority)) is not None:
            return wait
        member.place = None
        charge, doubt = price
        self.seq += 1
        self.began = now if self.began is None else self.began
        unbilled = self._unbilled
        marks = {}
        for name, bucket in self.buckets.items():
            bucket.refill(now)
            marks[name] = bucket.charge(charge[bucket.measure], unbilled)
        for window in self.windows.values():
            window.charge(charge[window.measure], now)
        for measure in range(4):
            self.sent[measure] += charge[measure]
            member.doubt[measure] += doubt[measure]
        member.flying += 1
        member.unbilled += charge[OUTPUT]
        gap = self._gap(now) * charge[REQUESTS]
        self.next_at = max(self.next_at, now - self._free * gap) + gap
        sent = (self.sent[0], self.sent[1], self.sent[2], self.sent[3])
        return Receipt(self.epoch, who, member.joined, self.seq, now, price, sent, marks)

    def forecast(self, price: Price, ahead: Amounts, now: float) -> Wait | None:
        """How long `price` would wait behind `ahead`; None if not at all. Where nothing is known nothing is said."""
        wait = self._short(price, ahead, now)
        if now < self.blocked and (wait is None or wait.seconds < self.blocked - now):
            return self._blocked(now)
        return wait

    def levels(self, now: float) -> Iterator[Level]:
        """Every limit that is known, as it stands at `now`."""
        for name, bucket in self.buckets.items():
            bucket.refill(now)
            left = max(0.0, bucket.level)
            yield Level(name, bucket.limit, left, bucket.rate, max(0.0, bucket.limit - bucket.level) / bucket.rate)
        for name, window in self.windows.items():
            if window.limit < math.inf:
                left = max(0.0, window.allowed - window.used(now))
                full_in = max(0.0, window.ends - now) if window.phased else window.span
                yield Level(name, window.limit, left, window.limit / window.span, full_in)

    def too_large(self, charge: Amounts) -> Reading | None:
        """The bucket that can never hold it."""
        for name, bucket in self.buckets.items():
            if not bucket.is_late and charge[bucket.measure] > bucket.limit:
                return Reading(name, bucket.measure, bucket.limit, bucket.level)
        return None

    def _wait(self, member: Member, price: Price, now: float, priority: int) -> Wait | None:
        place = member.place
        if place is None:
            self.turns += 1
            place = member.place = Place(self.turns, priority, price.charge, 0.0)
        place.priority, place.charge, place.until = priority, price.charge, now + PLACE
        ahead, first = (0.0, 0.0, 0.0, 0.0), True
        if len(self.members) > 1:
            ahead, first = self._ahead(place, now)
        if now < self.blocked:
            return self._waits(place, self._blocked(now), now)
        if self.answers < KNOWN and not self.blind and not self._told:
            if not first or sum(other.flying for other in self.members.values()) >= FIRST + MORE * self.answers:
                return Wait(math.inf)
        elif now < self.next_at:
            return self._waits(place, Wait(self.next_at - now), now)
        wait = self._short(price, ahead, now)
        return None if wait is None else self._waits(place, wait, now)

    def _blocked(self, now: float) -> Wait:
        return Wait(self.blocked - now, self.blocked_by, refused=True)

    def _block(self, until: float, by: str) -> None:
        if until > self.blocked:
            self.blocked, self.blocked_by = until, by

    def _waits(self, place: Place, wait: Wait, now: float) -> Wait:
        place.until = now + wait.seconds + PLACE
        return wait

    def _ahead(self, place: Place, now: float) -> tuple[Amounts, bool]:
        """What the others' first requests take that stand before `place`, and whether there are none."""
        mine = (-place.priority, place.turn)
        total, first = [0.0] * 4, True
        for other in self.members.values():
            theirs = other.place
            if theirs is not None and theirs.until > now and (-theirs.priority, theirs.turn) < mine:
                first = False
                for measure in range(4):
                    total[measure] += theirs.charge[measure]
        return (total[0], total[1], total[2], total[3]), first

    def _short(self, price: Price, ahead: Amounts, now: float) -> Wait | None:
        """The dimension that needs longest until it can pay for `ahead` and `price`."""
        charge, doubt = price
        worst: Wait | None = None
        for name, bucket in self.buckets.items():
            bucket.refill(now)
            measure = bucket.measure
            unsure = doubt[measure]
            for member in self.members.values():
                unsure += member.doubt[measure]
            held = SIGMAS * bucket.inflation * math.sqrt(unsure) if unsure > 0 else 0.0
            if self.answers < KNOWN:
                most = EARLY * min(bucket.limit, bucket.rate * MINUTE)  # of a day's limit no part of the day
                held += most * max(0.0, 1 - (now - (now if self.began is None else self.began)) / FADES)
            missing = bucket.missing(charge[measure], held, ahead[measure])
            if missing > 0 and (worst is None or missing / bucket.rate > worst.seconds):
                worst = Wait(missing / bucket.rate, name, bucket.limit, bucket.level, charge[measure])
        for name, window in self.windows.items():
            measure = window.measure
            seconds = window.wait(charge[measure], now, ahead[measure])
            if seconds > 0 and (worst is None or seconds > worst.seconds):
                left = max(0.0, window.allowed - window.used(now))
                worst = Wait(seconds, name, window.limit, left, charge[measure])
        return worst

    def _gap(self, now: float) -> float:
        """Seconds between two requests of a burst."""
        if (bucket := self.buckets.get("requests")) is not None:
            # Not by a rate per day: what is counted by the day is hardly kept by the second.
            return 1 / (self.pace * max(bucket.rate, bucket.limit / MINUTE))
        spread = [
            window.span / window.allowed
            for window in self.windows.values()
            if window.measure == REQUESTS and window.spread
        ]
        if spread:
            return 0.5 * max(spread)
        if self.blind and not self._told:
            return math.pow(0.5, min(30.0, (now - (now if self.began is None else self.began)) / DOUBLING))
        return 0.0

    @property
    def _free(self) -> int:
        """Requests that need keep no distance."""
        if self.buckets:
            return FREE if self.pace > 1 else 0
        return FIRST if self.blind and not self._told else 0

    # ---------------------------------------------------------------- what became of it

    def sample(self, receipt: Receipt, told: Iterable[Reading], now: float) -> None:
        """The head of an answer that was let in."""
        if receipt.epoch != self.epoch:
            return
        self.answers, self.fails = self.answers + 1, 0
        for reading in told:
            bucket = self.buckets.get(reading.name)
            if bucket is None:
                self._first(reading, receipt, now)
                continue
            bucket.refill(now)
            mark = receipt.marks.get(reading.name)
            bucket.read(reading, mark, seq=receipt.seq, sent_at=receipt.at, sent=receipt.sent[bucket.measure])
            if (part := self.buckets.get(f"share of {reading.name}")) is not None:
                part.refill(now)
                part.follow(bucket, self.share)

    def settle(self, receipt: Receipt, used: float | None, now: float) -> None:
        """The end of a request that was sent; `used` output tokens, None if that is unknown."""
        if receipt.epoch != self.epoch:
            return
        self._land(receipt, now)
        if used is None:
            return
        for name, mark in receipt.marks.items():
            bucket = self.buckets.get(name)
            if bucket is not None and bucket.is_late:
                bucket.refill(now)
                bucket.settle(mark, used)
        self.sent[OUTPUT] += used - receipt.price.charge[OUTPUT]

    def cancel(self, receipt: Receipt, now: float) -> None:
        """It was never sent: all comes back."""
        if receipt.epoch != self.epoch:
            return
        self._land(receipt, now)
        for name, mark in receipt.marks.items():
            bucket = self.buckets.get(name)
            if bucket is not None:
                bucket.refill(now)
                bucket.refund(mark)
        for window in self.windows.values():
            window.refund(receipt.price.charge[window.measure])
        for measure in range(4):
            self.sent[measure] -= receipt.price.charge[measure]

    def refuse(self, receipt: Receipt, told: Refused, now: float) -> None:
        """The vendor refused it."""
        if receipt.epoch != self.epoch:
            return
        self.cancel(receipt, now)
        wait = told.retry_after
        if told.kind == "overload":  # no matter of limits: it has no capacity, for all
            self._block(now + min(wait or 0.0, MINUTE), OVERLOADED)
            return
        wave = now - self.refused < APART
        self.refused = now
        if told.readings:
            self._refused_with_headers(receipt, told.readings, now, wave=wave)
        elif not self.buckets:
            self._refused_without(told, now)
            if told.limit is None:
                self.fails += 1
                if wait is None and self.fails > 1:  # not a matter of this minute
                    wait = min(LONGEST_BACKOFF, 2.0**self.fails) * (0.8 + 0.4 * told.luck)
        if told.kind == "ramp":
            self.pace = min(self.pace, 1.0)
        if wait is not None:
            charge = receipt.price.charge
            shared = [bucket for bucket in self.buckets.values() if bucket.inflation > SHARED_FROM]
            apart = 0.0
            for bucket in shared:  # of a day's limit by how it is used, not by how it fills
                taken = charge[bucket.measure] * bucket.inflation
                apart = max(apart, taken / max(bucket.rate, bucket.limit / MINUTE))
            short = [one.name for one in told.readings if one.remaining < charge[one.measure]]
            self._block(now + min(LONGEST, wait + told.luck * apart), told.name or next(iter(short), ""))

    def _refused_with_headers(self, receipt: Receipt, told: tuple[Reading, ...], now: float, *, wave: bool) -> None:
        room = True
        for reading in told:
            bucket = self.buckets.get(reading.name)
            if bucket is None:
                bucket = self._first(reading, receipt, now)
                bucket.inflation = max(bucket.inflation, FIRST)  # the first answer is a refusal: somebody is there
            charge = receipt.price.charge[bucket.measure]
            bucket.refill(now)
            bucket.lower(reading.remaining - (self._unbilled * bucket.inflation if bucket.is_late else 0.0))
            if not bucket.is_late and reading.remaining < 1.5 * charge + bucket.grain:
                room = False
            if reading.remaining < charge + bucket.grain and not wave:
                bucket.warn()
        if room and not wave:  # refused although there is room: a shorter window than the headers tell
            self.pace = STRICT if self.pace > 1 else max(STRICT_LEAST, 0.9 * self.pace)

    def _refused_without(self, told: Refused, now: float) -> None:
        measure = REQUESTS if told.measure is None else told.measure
        windows = [window for window in self.windows.values() if window.measure == measure]
        meant = [window for window in windows if window.limit == told.limit]  # it names a limit that is known, else
        shortest = min((window.span for window in windows), default=0.0)  # a refusal for now is not one for the day
        for window in meant or [window for window in windows if window.span == shortest]:
            if told.limit is None and told.retry_after is not None and not (self.answers and window.used(now)):
                continue  # nothing of mine was let in, which tells when to come back, and not how much fits
            window.refuse(now, told.limit, told.retry_after)

    # ---------------------------------------------------------------- the parts

    def watch(self, limits: Mapping[str, float], now: float) -> None:
        """Count what is sent in windows: limits that were told (per minute, or as the name says), or none yet."""
        for name, limit in limits.items():
            span = _SPANS.get(name.rpartition("_")[2], MINUTE)
            self.windows[name] = Window(_measure(name), limit, limit * self.share, now + span, span, share=self.share)

    def heal(self, own: Model, now: float, ahead: float = 0.0) -> None:
        """
        After a time without the store a member may know better: of two levels the lower one is believed, of two times
        that a vendor told the later one. This clock is `ahead` of the member's.
        """
        self._block(own.blocked + ahead, own.blocked_by)
        for name, theirs in own.buckets.items():
            bucket = self.buckets.get(name)
            if bucket is None:
                bucket = self.buckets[name] = msgspec.structs.replace(theirs, at=now, corrected=0.0)
                self.answers, self.windows = max(self.answers, KNOWN), {}
            bucket.refill(now)
            bucket.lower(theirs.level)
            bucket.newest = self.seq + 1  # what was sent before is a picture of another level
            # Some are still pacing alone: what they take is not in here.
            bucket.inflation, bucket.mine, bucket.others, bucket.last = (
                theirs.inflation,
                theirs.mine,
                theirs.others,
                None,
            )

    def renew(self, who: str, now: float) -> Member:
        """A word of a member that may only wait for an answer."""
        return self._member(who, now)

    def _member(self, who: str, now: float) -> Member:
        """The member, with a new lease; those whose lease has ended are forgotten."""
        member = self.members.get(who)
        if member is None:
            member = self.members[who] = Member(now, now + LEASE)
        member.lease = now + LEASE
        if len(self.members) > 1:
            for name in [name for name, other in self.members.items() if other.lease < now]:
                del self.members[name]
        return member

    @property
    def _told(self) -> bool:
        return any(window.limit < math.inf for window in self.windows.values())

    @property
    def _unbilled(self) -> float:
        total = 0.0
        for member in self.members.values():
            total += member.unbilled
        return total

    def _mine(self, receipt: Receipt) -> Member | None:
        member = self.members.get(receipt.member)
        return member if member is not None and member.joined == receipt.joined else None

    def _land(self, receipt: Receipt, now: float) -> None:
        self.renew(receipt.member, now)
        if (member := self._mine(receipt)) is not None:
            member.flying = max(0, member.flying - 1)
            member.unbilled = max(0.0, member.unbilled - receipt.price.charge[OUTPUT])
            for measure, doubt in enumerate(receipt.price.doubt):
                member.doubt[measure] = max(0.0, member.doubt[measure] - doubt)

    def _first(self, told: Reading, receipt: Receipt, now: float) -> Bucket:
        """A dimension of which nothing was known."""
        measure, limit = told.measure, told.limit
        span = _SPANS.get(told.name.rpartition("_")[2], MINUTE)
        bucket = Bucket(measure, limit, limit / span, 0.0, now, newest=receipt.seq)
        if measure != REQUESTS and limit % 1000 == 0 and told.remaining % 1000 == 0:
            bucket.grain = 1000.0
        sent, then = self.sent[measure], receipt.sent[measure]
        since = self._unbilled if bucket.is_late else sent - then
        bucket.level = min(limit, told.remaining - since)
        if bucket.is_late:
            bucket.last = (told.remaining, receipt.at, then)
        else:
            bucket.first(then, sent, told.remaining, receipt.at)
        self.buckets[told.name] = bucket
        if self.share < 1:  # never read, so that it knows only what I send
            self.buckets[f"share of {told.name}"] = Bucket(
                measure, limit * self.share, bucket.rate * self.share, limit * self.share - sent, now
            )
        self.windows.pop(told.name, None)
        self.windows = {name: window for name, window in self.windows.items() if window.limit < math.inf}
        return bucket


def readings(info: RateLimitInfo) -> tuple[Reading, ...]:
    """The dimensions of an answer that a request is charged in."""
    told, at = [], info.observed_at
    split = "input_tokens" in [dimension.name for dimension in info.dimensions]
    for dimension in info.dimensions:
        limit, left, reset_at = dimension.limit, dimension.remaining, dimension.reset_at
        measure = _measure(dimension.name)
        if measure < 0 or not limit or left is None:
            continue
        if split and measure == TOTAL:
            continue  # Anthropic's `tokens` is the most restrictive of the others
        full_in, exact = None, True
        if reset_at is not None and at is not None:
            full_in, exact = reset_at - at, reset_at % 1 != 0
        told.append(Reading(dimension.name, measure, limit, min(left, limit), full_in, exact))
    return tuple(told)


@lru_cache(maxsize=256)  # names of vendors' limits are few
def _measure(name: str) -> int:
    """What a dimension counts; -1 for what no request is priced in."""
    word = name.partition(":")[0]
    if word not in MEASURES and word.rpartition("_")[2] in _SPANS:
        word = word.rpartition("_")[0]
    return MEASURES.get(word, -1)
