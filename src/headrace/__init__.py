"""
headrace: one client for large-language-model providers, on asyncio and trio.

No word that a model has said is lost, and no ending is made up. The names here are all an application needs; providers
stand in `headrace.providers`, errors in `headrace.errors`, the simulator in `headrace.simulator`.
"""

from ._types import (
    AICapability,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    Attempt,
    AudioPart,
    Deadlines,
    DocumentPart,
    ErrorInfo,
    GenerationConfig,
    ImagePart,
    LimitDimension,
    PartialToolCall,
    RateLimitInfo,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResultPart,
    Usage,
)
from ._version import __version__
from .errors import HeadraceError, ProviderError, RateLimitError, StreamInterruptedError
from .gateway import AIGateway
from .streaming.stream import ChatStream

__all__ = (
    "AICapability",
    "AIGateway",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "Attempt",
    "AudioPart",
    "ChatStream",
    "Deadlines",
    "DocumentPart",
    "ErrorInfo",
    "GenerationConfig",
    "HeadraceError",
    "ImagePart",
    "LimitDimension",
    "PartialToolCall",
    "ProviderError",
    "RateLimitError",
    "RateLimitInfo",
    "ReasoningPart",
    "StreamInterruptedError",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResultPart",
    "Usage",
    "__version__",
)
