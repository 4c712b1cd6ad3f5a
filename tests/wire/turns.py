"""A decoded stream as the next turn of a conversation."""

from __future__ import annotations

import json

from headrace import AIMessage, AIResponse, GenerationConfig
from headrace.streaming.machine import StreamMachine
from headrace.wire._codec import Codec, Encoded


def heard(codec: Codec, *events: str) -> AIResponse:
    """What a stream of these events is in the end."""
    machine, decoder = StreamMachine(provider=codec.provider), codec.decoder()
    machine.sent()
    for event in events:
        if (chunk := decoder.feed("message", event)) is not None:
            machine.feed(chunk)
    return machine.response


def sent(codec: Codec, *messages: AIMessage, **options: object) -> tuple[dict, Encoded]:
    """The body of a request, decoded, and all of it."""
    encoded = codec.encode(messages, GenerationConfig(**options), model="m", stream=True)
    return json.loads(encoded.body or b"null"), encoded
