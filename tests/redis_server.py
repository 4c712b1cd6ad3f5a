"""
A real Redis for tests: a process of its own, on a free port and on a socket, that keeps nothing.

`make test` on a machine without Redis skips what needs it; with HEADRACE_REQUIRE_REDIS in the environment that is a
failure. The fixtures are imported by the modules that use them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

__all__ = ("RedisServer", "free_port", "redis", "redis_server", "require_redis")


class RedisServer:
    """
    One `redis-server`. `with` starts and stops it; `kill`, `start`, `pause` and `resume` as often as you like.

    `options` are the server's own, such as `"--requirepass", "word"`.

    Attributes:
        url: of the port.
        socket: the same server's socket. On asyncio, anyio's read of a socket that is cancelled in the moment in which
            bytes come raises in a callback (4.16.0): for tests that do not cancel.
    """

    def __init__(self, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket, port = self.directory / "s", free_port()
        self.url = f"redis://127.0.0.1:{port}"
        self._options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", *options)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        """Start it, empty; return when it listens."""
        command = ["redis-server", "--unixsocket", self.socket, "--dir", self.directory, *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.socket)) == 0:
                    return
            time.sleep(0.005)
        raise TimeoutError("redis-server does not listen")

    def kill(self) -> None:
        """End it, at once, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It takes connections, and says nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ask(self, *words: str, stdin: bytes | None = None, password: str = "") -> str:
        """One command, by redis-cli; `stdin` is its last argument."""
        command = ["redis-cli", "-s", self.socket, *(["-x"] if stdin is not None else []), *words]
        environment = os.environ | ({"REDISCLI_AUTH": password} if password else {})
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, check=True, timeout=5)
        return done.stdout.decode().strip()

    def clients(self) -> int:
        """How many connections are open, but for the one that asks."""
        return len(self.ask("CLIENT", "LIST", "TYPE", "normal").splitlines()) - 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def require_redis() -> None:
    """Skip, or fail where it must be there."""
    if shutil.which("redis-server") is None:
        missing = "there is no redis-server on this machine: apt-get install redis-server"
        if os.environ.get("HEADRACE_REQUIRE_REDIS"):
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """One for a module, for tests that do not stop it."""
    require_redis()
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """An empty one, which does not know our script."""
    redis_server.ask("FLUSHALL")
    redis_server.ask("SCRIPT", "FLUSH")
    return redis_server
