"""`RedisStore` against a real server: what it keeps, what it replaces, and what it says when the server is away."""

from __future__ import annotations

import logging
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio import create_task_group, create_tcp_listener, fail_after, move_on_after, sleep, sleep_forever
from anyio.abc import SocketAttribute, SocketStream
from anyio.lowlevel import checkpoint

from headrace.limits.redis import RedisStore
from headrace.limits.store import Stored, StoreError

from ..leaks import nothing_left, soon
from ..redis_server import RedisServer, free_port, redis, redis_server, require_redis

__all__ = ("redis", "redis_server")  # fixtures

KEY = "headrace:{key}:model"


@pytest.fixture(autouse=True)
async def leak_check() -> AsyncIterator[None]:
    async with nothing_left():
        yield


@asynccontextmanager
async def kept(*stores: RedisStore) -> AsyncIterator[None]:
    async with create_task_group() as tasks:
        for store in stores:
            tasks.start_soon(store.run)
        yield
        tasks.cancel_scope.cancel()


def at(url: str) -> RedisStore:
    """One with time for a machine that is busy."""
    return RedisStore(url, timeout=5)


async def again(store: RedisStore) -> Stored:
    """Ask until the store is back."""
    with fail_after(5):
        while True:
            try:
                return await store.load(KEY)
            except StoreError:
                await sleep(0.01)


# ---------------------------------------------------------------- what it keeps


async def test_what_is_put_there_comes_back_as_it_is(redis: RedisServer) -> None:
    blob = bytes(range(256)) + b"\nheadrace 1 2 3\n"
    store = at(redis.url)
    async with kept(store):
        assert (await store.load(KEY))[:2] == (0, b"")
        put = await store.swap(KEY, 0, blob)
        assert put.won and put.blob == blob
        assert await store.load(KEY) == put._replace(now=pytest.approx(put.now, abs=1), won=False)


async def test_a_socket_and_a_port_lead_to_the_same(redis: RedisServer) -> None:
    port, socket, other = at(redis.url), at(f"unix://{redis.socket}"), at(f"{redis.url}/1")
    async with kept(port, socket, other):
        await port.swap(KEY, 0, b"a")
        assert (await socket.load(KEY)).blob == b"a"
        assert (await other.load(KEY)).blob == b""


