"""
Tests of a program that asks a model, without a key and without a network: `pytest examples/testing`.

The fixtures come with headrace. The first two tests are for a program that uses headrace, the others for one that uses
another client: here the openai SDK, sync.
"""

from collections.abc import Callable

import openai
import pytest

from headrace import AIMessage, StreamInterruptedError
from headrace.providers.base import BaseProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script
from headrace.testing import BackgroundSimulator


async def headline(provider: BaseProvider, topic: str) -> str:
    """The program: it keeps what it has where an answer breaks."""
    try:
        return (await provider.chat([AIMessage("user", f"A headline about {topic}")])).content
    except StreamInterruptedError as cut:
        return cut.partial_content + " [cut]"


def shout(client: openai.OpenAI, topic: str) -> str:
    """The same, by another client and without care."""
    with client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": topic}], stream=True
    ) as chunks:
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).upper()


@pytest.mark.anyio
async def test_a_headline_comes_whole(
    headrace_simulator: BackgroundSimulator, headrace_idle: Callable[[BaseProvider], BaseProvider]
) -> None:
    headrace_simulator.play("openai", Script(text="Mill turns again"))
    provider = OpenAIProvider("any-key", base_url=headrace_simulator.base_url("openai"))
    async with headrace_idle(provider):
        assert await headline(provider, "mills") == "Mill turns again"


@pytest.mark.anyio
async def test_a_headline_that_breaks_keeps_its_words(
    headrace_simulator: BackgroundSimulator, headrace_fault: Callable[..., None]
) -> None:
    headrace_fault("cut-fin; after_events=3", text="Mill turns again")
    async with OpenAIProvider("any-key", base_url=headrace_simulator.base_url("openai")) as provider:
        assert await headline(provider, "mills") == headrace_simulator.exchanges[0].text_sent + " [cut]"


@pytest.fixture
def client(headrace_simulator: BackgroundSimulator) -> openai.OpenAI:
    """The SDK of the vendor, and no retry behind the test's back."""
    return openai.OpenAI(api_key="any-key", base_url=headrace_simulator.base_url("openai"), max_retries=0)


def test_another_client_reads_it(client: openai.OpenAI, headrace_simulator: BackgroundSimulator) -> None:
    headrace_simulator.play("openai", Script(text="Mill turns again"))
    with client:
        assert shout(client, "mills") == "MILL TURNS AGAIN"


def test_another_client_meets_the_fault(client: openai.OpenAI, headrace_fault: Callable[..., None]) -> None:
    headrace_fault("refuse; status=429; retry_after=7")
    with client, pytest.raises(openai.RateLimitError) as refused:
        shout(client, "mills")
    assert refused.value.response.headers["retry-after"] == "7"
