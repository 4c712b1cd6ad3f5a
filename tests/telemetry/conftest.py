"""The real OpenTelemetry SDK, with exporters that keep what they get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from headrace.telemetry import _observe
from headrace.telemetry.otel import instrument


class Open(SpanProcessor):
    """Spans that were started and not ended."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.names.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        self.names.pop()


@dataclass
class Recorded:
    """What came out: spans that have ended, and the points of each histogram."""

    tracers: TracerProvider
    meters: MeterProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def tracer(self) -> Tracer:
        """The application's own."""
        return self.tracers.get_tracer("app")

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those of headrace, in the order they ended."""
        found = self.exporter.get_finished_spans()
        return [
            one
            for one in found
            if one.instrumentation_scope is not None and one.instrumentation_scope.name == "headrace"
        ]

    def span(self) -> ReadableSpan:
        """The only one."""
        (found,) = self.spans
        return found

    def points(self, name: str) -> list[HistogramDataPoint]:
        """What a histogram was told."""
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def sdk() -> Iterator[Recorded]:
    """Not connected yet."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    still_open = Open()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    tracers.add_span_processor(still_open)
    yield Recorded(tracers, meters, exporter, reader)
    tracers.shutdown()
    meters.shutdown()
    assert still_open.names == [], "a span was never ended"
    assert _observe._observers == [], "an observer was left behind"


@pytest.fixture
def otel(sdk: Recorded) -> Iterator[Recorded]:
    """Connected to headrace, as it is by default: without content."""
    uninstrument = instrument(sdk.tracers, sdk.meters)
    yield sdk
    uninstrument()
