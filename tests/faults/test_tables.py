"""
No fault, no option of a fault and no way of writing that the simulator knows is left out of the tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from headrace.simulator import Framing, faults

from .test_after_content import AFTER
from .test_before_content import BEFORE, STALLED
from .test_well_formed import GOOD


def choices(cls: type[faults.Fault | Framing]) -> Iterator[tuple[str, object]]:
    """Every value of every field that has but a few."""
    for name, hint in get_type_hints(cls).items():
        for one in (hint, *get_args(hint)):
            if one is bool:
                yield from ((name, False), (name, True))
            elif get_origin(one) is Literal:
                yield from ((name, value) for value in get_args(one))


@pytest.mark.parametrize("name", faults.FAULTS)
def test_every_fault_stands_in_a_table_with_each_of_its_choices(name: str) -> None:
    cls = faults.FAULTS[name]
    rows = [*AFTER.values(), *BEFORE.values(), *GOOD.values(), STALLED]
    played = [fault for row in rows for fault in row.faults]
    shown = [fault for fault in played if type(fault) is cls]
    assert shown
    for field, value in choices(cls):
        assert any(getattr(fault, field) == value for fault in shown), (field, value)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Framing)])
def test_every_framing_option_stands_in_a_table(field: str) -> None:
    usual = getattr(Framing(), field)
    shown = {getattr(row.framing, field) for row in GOOD.values()}
    assert {value for name, value in choices(Framing) if name == field} <= shown
    assert shown - {usual}
