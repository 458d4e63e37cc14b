"""Statements are traced, and connections counted, as by the stock instrumentation of SQLAlchemy."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from relate_telemetry.fast.statements import SCOPE, ConnectionUsage, StatementTracer, trace_statements
from sqlalchemy import Engine, QueuePool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from relate_telemetry.fast import statements
from relate_telemetry.fast.span import FastTracerProvider

Trace = Callable[[Engine, TracerProvider, MeterProvider], object]
POSTGRES = "postgresql+asyncpg://mail:hunter2@db.test:5433/relate"


@pytest.fixture(autouse=True, params=["database,http", "database/dup", ""])
def conventions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    monkeypatch.setattr(Stability, "_initialized", False)


def trace_stock(engine: Engine, tracers: TracerProvider, meters: MeterProvider) -> object:
    usage = meters.get_meter(SCOPE).create_up_down_counter(
        "db.client.connections.usage", "connections", "Connections by state"
    )
    return EngineTracer(tracers.get_tracer(SCOPE), engine, usage)  # type: ignore[no-untyped-call]


class TracedEngine:
    """An engine that is traced, with its spans and metrics."""

    def __init__(self, trace: Trace, provider: TracerProvider, url: str = "sqlite://") -> None:
        self.memory, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = provider
        provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.engine = create_engine(url, poolclass=QueuePool) if "sqlite" in url else create_engine(url)
        trace(self.engine, provider, MeterProvider([self.reader], shutdown_on_exit=False))

    def spans(self) -> list[Any]:
        return [describe(span) for span in self.memory.get_finished_spans()]

    def usage(self) -> dict[str, float]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        (metric,) = scope.metrics
        assert (scope.scope.name, metric.name, metric.unit) == (SCOPE, "db.client.connections.usage", "connections")
        assert type(metric.data).__name__ == "Sum"
        assert not metric.data.is_monotonic  # type: ignore[union-attr]
        return {str(sorted((point.attributes or {}).items())): point.value for point in metric.data.data_points}  # type: ignore[union-attr]


def describe(span: ReadableSpan) -> Any:
    scope = span.instrumentation_scope
    return span.name, span.kind, list((span.attributes or {}).items()), span.status.status_code, scope and scope.name


@pytest.fixture
def both() -> Iterator[tuple[TracedEngine, TracedEngine]]:
    ours = TracedEngine(trace_statements, FastTracerProvider(ALWAYS_ON, Resource({})))
    stock = TracedEngine(trace_stock, TracerProvider(shutdown_on_exit=False))
    yield ours, stock
    ours.engine.dispose()
    stock.engine.dispose()


STATEMENTS = ["select 1", "/* a hint */ select 2", "  select :word", "select json(:word)", "select 1"]


def run(engine: Engine) -> None:
    for statement in STATEMENTS * 2:
        with engine.connect() as connection:
            parameters = {"word": "hunter2"} if ":word" in statement else {}
            if "json" in statement:
                with pytest.raises(SQLAlchemyError):
                    connection.execute(text(statement), parameters)
            else:
                connection.execute(text(statement), parameters).all()


def test_statements_have_the_same_spans_as_by_the_stock_instrumentation(
    both: tuple[TracedEngine, TracedEngine],
) -> None:
    ours, stock = both
    run(ours.engine)
    run(stock.engine)
    assert ours.spans() == stock.spans()
    assert len(ours.spans()) == 2 * len(STATEMENTS)


def test_connections_are_counted_as_by_the_stock_instrumentation(both: tuple[TracedEngine, TracedEngine]) -> None:
    ours, stock = both
    for traced in both:
        with traced.engine.connect(), traced.engine.connect():
            pass
        connection = traced.engine.connect()
        traced.used = traced.usage()  # type: ignore[attr-defined]
        connection.close()
    assert ours.used == stock.used  # type: ignore[attr-defined]
    assert sorted(ours.usage().values()) == [0, 2]
    assert ours.usage() == stock.usage()


def test_statements_of_postgresql_have_host_and_port(both: tuple[TracedEngine, TracedEngine]) -> None:
    engine = create_engine(POSTGRES)
    spans = []
    for tracer_type, traced in zip((StatementTracer, EngineTracer), both, strict=True):
        tracer: Any = tracer_type(traced.provider.get_tracer(SCOPE), engine, None)
        for _ in range(2):
            context = SimpleNamespace()
            tracer._before_cur_exec(SimpleNamespace(engine=engine), object(), "SELECT 1", (), context, False)
            context._otel_span.end()
        spans.append(traced.spans())
    assert spans[0] == spans[1]
    name, _, attributes, *_ = spans[0][1]
    assert name == "SELECT"
    assert {"db.test", 5433, "relate", "SELECT 1", "postgresql"} <= set(dict(attributes).values())
    assert "hunter2" not in str(spans)


def test_suppressed_instrumentation_makes_no_spans(both: tuple[TracedEngine, TracedEngine]) -> None:
    ours, _ = both
    run(ours.engine)
    before = len(ours.spans())
    with suppress_instrumentation():
        run(ours.engine)
    assert len(ours.spans()) == before


def test_the_cache_of_statements_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MAX_STATEMENTS", 3)
    engine = create_engine("sqlite://")
    tracers = FastTracerProvider(ALWAYS_ON, Resource({}))
    tracer = StatementTracer(tracers.get_tracer(SCOPE), engine, ConnectionUsage(MeterProvider(shutdown_on_exit=False)))
    with engine.connect() as connection:
        for number in range(10):
            connection.execute(text(f"select {number}"))
            assert 0 < len(tracer._statements) <= 3
    engine.dispose()


class CallCounter(SpanProcessor):
    """A processor that adds another attribute to each span."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.count += 1
        span.set_attribute("count", self.count)


def test_attributes_that_a_processor_adds_are_not_cached(both: tuple[TracedEngine, TracedEngine]) -> None:
    ours, _ = both
    ours.provider.add_span_processor(CallCounter())
    run(ours.engine)
    counts = [dict(attributes)["count"] for _, _, attributes, *_ in ours.spans()]
    assert counts == list(range(1, 2 * len(STATEMENTS) + 1))
