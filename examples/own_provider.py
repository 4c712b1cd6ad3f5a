"""
A provider of your own, in a page: take it as a template. Run as it stands, it checks itself against the contract.

The server of this one speaks OpenAI's chat format. For another, change what is sent, and `_chunk`: own_format.py.
"""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Final, Unpack

import anyio
import msgspec

from headrace import AIMessage, AIStreamChunk, GenerationConfig
from headrace.errors import ServerError, UndecodableEventError, UnsupportedOptionError
from headrace.providers.base import BaseProvider, ProviderOptions
from headrace.testing import check_provider

URL: Final = "https://mill.example/v1"


class Delta(msgspec.Struct):
    """The words of an event."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One of the answers; only one is ever asked for."""

    delta: Delta = msgspec.field(default_factory=Delta)
    finish_reason: str | None = None


class Event(msgspec.Struct):
    """One event of the stream. What is not named here is skipped."""

    choices: list[Choice] = []
    error: dict[str, object] | None = None


class MillProvider(BaseProvider):
    """The mill's own models."""

    name = "mill"
    model = "stone-1"

    def __init__(self, api_key: str = "", *, base_url: str = URL, **options: Unpack[ProviderOptions]) -> None:
        super().__init__(**options)  # deadlines, limits, max_attempts, marker, http_client, ...
        self._url = base_url
        # The environment's key goes to the mill alone: whoever can set the address must not get it.
        self._key = api_key or (os.environ.get("MILL_API_KEY", "") if base_url == URL else "")

    def is_available(self) -> bool:
        """Whether there is a key. Never ask the server here."""
        return bool(self._key)

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        """Yield the words; raise what goes wrong; say the end only if the server said it. The rest is done for you."""
        config = config or GenerationConfig()
        if config.tools:
            raise UnsupportedOptionError("the mill's models have no tools", option="tools")
        body = {
            "model": config.model or self.model,
            "messages": [{"role": one.role, "content": one.text} for one in messages],
            "stream": True,
        }
        if config.max_tokens is not None:  # what the caller did not set is not sent
            body["max_tokens"] = config.max_tokens
        headers = {"authorization": f"Bearer {self._key}"}
        async with await self._post(
            f"{self._url}/chat/completions", body=msgspec.json.encode(body), headers=headers
        ) as exchange:
            limits = self._parse_rate_limit_headers(exchange.headers)
            async for events in exchange.events:
                for _name, data in events:
                    if data and data != "[DONE]":
                        chunk = self._chunk(data)
                        chunk.rate_limit = limits
                        yield chunk  # noqa: ASYNC119  # the pump closes this generator in the task that ran it

    def _chunk(self, data: str) -> AIStreamChunk:
        try:
            event = msgspec.json.decode(data, type=Event)
        except msgspec.MsgspecError as exc:
            raise UndecodableEventError(f"{self.name}: an event cannot be decoded", provider=self.name) from exc
        if event.error is not None:
            raise ServerError(f"{self.name}: {event.error.get('message')}", provider=self.name)
        choice = event.choices[0] if event.choices else Choice()
        return AIStreamChunk(choice.delta.content or "", finish_reason=choice.finish_reason)


async def main() -> None:
    """Each rule is tried with a server that breaks it on purpose."""
    await check_provider(lambda url: MillProvider("any-key", base_url=url), vendor="openai")
    print("MillProvider keeps every rule.")


if __name__ == "__main__":
    anyio.run(main)
