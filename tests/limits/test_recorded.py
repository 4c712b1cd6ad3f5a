"""
The rate-limit headers of every recorded answer, against what a reader of them would note down.

A row is the case's last six letters, the date of its resets where they are dates, then what each dimension has left of
its limit and when it resets: a time of that day, or seconds from now. R, T, I and O are requests, tokens, input and
output tokens; ? is unsaid.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace._types import LimitDimension, RateLimitInfo
from headrace.limits.dialects import DIALECTS
from headrace.limits.headers import parse

ROOT = os.environ.get("HEADRACE_RECORDINGS")
NOW = 1_790_000_000.0  # 2026-09-21, later than every recorded reset

NAMES = {"requests": "R", "tokens": "T", "input_tokens": "I", "output_tokens": "O"}
EXPECTED = {
    "anthropic": """
c189c9 -
e154cd -
029b31 -
b47f79 -
c67064 -
c5f724 2024-06-04 R 1/5 18:39:57 T 10000/10000 18:39:57
1d7d72 2025-07-03 T 22498000/22500000 18:18:12 I 19998000/20000000 18:18:12 O 2500000/2500000 18:18:12
0c18c7 2026-01-02 R 3999/4000 22:10:57 T 4799000/4800000 22:10:57 I 3999000/4000000 22:10:57
    O 800000/800000 22:10:57
11b22b 2026-01-02 R 3999/4000 23:49:18 T 4799000/4800000 23:49:18 I 3999000/4000000 23:49:18
    O 800000/800000 23:49:18
25dcd6 2025-11-19 R 3999/4000 21:21:36 T 4669000/4800000 21:21:47 I 3870000/4000000 21:21:47
    O 799000/800000 21:21:54
55e2d3 2026-01-02 R 3999/4000 22:11:01 T 4799000/4800000 22:11:01 I 3999000/4000000 22:11:01
    O 800000/800000 22:11:01
dffdf2 2026-08-19 R 9999/10000 14:34:18 T 11999000/12000000 14:34:18 I 9999000/10000000 14:34:18
    O 2000000/2000000 14:34:18
2576b7 2026-03-18 R 19998/20000 18:20:02 T 23998000/24000000 18:20:05 I 19998000/20000000 18:20:05
    O 4000000/4000000 18:20:05
b7f3e5 2026-03-18 R 19998/20000 17:50:11 T 23999000/24000000 17:50:11 I 19999000/20000000 17:50:11
    O 4000000/4000000 17:50:11
08fca2 2026-08-02 R 9999/10000 17:44:23 T 11992000/12000000 17:44:25 I 9992000/10000000 17:44:25
    O 2000000/2000000 17:44:26
8b4eba 2026-01-09 R 3999/4000 01:11:49 T 2400000/2400000 01:11:51 I 2000000/2000000 01:11:51
    O 400000/400000 01:11:52
12302c 2025-11-15 T 2399000/2400000 00:56:36 I 1999000/2000000 00:56:36 O 400000/400000 00:56:36
fca01d 2025-10-14 R 999/1000 19:39:55 T 54000/56000 19:39:55 I 40000/40000 19:39:55 O 14000/16000 19:40:02
ab5253 2025-10-14 R 999/1000 19:38:50 T 540000/540000 19:38:50 I 450000/450000 19:38:50 O 90000/90000 19:38:50
16328a -
3531bd 2025-11-02 R 999/1000 17:05:00 T 537000/540000 17:05:01 I 450000/450000 17:05:01 O 87000/90000 17:06:17
cb5bea -
53c19b 2025-01-01 R 3999/4000 22:10:33
e7c28c 2025-11-02 R 999/1000 17:04:50 T 540000/540000 17:04:50 I 450000/450000 17:04:50 O 90000/90000 17:04:50
2553b2 2025-07-29 R 3999/4000 15:41:24 T 480000/480000 15:41:24 I 400000/400000 15:41:24 O 80000/80000 15:41:24
6ebbd7 2025-07-29 R 3999/4000 09:59:33 T 480000/480000 09:59:33 I 400000/400000 09:59:33 O 80000/80000 09:59:33
98c7c6 2024-10-16 R 49/50 05:02:55 T 40000/40000 05:02:23
3bf36f 2025-08-02 R 3999/4000 12:00:45 T 480000/480000 12:00:45 I 400000/400000 12:00:45 O 80000/80000 12:00:45
12e17e 2026-08-19 R 9999/10000 14:34:50 T 11999000/12000000 14:34:50 I 9999000/10000000 14:34:50
    O 2000000/2000000 14:34:50
