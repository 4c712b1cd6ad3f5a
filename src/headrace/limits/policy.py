"""
What an application may say about pacing; every default is meant to be left alone.

Plain values. What they do is in `pacer` and `model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .._checks import check_number, check_whole
from .._types import AIMessage, GenerationConfig
from .cost import MEASURES, Cost

if TYPE_CHECKING:
    from .store import Store

__all__ = ("RateLimitPolicy",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitPolicy:
    """
    How requests are paced.

    Attributes:
        pace: False sends at once, whatever the limits; headers are still read.
        max_wait: most seconds to wait before a request is sent; a longer forecast is refused at once. 0 never waits.
        max_queue: most requests that wait; more are refused.
        share: the part of the key's limits that this application may use, above 0 and up to 1.
        limits: limits that are known beforehand, by dimension ("requests", "input_tokens", "tokens", ...), per minute
            or as the name says ("requests_day"). What the vendor's headers tell wins.
        estimate: what a request will take; None guesses from the length of the text.
        store: shares the limits with other processes, and remembers them.
        on_store_failure: while the store is away, pace alone ("local") or refuse ("raise").
    """

    pace: bool = True
    max_wait: float = 60.0
    max_queue: int = 10_000
    share: float = 1.0
    limits: Mapping[str, float] | None = None
    estimate: Callable[[Sequence[AIMessage], GenerationConfig], Cost] | None = None
    store: Store | None = None
    on_store_failure: Literal["local", "raise"] = "local"

    def __post_init__(self) -> None:
        check_number("max_wait", self.max_wait, "a number of seconds, 0 or more", least=0, endless=True)
        check_whole("max_queue", self.max_queue, least=0)
        check_number("share", self.share, "a number above 0 and at most 1", above=0, most=1)
        for name, limit in (self.limits or {}).items():
            check_number(f"the limit of {name}", limit, "a number above 0", above=0)
            if not any(name.startswith(known) for known in MEASURES):
                raise ValueError(f"there is no limit called {name!r}: use one of {', '.join(MEASURES)}")
        if self.store is not None and not hasattr(self.store, "swap"):
            raise TypeError(
                f"store is a {type(self.store).__name__}: it must be a store, such as RedisStore('redis://...')"
            )
        if self.on_store_failure not in {"local", "raise"}:
            raise ValueError(f"on_store_failure is {self.on_store_failure!r}: use 'local' or 'raise'")
