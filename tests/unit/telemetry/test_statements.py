"""Spans of SQL statements and of transactions, and the metric of connections, on both pipelines."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, Table, create_engine, event, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.exc import CompileError, IntegrityError, UnsupportedCompilationError
from sqlalchemy.ext.asyncio import AsyncEngine

import relate_accounts
import relate_mailstore.sql
from relate_accounts import schema
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.driver.statements import run_text
from relate_mailstore.sql.schema import tables
from relate_telemetry import statements
from relate_telemetry.providers import Pipeline
from relate_telemetry.statements import SCOPE, StatementTracer, summarize
from relate_telemetry.telemetry import Telemetry
from tests.support.databases import (
    database_url,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry

__all__ = ["database_url", "postgres_server", "postgres_template", "postgres_url", "sqlite_template", "sqlite_url"]

DIALECTS: Mapping[str, Any] = {
    "postgresql": PGDialect_asyncpg(),  # type: ignore[no-untyped-call] # has no annotations
    "sqlite": SQLiteDialect_aiosqlite(),
}
# Those that the metadata lacks: of SQLite, of PostgreSQL and its partitions, and of Alembic.
OTHER_TABLES = {"alembic_version", "message_events_rest", "pg_inherits", "sqlite_master", "texts_trigrams"}
TABLES = {*tables.metadata.tables, *schema.metadata.tables} | OTHER_TABLES
SECRET = "hunter2"

# --- summaries


def find_statements() -> Iterator[tuple[str, str, Any]]:
    """The statements that are constants of the stores' modules: where they are, and the dialects that they are for."""
    for package in (relate_mailstore.sql, relate_accounts):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(import_module(module.name)).items():
                for key, one in value.items() if isinstance(value, dict) else [((), value)]:
                    keys = key if isinstance(key, tuple) else (key,)
                    if isinstance(one, Executable) and not isinstance(one, Table):
                        for dialect in DIALECTS.keys() & keys or DIALECTS:
                            yield f"{module.name}.{name} {key} {dialect}", dialect, one


def compile_all() -> Iterator[tuple[str, str]]:
    for where, dialect, statement in find_statements():
        try:
            compiled = str(statement.compile(dialect=DIALECTS[dialect]))
        except (CompileError, UnsupportedCompilationError):  # of the other database
            continue
        if compiled.lstrip().split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            yield where, compiled


STATEMENTS = dict(compile_all())


@pytest.mark.parametrize("where", STATEMENTS)
def test_the_summary_of_each_statement_names_its_tables(where: str) -> None:
    statement = STATEMENTS[where]
    summary = summarize(statement)
    qualified = {word.rpartition(" ")[2].rpartition("(")[2] for word in statement.split(".")} & TABLES
    if summary.operation == "SELECT":
        assert set(summary.tables) >= qualified
        assert set(summary.tables) <= TABLES
    else:
        assert summary.operation in {"INSERT", "UPDATE", "DELETE"}
        assert len(summary.tables) == 1
        assert summary.tables[0] in TABLES


