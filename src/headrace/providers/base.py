"""
BaseProvider: what every provider has, whoever wrote it, and the two endings that it promises.

A provider of somebody else's implements `_raw_chat_stream` (an async generator of chunks) and gets sessions, deadlines,
recovery, `collect()` and the rest from here. Knows no vendor and no HTTP beyond its session.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from types import NoneType, TracebackType
from typing import ClassVar, Final, Self, TypedDict, Unpack

from .. import _clock, _units
from .._checks import check_type, check_whole
from .._http import AsyncClient, Exchange, Refusal, Session, request_id
from .._recorder import Recorder
from .._types import (
    AICapability,
    AIMessage,
    AIResponse,
    AIStreamChunk,
    ChunkMeta,
    Deadlines,
    EmbeddingResponse,
    GenerationConfig,
    ModelInfo,
    RateLimitInfo,
    ToolCall,
    ToolCallDelta,
    check_call,
)
from ..errors import UnsupportedOptionError
from ..limits import headers as limit_headers
from ..limits.cost import Cost, estimate
from ..limits.dialects import DIALECTS, Dialect
from ..limits.pacer import MAX_REQUESTS, Pacer
from ..limits.pacing import AnyPacing
from ..limits.policy import RateLimitPolicy
from ..streaming.attempts import Candidate, Need, repeated
from ..streaming.host import FLIGHT, not_open
from ..streaming.machine import MARKER
from ..streaming.pump import Plan
from ..streaming.recovery import Recovery
from ..streaming.stream import ChatStream
from ..telemetry import Asked, Observer, Operation
from ..wire._refusal import refusal, status_class
from ..wire._shared import error_text
from ..wire.framing import SSE

__all__ = ("CHAT_MODEL", "BaseProvider", "ProviderOptions")

CHAT_MODEL: Final = frozenset(
    {
        AICapability.TEXT_GENERATION,
        AICapability.CHAT,
        AICapability.CODE_GENERATION,
        AICapability.IMAGE_ANALYSIS,
        AICapability.FUNCTION_CALLING,
    }
)  # what every large vendor's chat models can do


# What other clients call it.
_ELSEWHERE: Final[Mapping[str, str]] = {
    "default_headers": "headers=",
    "extra_headers": "headers=",
    "http_options": "headers= and base_url=",
    "max_retries": "max_attempts=",
    "max_tokens": "GenerationConfig(max_tokens=...), which goes with a call",
    "proxy": "http_client=",
    "retries": "max_attempts=",
    "system": "AIMessage('system', '...'), which goes with a call",
    "temperature": "GenerationConfig(temperature=...), which goes with a call",
    "timeout": "deadlines=Deadlines(total=...)",
    "verify": "http_client=",
}


class ProviderOptions(TypedDict, total=False):
    """What every provider takes; see `BaseProvider`."""

    name: str | None
    model: str | None
    http_client: AsyncClient | None
    deadlines: Deadlines | None
    max_requests: int
    limits: RateLimitPolicy | AnyPacing | None
    max_attempts: int
    marker: str
    strict_options: bool
    recorder: Recorder | None


class BaseProvider:
    """
    A source of chat responses.

    `async with provider:` opens one session: an HTTP client and a task group that hosts every exchange. On a provider
    that was not entered, `async with provider.chat_stream(...)`, `chat()` and `generate()` open a private one each.

    Args:
        name: by which a gateway knows it; else the vendor's. Two of one vendor need two names.
        model: the model asked where a call names none.
        http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to send through; it is never closed here. Its
            connection limit should not be below `max_requests`.
        deadlines: how long the vendor may take; see `Deadlines`.
        max_requests: exchanges that run at once in the session; more wait for a slot.
        limits: how requests are paced, see `RateLimitPolicy`; or a `Pacer` to share with other providers of this loop
            that have the same account; or a pacer of another make, see `Pacing`.
        max_attempts: requests that one call may send. 1 repeats nothing; with more, one that the vendor refuses for now
            (429, 503, 529) before any content stands in line again, not before the time that the refusal told (without
            one, after a rest that doubles), for at most `max_wait` in all; where that is too short, its refusal stands.
        marker: the text of the marker chunk that ends an interrupted stream.
        strict_options: raise `UnsupportedOptionError` for an option that the model or the vendor does not take; False
            leaves the option out, with a `telemetry` event.
        recorder: keeps the raw frames of the last responses, and gives them to errors; see `Recorder`.
    """

    name: str = ""
    capabilities: ClassVar[frozenset[AICapability]] = frozenset({AICapability.TEXT_GENERATION, AICapability.CHAT})
    dialect: Dialect = DIALECTS["any"]

    # For subclasses that do not call __init__.
    model: str = ""
    deadlines: Deadlines = Deadlines()
    max_requests: int = MAX_REQUESTS
    limits: RateLimitPolicy | AnyPacing = RateLimitPolicy(pace=False)  # of what stands behind it nothing is known
    max_attempts: int = 1
    marker: str = MARKER
    strict_options: bool = True
    recorder: Recorder | None = None
    _http_client: AsyncClient | None = None
    _session: Session | None = None
    _observers: tuple[Observer, ...] = ()  # who watches this provider beside those who watch all

    def __init__(self, **options: Unpack[ProviderOptions]) -> None:
        if unknown := options.keys() - ProviderOptions.__annotations__.keys():
            name = min(unknown)
            hint = f": see {instead}" if (instead := _ELSEWHERE.get(name)) else ""
            raise TypeError(f"{type(self).__name__} has no option {name!r}{hint}")
        self.name = options.get("name") or self.name
        self.model = options.get("model") or self.model
        self.deadlines = options.get("deadlines") or self.deadlines
        self.max_requests = options.get("max_requests", self.max_requests)
        check_whole("max_requests", self.max_requests, least=1)
        self.limits = options.get("limits") or self.limits
        self.max_attempts = options.get("max_attempts", self.max_attempts)
        check_whole("max_attempts", self.max_attempts, least=1)
        self.marker = options.get("marker", self.marker)
        self.strict_options = options.get("strict_options", self.strict_options)
        self.recorder = options.get("recorder")
        check_type("name", self.name, str, "a text")
        check_type("model", self.model, str, "a text")
        check_type("deadlines", self.deadlines, Deadlines, "a Deadlines, such as Deadlines(total=60)")
        if not (isinstance(self.limits, RateLimitPolicy) or hasattr(self.limits, "take")):
            raise TypeError(f"limits is {self.limits!r}: it must be a RateLimitPolicy, or a pacer")
        check_type("marker", self.marker, str, "a text")
        check_type("strict_options", self.strict_options, bool, "True or False")
        check_type("recorder", self.recorder, (Recorder, NoneType), "a Recorder")
        self._http_client = options.get("http_client")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}>"

    # ---------------------------------------------------------------- the session

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise RuntimeError(
                f"{self.name or type(self).__name__} is already open: enter it once, use it from many tasks"
            )
        self._session = await self._new_session().__aenter__()
        try:
            await self.initialize()
        except BaseException as exc:
            await self.__aexit__(type(exc), exc, exc.__traceback__)  # noqa: ASYNC102  # a session's leaving is shielded
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.__aexit__(kind, exc, tb)  # noqa: ASYNC102  # shielded there

    def _new_session(self, pacer: AnyPacing | None = None) -> Session:
        return Session(self.name, owner=self, http_client=self._http_client, pacer=pacer or self._new_pacer())

    def _new_pacer(self) -> AnyPacing:
        """The pacer of a new session: the one that was given, else one of its own."""
        if not isinstance(self.limits, RateLimitPolicy):
            return self.limits
        return Pacer(
            self.limits,
            name=self.name,
            max_requests=self.max_requests,
            key=self._account() or self.name,
            blind=not self.dialect.headers,  # it tells nothing before it refuses
        )

    def _account(self) -> str:
        """Who is limited, in a word without secrets: of the same word, of the same limits; "" is nobody."""
        return ""

    def _current_session(self) -> Session:
        """The session of the task that drives a raw stream, else the provider's own."""
        flight = FLIGHT.get()
        if flight is not None and isinstance(flight.host, Session) and flight.host.owner is self:
            return flight.host  # another's session would send through another's client
        if self._session is None or not self._session.is_open:
            raise not_open()
        return self._session

    # ---------------------------------------------------------------- for subclasses

    async def initialize(self) -> object:
        """
        Prepare, once the session is open. Nothing to do by default.

        For `async with provider` and for a gateway that is entered: the private session of a single stream begins
        without it.
        """
        return None

    def is_available(self) -> object:
        """Whether calls can be made at all, without making one. True by default."""
        return True

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        """
        The vendor's plain stream, without recovery and without a scope across its yields.

        A chunk's `finish_reason` proves the end; ending without one is a cut. This default serves a subclass that has
        only `chat()`: its whole answer as one chunk.
        """
        if type(self).chat is BaseProvider.chat:
            raise TypeError(f"{type(self).__name__} implements neither _raw_chat_stream() nor chat()")
        answer = await self.chat(messages, config)
        if not isinstance(answer, AIResponse):
            raise TypeError(f"{type(self).__name__}.chat() gives {type(answer).__name__}: it must be AIResponse")
        yield AIStreamChunk(
            answer.content,
            usage=answer.usage,
            rate_limit=answer.rate_limit,
            reasoning=answer.reasoning,
            refusal=answer.refusal,
            tool_calls=tuple(
                ToolCallDelta(index, call.id, call.name, call.arguments, ended=isinstance(call, ToolCall))
                for index, call in enumerate(answer.tool_calls)
            ),
            is_final=answer.finish_reason is None,  # then the end is told, and not proven
            finish_reason=answer.finish_reason,
            parts=answer.parts,
            extra=answer.extra,
            meta=ChunkMeta(answer.model, answer.request_id, answer.raw_finish_reason, answer.raw_response),
        )

    async def _post(self, url: str, *, body: bytes, headers: Mapping[str, str], accept: str = SSE) -> Exchange:
        """
        Send JSON in the session, for a `_raw_chat_stream` of your own; the open response, to be used in `async with`.

        Its `events` come as lists, one for each read; an event is its name and its data. Its `headers` have lower-case
        names. Deadlines, size bounds and closing are seen to.

        Args:
            url: the whole of it.
            body: the JSON.
            headers: the key is among them.
            accept: the media type of the answer: "text/event-stream", or "application/x-ndjson", of which each line
                is an event.

        Raises:
            ProviderError: the server refused, as the class that its status means, or could not be reached.
        """
        try:
            return await self._current_session().open("POST", url, headers=headers, body=body, accept=accept)
        except Refusal as refused:
            status, answered = refused.status, refused.headers
            raise refusal(
                status_class(status),
                provider=self.name,
                words=error_text(refused.text),
                status=status,
                request_id=request_id(answered),
                retry_after=_units.parse_retry_after(answered, now=_clock.wall()),
                headers=answered,
            ) from None

    # ---------------------------------------------------------------- calls

    def chat_stream(self, messages: Sequence[AIMessage], config: GenerationConfig | None = None) -> ChatStream:
        """
        The answer to `messages`, as it comes. Nothing is sent before the first read; see `ChatStream`.

        Args:
            messages: the conversation so far.
            config: options of this call.

        Raises:
            TypeError: one of them is of another type.
        """
        check_call(messages, config)
        given = config or GenerationConfig()
        attempts = self.max_attempts if given.max_attempts is None else given.max_attempts
        return ChatStream(
            Plan(
                route=lambda _: repeated(self._candidate(messages, given), attempts),
                host=lambda: self._session,
                new_host=self._new_session,
                provider=self.name,
                model=given.model or self.model,
                marker=self.marker,
                response_format=given.response_format,
                observers=self._observers,
            )
        )

    def _candidate(self, messages: Sequence[AIMessage], config: GenerationConfig) -> Candidate:
        """This provider as one who can be asked for the answer."""
        model = config.model or self.model
        return Candidate(
            open=lambda: self._raw_chat_stream(messages, config),
            asked=lambda: self._asked("chat", model, config, messages),
            need=Need(
                cost=self._cost(messages, config),
                scope=model,
                priority=config.priority,
                max_wait=config.max_wait,
            ),
            deadlines=config.deadlines or self.deadlines,
            provider=self.name,
            model=model,
        )

    def _asked(
        self,
        operation: Operation,
        model: str,
        config: GenerationConfig | None = None,
        messages: Sequence[AIMessage] | None = None,
    ) -> Asked:
        """A request, for those who watch."""
        return Asked(operation, self.name, model, config, messages)

    def _cost(self, messages: Sequence[AIMessage], config: GenerationConfig) -> Cost:
        """What the call is thought to take of the limits."""
        policy = self.limits.policy if isinstance(self.limits, Pacer) else self.limits
        own = policy.estimate if isinstance(policy, RateLimitPolicy) else None
        return (own or estimate)(messages, config)

    async def chat(self, messages: Sequence[AIMessage], config: GenerationConfig | None = None) -> AIResponse:
        """
        The whole answer to `messages`, collected from a stream: one that is cut at 90 % is not lost.

        Raises:
            StreamInterruptedError: the stream was cut; `.partial_content` has what came.
            ProviderError: the vendor refused, or could not be reached; or (`RateLimitError` with `sent` False) the
                pacer foresees a longer wait than `max_wait`.
            CallerError: the call cannot be made as it stands.
        """
        async with self.chat_stream(messages, config) as stream:
            return await stream.collect()

    async def generate(self, prompt: str, config: GenerationConfig | None = None) -> AIResponse:
        """The whole answer to one user message; see `chat`."""
        return await self.chat([AIMessage("user", prompt)], config)

    # ---------------------------------------------------------------- beside chat, where the vendor has it

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        dimensions: int | None = None,
        task: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> EmbeddingResponse:
        """
        A vector for each text, in the order of the texts.

        Args:
            texts: one, or many.
            model: the vendor's embedding model; else its usual one.
            dimensions: the length of the vectors, where the model can choose.
            task: what they are for, in the vendor's word, such as "RETRIEVAL_QUERY".
            extra: fields put into each request body as they are.

        Raises:
            UnsupportedOptionError: the vendor has no embeddings, or no such option.
            ProviderError: the vendor refused, or could not be reached; vectors of earlier batches are lost.
        """
        del texts, model, dimensions, task, extra
        raise _not_here(self.name, "embed", "has no embeddings here")

    def _embedding_model(self) -> str:
        """The usual model of `embed`; "" if none is known."""
        return ""

    async def count_tokens(self, messages: Sequence[AIMessage], config: GenerationConfig | None = None) -> int:
        """
        How many tokens of input `messages` and the tools of `config` are, as the vendor counts them. Costs a request.

        Raises:
            UnsupportedOptionError: the vendor counts nothing before it is sent.
            ProviderError: the vendor refused, or could not be reached.
        """
        del messages, config
        raise _not_here(self.name, "count_tokens", "counts no tokens before they are sent")

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """
        The models that the vendor lists for this key.

        Raises:
            UnsupportedOptionError: the vendor has no list.
            ProviderError: the vendor refused, or could not be reached.
        """
        raise _not_here(self.name, "list_models", "has no list of models here")

    def rate_limits(self) -> Mapping[str, RateLimitInfo]:
        """The limits of each model that was asked in the open session, as they stand by what has been learned."""
        session = self._session
        return {} if session is None else session.pacer.rate_limits()

    def rate_limit(self, model: str | None = None) -> RateLimitInfo | None:
        """The same for one model, by default the provider's own; None if nothing is known."""
        return self.rate_limits().get(model or self.model)

    async def get_models(self) -> tuple[str, ...]:
        """The ids of `list_models()`, as `GenerationConfig.model` takes them."""
        return tuple([model.id for model in await self.list_models()])

    async def get_default_model(self) -> str:
        """The model that is asked where a call names none; "" if there is none."""
        return self.model

    # ---------------------------------------------------------------- recovery and limits, in their literal form

    def _stream_with_recovery(
        self, stream: AsyncIterable[AIStreamChunk], interrupt_marker: str | None = None
    ) -> Recovery:
        """
        Any async iterator of chunks, guarded: whatever it raises gives one marker chunk, then `StreamInterruptedError`.

        Works on a provider that was never entered.
        """
        return Recovery(stream, self.marker if interrupt_marker is None else interrupt_marker)

    def _parse_rate_limit_headers(self, headers: Mapping[str, str]) -> RateLimitInfo:
        """The limits that an answer's headers tell; what is missing or broken keeps its default."""
        return limit_headers.parse(headers, self.dialect, now=_clock.wall()).info

    def _parse_reset_time(self, value: object) -> float | None:
        """
        Unix seconds, or None: a bare number is relative below 1e9, epoch seconds above, epoch milliseconds above 1e12;
        Go durations, RFC 3339 and HTTP-dates, too.
        """
        return _units.parse_reset_time(value, now=_clock.wall())


def _not_here(provider: str, what: str, why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(f"{provider or 'this provider'} {why}", option=what)
