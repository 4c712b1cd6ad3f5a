"""
The values that cross headrace's border: what a caller gives and what a model's answer is made of.

Plain slots dataclasses and TypedDicts. Knows no vendor, no socket, no loop. `headrace` and `headrace.gateway` re-export
the names that applications import.
"""

from ._answers import (
    AIResponse,
    AIStreamChunk,
    Attempt,
    ChunkMeta,
    Citation,
    ErrorInfo,
    ResponsePart,
    State,
    ToolCallDelta,
    Usage,
    UsageSource,
)
from ._beside import EmbeddingResponse, ModelInfo
from ._capability import AICapability
from ._limits import LimitDimension, RateLimitInfo
from ._messages import (
    AIMessage,
    AudioPart,
    CacheBreakpoint,
    DocumentPart,
    ImagePart,
    Part,
    PartialToolCall,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolResultPart,
    VendorPart,
)
from ._recording import Ending, Frame, Recording
from ._requests import Deadlines, GenerationConfig, PromptCache, Reasoning, Tool, check_call
from ._secret import Secret

__all__ = (
    "AICapability",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "Attempt",
    "AudioPart",
    "CacheBreakpoint",
    "ChunkMeta",
    "Citation",
    "Deadlines",
    "DocumentPart",
    "EmbeddingResponse",
    "Ending",
    "ErrorInfo",
    "Frame",
    "GenerationConfig",
    "ImagePart",
    "LimitDimension",
    "ModelInfo",
    "Part",
    "PartialToolCall",
    "PromptCache",
    "RateLimitInfo",
    "Reasoning",
    "ReasoningPart",
    "Recording",
    "ResponsePart",
    "Role",
    "Secret",
    "State",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResultPart",
    "Usage",
    "UsageSource",
    "VendorPart",
    "check_call",
)