def test_many_statements_were_found() -> None:
    assert len(STATEMENTS) > 150


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("INSERT INTO entries (uid, flags) VALUES (?, ?)", "INSERT entries"),
        ("SELECT mailboxes.id FROM mailboxes WHERE mailboxes.name = $1 FOR UPDATE OF mailboxes", "SELECT mailboxes"),
        ("SELECT 1 FROM users FOR UPDATE", "SELECT users"),
        ("INSERT INTO texts (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = excluded.a", "INSERT texts"),
        ("WITH old AS (SELECT id FROM blobs) DELETE FROM messages USING old RETURNING id", "DELETE messages"),
        (
            "WITH a AS MATERIALIZED (SELECT id FROM mailboxes), b AS (UPDATE entries SET flags = 1 FROM a) SELECT b",
            "UPDATE entries",
        ),
        ("WITH RECURSIVE tree AS (SELECT a FROM messages) SELECT a FROM tree", "SELECT messages"),
        ("\n    SELECT key, pg_advisory_unlock($1, key) FROM unnest($2::int[]) AS key", "SELECT"),
        ("SELECT a IS DISTINCT FROM b, c FROM entries JOIN messages ON true", "SELECT entries messages"),
        ('/* a hint */ select e.uid from "entries" e', "SELECT entries"),
        ("DELETE FROM untexted WHERE a = ? RETURNING message_id", "DELETE untexted"),
        ("BEGIN IMMEDIATE", "BEGIN"),
        ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA"),
        ('LISTEN "relate_mail"', "LISTEN"),
        ("SET LOCAL synchronous_commit TO off", "SET"),
        ("CREATE TRIGGER t AFTER INSERT ON messages BEGIN INSERT INTO untexted SELECT 1 FROM messages; END", "CREATE"),
    ],
)
def test_a_summary_is_the_operation_and_its_tables(statement: str, summary: str) -> None:
    assert str(summarize(statement)) == summary


def test_a_summary_has_at_most_255_characters() -> None:
    joins = " ".join(f"JOIN table_with_a_long_name_{number} ON true" for number in range(50))
    assert len(str(summarize(f"SELECT 1 FROM entries {joins}"))) == 255


# --- spans


class Traced:
    """An engine that is traced, with what was recorded."""

    def __init__(self, engine: AsyncEngine, telemetry: Telemetry, recorder: Recorder) -> None:
        self.engine = engine
        self.telemetry = telemetry
        self.recorder = recorder

    def spans(self, name: str | None = None) -> list[ReceivedSpan]:
        return [span for span in self.recorder.spans(name) if span.scope == SCOPE]

    def names(self) -> list[str]:
        return [span.name for span in self.spans()]


@asynccontextmanager
async def traced_engine(url: str, pipeline: Pipeline) -> AsyncIterator[Traced]:
    telemetry, recorder = recording_telemetry(pipeline=pipeline)
    engine = open_engine(url)
    async with engine.connect():  # SQLAlchemy examines the first connection
        pass
    await engine.dispose()
    telemetry.instrument_engine(engine)
    telemetry.instrument_engine(engine)  # has no effect
    try:
        yield Traced(engine, telemetry, recorder)
    finally:
        await engine.dispose()
        telemetry.shutdown()


