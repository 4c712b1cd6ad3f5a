"""
Providers by one name: a vendor's own, a known host's, or one that another package has brought.

The one place that knows all three. Knows no vendor.
"""

from __future__ import annotations

from . import PROVIDERS, load_provider
from .base import BaseProvider

__all__ = ("make_provider", "names")


def names() -> list[str]:
    """Those that this package has: the providers with a format of their own first, then the known hosts."""
    from ._hosts import HOSTS

    return list(dict.fromkeys([*PROVIDERS, *HOSTS]))


def make_provider(kind: str, **options: object) -> BaseProvider:
    """
    A provider of this kind.

    Args:
        kind: "anthropic", "openai", ...; the name of a host, such as "groq"; or the name of an entry point.
        options: as its class takes them.

    Raises:
        ValueError: there is no such kind, or an option's value is wrong.
        TypeError: its class has no such option.
    """
    from ._hosts import HOSTS
    from .compatible import CompatibleProvider

    if kind in HOSTS and kind not in PROVIDERS:
        return CompatibleProvider(host=kind, **options)  # type: ignore[arg-type]  # whoever gives them knows them
    return load_provider(kind)(**options)  # type: ignore[arg-type]  # the same
