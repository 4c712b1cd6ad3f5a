"""An answer as a typed value, and what is told when it is not one."""

from dataclasses import dataclass

import anyio

from headrace import GenerationConfig, OutputValidationError
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator


@dataclass
class City:
    name: str
    inhabitants: int


async def main() -> None:
    config = GenerationConfig(response_format=City)
    async with Simulator() as sim, OpenAIProvider("any-key", base_url=sim.base_url("openai")) as openai:
        answer = await openai.generate("Which city is the largest of Italy?", config)  # the simulator obeys the schema
        print(answer.parse(City))
        sim.play("openai", Script(text='{"name": "Rome", "inhabitants": "many"}'))
        try:
            (await openai.generate("And how many live there?", config)).parse()
        except OutputValidationError as error:
            print(f"at {error.path}: {error}")


anyio.run(main)
