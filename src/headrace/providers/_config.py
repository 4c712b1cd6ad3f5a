"""
A gateway's configuration: a TOML file in, providers and who is asked first out.

Checked as a whole: each mistake is told with its place and the nearest right key. Keys never stand in the file, and no
file sends a key anywhere but to its vendor, or to the host that code has named for it. Knows no vendor.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from .._types import Deadlines, Secret
from ..errors import CallerError, ConfigError
from ..limits.policy import RateLimitPolicy
from . import GROUP, PROVIDERS, load_provider
from ._hosts import HOSTS
from ._named import make_provider, names
from ._vendor import LOOPBACK, ApiKey, Vendor, VendorProvider
from .base import BaseProvider

__all__ = ("DEADLINES", "GATEWAY", "LIMITS", "PROVIDER", "Configured", "configured")

FILE_BYTES: Final = 1 << 20

Check = Callable[[object], str | None]
"""None, or what the value should be."""


def _of(kind: type | tuple[type, ...], wanted: str) -> Check:
    def check(value: object) -> str | None:
        is_right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        return None if is_right else wanted

    return check


def _numbers(value: object) -> str | None:
    is_right = isinstance(value, dict) and all(NUMBER(one) is None for one in value.values())
    return None if is_right else "a table of numbers"


def _count(value: object) -> str | None:
    return None if WHOLE(value) is None and cast("int", value) > 0 else "a whole number above 0"


TEXT: Final = _of(str, "a text")
SWITCH: Final = _of(bool, "true or false")
WHOLE: Final = _of(int, "a whole number")
NUMBER: Final = _of((int, float), "a number")
TABLE: Final = _of(dict, "a table")

GATEWAY: Final[Mapping[str, Check]] = {"default": TEXT, "fallback": SWITCH, "providers": TABLE}
PROVIDER: Final[Mapping[str, Check]] = {
    "kind": TEXT,
    "model": TEXT,
    "base_url": TEXT,
    "api": TEXT,
    "priority": WHOLE,
    "max_attempts": _count,
    "max_requests": _count,
    "marker": TEXT,
    "strict_options": SWITCH,
    "limits": TABLE,
    "deadlines": TABLE,
}
LIMITS: Final[Mapping[str, Check]] = {
    "pace": SWITCH,
    "max_wait": NUMBER,
    "max_queue": WHOLE,
    "share": NUMBER,
    "limits": _numbers,
}
DEADLINES: Final[Mapping[str, Check]] = dict.fromkeys(("first_chunk", "next_chunk", "idle", "total"), NUMBER)

PARTS: Final = (("limits", LIMITS, RateLimitPolicy), ("deadlines", DEADLINES, Deadlines))

NAME: Final = re.compile(r"[\w.:@+-]+")  # a "/" ends it where a model is named "vendor/model"
SECRET: Final = re.compile(r"key|token|secret|password|credential|auth|header", re.IGNORECASE)


@dataclass(slots=True)
class Configured:
    """What a file says. `fallback` None is: it does not say."""

    providers: list[tuple[int, BaseProvider]] = field(default_factory=list)
    default: str | None = None
    fallback: bool | None = None


def configured(path: str | PathLike[str], keys: Mapping[str, ApiKey], key_hosts: Mapping[str, str]) -> Configured:
    """
    Read a file and make its providers; arguments as `AIGateway.from_config`.

    Raises:
        ConfigError: the file cannot be read, or says what cannot be; the message has a line for each mistake.
    """
    file = Path(path)
    table = _read(file)
    wrong = list(_mistakes(table, GATEWAY, ""))
    given = table.get("providers")
    tables = cast("dict[str, object]", given) if isinstance(given, dict) else {}
    if not wrong and not tables:
        wrong.append("there is no provider: write a table such as [providers.anthropic]")
    made: list[tuple[int, BaseProvider]] = []
    for name, one in tables.items():
        found = _provider(name, one, keys.get(name), key_hosts.get(name))
        if isinstance(found, list):
            wrong += found
        else:
            made.append(found)
    default = table.get("default")
    if isinstance(default, str) and default not in tables:
        wrong.append(f"default: there is no provider {default!r}{_nearest(default, tables)}")
    for argument, given_names, known, other in (
        ("keys", keys, tables, "the file does not have"),
        ("key_hosts", key_hosts, keys, "keys= does not"),
    ):
        wrong += [
            f"{argument}= names {name!r}, which {other}{_nearest(name, known)}"
            for name in given_names
            if name not in known
        ]
    if wrong:
        raise ConfigError("\n".join(f"{file}: {line}" for line in wrong))
    return Configured(made, cast("str | None", default), cast("bool | None", table.get("fallback")))


def _read(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{file}: it cannot be read: {exc.strerror or exc}") from exc
    if len(data) > FILE_BYTES:
        raise ConfigError(f"{file}: it is longer than {FILE_BYTES} bytes, which no configuration is")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # some editors put a byte order mark first
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        wrong = f"what stands there is not UTF-8 (at line {line})"
    except (ValueError, RecursionError) as exc:  # a ValueError of its own: a number of thousands of digits
        wrong = str(exc)
    raise ConfigError(f"{file}: it is not TOML: {wrong}")  # out here, where no traceback leads to the text


def _mistakes(
    table: Mapping[str, object], known: Mapping[str, Check], place: str, name: str = "NAME", kind: str = ""
) -> Iterator[str]:
    """Keys that there are not, and values that cannot be. A value is not shown: it may be a key in the wrong place."""
    for key, value in table.items():
        if key not in known and SECRET.search(key):
            variable = _variable(kind) or "the vendor's own variable"
            yield (
                f"{place}{key!r} does not stand in a file: set {variable}, which is read by itself, or give another "
                f"key in code: from_config(path, keys={{{name!r}: os.environ['...']}})"
            )
        elif key not in known:
            yield f"{place}unknown key {key!r}{_nearest(key, known)}"
        elif (wanted := known[key](value)) is not None:
            yield f"{place}{key} must be {wanted}, and is {_kind(value)}"


def _variable(kind: str) -> str:
    """The environment variable of the key of one of this package's own providers or hosts; "" where there is none."""
    if kind in PROVIDERS:
        vendor = getattr(load_provider(kind), "vendor", None)
        variables = vendor.key_env if isinstance(vendor, Vendor) else ()
    else:
        variables = HOSTS[kind].key_env if kind in HOSTS else ()
    return next(iter(variables), "")


