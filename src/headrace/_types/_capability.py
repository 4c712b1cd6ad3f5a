"""What a provider can do, as words."""

from __future__ import annotations

from enum import StrEnum

__all__ = ("AICapability",)


class AICapability(StrEnum):
    """What a provider can do."""

    TEXT_GENERATION = "text_generation"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    IMAGE_GENERATION = "image_generation"
    IMAGE_ANALYSIS = "image_analysis"
    CODE_GENERATION = "code_generation"
    FUNCTION_CALLING = "function_calling"
