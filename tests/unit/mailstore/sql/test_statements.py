"""Reads that go to the driver itself: the same values as through SQLAlchemy, and its listeners hear of them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, bindparam, delete, event, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.driver.statements import compile_statement, run, run_many
from relate_mailstore.sql.schema.tables import blobs

_FIND = select(blobs.c.id, blobs.c.octets, literal(7).label("seven")).where(
    one_of(blobs.c.id, ids("wanted")), blobs.c.part == bindparam("part", 0)
)
_ADD = insert(blobs)
_REMOVE = delete(blobs)
_MISSPELT = text("SELECT octets FROM blob")


@pytest.fixture
async def database(engine: AsyncEngine) -> AsyncIterator[Database]:
    database = Database(engine)
    yield database
    await database.close()


async def test_values_are_what_sqlalchemy_makes_of_them(database: Database) -> None:
    message_id = uuid4()
    row = {"id": message_id, "part": 0, "octets": b"\0\xff"}
    await database.transact(lambda connection: connection.execute(insert(blobs), row))
    parameters = {"wanted": [message_id, uuid4()]}
    (found,) = await database.fetch(_FIND, parameters)
    (composed,) = await database.fetch_composed(_FIND, parameters)
    assert (found.id, found.octets, found.seven) == tuple(composed) == (message_id, b"\0\xff", 7)
    assert await database.fetch(_FIND, {**parameters, "part": 1}) == []


async def test_a_parameter_that_is_missing_is_a_mistake(database: Database) -> None:
    with pytest.raises(KeyError, match="wanted"):
        await database.fetch(_FIND, {})


async def test_listeners_hear_of_what_was_read_and_of_what_failed(engine: AsyncEngine, database: Database) -> None:
    told: list[tuple[str, Any]] = []

    def begin(*call: Any) -> None:
        _, _, statement, _, context, _ = call
        context.begun = statement

    def end(*call: Any) -> None:
        told.append(("read", call[4].begun))

    def fail(failure: Any) -> None:
        told.append(("failed", failure.execution_context.begun))

    await database.fetch(_FIND, {"wanted": []})
    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
    await database.fetch(_FIND, {"wanted": []})
    with pytest.raises(StoreUnavailable):
        await database.fetch(_MISSPELT, {})
    statement = compile_statement(engine.dialect, _FIND).text
    assert told == [("read", statement), ("failed", _MISSPELT.text)]


async def test_a_text_that_depends_on_the_parameters_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(ValueError, match="a list as one parameter"):
        compile_statement(engine.dialect, select(blobs.c.id).where(blobs.c.id.in_(bindparam("several"))))


@pytest.mark.postgres  # on SQLite the transaction has begun by then
async def test_what_is_run_before_a_transaction_begins_is_a_mistake(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    with pytest.raises(RuntimeError, match="no transaction"):
        await Database(engine).transact(lambda connection: run(connection, _FIND, {"wanted": []}))
    await engine.dispose()


async def test_the_driver_and_sqlalchemy_share_a_transaction(
    database: Database,
) -> None:
    mine, theirs = ({"id": uuid4(), "part": 0, "octets": octets} for octets in (b"mine", b"theirs"))

    def work(connection: Connection) -> tuple[list[Any], int]:
        connection.execute(insert(blobs), theirs)
        run_many(connection, _ADD, [mine])
        return run(connection, _FIND, {"wanted": [mine["id"], theirs["id"]]}), connection.execute(_REMOVE).rowcount

    found, removed = await database.transact(work)
    assert ({row.octets for row in found}, removed) == ({b"mine", b"theirs"}, 2)
