"""
VendorProvider: one HTTP exchange from a codec, a URL and a key.

A vendor's own file says which; the path is the same for all. Knows the codec's protocol, not its format.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from inspect import isawaitable
from typing import Final, Literal, NamedTuple, TypeAlias, Unpack
from urllib.parse import urlsplit

from .. import _clock, models
from .._checks import check_type
from .._http import BODY_BYTES, LIST_BYTES, Exchange, Refusal, Session, request_id
from .._recorder import Tape
from .._types import (
    AIMessage,
    AIStreamChunk,
    ChunkMeta,
    Deadlines,
    EmbeddingResponse,
    GenerationConfig,
    ModelInfo,
    RateLimitInfo,
    Secret,
    Usage,
    check_call,
)
from .._units import lowered
from ..errors import (
    CallerError,
    HeadraceError,
    MissingKeyError,
    ProviderError,
    RateLimitError,
    TruncatedStreamError,
    UndecodableEventError,
)
from ..limits.cost import CHARACTERS, Cost
from ..limits.pacing import AnyPacing
from ..limits.policy import RateLimitPolicy
from ..streaming.attempts import Need, Place
from ..streaming.host import FLIGHT, Call
from ..telemetry import Asked, Operation
from ..wire._codec import Catalog, Codec, Counter, Embedded, Embedder, Encoded, SaidThenFailed
from . import _files as files
from ._mask import Mask, credentials
from ._prepare import prepared
from ._watched import Watched
from .base import BaseProvider, ProviderOptions

__all__ = ("ApiKey", "Plain", "Vendor", "VendorOptions", "VendorProvider", "environment")

ApiKey: TypeAlias = str | Secret | Callable[[], str | Secret | Awaitable[str | Secret]]

JSON: Final = "application/json"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")  # a key may go there without TLS
MOST_PAGES: Final = 100  # of a list of models; the longest has three
MOST_MODELS: Final = 10_000  # after which no further page is asked for; the longest list has some hundreds
# Of a token, where it must not be more: prose has 4, dense code and scripts other than Latin down to 2.
BYTES: Final = 2
UNFIT: Final = (
    "the API key is empty, or has a line break or a character that no key has. "
    "Check how it was read (a trailing newline?)."
)
logger: Final = logging.getLogger("headrace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """
    Where a vendor is and how it wants its key.

    Attributes:
        base_url: as the vendor's own SDK means it.
        url_env: environment variables that may replace it, first one set wins.
        key_env: environment variables of the key. They are sent to `hosts` (and hosts below them) only.
        key_header, key_prefix: how the key travels.
        needs_key: whether a call without a key is refused here, before it is sent.
        headers: sent with every request.
    """

    base_url: str
    url_env: tuple[str, ...]
    key_env: tuple[str, ...]
    hosts: tuple[str, ...]
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    needs_key: bool = True
    headers: Mapping[str, str]


class Plain(NamedTuple):
    """An answer that is no chat: the bytes of its JSON, and what its head tells."""

    body: bytes
    request_id: str | None
    rate_limit: RateLimitInfo


class VendorOptions(ProviderOptions, total=False):
    """What every vendor's provider takes; see `VendorProvider`."""

    base_url: str | None
    headers: Mapping[str, str] | None
    key_hosts: Sequence[str]


