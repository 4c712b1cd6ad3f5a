"""
Every error headrace raises. The branch says who is at fault, the message what happened, why, and what next.

HeadraceError
├── OutputValidationError             the model's words are not as asked for (a ValueError); they are in `.content`
├── CallerError                       the caller: nothing was sent
│   ├── UnsupportedOptionError        an option that the provider or the model cannot honour (a ValueError)
│   ├── ConfigError                   a configuration file that cannot be used (a ValueError)
│   ├── ModelRulesError               a table of model rules that cannot be read (a ValueError)
│   ├── MissingKeyError               no API key
│   ├── BudgetExceededError           a `Budget` of the caller's own is spent
│   └── ConcurrencyLimitError         no free slot within max_wait (a TimeoutError)
├── ProviderError                     everything that concerns one exchange with a vendor
│   ├── RefusedError                  the vendor's refusal: it answered, and the answer is no
│   │   ├── AuthenticationError           the key is not accepted
│   │   ├── PermissionDeniedError         the key may not do this
│   │   ├── NotFoundError                 no such model or address
│   │   ├── InvalidRequestError           the vendor does not take the request
│   │   │   ├── ContextLengthError            more input than the model can hold
│   │   │   ├── RequestTooLargeError          more bytes, or more tokens, than are ever taken at once
│   │   │   └── ContentRefusedError           moderation
│   │   ├── QuotaExceededError            daily, spend or credit limit: waiting a little does not help
│   │   ├── RateLimitError                too many requests or tokens for now
│   │   │   └── OverloadedError               the vendor has no capacity (503, 529)
│   │   ├── ServerError                   the vendor failed (5xx)
│   │   └── RedirectError                 a 3xx; never followed, since the key and the prompt would go with it
│   ├── NetworkError                  the bytes stopped
│   │   ├── ConnectionFailedError         no response head came
│   │   ├── TruncatedStreamError          the body ended before its proof of an end
│   │   ├── StreamTimeoutError            a deadline passed (a TimeoutError)
│   │   └── SessionClosedError            the session was left while the exchange was open
│   └── BrokenResponseError           the bytes came and are not what the vendor's format allows
│       ├── UndecodableEventError         an event that cannot be decoded
│       └── UnexpectedResponseError       an answer of another kind, such as HTML in place of events
├── AllProvidersFailedError           a gateway asked several, and none gave an answer; `.cause` is the last one's error
└── StreamInterruptedError            a stream failed after content had come; `.cause` is one of the above

All of them pickle and copy, hold no client and no key.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import ClassVar, Final, Literal, TypeAlias

from ._base_errors import HeadraceError, OutputValidationError
from ._types import AIResponse, Attempt, ErrorInfo, RateLimitInfo, Recording

__all__ = (
    "AllProvidersFailedError",
    "AuthenticationError",
    "BrokenResponseError",
    "BudgetExceededError",
    "CallerError",
    "ConcurrencyLimitError",
    "ConfigError",
    "ConnectionFailedError",
    "ContentRefusedError",
    "ContextLengthError",
    "HeadraceError",
    "InvalidRequestError",
    "MissingKeyError",
    "ModelRulesError",
    "NetworkError",
    "NotFoundError",
    "OutputValidationError",
    "OverloadedError",
    "PermissionDeniedError",
    "ProviderError",
    "QuotaExceededError",
    "RateLimitError",
    "RedirectError",
    "RefusedError",
    "RequestTooLargeError",
    "ServerError",
    "SessionClosedError",
    "StreamInterruptedError",
    "StreamTimeoutError",
    "TruncatedStreamError",
    "UndecodableEventError",
    "UnexpectedResponseError",
    "UnsupportedOptionError",
    "error_info",
    "is_busy",
)

UNAVAILABLE: Final = 503  # "temporary overload or scheduled maintenance", RFC 9110, 15.6.4

DeadlineKind: TypeAlias = Literal["first_chunk", "next_chunk", "idle", "total", "tail"]


# ---------------------------------------------------------------- the caller


class CallerError(HeadraceError):
    """The call cannot be made as it stands. Nothing was sent."""


class UnsupportedOptionError(CallerError, ValueError):
    """
    The provider, or this model, has no such option. `option` is its name in `GenerationConfig`.

    Raised before any request: an option never vanishes silently.
    """

    def __init__(self, message: str, *, option: str = "") -> None:
        super().__init__(message)
        self.option = option


class ConfigError(CallerError, ValueError):
    """A configuration file cannot be used. The message has a line for each mistake, with its place."""


class ModelRulesError(CallerError, ValueError):
    """A table of model rules, the package's or the caller's, is not what it must be. The message says where."""


class MissingKeyError(CallerError):
    """There is no API key for this host. The message names the argument and the environment variable."""


class BudgetExceededError(CallerError):
    """
    A `Budget` is spent. The vendor would still answer: the limit is the caller's own.

    Attributes:
        unit: what is counted, "USD" or "tokens".
        limit, spent: in that unit; `spent` is what is known, within the window.
        per: seconds of the window, or None: the budget is for good.
        retry_at: Unix seconds at which there is room again, or None: never by itself.
        retry_after: the same in seconds from the refusal.
    """

    unit: Literal["USD", "tokens"]
    limit: float
    spent: float
    per: float | None
    retry_at: float | None
    retry_after: float | None

    def __init__(
        self,
        message: str,
        *,
        unit: Literal["USD", "tokens"] = "tokens",
        limit: float = 0,
        spent: float = 0,
        per: float | None = None,
        retry_at: float | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.unit, self.limit, self.spent, self.per = unit, limit, spent, per
        self.retry_at, self.retry_after = retry_at, retry_after


class ConcurrencyLimitError(CallerError, TimeoutError):
    """
    Every slot of the session stayed taken for `max_wait` seconds.

    Attributes:
        limit: how many exchanges the session runs at once.
        waited: seconds waited.
        holders: what holds the slots, one description each, longest first.
    """

    limit: int
    waited: float
    holders: tuple[str, ...]

    def __init__(self, message: str, *, limit: int = 0, waited: float = 0.0, holders: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.limit, self.waited, self.holders = limit, waited, holders


# ---------------------------------------------------------------- one exchange


class ProviderError(HeadraceError):
    """
    Something went wrong in an exchange with a vendor.

    Attributes:
        provider: the provider's name, such as "openai"; "" if unknown.
        status: the HTTP status, or None: no answer came, or what came broke off.
        code: the vendor's own code or type for the error, or None.
        request_id: the vendor's id of the request, or None.
        retry_after: seconds to wait before the same request may succeed, or None if unsaid.
        retryable: whether sending the same request again may succeed.
        recording: the raw frames of the response, where a `Recorder` was given and the response had begun.
    """

    RETRYABLE: ClassVar[bool] = False
    provider: str
    status: int | None
    code: str | None
    request_id: str | None
    retry_after: float | None
    retryable: bool
    recording: Recording | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider, self.status, self.code, self.request_id = provider, status, code, request_id
        self.retry_after = retry_after
        self.retryable = self.RETRYABLE if retryable is None else retryable


class RefusedError(ProviderError):
    """The vendor answered with a refusal."""


class AuthenticationError(RefusedError):
    """The vendor does not accept the API key."""


class PermissionDeniedError(RefusedError):
    """The key is good, but may not do this."""


class NotFoundError(RefusedError):
    """There is no such model or address."""


class InvalidRequestError(RefusedError):
    """The vendor does not take the request as it is."""


class ContextLengthError(InvalidRequestError):
    """The input, or input and output together, is more than the model can hold."""


class RequestTooLargeError(InvalidRequestError):
    """The request is larger than is ever taken at once."""


class ContentRefusedError(InvalidRequestError):
    """The vendor's moderation refused the request."""


