"""
500 prompts under a rate limit: all at once, in the order and at the pace that the vendor's own headers allow.

Each answer is written as a line of JSON as soon as it is there, so a run that is stopped goes on where it was: what the
file has is not asked again. An error is told with its prompt and costs nothing of the others; the next run repeats it.
The limit is the simulator's; with a key of your own, leave out `base_url`.

usage: python examples/batch.py [--prompts 500] [--file answers.jsonl]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import anyio

from headrace import AIMessage, GenerationConfig, HeadraceError, StreamInterruptedError
from headrace.limits.policy import RateLimitPolicy
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Limits, Simulator

AT_ONCE, WINDOW = 250, 10.0  # the limit: so many requests at once, and as many again in so many seconds


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar where rich is installed (`headrace[cli]`), else a line now and then."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
    except ImportError:
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            if done == total or done % 50 == 0:
                print(f"{done} of {total}")

        yield step
        return
    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("prompts", total=total)
        yield lambda: bar.advance(task)


async def ask(provider: OpenAIProvider, number: int, prompt: str, file: TextIO, step: Callable[[], None]) -> None:
    """One prompt, to its line in the file. Waiting for its turn is the pacer's business."""
    row: dict[str, object] = {"number": number}
    try:
        answer = await provider.chat([AIMessage("user", prompt)], GenerationConfig(max_tokens=50))
        row["text"] = answer.content
    except StreamInterruptedError as cut:
        row |= {"error": str(cut), "partial": cut.partial_content}
    except HeadraceError as error:
        row["error"] = f"{type(error).__name__}: {error}"
    file.write(json.dumps(row) + "\n")
    file.flush()
    step()


def answered(path: Path) -> set[int]:
    """The prompts that have an answer in the file already."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {row["number"] for row in rows if "text" in row}


async def main(count: int, path: Path) -> None:
    known = answered(path)
    prompts = {n: f"Prompt {n}: what is a headrace?" for n in range(count) if n not in known}
    policy = RateLimitPolicy(max_wait=600)  # a batch has time
    began = time.monotonic()
    async with Simulator(limits={"openai": Limits(requests=AT_ONCE, window=WINDOW)}, pace=0.001) as sim:
        openai = OpenAIProvider("any-key", base_url=sim.base_url("openai"), limits=policy, max_requests=50)
        with path.open("a") as file, progress(len(prompts)) as step:
            async with openai, anyio.create_task_group() as tasks:
                for number, prompt in prompts.items():
                    tasks.start_soon(ask, openai, number, prompt, file, step)
        refused = sum(exchange.status == 429 for exchange in sim.exchanges)
    took, ideal = time.monotonic() - began, max(0, len(prompts) - AT_ONCE) / AT_ONCE * WINDOW
    print(f"{len(answered(path))} of {count} answered, {len(known)} of them before; {refused} refusals")
    print(f"{took:.1f} s; the limit alone takes {ideal:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--file", type=Path, help="where the answers go; a file for this run alone, if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, options.prompts, options.file or Path(folder, "answers.jsonl"))
