"""
VendorProvider: one HTTP exchange from a codec, a URL and a key.

A vendor's own file says which; the path is the same for all. Knows the codec's protocol, not its format.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Final, TypeAlias, Unpack
from urllib.parse import urlsplit

from anyio import Path

from .. import _clock
from .._http import Refusal, request_id
from .._types import (
    AIMessage,
    AIStreamChunk,
    AudioPart,
    ChunkMeta,
    DocumentPart,
    GenerationConfig,
    ImagePart,
    Part,
    Secret,
)
from .._units import lowered
from ..errors import (
    HeadraceError,
    MissingKeyError,
    ProviderError,
    RateLimitError,
    TruncatedStreamError,
    UndecodableEventError,
)
from ..streaming.host import FLIGHT
from ..wire._codec import Codec, SaidThenFailed
from .base import BaseProvider, ProviderOptions

__all__ = ("ApiKey", "Vendor", "VendorOptions", "VendorProvider")

ApiKey: TypeAlias = str | Secret | Callable[[], str | Awaitable[str]]

SSE: Final = "text/event-stream"
JSON: Final = "application/json"
MASKED_FROM: Final = (
    8  # characters: what is shorter, such as "EMPTY" for a local server, is no secret but may be a word
)


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
    """

    vendor: Vendor
    codec: Codec

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
        self.base_url = _checked(base_url or _environment(self.vendor.url_env) or self.vendor.base_url, self.name)
        self._key = Secret(api_key) if isinstance(api_key, str) else api_key
        self._headers, self._key_hosts = dict(headers or {}), tuple(key_hosts)

    # ---------------------------------------------------------------- the key

    def is_available(self) -> bool:
        """Whether there is a key for the host of `base_url`, or none is needed. Sends nothing."""
        return not self.vendor.needs_key or self._key is not None or self._environment_key() is not None

    def _environment_key(self) -> Secret | None:
        """The environment's key, if `base_url` is a host that it may go to."""
        url = urlsplit(self.base_url)
        host = url.hostname if url.scheme == "https" and url.hostname is not None else ""
        allowed = (*self.vendor.hosts, *self._key_hosts)
        if not any(host == name or host.endswith(f".{name}") for name in allowed):
            return None
        value = _environment(self.vendor.key_env)
        return None if value is None else Secret(value)

    async def _current_key(self) -> Secret | None:
        """The key for the next request; None where there is none and none is needed."""
        key = self._key if self._key is not None else self._environment_key()
        if key is None and not self.vendor.needs_key:
            return None
        if key is None:
            name = next(iter(self.vendor.key_env), "a variable of the environment")
            why = (
                f"{name} is set, but goes to the vendor's own hosts by https only, and base_url is {self.base_url!r}"
                if _environment(self.vendor.key_env) is not None
                else f"neither api_key= nor {name} is set"
            )
            raise MissingKeyError(f"{self.name}: there is no API key: {why}. Pass {type(self).__name__}(api_key=...).")
        if not isinstance(key, Secret):
            value = key()
            key = Secret(await value if isawaitable(value) else value)
        if not key.reveal().isascii() or not key.reveal().isprintable() or not key.reveal().strip():
            raise MissingKeyError(
                f"{self.name}: the API key is empty, or has a line break or a character that no key has. "
                "Check how it was read (a trailing newline?)."
            )
        return key

    # ---------------------------------------------------------------- one exchange

    def _url(self, path: str) -> str:
        return self.base_url + path

    def _request_headers(self, key: Secret | None, more: Mapping[str, str]) -> dict[str, str]:
        vendor = self.vendor
        credential = {vendor.key_header: vendor.key_prefix + key.reveal()} if key is not None else {}
        return {**lowered(vendor.headers), **lowered(credential), **lowered(more), **lowered(self._headers)}

    async def _raw_chat_stream(
        self, messages: Sequence[AIMessage], config: GenerationConfig | None = None
    ) -> AsyncIterator[AIStreamChunk]:
        """The vendor's plain stream: without recovery, and with nothing open across a yield but the response."""
        if (flight := FLIGHT.get()) is not None:
            flight.watch.off()  # reading files and asking for a key is not the vendor's doing
        given = config or GenerationConfig()
        stream = given.stream is not False
        encoded = self.codec.encode(await _loaded(messages), given, model=given.model or self.model, stream=stream)
        session, key = self._current_session(), await self._current_key()
        try:
            exchange = await session.open(
                "POST",
                self._url(encoded.path),
                headers=self._request_headers(key, encoded.headers),
                body=encoded.body,
                accept=SSE if stream else JSON,
            )
        except Refusal as refusal:
            raise self._refused(refusal, key) from None
        async with exchange:
            ident = request_id(exchange.headers)
            yield AIStreamChunk(  # noqa: ASYNC119  # the pump closes this generator in the task that ran it
                "", rate_limit=self._parse_rate_limit_headers(exchange.headers), meta=ChunkMeta(request_id=ident)
            )
            if not stream:
                try:
                    yield self.codec.decode_body(await exchange.body(), request_id=ident)  # noqa: ASYNC119  # as above
                except SaidThenFailed as both:
                    yield both.chunk  # noqa: ASYNC119  # as above
                    raise both.error from None
                return
            guard, feed = exchange.guard, self.codec.decoder(request_id=ident).feed
            async for event in exchange.events:
                guard.taken()
                if not event.data:
                    continue  # httpx-sse: every blank line after an `id:` is an event
                try:
                    chunk = feed(event.event, event.data)
                except UndecodableEventError as exc:
                    if guard.at_eof:
                        raise self._cut_inside_event(exc) from exc
                    raise
                except SaidThenFailed as both:
                    yield both.chunk  # noqa: ASYNC119  # as above
                    raise both.error from None
                if chunk is not None:
                    yield chunk  # noqa: ASYNC119  # as above

    def _cut_inside_event(self, exc: ProviderError) -> TruncatedStreamError:
        return TruncatedStreamError(
            f"{self.name}: the stream ended inside an event. The text so far is in .partial_content; "
            "the request may be sent again.",
            provider=self.name,
            status=200,
            request_id=exc.request_id,
        )

    def _refused(self, refusal: Refusal, key: Secret | None) -> HeadraceError:
        """The typed error, with the limits that the refusal's own headers tell. Some proxies quote the key they got."""
        now = _clock.wall()
        text, secret = refusal.text, "" if key is None else key.reveal()
        if len(secret) >= MASKED_FROM:
            text = text.replace(secret, "***")
        error = self.codec.decode_error(refusal.status, refusal.headers, text, now=now)
        if isinstance(error, RateLimitError):
            error.rate_limit = self._parse_rate_limit_headers(refusal.headers)
            if error.retry_at is None and error.retry_after is not None:
                error.retry_at = now + error.retry_after
        return error


