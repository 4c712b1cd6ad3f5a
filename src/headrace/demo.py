"""
The main job in ten seconds, without a key and without a network: `headrace demo`.

Starts the simulator on loopback and uses the public API as an application would. Four providers stream at once, one is
cut in mid-sentence, one refuses, one is not even asked, since it would refuse. Live with rich in a terminal,
plain lines when piped.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from ._types import AIMessage, GenerationConfig, RateLimitInfo
from .errors import RateLimitError
from .providers.anthropic import AnthropicProvider
from .providers.base import BaseProvider
from .providers.gemini import GeminiProvider
from .providers.grok import GrokProvider
from .providers.openai import OpenAIProvider
from .simulator import Limits, Script, Simulator, faults

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable

__all__ = ("run",)

PROMPT: Final = "What is a headrace?"
ANSWERS: Final = {
    "anthropic": "A headrace is the channel that brings a steady stream of water to the wheel of a mill. "
    "It takes the river as it comes, in spate or in drought, and hands on what the wheel can use.",
    "openai": "It is the quiet stretch above the wheel: dug level, kept clean, closed by a gate. "
    "The miller reads the water there, and opens the sluice no further than the stones can turn.",
    "gemini": "Before the wheel there is a race, and at its head there is a gate. Whatever has passed the gate "
    "reaches the wheel, and whatever reaches the wheel is ground. That is the whole craft of it.",
    "grok": "Think of it as backpressure, built of oak and stone a thousand years before anyone buffered a byte. "
    "When the wheel is slow, the pond fills; when the pond is full, the weir speaks.",
}
CUT_AFTER: Final = 22  # events: in the middle of a sentence
TOKENS: Final = 60_000  # a minute, that the simulated OpenAI allows in the third act
LONG: Final = GenerationConfig(max_tokens=50_000, max_wait=2.0)  # only one such answer fits


@dataclass(slots=True)
class Row:
    """What is known of one provider's stream."""

    name: str
    text: str = ""
    marker: str = ""
    state: str = "pending"
    reason: str = ""
    tokens: str = "?"
    first: float | None = None
    limit: RateLimitInfo | None = None
    kept: int = 0


@dataclass(slots=True)
class Board:
    """All that the screen shows."""

    rows: dict[str, Row]
    notes: list[str] = field(default_factory=list)


class Screen(Protocol):
    """Where the demo is shown."""

    def words(self, row: Row, words: str) -> None:
        """Words have come."""
        ...

    def note(self, text: str) -> None:
        """Something is to be said."""
        ...


# ---------------------------------------------------------------- the three acts


async def stream_one(provider: BaseProvider, row: Row, screen: Screen) -> None:
    """Show one stream from its first word to its ending."""
    began = anyio.current_time()
    async with provider.chat_stream([AIMessage("user", PROMPT)]) as stream:
        async for chunk in stream:
            if row.first is None:
                row.first = anyio.current_time() - began
            if chunk.is_marker:
                row.marker = chunk.content
            row.text += "" if chunk.is_marker else chunk.content
            row.state, row.limit = stream.state, stream.rate_limit
            screen.words(row, chunk.content)
    usage = stream.response.usage
    tokens = usage["total_tokens"] if usage is not None else None
    row.tokens = "?" if usage is None or tokens is None else f"{tokens} ({usage['source']})"
    row.kept = len(stream.partial_content)
    if stream.interruption is not None:
        row.reason = str(stream.interruption.cause)
        screen.note(
            f"{row.name} was cut. Nothing that it said is lost: .partial_content has {row.kept} characters, "
            f"...{stream.partial_content[-40:]!r}"
        )
        screen.note(f"{row.name}, why: {row.reason}")


async def refused(provider: BaseProvider, row: Row, screen: Screen) -> None:
    """One call that the vendor refuses: the error says which limit, and when to come back."""
    try:
        await provider.generate(PROMPT)
    except RateLimitError as exc:
        row.reason = f"{type(exc).__name__}, retry after {exc.retry_after:g} s" if exc.retry_after else str(exc)
        screen.note(f"{row.name} refused a second call. {type(exc).__name__}: {exc}")
        if exc.retry_after is not None:
            screen.note(f"{row.name}, in numbers: retry_after={exc.retry_after:g} s, retryable={exc.retryable}")


async def held(provider: BaseProvider, row: Row, screen: Screen) -> None:
    """A call that the vendor would refuse is not sent: its limits are known from the answer before."""
    row.limit = (await provider.generate(PROMPT, LONG)).rate_limit
    try:
        await provider.generate(PROMPT, LONG)
    except RateLimitError as exc:
        screen.note(f"{row.name} was not asked a third time. {type(exc).__name__}: {exc}")
        screen.note(f"{row.name}, in numbers: sent={exc.sent}, retry_after={exc.retry_after or 0:.0f} s")


