"""Rule 9: KeyboardInterrupt and SystemExit that strike the pump. Loops of their own, for an exit ends its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import anyio
import pytest
from anyio import sleep

from headrace import AIStreamChunk

from .foreign import Scripted
from .words import MESSAGES


class Struck(Scripted):
    """Its stream is struck after a word."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self.kind = kind

    async def _raw_chat_stream(self, messages, config=None) -> AsyncIterator[AIStreamChunk]:
        yield AIStreamChunk("a")
        await sleep(0.01)
        raise self.kind


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_rule_09_an_exit_in_the_pump_passes_bare_and_is_no_marker(
    kind: type[BaseException], backend: Literal["asyncio", "trio"]
) -> None:
    got: list[AIStreamChunk] = []

    async def main() -> None:
        async with Struck(kind) as provider, provider.chat_stream(MESSAGES) as stream:
            async for chunk in stream:
                got.append(chunk)

    with pytest.raises(kind) as caught:
        anyio.run(main, backend=backend)
    assert type(caught.value) is kind
    assert [chunk.content for chunk in got] == ["a"]
