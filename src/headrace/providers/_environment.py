"""
Whose keys the environment has: the providers that could be used as they are.

Reads names of variables from the providers and the table of hosts, and whether they are set; a value is read by the
provider that sends it, and stays there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import PROVIDERS, load_provider
from ._hosts import HOSTS
from ._named import make_provider
from ._vendor import VendorProvider, environment
from .base import BaseProvider

__all__ = ("providers_by_key", "variables_by_provider")

ADDRESSES: Final[Mapping[str, tuple[str, ...]]] = {"ollama": ("OLLAMA_HOST",)}  # no key is needed there


def variables_by_provider() -> dict[str, tuple[str, ...]]:
    """The variables that make a provider usable, any one of them; the providers with a format of their own first."""
    found = dict(ADDRESSES)
    for name in PROVIDERS:
        vendor = load_provider(name)
        if name not in found and name != "compatible" and issubclass(vendor, VendorProvider):
            found[name] = vendor.vendor.key_env
    named = {name: found[name] for name in PROVIDERS if name in found}
    hosts = {row.name: row.key_env for row in HOSTS.values() if row.key_env and row.base_url and row.needs_key}
    return named | {name: variables for name, variables in hosts.items() if name not in named}


def providers_by_key() -> list[BaseProvider]:
    """A provider, with its defaults, for each vendor and known host that the environment has a variable for."""
    return [
        make_provider(name) for name, variables in variables_by_provider().items() if environment(variables) is not None
    ]