class VendorProvider(BaseProvider):
    """
    A provider that speaks to one vendor over HTTP.

    Args:
        api_key: the key, or a callable (plain or async) that gives it for each request; else the vendor's usual
            environment variable, which is sent to the vendor's own hosts only.
        base_url: as the vendor's own SDK means it; else the vendor's usual environment variable.
        headers: sent with every request, over the provider's own.
        key_hosts: further hosts that the environment's key may be sent to.
        options: what every provider takes; see `BaseProvider`.

    Raises:
        ValueError: a base URL without http:// or https://, or with credentials, a query or a fragment.
        TypeError: a key or a header that is no text.
    """

    vendor: Vendor
    codec: Codec
    limits: RateLimitPolicy | AnyPacing = RateLimitPolicy()
    embedder: Embedder | None = None
    counter: Counter | None = None
    catalog: Catalog | None = None

    def __init__(
        self,
        api_key: ApiKey | None = None,
        *,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        key_hosts: Sequence[str] = (),
        **options: Unpack[ProviderOptions],
    ) -> None:
        super().__init__(**options)
        told = None if base_url else next((name for name in self.vendor.url_env if environment((name,))), None)
        self.base_url: str = _checked(
            base_url or environment(self.vendor.url_env) or self.vendor.base_url,
            f"{self.name}: the base_url" + (f" that {told} gives" if told else ""),
        )
        if not (api_key is None or isinstance(api_key, str | Secret) or callable(api_key)):
            raise TypeError(f"{self.name}: api_key is of type {type(api_key).__name__}: pass a text, or what gives one")
        self._key = Secret(api_key) if isinstance(api_key, str) else api_key
        self._headers, self._key_hosts = _hidden(headers or {}, self.name), tuple(key_hosts)
        if self._key is not None and _is_open(self.base_url):
            logger.warning(
                "%s: the key and all conversations go to %s unencrypted: use https:// unless that network is yours",
                self.name,
                self.base_url,
            )

    # ---------------------------------------------------------------- the key

    def is_available(self) -> bool:
        """Whether there is a key for the host of `base_url`, or none is needed. Sends nothing."""
        return not self.vendor.needs_key or self._key is not None or self._environment_key() is not None

    def _environment_key(self) -> Secret | None:
        """The environment's key, if `base_url` is a host that it may go to."""
        if not self._goes_to_vendor():
            return None
        value = environment(self.vendor.key_env)
        return None if value is None else Secret(value)

    def _asked(
        self,
        operation: Operation,
        model: str,
        config: GenerationConfig | None = None,
        messages: Sequence[AIMessage] | None = None,
    ) -> Asked:
        return Asked(operation, self.name, model, config, messages, self.base_url)

    def _account(self) -> str:
        """
        The vendor, its address, and a fingerprint of the key: 16 hexadecimal digits of a hash, from which no key can be
        found. Keys that a callable gives count as one account.
        """
        key = self._key if self._key is not None else self._environment_key()
        text = key.reveal() if isinstance(key, Secret) else ""
        mark = blake2b(text.encode(), digest_size=8, person=b"headrace").hexdigest() if text else "-"
        return f"{self.base_url.partition('://')[2]}:{mark}"

    def _goes_to_vendor(self) -> bool:
        """Whether `base_url` is by https one of the vendor's own hosts, or of those that code has named."""
        url = urlsplit(self.base_url)
        host = url.hostname if url.scheme == "https" and url.hostname is not None else ""
        allowed = (*self.vendor.hosts, *self._key_hosts)
        return any(host == name or host.endswith(f".{name}") for name in allowed)

    async def _current_key(self) -> Secret | None:
        """The key for the next request; None where there is none and none is needed."""
        key = self._key if self._key is not None else self._environment_key()
        if key is None and not self.vendor.needs_key:
            return None
        if key is None:
            name = next(iter(self.vendor.key_env), "a variable of the environment")
            why = (
                f"{name} is set, but goes to the vendor's own hosts by https only, and base_url is {self.base_url!r}"
                if environment(self.vendor.key_env) is not None
                else f"neither api_key= nor {name} is set"
            )
            raise MissingKeyError(f"{self.name}: there is no API key: {why}. Pass {type(self).__name__}(api_key=...).")
        if not isinstance(key, Secret):
            key = await _asked_for(key, self.name)
        if _is_unfit(key):
            raise MissingKeyError(f"{self.name}: {UNFIT}")
        return key

    def _is_unfit(self) -> bool:
        """Whether there is a key that no header can carry, as far as that is known before one is asked for."""
        key = self._key if self._key is not None else self._environment_key()
        return isinstance(key, Secret) and _is_unfit(key)

    # ---------------------------------------------------------------- one exchange

    def _url(self, path: str) -> str:
        return self.base_url + path

    def _request_headers(self, key: Secret | None, more: Mapping[str, str]) -> dict[str, str]:
        vendor = self.vendor
        credential = {vendor.key_header: vendor.key_prefix + key.reveal()} if key is not None else {}
        own = {name: value.reveal() for name, value in self._headers.items()}
        return {**lowered(vendor.headers), **lowered(credential), **lowered(more), **lowered(own)}

    async def _model_for(self, config: GenerationConfig) -> str:
        """The model that a call asks: its own, else the provider's. For subclasses that find one."""
        return config.model or self.model

    def _codec_for(self, model: str) -> Codec:  # noqa: ARG002  # for subclasses with two formats
        """The format that this model is asked in."""
        return self.codec

    def _api_for(self, model: str) -> str | None:  # noqa: ARG002  # the same
        """The name of that format, "chat" or "responses", where the vendor has both."""
        return None

    @property
    def _rules(self) -> str:
        """The vendor's name, whatever this one is called: it has the rules of the models."""
        return type(self).name

    def _prepared(
        self,
        encode: Callable[[GenerationConfig], Encoded],
        messages: Sequence[AIMessage],
        config: GenerationConfig,
        model: str,
    ) -> Encoded:
        return prepared(
            encode,
            messages,
            config,
            provider=self.name,
            rules=self._rules,
            model=model,
            api=self._api_for(model),
            strict=self.strict_options,
        )

    async def _open(
        self, session: Session, encoded: Encoded, *, accept: str, model: str | None = None
    ) -> tuple[Exchange, Mask]:
        """
        Send a request, in a task of `session`; the open response, or the vendor's refusal as a typed error. `model` is
        named by a conversation. The mask is for the errors of that response.
        """
        _clocks_off()  # asking for a key is not the vendor's doing
        key = await self._current_key()
        secrets = [*credentials(self._headers), *([] if key is None else [key])]
        tape, mask = self._tape(encoded, secrets, accept, model), Mask(secrets)
        try:
            exchange = await session.open(
                encoded.method,
                self._url(encoded.path),
                headers=self._request_headers(key, encoded.headers),
                body=encoded.body,
                accept=accept,
                tape=tape,
            )
        except Refusal as refusal:
            error = self._refused(refusal, mask)
        except HeadraceError as exc:
            mask.error(exc)
            raise
        else:
            return exchange, mask
        raise error  # out here, where no context leads to the frames that sent the key

    def _tape(self, encoded: Encoded, secrets: Sequence[Secret], accept: str, model: str | None) -> Tape | None:
        """For the exchange that is about to be sent; its task finishes it."""
        flight = FLIGHT.get()
        if self.recorder is None or flight is None:
            return None
        flight.tape = self.recorder.tape(
            provider=self.name,
            vendor=self._rules,
            model=model or "",
            api=None if model is None else self._api_for(model),
            kind="call" if model is None else "answer" if accept == JSON else "stream",
            request=f"{encoded.method} {encoded.path}",
            secrets=[one.reveal() for one in secrets],
        )
        return flight.tape

    async def _json(
        self,
        encoded: Encoded,
        *,
        need: Need | None = None,
        deadlines: Deadlines | None = None,
        watched: Watched | None = None,
    ) -> Plain:
        """
        One JSON exchange that is no chat: vectors, lists, counts.

        Runs in a task of the provider's session; of a private one where the provider was not entered. In a task that
        drives a stream of this provider it runs as a part of that, in its slot and under its clocks.

        Args:
            encoded: the request.
            need: what it takes of the limits; else one request, in a scope of its own.
            deadlines: `first_chunk` bounds the whole answer; else the provider's own.
            watched: who is told that it was sent.

        Raises:
            ProviderError: the vendor refused, by the codec's own reading, could not be reached, or the answer broke.
            MissingKeyError: there is no key.
            RateLimitError, ConcurrencyLimitError: it would have to wait for longer than `max_wait`; nothing was sent.
        """
        flight = FLIGHT.get()
        if flight is not None and isinstance(flight.host, Session) and flight.host.owner is self:
            return await self._read_json(flight.host, encoded)
        need = need or Need(cost=Cost(0.0), scope=encoded.path.partition("?")[0])
        if self._session is not None and self._session.is_open:
            return await self._hosted_json(self._session, encoded, need, deadlines, watched)
        async with self._new_session() as private:
            return await self._hosted_json(private, encoded, need, deadlines, watched)

    async def _hosted_json(
        self, session: Session, encoded: Encoded, need: Need, deadlines: Deadlines | None, watched: Watched | None
    ) -> Plain:
        async def work(place: Place) -> Plain:
            plain = await self._read_json(session, encoded)
            place.head(plain.rate_limit)
            return plain

        call = Call(
            work,
            f"{encoded.method} {self.name}{encoded.path}",
            host=session,
            need=need,
            deadlines=deadlines or self.deadlines,
            attempts=self.max_attempts,
            on_sent=None if watched is None else watched.sent,
            on_failed=None if watched is None else watched.failed,
        )
        return await session.call(call)

    async def _read_json(self, session: Session, encoded: Encoded) -> Plain:
        exchange, mask = await self._open(session, encoded, accept=JSON)
        async with exchange:
            answered = mask.headers(exchange.headers)
            limits, ident = self._parse_rate_limit_headers(answered), request_id(answered)
            try:
                most = LIST_BYTES if encoded.method == "GET" else BODY_BYTES
                return Plain(mask.data(await exchange.body(most)), ident, limits)
            except HeadraceError as exc:  # of a body that breaks: it quotes what came
                mask.error(exc)
                raise

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        """The vendor's plain stream: without recovery, and with nothing open across a yield but the response."""
        given = config or GenerationConfig()
        model = await self._model_for(given)
        _clocks_off()  # reading files is not the vendor's doing
        stream, codec = given.stream is not False, self._codec_for(model)
        loaded = await files.loaded(messages)
        encoded = self._prepared(
            lambda config: codec.encode(loaded, config, model=model, stream=stream), loaded, given, model
        )
        session = self._current_session()
        exchange, mask = await self._open(session, encoded, accept=codec.stream_type if stream else JSON, model=model)
        async with exchange:
            answered = mask.headers(exchange.headers)
            ident = request_id(answered)
            yield AIStreamChunk(  # noqa: ASYNC119  # the pump closes this generator in the task that ran it
                "", rate_limit=self._parse_rate_limit_headers(answered), meta=ChunkMeta(request_id=ident)
            )
            try:
                if not stream:
                    for whole in codec.decode_body(await exchange.body(), request_id=ident):
                        yield whole  # noqa: ASYNC119  # as above
                    return
                guard, feed = exchange.guard, codec.decoder(request_id=ident).feed
                async for events in exchange.events:
                    for event, data in events:
                        if not data:
                            continue  # a keep-alive of some servers
                        try:
                            chunk = feed(event, data)
                        except UndecodableEventError as exc:
                            if guard.at_eof:
                                raise self._cut_inside_event(exc) from exc
                            raise
                        if chunk is not None:
                            yield chunk  # noqa: ASYNC119  # as above
                return
            except SaidThenFailed as both:
                said, error = both.chunk, both.error
            except ProviderError as exc:
                mask.error(exc)
                raise
            mask.error(error)
            yield said  # noqa: ASYNC119  # as above
            raise error

    # ---------------------------------------------------------------- beside chat

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        dimensions: int | None = None,
        task: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> EmbeddingResponse:
        """See `BaseProvider.embed`. One request for each so many texts, and tokens, as the vendor takes at once."""
        if self.embedder is None:
            return await super().embed(texts, model=model, dimensions=dimensions, task=task, extra=extra)
        asked = model or self._embedding_model()
        if not asked:
            raise CallerError(f"{self.name}: no embedding model is known here: name one with embed(model=...)")
        given = [texts] if isinstance(texts, str) else list(texts)
        for index, text in enumerate(given):
            check_type(f"texts[{index}]", text, str, "a text")
        found: list[tuple[Embedded, Plain]] = []
        batches = _batches(given, self.embedder.batch, self.embedder.batch_tokens)
        with Watched(self._asked("embeddings", asked), self._observers) as watched:
            try:
                for batch in batches:
                    encoded = self.embedder.encode(batch, model=asked, dimensions=dimensions, task=task, extra=extra)
                    need = Need(cost=Cost(sum(map(len, batch)) / CHARACTERS), scope=asked)
                    plain = await self._json(encoded, need=need, watched=watched)
                    one = self.embedder.decode(plain.body, count=len(batch), request_id=plain.request_id)
                    found.append((one, plain))
            finally:
                answer = EmbeddingResponse(
                    tuple(vector for one, _ in found for vector in one.vectors),
                    self.name,
                    next((one.model for one, _ in found if one.model), asked),
                    _summed([one.usage for one, _ in found]),
                    found[-1][1].rate_limit if found else None,
                    tuple(plain.request_id for _, plain in found if plain.request_id),
                )
                if found:  # also of an exchange that failed later: these batches were billed
                    watched.answer = answer
        return answer

    def _embedding_model(self) -> str:
        return models.default_model(self._rules, embeddings=True) or ""

    async def count_tokens(self, messages: Sequence[AIMessage], config: GenerationConfig | None = None) -> int:
        """See `BaseProvider.count_tokens`."""
        if (counter := self.counter) is None:
            return await super().count_tokens(messages, config)
        check_call(messages, config)
        given = config or GenerationConfig()
        model, loaded = await self._model_for(given), await files.loaded(messages)
        encoded = self._prepared(lambda config: counter.encode(loaded, config, model=model), loaded, given, model)
        with Watched(self._asked("count_tokens", model), self._observers) as watched:
            plain = await self._json(encoded, deadlines=given.deadlines, watched=watched)
            return counter.decode(plain.body, request_id=plain.request_id)

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """See `BaseProvider.list_models`. All pages, a request for each."""
        if self.catalog is None:
            return await super().list_models()
        found: list[ModelInfo] = []
        cursor: str | None = None
        with Watched(self._asked("list_models", ""), self._observers) as watched:
            for _ in range(MOST_PAGES):
                plain = await self._json(self.catalog.encode(cursor), watched=watched)
                page, following = self.catalog.decode(plain.body, request_id=plain.request_id)
                found += page
                if following is None or following == cursor or len(found) >= MOST_MODELS:
                    break
                cursor = following
        return tuple(found)

    def _cut_inside_event(self, exc: ProviderError) -> TruncatedStreamError:
        return TruncatedStreamError(
            f"{self.name}: the stream ended inside an event. The request may be sent again.",
            provider=self.name,
            request_id=exc.request_id,
        )

    def _refused(self, refusal: Refusal, mask: Mask) -> HeadraceError:
        """The typed error, with the limits that the refusal's own headers tell. Some proxies quote the key they got."""
        now, answered = _clock.wall(), mask.headers(refusal.headers)
        error = self.codec.decode_error(refusal.status, answered, mask.text(refusal.text), now=now)
        if isinstance(error, RateLimitError):
            error.rate_limit = self._parse_rate_limit_headers(answered)
            if error.retry_at is None and error.retry_after is not None:
                error.retry_at = now + error.retry_after
        return error


