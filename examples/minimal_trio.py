"""Stream one answer on trio. With a key in ANTHROPIC_API_KEY, `AnthropicProvider()` speaks to the real vendor."""

import trio

from headrace import AIMessage
from headrace.providers.anthropic import AnthropicProvider
from headrace.simulator import Simulator


async def main() -> None:
    async with Simulator() as sim, AnthropicProvider("any-key", base_url=sim.base_url("anthropic")) as claude:
        async with claude.chat_stream([AIMessage("user", "What is a headrace?")]) as stream:
            async for chunk in stream:
                print(chunk.content, end="", flush=True)
        stream.raise_for_interruption()
        print("\n", stream.state, stream.response.usage)


trio.run(main)
