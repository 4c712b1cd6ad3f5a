"""
Who is asked by a subcommand: providers by name, from a file, or all whose keys the environment has.

One place for the options and for what they mean. Knows no vendor.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import CallerError, HeadraceError, MissingKeyError, ProviderError
from ..gateway import AIGateway
from ..providers._named import make_provider

__all__ = ("arguments", "backend", "described", "gateway", "say")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say where a provider is and which key it gets."""
    parser.add_argument(
        "--config", metavar="FILE", help="take the providers from a TOML file, see docs/configuration.md"
    )
    parser.add_argument("--base-url", metavar="URL", help="the address of the one provider that is named")
    parser.add_argument(
        "--key-env", metavar="NAME", help="the variable that holds its key; it is sent to that address, whichever it is"
    )


def backend(parser: argparse.ArgumentParser) -> None:
    """Declare the choice of the event loop."""
    parser.add_argument(
        "--backend", choices=("asyncio", "trio"), default="asyncio", help="event loop (default: %(default)s)"
    )


def gateway(options: argparse.Namespace, names: Sequence[str]) -> AIGateway:
    """
    A gateway to the providers of these names; without names, to all there are.

    Raises:
        CallerError, ValueError: there is no such provider, or no key, or the options do not fit.
    """
    names = list(dict.fromkeys(names))
    for option, value in (("config", options.config), ("base-url", options.base_url), ("key-env", options.key_env)):
        if value == "":  # of "$UNSET": a key and a question would go where nobody sent them
            raise CallerError(f"--{option} is empty: leave it out, or give it a value")
    if (options.base_url or options.key_env) and (len(names) != 1 or options.config):
        raise CallerError("--base-url and --key-env are of one provider: name it, without --config")
    if options.config:
        found = AIGateway.from_config(options.config)
        for name in names:
            found.get_provider(name)
        return found
    if not names:
        return AIGateway.from_env()
    more: dict[str, object] = {"base_url": options.base_url} if options.base_url else {}
    if options.key_env:
        more["api_key"] = os.environ.get(options.key_env, "").strip()
        if not more["api_key"]:
            raise MissingKeyError(f"--key-env {options.key_env}: there is no such variable, or it is empty")
    return AIGateway(*[make_provider(name, **more) for name in names])


def described(exc: HeadraceError) -> str:
    """The error in words, and when to come back."""
    if isinstance(exc, ProviderError) and exc.retry_after is not None:
        return f"{exc} (come back in {exc.retry_after:.0f} s)"
    if isinstance(exc, MissingKeyError) and "api_key=" in str(exc):  # the advice of code, where there is none
        return f"{exc} On the command line: set the variable, or name the one that holds the key by --key-env."
    return str(exc)


def say(command: str, text: str) -> None:
    """A line beside the output."""
    print(f"headrace {command}: {text}", file=sys.stderr, flush=True)
