"""
OpenTelemetry: a span and metrics for each exchange. Needs the package opentelemetry-api (extra `otel`).

Names follow the semantic conventions for generative AI as they were last released (opentelemetry.io/docs/specs/semconv/
gen-ai, read 2026-11; their next version is being written and renames the metrics). They are "in development": a release
of theirs may change names here. What they have no name for begins with `headrace.`; docs/telemetry.md lists it all.

A span is the child of the span that is current where the stream is first read. It is started and ended by reference,
and is current itself only in the exchange's own task, so that HTTP spans become its children and the caller's context
never changes. Words of a conversation, and errors that may quote them, are recorded only on demand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from .._types import AIResponse, GenerationConfig, Usage
from .._version import __version__
from ..errors import StreamInterruptedError
from . import _content as content
from ._observe import Answer, Asked, Observation, add_observer, ending

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.util.types import AttributeValue
except ImportError as _exc:
    raise ImportError("spans and metrics need opentelemetry-api: pip install 'headrace[otel]'") from _exc

__all__ = ("instrument",)

_log: Final = logging.getLogger("headrace")

# The boundaries that the conventions ask for.
SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS: Final = tuple(4**power for power in range(14))  # 1 to 67108864

# The conventions' names of providers; where they have none, ours.
PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "grok": "x_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
}


def instrument(
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    *,
    capture_content: bool = False,
) -> Callable[[], None]:
    """
    Record every exchange of the process from now on; gives the function that ends it.

    Args:
        tracer_provider, meter_provider: where to; else the global ones.
        capture_content: record the conversation, the answer, the tools and the text of errors, too. They are as
            private as your users are.
    """
    tracer = trace.get_tracer("headrace", __version__, tracer_provider)
    meter = metrics.get_meter("headrace", __version__, meter_provider)
    return add_observer(_Instrument(tracer, meter, capture_content=capture_content))


class _Instrument:
    """What one `instrument()` made; the `Observer`."""

    def __init__(self, tracer: trace.Tracer, meter: metrics.Meter, *, capture_content: bool) -> None:
        def seconds(name: str, description: str) -> metrics.Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=SECONDS)

        self.tracer, self.capture_content = tracer, capture_content
        self.duration = seconds("gen_ai.client.operation.duration", "GenAI operation duration.")
        self.first_chunk = seconds(
            "gen_ai.client.operation.time_to_first_chunk", "Time from sending a request to its first content."
        )
        self.wait = seconds(
            "headrace.client.pacing.wait", "Time that a request waited for its turn before it was sent."
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )

    def observe(self, asked: Asked) -> Observation:
        return _Span(self, asked)


class _Span:
    """One exchange; see `Observation`."""

    def __init__(self, to: _Instrument, asked: Asked) -> None:
        self._to, self._asked = to, asked
        self._began_at = time.perf_counter()
        self._sent_at = self._began_at
        self._requests, self._waited = 0, 0.0
        self._streams = asked.operation == "chat" and (asked.config is None or asked.config.stream is not False)
        self._outer = contexts.get_current()
        self._span = to.tracer.start_span(
            _name(asked), self._outer, SpanKind.CLIENT, {**_whom(asked), **_options(asked.config)}
        )
        if self._streams:
            self._span.set_attribute("gen_ai.request.stream", value=True)
        self._capture(lambda: content.asked(asked))
        # Not detached by its token, which only the task that attached it may do: the context goes with the task.
        self._inner = trace.set_span_in_context(self._span, self._outer)
        contexts.attach(self._inner)

    def sent(self, waited: float, attempt: Asked) -> None:
        if _whom(attempt) != _whom(self._asked):
            self._span.update_name(_name(attempt))
            self._span.set_attributes(_whom(attempt))
        self._asked, self._sent_at = attempt, time.perf_counter()
        self._requests += 1
        self._waited += waited
        self._to.wait.record(waited, _whom(attempt), self._inner)

    def failed(self, error: Exception) -> None:
        attributes = {**_whom(self._asked), "error.type": type(error).__name__}
        self._span.add_event("headrace.attempt_failed", attributes)

    def begun(self) -> None:
        if self._streams:
            seconds = time.perf_counter() - self._sent_at
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
            self._to.first_chunk.record(seconds, _whom(self._asked), self._inner)

    def ended(self, answer: Answer, error: BaseException | None) -> None:
        try:
            self._tell(answer, error)
        finally:
            self._span.end()
            if contexts.get_current() is self._inner:
                contexts.attach(self._outer)  # the task may have other exchanges before it

    def _tell(self, answer: Answer, error: BaseException | None) -> None:
        state = ending(answer, error)
        cause = error.cause if isinstance(error, StreamInterruptedError) else error
        measured = _whom(self._asked)
        if answer is not None and answer.model:
            measured["gen_ai.response.model"] = answer.model
        if answer is not None and answer.usage is not None:
            self._record_tokens(answer.usage, measured)
        self._span.set_attributes(
            {"headrace.state": state, "headrace.requests": self._requests, "headrace.pacing.wait": self._waited}
        )
        self._span.set_attributes(_said(answer))
        self._capture(lambda: content.answered(answer))
        if cause is not None and state not in {"cancelled", "closed"}:  # these are the caller's own will
            measured["error.type"] = type(cause).__name__
            self._span.set_attribute("error.type", type(cause).__name__)
            self._span.set_status(Status(StatusCode.ERROR, str(cause) if self._to.capture_content else None))
        self._to.duration.record(time.perf_counter() - self._began_at, measured, self._inner)

    def _capture(self, words: Callable[[], Mapping[str, str]]) -> None:
        """On demand, and never at the price of the span: what callers put into a message may have no JSON form."""
        if self._to.capture_content and self._span.is_recording():
            try:
                self._span.set_attributes(words())
            except Exception:  # noqa: BLE001  # whatever an encoder raises
                _log.warning("a conversation has no JSON form: it is not recorded", exc_info=True)

    def _record_tokens(self, usage: Usage, measured: Mapping[str, AttributeValue]) -> None:
        """Only what is known; what is not exact says so."""
        more = {} if usage["source"] == "reported" else {"headrace.usage.source": usage["source"]}
        for kind, count in (("input", usage["prompt_tokens"]), ("output", usage["completion_tokens"])):
            if count is not None:
                self._to.tokens.record(count, {**measured, **more, "gen_ai.token.type": kind}, self._inner)


# ---------------------------------------------------------------- attributes


def _name(asked: Asked) -> str:
    return f"{asked.operation} {asked.model}".rstrip()


def _whom(asked: Asked) -> dict[str, AttributeValue]:
    """What stands on spans and on metrics."""
    found: dict[str, AttributeValue] = {
        "gen_ai.operation.name": asked.operation,
        "gen_ai.provider.name": PROVIDERS.get(asked.provider, asked.provider),
    }
    if asked.model:
        found["gen_ai.request.model"] = asked.model
    url = urlsplit(asked.base_url)
    if url.hostname is not None:
        found["server.address"] = url.hostname
        found["server.port"] = url.port or (80 if url.scheme == "http" else 443)
    return found


def _options(config: GenerationConfig | None) -> dict[str, AttributeValue]:
    if config is None:
        return {}
    given: dict[str, AttributeValue | None] = {
        "gen_ai.request.max_tokens": config.max_tokens,
        "gen_ai.request.temperature": config.temperature,
        "gen_ai.request.top_p": config.top_p,
        "gen_ai.request.top_k": config.top_k,
        "gen_ai.request.seed": config.seed,
        "gen_ai.request.stop_sequences": None if config.stop_sequences is None else tuple(config.stop_sequences),
        "gen_ai.output.type": None if config.response_format is None else "json",
    }
    return {name: value for name, value in given.items() if value is not None}


def _said(answer: Answer) -> dict[str, AttributeValue]:
    """What the answer tells beside its words. What is not known has no attribute."""
    if answer is None:
        return {}
    given: dict[str, AttributeValue | None] = {"gen_ai.response.model": answer.model or None}
    if (usage := answer.usage) is not None:
        given |= {
            "gen_ai.usage.input_tokens": usage["prompt_tokens"],
            "gen_ai.usage.output_tokens": usage["completion_tokens"],
            "gen_ai.usage.cache_read.input_tokens": usage["cached_tokens"],
            "gen_ai.usage.cache_creation.input_tokens": usage["cache_write_tokens"],
            "gen_ai.usage.reasoning.output_tokens": usage["reasoning_tokens"],
            "headrace.usage.source": usage["source"],
        }
    if isinstance(answer, AIResponse):
        given["gen_ai.response.finish_reasons"] = (answer.finish_reason,) if answer.finish_reason else None
        given["headrace.request_id"] = answer.request_id
        if answer.state in {"interrupted", "cancelled", "closed"}:
            given["headrace.partial_content_length"] = len(answer.content)
    return {name: value for name, value in given.items() if value is not None}