async def play(board: Board, screen: Screen) -> None:
    """The demo itself."""
    limits = {
        "anthropic": Limits(requests=50, input_tokens=50_000, output_tokens=10_000),
        "openai": Limits(requests=50, tokens=TOKENS),
        "grok": Limits(requests=60, tokens=100_000),
    }
    async with Simulator(seed=7, limits=limits) as sim, AsyncExitStack() as stack:
        providers: dict[str, BaseProvider] = {
            "anthropic": AnthropicProvider("demo-key", base_url=sim.base_url("anthropic")),
            "openai": OpenAIProvider("demo-key", base_url=sim.base_url("openai")),
            "gemini": GeminiProvider("demo-key", base_url=sim.base_url("gemini")),
            "grok": GrokProvider("demo-key", base_url=sim.base_url("grok")),
        }
        for number, (name, provider) in enumerate(providers.items()):
            await stack.enter_async_context(provider)
            cut = faults.CutFin(after_events=CUT_AFTER) if name == "gemini" else None
            sim.play(name, Script(text=ANSWERS[name], first_delay=0.4 + number / 5, delay=0.09, fault=cut))
        screen.note(f"Four providers stream at once, each over its own wire format, from {sim.url}.")
        async with anyio.create_task_group() as tasks:
            for name, provider in providers.items():
                tasks.start_soon(stream_one, provider, board.rows[name], screen)
        sim.play("grok", Script(fault=faults.Refuse(status=429)))
        await refused(providers["grok"], board.rows["grok"], screen)
        sim.play("openai", Script(text="In short, a channel with a gate."))
        await held(providers["openai"], board.rows["openai"], screen)


# ---------------------------------------------------------------- screens


def meter(limit: RateLimitInfo | None, width: int = 20) -> str:
    """The requests of a limit as a bar."""
    if limit is None or limit.limit_requests == 0:
        return "not told"
    used = limit.usage_percentage
    full = round(used * width)
    reset = "" if limit.seconds_until_reset is None else f", full again in {limit.seconds_until_reset:.0f} s"
    return f"[{'#' * full}{'.' * (width - full)}] {used:.0%} of {limit.limit_requests} requests{reset}"


HEAD: Final = ("provider", "state", "kept", "tokens", "first chunk", "requests used")


def summary(board: Board) -> list[tuple[str, ...]]:
    """The table at the end."""
    return [
        (
            row.name,
            row.state,
            f"{row.kept} characters",
            row.tokens,
            "-" if row.first is None else f"{row.first:.2f} s",
            meter(row.limit, 10),
        )
        for row in board.rows.values()
    ]


class Plain:
    """Lines, for a pipe: each provider's words as sentences end, so that the streams can be told apart."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._open: dict[str, str] = {}

    def words(self, row: Row, words: str) -> None:
        """Hold words until there is a line of them."""
        text = self._open.pop(row.name, "") + words
        if row.state == "streaming" and len(text) < 60:
            self._open[row.name] = text
        elif text.strip():
            for line in text.split("\n"):
                if line:
                    self._write(f"{row.name:>9} | {line.strip()}")

    def note(self, text: str) -> None:
        """A line of its own."""
        self._write(f"       -> | {text}")

    def end(self, board: Board) -> None:
        """The table."""
        rows = [HEAD, *summary(board)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        self._write("")
        for row in rows:
            self._write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Live:
    """The terminal: a panel for each provider, redrawn as words come."""

    def __init__(self, board: Board) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._board = board
        self._console = Console()
        self._live = RichLive(get_renderable=self._draw, console=self._console, refresh_per_second=12)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw within the block; the last picture stays."""
        with self._live:
            yield

    def words(self, row: Row, words: str) -> None:
        """Drawn at the next refresh."""

    def note(self, text: str) -> None:
        """Keep it below the panels."""
        self._board.notes.append(text)

    def _draw(self) -> ConsoleRenderable:
        from rich.columns import Columns
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        styles = {"finished": "green", "interrupted": "red", "streaming": "cyan"}
        width = max(36, (self._console.width - 2) // 2)
        panels = []
        for row in self._board.rows.values():
            body = Text(row.text) + Text(row.marker, "bold red")
            body.append(f"\n{meter(row.limit)}", "dim")
            panels.append(
                Panel(body, title=row.name, subtitle=row.state, width=width, style=styles.get(row.state, "dim"))
            )
        return Group(Columns(panels), *(Text(f"-> {note}", "yellow") for note in self._board.notes))

    def end(self, board: Board) -> None:
        """The table."""
        from rich.table import Table
        from rich.text import Text

        table = Table(*HEAD)
        for row in summary(board):
            table.add_row(*map(Text, row))  # a meter's brackets are no markup
        self._console.print(table)


def run(*, backend: str = "asyncio", live: bool | None = None) -> int:
    """
    Show the demo; return the exit code.

    Args:
        backend: "asyncio" or "trio".
        live: draw in place; by default where standard output is a terminal and rich is installed.
    """
    board = Board({name: Row(name) for name in ANSWERS})
    logging.getLogger("headrace").setLevel(logging.ERROR)  # the screen tells of the cut itself
    if live is None:
        live = sys.stdout.isatty() and _has_rich()
    if live:
        screen = Live(board)
        with screen.shown():
            anyio.run(play, board, screen, backend=backend)
        screen.end(board)
    else:
        plain = Plain(lambda line: print(line, flush=True))
        anyio.run(play, board, plain, backend=backend)
        plain.end(board)
    return 0 if [row.state for row in board.rows.values()].count("finished") == 3 else 1


def _has_rich() -> bool:
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True