ac7f36 2025-10-24 R 49/50 17:54:01 T 60000/60000 17:54:00 I 50000/50000 17:54:00 O 10000/10000 17:54:00
5e42e6 2026-07-14 R 19999/20000 01:07:10 T 12000000/12000000 01:07:10 I 10000000/10000000 01:07:10
    O 2000000/2000000 01:07:10
81803a 2026-07-14 R 19999/20000 01:06:57 T 12000000/12000000 01:06:57 I 10000000/10000000 01:06:57
    O 2000000/2000000 01:06:57
""",
    "openai": """
af53b8 R 999/1000 +0.06 T 2999987/3000000 +0
d7bc5d R 29999/30000 +0.002 T 149999225/150000000 +0 input_images 49999/50000 +0.001
a65196 R 499/500 +0.12 T 199999/200000 +0
c149cb R 4999/5000 +0.012 T 799987/800000 +0
00cab8 R 9999/10000 +0.006 T 999996/1000000 +0
94ac98 R 9999/10000 +0.006 T 29999974/30000000 +0
2ad9a1 R 4999/5000 +0.012 T 3999992/4000000 +0
bc4345 R 499/500 +0.12 T 199227/200000 +0.231 input_images 49999/50000 +0.001
46da93 R 9999/10000 +0.006 T 999989/1000000 +0
ac818a R 4999/5000 +0.012 T 799984/800000 +0.001
8c9163 R 3499/3500 +0.017 T 89980/90000 +0.012 tokens_usage_based 89980/90000 +0.012
19de7a R 9999/10000 +0.006 T 799976/800000 +0.001
294806 R 499/500 +0.12 T 29210/30000 +1.58 input_images 49999/50000 +0.001
391c50 R 99/100 +0.6 T 5974/6000 +0.26
18c090 R 499/500 +0.12 T 199995/200000 +0.001
272f12 R 2999/3000 +0.02 T 249979/250000 +0.004 tokens_usage_based 249979/250000 +0.004
93c1f4 R 9999/10000 +0.006 T 299989/300000 +0.002
676c80 R 499/500 +0.12 T 29962/30000 +0.076
06e871 R 9999/10000 +0.006 T 1999989/2000000 +0
e92ce3 R 4999/5000 +0.012 T 159970/160000 +0.011
4df85f R 499/500 +0.12 T 199973/200000 +0.008
33ea20 R 14999/15000 +0.004 T 39999960/40000000 +0
894399 R 9999/10000 +0.006 T 29999969/30000000 +0
6add1c R 4999/5000 +0.012 T 996223/1000000 +0.226
89b33a R 9999/10000 +0.006 T 29999643/30000000 +0
fa66bc R 9999/10000 +0.006 T 29999643/30000000 +0
7e4905 R 4999/5000 +0.012 T 1999446/2000000 +0.016
1b0bdd R 14999/15000 +0.004 T 40000000/40000000 +0
9be205 R 4999/5000 +0.012 T 2000000/2000000 +0
6edcaa R 9999/10000 +0.006 T 1999972/2000000 +0
""",
    "azure": """
2ab77f R 119/? T 119984/?
07d54c R 2499/2500 T 249989/250000
ccbd9c R 9991/10000 T 9999433/10000000
8bc9bc R 34/50 T 49428/50000
d1d2fc R 49988/50000 T 4999324/5000000
68e16c R 249/250 +0 T 249993/250000 +0
""",
    "cerebras": """
01bced requests_day 1439990/1440000 +3563.6067 tokens_minute 1000000/1000000 +23.6067
9ffa9f requests_day 1439980/1440000 +3554.6297 tokens_minute 995531/1000000 +14.6297
1c5b38 requests_day 1439994/1440000 +24480.0326 tokens_minute 999220/1000000 +0.0326
""",
    "groq": """
00b25e R 14399/14400 +6 T 5987/6000 +0.13
828e73 R 997/1000 +259.2 T 7603/8000 +2.9775
25ef81 R 997/1000 +258.807 T 9571/10000 +2.572
092909 R 988/1000 +1036.8 T 2300/6000 +37
fc7d54 R 996/1000 +345.6 T 5443/6000 +5.57
9320ee R 996/1000 +345.6 T 9789/10000 +1.266
""",
    "huggingface": """
260b23 -
cf5f74 -
""",
    "mistral": """
