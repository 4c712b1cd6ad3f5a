"""The chunks of a whole answer as one, for literal comparison."""

from __future__ import annotations

from collections.abc import Sequence

from headrace import AIStreamChunk


def merged(chunks: Sequence[AIStreamChunk]) -> AIStreamChunk:
    assert [chunk.is_final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    last = chunks[-1]
    return AIStreamChunk(
        "".join(chunk.content for chunk in chunks),
        is_final=True,
        usage=last.usage,
        reasoning="".join(chunk.reasoning for chunk in chunks),
        refusal="".join(chunk.refusal for chunk in chunks),
        tool_calls=tuple(call for chunk in chunks for call in chunk.tool_calls),
        finish_reason=last.finish_reason,
        parts=tuple(part for chunk in chunks for part in chunk.parts),
        extra=tuple(item for chunk in chunks for item in chunk.extra),
        meta=last.meta,
    )
