"""
A recording, played back: the same frames through the same code, into the same chunks. Nothing is sent.

`python -m headrace replay FILE` is this on the command line. Knows no vendor beyond its provider's name.
"""

from __future__ import annotations

import math
from typing import Final

from ._checks import check_number
from ._playback import playback
from ._types import AIMessage, Deadlines, GenerationConfig, Recording
from .limits.policy import RateLimitPolicy
from .providers._named import make_provider, names
from .providers._vendor import VendorOptions, VendorProvider
from .providers.base import BaseProvider
from .providers.compatible import CompatibleProvider
from .streaming.stream import ChatStream

__all__ = ("replay",)

NO_HURRY: Final = Deadlines(first_chunk=math.inf, next_chunk=math.inf, idle=math.inf)
NOWHERE: Final = "https://replay.invalid"  # RFC 2606: no such host will ever be


def replay(recording: Recording, *, speed: float = 0.0, provider: type[VendorProvider] | None = None) -> ChatStream:
    """
    The response that was recorded, as a stream to be read in `async with`.

    Where the ring had lost its oldest frames it begins with the first whole event that is left. A response that its
    reader had left ends, behind its last frame, as one whose session was closed.

    Args:
        recording: of a conversation; see `Recording.load`.
        speed: 1 takes the time that the vendor took, 2 half of it; 0 none.
        provider: whose format it is, where that is not one of this package's own.

    Raises:
        ValueError: it is not of a conversation, or of a provider that is not known here.
    """
    check_number("speed", speed, "a number, 0 or more", least=0)
    if recording.kind == "call":
        raise ValueError(f"the recording is of {recording.request!r}, which is no conversation: see its frames")
    options: VendorOptions = {
        "base_url": NOWHERE,
        "http_client": playback(recording, speed=speed),
        "limits": RateLimitPolicy(pace=False),
        "deadlines": NO_HURRY,
    }
    config = GenerationConfig(model=recording.model or "replay", stream=recording.kind == "stream", max_attempts=1)
    return _provider(recording, provider, options).chat_stream([AIMessage("user", "(replay)")], config)


def _provider(recording: Recording, given: type[VendorProvider] | None, options: VendorOptions) -> BaseProvider:
    more: dict[str, object] = {**options, "api_key": "replay", "name": recording.provider or None}
    if recording.api is not None:
        more["api"] = recording.api
    if given is not None:
        return given(**more)  # type: ignore[arg-type]  # whoever made the recording had them
    if recording.vendor in names():
        return make_provider(recording.vendor, **more)
    if recording.api is not None:
        return CompatibleProvider(**more)  # type: ignore[arg-type]  # the same
    raise ValueError(
        f"the recording is of {recording.vendor!r}, which is no provider of this package: give replay(provider=...)"
    )