786c7b requests_minute 3/4 tokens_minute 249891/250000
3e217e requests_minute 4/5 tokens_minute 74932/75000
b9133f tokens_minute 342032/500000 +60 tokens_month 997342940/1000000000
3046c6 tokens_minute 1487836/2000000 +34 tokens_month 9998303472/10000000000
""",
    "openrouter": """
d1eb7f 2025-10-07 R 0/20 13:57:00
98cb61 2025-10-05 R 0/20 13:33:00
143aba 2025-10-07 R 0/16 14:00:00
""",
    "together": """
f21f49 R 1/2 +2
""",
    "grok": """
6ce53c R 1800/1800 T 10000000/10000000
0bb0e0 R 1800/1800 T 10000000/10000000
561a4a R 1800/1800 T 10000000/10000000
661cd3 R 1800/1800 T 10000000/10000000
99c3e8 R 1800/1800 T 10000000/10000000
7cf244 R 1800/1800 T 10000000/10000000
c62b74 R 1800/1800 T 10000000/10000000
1a5b57 R 1800/1800 T 10000000/10000000
""",
}
ROWS = {
    row.split()[0]: (dialect, " ".join(row.split()[1:]).removeprefix("-"))
    for dialect, table in EXPECTED.items()
    for row in table.strip().replace("\n    ", " ").split("\n")
}
# Which dimensions the four plain numbers of RateLimitInfo stand for, where it is not requests and tokens.
PLAIN = {"cerebras": ("requests_day", "tokens_minute"), "mistral": ("requests_minute", "tokens_minute")}
SAYS_NOTHING = dict.fromkeys(("16328a", "cb5bea"), ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"))


def recorded() -> dict[str, dict[str, str]]:
    """The headers of each case."""
    if ROOT is None:
        return {}
    lines = Path(ROOT, "ratelimits.tsv").read_text().splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    return {path.rpartition(".")[0][-6:]: dict(cell.split("=", 1) for cell in rest) for path, _, _, *rest in cells}


RECORDED = recorded()
pytestmark = pytest.mark.skipif(ROOT is None, reason="HEADRACE_RECORDINGS does not name a folder of recorded answers")


def written(dimensions: tuple[LimitDimension, ...]) -> str:
    """What was read, as the rows above write it."""
    date, words = "", list[str]()
    for one in dimensions:
        limit, remaining = ("?" if count is None else f"{count:.0f}" for count in (one.limit, one.remaining))
        words.append(f"{NAMES.get(one.name, one.name)} {remaining}/{limit}")
        if one.reset_at is not None and one.reset_at >= NOW:
            words.append(f"+{round(one.reset_at - NOW, 4):.10g}")
        elif one.reset_at is not None:
            moment = datetime.fromtimestamp(one.reset_at, UTC)
            date = f"{moment:%Y-%m-%d}"
            words.append(f"{moment:%H:%M:%S}")
    return " ".join([date, *words]).strip()


def test_every_recorded_answer_has_its_row() -> None:
    assert set(RECORDED) == set(ROWS)


@pytest.mark.parametrize("case", ROWS)
def test_recorded(case: str) -> None:
    dialect, expected = ROWS[case]
    info, skipped = parse(RECORDED[case], DIALECTS[dialect], now=NOW)
    assert written(info.dimensions) == expected
    assert skipped == SAYS_NOTHING.get(case, ())
    requests, tokens = PLAIN.get(dialect, ("requests", "tokens"))
    assert (info.limit_requests, info.remaining_requests) == plain(info, requests)
    assert (info.limit_tokens, info.remaining_tokens) == plain(info, tokens)


@pytest.mark.parametrize("case", ROWS)
def test_the_same_is_read_where_nobody_knows_the_vendor(case: str) -> None:
    known, _ = parse(RECORDED[case], DIALECTS[ROWS[case][0]], now=NOW)
    info, _ = parse(RECORDED[case], DIALECTS["any"], now=NOW)
    assert set(info.dimensions) == set(known.dimensions)
    assert (info.limit_requests, info.remaining_requests) == (known.limit_requests, known.remaining_requests)
    assert (info.limit_tokens, info.remaining_tokens, info.reset_time) == (
        known.limit_tokens,
        known.remaining_tokens,
        known.reset_time,
    )


def plain(info: RateLimitInfo, name: str) -> tuple[int, int]:
    """Limit and remaining of the dimension, 0 for what was not told."""
    one = next((one for one in info.dimensions if one.name == name), LimitDimension(name, 0))
    return int(one.limit or 0), int(one.remaining or 0)
