"""
Where a Redis is, read from a URL.

Pure: text in, values out. What is wrong with a URL is told without a word of it: a stray "/" or "@" puts parts of the
password where host and port are looked for. Forms: https://www.iana.org/assignments/uri-schemes/prov/redis; `unix:` as
redis-py and coredis read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from .._types import Secret

__all__ = ("Address", "parse")

PORT: Final = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port, or the `path` of a socket; its text is the URL without user and password."""

    scheme: str
    host: str
    port: int
    path: str
    database: int
    user: str
    password: Secret

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.database}"


def parse(url: str) -> Address:
    """
    Read `redis://[[user]:password@]host[:port][/database]`, `rediss://...`, `unix://[...@]/path[?db=database]`.

    Raises:
        ValueError: it is none of these.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        told = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        raise _wrong("its port or its query cannot be read") from None
    host, path, database = parts.hostname or "", "", parts.path[1:]
    match parts.scheme:
        case "redis" | "rediss" if not host or told or parts.fragment:
            raise _wrong("behind the host there may be a port and a database, and nothing more")
        case "unix":
            host, path, database = "", unquote(parts.path), told.pop("db", [""])[0]
            if not path or told or parts.fragment:
                raise _wrong("behind the socket's path there may be ?db=<number>, and nothing more")
        case "redis" | "rediss":
            pass
        case _:
            raise _wrong("it must begin with redis://, rediss:// or unix://")
    if not (database or "0").isdecimal():
        raise _wrong("its database is not a number")
    user, password = unquote(parts.username or ""), Secret(unquote(parts.password or ""))
    return Address(parts.scheme, host, port, path, int(database or 0), user, password)


def _wrong(why: str) -> ValueError:
    return ValueError(
        f"the URL of the Redis cannot be used: {why}. User and password are percent-encoded, as in "
        "redis://:p%40ss@host:6379/0"
    )
