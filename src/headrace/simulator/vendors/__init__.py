"""The simulated vendors, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ._base import Vendor
from .anthropic import Anthropic
from .gemini import Gemini
from .grok import Grok
from .ollama import Ollama
from .openai import OpenAI

__all__ = ("VENDORS", "Vendor")

VENDORS: Final[Mapping[str, Vendor]] = {
    vendor.name: vendor for vendor in (Anthropic(), OpenAI(), Gemini(), Grok(), Ollama())
}