class QuotaExceededError(RefusedError):
    """A daily, spend or credit limit is used up. Waiting a little does not help."""


class RateLimitError(RefusedError):
    """
    Too much for now; the same request may succeed later.

    Attributes (beside those of `ProviderError`):
        dimension: what ran out, such as "requests" or "tokens"; None if unsaid.
        limit, remaining, needed: in units of that dimension; None if unsaid.
        retry_at: Unix seconds at which to come back, or None.
        kind: "rate" a limit; "ramp" traffic grew too fast; "overload" the vendor has no capacity.
        source: who said so: "headers", "body" or "pacer" (before anything was sent).
        sent: whether the request was handed to the wire.
        rate_limit: the limits told with the refusal, or None.
    """

    RETRYABLE: ClassVar[bool] = True

    dimension: str | None
    limit: float | None
    remaining: float | None
    needed: float | None
    retry_at: float | None
    kind: Literal["rate", "ramp", "overload"]
    source: Literal["headers", "body", "pacer"]
    sent: bool
    rate_limit: RateLimitInfo | None

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        dimension: str | None = None,
        limit: float | None = None,
        remaining: float | None = None,
        needed: float | None = None,
        retry_at: float | None = None,
        kind: Literal["rate", "ramp", "overload"] = "rate",
        source: Literal["headers", "body", "pacer"] = "headers",
        sent: bool = True,
        rate_limit: RateLimitInfo | None = None,
    ) -> None:
        super().__init__(
            message,
            provider=provider,
            status=status,
            code=code,
            request_id=request_id,
            retry_after=retry_after,
            retryable=retryable,
        )
        self.dimension, self.limit, self.remaining, self.needed = dimension, limit, remaining, needed
        self.retry_at, self.kind, self.source, self.sent, self.rate_limit = retry_at, kind, source, sent, rate_limit


class OverloadedError(RateLimitError):
    """The vendor has no capacity now; `kind` is "overload"."""


class ServerError(RefusedError):
    """The vendor failed while it worked on the request."""

    RETRYABLE: ClassVar[bool] = True


class RedirectError(RefusedError):
    """The vendor's address answered with a redirect. It is never followed: check `base_url`."""


class NetworkError(ProviderError):
    """The bytes stopped; what came before them is kept."""

    RETRYABLE: ClassVar[bool] = True


class ConnectionFailedError(NetworkError):
    """No response head came."""


