"""
The rate-limit headers of every recorded answer, against what was noted down in reading them, row by row.

A row begins with the last six letters of the case, then says what `RateLimitInfo` is to have: `limit_requests`,
`remaining_requests`, `limit_tokens`, `remaining_tokens`, `reset_time`. After each bar stands a dimension: its name
(R, T, I and O are requests, tokens, input and output tokens), its limit, what is left of it, its reset. A reset is a
moment, of which a dimension has the time of day alone, or begins with + and is seconds from now; ? is unsaid.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from headrace._types import LimitDimension
from headrace.limits.dialects import DIALECTS
from headrace.limits.headers import parse

ROOT = os.environ.get("HEADRACE_RECORDINGS")
NOW = 1_790_000_000.0  # 2026-09-21, later than every recorded reset

TABLE = {
    "anthropic": """
c189c9 0 0 0 0 ?
e154cd 0 0 0 0 ?
029b31 0 0 0 0 ?
b47f79 0 0 0 0 ?
c67064 0 0 0 0 ?
c5f724 5 1 10000 10000 2024-06-04T18:39:57 | R 5 1 18:39:57 | T 10000 10000 18:39:57
1d7d72 0 0 22500000 22498000 2025-07-03T18:18:12
    | T 22500000 22498000 18:18:12 | I 20000000 19998000 18:18:12 | O 2500000 2500000 18:18:12
0c18c7 4000 3999 4800000 4799000 2026-01-02T22:10:57
    | R 4000 3999 22:10:57 | T 4800000 4799000 22:10:57 | I 4000000 3999000 22:10:57 | O 800000 800000 22:10:57
11b22b 4000 3999 4800000 4799000 2026-01-02T23:49:18
    | R 4000 3999 23:49:18 | T 4800000 4799000 23:49:18 | I 4000000 3999000 23:49:18 | O 800000 800000 23:49:18
25dcd6 4000 3999 4800000 4669000 2025-11-19T21:21:36
    | R 4000 3999 21:21:36 | T 4800000 4669000 21:21:47 | I 4000000 3870000 21:21:47 | O 800000 799000 21:21:54
55e2d3 4000 3999 4800000 4799000 2026-01-02T22:11:01
    | R 4000 3999 22:11:01 | T 4800000 4799000 22:11:01 | I 4000000 3999000 22:11:01 | O 800000 800000 22:11:01
dffdf2 10000 9999 12000000 11999000 2026-08-19T14:34:18
    | R 10000 9999 14:34:18 | T 12000000 11999000 14:34:18 | I 10000000 9999000 14:34:18 | O 2000000 2000000 14:34:18
2576b7 20000 19998 24000000 23998000 2026-03-18T18:20:02
    | R 20000 19998 18:20:02 | T 24000000 23998000 18:20:05 | I 20000000 19998000 18:20:05
    | O 4000000 4000000 18:20:05
b7f3e5 20000 19998 24000000 23999000 2026-03-18T17:50:11
    | R 20000 19998 17:50:11 | T 24000000 23999000 17:50:11 | I 20000000 19999000 17:50:11
    | O 4000000 4000000 17:50:11
08fca2 10000 9999 12000000 11992000 2026-08-02T17:44:23
    | R 10000 9999 17:44:23 | T 12000000 11992000 17:44:25 | I 10000000 9992000 17:44:25 | O 2000000 2000000 17:44:26
8b4eba 4000 3999 2400000 2400000 2026-01-09T01:11:49
    | R 4000 3999 01:11:49 | T 2400000 2400000 01:11:51 | I 2000000 2000000 01:11:51 | O 400000 400000 01:11:52
12302c 0 0 2400000 2399000 2025-11-15T00:56:36
    | T 2400000 2399000 00:56:36 | I 2000000 1999000 00:56:36 | O 400000 400000 00:56:36
fca01d 1000 999 56000 54000 2025-10-14T19:39:55
    | R 1000 999 19:39:55 | T 56000 54000 19:39:55 | I 40000 40000 19:39:55 | O 16000 14000 19:40:02
ab5253 1000 999 540000 540000 2025-10-14T19:38:50
    | R 1000 999 19:38:50 | T 540000 540000 19:38:50 | I 450000 450000 19:38:50 | O 90000 90000 19:38:50
16328a 0 0 0 0 ?
3531bd 1000 999 540000 537000 2025-11-02T17:05:00
    | R 1000 999 17:05:00 | T 540000 537000 17:05:01 | I 450000 450000 17:05:01 | O 90000 87000 17:06:17
