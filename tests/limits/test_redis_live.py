"""Four processes, two on each loop, share a limit over a real Redis: `benchmarks.pacing_live` in short."""

from __future__ import annotations

import pytest
from benchmarks.pacing_live import burst, goodput

from ..redis_server import RedisServer, redis, redis_server

__all__ = ("redis", "redis_server")  # fixtures

COUNT, TOKENS = 120, 60_000


@pytest.mark.slow
def test_four_processes_share_a_limit_without_a_refusal(redis: RedisServer) -> None:
    seen, done = burst(COUNT, TOKENS, redis.url, quiet=0)
    assert [one["errors"] for one in done] == [[], [], [], []]
    assert [one["answers"] for one in done] == [COUNT // 4] * 4
    assert seen["refusals"] == 0
    assert seen["work"] > 1.5 * TOKENS  # they had to wait
    assert goodput(seen, TOKENS) > 0.5  # 0.95 on a machine that does nothing else
    assert sum(one["calls"] for one in done) <= 6 * COUNT
    (key,) = redis.ask("KEYS", "*").splitlines()
    assert "any-key" not in key
