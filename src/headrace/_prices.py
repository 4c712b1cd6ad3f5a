"""
What tokens cost: a price function, and one made of the public price lists in the package genai-prices (extra `prices`).

A price is US dollars for the tokens of one exchange, or None: not known. List prices know no discount, no service tier
and no fee for a vendor's own tools, so what they give is an estimate. The lists are the ones that the installed package
brings; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ._types import Usage

__all__ = ("Prices", "list_prices")

Prices: TypeAlias = Callable[[str, str, Usage], float | None]
"""`prices(provider, model, usage)`: US dollars, or None where they are not known."""

# Where genai-prices has another name for a provider. One that it does not know has no price.
_NAMES: Final = {"gemini": "google", "grok": "x-ai", "moonshot": "moonshotai"}


def list_prices() -> Prices | None:
    """
    Prices from the public lists; None where genai-prices is not installed.

    Reading the lists takes a fifth of a second, so it is done here, before there is a stream that would wait for it.
    """
    try:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    get_snapshot()

    def price(provider: str, model: str, usage: Usage) -> float | None:
        prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
        if prompt is None or completion is None:
            return None
        tokens = Tokens(
            input_tokens=prompt,
            output_tokens=completion,
            cache_read_tokens=usage["cached_tokens"],
            cache_write_tokens=usage["cache_write_tokens"],
        )
        try:
            found = calc_price(tokens, model, provider_id=_NAMES.get(provider, provider))
        except (LookupError, ValueError):  # no such model; counts that contradict each other
            return None
        # What has no price in the list is priced 0 there: a free model, or one that is billed by the minute.
        listed = vars(found.model_price)
        if listed.get("input_mtok") is None or (completion and listed.get("output_mtok") is None):
            return None
        return float(found.total_price)

    return price
