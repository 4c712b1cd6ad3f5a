"""
What a model refuses of a call, before it is sent: options in, sentences out.

Knows no model's name and no format: the rules are `models`', and whether a format has a field for an option is for
`wire/` to say. The vendor's own words, `extra` and a mapping as `reasoning`, are not read: whether the model reasons
then is unknown, and a rule that hangs on it refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from ._models import OPTIONS, ModelRule, Range
from ._types import AIMessage, GenerationConfig, Reasoning
from .errors import UnsupportedOptionError
from .models import rules_for

__all__ = ("Refusal", "check", "dropped", "unsupported")

NO_OPTIONS: Final = frozenset({"messages", "model"})  # what a call is about: nothing to leave out
NOT_FORCED: Final = ("auto", "none")

_values = attrgetter(*OPTIONS)
_NOTHING: Final = (None,) * len(OPTIONS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Something that the model would refuse.

    Attributes:
        option: its name in `GenerationConfig`; "messages" for a prefill, "model" for a model of another API.
        why: what the model does not take, and what to do.
    """

    option: str
    why: str

    @property
    def can_drop(self) -> bool:
        """Whether the call still means something without it."""
        return self.option not in NO_OPTIONS


def check(
    provider: str, model: str, config: GenerationConfig, messages: Sequence[AIMessage], *, api: str | None = None
) -> tuple[Refusal, ...]:
    """
    What the model would refuse of this call, each option once. Nothing for a model that has no rules.

    Args:
        provider: the name that has the rules, such as "openai"; a compatible host's own.
        model: as the vendor calls it.
        config, messages: the call.
        api: "chat" or "responses" where the provider has both.

    Raises:
        ModelRulesError: the file that `HEADRACE_MODELS` names is missing or broken.
    """
    rule = rules_for(provider, model)
    values = _values(config)
    prefilled = bool(messages) and messages[-1].role == "assistant" and rule.prefill not in {None, True}
    elsewhere = rule.api is not None and api is not None and rule.api != api
    if values == _NOTHING and not prefilled and not elsewhere:
        return ()
    given = {name: value for name, value in zip(OPTIONS, values, strict=True) if value is not None}
    reasons = _reasons(rule, config)
    found: dict[str, str] = {}
    if elsewhere:
        found["model"] = f"the model exists in the vendor's {rule.api} API only: give the provider api={rule.api!r}"
    if prefilled and (rule.prefill is False or reasons):
        found["messages"] = _why(
            rule,
            "the model does not continue a message of the assistant: end with one of the user",
            reasoning=rule.prefill is not False,
        )
    for name, why in (*_not_taken(rule, given, reasons=reasons), *_wrong_reasoning(rule, config, api)):
        found.setdefault(name, why)
    return tuple(Refusal(name, why) for name, why in found.items())


def dropped(config: GenerationConfig, refusals: Iterable[Refusal]) -> GenerationConfig:
    """The config without the refused options. What cannot be dropped is for the caller to raise; see `can_drop`."""
    fewer = replace(config)
    for refusal in refusals:
        if refusal.can_drop:
            setattr(fewer, refusal.option, None)
    return fewer


def unsupported(provider: str, model: str, refusals: Sequence[Refusal]) -> UnsupportedOptionError:
    """One error for all of them; its `option` is the first one's."""
    words = "; ".join(refusal.why for refusal in refusals)
    return UnsupportedOptionError(f"{provider}: {model}: {words}", option=refusals[0].option)


# ---------------------------------------------------------------- does it reason?


def _asked(config: GenerationConfig) -> Reasoning | None:
    """The caller's `reasoning` in one form; None if there is none, or the vendor's own object."""
    match config.reasoning:
        case Reasoning() as reasoning:
            return reasoning
        case str(effort):
            return Reasoning(effort=effort)
        case int(budget):
            return Reasoning(budget=budget)
    return None


def _is_off(asked: Reasoning) -> bool:
    return asked.effort == "none" or asked.budget == 0


def _reasons(rule: ModelRule, config: GenerationConfig) -> bool | None:
    """Whether the model will reason in this call; None is unknown."""
    if rule.reasoning.can_disable is False:
        return True
    asked = _asked(config)
    if asked is not None and (asked.effort is not None or asked.budget is not None):
        return not _is_off(asked)
    return None if config.extra or isinstance(config.reasoning, Mapping) else rule.reasoning.default


# ---------------------------------------------------------------- the rules, one by one


def _why(rule: ModelRule, words: str, *, reasoning: bool) -> str:
    """The words, and if it hangs on the model's `reasoning`, that it does and whether there is a way out."""
    if not reasoning:
        return words
    return f"while it reasons, {words}" + (", or set reasoning='none'" if rule.reasoning.can_disable else "")


def _not_taken(rule: ModelRule, given: Mapping[str, object], *, reasons: bool | None) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if name in rule.refuses:
            yield name, f"the model takes no {name}: leave it out"
        elif words := _beyond(name, value, rule.ranges):
            yield name, f"{words}: change it or leave it out"
        elif reasons and name in rule.refuses_reasoning:
            yield name, _why(rule, f"the model takes no {name}: leave it out", reasoning=True)
        elif reasons and (words := _beyond(name, value, rule.ranges_reasoning)):
            yield name, _why(rule, f"{words}: change it, leave it out", reasoning=True)
    together = [name for name in rule.refuses_together if name in given]
    for name in together[1:]:
        yield name, f"the model takes {together[0]} or {name}, not both: leave one out"
    limit, wanted = rule.output_tokens, given.get("max_tokens")
    if limit is not None and isinstance(wanted, int) and wanted > limit:
        yield "max_tokens", f"the model writes at most {limit:,} tokens, and max_tokens is {wanted:,}: lower it"
    forces = given.get("tool_choice", "auto") not in NOT_FORCED
    if forces and (rule.forced_tool_choice is False or (rule.forced_tool_choice == "unless_reasoning" and reasons)):
        words = "the model cannot be forced to call a tool: use 'auto', and ask for the call in words"
        yield "tool_choice", _why(rule, words, reasoning=rule.forced_tool_choice is not False)


def _beyond(name: str, value: object, ranges: Mapping[str, Range]) -> str:
    """What the model takes in place of this value; "" if it takes it."""
    if name not in ranges or not isinstance(value, int | float):
        return ""
    least, most = ranges[name]
    if least <= value <= most:
        return ""
    taken = f"{least:g} only" if least == most else f"{least:g} to {most:g}"
    return f"the model takes a {name} of {taken}, not {value!r}"


def _wrong_reasoning(rule: ModelRule, config: GenerationConfig, api: str | None) -> Iterator[tuple[str, str]]:
    asked, known = _asked(config), rule.reasoning
    if asked is None:
        return
    efforts = known.efforts
    words = ", ".join(map(repr, efforts)) if efforts else ""
    why = ""
    if _is_off(asked):
        if known.can_disable is False:
            why = "the model's reasoning cannot be turned off: " + (f"use {words}" if words else "leave it out")
    elif asked.effort is not None and efforts is not None and asked.effort not in efforts:
        other = words or ("a budget in tokens" if known.budget else "")
        why = f"the model takes no reasoning effort {asked.effort!r}: " + (f"use {other}" if other else "leave it out")
    elif asked.effort in known.responses_only and api == "chat":
        why = f"the model takes reasoning effort {asked.effort!r} in the Responses API only: use another, or that API"
    elif asked.budget is not None and known.budget is False:
        why = "the model takes no budget of tokens to reason with: " + (f"use {words}" if words else "leave it out")
    if why:
        yield "reasoning", f"{why}. {known.note}" if known.note else why