def _provider(name: str, given: object, key: ApiKey | None, host: str | None) -> tuple[int, BaseProvider] | list[str]:
    """The provider of one table with its priority, or what is wrong."""
    if not NAME.fullmatch(name):
        return [f"[providers.{name!r}]: the name of a provider is of letters, digits and the signs _ - . : @ +"]
    place = f"[providers.{name}]: "
    if not isinstance(given, dict):
        return [f"{place}it must be a table, and is {_kind(given)}"]
    table = dict(cast("dict[str, object]", given))
    kind = one if isinstance(one := table.pop("kind", name), str) else name
    wrong = list(_mistakes(given, PROVIDER, place, name, kind))
    for part, known, make in PARTS:
        if isinstance(inner := table.get(part), dict):
            there = f"[providers.{name}.{part}]: "
            if found := list(_mistakes(inner, known, there, name, kind)):
                wrong += found
                continue
            try:
                table[part] = make(**inner)
            except ValueError as exc:
                wrong.append(f"{there}{exc}")
    if wrong:
        return wrong
    priority = cast("int", table.pop("priority", 0))
    try:
        return priority, _made(name, kind, table, key, host)
    except (ValueError, TypeError, CallerError) as exc:
        if kind not in PROVIDERS and kind not in HOSTS and "there is no provider" in str(exc):
            there_are = [*names(), *sorted(entry_points(group=GROUP).names)]
            return [f"{place}there is no provider {kind!r}{_nearest(kind, there_are)} (a `kind` names another one)"]
        return [f"{place}{exc}"]


def _made(name: str, kind: str, options: dict[str, object], key: ApiKey | None, host: str | None) -> BaseProvider:
    if key is not None:
        options["api_key"] = Secret(key) if isinstance(key, str) else key
    provider = make_provider(kind, name=name, **options)
    if isinstance(provider, VendorProvider):
        address, is_home, is_keyless = provider.base_url, provider._goes_to_vendor(), not provider.is_available()
        variable = next(iter(provider.vendor.key_env), "...")
    else:  # of another package, which has said nothing of its hosts: a file may name none for a key
        address, is_home, is_keyless, variable = str(options.get("base_url")), "base_url" not in options, False, "..."
    if key is not None and not is_home and not _is_named(address, host):
        raise ValueError(_astray("this key", address, name, "..."))
    if is_keyless:
        raise ValueError(
            f"there is no key: set {variable}"
            if is_home
            else _astray(variable, address, name, f"os.environ[{variable!r}]")
        )
    return provider


def _is_named(address: str, host: str | None) -> bool:
    """Whether code has named the host of this address, and nobody on the way can read along."""
    url = urlsplit(address)
    return url.hostname == host and (url.scheme == "https" or host in LOOPBACK)


def _astray(what: str, address: str, name: str, key: str) -> str:
    """Why a key is not sent to this address, and what to write if it may be."""
    url = urlsplit(address)
    host = url.hostname or ""
    why = f"{what} goes to the vendor's own hosts by https only, and base_url is at '{url.scheme}://{host}'. "
    if url.scheme != "https" and host not in LOOPBACK:
        return f"{why}By plain http a key goes to this machine alone"
    consent = f"from_config(path, keys={{{name!r}: {key}}}, key_hosts={{{name!r}: {host!r}}})"
    return f"{why}If it may go there, say so in code: {consent}"


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    near = get_close_matches(name, list(known), 1, 0.5)
    return f": did you mean {near[0]!r}?" if near else f": there are {', '.join(known)}" if known else ""


def _kind(value: object) -> str:
    """What was found. A number is no secret, and is shown."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    for kind, text in ((bool, "true or false"), (str, "a text"), (list, "a list"), (dict, "a table")):
        if isinstance(value, kind):
            return text
    return "a date or time"
