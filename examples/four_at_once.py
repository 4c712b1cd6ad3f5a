"""Ask four providers at once; one of them is cut, and its words are kept."""

import anyio

from headrace import AIMessage
from headrace.gateway import AIGateway
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults


async def ask(gateway: AIGateway, name: str) -> None:
    async with gateway.chat_stream([AIMessage("user", "What is a headrace?")], provider=name) as stream:
        async for _ in stream:
            pass
    print(f"{name:>9}  {stream.state:<11}  {len(stream.partial_content)} characters  {stream.interruption or ''}")


async def main() -> None:
    async with Simulator() as sim:
        sim.play("gemini", Script(fault=faults.CutFin(after_events=5)))
        gateway = AIGateway(
            AnthropicProvider("any-key", base_url=sim.base_url("anthropic")),
            OpenAIProvider("any-key", base_url=sim.base_url("openai")),
            GeminiProvider("any-key", base_url=sim.base_url("gemini")),
            GrokProvider("any-key", base_url=sim.base_url("grok")),
        )
        async with gateway, anyio.create_task_group() as tasks:
            for name in ("anthropic", "openai", "gemini", "grok"):
                tasks.start_soon(ask, gateway, name)


anyio.run(main)
