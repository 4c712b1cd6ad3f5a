"""
Two vendors behind one gateway: who is asked when the first one fails, and who is not.

Before the first word the next one is asked, and every attempt is told. What has begun is never asked of somebody else:
its words are kept. Run it as it is: the vendors are simulated.
"""

import anyio

from headrace import AIMessage, StreamInterruptedError
from headrace.gateway import AIGateway
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults

QUESTION = [AIMessage("user", "What is a headrace?")]


async def main() -> None:
    async with Simulator() as sim:
        sim.play("anthropic", Script(fault=faults.Refuse(status=529)))  # overloaded: asked once, then the other
        sim.play("openai", Script(text="A channel that feeds a mill."))
        sim.play("openai", Script(text="Water goes to the wheel.", fault=faults.CutFin(after_pieces=2)))
        gateway = AIGateway(
            AnthropicProvider("any-key", base_url=sim.base_url("anthropic")),
            OpenAIProvider("any-key", base_url=sim.base_url("openai")),
        )
        async with gateway:
            answer = await gateway.chat(QUESTION)  # no provider named: in the order given above
            print(f"{answer.provider}: {answer.content}")
            for attempt in answer.attempts:
                print(f"  {attempt.provider}: {attempt.error or 'answered'}")
            try:
                await gateway.chat(QUESTION)
            except StreamInterruptedError as cut:  # Anthropic was passed over: it has said when to come back
                print(f"cut: {cut.partial_content!r} is kept, and nobody else was asked")
        print(f"{sim.requests} requests")


anyio.run(main)
