"""What a decoder remembers of a stream is bounded, whatever comes; and the machine keeps no more than what was told."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from headrace.errors import UndecodableEventError
from headrace.streaming.machine import StreamMachine
from headrace.wire._shared import ITEMS

from .targets import CODECS

SMALL = 200_000  # bytes that a decoder may keep after a flood that is not refused
SHARE = 32  # bytes kept by machine and decoder for each byte received: a source of 20 bytes is four objects here
EVENTS = 30_000

_CALL = '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"id":"c%d","function":{"name":"f"}}]}}]}'
_SOURCE = '{"candidates":[{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://e.test/%d"}}]}}]}'
_ITEM = '{"type":"response.output_item.added","output_index":%d,"item":{"id":"i%d","type":"%s"}}'

# What a hostile server could make a decoder remember: one event for each number, all different.
FLOODS: dict[str, tuple[str, Callable[[int], str]]] = {
    "anthropic-tools": ("anthropic", lambda n: _block(n, '"type":"tool_use","id":"t","name":"f","input":{}')),
    "anthropic-thinking": ("anthropic", lambda n: _block(n, '"type":"thinking","thinking":""')),
    "anthropic-new": ("anthropic", lambda n: _block(n, '"type":"new","data":"x"')),
    "anthropic-odd": ("anthropic", lambda n: _block(n, '"type":"new","text":5')),
    "anthropic-usage": ("anthropic", lambda n: f'{{"type":"message_delta","delta":{{}},"usage":{{"k{n}":1}}}}'),
    "anthropic-ending": ("anthropic", lambda n: f'{{"type":"message_delta","delta":{{"k{n}":1}}}}'),
    "openai-calls": ("openai", lambda n: _CALL % (n, n)),
    "openai-ids": ("openai", lambda n: _CALL.replace('"index":%d,"id"', '"id"') % n),
    "openai-models": ("openai", lambda n: f'{{"model":"m{n}","choices":[{{"delta":{{"content":"a"}}}}]}}'),
    "openai-sources": ("openai", lambda n: f'{{"citations":["https://e.test/{n}"],"choices":[]}}'),
    "openai-details": (
        "openai",
        lambda n: f'{{"choices":[{{"delta":{{"reasoning_details":[{{"type":"x","index":{n}}}]}}}}]}}',
    ),
    "responses-calls": ("responses", lambda n: _ITEM % (n, n, "function_call")),
    "responses-items": ("responses", lambda n: _ITEM % (n, n, "message")),
    "responses-words": (
        "responses",
        lambda n: f'{{"type":"response.output_text.delta","output_index":{n},"delta":"a"}}',
    ),
    "responses-annotations": (
        "responses",
        lambda n: f'{{"type":"response.output_text.annotation.added","output_index":{n},"annotation":{{"type":"x"}}}}',
    ),
    "responses-arguments": (
        "responses",
        lambda n: f'{{"type":"response.function_call_arguments.delta","item_id":"i{n}","delta":"a"}}',
    ),
    "gemini-calls": (
        "gemini",
        lambda n: f'{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"name":"f{n}"}}}}]}}}}]}}',
    ),
    "gemini-sources": (
        "gemini",
        lambda n: _SOURCE % n,
    ),
    "ollama-calls": (
        "ollama",
        lambda n: f'{{"message":{{"content":"","tool_calls":[{{"function":{{"name":"f{n}"}}}}]}},"done":false}}',
    ),
}


def _block(index: int, block: str) -> str:
    return f'{{"type":"content_block_start","index":{index},"content_block":{{{block}}}}}'


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_is_refused_or_forgotten(flood: tuple[str, Callable[[int], str]]) -> None:
    name, event = flood
    decoder = CODECS[name].codec.decoder()
    tracemalloc.start()
    try:
        for number in range(EVENTS):
            decoder.feed("message", event(number))
    except UndecodableEventError:
        assert number >= ITEMS // 2
    else:
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < SMALL
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_what_is_kept_is_in_proportion_to_what_came(flood: tuple[str, Callable[[int], str]]) -> None:
    name, event = flood
    decoder, machine, came = CODECS[name].codec.decoder(), StreamMachine(provider=name), 0
    tracemalloc.start()
    try:
        for number in range(2_000):
            data = event(number)
            came += len(data)
            if (chunk := decoder.feed("message", data)) is not None:
                machine.feed(chunk)
        del data, chunk
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < came * SHARE
    finally:
        tracemalloc.stop()
    assert machine.response.state in {"pending", "streaming"}