cb5bea 0 0 0 0 ?
53c19b 4000 3999 0 0 2025-01-01T22:10:33 | R 4000 3999 22:10:33
e7c28c 1000 999 540000 540000 2025-11-02T17:04:50
    | R 1000 999 17:04:50 | T 540000 540000 17:04:50 | I 450000 450000 17:04:50 | O 90000 90000 17:04:50
2553b2 4000 3999 480000 480000 2025-07-29T15:41:24
    | R 4000 3999 15:41:24 | T 480000 480000 15:41:24 | I 400000 400000 15:41:24 | O 80000 80000 15:41:24
6ebbd7 4000 3999 480000 480000 2025-07-29T09:59:33
    | R 4000 3999 09:59:33 | T 480000 480000 09:59:33 | I 400000 400000 09:59:33 | O 80000 80000 09:59:33
98c7c6 50 49 40000 40000 2024-10-16T05:02:55 | R 50 49 05:02:55 | T 40000 40000 05:02:23
3bf36f 4000 3999 480000 480000 2025-08-02T12:00:45
    | R 4000 3999 12:00:45 | T 480000 480000 12:00:45 | I 400000 400000 12:00:45 | O 80000 80000 12:00:45
12e17e 10000 9999 12000000 11999000 2026-08-19T14:34:50
    | R 10000 9999 14:34:50 | T 12000000 11999000 14:34:50 | I 10000000 9999000 14:34:50 | O 2000000 2000000 14:34:50
ac7f36 50 49 60000 60000 2025-10-24T17:54:01
    | R 50 49 17:54:01 | T 60000 60000 17:54:00 | I 50000 50000 17:54:00 | O 10000 10000 17:54:00
5e42e6 20000 19999 12000000 12000000 2026-07-14T01:07:10
    | R 20000 19999 01:07:10 | T 12000000 12000000 01:07:10 | I 10000000 10000000 01:07:10
    | O 2000000 2000000 01:07:10
81803a 20000 19999 12000000 12000000 2026-07-14T01:06:57
    | R 20000 19999 01:06:57 | T 12000000 12000000 01:06:57 | I 10000000 10000000 01:06:57
    | O 2000000 2000000 01:06:57
""",
    "openai": """
af53b8 1000 999 3000000 2999987 +0.06 | R 1000 999 +0.06 | T 3000000 2999987 +0
d7bc5d 30000 29999 150000000 149999225 +0.002
    | R 30000 29999 +0.002 | T 150000000 149999225 +0 | input_images 50000 49999 +0.001
a65196 500 499 200000 199999 +0.12 | R 500 499 +0.12 | T 200000 199999 +0
c149cb 5000 4999 800000 799987 +0.012 | R 5000 4999 +0.012 | T 800000 799987 +0
00cab8 10000 9999 1000000 999996 +0.006 | R 10000 9999 +0.006 | T 1000000 999996 +0
94ac98 10000 9999 30000000 29999974 +0.006 | R 10000 9999 +0.006 | T 30000000 29999974 +0
2ad9a1 5000 4999 4000000 3999992 +0.012 | R 5000 4999 +0.012 | T 4000000 3999992 +0
bc4345 500 499 200000 199227 +0.12 | R 500 499 +0.12 | T 200000 199227 +0.231 | input_images 50000 49999 +0.001
46da93 10000 9999 1000000 999989 +0.006 | R 10000 9999 +0.006 | T 1000000 999989 +0
ac818a 5000 4999 800000 799984 +0.012 | R 5000 4999 +0.012 | T 800000 799984 +0.001
8c9163 3500 3499 90000 89980 +0.017
    | R 3500 3499 +0.017 | T 90000 89980 +0.012 | tokens_usage_based 90000 89980 +0.012
19de7a 10000 9999 800000 799976 +0.006 | R 10000 9999 +0.006 | T 800000 799976 +0.001
294806 500 499 30000 29210 +0.12 | R 500 499 +0.12 | T 30000 29210 +1.58 | input_images 50000 49999 +0.001
391c50 100 99 6000 5974 +0.6 | R 100 99 +0.6 | T 6000 5974 +0.26
18c090 500 499 200000 199995 +0.12 | R 500 499 +0.12 | T 200000 199995 +0.001
272f12 3000 2999 250000 249979 +0.02
    | R 3000 2999 +0.02 | T 250000 249979 +0.004 | tokens_usage_based 250000 249979 +0.004
