"""
From a call to a request that its model takes: what would be refused is refused here, before anything is sent.

Asks the model rules, then the format. With `strict=False` an option that one of them refuses is left out and told.
Knows no vendor and no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from .. import _schema
from .._options import Refusal, check, dropped, unsupported
from .._types import AIMessage, GenerationConfig
from ..errors import CallerError, UnsupportedOptionError
from ..telemetry import Event, EventName, emit
from ..wire._codec import Encoded

__all__ = ("prepared",)

_KEPT: Final = frozenset(
    {"messages", "model", "stream", "extra", "priority", "max_wait", "max_attempts", "deadlines"}
)  # never left out


def prepared(
    encode: Callable[[GenerationConfig], Encoded],
    messages: Sequence[AIMessage],
    config: GenerationConfig,
    *,
    provider: str,
    rules: str,
    model: str,
    api: str | None,
    strict: bool,
) -> Encoded:
    """
    The request.

    Args:
        encode: the format's own work, for the config that it is given.
        messages: the conversation.
        config: what the call asks for.
        provider: the provider's name, for errors and events.
        rules: the name that has the model rules.
        model: the vendor's model id.
        api: "chat" or "responses" where the provider has both.
        strict: raise for an option that is not taken, in place of leaving it out.

    Raises:
        UnsupportedOptionError: an option that the model or the format does not take.
        CallerError: the type in `response_format` has no schema, or `extra` says another `stream` than the call.
    """
    streams = config.stream is not False
    if (said := (config.extra or {}).get("stream", streams)) is not streams:
        raise CallerError(
            f"{provider}: extra says stream {said!r}, but the answer would be read as if it were {streams}. "
            f"Leave it out of extra, and say GenerationConfig(stream={said!r})"
        )

    def tell(name: EventName, message: str, **data: object) -> None:
        emit(Event(name, provider, model, message, data))

    config = _with_schema(_without_empty(config), provider)
    while True:
        # Again after each option that the format lacks: without its `reasoning` a model may reason, and take less.
        if refusals := check(rules, model, config, messages, api=api):
            if stuck := [refusal for refusal in refusals if strict or not refusal.can_drop]:
                raise unsupported(provider, model, stuck)
            config = dropped(config, refusals)
            for refusal in refusals:
                tell(
                    "option_dropped",
                    f"{provider}: {model}: {refusal.why}: {refusal.option} is left out",
                    option=refusal.option,
                )
        try:
            encoded = encode(config)
        except UnsupportedOptionError as exc:
            if strict or exc.option in _KEPT or getattr(config, exc.option, None) is None:
                raise
            tell("option_dropped", f"{exc} ({exc.option} is left out)", option=exc.option)
            config = dropped(config, [Refusal(exc.option, str(exc))])
        else:
            break
    for sentence in encoded.dropped:
        tell("content_dropped", sentence)
    return encoded


def _without_empty(config: GenerationConfig) -> GenerationConfig:
    """A list of none is as good as no list. OpenAI's servers answer 400 to one: "[] is too short - 'tools'"."""
    tools, stop = config.tools or None, config.stop_sequences or None
    if tools is config.tools and stop is config.stop_sequences:
        return config
    return replace(config, tools=tools, stop_sequences=stop)


def _with_schema(config: GenerationConfig, provider: str) -> GenerationConfig:
    """A type as `response_format` becomes its schema, which every vendor can enforce."""
    wanted = config.response_format
    if wanted is None or wanted == "json" or isinstance(wanted, Mapping):
        return config
    if not isinstance(wanted, type):
        raise UnsupportedOptionError(
            f"{provider}: there is no response_format {wanted!r}: give 'json', a JSON schema, or a type with fields",
            option="response_format",
        )
    try:
        return replace(config, response_format=_schema.of_type(wanted, strict=True))
    except TypeError as exc:
        raise CallerError(f"{provider}: response_format: {exc}") from exc