async def _loaded(messages: Sequence[AIMessage]) -> Sequence[AIMessage]:
    """The messages with every `Path` read. Only Path objects are read from disk, never strings."""
    if not any(
        _is_file(part) for message in messages if not isinstance(message.content, str) for part in message.content
    ):
        return messages
    return [
        replace(message, content=[await _read(part) for part in message.content])
        if not isinstance(message.content, str)
        else message
        for message in messages
    ]


def _is_file(part: Part) -> bool:
    return isinstance(part, ImagePart | DocumentPart | AudioPart) and not isinstance(part.source, bytes | str)


async def _read(part: Part) -> Part:
    if not isinstance(part, ImagePart | DocumentPart | AudioPart) or isinstance(part.source, bytes | str):
        return part
    media_type = part.media_type or _guessed(part.source.suffix)
    if media_type is None:
        raise ValueError(f"{part.source.name!r} has no known media type: give media_type='image/png' or the like")
    data = await Path(part.source).read_bytes()
    if isinstance(part, DocumentPart):
        return replace(part, source=data, media_type=media_type, name=part.name or part.source.name)
    return replace(part, source=data, media_type=media_type)


def _guessed(suffix: str) -> str | None:
    return _MEDIA_TYPES.get(suffix.lower())


_MEDIA_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
}


def _checked(base_url: str, name: str) -> str:
    """The base URL without a last slash. What is wrong with it is said without showing it: it may hold a password."""
    try:
        url = urlsplit(base_url.strip())
        valid = url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{name}: the base_url must begin with http:// or https:// and a host")
    if url.username is not None or url.password is not None:
        raise ValueError(
            f"{name}: the base_url has credentials before the host: pass api_key= or headers= in their place"
        )
    if url.query or url.fragment:
        raise ValueError(f"{name}: the base_url ends in a query or fragment, but paths are put behind it: use headers=")
    return url.geturl().rstrip("/")


def _environment(names: tuple[str, ...]) -> str | None:
    """The first of these variables that is set; an empty one is not."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
