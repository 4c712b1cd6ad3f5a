"""
`headrace models`: what can be asked, as the vendors list it.

A row for each model; providers are asked at the same time, and one that fails hides nobody else's. Knows no format.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

import anyio
from anyio import create_task_group

from .._types import ModelInfo
from ..errors import CallerError, HeadraceError, MissingKeyError
from ..gateway import AIGateway
from ..providers.base import BaseProvider
from . import _who
from ._streams import json_line, shown

__all__ = ("EPILOG", "HELP", "arguments", "run")

HELP: Final = "List the models of the providers that are configured."
EPILOG: Final = """\
Each provider is asked once. "*" marks the model that is asked where a call names none; "?" is what the vendor does not
tell. When piped, columns are divided by tabs and there is no heading.

exit codes:
  0    all providers gave their list
  1    one or more did not; the others are listed
  2    nobody could be asked: an unknown provider, no key, a file that cannot be used

examples:
  headrace models                          of every provider whose key the environment has
  headrace models anthropic groq
  headrace models ollama | cut -f 2
  headrace models compatible --base-url http://localhost:8000/v1
"""
HEAD: Final = ("provider", "model", "default", "input", "output", "name")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("provider", nargs="*", help="whose (default: all whose keys the environment has)")
    _who.arguments(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object a line for each model")
    _who.backend(parser)


def run(options: argparse.Namespace) -> int:
    """List; the exit code is as `EPILOG` says."""
    try:
        listing = Listing(_who.gateway(options, options.provider), options.provider)
    except (CallerError, ValueError) as exc:
        _who.say("models", str(exc))
        return 2
    anyio.run(listing.main, backend=options.backend)
    for name, error in listing.failed.items():
        _who.say("models", f"{name}: {type(error).__name__}: {_who.described(error)}")
    rows = [(model, default) for name in listing.names for model, default in listing.found.get(name, ())]
    if options.json:
        for model, default in rows:
            print(json_line(_plain(model, is_default=default)))
    elif rows:
        _table([_row(model, is_default=default) for model, default in rows])
    if not listing.found and all(isinstance(error, MissingKeyError) for error in listing.failed.values()):
        return 2
    return 1 if listing.failed else 0


class Listing:
    """The lists of several providers. `found` has each one's models, with whether that is its default."""

    def __init__(self, gateway: AIGateway, names: list[str]) -> None:
        self._gateway = gateway
        self.names: list[str] = list(dict.fromkeys(names)) or [one.name for one in gateway._in_order()]
        self.found: dict[str, list[tuple[ModelInfo, bool]]] = {}
        self.failed: dict[str, HeadraceError] = {}

    async def main(self) -> None:
        """Ask all at once."""
        async with self._gateway as gateway, create_task_group() as tasks:
            for name in self.names:
                tasks.start_soon(self._ask, gateway.get_provider(name))

    async def _ask(self, provider: BaseProvider) -> None:
        try:
            models = await provider.list_models()
            default = await provider.get_default_model() if provider.model or models else ""
        except HeadraceError as exc:
            self.failed[provider.name] = exc
        else:
            self.found[provider.name] = [(model, model.id == default) for model in models]


def _row(model: ModelInfo, *, is_default: bool) -> tuple[str, ...]:
    size = ["?" if tokens is None else f"{tokens:,}" for tokens in (model.context_tokens, model.output_tokens)]
    return (model.provider, shown(model.id), "*" if is_default else "", *size, shown(model.name))


def _plain(model: ModelInfo, *, is_default: bool) -> dict[str, object]:
    told = {
        "provider": model.provider,
        "id": model.id,
        "default": is_default,
        "name": model.name or None,
        "context_tokens": model.context_tokens,
        "output_tokens": model.output_tokens,
        "created_at": model.created_at,
    }
    return {name: value for name, value in told.items() if value is not None}


def _table(rows: list[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    rows = [HEAD, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
