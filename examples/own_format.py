"""
A provider for a server with a format of its own: lines of JSON, a key in a header of its own, counts at the end.

The simulator does not speak that format, so a translation stands between the two, line for line: each fault of the
simulator's arrives as one of this server. Run as it stands, the provider is checked against the contract.
"""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Final, Unpack

import anyio
import httpx
import msgspec

from headrace import AIMessage, AIStreamChunk, GenerationConfig, Usage
from headrace.errors import ServerError, UndecodableEventError, UnsupportedOptionError
from headrace.providers.base import BaseProvider, ProviderOptions
from headrace.testing import check_provider

URL: Final = "https://brook.example/v2"
FINISH: Final = {"all said": "stop", "no more room": "length"}  # the server's words; one that is not here is passed on


class Line(msgspec.Struct):
    """One line of an answer. What is not named here is skipped."""

    say: str = ""
    over: str | None = None
    counts: tuple[int, int] | None = None
    wrong: str | None = None


class BrookProvider(BaseProvider):
    """The brook's models."""

    name = "brook"
    model = "pebble-1"

    def __init__(self, api_key: str = "", *, base_url: str = URL, **options: Unpack[ProviderOptions]) -> None:
        super().__init__(**options)  # deadlines, limits, max_attempts, marker, http_client, ...
        self._url = base_url
        # The environment's key goes to the brook alone: whoever can set the address must not get it.
        self._key = api_key or (os.environ.get("BROOK_API_KEY", "") if base_url == URL else "")

    def is_available(self) -> bool:
        """Whether there is a key."""
        return bool(self._key)

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        """Yield what each line says."""
        config = config or GenerationConfig()
        if config.tools:
            raise UnsupportedOptionError("the brook's models have no tools", option="tools")
        body = {"stone": config.model or self.model, "talk": [(one.role, one.text) for one in messages]}
        async with await self._post(
            f"{self._url}/talk",
            body=msgspec.json.encode(body),
            headers={"x-brook-key": self._key},
            accept="application/x-ndjson",
        ) as exchange:
            async for lines in exchange.events:
                for _, line in lines:
                    yield self._chunk(line)  # noqa: ASYNC119  # the pump closes this generator in the task that ran it

    def _chunk(self, data: str) -> AIStreamChunk:
        try:
            line = msgspec.json.decode(data, type=Line)
        except msgspec.MsgspecError as exc:
            raise UndecodableEventError(f"{self.name}: a line cannot be decoded", provider=self.name) from exc
        if line.wrong is not None:
            raise ServerError(f"{self.name}: {line.wrong}", provider=self.name)
        finish = None if line.over is None else FINISH.get(line.over, line.over)
        return AIStreamChunk(line.say, finish_reason=finish, usage=line.counts and _usage(*line.counts))


def _usage(prompt: int, completion: int) -> Usage:
    """What the server counts; what it does not tell is None, and never 0."""
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=None,
        cache_write_tokens=None,
        reasoning_tokens=None,
        source="reported",
        raw={"counts": [prompt, completion]},
    )


# ---------------------------------------------------------------- for the check: the same server, simulated


class Simulated(httpx.AsyncBaseTransport):
    """The brook's server, made of the simulator's Ollama: requests and lines are translated, faults pass."""

    def __init__(self) -> None:
        self._there = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = msgspec.json.decode(await request.aread())
        talk = [{"role": role, "content": words} for role, words in asked["talk"]]
        url = str(request.url).replace("/talk", "/api/chat")
        translated = httpx.Request(
            "POST", url, json={"model": asked["stone"], "messages": talk}, extensions=request.extensions
        )
        answer = await self._there.handle_async_request(translated)
        if answer.status_code != 200 or not isinstance(answer.stream, httpx.AsyncByteStream):
            return answer  # a refusal
        kept = [(name, value) for name, value in answer.headers.items() if name.startswith("content-type")]
        return httpx.Response(200, headers=kept, stream=Lines(answer.stream))

    async def aclose(self) -> None:
        await self._there.aclose()


class Lines(httpx.AsyncByteStream):
    """A body, line by line; the half line of a cut stays half."""

    def __init__(self, source: httpx.AsyncByteStream) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = b""
        async for data in self._source:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield translated(line) + b"\n"  # httpx closes this generator, as that of every body
        yield rest

    async def aclose(self) -> None:
        await self._source.aclose()


def translated(line: bytes) -> bytes:
    """Ollama's line as the brook's. One that is broken stays so."""
    try:
        told = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError:
        return line
    if "error" in told:
        return msgspec.json.encode({"wrong": str(told["error"])})
    message = told.get("message")
    ours: dict[str, object] = {"say": message.get("content", "") if isinstance(message, dict) else ""}
    if told.get("done_reason"):
        ours |= {"over": "all said", "counts": [told["prompt_eval_count"], told["eval_count"]]}
    return msgspec.json.encode(ours)


async def main() -> None:
    """Each rule is tried with a server that breaks it on purpose."""
    async with httpx.AsyncClient(transport=Simulated()) as client:
        await check_provider(
            lambda url: BrookProvider("any-key", base_url=url, http_client=client),
            vendor="ollama",
        )
    print("BrookProvider keeps every rule.")


if __name__ == "__main__":
    anyio.run(main)
