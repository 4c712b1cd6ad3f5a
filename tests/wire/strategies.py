"""What hypothesis makes of JSON that nobody expects."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from headrace import errors
from headrace._types import AIStreamChunk
from headrace.wire._codec import Codec, SaidThenFailed

KEYS = (
    "type", "index", "delta", "content_block", "message", "usage", "error", "details", "text", "input", "candidates",
    "content", "parts", "functionCall", "finishReason", "promptFeedback", "usageMetadata", "x",
)  # fmt: skip
WORDS = ("text_delta", "tool_use", "STOP", "rate_limit_error", "")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


def outcome(codec: Codec, event: str, value: object) -> object:
    """What a fresh stream makes of one event: a chunk, None, or our error. Anything else is raised."""
    try:
        return codec.decoder().feed(event, json.dumps(value))
    except errors.ProviderError as exc:
        return exc
    except SaidThenFailed as both:
        return both.error


EXPECTED = (AIStreamChunk, type(None), errors.ProviderError)
