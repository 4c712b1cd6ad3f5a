"""Lists of policies, as the draft writes them and as servers do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.limits.policies import read_policies


@pytest.mark.parametrize(
    ("text", "policies"),
    [
        ('"api";r=999;t=295', {"api": {"r": "999", "t": "295"}}),
        (
            '"burst";q=100;w=60, "day";q=1000;w=86400',
            {"burst": {"q": "100", "w": "60"}, "day": {"q": "1000", "w": "86400"}},
        ),
        ('"a";r=1,"b";r=2', {"a": {"r": "1"}, "b": {"r": "2"}}),
        ('  "a" ; r=1 ;  t=2  ', {"a": {"r": "1", "t": "2"}}),
        ("default;r=50;t=30", {"default": {"r": "50", "t": "30"}}),
        ('"fixed window";"api";q=1000;w=300', {"api": {"q": "1000", "w": "300"}}),
        ('"a, b; c=d";q=1', {"a, b; c=d": {"q": "1"}}),
        ('"say \\"hi\\"";q=1', {'say "hi"': {"q": "1"}}),
        ('"a";q=1;qu="content-bytes";pk=:cHk=:', {"a": {"q": "1", "qu": "content-bytes", "pk": ":cHk=:"}}),
        ('"a";q=1;qu="content-bytes"', {"a": {"q": "1", "qu": "content-bytes"}}),
        ('"a"', {"a": {}}),
        ('"a";strict;r=1', {"a": {"r": "1"}}),
        ('"a";r=1, "a";r=2', {"a": {"r": "2"}}),
    ],
)
def test_each_policy_has_its_parameters(text: str, policies: dict[str, dict[str, str]]) -> None:
    assert read_policies(text) == policies


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        '"',
        '"a',
        '"a";r=1;',
        ";",
        ",",
        '"a";r=1,',
        '"a";;r=1',
        "r=1",
        "=1",
        '"a" "b";r=1',
        '"a";r=1 2',
        '"";r=1',
    ],
)
def test_what_cannot_be_read_to_its_end_is_nothing(text: str) -> None:
    assert read_policies(text) == {}


def test_a_list_is_bounded() -> None:
    assert len(read_policies(",".join(f"p{n};r=1" for n in range(16)))) == 16
    assert read_policies(",".join(f"p{n};r=1" for n in range(17))) == {}
    assert read_policies("a;r=1;b=" + "c" * 2048) == {}


@given(st.text(alphabet='"\\;,= ar1é\n', max_size=60))
def test_no_text_makes_it_raise_and_every_policy_has_a_name(text: str) -> None:
    assert "" not in read_policies(text)
