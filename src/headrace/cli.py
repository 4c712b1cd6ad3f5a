"""
The command line: `headrace chat`, `models`, `limits`, `doctor`, `replay`, and here `demo`, the main job, and `sim`, the
simulator until Ctrl-C.

One row of `COMMANDS` a subcommand: its help, its arguments, and what runs it. Knows no vendor's format.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from ._checks import check_number
from ._version import __version__
from .commands import chat, doctor, limits, models, replay
from .commands._ends import is_unwritable, quietly
from .commands._streams import prepare
from .simulator import Exchange, Simulator, faults

__all__ = ("main",)

VENDORS: Final = ("anthropic", "openai", "gemini", "grok", "ollama")
CURL: Final = """curl -N {url}/chat/completions -H 'authorization: Bearer any' -H 'content-type: application/json' \
-d '{{"model":"any","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'"""


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: `arguments` declares its options, `run` does it and returns the exit code."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    epilog: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand. `argv` is without the program's name; default: the process's own. Returns the exit code."""
    prepare()
    parser = argparse.ArgumentParser(prog="headrace", description="One client for large-language-model providers.")
    parser.add_argument("--version", action="version", version=f"headrace {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = subparsers.add_parser(
            name,
            help=command.help,
            description=command.help,
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(added)
    return quietly(lambda: COMMANDS[(options := parser.parse_args(argv)).command].run(options))


# ---------------------------------------------------------------- sim


def _sim_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to bind (default: any free one)")
    parser.add_argument(
        "--backend", choices=("asyncio", "trio"), default="asyncio", help="event loop (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=0.02, help="mean seconds between events (default: %(default)s)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="what goes wrong, as 'cut-fin; after_events=3'; given more than once, the requests take them in turn",
    )
    parser.add_argument("--list-faults", action="store_true", help="name all faults and their parameters, and leave")


def _sim(options: argparse.Namespace) -> int:
    if options.list_faults:
        print("\n".join(faults.describe()))
        return 0
    try:
        if not options.host.strip():
            raise ValueError("--host is empty: leave it out, or give it a value, such as 0.0.0.0 for every address")
        check_number("--pace", options.pace, "a number of seconds, 0 or more", least=0)
        check_number("--port", options.port, "a number from 0 to 65535", least=0, most=65535)
        chosen = [fault for text in options.fault for fault in faults.parse(text)]
    except ValueError as exc:
        print(f"headrace sim: {exc}", file=sys.stderr)
        return 2
    simulator = Simulator(
        seed=options.seed,
        host=options.host,
        port=options.port,
        pace=options.pace,
        faults=chosen,
        on_exchange=_log,
    )
    try:
        anyio.run(_serve, simulator, backend=options.backend)
    except KeyboardInterrupt:
        pass  # where signals cannot be received (Windows on asyncio), and before the receiver is open
    except OSError as exc:
        if is_unwritable(exc):
            raise
        print(f"headrace sim: {options.host}:{options.port}: {exc.strerror or exc}", file=sys.stderr)
        return 1
    return 0


async def _serve(simulator: Simulator) -> None:
    async with simulator:
        for vendor in VENDORS:
            print(f"{vendor:<10} {simulator.base_url(vendor)}")
        print(f"\n{CURL.format(url=simulator.base_url('openai'))}\n", flush=True)
        if sys.platform == "win32":
            await anyio.sleep_forever()
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                return


def _log(exchange: Exchange) -> None:
    fault = exchange.script.fault if exchange.script else None
    told = f" [{fault.NAME}]" if fault else ""
    print(
        f"{exchange.method} {exchange.path} {exchange.status or '-'}{told}: {exchange.ended}, "
        f"{exchange.events_sent} events, {len(exchange.text_sent)} characters",
        flush=True,
    )


# ---------------------------------------------------------------- demo


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", choices=("asyncio", "trio"), default="asyncio", help="event loop (default: %(default)s)"
    )
    parser.add_argument("--plain", action="store_true", help="lines in place of the live view, as when piped")


def _demo(options: argparse.Namespace) -> int:
    from . import demo

    return demo.run(backend=options.backend, live=False if options.plain else None)


COMMANDS: Final = {
    "chat": Command(chat.HELP, chat.arguments, chat.run, chat.EPILOG),
    "demo": Command("Four providers stream at once, break, and lose nothing.", _demo_arguments, _demo),
    "doctor": Command(doctor.HELP, doctor.arguments, doctor.run, doctor.EPILOG),
    "limits": Command(limits.HELP, limits.arguments, limits.run, limits.EPILOG),
    "models": Command(models.HELP, models.arguments, models.run, models.EPILOG),
    "replay": Command(replay.HELP, replay.arguments, replay.run, replay.EPILOG),
    "sim": Command(
        "Run the vendors' simulator until Ctrl-C: conversations, embeddings, token counts, models.",
        _sim_arguments,
        _sim,
    ),
}
