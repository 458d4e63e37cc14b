"""Spans of SQL statements and the metric of connections, as the stock instrumentation of SQLAlchemy makes them.

The stock instrumentation computes a statement's name and attributes each time, and adds four times to a counter when a
connection is lent. Here it is called once per statement text, and connections are counted in integers.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import AnyValue

from relate_telemetry.fast.span import FastSpan
from relate_telemetry.metrics import ObservableSum
from relate_telemetry.sdk_internals import StatementHook, is_tested, set_statement_span, statement_span

if TYPE_CHECKING:
    from sqlalchemy import Engine

MAX_STATEMENTS = 512  # of one engine; the store has some hundred, and a statement with a list has a text per length

SCOPE = "opentelemetry.instrumentation.sqlalchemy"


class StatementSpan(NamedTuple):
    """Name and attributes that the stock instrumentation gave to the span of a statement."""

    name: str
    attributes: Mapping[str, AnyValue]


class StatementTracer(StatementHook, EngineTracer):
    """Starts the spans of an engine's statements."""

    def __init__(self, tracer: Tracer, engine: "Engine", usage: "ConnectionUsage") -> None:
        self._statements: dict[str, StatementSpan] = {}
        super().__init__(tracer, engine, usage)  # type: ignore[no-untyped-call] # has no annotations

    def before_execute(  # noqa: PLR0917 - SQLAlchemy's event
        self, conn: Any, cursor: Any, statement: str, params: Any, context: Any, executemany: bool
    ) -> Any:
        """Start the span of a statement."""
        cached = self._statements.get(statement)
        if cached is None or not is_instrumentation_enabled():
            answer = super().before_execute(conn, cursor, statement, params, context, executemany)
            self._cache(statement, statement_span(context))
            return answer
        span = self.tracer.start_span(cached.name, kind=SpanKind.CLIENT)
        set_statement_span(context, span)
        span.set_attributes(cached.attributes)
        return statement, params

    def _cache(self, statement: str, span: object) -> None:
        if isinstance(span, FastSpan):  # to another span, a processor may have added what is true of this one only
            if len(self._statements) >= MAX_STATEMENTS:
                self._statements.clear()
            self._statements[statement] = StatementSpan(span.name, dict(span.attributes or {}))


class ConnectionUsage:
    """`db.client.connections.usage`: the connections of all pools by state, read at each export."""

    def __init__(self, meters: MeterProvider) -> None:
        self._sums: dict[tuple[object, ...], ObservableSum] = {}
        # Pools are used in the loop and in SQLite's threads. Reentrant: a garbage collection may close a connection.
        self._lock = threading.RLock()
        meters.get_meter(SCOPE).create_observable_up_down_counter(
            "db.client.connections.usage", [self._observe], "connections", "Connections by state"
        )

    def add(self, amount: int, attributes: dict[str, str]) -> None:
        """Add to the connections in one pool and state."""
        with self._lock:
            label = tuple(attributes.values())
            total = self._sums.get(label)
            if total is None:
                total = self._sums[label] = ObservableSum(attributes)
            total.add(amount)

    def _observe(self, _: CallbackOptions) -> Iterator[Observation]:
        with self._lock:
            observed = [total.observe() for total in self._sums.values()]
        return iter(observed)


# One per provider, because a second instrument of the same name would not be exported.
_usages: "WeakKeyDictionary[MeterProvider, ConnectionUsage]" = WeakKeyDictionary()


def trace_statements(engine: "Engine", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an engine's statements and count its connections."""
    usage = _usages.get(meters)
    if usage is None:
        usage = _usages[meters] = ConnectionUsage(meters)
    tracer: Any = StatementTracer if is_tested() else EngineTracer
    tracer(tracers.get_tracer(SCOPE), engine, usage)
