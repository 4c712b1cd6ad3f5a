"""
Three processes, one key: they share the vendor's limit through a Redis, and the vendor refuses none of them.

The vendor is simulated in the first process; the others, on asyncio and on trio, know its address and the Redis alone.
Starts a `redis-server` of its own for the time of the run; with `--redis redis://...` it uses yours.

usage: python examples/shared_limit.py [--redis URL]
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from headrace import AIMessage, GenerationConfig
from headrace.limits.policy import RateLimitPolicy
from headrace.limits.redis import RedisStore
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Limits, Simulator

LIMITS = Limits(requests=50, window=10)  # 50 at once, then 5 a second
EACH = 25  # requests of each process
LOOPS = ("asyncio", "trio", "asyncio")


@contextmanager
def own_redis() -> Iterator[str]:
    """A server that keeps nothing, on a free port."""
    if (program := shutil.which("redis-server")) is None:
        sys.exit("there is no redis-server on this machine: install it, or name one with --redis redis://host:6379/0")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


async def work(base_url: str, redis: str) -> None:
    """What each of your processes does: nothing but to name the store."""
    policy = RateLimitPolicy(max_wait=120, store=RedisStore(redis))
    async with (
        OpenAIProvider("any-key", base_url=base_url, limits=policy) as openai,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(EACH):
            tasks.start_soon(openai.chat, [AIMessage("user", "What is a headrace?")], GenerationConfig(max_tokens=50))


async def share(redis: str) -> None:
    async with Simulator(limits={"openai": LIMITS}) as sim:

        async def process(loop: str) -> None:
            command = [sys.executable, __file__, "--redis", redis, "--work", sim.base_url("openai"), "--loop", loop]
            await anyio.run_process(command, stdout=None, stderr=None)
            print(f"a process on {loop}: {EACH} answers")

        async with anyio.create_task_group() as tasks:
            for loop in LOOPS:
                tasks.start_soon(process, loop)
        refused = sum(exchange.status == 429 for exchange in sim.exchanges)
        print(f"{len(sim.exchanges) - refused} requests under a limit of {LIMITS.requests} at once; {refused} refusals")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", help="the address of a Redis; else one is started")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--loop", default="asyncio", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        anyio.run(work, options.work, options.redis, backend=options.loop)
    elif options.redis:
        anyio.run(share, options.redis)
    else:
        with own_redis() as address:
            anyio.run(share, address)
