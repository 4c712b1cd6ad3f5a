"""
AIGateway: one door to several providers, and the address of the names that applications import.

Registers providers, opens and closes them together, chooses who is asked for a call and who is asked instead, and keeps
the account of what was used. Knows no vendor and no HTTP; what a stream does is the provider's business, and what
leads on to another provider is `_routing`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack

from anyio import sleep
from anyio.lowlevel import checkpoint

from ._budget import Budget
from ._checks import check_function, check_number, check_type
from ._figures import UsageSummary
from ._prices import Prices
from ._recorder import Recorder
from ._routing import FallbackPolicy, Option, route
from ._types import (
    AICapability,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    Attempt,
    DocumentPart,
    EmbeddingResponse,
    GenerationConfig,
    ImagePart,
    RateLimitInfo,
    check_call,
)
from ._usage import Ledger
from .errors import CallerError, MissingKeyError, StreamInterruptedError, UnsupportedOptionError
from .providers._door import Door
from .providers._vendor import ApiKey
from .providers.base import BaseProvider
from .streaming.attempts import Candidate, Route
from .streaming.host import Host
from .streaming.pump import Plan
from .streaming.stream import ChatStream
from .telemetry import Event, Hook, add_hook

__all__ = (
    "AICapability",
    "AIGateway",
    "AIMessage",
    "AIResponse",
    "AIStreamChunk",
    "BaseProvider",
    "FallbackPolicy",
    "GenerationConfig",
    "RateLimitInfo",
    "StreamInterruptedError",
    "get_gateway",
)

DEFAULT: Final = FallbackPolicy()
LIMIT_EVENTS: Final = frozenset(
    {
        "rate_limit_approaching",
        "rate_limit_released",
        "request_held",
        "request_granted",
        "rate_limited",
        "limits_learned",
        "store_degraded",
        "store_recovered",
    }
)


class GatewayOptions(TypedDict, total=False):
    """What every gateway takes; see `AIGateway`."""

    fallback: FallbackPolicy | None
    budget: Budget | None
    prices: Prices | None
    on_rate_limit: Hook | None
    recorder: Recorder | None


class AIGateway:
    """
    Several providers behind one door.

    ```python
    async with AIGateway(AnthropicProvider(), OpenAIProvider()) as gateway:
        answer = await gateway.generate("Hello", model="openai/gpt-6.1-terra")
    ```

    A call that names a provider, by `provider=` or as the vendor before the first `/` of `model`, is that provider's,
    and of those in its `fallback=`. One that names nobody goes to the default provider: the one that was set, else the
    registered one of the highest priority (of equals the first); the others stand behind it, in order of priority.
    Another is asked only while nothing of an answer has come.

    `async with` opens one session for all of them, and closes it; a provider that was open already stays its opener's.

    Args:
        providers: to register at once, with priority 0.
        fallback: when another provider is asked; None asks nobody else, unless a call names whom.
        budget: what may be spent; a call is refused once it is (`BudgetExceededError`).
        prices: the caller's prices, over the public lists (extra `prices`); see `Ledger`.
        on_rate_limit: called with each `telemetry.Event` of its providers' limits while the gateway is open. It must
            not block; what it raises is logged and dropped.
        recorder: for those of its providers that have none of their own; see `Recorder`.
    """

    def __init__(
        self,
        *providers: BaseProvider,
        fallback: FallbackPolicy | None = DEFAULT,
        budget: Budget | None = None,
        prices: Prices | None = None,
        on_rate_limit: Hook | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        if fallback is not None:
            check_type("fallback", fallback, FallbackPolicy, "a FallbackPolicy, or None: nobody else is asked")
        if budget is not None:
            check_type("budget", budget, Budget, "a Budget")
        if recorder is not None:
            check_type("recorder", recorder, Recorder, "a Recorder")
        for name, function in (("prices", prices), ("on_rate_limit", on_rate_limit)):
            if function is not None:
                check_function(name, function)
        self._providers: dict[str, tuple[int, BaseProvider]] = {}
        self._default: str | None = None
        self._fallback = fallback
        self._ledger = Ledger(budget=budget, prices=prices)
        self._on_rate_limit, self._unhook = on_rate_limit, _nothing
        self._recorder = recorder
        self._door: Door | None = None
        self._was_open = False
        for provider in providers:
            self.register_provider(provider)

    @classmethod
    def from_env(cls, **options: Unpack[GatewayOptions]) -> Self:
        """
        A gateway to all whose keys the environment has, by the vendors' own variables, such as `OPENAI_API_KEY`.

        Each has its defaults and priority 0, the vendors with a format of their own first; Ollama is among them where
        `OLLAMA_HOST` is set, and hosts of `CompatibleProvider` by their names.

        Args:
            options: as for `AIGateway`.

        Raises:
            MissingKeyError: none of the variables is set; the message lists them.
        """
        from .providers._environment import providers_by_key, variables_by_provider  # they load all vendors

        providers = providers_by_key()
        if not providers:
            wanted = "; ".join(f"{name}: {' or '.join(names)}" for name, names in variables_by_provider().items())
            raise MissingKeyError(f"the environment has no provider's key: set one of these variables ({wanted})")
        return cls(*providers, **options)

    @classmethod
    def from_config(
        cls,
        path: str | PathLike[str],
        *,
        keys: Mapping[str, ApiKey] | None = None,
        key_hosts: Mapping[str, str] | None = None,
        **options: Unpack[GatewayOptions],
    ) -> Self:
        """
        A gateway as a TOML file describes it: a table `[providers.NAME]` for each provider; see docs/configuration.md.

        No key stands in the file. A provider's key is that of the vendor's own variable, and goes to the vendor's own
        hosts; every other pairing of a key and a host is for code to make, by `keys` and `key_hosts`.

        Args:
            path: of the file.
            keys: the key, or a callable that gives it, for providers by their names in the file.
            key_hosts: for providers of `keys`, the host of another than the vendor that this key may be sent to, such
                as "proxy.example".
            options: as for `AIGateway`; they go over what the file says.

        Raises:
            ConfigError: the file cannot be read, has an unknown key or a value that cannot be, or a key is missing. The
                message has a line for each mistake.
        """
        from .providers._config import configured

        found = configured(path, keys or {}, key_hosts or {})
        if found.fallback is False:
            options.setdefault("fallback", None)
        gateway = cls(**options)
        for priority, provider in found.providers:
            gateway.register_provider(provider, priority)
        if found.default is not None:
            gateway.set_default_provider(found.default)
        return gateway

    def __repr__(self) -> str:
        return f"<AIGateway {', '.join(self._providers) or 'without providers'}>"

    # ---------------------------------------------------------------- the registry

    def register_provider(self, provider: BaseProvider, priority: int = 0) -> None:
        """
        Add a provider under its name; a higher priority comes first. An open gateway takes more, too.

        Raises:
            ValueError: the name is empty or taken.
            TypeError: it is no provider, such as a class or a list.
            RuntimeError: the gateway was closed.
        """
        if self._was_open and self._door is None:
            raise RuntimeError("the gateway is closed: make a new one")
        check_type("provider", provider, BaseProvider, "a provider that was made, such as OpenAIProvider()")
        if not provider.name:
            raise ValueError(f"{type(provider).__name__} has no name: give its class one")
        if provider.name in self._providers:
            raise ValueError(f"a provider named {provider.name!r} is registered already")
        self._providers[provider.name] = (priority, provider)
        provider.recorder = provider.recorder or self._recorder
        provider._observers = (*provider._observers, self._ledger)  # of its calls beside the gateway, too
        if self._door is not None:
            self._door.admit(provider)

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
        if self._door is not None:
            raise RuntimeError("the gateway is already open: enter it once, use it from many tasks")
        if self._was_open:
            raise RuntimeError("the gateway was closed, and is not opened again: make a new one")
        self._was_open, door = True, Door()
        await door.__aenter__()
        try:
            for _, provider in tuple(self._providers.values()):
                await door.admit(provider).wait()
        except BaseException as exc:
            self._let_go()
            await door.__aexit__(type(exc), exc, exc.__traceback__)  # noqa: ASYNC102  # shielded there
            raise
        self._door = door
        _open.append(self)
        if self._on_rate_limit is not None:
            self._unhook = add_hook(self._tell)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        door, self._door = self._door, None
        self._unhook()
        if door is not None:
            _open.remove(self)
            self._let_go()
            await door.__aexit__(kind, exc, tb)  # noqa: ASYNC102  # shielded there

    def _let_go(self) -> None:
        """Its providers may outlive it by far: they do not keep its account. Calls under way still end in it."""
        for _, provider in self._providers.values():
            provider._observers = tuple([one for one in provider._observers if one is not self._ledger])

    # ---------------------------------------------------------------- calls

    def chat_stream(
        self,
        messages: Sequence[AIMessage],
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
        fallback: Sequence[str] | None = None,
    ) -> ChatStream:
        """
        The answer to `messages`, as it comes; see `ChatStream`.

        Args:
            messages: the conversation so far.
            config: options of this call.
            provider: who is asked.
            model: "vendor/model" (split at the first "/"), or with `provider=` the vendor's own id; it goes over
                `config.model`.
            fallback: who is asked instead, each "vendor" (its own default model) or "vendor/model"; () is nobody. Else
                all others where the call names nobody. A call with `extra` goes on only where the policy says so.

        Raises:
            CallerError: there is no such provider.
            UnsupportedOptionError: the provider has no such capability (images, tools), or none has.
            TypeError: an argument is of another type.
        """
        check_call(messages, config)
        if isinstance(fallback, str):
            raise TypeError(f"fallback is {fallback!r}: it must be a list, such as [{fallback!r}]")
        given = config or GenerationConfig()
        asked = self._asked(messages, given, provider, model, fallback)
        first, first_config = asked[0]
        return ChatStream(
            Plan(
                route=lambda host: self._route(host, messages, asked),
                host=lambda: self._door,
                new_host=Door,
                provider=first.name,
                model=first_config.model or first.model,
                marker=first.marker,
                response_format=given.response_format,
                observers=(self._ledger,),
            )
        )

    async def chat(
        self,
        messages: Sequence[AIMessage],
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
        fallback: Sequence[str] | None = None,
    ) -> AIResponse:
        """
        The whole answer to `messages`. Arguments as `chat_stream`.

        Raises:
            AllProvidersFailedError: several were asked, and none began an answer.
            StreamInterruptedError, ProviderError, CallerError: as `BaseProvider.chat`.
        """
        async with self.chat_stream(messages, config, provider=provider, model=model, fallback=fallback) as stream:
            return await stream.collect()

    async def generate(
        self,
        prompt: str,
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
        fallback: Sequence[str] | None = None,
    ) -> AIResponse:
        """The whole answer to one user message; see `chat`."""
        return await self.chat([AIMessage("user", prompt)], config, provider=provider, model=model, fallback=fallback)

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        provider: str | None = None,
        model: str | None = None,
        dimensions: int | None = None,
        task: str | None = None,
    ) -> EmbeddingResponse:
        """
        A vector for each text; see `BaseProvider.embed`. Nobody else is asked: vectors of two models do not compare.

        A call that names nobody goes to the first provider that has embeddings.
        """
        chosen, name = self._named(provider, model)
        if chosen is None:
            able = self.get_providers_for_capability(AICapability.EMBEDDINGS)
            if not able:
                raise UnsupportedOptionError("no registered provider has embeddings", option="embed")
            chosen = able[0]
        self._ledger.check(chosen.name, name or chosen._embedding_model())
        await self._ready(chosen)
        return await chosen.embed(texts, model=name, dimensions=dimensions, task=task)

    async def count_tokens(
        self,
        messages: Sequence[AIMessage],
        config: GenerationConfig | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
    ) -> int:
        """How many tokens of input `messages` are, as the vendor counts them; see `BaseProvider.count_tokens`."""
        chosen, name = self._named(provider, model)
        chosen = chosen or self.get_provider()
        await self._ready(chosen)
        given = config or GenerationConfig()
        return await chosen.count_tokens(messages, given if name is None else replace(given, model=name))

    # ---------------------------------------------------------------- what is known

    def get_usage_summary(self) -> UsageSummary:
        """What the providers' calls have taken so far, by provider and model; see `UsageSummary`."""
        return self._ledger.summary()

    def limits(self) -> Mapping[str, Mapping[str, RateLimitInfo]]:
        """The limits as they stand now, by provider and model: what has been learned so far, extrapolated to now."""
        return {name: provider.rate_limits() for name, (_, provider) in self._providers.items()}

    def watch_limits(self, *, every: float = 0.5) -> LimitsWatch:
        """
        The same as an async stream: at once, and then the latest values whenever they have changed.

        Args:
            every: seconds between two looks; what changes in between is told once.
        """
        return LimitsWatch(self, every)

    def _tell(self, event: Event) -> None:
        if self._on_rate_limit is not None and event.name in LIMIT_EVENTS and event.provider in self._providers:
            self._on_rate_limit(event)

    # ---------------------------------------------------------------- who is asked

    def _named(self, provider: str | None, model: str | None) -> tuple[BaseProvider | None, str | None]:
        """The provider that a call names, if it does, and the vendor's own id of the model."""
        if provider is None and model is not None:
            provider, slash, model = model.partition("/")
            if not slash or not model:
                raise CallerError(
                    f"model {provider!r} names no provider: write it as 'vendor/model', or give provider="
                )
        return None if provider is None else self.get_provider(provider), model

    def _asked(
        self,
        messages: Sequence[AIMessage],
        config: GenerationConfig,
        provider: str | None,
        model: str | None,
        fallback: Sequence[str] | None,
    ) -> list[tuple[BaseProvider, GenerationConfig]]:
        """Who can be asked, the preferred one first, each with the options of the call as they go there."""
        named, model = self._named(provider, model)
        if model is not None:
            config = replace(config, model=model)
        needed = _needed(messages, config)
        if named is not None or config.model is not None:
            first = named or self.get_provider()
            missing = needed - first.capabilities
            if missing:
                raise UnsupportedOptionError(
                    f"{first.name} has no {', '.join(sorted(missing))}: this call cannot be asked there",
                    option=min(missing),
                )
            asked = [(first, config)]
        else:
            preferred = [self.get_provider(), *self._in_order()]
            able = [one for one in dict.fromkeys(preferred) if needed <= one.capabilities]
            if not able:
                raise UnsupportedOptionError(
                    f"no registered provider has all of {', '.join(sorted(needed))}", option=min(needed)
                )
            asked = [(one, config) for one in able]
        policy = self._fallback
        if fallback is None and policy is None:
            return asked[:1]
        if fallback is not None:
            asked = asked[:1]
            for index, text in enumerate(fallback):
                check_type(f"fallback[{index}]", text, str, "a text, such as 'openai' or 'openai/gpt-6.1-terra'")
                other, _, name = text.partition("/")
                asked.append((self.get_provider(other), replace(config, model=name or None)))
        return asked[:1] if config.extra and not (policy or DEFAULT).extra else asked

    def _route(
        self,
        host: Host,
        messages: Sequence[AIMessage],
        asked: Sequence[tuple[BaseProvider, GenerationConfig]],
    ) -> Route:
        """The steps of `_routing.route`, as candidates for the pump that asks in `host`."""
        assert isinstance(host, Door)
        candidates = [
            replace(provider._candidate(messages, config), host=host.session_of(provider), ready=host.ready(provider))
            for provider, config in asked
        ]
        options = [
            Option(
                one.provider,
                one.model,
                partial(_forecast, one),
                provider.max_attempts if config.max_attempts is None else config.max_attempts,
            )
            for one, (provider, config) in zip(candidates, asked, strict=True)
        ]
        steps = route(options, self._fallback or DEFAULT)
        step = next(steps)
        while True:
            candidate = candidates[step.whom]
            allowed = partial(self._ledger.check, candidate.provider, candidate.model)
            allowed()  # and again when its turn has come: others may have spent the budget while it waited
            passed = tuple(
                Attempt(
                    candidates[index].provider, candidates[index].model, "PassedOver", f"it would wait {seconds:.1f} s"
                )
                for index, seconds in step.passed
            )
            need = replace(candidate.need, allowed=allowed)
            error = yield replace(candidate, need=need, passed=passed, again=step.again)
            try:
                step = steps.send(error)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # typeshed: of a StopIteration it is Any

    async def _ready(self, provider: BaseProvider) -> None:
        if self._door is not None and (opening := self._door.ready(provider)) is not None:
            await opening()


