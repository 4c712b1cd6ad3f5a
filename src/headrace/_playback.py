"""
A recording as an HTTP client: whatever is asked, the answer is what was recorded.

So a replay takes the whole path of a real response, from the bytes on. Knows no vendor; nothing is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx
from anyio import sleep
from anyio.lowlevel import checkpoint

from . import errors
from ._types import Frame, Recording
from .errors import ProviderError, SessionClosedError

__all__ = ("playback",)

FAR: Final = 60.0  # seconds between two frames at most, however long it took: nobody watches a silent night
NDJSON: Final = "ndjson"


def playback(recording: Recording, *, speed: float = 0.0) -> httpx.AsyncClient:
    """
    A client that answers each request with `recording`. It holds nothing that must be closed.

    Args:
        speed: 1 takes the time that the vendor took, 2 half of it; 0 none.
    """
    return httpx.AsyncClient(transport=_Transport(recording, speed), trust_env=False)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, recording: Recording, speed: float) -> None:
        self._recording, self._speed = recording, speed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        recording = self._recording
        await _rest(recording.answered, self._speed)
        # What spoke of the frames on the wire is not true of these.
        gone = {"content-length", "transfer-encoding"}
        headers = [(k.encode(), v.encode()) for k, v in recording.headers.items() if k not in gone]  # not all is ASCII
        return httpx.Response(recording.status, headers=headers, stream=_Body(recording, self._speed), request=request)


class _Body(httpx.AsyncByteStream):
    """The frames, and then the ending that there was."""

    def __init__(self, recording: Recording, speed: float) -> None:
        self._recording, self._speed = recording, speed
        self._left = list(reversed(_from_first_event(recording)))
        self._at = recording.answered

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            await checkpoint()
            raise _ended(self._recording)
        frame = self._left.pop()
        await _rest(frame.at - self._at, self._speed)
        self._at = frame.at
        return frame.data


async def _rest(seconds: float, speed: float) -> None:
    if speed > 0 and seconds > 0:
        await sleep(min(seconds / speed, FAR))
    else:
        await checkpoint()


def _ended(recording: Recording) -> Exception:
    """What is raised behind the last frame."""
    if recording.ending == "eof":
        return StopAsyncIteration()
    if recording.ending == "cut":
        return httpx.ReadError(recording.message or "the connection was lost")
    told = recording.message or "the recording ends here: its reader left the response"
    kind = getattr(errors, recording.error, None)  # a deadline that passed, bytes that were not of their coding
    if not (isinstance(kind, type) and issubclass(kind, ProviderError)):
        kind = SessionClosedError
    return kind(told, provider=recording.provider)


def _from_first_event(recording: Recording) -> list[Frame]:
    """Where the oldest frames were lost the first that is there may begin within an event: it is left out."""
    frames = list(recording.frames)
    if not recording.lost_frames:
        return frames
    data = b"".join([frame.data for frame in frames])
    ends = (b"\n",) if NDJSON in recording.headers.get("content-type", "") else (b"\n\n", b"\r\n\r\n", b"\r\r")
    skipped = min((at + len(end) for end in ends if (at := data.find(end)) >= 0), default=len(data))
    for index, frame in enumerate(frames):
        if skipped < len(frame.data):
            return [Frame(frame.at, frame.data[skipped:]), *frames[index + 1 :]]
        skipped -= len(frame.data)
    return []