@pytest.fixture(params=["fast", "sdk"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    chosen: Pipeline = request.param
    return chosen


@pytest.fixture
async def traced(database_url: str, pipeline: Pipeline) -> AsyncIterator[Traced]:
    async with traced_engine(database_url, pipeline) as traced:
        yield traced


@pytest.fixture
async def on_sqlite(sqlite_url: str, pipeline: Pipeline) -> AsyncIterator[Traced]:
    async with traced_engine(sqlite_url, pipeline) as traced:
        yield traced


ADD_SECRET = text("INSERT INTO secrets (name, value) VALUES (:name, :value)")


async def add_secret(traced: Traced, name: str = SECRET) -> None:
    async with traced.engine.begin() as connection:
        await connection.execute(ADD_SECRET, {"name": name, "value": b"x"})


async def test_a_transaction_has_spans_from_begin_to_commit(traced: Traced) -> None:
    with traced.telemetry.operations("api").operation("api.change"):
        await add_secret(traced)
    parent = traced.recorder.span("api.change")
    assert traced.names() == ["BEGIN", "INSERT secrets", "COMMIT"]
    for span in traced.spans():
        assert (span.parent_id, span.trace_id) == (parent.span_id, parent.trace_id)
        assert (span.kind, span.status) == ("CLIENT", "UNSET")
    begin, insert, commit = traced.spans()
    assert parent.start <= begin.start <= begin.end <= insert.start <= insert.end <= commit.start <= commit.end


async def test_attributes_are_those_of_the_semantic_conventions_without_values(traced: Traced) -> None:
    await add_secret(traced)
    (span,) = traced.spans("INSERT secrets")
    own = {key: value for key, value in span.attributes.items() if key not in {"db.query.text", "db.namespace"}}
    system = traced.engine.dialect.name
    where = {"server.address": span.attributes["server.address"]} if "server.address" in own else {}
    port = {"server.port": span.attributes["server.port"]} if "server.port" in own else {}
    assert own == {
        "db.system.name": system,
        "db.operation.name": "INSERT",
        "db.query.summary": "INSERT secrets",
        "db.collection.name": "secrets",
        **where,
        **port,
    }
    assert span.attributes["db.query.text"].startswith("INSERT INTO secrets (name, value) VALUES (")
    assert SECRET not in traced.recorder.everything()


async def test_spans_of_sqlite_do_not_tell_the_path_of_the_file(on_sqlite: Traced) -> None:
    await add_secret(on_sqlite)
    assert str(on_sqlite.engine.url.database) not in on_sqlite.recorder.everything()


async def test_a_failed_statement_tells_its_error_and_the_rollback(traced: Traced) -> None:
    await add_secret(traced)
    with pytest.raises(IntegrityError):
        await add_secret(traced)
    failed = traced.spans("INSERT secrets")[1]
    kind, code = {
        "postgresql": ("asyncpg.exceptions.UniqueViolationError", "23505"),
        "sqlite": ("sqlite3.IntegrityError", "SQLITE_CONSTRAINT_PRIMARYKEY"),
    }[traced.engine.dialect.name]
    assert failed.attributes["exception.type"] == failed.attributes["error.type"] == kind
    assert failed.attributes["db.response.status_code"] == code
    assert (failed.status, failed.description) == ("ERROR", kind)
    assert traced.names()[-3:] == ["BEGIN", "INSERT secrets", "ROLLBACK"]
    assert SECRET not in traced.recorder.everything()


async def test_a_failed_statement_of_the_driver_tells_its_error(traced: Traced) -> None:
    database = Database(traced.engine)
    with pytest.raises(StoreUnavailable):
        await database.fetch(text("SELECT octets FROM blob"), {})
    await database.close()
    (failed,) = traced.spans("SELECT blob")
    assert failed.status == "ERROR"
    assert failed.attributes["db.response.status_code"] in {"42P01", "SQLITE_ERROR"}


async def test_a_failed_commit_is_an_error(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: object) -> None:
        raise TimeoutError(SECRET)

    engine = create_engine("sqlite://")
    monkeypatch.setattr(engine.dialect, "do_commit", fail)
    StatementTracer(traced.telemetry.tracer_provider.get_tracer(SCOPE), engine)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER)"))
        connection.execute(text("INSERT INTO numbers VALUES (7)"))
        with pytest.raises(TimeoutError):
            connection.commit()
    (commit,) = traced.spans("COMMIT")
    assert (commit.status, commit.attributes["exception.type"]) == ("ERROR", "TimeoutError")
    assert SECRET not in traced.recorder.everything()


@pytest.mark.postgres
async def test_a_cancelled_statement_is_no_failure(postgres_url: str, pipeline: Pipeline) -> None:
    async with traced_engine(postgres_url, pipeline) as traced, traced.engine.connect() as connection:
        running = asyncio.create_task(connection.execute(text("SELECT pg_sleep(60)")))
        async with traced.engine.connect() as other:
            asleep = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
            while not await other.scalar(asleep):
                await asyncio.sleep(0)
                await other.rollback()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (span,) = [one for one in traced.spans() if "pg_sleep(60)" in one.attributes["db.query.text"]]
        assert span.status == "UNSET"
        assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"


async def test_a_transaction_of_the_store_has_its_caller_as_parent_in_each_thread(traced: Traced) -> None:
    database = Database(traced.engine)

    def work(connection: Connection) -> None:
        run_text(connection, "SELECT 7")

    async def change(number: int) -> None:
        with traced.telemetry.operations("api").operation(f"api.change_{number}"):
            await database.transact(work, durable=number % 2 == 0)

    await asyncio.gather(*(change(number) for number in range(4)))
    await database.close()
    for number in range(4):
        parent = traced.recorder.span(f"api.change_{number}")
        children = [span for span in traced.spans() if span.parent_id == parent.span_id]
        assert [span.name for span in children if span.name != "PRAGMA"] == ["BEGIN", "SELECT", "COMMIT"]
    assert all(span.parent_id for span in traced.spans())


async def test_reads_in_autocommit_have_no_spans_of_a_transaction(traced: Traced) -> None:
    database = Database(traced.engine)
    await database.fetch(text("SELECT 7"), {})
    await database.fetch_inline(text("SELECT 8"), {})
    await database.fetch_composed(text("SELECT 9"), {})
    await database.close()
    assert traced.names() == ["SELECT", "SELECT", "SELECT"]


async def test_one_span_for_many_rows(traced: Traced) -> None:
    async with traced.engine.begin() as connection:
        await connection.execute(ADD_SECRET, [{"name": str(number), "value": b"x"} for number in range(3)])
    assert traced.names() == ["BEGIN", "INSERT secrets", "COMMIT"]


async def test_a_poll_is_not_traced(traced: Traced) -> None:
    background = traced.telemetry.background()
    with background.poll():
        await add_secret(traced, "first")
    assert traced.names() == []
    with background.work("mailstore.upkeep.texts"):
        await add_secret(traced, "second")
    root = traced.recorder.span("mailstore.upkeep.texts")
    assert (root.parent_id, root.kind, root.scope) == ("", "INTERNAL", "Relate.Store")
    assert {span.parent_id for span in traced.spans()} == {root.span_id}


async def test_statements_continue_to_be_traced_after_the_engine_is_disposed(traced: Traced) -> None:
    await add_secret(traced, "first")
    await traced.engine.dispose()
    await add_secret(traced, "second")
    assert traced.names().count("INSERT secrets") == 2


def usage(traced: Traced) -> Mapping[str, float]:
    points = traced.recorder.metric("db.client.connections.usage")
    assert {(point.kind, point.unit, point.scope) for point in points} == {("updowncounter", "connections", SCOPE)}
    return {point.attributes["state"]: point.value for point in points}


async def test_connections_are_counted_by_state(on_sqlite: Traced) -> None:
    async with on_sqlite.engine.connect(), on_sqlite.engine.connect() as second:
        assert usage(on_sqlite)["used"] == 2
        await second.invalidate()
    assert usage(on_sqlite) == {"used": 0, "idle": 1}
    await on_sqlite.engine.dispose()
    assert usage(on_sqlite) == {"used": 0, "idle": 0}


async def test_an_engine_that_is_traced_already_is_left_alone(sqlite_url: str, pipeline: Pipeline) -> None:
    def listen(*arguments: object) -> tuple[object, object]:
        return arguments[2], arguments[3]  # statement and parameters

    listen.__module__ = "opentelemetry.instrumentation.sqlalchemy.engine"
    telemetry, recorder = recording_telemetry(pipeline=pipeline)
    engine = open_engine(sqlite_url)
    event.listen(engine.sync_engine, "before_cursor_execute", listen, retval=True)
    telemetry.instrument_engine(engine)
    async with engine.begin() as connection:
        await connection.execute(text("SELECT 7"))
    await engine.dispose()
    assert recorder.spans() == []


def test_the_cache_of_statements_is_bounded(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MAX_STATEMENTS", 3)
    telemetry, recorder = recording_telemetry(pipeline=pipeline)
    engine = create_engine("sqlite://")
    tracer = StatementTracer(telemetry.tracer_provider.get_tracer(SCOPE), engine)
    with engine.connect() as connection:
        for number in range(10):
            connection.execute(text(f"select {number}"))
            assert 0 < len(tracer._statements) <= 3
    engine.dispose()
    assert len(recorder.spans("SELECT")) == 10
