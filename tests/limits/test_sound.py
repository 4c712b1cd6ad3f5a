"""A model out of a store is believed only if every number of it can be."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import pytest

from headrace.limits._bucket import Bucket
from headrace.limits._sound import is_sound
from headrace.limits._window import Window
from headrace.limits.cost import Price
from headrace.limits.model import Member, Model, Receipt, Refused

NOW = 1_790_000_000.0
PRICE = Price((1.0, 100.0, 200.0, 300.0), (0.0, 9.0, 0.0, 9.0))


def made() -> Model:
    """A model in use: a bucket that was taken from, a window with sends, a member with a request open."""
    model = Model(NOW)
    model.buckets["requests"] = Bucket(0, 60.0, 1.0, 60.0, NOW)
    model.windows["tokens"] = Window(3, 1000.0, 1000.0, NOW + 60)
    model.take("me", PRICE, NOW)
    return model


def test_a_model_in_use_is_sound_after_its_journey() -> None:
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(made()), type=Model)
    assert is_sound(decoded, NOW)
    assert is_sound(decoded, NOW + 3600)
    assert is_sound(Model(NOW), NOW)


def test_a_refusal_for_a_week_is_one() -> None:
    model = made()
    receipt = model.take("me", PRICE, NOW, force=True)
    assert isinstance(receipt, Receipt)
    for told in (7 * 86_400.0, 1e12):  # and what cannot be meant keeps nobody away for ever
        model.refuse(receipt, Refused(retry_after=told, luck=1.0), NOW)
        assert is_sound(model, NOW)
    assert model.blocked == NOW + 31 * 86_400


WRONG: dict[str, Callable[[Model], object]] = {
    "a level above the limit": lambda m: setattr(m.buckets["requests"], "level", 61.0),
    "a level that is no number": lambda m: setattr(m.buckets["requests"], "level", math.nan),
    "a level below all": lambda m: setattr(m.buckets["requests"], "level", -math.inf),
    "no rate": lambda m: setattr(m.buckets["requests"], "rate", 0.0),
    "no limit": lambda m: setattr(m.buckets["requests"], "limit", -1.0),
    "a measure that is none": lambda m: setattr(m.buckets["requests"], "measure", 7),
    "a share of the others that cannot be": lambda m: setattr(m.buckets["requests"], "inflation", 0.0),
    "an inflation without bound": lambda m: setattr(m.buckets["requests"], "inflation", 1e9),
    "a time to come": lambda m: setattr(m.buckets["requests"], "at", NOW + 100),
    "a window of no length": lambda m: setattr(m.windows["tokens"], "span", 0.0),
    "a window that ends never": lambda m: setattr(m.windows["tokens"], "ends", math.inf),
    "a log without end": lambda m: setattr(m.windows["tokens"], "log", [(NOW, 1.0)] * 10_000),
    "a send of less than nothing": lambda m: setattr(m.windows["tokens"], "log", [(NOW, -1.0)]),
    "blocked for a year": lambda m: setattr(m, "blocked", NOW + 3e7),
    "blocked until no time": lambda m: setattr(m, "blocked", math.nan),
    "a next request in a year": lambda m: setattr(m, "next_at", NOW + 3e7),
    "no pace": lambda m: setattr(m, "pace", 0.0),
    "a pace above all": lambda m: setattr(m, "pace", 1e6),
    "sums of too few": lambda m: setattr(m, "sent", [0.0]),
    "a sum that is no number": lambda m: m.sent.__setitem__(0, math.nan),
    "less than nothing in flight": lambda m: setattr(m.members["me"], "flying", -1),
    "a doubt below nothing": lambda m: m.members["me"].doubt.__setitem__(1, -5.0),
    "too many members": lambda m: m.members.update({str(i): Member(NOW, NOW) for i in range(10_001)}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_number_that_cannot_be_is_no_model(what: str) -> None:
    model = made()
    WRONG[what](model)
    assert not is_sound(model, NOW)
