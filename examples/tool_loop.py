"""A model calls a tool until it has an answer. The same lines work with every provider."""

import anyio

from headrace import AIMessage, GenerationConfig, Tool, ToolCall
from headrace.providers.anthropic import AnthropicProvider
from headrace.simulator import Script, Simulator


def weather(city: str, days: int = 1) -> dict[str, object]:
    """Tell the weather of a city."""
    return {"city": city, "sky": "clear", "days": days}


async def main() -> None:
    tools = {tool.name: tool for tool in [Tool.of(weather)]}
    config = GenerationConfig(tools=list(tools.values()))
    messages = [AIMessage("user", "How is the weather in Rome?")]
    async with Simulator() as sim, AnthropicProvider("any-key", base_url=sim.base_url("anthropic")) as claude:
        # What the simulated model says; a real one needs no script.
        sim.play("anthropic", Script(reasoning="Rome.", text="", tool_calls=(("weather", '{"city": "Rome"}'),)))
        sim.play("anthropic", Script(text="The sky over Rome is clear."))
        for _ in range(5):  # a loop that a model steers has a bound
            answer = await claude.chat(messages, config)
            messages.append(answer.to_message())  # reasoning, signatures and calls go back as they came
            calls = [call for call in answer.tool_calls if isinstance(call, ToolCall)]
            if not calls:
                print(answer.content)
                break
            results = [await tools[call.name].run(call) for call in calls]
            messages.append(AIMessage("tool", results))
            for call, result in zip(calls, results, strict=True):
                print(f"{call.name}({call.arguments}) -> {result.text}")


anyio.run(main)
