"""A provider of somebody else's: a plain async generator of chunks that plays a script. Needs no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias, Unpack

from anyio import CancelScope, sleep, sleep_forever
from anyio.lowlevel import checkpoint

from headrace import AIMessage, AIStreamChunk, GenerationConfig
from headrace.providers.base import BaseProvider, ProviderOptions

A: Final = AIStreamChunk("a")
B: Final = AIStreamChunk("b")
C: Final = AIStreamChunk("c")
NOTHING: Final = AIStreamChunk("")
FINISH: Final = AIStreamChunk("", finish_reason="stop")
DONE: Final = AIStreamChunk("", True)
HANG: Final = float("inf")

Step: TypeAlias = AIStreamChunk | float | Exception


class Scripted(BaseProvider):
    """
    Yields chunks, sleeps numbers (seconds), raises exceptions.

    Attributes:
        handed: the words that the stream has handed over.
        closed: how many of its streams have been closed, after a moment that closing takes.
    """

    name = "foreign"

    def __init__(self, *steps: Step, **options: Unpack[ProviderOptions]) -> None:
        super().__init__(**options)
        self.steps = steps
        self.handed = ""
        self.opened = self.closed = 0

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        self.opened += 1
        try:
            for step in self.steps:
                if isinstance(step, AIStreamChunk):
                    self.handed += step.content
                    yield replace(step)  # what was handed over belongs to the stream
                elif isinstance(step, Exception):
                    raise step
                elif step == HANG:
                    await sleep_forever()
                else:
                    await sleep(step)
        finally:
            with CancelScope(shield=True):
                for _ in range(3):  # a body is not closed at once
                    await checkpoint()
            self.closed += 1
