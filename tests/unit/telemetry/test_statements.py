"""Statements are told, and connections counted, as the stock instrumentation of SQLAlchemy does it."""

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
from sqlalchemy import Engine, QueuePool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from relate_telemetry.fast import statements
from relate_telemetry.fast.span import LeanProvider
from relate_telemetry.fast.statements import SCOPE, ConnectionUsage, StatementTracer, trace_statements

Trace = Callable[[Engine, TracerProvider, MeterProvider], object]
POSTGRES = "postgresql+asyncpg://mail:hunter2@db.test:5433/relate"


@pytest.fixture(autouse=True, params=["database,http", "database/dup", ""])
def conventions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    monkeypatch.setattr(Stability, "_initialized", False)


def trace_by_the_stock(engine: Engine, tracers: TracerProvider, meters: MeterProvider) -> object:
    usage = meters.get_meter(SCOPE).create_up_down_counter(
        "db.client.connections.usage", "connections", "Connections by state"
    )
    return EngineTracer(tracers.get_tracer(SCOPE), engine, usage)  # type: ignore[no-untyped-call]


class Seen:
    """An engine that is traced, and what came of it."""

    def __init__(self, trace: Trace, provider: TracerProvider, url: str = "sqlite://") -> None:
        self.memory, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = provider
        provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.engine = create_engine(url, poolclass=QueuePool) if "sqlite" in url else create_engine(url)
        trace(self.engine, provider, MeterProvider([self.reader], shutdown_on_exit=False))

    def told(self) -> list[Any]:
        return [tell(span) for span in self.memory.get_finished_spans()]

    def usage(self) -> dict[str, float]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        (metric,) = scope.metrics
        assert (scope.scope.name, metric.name, metric.unit) == (SCOPE, "db.client.connections.usage", "connections")
        assert type(metric.data).__name__ == "Sum"
        assert not metric.data.is_monotonic  # type: ignore[union-attr]
        return {str(sorted((point.attributes or {}).items())): point.value for point in metric.data.data_points}  # type: ignore[union-attr]


def tell(span: ReadableSpan) -> Any:
    scope = span.instrumentation_scope
    return span.name, span.kind, list((span.attributes or {}).items()), span.status.status_code, scope and scope.name


@pytest.fixture
def both() -> Iterator[tuple[Seen, Seen]]:
    ours = Seen(trace_statements, LeanProvider(ALWAYS_ON, Resource({})))
    stock = Seen(trace_by_the_stock, TracerProvider(shutdown_on_exit=False))
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


def test_statements_are_told_as_the_stock_instrumentation_tells_them(both: tuple[Seen, Seen]) -> None:
    ours, stock = both
    run(ours.engine)
    run(stock.engine)
    assert ours.told() == stock.told()
    assert len(ours.told()) == 2 * len(STATEMENTS)


def test_connections_are_counted_as_the_stock_instrumentation_counts_them(both: tuple[Seen, Seen]) -> None:
    ours, stock = both
    for seen in both:
        with seen.engine.connect(), seen.engine.connect():
            pass
        lent = seen.engine.connect()
        seen.used = seen.usage()  # type: ignore[attr-defined]
        lent.close()
    assert ours.used == stock.used  # type: ignore[attr-defined]
    assert sorted(ours.usage().values()) == [0, 2]
    assert ours.usage() == stock.usage()


def test_postgresql_is_told_with_host_and_port(both: tuple[Seen, Seen]) -> None:
    engine = create_engine(POSTGRES)
    told = []
    for tracer_type, seen in zip((StatementTracer, EngineTracer), both, strict=True):
        tracer: Any = tracer_type(seen.provider.get_tracer(SCOPE), engine, None)
        for _ in range(2):
            context = SimpleNamespace()
            tracer._before_cur_exec(SimpleNamespace(engine=engine), object(), "SELECT 1", (), context, False)
            context._otel_span.end()
        told.append(seen.told())
    assert told[0] == told[1]
    name, _, attributes, *_ = told[0][1]
    assert name == "SELECT"
    assert {"db.test", 5433, "relate", "SELECT 1", "postgresql"} <= set(dict(attributes).values())
    assert "hunter2" not in str(told)


def test_suppressed_it_tells_nothing(both: tuple[Seen, Seen]) -> None:
    ours, _ = both
    run(ours.engine)
    before = len(ours.told())
    with suppress_instrumentation():
        run(ours.engine)
    assert len(ours.told()) == before


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "KNOWN", 3)
    engine = create_engine("sqlite://")
    tracers = LeanProvider(ALWAYS_ON, Resource({}))
    tracer = StatementTracer(tracers.get_tracer(SCOPE), engine, ConnectionUsage(MeterProvider(shutdown_on_exit=False)))
    with engine.connect() as connection:
        for number in range(10):
            connection.execute(text(f"select {number}"))
            assert 0 < len(tracer._known) <= 3
    engine.dispose()


class Stamp(SpanProcessor):
    """A processor of somebody's that adds what is true only now."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.count += 1
        span.set_attribute("count", self.count)


def test_what_a_processor_adds_to_one_statement_is_not_told_of_the_next(both: tuple[Seen, Seen]) -> None:
    ours, _ = both
    ours.provider.add_span_processor(Stamp())
    run(ours.engine)
    counts = [dict(attributes)["count"] for _, _, attributes, *_ in ours.told()]
    assert counts == list(range(1, 2 * len(STATEMENTS) + 1))
