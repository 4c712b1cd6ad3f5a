"""
headrace: one client for large-language-model providers, on asyncio and trio.

No word that a model has said is lost, and no ending is made up. The names here are all an application needs; providers
stand in `headrace.providers`, errors in `headrace.errors`, the simulator in `headrace.simulator`.
"""

from ._budget import Budget
from ._figures import Figure, ModelUsage, UsageSummary
from ._recorder import Recorder
from ._types import (
    AICapability,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    Attempt,
    AudioPart,
    CacheBreakpoint,
    Citation,
    Deadlines,
    DocumentPart,
    EmbeddingResponse,
    ErrorInfo,
    GenerationConfig,
    ImagePart,
    LimitDimension,
    ModelInfo,
    PartialToolCall,
    PromptCache,
    RateLimitInfo,
    Reasoning,
    ReasoningPart,
    Recording,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResultPart,
    Usage,
    VendorPart,
)
from ._usage import Ledger
from ._version import __version__
from .errors import HeadraceError, OutputValidationError, ProviderError, RateLimitError, StreamInterruptedError
from .gateway import AIGateway
from .streaming.split import StreamPart
from .streaming.stream import ChatStream

__all__ = (
    "AICapability",
    "AIGateway",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "Attempt",
    "AudioPart",
    "Budget",
    "CacheBreakpoint",
    "ChatStream",
    "Citation",
    "Deadlines",
    "DocumentPart",
    "EmbeddingResponse",
    "ErrorInfo",
    "Figure",
    "GenerationConfig",
    "HeadraceError",
    "ImagePart",
    "Ledger",
    "LimitDimension",
    "ModelInfo",
    "ModelUsage",
    "OutputValidationError",
    "PartialToolCall",
    "PromptCache",
    "ProviderError",
    "RateLimitError",
    "RateLimitInfo",
    "Reasoning",
    "ReasoningPart",
    "Recorder",
    "Recording",
    "StreamInterruptedError",
    "StreamPart",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResultPart",
    "Usage",
    "UsageSummary",
    "VendorPart",
    "__version__",
)
