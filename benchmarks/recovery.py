"""
What does a program know, and hold, when an answer breaks? Clients against the faults of the simulator, after content.

Each cell is one client and one fault, at several positions in several answers. Every client has the same second of
patience, by its own documented option. Told apart are:

    raised   an exception reached the program
    visible  none did, but the public API's documented end signal (a finish reason, `message_stop`) is missing, so that
             a program which looks for it can know
    silent   neither: it looks like the end of a whole answer, and words are missing or changed
    whole    the end signal came, and every word
    hangs    nothing of that within four seconds

and how many of the characters that were sent, in whole events before the fault, the program has in hand at the end.

usage: python -m benchmarks.recovery [--write] [--each N]
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

import anyio
import httpx
import httpx_sse

from headrace import AIMessage, Deadlines, StreamInterruptedError
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Script, Simulator, faults
from headrace.simulator.script import prose

from ._bench import ROOT, machine, table, versions

PAGE = ROOT / "docs" / "why.md"
BEGIN, END = "<!-- measured: benchmarks/recovery.py -->", "<!-- end -->"
PATIENCE = 1.0  # seconds, told to every client
BOUND = 4.0  # seconds until a client counts as hanging
HELLO = [{"role": "user", "content": "What is a headrace?"}]
FAULTS: dict[str, Callable[[int], faults.Fault | None]] = {
    "no fault": lambda _: None,
    "closed": lambda at: faults.CutFin(after_pieces=at),
    "reset": lambda at: faults.CutRst(after_pieces=at),
    "ended early": lambda at: faults.CleanEnd(after_pieces=at),
    "gzip cut": lambda at: faults.TruncatedGzip(after_events=at + 2),
    "silence": lambda at: faults.Stall(after_pieces=at),
    "pings only": lambda at: faults.Pings(after_pieces=at, interval=0.2),
    "error event": lambda at: faults.ErrorEvent(after_pieces=at),
    "half an event": lambda at: faults.Malformed(after_pieces=at),
    "bad byte": lambda at: faults.BadUtf8(after_pieces=at),
}


@dataclass
class Seen:
    """What one program has: its words, and whether it met the end signal."""

    words: list[str] = field(default_factory=list)
    ended: bool = False


Client = Callable[[str, Seen], Awaitable[None]]


# ---------------------------------------------------------------- official SDKs


async def openai_loop(url: str, seen: Seen) -> None:
    import openai

    async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, timeout=PATIENCE) as client:
        async for chunk in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
            for choice in chunk.choices:
                seen.words.append(choice.delta.content or "")
                seen.ended |= choice.finish_reason is not None


async def openai_whole(url: str, seen: Seen) -> None:
    import openai

    async with (
        openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, timeout=PATIENCE) as client,
        client.chat.completions.stream(model="m", messages=HELLO) as stream,
    ):
        answer = await stream.get_final_completion()
    seen.words.append(answer.choices[0].message.content or "")
    seen.ended = answer.choices[0].finish_reason is not None


async def anthropic_loop(url: str, seen: Seen) -> None:
    import anthropic

    async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0, timeout=PATIENCE) as client:
        async for event in await client.messages.create(model="m", max_tokens=999, messages=HELLO, stream=True):
            if event.type == "content_block_delta":
                seen.words.append(event.delta.text)
            seen.ended |= event.type == "message_stop"


async def anthropic_whole(url: str, seen: Seen) -> None:
    import anthropic

    async with (
        anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0, timeout=PATIENCE) as client,
        client.messages.stream(model="m", max_tokens=999, messages=HELLO) as stream,
    ):
        answer = await stream.get_final_message()
    seen.words += [block.text for block in answer.content]
    seen.ended = answer.stop_reason is not None


async def gemini_loop(url: str, seen: Seen) -> None:
    from google import genai

    options = genai.types.HttpOptions(base_url=url, timeout=int(PATIENCE * 1000))
    client = genai.Client(api_key="k", http_options=options)
    try:
        async for chunk in await client.aio.models.generate_content_stream(model="m", contents="What is a headrace?"):
            seen.words.append(chunk.text or "")
            seen.ended |= any(one.finish_reason is not None for one in chunk.candidates or ())
    finally:
        await client.aio.aclose()


# ---------------------------------------------------------------- by hand


def openai_read(data: dict, seen: Seen) -> None:
    for choice in data["choices"]:
        seen.words.append(choice["delta"].get("content") or "")
        seen.ended |= choice.get("finish_reason") is not None


def anthropic_read(data: dict, seen: Seen) -> None:
    if data["type"] == "content_block_delta":
        seen.words.append(data["delta"]["text"])
    seen.ended |= data["type"] == "message_stop"


def gemini_read(data: dict, seen: Seen) -> None:
    for candidate in data["candidates"]:
        seen.words += [part["text"] for part in candidate["content"]["parts"]]
        seen.ended |= "finishReason" in candidate


async def by_hand(
    path: str, headers: dict, body: dict, read: Callable[[dict, Seen], None], url: str, seen: Seen
) -> None:
    """httpx-sse and `json.loads`, until the stream ends."""
    async with (
        httpx.AsyncClient(timeout=PATIENCE, headers=headers) as client,
        httpx_sse.aconnect_sse(client, "POST", url + path, json=body) as events,
    ):
        async for event in events.aiter_sse():
            if event.data == "[DONE]":
                break
            read(json.loads(event.data), seen)


# ---------------------------------------------------------------- headrace

PROVIDERS = {"openai": OpenAIProvider, "anthropic": AnthropicProvider, "gemini": GeminiProvider}
DEADLINES = Deadlines(first_chunk=PATIENCE, next_chunk=PATIENCE, idle=PATIENCE)


async def ours_loop(vendor: str, raises: bool, url: str, seen: Seen) -> None:
    async with PROVIDERS[vendor]("k", base_url=url, deadlines=DEADLINES) as provider:
        async with provider.chat_stream([AIMessage("user", "What is a headrace?")]) as stream:
            async for chunk in stream:
                if not chunk.is_marker:
                    seen.words.append(chunk.content)
                seen.ended |= chunk.is_final and chunk.error is None
        if raises:
            stream.raise_for_interruption()


async def ours_whole(vendor: str, url: str, seen: Seen) -> None:
    async with PROVIDERS[vendor]("k", base_url=url, deadlines=DEADLINES) as provider:
        try:
            answer = await provider.chat([AIMessage("user", "What is a headrace?")])
        except StreamInterruptedError as error:
            seen.words.append(error.partial_content)
            raise
    seen.words.append(answer.content)
    seen.ended = answer.finish_reason is not None


# ---------------------------------------------------------------- who is compared

OPENAI_BODY = {"model": "m", "messages": HELLO, "stream": True}
HAND = {
    "openai": ("/chat/completions", {"authorization": "Bearer k"}, OPENAI_BODY, openai_read),
    "anthropic": (
        "/v1/messages",
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
        {**OPENAI_BODY, "max_tokens": 999},
        anthropic_read,
    ),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"x-goog-api-key": "k"},
        {"contents": [{"role": "user", "parts": [{"text": "What is a headrace?"}]}]},
        gemini_read,
    ),
}
SDK_LOOPS: dict[str, tuple[str, Client]] = {
    "openai": ("openai SDK", openai_loop),
    "anthropic": ("anthropic SDK", anthropic_loop),
    "gemini": ("google-genai SDK", gemini_loop),
}
SDK_WHOLE: dict[str, tuple[str, Client]] = {
    "openai": ("openai SDK, `get_final_completion()`", openai_whole),
    "anthropic": ("anthropic SDK, `get_final_message()`", anthropic_whole),
}


def loops() -> list[tuple[str, str, Client]]:
    """Programs that read piece by piece, and keep what they read."""
    rows: list[tuple[str, str, Client]] = []
    for vendor, (name, sdk) in SDK_LOOPS.items():
        rows += [
            (vendor, name, sdk),
            (vendor, "hand-written loop", partial(by_hand, *HAND[vendor])),
            (vendor, "headrace, the loop alone", partial(ours_loop, vendor, False)),
            (vendor, "headrace, and `raise_for_interruption()`", partial(ours_loop, vendor, True)),
        ]
    return rows


def wholes() -> list[tuple[str, str, Client]]:
    """Programs that ask for the answer in one call, and keep what it returns or raises."""
    rows = [(vendor, name, sdk) for vendor, (name, sdk) in SDK_WHOLE.items()]
    return rows + [(vendor, "headrace, `chat()`", partial(ours_whole, vendor)) for vendor in SDK_LOOPS]


# ---------------------------------------------------------------- measure


async def once(
    vendor: str, client: Client, make: Callable[[int], faults.Fault | None], number: int
) -> tuple[str, int, int]:
    """One answer: how the program learns of its end, the characters sent, and those in hand."""
    seen, how = Seen(), "hangs"
    text = prose(random.Random(number))
    async with Simulator(seed=number) as sim:
        sim.play(vendor, Script(text=text, fault=make(3 + 2 * (number % 10)), delay=0.004))
        with anyio.move_on_after(BOUND):
            try:
                await client(sim.base_url(vendor), seen)
            except Exception:
                how = "raised"
            else:
                how = "visible" if not seen.ended else "whole" if "".join(seen.words) == text else "silent"
        sent, held = sim.exchanges[0].text_before_fault, "".join(seen.words)
    return how, len(sent), sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(sent, held, strict=False)))


async def cell(vendor: str, client: Client, fault: str, each: int) -> list[tuple[str, int, int]]:
    """That many answers, a few at a time: a busy machine must not be taken for a slow vendor."""
    found: list[tuple[str, int, int]] = []
    few = anyio.CapacityLimiter(5)

    async def run(number: int) -> None:
        async with few:
            found.append(await once(vendor, client, FAULTS[fault], number))

    async with anyio.create_task_group() as tasks:
        for number in range(each):
            tasks.start_soon(run, number)
    return found


def words(counts: Counter[str]) -> str:
    """`raised`, or where answers differ each with its number."""
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{how} {n}" for how, n in counts.most_common())


def measured(clients: Sequence[tuple[str, str, Client]], each: int) -> str:
    rows = []
    for vendor, name, client in clients:
        cells, told, sent, held, broken = [], 0, 0, 0, 0
        anyio.run(cell, vendor, client, "no fault", 1)  # imports, and whatever else is done once
        for fault in FAULTS:
            found = anyio.run(cell, vendor, client, fault, each)
            cells.append(words(Counter(how for how, _, _ in found)))
            if fault != "no fault":
                told += sum(how == "raised" for how, _, _ in found)
                broken += len(found)
                sent += sum(characters for _, characters, _ in found)
                held += sum(characters for _, _, characters in found)
        rows.append([vendor, name, *cells, f"{told / broken:.0%}", f"{sent - held:,} of {sent:,}"])
        print("  ".join(rows[-1]), flush=True)
    return table(["format", "program", *FAULTS, "told", "lost"], rows)


def report(*, each: int = 20) -> str:
    """The measured section of docs/why.md."""
    logging.getLogger("headrace").setLevel(logging.ERROR)  # each cut is one warning
    return "\n\n".join(
        (
            (
                f"`python -m benchmarks.recovery --each {each}` on {machine()}; "
                f"{versions('openai', 'anthropic', 'google-genai', 'httpx', 'httpx2', 'httpx-sse', 'anyio')}."
            ),
            "### Read piece by piece",
            measured(loops(), each),
            "### Asked for in one call",
            measured(wholes(), each),
        )
    )


def write(section: str) -> None:
    """Put it between the marks of docs/why.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=20, help="answers for each client and fault (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/why.md")
    options = parser.parse_args()
    made = report(each=options.each)
    if options.write:
        write(made)
