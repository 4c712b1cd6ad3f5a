"""
`headrace limits`: how much of each limit is used, and when it is whole again.

Vendors tell limits with their answers and nowhere else, so each model is sent one small request. Knows no format.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
from anyio import CancelScope, create_task_group

from .. import _clock
from .._checks import check_number
from .._types import GenerationConfig, LimitDimension, RateLimitInfo
from ..errors import CallerError, HeadraceError, MissingKeyError, RateLimitError, StreamInterruptedError
from ..gateway import AIGateway
from . import _who
from ._streams import shown

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable
    from rich.live import Live

__all__ = ("EPILOG", "HELP", "arguments", "run")

HELP: Final = "Show how much of each rate limit is used, and when it is whole again. Sends one small request a model."
EPILOG: Final = """\
Vendors tell their limits with their answers and nowhere else: each model that is named (else the usual model of each
provider) is sent one request of a few tokens. Between two answers the values are extrapolated: buckets refill.

In a terminal the meters move until Ctrl-C; when piped they are printed once, or with --watch whenever they change.

exit codes:
  0    every model answered (whether or not it told limits); or Ctrl-C
  1    one or more did not; the others are shown
  2    nobody could be asked: an unknown provider, no key, a file that cannot be used

examples:
  headrace limits
  headrace limits openai anthropic/claude-haiku-5-5
  headrace limits groq --no-watch
"""
QUESTION: Final = GenerationConfig(max_tokens=16)  # the least that OpenAI's Responses API takes
WIDTH: Final = 24
HOUR, DAY = 3600, 86400


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model", nargs="*", metavar="VENDOR[/MODEL]", help="whose limits (default: every configured provider's)"
    )
    _who.arguments(parser)
    parser.add_argument(
        "--watch", action=argparse.BooleanOptionalAction, help="go on until Ctrl-C (default: in a terminal)"
    )
    parser.add_argument("--every", type=float, default=0.5, metavar="S", help="seconds between two looks")
    _who.backend(parser)


def run(options: argparse.Namespace) -> int:
    """Show; the exit code is as `EPILOG` says."""
    try:
        check_number("--every", options.every, "a number of seconds above 0", above=0)
        meters = Meters(_who.gateway(options, [one.partition("/")[0] for one in options.model]), options)
    except (CallerError, ValueError) as exc:
        _who.say("limits", str(exc))
        return 2
    with suppress(KeyboardInterrupt):  # where it cannot be received
        anyio.run(meters.main, backend=options.backend)
    if meters.keyless == len(meters.failed) == meters.asked:
        return 2
    return 1 if meters.failed else 0


class Meters:
    """The limits of several models."""

    def __init__(self, gateway: AIGateway, options: argparse.Namespace) -> None:
        self._gateway, self._every = gateway, float(options.every)
        self._watch = sys.stdout.isatty() if options.watch is None else bool(options.watch)
        asked = [one.partition("/") for one in options.model] or [(one.name, "", "") for one in gateway._in_order()]
        self._asked = list(dict.fromkeys((name, model) for name, _, model in asked))
        self._waiting = set(self._asked)
        self._silent: list[str] = []
        self.failed: list[str] = []
        self.asked: int = len(self._asked)
        self.keyless: int = 0  # how many failed for want of a key

    async def main(self) -> None:
        """Ask, and show until it is enough."""
        async with self._gateway, create_task_group() as tasks:
            if sys.platform != "win32":
                tasks.start_soon(self._stop_on_signal, tasks.cancel_scope)
            if self._watch and sys.stdout.isatty() and (live := _live()) is not None:
                with live:
                    tasks.start_soon(self._draw, live)
                    await self._ask_all()
                    await anyio.sleep_forever()
            await self._ask_all()
            self._print(self._gateway.limits())
            if self._watch:
                async for limits in self._gateway.watch_limits(every=self._every):
                    self._print(limits)
            tasks.cancel_scope.cancel()

    async def _draw(self, live: Live) -> None:
        while True:  # here, not in a thread of the screen's: limits are of this loop
            live.update(self._picture(), refresh=True)
            await anyio.sleep(self._every)

    async def _stop_on_signal(self, scope: CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                scope.cancel()

    async def _ask_all(self) -> None:
        async with create_task_group() as tasks:
            for name, model in self._asked:
                tasks.start_soon(self._ask, name, model)

    async def _ask(self, name: str, model: str) -> None:
        label, told = f"{name}/{model}".rstrip("/"), None
        try:
            answer = await self._gateway.generate("Hi", QUESTION, provider=name, model=model or None, fallback=())
            told, label = answer.rate_limit, shown(f"{name}/{answer.model or model}")
        except StreamInterruptedError as exc:
            told = exc.response.rate_limit if exc.response is not None else None
        except HeadraceError as exc:
            told = exc.rate_limit if isinstance(exc, RateLimitError) else None
            self.keyless += isinstance(exc, MissingKeyError)
            self.failed.append(f"{label}: {type(exc).__name__}: {_who.described(exc)}")
        else:
            if told is None or not told.dimensions:
                self._silent.append(f"{label} told no limits")
        self._waiting.discard((name, model))

    # ---------------------------------------------------------------- pictures

    def _print(self, limits: Mapping[str, Mapping[str, RateLimitInfo]]) -> None:
        for line in lines(limits, _clock.wall()):
            print(line, flush=True)
        for text in self._silent:
            print(text, flush=True)
        for text in self.failed:
            _who.say("limits", text)
        self._silent.clear()

    def _picture(self) -> ConsoleRenderable:
        from rich.console import Group
        from rich.text import Text

        told = [Text(line) for line in lines(self._gateway.limits(), _clock.wall())]
        told += [Text(f"{name}/{model}".rstrip("/") + " is asked ...", "dim") for name, model in sorted(self._waiting)]
        told += [Text(text, "dim") for text in self._silent]
        told += [Text(text, "red") for text in self.failed]
        return Group(*told, Text("Ctrl-C ends", "dim"))


def lines(limits: Mapping[str, Mapping[str, RateLimitInfo]], now: float) -> list[str]:
    """A line for each limit of each model: a bar of what is used, the numbers, the time to the reset."""
    rows = [
        (shown(f"{provider}/{model}"), shown(one.name), *_measured(one, info, now))
        for provider, models in limits.items()
        for model, info in models.items()
        for one in info.dimensions
        if one.limit
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    return [f"{who:<{widths[0]}}  {what:<{widths[1]}}  {bar}  {used}" for who, what, bar, used in rows]


def _measured(one: LimitDimension, info: RateLimitInfo, now: float) -> tuple[str, str]:
    limit, left = one.limit or 0.0, one.left(info.observed_at or now, now)
    if left is None:
        return f"[{'?' * WIDTH}]", f"of {limit:,.0f}"
    share = min(1.0, max(0.0, 1 - left / limit))
    full = round(share * WIDTH)
    reset = "" if one.reset_at is None or one.reset_at <= now else f", whole again in {_lasting(one.reset_at - now)}"
    return f"[{'#' * full}{'.' * (WIDTH - full)}]", f"{share:4.0%}  {limit - left:,.0f} of {limit:,.0f}{reset}"


def _lasting(seconds: float) -> str:
    if seconds >= DAY:
        return f"{seconds / DAY:.1f} days"
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _live() -> Live | None:
    """A part of the screen that is drawn again and again; None without rich."""
    try:
        from rich.live import Live
    except ImportError:
        return None
    return Live(auto_refresh=False)
