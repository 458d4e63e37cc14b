"""SQL statements as spans, and the use of connections: what the stock instrumentation of SQLAlchemy makes of them.

It works out a statement's name and attributes each time, and counts four times for a connection that is lent. Here it
is asked once for each statement's text, and the connections are a tally.
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

from relate_telemetry.fast.span import LeanSpan
from relate_telemetry.metrics import Series

if TYPE_CHECKING:
    from sqlalchemy import Engine

KNOWN = 512  # statements of one engine; the store has some hundred, and those with lists have one for each length

SCOPE = "opentelemetry.instrumentation.sqlalchemy"


class Known(NamedTuple):
    """What the stock instrumentation made of a statement."""

    name: str
    attributes: Mapping[str, AnyValue]


class StatementTracer(EngineTracer):
    """Listens to an engine. The overridden name is the stock tracer's own, and tests watch it."""

    def __init__(self, tracer: Tracer, engine: "Engine", usage: "ConnectionUsage") -> None:
        self._known: dict[str, Known] = {}
        super().__init__(tracer, engine, usage)  # type: ignore[no-untyped-call] # has no annotations

    def _before_cur_exec(  # noqa: PLR0917 - SQLAlchemy's event
        self, conn: Any, cursor: Any, statement: str, params: Any, context: Any, executemany: bool
    ) -> Any:
        known = self._known.get(statement)
        if known is None or not is_instrumentation_enabled():
            answer = super()._before_cur_exec(conn, cursor, statement, params, context, executemany)  # type: ignore[no-untyped-call]
            self._learn(statement, getattr(context, "_otel_span", None))
            return answer
        context._otel_span = span = self.tracer.start_span(known.name, kind=SpanKind.CLIENT)
        span.set_attributes(known.attributes)
        return statement, params

    def _learn(self, statement: str, span: object) -> None:
        if isinstance(span, LeanSpan):  # of others, a processor may have added what was true only then
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[statement] = Known(span.name, dict(span.attributes or {}))


class ConnectionUsage:
    """`db.client.connections.usage`: the connections of all pools by state, read at each export."""

    def __init__(self, meters: MeterProvider) -> None:
        self._series: dict[tuple[object, ...], Series] = {}
        # Pools are used in the loop and in SQLite's threads. Reentrant: a garbage collection may close a connection.
        self._lock = threading.RLock()
        meters.get_meter(SCOPE).create_observable_up_down_counter(
            "db.client.connections.usage", [self._observe], "connections", "Connections by state"
        )

    def add(self, amount: int, attributes: dict[str, str]) -> None:
        """So many more in this pool and state."""
        with self._lock:
            label = tuple(attributes.values())
            series = self._series.get(label)
            if series is None:
                series = self._series[label] = Series(attributes)
            series.add(amount)

    def _observe(self, _: CallbackOptions) -> Iterator[Observation]:
        with self._lock:
            observed = [series.observe() for series in self._series.values()]
        return iter(observed)


# One for each provider: a second instrument of one name would not be read.
_usages: "WeakKeyDictionary[MeterProvider, ConnectionUsage]" = WeakKeyDictionary()


def trace_statements(engine: "Engine", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Make spans of an engine's statements, and count its connections."""
    usage = _usages.get(meters)
    if usage is None:
        usage = _usages[meters] = ConnectionUsage(meters)
    StatementTracer(tracers.get_tracer(SCOPE), engine, usage)
