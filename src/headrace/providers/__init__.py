"""
Providers, by name. A vendor's module is imported when it is asked for: `load_provider("openai")`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from .base import BaseProvider

__all__ = ("PROVIDERS", "BaseProvider", "load_provider")

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
        ValueError: there is none; the message lists those there are.
    """
    if name not in PROVIDERS:
        raise ValueError(f"there is no provider {name!r}: there are {', '.join(PROVIDERS)}")
    module, _, attribute = PROVIDERS[name].partition(":")
    return cast("type[BaseProvider]", getattr(import_module(module), attribute))
