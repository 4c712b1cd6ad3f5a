"""
Who is asked, and who is asked instead: the fallback as a pure generator.

It yields a step, is sent the error that it ended with (None where one that was to be asked again could not be, in time)
and yields the next or returns. So its tests are `next()` and `.send()`. It is asked only while nothing of an answer has
come; what has begun is never asked of somebody else. Which error leads on is a table. Knows no provider, no task and no
clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from ._checks import check_number, check_type
from ._types import Attempt
from .errors import (
    AllProvidersFailedError,
    CallerError,
    ConcurrencyLimitError,
    ContentRefusedError,
    ContextLengthError,
    HeadraceError,
    InvalidRequestError,
    MissingKeyError,
    ProviderError,
    RateLimitError,
    RequestTooLargeError,
    SessionClosedError,
    UnsupportedOptionError,
    is_busy,
)

__all__ = ("RULES", "FallbackPolicy", "Option", "Step", "asked_again", "route")

T = TypeVar("T")

RULES: Final[Mapping[type[Exception], bool]] = MappingProxyType(
    {
        Exception: False,  # what nobody foresaw is told at once
        HeadraceError: False,
        CallerError: False,  # a call that cannot be made as it stands
        UnsupportedOptionError: True,  # another provider may have the option
        MissingKeyError: True,
        ConcurrencyLimitError: True,
        ProviderError: True,
        InvalidRequestError: False,  # the next one would not take it either
        ContextLengthError: True,  # another model may hold more
        RequestTooLargeError: True,
        ContentRefusedError: False,  # nobody is to be asked until one says yes
        SessionClosedError: False,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """
    When another provider is asked, before anything of an answer has come.

    Attributes:
        rules: whether an error leads on, by its class; what is not named here holds as in the table of defaults. Of an
            error's own classes the nearest one decides.
        patience: seconds that a preferred provider may let one wait longer than another would, by the forecast of its
            limits; a longer one is passed over. An answer of another model is not worth less than a moment.
        extra: whether a call with `GenerationConfig.extra` may go to another provider. Its fields are one vendor's
            own, and among them are tools that the vendor runs, which would be run (and billed) once more.
    """

    rules: Mapping[type[Exception], bool] = field(default_factory=dict)
    patience: float = 1.0
    extra: bool = False

    def __post_init__(self) -> None:
        check_type("rules", self.rules, Mapping, "a mapping of the classes of errors to True or False")
        given: list[tuple[object, object]] = [*self.rules.items()]
        for kind, leads_on in given:
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise TypeError(f"rules names {kind!r}: it must be the class of an error, such as RateLimitError")
            check_type(f"rules[{kind.__name__}]", leads_on, bool, "True or False")
        check_number("patience", self.patience, "a number of seconds, 0 or more", least=0, endless=True)

    def leads_on(self, error: Exception) -> bool:
        """Whether another provider is asked after `error`."""
        rules = {**RULES, **self.rules}
        return next(rules[kind] for kind in type(error).__mro__ if kind in rules)


class Option(NamedTuple):
    """
    One who can be asked; `wait` foretells the seconds until its limits would let the request in, `attempts` is how
    often it is asked at most.
    """

    provider: str
    model: str
    wait: Callable[[], float]
    attempts: int = 1


class Step(NamedTuple):
    """
    Whom to ask: the place in the options; and who was passed over for that, with the seconds to wait there. `again`:
    the same as before.
    """

    whom: int
    passed: tuple[tuple[int, float], ...] = ()
    again: bool = False


def asked_again(first: T, again: T, most: int) -> Generator[T, Exception | None, Exception]:
    """Ask `first`, and `again` while there is no room for now, up to `most` attempts. Returns the last one's error."""
    error = yield first
    assert error is not None
    for _ in range(most - 1):
        if not is_busy(error):
            break
        another = yield again
        if another is None:
            break
        error = another
    return error


def route(options: Sequence[Option], policy: FallbackPolicy) -> Generator[Step, Exception | None, Exception | None]:
    """
    Ask one after the other; only the last one that is left is asked again, while it has no room for now.

    Args:
        options: who can be asked, the preferred one first.
        policy: what leads on.

    Returns:
        The error to tell in place of the last one, where several were asked; else None.
    """
    left, failed = list(range(len(options))), list[tuple[Option, Exception]]()
    while left:
        step = _next(options, left, policy.patience)
        left.remove(step.whom)
        error = yield from asked_again(step, Step(step.whom, again=True), 1 if left else options[step.whom].attempts)
        failed.append((options[step.whom], error))
        if not policy.leads_on(error):
            return None
    return _all_failed(failed) if len(failed) > 1 else None


def _next(options: Sequence[Option], left: Sequence[int], patience: float) -> Step:
    """The first one whose wait is hardly longer than the shortest."""
    if len(left) == 1:
        return Step(left[0])
    waits = {index: options[index].wait() for index in left}
    least = min(waits.values()) + patience
    passed: list[tuple[int, float]] = []
    for index in left:
        if waits[index] <= least:
            return Step(index, tuple(passed))
        passed.append((index, waits[index]))
    raise AssertionError("the shortest wait is not longer than itself")


def _all_failed(failed: Sequence[tuple[Option, Exception]]) -> AllProvidersFailedError:
    refused = [error for _, error in failed if isinstance(error, RateLimitError)]
    retries = [error.retry_at for error in refused if error.retry_at is not None]
    told = "; ".join(f"{option.provider}/{option.model}: {type(error).__name__}" for option, error in failed)
    last = failed[-1][1]
    return AllProvidersFailedError(
        f"all {len(failed)} providers that were asked failed before any content ({told}). The last said: {last}",
        attempts=tuple(
            Attempt(option.provider, option.model, type(error).__name__, str(error)) for option, error in failed
        ),
        retry_at=min(retries, default=None),
        cause=last,
    )
