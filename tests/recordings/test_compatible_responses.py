"""
Every recorded answer of the Responses API of servers other than OpenAI and xAI, through `CompatibleProvider`.
"""

from __future__ import annotations

import random

import httpx
import pytest

from headrace import AIMessage, ChatStream, GenerationConfig
from headrace.providers.compatible import HOSTS, CompatibleProvider
from headrace.testing import assert_idle

from .cases import ROOT, WHY, Case
from .test_recordings import Pieces, calls, expected_calls

pytestmark = [pytest.mark.virtual, pytest.mark.skipif(ROOT is None, reason=WHY)]


def found() -> list[Case]:
    """All that went well; the refusals are in `test_errors`."""
    if ROOT is None:
        return []
    paths = sorted((ROOT / "openai-compatible").glob("*/responses/*"))
    cases = [
        Case(path.parent.parent.name, path, "responses")
        for path in paths
        if not path.stem.endswith((".headers", ".expected", ".request"))
    ]
    return [case for case in cases if case.head["status"] == 200]


async def play(case: Case, pieces: list[bytes]) -> ChatStream:
    """The stream of this body, read to its end."""
    is_stream = case.path.suffix == ".sse"
    headers = [("content-type", "text/event-stream" if is_stream else "application/json")]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(case.head["status"], headers=headers, stream=Pieces(pieces))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        provider = CompatibleProvider(
            "sk-of-no-one",
            host=HOSTS.get(case.vendor),
            base_url="https://server.test/v1",
            name=case.vendor,
            model="m",
            api="responses",
            http_client=client,
        )
        async with provider:
            config = GenerationConfig(stream=None if is_stream else False)
            async with provider.chat_stream([AIMessage("user", "hi")], config) as handle:
                async for _ in handle:
                    pass
            await assert_idle(provider)
    return handle


@pytest.mark.parametrize("case", found(), ids=lambda case: case.id)
async def test_whole_and_split_anywhere(case: Case) -> None:
    handle = await play(case, [case.body])
    response, expected = handle.response, case.expected
    assert handle.state == "finished", handle.interruption
    assert (response.content, response.reasoning) == (expected["text"], expected["reasoning"])
    assert response.refusal == (expected.get("refusal") or "")
    assert response.raw_finish_reason == expected["finish_reason"]
    assert expected["usage"] is None or (response.usage or {})["raw"] == expected["usage"]
    assert calls(response) == expected_calls(case)
    rng, body = random.Random(case.id), case.body
    ends = sorted({*rng.choices(range(len(body)), k=min(2000, len(body))), len(body)})
    again = await play(case, [body[start:end] for start, end in zip([0, *ends], ends, strict=False)])
    assert (again.response.parts, again.response.usage, again.state) == (response.parts, response.usage, handle.state)
