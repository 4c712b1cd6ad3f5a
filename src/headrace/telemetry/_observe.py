"""
Watching exchanges: who wants to know is told when one is asked for, sent, begun and ended.

An observer is asked once for each exchange, by `observe`, and gives an observation, which is told the rest. All of it
is synchronous and runs in the task that moves the exchange; what an observer raises is logged and dropped, so that
nobody who watches can break what he watches. Where nobody does, `observe` gives None, and that is the whole cost.

Knows no vendor and no HTTP, and decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from .._checks import check_function
from .._types import AIMessage, AIResponse, EmbeddingResponse, GenerationConfig, State

__all__ = ("Answer", "Asked", "Observation", "Observer", "Operation", "add_observer", "ending", "observe")

Operation: TypeAlias = Literal["chat", "embeddings", "count_tokens", "list_models"]
Answer: TypeAlias = AIResponse | EmbeddingResponse | None

_log: Final = logging.getLogger("headrace")


@dataclass(frozen=True, slots=True)
class Asked:
    """
    An exchange that is asked for.

    Attributes:
        operation: what kind.
        provider, model: who is asked.
        config: the options of a chat; None where none were given.
        messages: the conversation of a chat. Whoever keeps or shows it was asked to.
        base_url: where the vendor is; "" if unknown.
    """

    operation: Operation
    provider: str
    model: str
    config: GenerationConfig | None = field(default=None, repr=False)
    messages: Sequence[AIMessage] | None = field(default=None, repr=False)
    base_url: str = ""


class Observation(Protocol):
    """
    One exchange, as it goes. `ended` comes exactly once and last; everything else may be missing.

    An exchange is more than one request where attempts are repeated or go to another vendor, and where many texts are
    embedded: `sent` comes for each.
    """

    def sent(self, waited: float, attempt: Asked) -> None:
        """A request is handed to the wire, after `waited` seconds for its turn; `attempt` says to whom."""

    def failed(self, error: Exception) -> None:
        """The attempt failed, and another one follows."""

    def begun(self) -> None:
        """The first content came."""

    def ended(self, answer: Answer, error: BaseException | None) -> None:
        """
        It is over.

        `answer` is what was received, as far as it came, and its `state` tells the ending; None if there is nothing.
        `error` is the typed error of a failure or a cut, or what cancelled an exchange that has no such state; None for
        an end and for a stream that was cancelled or left.
        """


class Observer(Protocol):
    """Wants to know of exchanges."""

    def observe(self, asked: Asked) -> Observation | None:
        """Called in the exchange's own task, whose context is a copy of the caller's. None: not interested."""


def ending(answer: Answer, error: BaseException | None) -> State:
    """How an exchange ended, from what `Observation.ended` is told."""
    if isinstance(answer, AIResponse):
        return answer.state
    if error is None:
        return "finished"
    return "failed" if isinstance(error, Exception) else "cancelled"


_observers: Final[list[Observer]] = []


def add_observer(observer: Observer) -> Callable[[], None]:
    """
    Ask `observer` about every exchange of the process from now on; gives the function that ends it.

    Raises:
        TypeError: it has no function `observe`, or that is an `async def`.
    """
    check_function("observer.observe", getattr(observer, "observe", None))
    _observers.append(observer)

    def remove() -> None:
        if observer in _observers:
            _observers.remove(observer)

    return remove


def observe(ask: Callable[[], Asked], observers: Sequence[Observer] = ()) -> Observation | None:
    """
    One observation for all who listen: `observers`, then those of `add_observer`. None if nobody does.

    Args:
        ask: makes the description; not called where nobody listens.
        observers: who listens to this exchange beside those who listen to all.
    """
    if not observers and not _observers:
        return None
    asked = ask()
    found: list[Observation] = []
    for observer in (*observers, *_observers):
        try:
            observation = observer.observe(asked)
        except Exception:  # noqa: BLE001  # an observer's failure is not the call's
            _log.exception("an observer failed")
            continue
        if observation is not None:
            found.append(observation)
    return _All(found) if found else None


class _All:
    """Several observations as one that never raises."""

    __slots__ = ("_each",)

    def __init__(self, each: list[Observation]) -> None:
        self._each = each

    def sent(self, waited: float, attempt: Asked) -> None:
        self._tell(lambda one: one.sent(waited, attempt))

    def failed(self, error: Exception) -> None:
        self._tell(lambda one: one.failed(error))

    def begun(self) -> None:
        self._tell(lambda one: one.begun())

    def ended(self, answer: Answer, error: BaseException | None) -> None:
        self._tell(lambda one: one.ended(answer, error))
        self._each = []  # once: whatever comes later is not told

    def _tell(self, what: Callable[[Observation], None]) -> None:
        for one in self._each:
            try:
                what(one)
            except Exception:  # noqa: BLE001  # as above
                _log.exception("an observer failed")