93c1f4 10000 9999 300000 299989 +0.006 | R 10000 9999 +0.006 | T 300000 299989 +0.002
676c80 500 499 30000 29962 +0.12 | R 500 499 +0.12 | T 30000 29962 +0.076
06e871 10000 9999 2000000 1999989 +0.006 | R 10000 9999 +0.006 | T 2000000 1999989 +0
e92ce3 5000 4999 160000 159970 +0.012 | R 5000 4999 +0.012 | T 160000 159970 +0.011
4df85f 500 499 200000 199973 +0.12 | R 500 499 +0.12 | T 200000 199973 +0.008
33ea20 15000 14999 40000000 39999960 +0.004 | R 15000 14999 +0.004 | T 40000000 39999960 +0
894399 10000 9999 30000000 29999969 +0.006 | R 10000 9999 +0.006 | T 30000000 29999969 +0
6add1c 5000 4999 1000000 996223 +0.012 | R 5000 4999 +0.012 | T 1000000 996223 +0.226
89b33a 10000 9999 30000000 29999643 +0.006 | R 10000 9999 +0.006 | T 30000000 29999643 +0
fa66bc 10000 9999 30000000 29999643 +0.006 | R 10000 9999 +0.006 | T 30000000 29999643 +0
7e4905 5000 4999 2000000 1999446 +0.012 | R 5000 4999 +0.012 | T 2000000 1999446 +0.016
1b0bdd 15000 14999 40000000 40000000 +0.004 | R 15000 14999 +0.004 | T 40000000 40000000 +0
9be205 5000 4999 2000000 2000000 +0.012 | R 5000 4999 +0.012 | T 2000000 2000000 +0
6edcaa 10000 9999 2000000 1999972 +0.006 | R 10000 9999 +0.006 | T 2000000 1999972 +0
""",
    "azure": """
2ab77f 0 119 0 119984 ? | R ? 119 ? | T ? 119984 ?
07d54c 2500 2499 250000 249989 ? | R 2500 2499 ? | T 250000 249989 ?
ccbd9c 10000 9991 10000000 9999433 ? | R 10000 9991 ? | T 10000000 9999433 ?
8bc9bc 50 34 50000 49428 ? | R 50 34 ? | T 50000 49428 ?
d1d2fc 50000 49988 5000000 4999324 ? | R 50000 49988 ? | T 5000000 4999324 ?
68e16c 250 249 250000 249993 +0 | R 250 249 +0 | T 250000 249993 +0
""",
    "cerebras": """
01bced 1440000 1439990 1000000 1000000 +3563.6066987514496
    | requests_day 1440000 1439990 +3563.6066987514496 | tokens_minute 1000000 1000000 +23.606698751449585
9ffa9f 1440000 1439980 1000000 995531 +3554.629728794098
    | requests_day 1440000 1439980 +3554.629728794098 | tokens_minute 1000000 995531 +14.6297287940979
1c5b38 1440000 1439994 1000000 999220 +24480.0326256752
    | requests_day 1440000 1439994 +24480.0326256752 | tokens_minute 1000000 999220 +0.032625675201416016
""",
    "groq": """
00b25e 14400 14399 6000 5987 +6 | requests_day 14400 14399 +6 | tokens_minute 6000 5987 +0.13
828e73 1000 997 8000 7603 +259.2 | requests_day 1000 997 +259.2 | tokens_minute 8000 7603 +2.9775
25ef81 1000 997 10000 9571 +258.807 | requests_day 1000 997 +258.807 | tokens_minute 10000 9571 +2.571999999
092909 1000 988 6000 2300 +1036.8 | requests_day 1000 988 +1036.8 | tokens_minute 6000 2300 +37
fc7d54 1000 996 6000 5443 +345.6 | requests_day 1000 996 +345.6 | tokens_minute 6000 5443 +5.57
9320ee 1000 996 10000 9789 +345.6 | requests_day 1000 996 +345.6 | tokens_minute 10000 9789 +1.266
""",
    "huggingface": """
260b23 0 0 0 0 ?
cf5f74 0 0 0 0 ?
""",
    "mistral": """
786c7b 4 3 250000 249891 ? | requests_minute 4 3 ? | tokens_minute 250000 249891 ?
3e217e 5 4 75000 74932 ? | requests_minute 5 4 ? | tokens_minute 75000 74932 ?
b9133f 0 0 500000 342032 +60 | tokens_minute 500000 342032 +60 | tokens_month 1000000000 997342940 ?
3046c6 0 0 2000000 1487836 +34 | tokens_minute 2000000 1487836 +34 | tokens_month 10000000000 9998303472 ?
""",
    "openrouter": """