def _clocks_off() -> None:
    """The clocks of the task's exchange stand still until its next request is sent."""
    if (flight := FLIGHT.get()) is not None:
        flight.watch.off()


async def _asked_for(give: Callable[[], object], name: str) -> Secret:
    """The key that a callable gives. In a frame of its own, which is gone when something is found wrong with it."""
    given = give()
    value = await given if isawaitable(given) else given
    kind = type(value).__name__
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    given = value = None  # a traceback's view of the locals would show it
    raise MissingKeyError(f"{name}: the callable that was given as api_key gave {kind!r}: it must give a text")


def _hidden(headers: Mapping[str, object], name: str) -> dict[str, Secret]:
    """Headers of the caller's, which may hold credentials."""
    found: dict[str, Secret] = {}
    for key, value in headers.items():
        if not isinstance(value, str):
            raise TypeError(f"{name}: in headers=, {key!r} is of type {type(value).__name__}: it must be a text")
        found[key] = Secret(value)
    return found


def _batches(texts: Sequence[str], most: int, tokens: int | None) -> Iterator[Sequence[str]]:
    """The texts in runs of at most `most`, and of fewer than `tokens`; a text that is longer than that goes alone."""
    start, room = 0, tokens
    for end, text in enumerate(texts):
        size = len(text.encode("utf-8", "surrogatepass")) // BYTES + 1
        if end - start == most or (room is not None and size > room and end > start):
            yield texts[start:end]
            start, room = end, tokens
        if room is not None:
            room -= size
    if start < len(texts):
        yield texts[start:]