async def test_the_clock_is_the_servers(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        before = time.time()
        loaded = await store.load(KEY)
        swapped = await store.swap(KEY, 0, b"a")
        assert before <= loaded.now <= swapped.now <= time.time()


async def test_who_comes_late_is_told_what_lies_there(redis: RedisServer) -> None:
    one, other = at(redis.url), at(redis.url)
    async with kept(one, other):
        first = await one.swap(KEY, 0, b"first")
        late = await other.swap(KEY, 0, b"second")
        assert (late.won, late.version, late.blob) == (False, first.version, b"first")
        assert (await other.swap(KEY, late.version, b"second")).won
        assert (await one.load(KEY)).blob == b"second"


async def test_no_change_is_lost_in_a_race(redis: RedisServer) -> None:
    stores = [at(redis.url) for _ in range(4)]

    async def count(store: RedisStore) -> None:
        for _ in range(25):
            stored = await store.load(KEY)
            while not (stored := await store.swap(KEY, stored.version, b"%d" % (int(stored.blob or 0) + 1))).won:
                pass

    async with kept(*stores):
        async with create_task_group() as tasks:
            for store in stores * 2:
                tasks.start_soon(count, store)
        assert (await stores[0].load(KEY)).blob == b"200"


async def test_versions_grow_by_less_than_a_microsecond(redis: RedisServer) -> None:
    """A clock that was set back a little gives no version twice."""
    version = int((time.time() + 0.9) * 1e6)
    redis.ask("SET", KEY, f"headrace 1 {version} 1\na")
    store = at(redis.url)
    async with kept(store):
        assert (await store.load(KEY))[:2] == (version, b"a")
        assert (await store.swap(KEY, version, b"b")).version == version + 1


async def test_what_was_begun_anew_is_not_taken_for_what_was_lost(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        lost = await store.swap(KEY, 0, b"lost")
        redis.ask("FLUSHALL")
        new = await store.swap(KEY, 0, b"new")
        assert new.won and new.version > lost.version
        assert not (await store.swap(KEY, lost.version, b"old")).won


async def test_what_nobody_asks_for_goes_after_a_day(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        await store.swap(KEY, 0, b"a")
    assert redis.ask("TTL", KEY) in {"86400", "86399"}


async def test_a_server_that_forgot_the_script_is_sent_it_again(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        put = await store.swap(KEY, 0, b"a")
        redis.ask("SCRIPT", "FLUSH")
        assert (await store.swap(KEY, put.version, b"b")).won
        assert (await store.load(KEY)).blob == b"b"


async def test_a_user_who_may_do_little_else_may_share(redis: RedisServer) -> None:
    """The commands of docs/sharing.md."""
    commands = ["+hello", "+evalsha", "+eval", "+getrange", "+set", "+time"]
    redis.ask("ACL", "SETUSER", "pacer", "on", ">word", "~headrace:*", *commands)
    store = at(redis.url.replace("redis://", "redis://pacer:word@"))
    async with kept(store):
        assert (await store.swap(KEY, 0, b"a")).won
        with pytest.raises(StoreError, match="AuthorizationError"):
            await store.load("elsewhere")
    redis.ask("ACL", "DELUSER", "pacer")


# ---------------------------------------------------------------- what it does not take


@pytest.mark.parametrize(
    "value",
    [
        b"somebody else's",
        b"headrace 1 17 5\nabcd",
        b"headrace 1 17 5\nabcdef",
        b"headrace 1 17",
        b"headrace 0 17 5\nabcde",
        b"headrace 1 99999999999999999999 5\nabcde",
        b"headrace 1 %d 5\nabcde" % ((time.time() + 3600) * 1e6),
        b"headrace 1 17 300000\n" + b"x" * 300_000,
        b"x" * 2_000_000,
    ],
    ids=[
        "foreign",
        "cut",
        "longer",
        "cut head",
        "older",
        "absurd version",
        "of a later time",
        "too large",
        "foreign and large",
    ],
)
async def test_what_is_not_ours_is_absent_and_replaced_and_told_once(
    redis: RedisServer, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    redis.ask("SET", KEY, stdin=value)
    store = at(redis.url)
    with caplog.at_level(logging.WARNING, "headrace"):
        async with kept(store):
            found = await store.load(KEY)
            assert found.blob == b""
            assert (await store.load(KEY)).blob == b""
            assert (await store.swap(KEY, found.version, b"ours")).won
            assert (await store.load(KEY)).blob == b"ours"
    assert [record.getMessage() for record in caplog.records] == [
        f"{redis.url}/0: what lies under '{KEY}' is older, damaged or not ours: it is replaced"
    ]


async def test_another_type_is_replaced(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    redis.ask("RPUSH", KEY, "a", "b")
    store = at(redis.url)
    async with kept(store):
        assert (await store.load(KEY))[:2] == (0, b"")
        assert (await store.swap(KEY, 0, b"ours")).won
    assert "is replaced" in caplog.text


async def test_a_newer_releases_model_is_left_alone(redis: RedisServer) -> None:
    redis.ask("SET", KEY, "headrace 2 17 5\nabcde")
    store = at(redis.url)
    async with kept(store):
        for call in (store.load(KEY), store.swap(KEY, 0, b"ours")):
            with pytest.raises(StoreError, match="newer release of headrace"):
                await call
    assert redis.ask("GET", KEY) == "headrace 2 17 5\nabcde"


async def test_a_model_that_is_too_large_is_not_stored(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        with pytest.raises(StoreError, match="300000 bytes is too large"):
            await store.swap(KEY, 0, b"x" * 300_000)
        largest = b"x" * (262_144 - 100)
        assert (await store.swap(KEY, 0, largest)).won
        assert (await store.load(KEY)).blob == largest


# ---------------------------------------------------------------- away, and back


async def test_a_killed_server_is_told_at_once_and_found_again() -> None:
    require_redis()
    with RedisServer() as server:
        store = RedisStore(server.url, timeout=0.5)
        async with kept(store):
            await store.swap(KEY, 0, b"a")
            server.kill()
            began = time.monotonic()
            for _ in range(20):
                with pytest.raises(StoreError, match="onnection"):
                    await store.load(KEY)
            assert time.monotonic() - began < 0.2
            server.start()
            assert (await again(store))[:2] == (0, b"")
            assert (await store.swap(KEY, 0, b"b")).won
            server.pause()
            with pytest.raises(StoreError, match="no answer"):  # the old reason is forgotten
                await store.load(KEY)


async def test_a_server_that_is_not_there_yet_is_found_when_it_comes() -> None:
    require_redis()
    with RedisServer() as server:
        server.kill()
        store = at(server.url)
        async with kept(store):
            with pytest.raises(StoreError, match="All connection attempts failed"):
                await store.load(KEY)
            server.start()
            assert (await again(store))[:2] == (0, b"")


async def test_a_server_that_stands_still_costs_the_deadline_and_no_more() -> None:
    require_redis()
    with RedisServer() as server:
        store = RedisStore(server.url, timeout=0.1)
        async with kept(store):
            put = await store.swap(KEY, 0, b"a")
            server.pause()
            for words in ("no answer in 0.1 s", "lost|Connection not usable"):  # the first one gives the connection up
                began = time.monotonic()
                with pytest.raises(StoreError, match=words):
                    await store.swap(KEY, put.version, b"b")
                assert time.monotonic() - began < 0.2
            server.resume()
            assert (await again(store)).blob in {b"a", b"b"}
            await soon(lambda: server.clients() == 1)


async def test_a_server_that_stands_still_at_the_greeting_costs_the_deadline() -> None:
    require_redis()
    with RedisServer() as server:
        server.pause()
        store = RedisStore(server.url)
        async with kept(store):
            with pytest.raises(StoreError, match=r"no answer in 1 s"):
                await store.load(KEY)
            server.resume()
            assert (await again(store))[:2] == (0, b"")


async def test_a_server_has_so_long_for_its_greeting_and_then_as_long_as_it_likes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_redis()
    monkeypatch.setattr("headrace.limits.redis.GREETING", 0.2)
    with RedisServer() as server:
        store = RedisStore(server.url, timeout=1)
        async with kept(store):
            await store.load(KEY)
            before = server.ask("CLIENT", "LIST").split()[0]
            await sleep(0.3)
            await store.load(KEY)
            assert server.ask("CLIENT", "LIST").split()[0] == before
            server.kill()
            server.start()
            server.pause()
            said = ""
            with fail_after(5):
                while "said nothing for 0.2 s" not in said:
                    with pytest.raises(StoreError) as caught:
                        await store.load(KEY)
                    said = str(caught.value)
                    await sleep(0.02)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "InvalidResponse: Protocol Error"),
        (b"%1\r\n+proto\r\n:2\r\n", "ConnectionError: Unable to establish"),
        (
            b"-ERR unknown command `HELLO`, with args beginning with: `AUTH` `hunter2`\r\n",
            r"UnknownCommandError: .*`\*\*\*`",
        ),
        (b"-LOADING it reads its data\r\n", "BusyLoadingError: it reads its data"),
        (b"", "ConnectionError: Connection lost"),
    ],
    ids=["http", "wrong protocol", "too old", "loading", "hangs up"],
)
async def test_a_server_that_cannot_greet_is_told(said: bytes, words: str, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if said:
                await stream.send(said)
                async for _ in stream:  # until the other side goes
                    pass

    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        store = RedisStore(f"redis://:hunter2@127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        async with kept(store):
            with pytest.raises(StoreError, match=f"cannot be used: {words}") as caught:
                await store.load(KEY)
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
        tasks.cancel_scope.cancel()


async def test_after_an_error_another_connection_is_opened(redis: RedisServer) -> None:
    """The primary has become a replica, and the address leads to the new one."""
    store = at(redis.url)
    async with kept(store):
        await store.swap(KEY, 0, b"a")
        (before,) = re.findall(r"id=(\d+) .* cmd=eval", redis.ask("CLIENT", "LIST"))
        redis.ask("REPLICAOF", "127.0.0.1", "1")
        try:
            with pytest.raises(StoreError, match="ReadOnlyError"):
                await store.swap(KEY, (await store.load(KEY)).version, b"b")
        finally:
            redis.ask("REPLICAOF", "NO", "ONE")
        assert (await again(store)).blob == b"a"
        (after,) = re.findall(r"id=(\d+) .* cmd=eval", redis.ask("CLIENT", "LIST"))
        assert before != after


async def test_nobody_keeps_it_nothing_is_there(redis: RedisServer) -> None:
    store = RedisStore(redis.url)
    with pytest.raises(StoreError, match="no answer in 1 s"):
        await store.load(KEY)


# ---------------------------------------------------------------- secrets


async def test_a_wrong_password_is_told_and_not_shown() -> None:
    require_redis()
    with RedisServer("--requirepass", "correct") as server:
        for url, words in {
            server.url.replace("redis://", "redis://:hunter2@"): "AuthenticationFailureError",
            server.url: "AuthenticationRequiredError",
            f"unix://me:hunter2@{server.socket}": "AuthenticationFailureError",
        }.items():
            store = RedisStore(url)
            async with kept(store):
                with pytest.raises(StoreError, match=words) as caught:
                    await store.load(KEY)
            assert "hunter2" not in f"{caught.value!r} {store!r} {caught.value.__cause__!r}"
        right = RedisStore(server.url.replace("redis://", "redis://:correct@") + "/3")
        async with kept(right):
            assert (await right.swap(KEY, 0, b"a")).won
        assert repr(right) == f"RedisStore('{server.url}/3')"
        assert server.ask("-n", "3", "KEYS", "*", password="correct") == KEY


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for "localhost" that no authority has signed, and its key: their files."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    made = (str(tmp_path / "certificate"), str(tmp_path / "key"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-out", made[0], "-keyout", made[1]]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return made


@pytest.mark.parametrize(
    ("host", "trusted", "words"),
    [
        ("localhost", True, ""),
        ("localhost", False, "self-signed certificate"),
        ("127.0.0.1", True, "IP address mismatch"),
    ],
    ids=["trusted", "not trusted", "another name"],
)
async def test_tls_trusts_who_it_is_told_to(certificate: tuple[str, str], host: str, trusted: bool, words: str) -> None:
    require_redis()
    port, context = free_port(), ssl.create_default_context(cafile=certificate[0]) if trusted else None
    files = ("--tls-cert-file", certificate[0], "--tls-key-file", certificate[1], "--tls-auth-clients", "no")
    with RedisServer("--tls-port", str(port), *files):
        store = RedisStore(f"rediss://{host}:{port}", timeout=2, ssl_context=context)
        async with kept(store):
            if not words:
                assert (await store.swap(KEY, 0, b"a")).won
                return
            with pytest.raises(StoreError, match=words):
                await store.load(KEY)


# ---------------------------------------------------------------- tasks


async def test_a_cancelled_call_mixes_no_answers_up(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        for number in range(20):
            await store.swap(f"k{number}", 0, b"%d" % number)

        async def ask(number: int) -> None:
            assert (await store.load(f"k{number}")).blob == b"%d" % number

        for steps in range(30):
            async with create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ask, number)
                for _ in range(steps):
                    await checkpoint()
                tasks.cancel_scope.cancel()
        for number in range(20):
            await ask(number)
        assert redis.clients() == 1


async def test_a_cancelled_caller_is_cancelled_and_gets_no_store_error(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store):
        await store.load(KEY)
        with move_on_after(-1) as scope:
            await store.load(KEY)
        assert scope.cancelled_caught
        assert (await store.load(KEY)).version == 0


async def test_several_who_keep_it_use_one_connection_and_the_next_takes_over(redis: RedisServer) -> None:
    store = at(redis.url)
    async with create_task_group() as outer:
        async with create_task_group() as inner:
            inner.start_soon(store.run)
            await store.load(KEY)
            outer.start_soon(store.run)
            put = await store.swap(KEY, 0, b"a")
            assert redis.clients() == 1
            inner.cancel_scope.cancel()
        assert (await store.load(KEY)).version == put.version
        await soon(lambda: redis.clients() == 1)
        outer.cancel_scope.cancel()
    await soon(lambda: redis.clients() == 0)


async def test_calls_from_many_tasks_do_not_wait_for_each_other_for_ever(redis: RedisServer) -> None:
    store = at(redis.url)
    async with kept(store), create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(store.swap, f"k{number}", 0, b"x" * 2000)
    assert redis.ask("DBSIZE") == "300"


async def test_nothing_is_open_when_it_is_left_in_the_middle_of_a_call(redis: RedisServer) -> None:
    store = at(redis.url)
    async with create_task_group() as tasks:
        tasks.start_soon(store.run)
        for number in range(10):
            tasks.start_soon(store.load, f"k{number}")
        tasks.start_soon(sleep_forever)
        await checkpoint()
        tasks.cancel_scope.cancel()
    await soon(lambda: redis.clients() == 0)
