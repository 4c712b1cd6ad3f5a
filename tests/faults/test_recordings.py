"""
Whatever breaks a stream: its recording is with the error, holds no key, and plays back into the same chunks.

The rows are those of the faults after content, with the same script, over the same sockets.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace import AIGateway, AIStreamChunk, Deadlines, GenerationConfig, Recorder, Recording, _clock
from headrace.errors import AuthenticationError, ProviderError, StreamInterruptedError
from headrace.providers.base import BaseProvider
from headrace.providers.compatible import CompatibleProvider
from headrace.providers.openai import OpenAIProvider
from headrace.replay import replay
from headrace.simulator import Script, Simulator, faults
from headrace.streaming.stream import ChatStream

from .rows import MESSAGES, PIECES, PROVIDERS, Row, table
from .test_after_content import AFTER

pytestmark = pytest.mark.usefixtures("leak_check", "one_moment")

KEY = "sk-0123456789-abcdefghij"
WHOLE = {"whole": Row()}


@pytest.fixture
def one_moment() -> Iterator[None]:
    """Limits say when they were told: always the same here."""
    with _clock.replaced(lambda: 1_790_000_000.0):
        yield


async def told(stream: ChatStream) -> list[AIStreamChunk]:
    """Its chunks; of an error what does not depend on the time that it took."""
    async with stream:
        chunks = [chunk async for chunk in stream]
    for chunk in chunks:
        if chunk.error is not None:
            chunk.error = chunk.error | {"message": ""}
    return chunks


@table(AFTER | WHOLE)
async def test_a_recording_plays_back_into_the_same_chunks(
    sim: Simulator, tmp_path: Path, vendor: str, row: Row
) -> None:
    recorder = Recorder()
    sim.play(vendor, row.script(vendor))
    provider = PROVIDERS[vendor](KEY, base_url=sim.base_url(vendor), deadlines=row.deadlines, recorder=recorder)
    stream = provider.chat_stream(MESSAGES)
    chunks = await told(stream)

    (recording,) = recorder.recordings
    if stream.interruption is not None:
        assert stream.interruption.recording is recording
        assert recording.error == type(stream.interruption.cause).__name__
    recording.save(tmp_path / "saved.jsonl")
    loaded = Recording.load(tmp_path / "saved.jsonl")
    assert replace(loaded, frames=()) == replace(recording, frames=())
    assert [frame.data for frame in loaded.frames] == [frame.data for frame in recording.frames]

    again = replay(loaded)
    assert await told(again) == chunks
    assert (again.state, again.partial_content) == (stream.state, stream.partial_content)


async def test_a_replay_sends_nothing_and_warns_of_nothing(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    await OpenAIProvider(KEY, base_url=sim.base_url("openai"), recorder=recorder).generate("hi")
    async with replay(recorder.recordings[0]) as stream:
        await stream.collect()
    assert caplog.messages == []
    assert sim.requests == 1


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_plain_answer_is_recorded_as_well(sim: Simulator, vendor: str) -> None:
    recorder = Recorder()
    sim.play(vendor, Script(pieces=PIECES))
    provider = PROVIDERS[vendor](KEY, base_url=sim.base_url(vendor), recorder=recorder)
    answer = await provider.chat(MESSAGES, GenerationConfig(stream=False))
    (recording,) = recorder.recordings
    assert (recording.kind, recording.ending, recording.error) == ("answer", "eof", "")
    async with replay(recording) as stream:
        again = await stream.collect()
    assert (again.content, again.usage, again.raw_finish_reason) == (
        answer.content,
        answer.usage,
        answer.raw_finish_reason,
    )


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_format_is_recorded_where_there_are_two(sim: Simulator, api: str) -> None:
    for provider in (
        OpenAIProvider(KEY, base_url=sim.base_url("openai"), api=api, recorder=Recorder()),
        CompatibleProvider(KEY, base_url=sim.base_url("openai"), api=api, model="m", name="mine", recorder=Recorder()),
    ):
        sim.play("openai", Script(pieces=PIECES))
        assert (await provider.chat(MESSAGES)).content == "".join(PIECES)
        assert provider.recorder is not None
        (recording,) = provider.recorder.recordings
        assert recording.api == api
        async with replay(recording) as stream:
            assert (await stream.collect()).content == "".join(PIECES)


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_full_ring_keeps_the_end_and_says_what_is_lost(sim: Simulator, vendor: str) -> None:
    recorder = Recorder(max_bytes=3000)
    pieces = tuple(f"{number:03} " for number in range(100))
    sim.play(vendor, Script(pieces=pieces, fault=faults.CutFin(after_pieces=90)))
    provider = PROVIDERS[vendor](KEY, base_url=sim.base_url(vendor), recorder=recorder)
    with pytest.raises(StreamInterruptedError) as caught:
        await provider.chat(MESSAGES)
    recording = caught.value.recording
    assert recording is not None
    assert recording.lost_frames > 0
    assert sum(len(frame.data) for frame in recording.frames) < 3000
    async with replay(recording) as stream:
        words = "".join([chunk.content async for chunk in stream if not chunk.is_marker])
    assert words
    assert caught.value.partial_content.endswith(words)
    assert "".join(pieces[:90]) == caught.value.partial_content


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_no_key_is_in_a_recording_even_if_the_vendor_quotes_it(
    sim: Simulator, tmp_path: Path, vendor: str
) -> None:
    recorder, team = Recorder(), "team-credential-77"
    script = Script(
        pieces=("It is ", KEY[:9], KEY[9:], " and ", KEY, f" {team}."),
        headers={"x-echo": f"Bearer {KEY}", "set-cookie": "session=1"},
        fault=faults.CutFin(after_pieces=6) if vendor != "gemini" else None,
    )
    sim.play(vendor, script)
    provider = PROVIDERS[vendor](
        KEY, base_url=sim.base_url(vendor), recorder=recorder, headers={"x-team-authorization": team}
    )
    stream = provider.chat_stream(MESSAGES)
    async with stream:
        async for _ in stream:
            pass
    assert KEY in stream.partial_content  # the words are the caller's
    (recording,) = recorder.recordings
    recording.save(tmp_path / "saved.jsonl")
    for seen in ((tmp_path / "saved.jsonl").read_text(), repr(recording), str(pickle.dumps(recording))):
        assert KEY not in seen
        assert team not in seen
        assert "session=1" not in seen
    assert recording.headers["x-echo"] == "Bearer " + "*" * len(KEY)


async def test_a_refusal_has_its_recording_through_a_gateway(sim: Simulator, tmp_path: Path) -> None:
    recorder = Recorder()
    sim.play("openai", Script(fault=faults.Refuse(status=401)))
    async with AIGateway(OpenAIProvider(KEY, base_url=sim.base_url("openai")), recorder=recorder) as gateway:
        with pytest.raises(AuthenticationError) as caught:
            await gateway.generate("Hello")
    recording = caught.value.recording
    assert recording is not None
    assert (recording.status, recording.error) == (401, "AuthenticationError")
    assert pickle.loads(pickle.dumps(caught.value)).recording == recording
    stream = replay(recording)
    with pytest.raises(AuthenticationError):
        await told(stream)


async def test_a_provider_keeps_its_own_recorder_in_a_gateway() -> None:
    own = Recorder()
    provider = OpenAIProvider(KEY, recorder=own)
    AIGateway(provider, recorder=Recorder())
    assert provider.recorder is own


async def test_what_is_no_conversation_is_recorded_and_not_replayed(sim: Simulator) -> None:
    recorder = Recorder()
    provider = OpenAIProvider(KEY, base_url=sim.base_url("openai"), recorder=recorder)
    await provider.embed(["one"])
    (recording,) = recorder.recordings
    assert (recording.kind, recording.request, recording.ending) == ("call", "POST /embeddings", "eof")
    with pytest.raises(ValueError, match="is of 'POST /embeddings', which is no conversation"):
        replay(recording)


async def test_one_that_was_left_ends_as_one_that_was_closed(sim: Simulator) -> None:
    recorder = Recorder()
    sim.play("openai", Script(pieces=PIECES, fault=faults.Stall(after_pieces=2)))
    async with OpenAIProvider(KEY, base_url=sim.base_url("openai"), recorder=recorder) as provider:
        stream: ChatStream = provider.chat_stream(MESSAGES)
        async with stream:
            await anext(stream)
            await anext(stream)
    (recording,) = recorder.recordings
    assert (recording.ending, recording.error) == ("left", "")
    again = replay(recording)
    chunks = await told(again)
    assert [chunk.content for chunk in chunks[:-1]] == list(PIECES[:2])
    assert again.interruption is not None
    assert "the recording ends here" in str(again.interruption.cause)


async def test_each_attempt_has_a_recording(sim: Simulator) -> None:
    recorder = Recorder()
    sim.play("openai", Script(fault=faults.Refuse(status=503)))
    sim.play("openai", Script(pieces=PIECES))
    provider = OpenAIProvider(KEY, base_url=sim.base_url("openai"), recorder=recorder, max_attempts=2)
    await provider.chat(MESSAGES)
    assert [recording.status for recording in recorder.recordings] == [503, 200]


async def test_without_a_head_there_is_nothing_to_record(sim: Simulator) -> None:
    recorder = Recorder()
    sim.play("openai", Script(fault=faults.NoHead()))
    provider = OpenAIProvider(
        KEY, base_url=sim.base_url("openai"), recorder=recorder, deadlines=Deadlines(first_chunk=0.2)
    )
    with pytest.raises(ProviderError) as caught:
        await provider.chat(MESSAGES)
    assert caught.value.recording is None
    assert recorder.recordings == ()


async def test_whoever_is_not_recorded_has_no_recording(sim: Simulator) -> None:
    sim.play("openai", Script(pieces=PIECES, fault=faults.CutFin(after_pieces=2)))
    provider: BaseProvider = OpenAIProvider(KEY, base_url=sim.base_url("openai"))
    with pytest.raises(StreamInterruptedError) as caught:
        await provider.chat(MESSAGES)
    assert caught.value.recording is None
