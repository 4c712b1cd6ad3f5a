"""
A gateway's configuration: a TOML file in, providers and who is asked first out.

Checked as a whole: each mistake is told with its place and the nearest right key. Keys never stand in the file, and a
file alone sends no vendor's key anywhere but to that vendor. Knows no vendor.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Final, cast

from .._types import Deadlines, Secret
from ..errors import ConfigError
from ..limits.policy import RateLimitPolicy
from . import PROVIDERS
from ._hosts import HOSTS
from ._named import make_provider, names
from ._vendor import ApiKey, VendorProvider
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
    "max_attempts": WHOLE,
    "max_requests": WHOLE,
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

SECRETS: Final = ("api_key", "key", "key_env", "token", "headers", "key_hosts")


@dataclass(slots=True)
class Configured:
    """What a file says. `fallback` None is: it does not say."""

    providers: list[tuple[int, BaseProvider]] = field(default_factory=list)
    default: str | None = None
    fallback: bool | None = None


def configured(path: str | PathLike[str], keys: Mapping[str, ApiKey]) -> Configured:
    """
    Read a file and make its providers.

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
        found = _provider(name, one, keys)
        if isinstance(found, list):
            wrong += found
        else:
            made.append(found)
    default = table.get("default")
    if isinstance(default, str) and default not in tables:
        wrong.append(f"default: there is no provider {default!r}{_nearest(default, tables)}")
    wrong += [
        f"keys= names {name!r}, which the file does not have{_nearest(name, tables)}" for name in keys.keys() - tables
    ]
    if wrong:
        raise ConfigError("\n".join(f"{file}: {line}" for line in wrong))
    return Configured(made, cast("str | None", default), cast("bool | None", table.get("fallback")))


def _read(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES + 1)
        if len(data) > FILE_BYTES:
            raise ConfigError(f"{file}: it is longer than {FILE_BYTES} bytes, which no configuration is")
        return tomllib.loads(data.decode())
    except OSError as exc:
        raise ConfigError(f"{file}: it cannot be read: {exc.strerror or exc}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{file}: it is not TOML: {exc}") from None  # a traceback would show the text


def _mistakes(table: Mapping[str, object], known: Mapping[str, Check], place: str) -> Iterator[str]:
    """Keys that there are not, and values that cannot be. A value is not shown: it may be a key in the wrong place."""
    for name, value in table.items():
        if name not in known:
            yield f"{place}unknown key {name!r}{_nearest(name, known)}"
        elif (wanted := known[name](value)) is not None:
            yield f"{place}{name} must be {wanted}, and is {_kind(value)}"


def _provider(name: str, given: object, keys: Mapping[str, ApiKey]) -> tuple[int, BaseProvider] | list[str]:
    """The provider of one table with its priority, or what is wrong."""
    place = f"[providers.{name}]: "
    if not isinstance(given, dict):
        return [f"{place}it must be a table, and is {_kind(given)}"]
    table = dict(cast("dict[str, object]", given))
    if secret := [key for key in SECRETS if key in table]:
        how = f"from_config(path, keys={{{name!r}: os.environ['...']}})"
        why = "the vendor's own variable is read by itself, and any other key is given in code"
        return [f"{place}{secret[0]} does not stand in a file: {why}: {how}"]
    wrong = list(_mistakes(table, PROVIDER, place))
    for part, known in (("limits", LIMITS), ("deadlines", DEADLINES)):
        if isinstance(inner := table.get(part), dict):
            wrong += _mistakes(cast("dict[str, object]", inner), known, f"[providers.{name}.{part}]: ")
    if wrong:
        return wrong
    kind, priority = cast("str", table.pop("kind", name)), cast("int", table.pop("priority", 0))
    try:
        return priority, _made(name, kind, table, keys.get(name))
    except (ValueError, TypeError) as exc:
        if kind not in PROVIDERS and kind not in HOSTS and "there is no provider" in str(exc):
            return [f"{place}there is no provider {kind!r}{_nearest(kind, names())} (a `kind` names another one)"]
        return [f"{place}{exc}"]


def _made(name: str, kind: str, table: dict[str, object], key: ApiKey | None) -> BaseProvider:
    options: dict[str, object] = {**table, "name": name}
    if isinstance(limits := table.get("limits"), dict):
        options["limits"] = RateLimitPolicy(**limits)
    if isinstance(deadlines := table.get("deadlines"), dict):
        options["deadlines"] = Deadlines(**deadlines)
    if key is not None:
        options["api_key"] = Secret(key) if isinstance(key, str) else key
    provider = make_provider(kind, **options)
    if isinstance(provider, VendorProvider) and not provider.is_available():
        variable = next(iter(provider.vendor.key_env), "a variable of the environment")
        raise ValueError(
            f"there is no key: set {variable}"
            if provider._goes_to_vendor()
            else f"{variable} goes to the vendor's own hosts by https only, and base_url is {provider.base_url!r}. "
            f"If the key may go there, say so in code: from_config(path, keys={{{name!r}: os.environ[{variable!r}]}})"
        )
    return provider


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    near = get_close_matches(name, list(known), 1, 0.5)
    return f": did you mean {near[0]!r}?" if near else f": there are {', '.join(known)}" if known else ""


def _kind(value: object) -> str:
    for kind, text in (
        (bool, "true or false"),
        (str, "a text"),
        (int, "a whole number"),
        (float, "a number"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, kind):
            return text
    return "a date or time"
