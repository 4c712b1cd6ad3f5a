"""
Providers, by name. A vendor's module is imported when it is asked for: `load_provider("openai")`.

Another package brings its own by an entry point of the group `headrace.providers`, whose name is the provider's:

    [project.entry-points."headrace.providers"]
    mill = "mill_provider:MillProvider"

It is imported when it is named, and never before. A name of this package's own cannot be taken.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from .base import BaseProvider

__all__ = ("PROVIDERS", "BaseProvider", "load_provider")

GROUP: Final = "headrace.providers"

PROVIDERS: Final = {
    "anthropic": "headrace.providers.anthropic:AnthropicProvider",
    "openai": "headrace.providers.openai:OpenAIProvider",
    "gemini": "headrace.providers.gemini:GeminiProvider",
    "grok": "headrace.providers.grok:GrokProvider",
    "ollama": "headrace.providers.ollama:OllamaProvider",
    "compatible": "headrace.providers.compatible:CompatibleProvider",
}


def load_provider(name: str) -> type[BaseProvider]:
    """
    The provider class of this name.

    Raises:
        ValueError: there is none, the message lists those there are; or the one that another package brings cannot be
            imported.
        TypeError: that one is no provider.
    """
    if name in PROVIDERS:
        module, _, attribute = PROVIDERS[name].partition(":")
        return cast("type[BaseProvider]", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points  # 8 ms, for those who have such packages

    brought = {point.name: point for point in entry_points(group=GROUP)}
    if name not in brought:
        from ._hosts import HOSTS  # which other callers take by their names

        known = dict.fromkeys([*PROVIDERS, *sorted(brought), *HOSTS])
        raise ValueError(f"there is no provider {name!r}: there are {', '.join(known)}")
    point = brought[name]
    try:
        found = point.load()
    except Exception as exc:
        raise ValueError(f"the provider {name!r} cannot be loaded from {point.value!r}: {exc!r}") from exc
    if not (isinstance(found, type) and issubclass(found, BaseProvider)):
        raise TypeError(f"the provider {name!r} at {point.value!r} is {found!r}, no subclass of BaseProvider")
    return found
