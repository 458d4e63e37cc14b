"""Spans of SQL statements and of commits, and the metric of connections, by the events of SQLAlchemy.

A statement's name and attributes are found once per text. Parameters are values of mail, so they are never emitted.
The names are those of OpenTelemetry's semantic conventions for databases.
"""

import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.semconv.attributes.db_attributes import (
    DB_COLLECTION_NAME,
    DB_NAMESPACE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_RESPONSE_STATUS_CODE,
    DB_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_TYPE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
)
from opentelemetry.util.types import AttributeValue
from sqlalchemy import event

from relate_telemetry.background import Poll
from relate_telemetry.redaction import database_state, exception_type
from relate_telemetry.sdk_internals import SPAN_KEY, current_context
from relate_telemetry.spans import SpanTemplate, make_template

if TYPE_CHECKING:
    from sqlalchemy import Engine

MAX_STATEMENTS = 512  # of one engine; the store has some hundred, and a statement with a list has a text per length
MAX_SUMMARY_CHARACTERS = 255

SCOPE = "Relate.Sql"

_SPACE = re.compile(r"\s+")
_COMMENT = re.compile(r"/\*.*?\*/")
_WITH = re.compile(r"\b(\w+) AS (?:(?:NOT )?MATERIALIZED )?\(", re.IGNORECASE)
# A keyword and the table after it; not the clauses in which a keyword means something else, nor a function.
_TABLE = re.compile(
    r"(?<!\bDISTINCT )(?<!\bDO )(?<!\bFOR )\b"
    r"(?:(INSERT INTO|DELETE FROM|UPDATE) \"?(\w+)|(FROM|JOIN) \"?(\w+)\b(?!\"? ?\())",
    re.IGNORECASE,
)
_WRITES = {"INSERT INTO": "INSERT", "DELETE FROM": "DELETE", "UPDATE": "UPDATE"}
_WITH_TABLES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})  # others are named by their first word


class Summary(NamedTuple):
    """The operation, and the tables that it names: `INSERT entries`."""

    operation: str
    tables: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.operation, *self.tables))[:MAX_SUMMARY_CHARACTERS]


def summarize(statement: str) -> Summary:
    """The summary of a statement: of one that writes, the first write; else the tables that it reads."""
    text = _SPACE.sub(" ", _COMMENT.sub(" ", statement)).strip()
    first = text.partition(" ")[0].upper()
    if first not in _WITH_TABLES:
        return Summary(first, ())
    tables: dict[str, None] = {}
    common = {name.lower() for name in _WITH.findall(text)}
    for write, written, _, read in _TABLE.findall(text):
        if write:
            return Summary(_WRITES[write.upper()], (written,))
        if read.lower() not in common:
            tables[read] = None
    return Summary("SELECT", tuple(tables))


