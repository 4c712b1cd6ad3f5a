"""
What headrace tells beside its results: one frozen event type, hooks for whoever wants to know, and stdlib logging.
Whoever wants to see each exchange, in place of what is worth a word, adds an observer.

Costs nothing where nothing happens; an event is made only when there is something to tell. Knows no vendor and no HTTP.
No event ever holds a key or a word of a conversation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from .._checks import check_function
from ._observe import Answer, Asked, Observation, Observer, Operation, add_observer, ending, observe

__all__ = (
    "Answer",
    "Asked",
    "Event",
    "EventName",
    "Hook",
    "Observation",
    "Observer",
    "Operation",
    "add_hook",
    "add_observer",
    "emit",
    "ending",
    "observe",
)

EventName: TypeAlias = Literal[
    "option_dropped",
    "content_dropped",
    "attempt_failed",
    "rate_limit_approaching",
    "rate_limit_released",
    "request_held",
    "request_granted",
    "rate_limited",
    "limits_learned",
    "store_degraded",
    "store_recovered",
]

_LEVELS: Final[Mapping[EventName, int]] = {
    "option_dropped": logging.WARNING,  # the answer may be another than was asked for
    "content_dropped": logging.INFO,  # by a documented rule, in a conversation that came from another vendor
    "attempt_failed": logging.INFO,  # one call sends another request, as it was asked to
    "rate_limit_approaching": logging.INFO,
    "rate_limit_released": logging.DEBUG,
    "request_held": logging.DEBUG,  # INFO where it waits for more than a second
    "request_granted": logging.DEBUG,
    "rate_limited": logging.DEBUG,  # it is raised
    "limits_learned": logging.DEBUG,
    "store_degraded": logging.WARNING,
    "store_recovered": logging.INFO,
}


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that happened.

    Attributes:
        name: what kind: "option_dropped", an option that the model or the vendor does not take was left out, as
            `strict_options=False` asks; "content_dropped", a part of a conversation that this vendor cannot carry;
            "attempt_failed", a request failed before any content and its call asks again, there or elsewhere;
            "rate_limit_approaching", 80 % of the tightest limit are used, and "rate_limit_released", less than 70 %
            again; "request_held", one must wait, with the forecast, and "request_granted", it goes, with the real wait;
            "rate_limited", the vendor refused; "limits_learned", a limit that was unknown or another; "store_degraded",
            the store that limits are shared through is away, and "store_recovered", it is back.
        provider, model: whose request it is about. Of limits, `model` is the scope that has them.
        message: the whole in one sentence.
        data: the same as values; each name of event has its own keys.
    """

    name: EventName
    provider: str
    model: str
    message: str
    data: Mapping[str, object] = field(default_factory=dict)


Hook: TypeAlias = Callable[[Event], object]

_log: Final = logging.getLogger("headrace")
_hooks: Final[list[Hook]] = []


def add_hook(hook: Hook) -> Callable[[], None]:
    """
    Call `hook(event)` for every event from now on; gives the function that ends it.

    Hooks run at once, in the task that tells the event: they must not block. What they raise is logged and dropped.

    Raises:
        TypeError: it is no function, or an `async def`.
    """
    check_function("hook", hook)
    _hooks.append(hook)

    def remove() -> None:
        if hook in _hooks:
            _hooks.remove(hook)

    return remove


def emit(event: Event, *, level: int | None = None) -> None:
    """Tell the hooks and the log `headrace`; `level` in place of the usual one."""
    _log.log(_LEVELS[event.name] if level is None else level, "%s", event.message)
    for hook in tuple(_hooks):
        try:
            hook(event)
        except Exception:  # noqa: BLE001  # a hook's failure is not the call's
            _log.exception("a hook failed on %s", event.name)