def _summed(usages: Sequence[Usage | None]) -> Usage | None:
    """The tokens of several requests together; a count that one of them did not tell is unknown."""
    told = [usage for usage in usages if usage is not None]
    if not told or len(told) < len(usages):
        return None
    if len(told) == 1:
        return told[0]

    def total(name: Literal["prompt_tokens", "total_tokens"]) -> int | None:
        counts = [usage[name] for usage in told]
        return None if None in counts else sum(count for count in counts if count is not None)

    whole = told[-1].copy()
    whole["prompt_tokens"], whole["total_tokens"], whole["raw"] = total("prompt_tokens"), total("total_tokens"), None
    return whole


def _checked(base_url: str, what: str) -> str:
    """The base URL without a last slash. What is wrong with it is said without showing it: it may hold a password."""
    try:
        url = urlsplit(base_url.strip())
        valid = url.scheme in {"http", "https"} and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{what} must begin with http:// or https:// and a host")
    if url.username is not None or url.password is not None:
        raise ValueError(f"{what} has credentials before the host: pass api_key= or headers= in their place")
    if url.query or url.fragment:
        raise ValueError(f"{what} ends in a query or fragment, but paths are put behind it: use headers=")
    return url.geturl().rstrip("/")


def _is_unfit(key: Secret) -> bool:
    text = key.reveal()
    return not (text.isascii() and text.isprintable() and text.strip())


def _is_open(base_url: str) -> bool:
    """Whether what is sent there can be read on the way."""
    url = urlsplit(base_url)
    return url.scheme == "http" and url.hostname not in LOOPBACK


def environment(names: tuple[str, ...]) -> str | None:
    """The first of these variables that is set; an empty one is not."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
