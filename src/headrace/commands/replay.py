"""
`headrace replay`: a recorded response, played back through the code that read it first. Nothing is sent.

The model's words go to standard output, all else to standard error, as in `headrace chat`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import anyio

from .. import _clock
from .._types import Recording
from ..errors import HeadraceError
from ..replay import replay
from ..streaming.stream import ChatStream
from ._streams import json_line, shown
from .chat import plain

__all__ = ("EPILOG", "HELP", "arguments", "run")

HELP: Final = "Play a recorded response back, into the same chunks. Nothing is sent."
ENDINGS: Final = {
    "eof": "the body ended by itself",
    "cut": "the connection was lost",
    "left": "nobody read on",
}
EPILOG: Final = """\
A file comes from `Recording.save()`: of `error.recording`, or of one of `Recorder.recordings`.

exit codes:
  0    the answer is whole
  1    it failed before any of the answer had come
  2    the file cannot be read, is no recording, or not one of a conversation
  3    the answer was cut; all that came was printed
  130  Ctrl-C
  141  nobody reads on, as behind `| head`

examples:
  headrace replay cut.jsonl                 what came, and how it ended
  headrace replay cut.jsonl --speed 1       in the time that the vendor took
  headrace replay cut.jsonl --json          a line for each chunk
  headrace replay cut.jsonl --frames        the raw frames with their times, not decoded
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", help="JSON lines, as `Recording.save()` writes them")
    parser.add_argument("--speed", type=float, default=0.0, metavar="X", help="1: in the recorded time; 0: at once")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="a JSON object a line for each chunk, in place of its text")
    shown.add_argument("--frames", action="store_true", help="print the raw frames with their times; decode nothing")
    parser.add_argument(
        "--backend", choices=("asyncio", "trio"), default="asyncio", help="event loop (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Play; the exit code is as `EPILOG` says."""
    try:
        recording = Recording.load(options.file)
    except (OSError, ValueError) as exc:
        _say(f"{options.file}: {exc.strerror}" if isinstance(exc, OSError) and exc.strerror else str(exc))
        return 2
    recording = replace(recording, provider=shown(recording.provider), model=shown(recording.model))
    _say(_described(recording))
    try:
        if options.frames:
            return _frames(recording)
        stream = replay(recording, speed=options.speed)
        # Limits are told in seconds from their answer: as of then, not of now.
        with _clock.replaced(lambda: recording.sent_at + recording.answered):
            return anyio.run(_play, stream, bool(options.json), backend=options.backend)
    except ValueError as exc:
        _say(str(exc))
        return 2


async def _play(stream: ChatStream, as_json: bool) -> int:
    try:
        async with stream:
            async for chunk in stream:
                if as_json:
                    print(json_line(plain(chunk)), flush=True)
                elif not chunk.is_marker:
                    print(chunk.content or chunk.refusal, end="", flush=True)
    except HeadraceError as exc:
        _say(f"it failed before any of the answer had come: {type(exc).__name__}: {exc}")
        return 1
    if not as_json:
        print(flush=True)
    if stream.interruption is not None:
        cause = stream.interruption.cause
        _say(f"cut after {len(stream.partial_content)} characters: {type(cause).__name__}: {cause}")
        return 3
    answer = stream.response
    _say(f"{stream.state}, {len(answer.content)} characters, finish reason {answer.raw_finish_reason or 'none'}")
    return 0


def _frames(recording: Recording) -> int:
    for frame in recording.frames:
        print(f"{frame.at:10.4f} s  {len(frame.data):7} bytes  {frame.data.decode(errors='backslashreplace')!r}")
    return 0


def _described(recording: Recording) -> str:
    at = datetime.fromtimestamp(recording.sent_at, UTC).isoformat(timespec="seconds")
    size, last = sum(len(frame.data) for frame in recording.frames), recording.answered
    if recording.frames:
        last = recording.frames[-1].at
    lost = f"; {recording.lost_frames} frames before them ({recording.lost_bytes} bytes) are lost"
    return (
        f"{recording.provider}/{recording.model} at {at}: {recording.request}, status {recording.status} after "
        f"{recording.answered:.3f} s; {len(recording.frames)} frames, {size} bytes, the last at {last:.3f} s"
        f"{lost if recording.lost_frames else ''}; {ENDINGS[recording.ending]}"
        + (f" ({recording.error}: {recording.message})" if recording.error else "")
    )


def _say(text: str) -> None:
    print(f"headrace replay: {shown(text)}", file=sys.stderr, flush=True)