class StatementTracer:
    """Starts and ends the spans of an engine's statements."""

    def __init__(self, tracer: Tracer, engine: "Engine") -> None:
        self._tracer = tracer
        self._database = _database_attributes(engine)
        self._statements: dict[str, SpanTemplate] = {}
        event.listen(engine, "before_cursor_execute", self._start)
        event.listen(engine, "after_cursor_execute", _end)
        event.listen(engine, "handle_error", _fail)
        dialect: Any = engine.dialect
        dialect.do_commit = self._traced("COMMIT", dialect.do_commit)
        dialect.do_rollback = self._traced("ROLLBACK", dialect.do_rollback)

    def _start(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:  # noqa: PLR0917 - SQLAlchemy's event
        template = self._statements.get(statement) or self._add(statement)
        context.relate_span = INVALID_SPAN if _is_polling() else template.start_here()

    def _add(self, statement: str) -> SpanTemplate:
        if len(self._statements) >= MAX_STATEMENTS:
            self._statements.clear()
        template = self._statements[statement] = self._make_template(statement)
        return template

    def _make_template(self, statement: str) -> SpanTemplate:
        summary = summarize(statement)
        attributes: dict[str, AttributeValue] = {
            **self._database,
            DB_OPERATION_NAME: summary.operation,
            DB_QUERY_SUMMARY: str(summary),
            DB_QUERY_TEXT: statement,
        }
        if len(summary.tables) == 1:
            attributes[DB_COLLECTION_NAME] = summary.tables[0]
        return make_template(self._tracer, str(summary), SpanKind.CLIENT, attributes)

    def _traced(self, statement: str, call: Callable[[Any], None]) -> Callable[[Any], None]:
        """A method of SQLAlchemy's dialect that ends a transaction, in a span if there is one to end."""
        template = self._make_template(statement)

        def traced(connection: Any) -> None:
            # SQLAlchemy rolls back every connection that the pool gets back.
            if not _is_in_transaction(connection) or _is_polling():
                call(connection)
                return
            span = template.start_here()
            try:
                call(connection)
            except BaseException as error:
                _mark_failed(span, error)
                raise
            finally:
                span.end()

        return traced


def _is_polling() -> bool:
    return type(current_context().get(SPAN_KEY)) is Poll


def _end(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:  # noqa: PLR0917 - SQLAlchemy's event
    if (span := _take_span(context)) is not None:
        span.end()


def _fail(failure: Any) -> None:
    context = failure.execution_context
    if context is not None and (span := _take_span(context)) is not None:
        _mark_failed(span, failure.original_exception)
        span.end()


def _is_in_transaction(connection: Any) -> bool:
    """Whether the driver's connection is in a transaction, by the API of asyncpg or of sqlite3."""
    inner = connection.dbapi_connection
    driver = getattr(inner, "driver_connection", inner)
    ask = getattr(driver, "is_in_transaction", None)
    return bool(ask() if ask else getattr(driver, "in_transaction", True))


def _take_span(context: Any) -> Span | None:
    """The span of a context, which is removed, because one context may serve several executions."""
    span: Span | None = vars(context).pop("relate_span", None)
    return span


def _mark_failed(span: Span, error: BaseException) -> None:
    """Record the driver's exception, without its message, which quotes values. A cancellation is no failure."""
    kind = exception_type(_of_driver(error))
    if not isinstance(error, Exception):
        span.set_attribute(ERROR_TYPE, kind)
        return
    span.set_attributes({ERROR_TYPE: kind, EXCEPTION_TYPE: kind})
    if state := database_state(error):
        span.set_attribute(DB_RESPONSE_STATUS_CODE, state)
    span.set_status(Status(StatusCode.ERROR, kind))


def _of_driver(error: BaseException) -> BaseException:
    """The driver's own exception: SQLAlchemy's adapter of asyncpg wraps it."""
    while exception_type(error).startswith("sqlalchemy.") and error.__cause__ is not None:
        error = error.__cause__
    return error


def _database_attributes(engine: "Engine") -> dict[str, AttributeValue]:
    """The database of an engine; of SQLite not its file, whose path is the operator's."""
    url, system = engine.url, engine.dialect.name
    attributes: dict[str, AttributeValue] = {DB_SYSTEM_NAME: system}
    if system != "sqlite":
        given = {DB_NAMESPACE: url.database, SERVER_ADDRESS: url.host, SERVER_PORT: url.port}
        attributes |= {key: value for key, value in given.items() if value}
    return attributes


class ConnectionUsage:
    """`db.client.connections.usage`: the connections of all pools by state, read at each export."""

    def __init__(self, meters: MeterProvider) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        # Pools are used in the loop and in SQLite's threads. Reentrant: a garbage collection may close a connection.
        self._lock = threading.RLock()
        meters.get_meter(SCOPE).create_observable_up_down_counter(
            "db.client.connections.usage", [self._observe], "connections", "Connections by state"
        )

    def count(self, engine: "Engine") -> None:
        """Count the connections of an engine from now on."""
        pool = f"{engine.dialect.name}:{engine.url.database or ''}" if engine.dialect.name != "sqlite" else "sqlite"
        event.listen(engine, "connect", lambda *_: self._add(pool, idle=1))
        event.listen(engine, "close", lambda *_: self._add(pool, idle=-1))
        event.listen(engine, "checkout", lambda *_: self._add(pool, idle=-1, used=1))
        event.listen(engine, "checkin", lambda *_: self._add(pool, idle=1, used=-1))

    def _add(self, pool: str, **changes: int) -> None:
        with self._lock:
            for state, change in changes.items():
                self._counts[pool, state] = self._counts.get((pool, state), 0) + change

    def _observe(self, _: CallbackOptions) -> Iterator[Observation]:
        with self._lock:
            counts = dict(self._counts)
        return (Observation(count, {"pool.name": pool, "state": state}) for (pool, state), count in counts.items())


# One per provider, because a second instrument of the same name would not be exported.
_usages: "WeakKeyDictionary[MeterProvider, ConnectionUsage]" = WeakKeyDictionary()


def trace_statements(engine: "Engine", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an engine's statements and count its connections."""
    usage = _usages.get(meters)
    if usage is None:
        usage = _usages[meters] = ConnectionUsage(meters)
    usage.count(engine)
    StatementTracer(tracers.get_tracer(SCOPE), engine)