class TruncatedStreamError(NetworkError):
    """The response ended without the vendor's proof of its end."""


class StreamTimeoutError(NetworkError, TimeoutError):
    """A deadline of `Deadlines` passed: `kind` names it, `seconds` is its length."""

    kind: DeadlineKind
    seconds: float

    def __init__(
        self,
        message: str,
        *,
        kind: DeadlineKind = "idle",
        seconds: float = 0.0,
        provider: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, status=status, request_id=request_id)
        self.kind, self.seconds = kind, seconds


class SessionClosedError(NetworkError):
    """The provider's `async with` block was left while the exchange was open."""


class BrokenResponseError(ProviderError):
    """The answer is not what the vendor's format allows."""

    RETRYABLE: ClassVar[bool] = True


class UndecodableEventError(BrokenResponseError):
    """An event of the stream cannot be decoded. It is never skipped: it might have been words."""


class UnexpectedResponseError(BrokenResponseError):
    """The answer is of another kind than was asked for, such as a page of HTML."""


# ---------------------------------------------------------------- several providers


class AllProvidersFailedError(HeadraceError):
    """
    Several providers were asked, and each failed before anything of an answer had come.

    Attributes:
        attempts: who was asked, in order, and how each failed.
        retry_at: the soonest time, in Unix seconds, at which one of them said to come back, or None.
        cause: the last one's error; also `__cause__`.
    """

    attempts: tuple[Attempt, ...]
    retry_at: float | None
    cause: Exception | None

    def __init__(
        self,
        message: str,
        *,
        attempts: tuple[Attempt, ...] = (),
        retry_at: float | None = None,
        cause: Exception | None = None,
    ) -> None:
        super().__init__(message)
        self.attempts, self.retry_at, self.cause = attempts, retry_at, cause
        self.__cause__: BaseException | None = cause

    def __reduce__(self) -> tuple[type[AllProvidersFailedError], tuple[str], dict[str, object]]:
        cause = self.cause  # one from elsewhere may not travel; what it says can
        if cause is not None and not _travels(cause):
            cause = HeadraceError(f"{type(cause).__name__}: {cause}")
        return type(self), (str(self),), {**self.__dict__, "cause": cause}

    def __setstate__(self, state: dict[str, object] | None) -> None:
        super().__setstate__(state)
        self.__cause__ = self.cause


# ---------------------------------------------------------------- the cut


class StreamInterruptedError(HeadraceError):
    """
    A stream failed after content had come. All of it is here.

    Attributes:
        partial_content: every word received; never the marker.
        cause: why it failed; also `__cause__`.
        response: all else that was received, or None where there was only an iterator of chunks.
    """

    partial_content: str
    cause: Exception
    response: AIResponse | None

    def __init__(self, partial_content: str, cause: Exception) -> None:
        super().__init__(partial_content, cause)
        self.partial_content, self.cause = partial_content, cause
        self.response = None
        self.__cause__: BaseException | None = cause

    @property
    def recording(self) -> Recording | None:
        """The raw frames of the response, where a `Recorder` was given."""
        found = getattr(self.cause, "recording", None)
        return found if isinstance(found, Recording) else None

    def __str__(self) -> str:
        return f"Stream interrupted after {len(self.partial_content)} chars: {self.cause}"

    def __reduce__(self) -> tuple[type[StreamInterruptedError], tuple[str, Exception], dict[str, object]]:
        # A cause from elsewhere, a type that lives in a function, or what a source put beside the words may not travel;
        # the words can.
        cause, response = self.cause, self.response
        if not _travels(cause):
            cause = HeadraceError(f"{type(cause).__name__}: {cause}")
        if response is not None and not _travels(response):
            response = replace(response, raw_response=None, response_format=None)
            if not _travels(response):
                response = replace(response, extra=(), parts=())
        return type(self), (self.partial_content, cause), {**self.__dict__, "cause": cause, "response": response}


def _travels(value: object) -> bool:
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301  # our own bytes
    except Exception:  # noqa: BLE001  # whatever a foreign class raises
        return False
    return True


def is_busy(error: Exception) -> bool:
    """Whether the vendor refused for now (429, 503, 529) and does not mind to be asked the same again."""
    if isinstance(error, RateLimitError):
        return error.sent and error.retryable
    return isinstance(error, ServerError) and error.status == UNAVAILABLE and error.retryable


def error_info(cause: Exception, partial_content: str) -> ErrorInfo:
    """What a marker chunk says of `cause`."""
    known = cause if isinstance(cause, ProviderError) else None
    return {
        "type": type(cause).__name__,
        "message": str(cause),
        "partial_content_length": len(partial_content),
        "retry_after": known.retry_after if known else None,
        "retryable": known.retryable if known else False,
        "provider": (known.provider or None) if known else None,
    }


def error_told(info: ErrorInfo | None) -> ProviderError:
    """The error of a marker chunk that was handed on: what the chunk says is all that is left of it."""
    if info is None:
        return ProviderError("the stream was interrupted")
    return ProviderError(
        f"{info['type']}: {info['message']}",
        provider=info["provider"] or "",
        retry_after=info["retry_after"],
        retryable=info["retryable"],
    )
