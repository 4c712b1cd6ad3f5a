"""
AIGateway: one door to several providers, and the address of the names that applications import.

Registers providers, opens and closes them together, and sends a call to the one that it names. Knows no vendor and no
HTTP; what a stream does is the provider's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from ._types import (
    AICapability,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    GenerationConfig,
    RateLimitInfo,
)
from .errors import CallerError, StreamInterruptedError
from .providers.base import BaseProvider
from .streaming.stream import ChatStream

__all__ = (
    "AICapability",
    "AIGateway",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "BaseProvider",
    "GenerationConfig",
    "RateLimitInfo",
    "StreamInterruptedError",
)


class AIGateway:
    """
    Several providers behind one door.

    ```python
    async with AIGateway(AnthropicProvider(), OpenAIProvider()) as gateway:
        answer = await gateway.generate("Hello", model="openai/gpt-6.1-terra")
    ```

    A call goes to `provider=`, else to the vendor before the first `/` of `model`, else to the default provider: the
    one that was set, else the registered one of the highest priority (of equals the first).

    Args:
        providers: to register at once, with priority 0. They are entered and left with the gateway.
    """

    def __init__(self, *providers: BaseProvider) -> None:
        self._providers: dict[str, tuple[int, BaseProvider]] = {}
        self._default: str | None = None
        self._stack: AsyncExitStack | None = None
        for provider in providers:
            self.register_provider(provider)

    def __repr__(self) -> str:
        return f"<AIGateway {', '.join(self._providers) or 'without providers'}>"

    # ---------------------------------------------------------------- the registry

    def register_provider(self, provider: BaseProvider, priority: int = 0) -> None:
        """
        Add a provider under its name; a higher priority comes first.

        Raises:
            ValueError: the name is empty or taken.
            RuntimeError: the gateway is open: its session is made of the providers it was entered with.
        """
        if self._stack is not None:
            raise RuntimeError("register providers before `async with gateway`: an open gateway takes no new ones yet")
        if not provider.name:
            raise ValueError(f"{type(provider).__name__} has no name: give its class one")
        if provider.name in self._providers:
            raise ValueError(f"a provider named {provider.name!r} is registered already")
        self._providers[provider.name] = (priority, provider)

    def set_default_provider(self, name: str) -> None:
        """
        The provider for calls that name none.

        Raises:
            CallerError: there is none of this name.
        """
        self._default = self.get_provider(name).name

    def get_provider(self, name: str | None = None) -> BaseProvider:
        """
        The provider of this name; without one the default.

        Raises:
            CallerError: there is none; the message lists those there are.
        """
        name = name or self._default
        if name is None:
            if not self._providers:
                raise CallerError("the gateway has no provider: register_provider(...) one first")
            return self._in_order()[0]
        if name not in self._providers:
            raise CallerError(f"there is no provider {name!r}: there are {', '.join(self._providers) or 'none'}")
        return self._providers[name][1]

    def get_providers_for_capability(self, capability: AICapability) -> list[BaseProvider]:
        """The providers that have it, highest priority first."""
        return [provider for provider in self._in_order() if capability in provider.capabilities]

    def _in_order(self) -> list[BaseProvider]:
        return [provider for _, provider in sorted(self._providers.values(), key=lambda row: -row[0])]

    # ---------------------------------------------------------------- the session

    async def __aenter__(self) -> Self:
        if self._stack is not None:
            raise RuntimeError("the gateway is already open: enter it once, use it from many tasks")
        async with AsyncExitStack() as stack:
            for _, provider in self._providers.values():
                await stack.enter_async_context(provider)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.__aexit__(kind, exc, tb)  # noqa: ASYNC102  # each provider shields its own leaving

    # ---------------------------------------------------------------- calls

    def chat_stream(
        self,
        messages: Sequence[AIMessage],
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
    ) -> ChatStream:
        """
        The answer to `messages`, as it comes; see `ChatStream`.

        Args:
            messages: the conversation so far.
            config: options of this call.
            provider: who is asked.
            model: "vendor/model" (split at the first "/"), or with `provider=` the vendor's own id; it goes over
                `config.model`.

        Raises:
            CallerError: there is no such provider.
        """
        chosen, config = self._route(config, provider, model)
        return chosen.chat_stream(messages, config)

    async def chat(
        self,
        messages: Sequence[AIMessage],
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
    ) -> AIResponse:
        """The whole answer to `messages`. Arguments as `chat_stream`, errors as `BaseProvider.chat`."""
        chosen, config = self._route(config, provider, model)
        return await chosen.chat(messages, config)

    async def generate(
        self,
        prompt: str,
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
    ) -> AIResponse:
        """The whole answer to one user message; see `chat`."""
        return await self.chat([AIMessage("user", prompt)], config, provider=provider, model=model)

    def _route(
        self, config: GenerationConfig | None, provider: str | None, model: str | None
    ) -> tuple[BaseProvider, GenerationConfig | None]:
        if model is not None and provider is None:
            vendor, slash, rest = model.partition("/")
            if not slash or not rest:
                raise CallerError(f"model {model!r} names no provider: write it as 'vendor/model', or give provider=")
            provider, model = vendor, rest
        if model is not None:
            config = replace(config or GenerationConfig(), model=model)
        return self.get_provider(provider), config
