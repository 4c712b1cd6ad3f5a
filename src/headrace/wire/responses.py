"""
The Responses API, as OpenAI defined it and others speak it, as a codec: requests out, events, answers and refusals in.

Its halves are `_responses_request` and `_responses_stream`. Knows no sockets, no clock, no retries, no models. Source:
OpenAI's API reference and SDK types, docs.x.ai, 2026-11; the servers' own answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from .._types import AIMessage, AIStreamChunk, ChunkMeta, GenerationConfig
from ..errors import ProviderError
from . import _responses_request
from ._codec import Encoded, undecodable
from ._openai_errors import has_error, typed_error
from ._responses_items import Response
from ._responses_request import COMPATIBLE, GROK, OPENAI, Quirks
from ._responses_stream import ENDED, ResponsesDecoder
from ._shared import MALFORMED, as_map, is_deep
from .framing import SSE

__all__ = ("COMPATIBLE", "GROK", "OPENAI", "Quirks", "ResponsesCodec")


@dataclass(frozen=True, slots=True)
class ResponsesCodec:
    """
    The Responses API as a `Codec`.

    `provider` is for errors; `quirks` say how the server differs; `reasons` that the model is known to reason without
    being asked, so that its reasoning is asked for in a form that can be sent back.
    """

    stream_type: ClassVar[str] = SSE
    provider: str = "openai"
    quirks: Quirks = OPENAI
    reasons: bool = False

    def encode(self, messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
        """See `Codec.encode`."""
        return _responses_request.encode(
            self.provider, self.quirks, messages, config, model=model, stream=stream, reasons=self.reasons
        )

    def decoder(self, *, request_id: str | None = None) -> ResponsesDecoder:
        """See `Codec.decoder`."""
        return ResponsesDecoder(self.provider, request_id)

    def decode_body(self, body: bytes, *, request_id: str | None = None) -> list[AIStreamChunk]:
        """See `Codec.decode_body`."""
        try:
            value: object = msgspec.json.decode(body)
            if "output" not in as_map(value) and has_error(value):
                raise typed_error(self.provider, body.decode(), request_id=request_id, is_error=True)
            response = msgspec.convert(value, Response)
            if response.output is None:
                raise ValueError("no output")
            if is_deep(body):
                raise ValueError("it is nested too deep")
            status = response.status or ""
            if status not in ENDED:
                raise ValueError(f"an answer of status {response.status!r} has not ended")
        except MALFORMED as exc:
            raise undecodable(self.provider, body.decode(errors="replace"), exc, request_id=request_id) from exc
        # A whole answer is a stream of its items and its last event.
        decoder = ResponsesDecoder(self.provider, request_id)
        chunks = decoder.rest(response.output)
        last = decoder.end(response, status, chunks if status == "failed" else ())
        last.meta = replace(last.meta or ChunkMeta(), raw_response=value)
        return [*chunks, last]

    def decode_error(self, status: int, headers: Mapping[str, str], body: str, *, now: float) -> ProviderError:
        """See `Codec.decode_error`."""
        return typed_error(self.provider, body, status=status, headers=headers, now=now)
