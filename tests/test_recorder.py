"""The tape by itself: its ring, its masks, its file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from headrace import Recorder, Recording
from headrace._recorder import FRAME, Tape
from headrace._types import Frame
from headrace.replay import replay

KEY: Final = "sk-0123456789-abcdefghij"


def tape(recorder: Recorder, *, head: bool = True) -> Tape:
    made = recorder.tape(
        provider="openai",
        vendor="openai",
        model="m",
        api="chat",
        kind="stream",
        request="POST /chat/completions",
        secrets=[KEY, "EMPTY"],
    )
    if head:
        made.head(200, {"content-type": "text/event-stream", "content-encoding": "gzip"})
    return made


def recorded(*frames: bytes, recorder: Recorder | None = None) -> Recording:
    recorder = recorder or Recorder()
    one = tape(recorder)
    for frame in frames:
        one.add(frame)
    one.finish(None)
    return recorder.recordings[-1]


def data(recording: Recording) -> list[bytes]:
    return [frame.data for frame in recording.frames]


def test_frames_stay_as_they_came() -> None:
    assert data(recorded(b"data: 1\n", b"", b"\n\xff")) == [b"data: 1\n", b"", b"\n\xff"]


def test_the_oldest_give_way_and_are_counted() -> None:
    recording = recorded(b"a" * 100, b"b" * 100, b"c" * 100, recorder=Recorder(max_bytes=2 * (100 + FRAME)))
    assert data(recording) == [b"b" * 100, b"c" * 100]
    assert (recording.lost_frames, recording.lost_bytes) == (1, 100)


def test_small_frames_are_bounded_by_what_they_really_take() -> None:
    recording = recorded(*[b"x"] * 1000, recorder=Recorder(max_bytes=10 * (1 + FRAME)))
    assert len(recording.frames) == 10
    assert recording.lost_frames == 990


def test_the_last_frame_stays_however_large() -> None:
    assert data(recorded(b"a", b"b" * 5000, recorder=Recorder(max_bytes=1000))) == [b"b" * 5000]


def test_a_key_is_masked_across_frames_and_the_frames_keep_their_lengths() -> None:
    recording = recorded(b"x " + KEY[:5].encode(), KEY[5:20].encode(), KEY[20:].encode() + b" y")
    assert data(recording) == [b"x *****", b"*" * 15, b"**** y"]


def test_a_short_word_is_no_secret() -> None:
    assert data(recorded(b"the box is EMPTY")) == [b"the box is EMPTY"]


def test_what_is_left_of_a_key_that_was_cut_is_masked() -> None:
    one = Recorder(max_bytes=2 * FRAME + 60)
    recording = recorded(b"x" * 80 + KEY[:6].encode(), KEY[6:].encode() + b" and " + KEY[:12].encode(), recorder=one)
    assert data(recording) == [b"*" * 18 + b" and " + b"*" * 12]


def test_credentials_of_the_head_are_masked_and_the_coding_is_gone() -> None:
    recorder = Recorder()
    one = tape(recorder, head=False)
    one.head(200, {"set-cookie": "a=b", "x-request-id": "r1", "x-echo": KEY, "content-encoding": "gzip"})
    one.finish(ValueError(f"bad {KEY}"))
    (recording,) = recorder.recordings
    assert recording.headers == {"set-cookie": "***", "x-request-id": "r1", "x-echo": "*" * len(KEY)}
    assert (recording.error, recording.message) == ("ValueError", "bad " + "*" * len(KEY))


def test_so_many_are_kept() -> None:
    recorder = Recorder(keep=2)
    for number in range(3):
        recorded(str(number).encode(), recorder=recorder)
    assert [data(one) for one in recorder.recordings] == [[b"1"], [b"2"]]


@pytest.mark.parametrize("name", ["max_bytes", "keep"])
def test_bounds_are_at_least_one(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0: it must be a whole number of at least 1"):
        Recorder(**{name: 0})


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    recording = recorded("data: 水".encode()[:-1], "水".encode()[-1:] + b"\n\n", b"")
    recording.save(tmp_path / "one.jsonl")
    again = Recording.load(tmp_path / "one.jsonl")
    assert data(again) == data(recording)
    assert [frame.at for frame in again.frames] == pytest.approx([frame.at for frame in recording.frames], abs=1e-5)
    assert again.headers == recording.headers


HEAD: Final = (
    b'{"headrace_recording":1,"provider":"openai","vendor":"openai","model":"m","api":"chat","kind":"stream",'
    b'"request":"POST /x",'
    b'"sent_at":1.0,"answered":0.1,"status":200,"headers":{},"lost_frames":0,"lost_bytes":0,"ending":"eof",'
    b'"error":"","message":""}\n'
)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param(b"", "line 1 is not that of a recording", id="empty"),
        pytest.param(b"\xff\xfe", "line 1 is not that of a recording", id="binary"),
        pytest.param(b"[1]\n", "line 1 is not that of a recording", id="another type"),
        pytest.param(b'{"a":1}\n', "missing required field `headrace_recording`", id="another object"),
        pytest.param(
            HEAD.replace(b'ing":1', b'ing":2'), "it is of version 2, and this headrace reads 1", id="a later version"
        ),
        pytest.param(HEAD + b'{"at":0.1}\n', "line 2 is not .*either `text` or `base64`", id="a frame of nothing"),
        pytest.param(HEAD + b'{"at":0.1,"text":"a","base64":"YQ=="}\n', "line 2", id="a frame of both"),
        pytest.param(HEAD + b'{"at":0.1,"base64":"?"}\n', "line 2", id="no base64"),
        pytest.param(HEAD + b'{"at":1e999,"text":"a"}\n', "line 2", id="never"),
        pytest.param(HEAD + b'{"at":0.1,"text":"a"}\n{"at":', "line 3", id="a file that was cut"),
        pytest.param(HEAD + b"[" * 100_000, "line 2", id="deep"),
        pytest.param(HEAD.replace(b'sent_at":1.0', b'sent_at":1e300'), "line 1 .*at no date", id="no date"),
        pytest.param(HEAD.replace(b'sent_at":1.0', b'sent_at":-1e15'), "line 1 .*at no date", id="before all dates"),
    ],
)
def test_what_is_no_recording_is_told_by_its_line(tmp_path: Path, written: bytes, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(written)
    with pytest.raises(ValueError, match=said):
        Recording.load(path)


def test_a_file_is_read_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace._types._recording.FILE_BYTES", 10)
    recorded(b"x").save(tmp_path / "large.jsonl")
    with pytest.raises(ValueError, match="too many for a recording"):
        Recording.load(tmp_path / "large.jsonl")


def test_a_provider_that_nobody_knows_must_be_given() -> None:
    unknown = Recording(
        provider="mine",
        vendor="mine",
        model="m",
        api=None,
        kind="stream",
        request="POST /x",
        sent_at=0,
        answered=0,
        status=200,
        headers={},
        frames=(Frame(0, b"x"),),
    )
    with pytest.raises(ValueError, match=r"'mine', which is no provider of this package: give replay\(provider=...\)"):
        replay(unknown)


def test_a_replay_warns_of_no_unencrypted_key(caplog: pytest.LogCaptureFixture) -> None:
    known = Recording(
        provider="openai",
        vendor="openai",
        model="m",
        api="chat",
        kind="stream",
        request="POST /x",
        sent_at=0,
        answered=0,
        status=200,
        headers={},
        frames=(Frame(0, b"x"),),
    )
    replay(known)
    assert caplog.messages == []  # nothing is sent


async def test_a_header_that_is_no_ascii_is_played_as_well() -> None:
    """Some proxies say in one where they stand; it was received, so it can be played."""
    event = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    one = tape(Recorder())
    one.head(200, {"content-type": "text/event-stream", "x-region": "Zürich"})
    one.add(event)
    one.ending = "eof"
    one.finish(None)
    async with replay(one._recorder.recordings[-1]) as stream:
        assert (await stream.collect()).content == "a"


def test_a_path_is_no_recording() -> None:
    with pytest.raises(TypeError, match=r"recording is 'cut.jsonl': .* see Recording.load\(\)"):
        replay("cut.jsonl")
