"""The byte path: however an answer is written, split and cut, the words are the exact prefix, the ending honest."""

from __future__ import annotations

import json
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace import AIStreamChunk, ChatStream
from headrace.errors import NetworkError
from headrace.providers.openai import OpenAIProvider

from ..leaks import session
from .transport import Piece, client
from .words import DONE, FINISH, MESSAGES, PING, ROLE, USAGE, text

pytestmark = pytest.mark.usefixtures("leak_check")


async def played(pieces: list[Piece]) -> tuple[list[AIStreamChunk], ChatStream, Exception | None]:
    """What a consumer gets of these bytes: chunks, the stream, and the error it saw."""
    async with session(OpenAIProvider("k", http_client=client(pieces))) as provider:
        stream, got = provider.chat_stream(MESSAGES), list[AIStreamChunk]()
        try:
            async for chunk in stream:
                got.append(chunk)
        except NetworkError as exc:
            return got, stream, exc
        return got, stream, None


def event(words: str) -> bytes:
    """With any character, as servers write them: escaped or not makes no difference to a decoder of JSON."""
    delta = {"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": None}]}
    return b"data: " + json.dumps(delta, ensure_ascii=False).encode() + b"\n\n"


WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=5)
NEWLINES = st.sampled_from([b"\n", b"\r\n", b"\r"])
PLACES = st.lists(st.floats(0, 1), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    words=WORDS, newline=NEWLINES, bom=st.booleans(), proof=st.booleans(), clean=st.booleans(), cut=st.floats(0, 1),
    splits=PLACES,
)  # fmt: skip
async def test_rules_06_and_07_any_split_and_any_cut_give_the_exact_prefix_and_one_honest_ending(
    words: list[str], newline: bytes, bom: bool, proof: bool, clean: bool, cut: float, splits: list[float]
) -> None:
    events = [ROLE, PING, *map(event, words), *([FINISH, USAGE] if proof else []), DONE]
    body = [one.replace(b"\n", newline) for one in events]
    whole = (b"\xef\xbb\xbf" if bom else b"") + b"".join(body)
    end = round(cut * len(whole))
    places = [0, *sorted(round(place * end) for place in splits), end]
    pieces: list[Piece] = [whole[a:b] for a, b in pairwise(places) if a < b]
    got, stream, error = await played(pieces if clean else [*pieces, httpx.ReadError("cut")])

    # The oracle knows offsets alone. An event is complete also when nothing but line ends are missing, since JSON shows
    # its own end. What is no JSON is so at a clean end alone; else when its blank line has come: with CRLF at the CR of
    # it, since every CR ends a line.
    complete, offset = 0, len(whole) - sum(map(len, body))
    for one in body:
        bare = offset + len(one.rstrip(b"\r\n"))
        offset += len(one)
        complete += end >= (bare if clean or one is not body[-1] else offset - (newline == b"\r\n"))
    said = "".join(words[: max(0, complete - 2)])
    proven, done = proof and complete >= 3 + len(words), complete == len(body)
    expected = "finished" if proven else ("unconfirmed" if done else "interrupted") if said else "failed"

    assert text(got) == stream.partial_content == said
    assert stream.state == stream.response.state == expected
    assert (error is not None) == (expected == "failed")
    if error is None:
        assert [chunk.is_final for chunk in got] == [False] * (len(got) - 1) + [True]
        assert got[-1].is_marker == (expected == "interrupted")
    else:
        assert got == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=WORDS, newline=NEWLINES, splits=PLACES)
async def test_rule_06_how_an_answer_is_split_changes_nothing(
    words: list[str], newline: bytes, splits: list[float]
) -> None:
    whole = b"".join([ROLE, *map(event, words), FINISH, USAGE, DONE]).replace(b"\n", newline)
    places = [0, *sorted(round(place * len(whole)) for place in splits), len(whole)]
    got, stream, error = await played([whole[a:b] for a, b in pairwise(places) if a < b])
    assert error is None
    assert [chunk.content for chunk in got] == [*words, ""]
    assert stream.response.usage is not None
    assert (stream.response.usage["total_tokens"], got[-1].finish_reason) == (7, "stop")