d1eb7f 20 0 0 0 2025-10-07T13:57:00 | R 20 0 13:57:00
98cb61 20 0 0 0 2025-10-05T13:33:00 | R 20 0 13:33:00
143aba 16 0 0 0 2025-10-07T14:00:00 | R 16 0 14:00:00
""",
    "together": """
f21f49 2 1 0 0 +2 | R 2 1 +2
""",
    "grok": """
6ce53c 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
0bb0e0 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
561a4a 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
661cd3 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
99c3e8 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
7cf244 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
c62b74 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
1a5b57 1800 1800 10000000 10000000 ? | R 1800 1800 ? | T 10000000 10000000 ?
""",
}
NAMES = {"R": "requests", "T": "tokens", "I": "input_tokens", "O": "output_tokens"}
# Where nobody knows that it is Groq, nobody knows the windows.
UNNAMED = {"groq": {"requests_day": "requests", "tokens_minute": "tokens"}}
SAYS_NOTHING = dict.fromkeys(("16328a", "cb5bea"), ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"))


class Row(NamedTuple):
    """A line of the table."""

    dialect: str
    plain: tuple[int, int, int, int]
    reset_time: float | None
    dimensions: tuple[LimitDimension, ...]


def row(dialect: str, line: str) -> Row:
    """What a line says, after its case."""
    plain, *dimensions = [part.split() for part in line.split("|")]
    *numbers, reset = plain
    day = reset.partition("T")[0]
    told = tuple(
        LimitDimension(NAMES.get(name, name), number(limit), number(remaining), moment(at, day))
        for name, limit, remaining, at in dimensions
    )
    limit_requests, remaining_requests, limit_tokens, remaining_tokens = map(int, numbers)
    return Row(dialect, (limit_requests, remaining_requests, limit_tokens, remaining_tokens), moment(reset, day), told)


def number(text: str) -> float | None:
    return None if text == "?" else float(text)


def moment(text: str, day: str) -> float | None:
    if text == "?":
        return None
    if text.startswith("+"):
        return NOW + float(text)
    return datetime.fromisoformat(f"{day}T{text.rpartition('T')[2]}").replace(tzinfo=UTC).timestamp()


ROWS = {
    line[:6]: row(dialect, line[6:])
    for dialect, table in TABLE.items()
    for line in table.strip().replace("\n    ", " ").split("\n")
}


def recorded() -> dict[str, dict[str, str]]:
    """The headers of each case."""
    if ROOT is None:
        return {}
    lines = Path(ROOT, "ratelimits.tsv").read_text().splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    return {path.rpartition(".")[0][-6:]: dict(cell.split("=", 1) for cell in rest) for path, _, _, *rest in cells}


RECORDED = recorded()
pytestmark = pytest.mark.skipif(ROOT is None, reason="HEADRACE_RECORDINGS does not name a folder of recorded answers")


def test_every_recorded_answer_has_its_row() -> None:
    assert set(RECORDED) == set(ROWS)


@pytest.mark.parametrize("case", ROWS)
def test_recorded(case: str) -> None:
    expected = ROWS[case]
    info, skipped = parse(RECORDED[case], DIALECTS[expected.dialect], now=NOW)
    plain = (info.limit_requests, info.remaining_requests, info.limit_tokens, info.remaining_tokens)
    assert plain == expected.plain
    assert info.reset_time == expected.reset_time
    assert info.dimensions == expected.dimensions
    assert skipped == SAYS_NOTHING.get(case, ())
    assert info.source == ("headers" if expected.dimensions else "")


@pytest.mark.parametrize("case", ROWS)
def test_the_same_is_read_where_nobody_knows_the_vendor(case: str) -> None:
    expected = ROWS[case]
    names = UNNAMED.get(expected.dialect, {})
    info, _ = parse(RECORDED[case], DIALECTS["any"], now=NOW)
    plain = (info.limit_requests, info.remaining_requests, info.limit_tokens, info.remaining_tokens)
    assert plain == expected.plain
    assert info.reset_time == expected.reset_time
    assert set(info.dimensions) == {
        LimitDimension(names.get(one.name, one.name), one.limit, one.remaining, one.reset_at)
        for one in expected.dimensions
    }
