"""
Who is compared, and how a client is asked: a worker process each, in an environment of its own.

A peer's environment holds what `benchmarks/peers/<module>.txt` pins, and nothing of headrace. The pins are the whole
closure for Python 3.11, of the peer and trio: `uv pip compile --python-version 3.11 --no-header --no-annotate`. It lies
in `.bench/<module>`, is made when first wanted, and anew when its pins change. headrace and the loop by hand run in the
project's own. `peers/_worker.py` has the protocol.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Final, Self

from ._bench import ROOT

PEERS: Final = ROOT / "benchmarks" / "peers"
VENVS: Final = ROOT / ".bench"
UV: Final = Path(sys.executable).with_name("uv")
PYTHON: Final = "3.11"  # of every environment
# What else of a peer's pins is told with its figures.
SHOWN: Final = ("openai", "anthropic", "httpx", "httpx2", "aiohttp")
LIMIT: Final = 120.0  # seconds for one job: an answer takes a few
CLOSES: Final = 5.0  # seconds for a client to close what it has open; then it is killed
BY_HAND: Final = "hand-written loop"


@dataclass(frozen=True)
class Client:
    """A row of the tables."""

    name: str
    module: str  # of benchmarks.peers
    shapes: tuple[str, ...]  # that it speaks
    package: str | None = None  # on PyPI; None: part of the project's own environment
    line: str = ""  # what a program imports to use it
    variant: str = ""  # which of the module's programs
    ours: bool = False  # whether headrace runs in that environment, from src/

    def program(self, shape: str) -> str:
        return f"{shape} {self.variant}".strip()


ALL: Final = ("openai", "responses", "anthropic", "gemini")
CLIENTS: Final = (
    Client("bare socket", "by_hand", ALL, variant="socket"),
    Client("bare httpx bytes", "by_hand", ALL, variant="bytes"),
    Client(BY_HAND, "by_hand", ALL),
    Client("headrace", "ours", ALL),
    Client("headrace, with OpenTelemetry", "ours", ("openai",), variant="observed"),
    Client("headrace, with a recorder", "ours", ("openai",), variant="recorded"),
    Client("headrace, on httpx-aiohttp", "ours_aiohttp", ALL, "httpx-aiohttp", ours=True),
    Client("hand-written loop, on httpx-aiohttp", "ours_aiohttp", ALL, "httpx-aiohttp", variant="by_hand", ours=True),
    Client("openai SDK", "openai", ("openai", "responses"), "openai", "import openai"),
    Client("anthropic SDK", "anthropic", ("anthropic",), "anthropic", "import anthropic"),
    Client("google-genai SDK", "google_genai", ("gemini",), "google-genai", "from google import genai"),
    Client("litellm", "litellm", ("openai", "anthropic"), "litellm", "import litellm"),
    Client(
        "pydantic-ai",
        "pydantic_ai",
        ("openai", "responses", "anthropic"),
        "pydantic-ai-slim",
        "from pydantic_ai.models.openai import OpenAIChatModel",
    ),
    Client(
        "langchain-openai",
        "langchain_openai",
        ("openai", "responses"),
        "langchain-openai",
        "from langchain_openai import ChatOpenAI",
    ),
    Client("any-llm", "any_llm", ("openai", "anthropic"), "any-llm-sdk", "from any_llm import AnyLLM"),
)


class Skipped(Exception):
    """Why a peer is not measured."""


# ---------------------------------------------------------------- environments


def pins(client: Client) -> dict[str, str]:
    """Package and version of all that is in a peer's environment."""
    lines = (PEERS / f"{client.module}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines)


def told(client: Client) -> str:
    """`name version` of a peer and of what it reads with."""
    held = pins(client)
    names = [client.package or "", *(name for name in SHOWN if name in held and name != client.package)]
    return ", ".join(f"{name} {held[name]}" for name in names)


def outside(*, ours: bool = False) -> dict[str, str]:
    """The environment variables of a worker in another environment: none names our packages, unless it needs them."""
    rest = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return {**rest, "PYTHONPATH": str(ROOT / "src")} if ours else rest


@cache
def python(client: Client) -> Path:
    """
    The interpreter for a client; its environment is made if it is not there with these pins.

    Raises:
        Skipped: it cannot be made here.
    """
    if client.package is None:
        return Path(sys.executable)
    wanted, folder = PEERS / f"{client.module}.txt", VENVS / client.module
    made, interpreter = folder / "made-from.txt", folder / "bin" / "python"
    if made.exists() and made.read_bytes() == wanted.read_bytes():
        return interpreter
    print(f"{client.name}: installing {told(client)}", flush=True)
    for command in (
        (UV, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", PYTHON, folder),
        (UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter, "-r", wanted),
    ):
        try:
            subprocess.run(command, env=outside(), check=True, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise Skipped(f"{client.name}: {error}") from error
        except subprocess.CalledProcessError as error:
            raise Skipped(f"{client.name}: {last_line(error.stderr)}") from error
    made.write_bytes(wanted.read_bytes())
    return interpreter


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


# ---------------------------------------------------------------- workers


class Worker:
    """A process with one client on one loop. Blocks: its user has nothing else to do, or a thread for it."""

    def __init__(self, client: Client, backend: str = "asyncio") -> None:
        command = [str(python(client)), "-m", f"benchmarks.peers.{client.module}", backend]
        own = client.package is None
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the worker
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(os.environ) if own else outside(ours=client.ours),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.started = False

    def answer(self, limit: float = LIMIT) -> dict[str, Any]:
        """The next line; a worker that died or is late is an error like others."""
        assert self.process.stdout is not None
        late = Timer(limit, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self.errors.seek(0)
        says = last_line(self.errors.read())
        name = says.partition(":")[0].rpartition(".")[2]
        return {"error": name if name.isidentifier() else "died", "says": says}

    def ask(self, **job: object) -> dict[str, Any]:
        """What the worker answers to a job; `error` and `says` where it failed."""
        if not self.started:
            ready = self.answer()
            if "error" in ready:
                return ready
            self.started = True
        assert self.process.stdin is not None
        with suppress(OSError):  # it has died, and the answer says how
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        return self.answer()

    def dismiss(self) -> None:
        """Nothing more is asked: it may end."""
        assert self.process.stdin is not None
        with suppress(OSError):  # it died before, with a job unread
            self.process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dismiss()
        try:
            self.process.wait(CLOSES)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.close()


@contextmanager
def workers(clients: Collection[Client], backend: str, skipped: dict[str, str]) -> Iterator[Mapping[Client, Worker]]:
    """A worker for each client; those that cannot be had here are told, and noted in `skipped` with the reason."""
    with ExitStack() as stack:
        found = {}
        for client in clients:
            try:
                found[client] = stack.enter_context(Worker(client, backend))
            except Skipped as reason:
                if client.name not in skipped:
                    print(f"skipped: {reason}", flush=True)
                skipped[client.name] = str(reason)
        try:
            yield found
        finally:
            for worker in found.values():  # all at once: some take seconds
                worker.dismiss()


def chosen(names: Collection[str] | None) -> tuple[Client, ...]:
    """The clients of these names, and the hand-written loop that they are measured against; all without names."""
    return tuple(client for client in CLIENTS if not names or client.name in {*names, BY_HAND})
