"""
`headrace doctor`: what is configured, what can be reached, what is missing.

Names variables; of their values it shows addresses and names of files, and no key. Each provider is asked for its list
of models, which costs nothing; whoever has none is not asked. Knows no format.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final
from urllib.parse import urlsplit

import anyio
from anyio import create_task_group, move_on_after

from .. import models
from .._checks import check_number
from .._version import __version__
from ..errors import CallerError, HeadraceError, MissingKeyError, NotFoundError, RateLimitError, UnsupportedOptionError
from ..gateway import AIGateway
from ..providers._environment import variables_by_provider
from ..providers._named import make_provider, names
from ..providers._vendor import UNFIT, VendorProvider, environment
from ..providers.base import BaseProvider
from . import _who

__all__ = ("EPILOG", "HELP", "arguments", "run")

HELP: Final = "Say what is configured, what can be reached, and what is missing."
EPILOG: Final = """\
A key is never shown; of other variables, addresses and names of files are. A provider is reached by asking for its
list of models, which costs nothing.

exit codes:
  0    everything that is configured works
  1    something does not, or nothing is configured
  2    the options cannot be used: an unknown provider, a file with mistakes

examples:
  headrace doctor
  headrace doctor --offline
  headrace doctor --config gateway.toml
"""
OFFERED: Final = {
    "trio": "the other event loop",
    "cli": "live views in a terminal",
    "httpx2": "the maintained fork of httpx, as http_client=",
    "redis": "limits shared between processes",
    "otel": "spans and metrics",
    "prices": "cost beside tokens",
    "schema": "answers checked against a JSON schema",
    "simulator": "vendors to test against",
}
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("provider", nargs="*", help="only these (default: all whose keys the environment has)")
    _who.arguments(parser)
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="S", help="seconds for each provider (default: 5)"
    )
    _who.backend(parser)


def run(options: argparse.Namespace) -> int:
    """Look; the exit code is as `EPILOG` says."""
    try:
        check_number("--timeout", options.timeout, "a number of seconds above 0", above=0)
    except ValueError as exc:
        _who.say("doctor", str(exc))
        return 2
    print(f"headrace {__version__}, {platform.python_implementation()} {platform.python_version()}, {sys.platform}")
    fine = [_optional_parts(), _surroundings()]
    try:
        gateway, unfit = _gateway(options)
    except MissingKeyError as exc:
        print("\nproviders")
        return _line(False, "nobody is configured", str(exc)) or 1
    except (CallerError, ValueError) as exc:
        _who.say("doctor", str(exc))
        return 2
    print("\nproviders")
    fine += [_line(False, name, text) for name, text in unfit.items()]
    if options.offline:
        fine += [_configured(provider) for provider in gateway._in_order()]
    else:
        visit = Visit(gateway, options.timeout)
        anyio.run(visit.main, backend=options.backend)
        fine += [_line(works, name, text) for name, (works, text) in visit.found.items()]
    if not options.provider and not options.config:
        others = [name for name, variables in variables_by_provider().items() if environment(variables) is None]
        _line(None, "not configured", ", ".join(others))
    return 0 if all(fine) else 1


def _gateway(options: argparse.Namespace) -> tuple[AIGateway, dict[str, str]]:
    """Those that can be made; and why the others cannot, such as an address of the environment that is none."""
    named = list(dict.fromkeys(options.provider))
    found = named or [name for name, variables in variables_by_provider().items() if environment(variables) is not None]
    if not found or any(given is not None for given in (options.config, options.base_url, options.key_env)):
        return _who.gateway(options, named), {}
    if unknown := [name for name in found if name not in names()]:
        _who.gateway(options, unknown)  # of another package; or there is none, which is told
    gateway, unfit = AIGateway(), dict[str, str]()
    for name in found:
        try:
            gateway.register_provider(make_provider(name))
        except (CallerError, ValueError) as exc:
            unfit[name] = str(exc)
    return gateway, unfit


def _line(works: bool | None, name: str, text: str) -> bool:
    mark = {True: "ok  ", False: "FAIL", None: "--  "}[works]
    print(f"  {mark}  {name:<14}  {text}".rstrip())
    return works is not False


# ---------------------------------------------------------------- this installation


def _optional_parts() -> bool:
    print("\noptional parts")
    try:
        wanted = requires("headrace") or []
    except PackageNotFoundError:
        return _line(False, "headrace", "it is not installed: what it asks for is unknown (pip install headrace)")
    for text in wanted:
        found = re.fullmatch(r"([A-Za-z0-9_.-]+).*extra\s*==\s*['\"](\w+)['\"].*", text)
        if found is None or found[2] not in OFFERED:
            continue
        package, extra = found.groups()
        try:
            _line(True, package, f"{version(package)}: {OFFERED[extra]}")
        except PackageNotFoundError:
            _line(None, package, f'{OFFERED[extra]}: pip install "headrace[{extra}]"')
    return True


def _surroundings() -> bool:
    print("\nenvironment")
    works = True
    if path := os.environ.get(models.VARIABLE):
        try:
            models.rules_for("openai", "any")
        except HeadraceError as exc:
            works = _line(False, models.VARIABLE, str(exc))
        else:
            _line(True, models.VARIABLE, f"model rules of {path}")
    for name in PROXIES:
        if os.environ.get(name) or os.environ.get(name.lower()):
            _line(True, name, "is set, and httpx follows it")
    return works


# ---------------------------------------------------------------- providers


class Visit:
    """A look at each provider, all at once. `found`: by name, whether it works, and what is to be said."""

    def __init__(self, gateway: AIGateway, timeout: float) -> None:
        self._gateway, self._timeout = gateway, timeout
        self.found: dict[str, tuple[bool, str]] = {}

    async def main(self) -> None:
        """Look at all."""
        providers = self._gateway._in_order()
        self.found = dict.fromkeys([one.name for one in providers], (False, "was not reached"))
        async with self._gateway, create_task_group() as tasks:
            for provider in providers:
                tasks.start_soon(self._look, provider)

    async def _look(self, provider: BaseProvider) -> None:
        works, text = False, f"no answer within {self._timeout:g} s"
        with move_on_after(self._timeout):
            works, text = await _asked(provider)
        self.found[provider.name] = works, f"{_where(provider)}: {text}"


async def _asked(provider: BaseProvider) -> tuple[bool, str]:
    try:
        found = await provider.list_models()
    except UnsupportedOptionError:
        return True, "has a key; it lists no models, so it was not asked"
    except NotFoundError:
        return True, "answers; it lists no models"
    except RateLimitError as exc:
        return True, f"answers, but refuses for now: {_who.described(exc)}"
    except HeadraceError as exc:
        return False, f"{type(exc).__name__}: {_who.described(exc)}"
    return True, f"answers; {len(found)} models, usually asked: {provider.model or 'none'}"


def _configured(provider: BaseProvider) -> bool:
    works = bool(provider.is_available())
    said = "has a key, or needs none" if works else "there is no key that may be sent there"
    if isinstance(provider, VendorProvider) and provider._is_unfit():
        works, said = False, UNFIT
    return _line(works, provider.name, f"{_where(provider)}: {said}")


def _where(provider: BaseProvider) -> str:
    """The host, and the variable that its key would come from."""
    if not isinstance(provider, VendorProvider):
        return "by its own means"
    url = urlsplit(provider.base_url)
    set_ = next((name for name in provider.vendor.key_env if environment((name,))), None)
    return f"{url.scheme}://{url.netloc}" + (f", {set_} is set" if set_ else "")
