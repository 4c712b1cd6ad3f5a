"""
Recorder: a flight recorder for what vendors send, a ring of the last raw frames for each response.

Bytes and their times in, a `Recording` out; credentials are masked when it is made, so nothing that leaves here holds
one. Knows no HTTP and no vendor, and reads no clock but the monotonic one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Literal

from . import _clock
from ._checks import check_whole
from ._types import Ending, Frame, Recording

__all__ = ("MASKED_FROM", "Recorder", "Tape", "is_sensitive")

RING: Final = 1 << 20  # bytes for each response: some 4,000 events; a thousand open streams hold 1 GiB at the very most
KEPT: Final = 16  # recordings
FRAME: Final = 120  # bytes that a frame takes beside its data: else frames of one byte would pass the bound
MASKED_FROM: Final = 8  # characters: what is shorter, such as "EMPTY" for a local server, may be a word

_SENSITIVE: Final = ("cookie", "auth", "secret", "api-key", "apikey", "access-token", "session-token")


class Recorder:
    """
    Records the responses of the providers that it is given to.

    ```python
    recorder = Recorder()
    async with AnthropicProvider(recorder=recorder) as claude:
        try:
            answer = await claude.generate("Hello")
        except StreamInterruptedError as error:
            error.recording.save("cut.jsonl")  # then: python -m headrace replay cut.jsonl
    ```

    A recording holds what the vendor sent, thus the model's words, and the head of its response; nothing of the request
    but method, path and model. The key, and the credentials among `headers=`, are masked wherever the vendor quotes
    them. What a provider sends by other means than this package's sessions is not recorded.

    One recorder may serve many providers of one event loop.

    Args:
        max_bytes: of the ring of each response; its oldest frames give way, and are counted.
        keep: how many finished recordings `recordings` holds.

    Raises:
        ValueError: one of them is below 1.
    """

    def __init__(self, *, max_bytes: int = RING, keep: int = KEPT) -> None:
        for name, value in (("max_bytes", max_bytes), ("keep", keep)):
            check_whole(name, value, least=1)
        self.max_bytes: int = max_bytes
        self._kept: deque[Recording] = deque(maxlen=keep)

    def __repr__(self) -> str:
        return f"<Recorder of {len(self._kept)} recordings>"

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """The last responses that came to their end, whichever it was; the latest is last."""
        return tuple(self._kept)

    def tape(
        self,
        *,
        provider: str,
        vendor: str,
        model: str,
        api: str | None,
        kind: Literal["stream", "answer", "call"],
        request: str,
        secrets: Sequence[str],
    ) -> Tape:
        """For one exchange, which is about to be sent. `secrets` are masked; the others are as in `Recording`."""
        return Tape(
            self,
            provider=provider,
            vendor=vendor,
            model=model,
            api=api,
            kind=kind,
            request=request,
            secrets=[one for one in secrets if len(one) >= MASKED_FROM],
        )


class Tape:
    """One exchange that is being recorded."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        provider: str,
        vendor: str,
        model: str,
        api: str | None,
        kind: Literal["stream", "answer", "call"],
        request: str,
        secrets: Sequence[str],
    ) -> None:
        self._recorder, self._room = recorder, recorder.max_bytes
        self._provider, self._vendor, self._model = provider, vendor, model
        self._api, self._kind, self._request = api, kind, request
        self._secrets = [one.encode() for one in secrets]
        self._sent_at, self._began = _clock.wall(), time.monotonic()
        self._answered = 0.0
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._frames: deque[tuple[float, bytes]] = deque()
        self._lost_frames = self._lost_bytes = 0
        self.ending: Ending = "left"

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The response begins; names of headers in lower case. Its body is recorded as if nothing compressed it."""
        self._answered, self._status = time.monotonic() - self._began, status
        self._headers = {name: value for name, value in headers.items() if name != "content-encoding"}

    def add(self, data: bytes) -> None:
        """A frame of the body."""
        frames = self._frames
        frames.append((time.monotonic(), data))
        self._room -= len(data) + FRAME
        while self._room < 0 and len(frames) > 1:
            size = len(frames.popleft()[1])
            self._room += size + FRAME
            self._lost_frames += 1
            self._lost_bytes += size

    def finish(self, error: BaseException | None) -> None:
        """The exchange has ended; its error, if there is one, gets the recording. Without a head there is none."""
        if self._status is None:
            return
        failure = error if isinstance(error, Exception) else None
        recording = Recording(
            provider=self._provider,
            vendor=self._vendor,
            model=self._model,
            api=self._api,
            kind=self._kind,
            request=self._request,
            sent_at=self._sent_at,
            answered=self._answered,
            status=self._status,
            headers={name: self._shown(name, value) for name, value in self._headers.items()},
            frames=self._masked_frames(),
            lost_frames=self._lost_frames,
            lost_bytes=self._lost_bytes,
            ending=self.ending,
            error="" if failure is None else type(failure).__name__,
            message="" if failure is None else _masked(str(failure).encode(), self._secrets).decode(errors="replace"),
        )
        self._recorder._kept.append(recording)
        if failure is not None:
            with suppress(AttributeError):  # one of somebody else's may have no room for it
                failure.recording = recording  # type: ignore[attr-defined]  # ProviderError declares it

    def _shown(self, name: str, value: str) -> str:
        return "***" if is_sensitive(name) else _masked(value.encode(), self._secrets).decode(errors="replace")

    def _masked_frames(self) -> tuple[Frame, ...]:
        """Masked as one text, since a key may lie across two frames; a mask is as long as what it hides."""
        whole = b"".join([data for _, data in self._frames])
        masked = _masked(whole, self._secrets)
        for secret in self._secrets:  # what is left of one that the ring, or the connection, cut in two
            for size in range(len(secret) - 1, MASKED_FROM - 1, -1):
                if self._lost_frames and masked.startswith(secret[-size:]):
                    masked = b"*" * size + masked[size:]
                if masked.endswith(secret[:size]):
                    masked = masked[:-size] + b"*" * size
        frames, start = [], 0
        for at, data in self._frames:
            end = start + len(data)
            frames.append(Frame(at - self._began, masked[start:end]))
            start = end
        return tuple(frames)


def is_sensitive(name: str) -> bool:
    """Whether a header of this name usually holds a credential."""
    return any(word in name.lower() for word in _SENSITIVE)


def _masked(data: bytes, secrets: Sequence[bytes]) -> bytes:
    for secret in secrets:
        data = data.replace(secret, b"*" * len(secret))
    return data
