"""What a `RedisStore` is given: where the server is, and what is told of a URL that cannot be read."""

from __future__ import annotations

import re
import sys

import pytest

from headrace.limits._redis_url import parse
from headrace.limits.redis import RedisStore


@pytest.mark.parametrize(
    ("url", "shown", "user", "password"),
    [
        ("redis://localhost", "redis://localhost:6379/0", "", ""),
        ("redis://localhost/", "redis://localhost:6379/0", "", ""),
        ("redis://10.0.0.7:6380/3", "redis://10.0.0.7:6380/3", "", ""),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1", "", ""),
        ("redis://:word@cache", "redis://cache:6379/0", "", "word"),
        ("redis://me:p%40ss%2Fw%25@cache:1/2", "redis://cache:1/2", "me", "p@ss/w%"),
        ("rediss://me:word@cache.example", "rediss://cache.example:6379/0", "me", "word"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0", "", ""),
        ("unix://:word@/run/a%20b?db=4", "unix:///run/a b?db=4", "", "word"),
    ],
)
def test_a_url_tells_where_and_who(url: str, shown: str, user: str, password: str) -> None:
    address = parse(url)
    assert (str(address), address.user, address.password.reveal()) == (shown, user, password)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:6379", "it must begin with redis://"),
        ("http://:hunter2@host", "it must begin with redis://"),
        ("redis://", "behind the host"),
        ("redis://:hunt/er2@host", "its port or its query cannot be read"),
        ("redis://:hunt#er2@host", "its port or its query cannot be read"),
        ("redis://host:hunter2", "its port or its query cannot be read"),
        ("redis://host/hunter2", "its database is not a number"),
        ("redis://host?password=hunter2", "behind the host"),
        ("redis://host#hunter2", "behind the host"),
        ("unix://", "behind the socket's path"),
        ("unix:///s?db=1&password=hunter2", "behind the socket's path"),
        ("unix:///s?db=hunter2", "its database is not a number"),
    ],
)
def test_a_wrong_url_is_told_without_a_word_of_it(url: str, why: str) -> None:
    with pytest.raises(ValueError, match="redis://:p%40ss@host:6379/0") as caught:
        parse(url)
    told = f"{caught.value!r} {caught.value.__cause__!r}"
    assert why in told
    assert "hunt" not in told and "er2" not in told
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_address_does_not_show_its_password() -> None:
    address = parse("redis://me:hunter2@host")
    assert "hunter2" not in f"{address!r} {address}"


def test_what_is_missing_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "headrace.limits.redis")
    monkeypatch.setitem(sys.modules, "coredis.connection", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'headrace[redis]'")):
        import headrace.limits.redis  # noqa: F401


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_deadline_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout is"):
        RedisStore("redis://localhost", timeout=timeout)