class LimitsWatch:
    """See `AIGateway.watch_limits`. Ends when the gateway is closed; holds nothing, so it can be left anywhere."""

    def __init__(self, gateway: AIGateway, every: float) -> None:
        check_number("every", every, "a number of seconds above 0", above=0)
        self._gateway, self._every = gateway, every
        self._last: object = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Mapping[str, Mapping[str, RateLimitInfo]]:
        await checkpoint()  # before the look: what is told to one that is cancelled would be told to nobody
        while self._gateway._door is not None:
            limits = self._gateway.limits()
            seen = {
                (provider, model, one.name): (one.limit, int(one.remaining or 0))
                for provider, models in limits.items()
                for model, info in models.items()
                for one in info.dimensions
            }
            if seen != self._last:
                self._last = seen
                return limits
            await sleep(self._every)
        raise StopAsyncIteration


_open: Final[list[AIGateway]] = []  # in the order in which they were opened


def get_gateway() -> AIGateway:
    """
    The gateway that is open in this process: of several the one that was opened last.

    Raises:
        RuntimeError: none is open.
    """
    if not _open:
        raise RuntimeError("no gateway is open: `async with AIGateway(...)` around the program")
    return _open[-1]


def _nothing() -> None:
    """For a gateway that tells nobody."""


def _needed(messages: Sequence[AIMessage], config: GenerationConfig) -> frozenset[AICapability]:
    """What a provider must have for this call."""
    needed = {AICapability.CHAT}
    if any(isinstance(part, ImagePart | DocumentPart) for message in messages for part in message.parts):
        needed.add(AICapability.IMAGE_ANALYSIS)
    if config.tools:
        needed.add(AICapability.FUNCTION_CALLING)
    return frozenset(needed)


def _forecast(candidate: Candidate) -> float:
    """Seconds until this one's limits would let the request in."""
    need = candidate.need
    assert candidate.host is not None
    return candidate.host.pacer.forecast(need.cost, scope=need.scope, priority=need.priority)
