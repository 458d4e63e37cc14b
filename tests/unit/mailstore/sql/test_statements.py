"""Statements that the driver executes: the same values and events as with SQLAlchemy's execution."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, bindparam, delete, event, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ids, one_of
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


async def test_values_equal_those_of_sqlalchemy(database: Database) -> None:
    message_id = uuid4()
    row = {"id": message_id, "part": 0, "octets": b"\0\xff"}
    await database.transact(lambda connection: connection.execute(insert(blobs), row))
    parameters = {"wanted": [message_id, uuid4()]}
    (found,) = await database.fetch(_FIND, parameters)
    (composed,) = await database.fetch_composed(_FIND, parameters)
    assert (found.id, found.octets, found.seven) == tuple(composed) == (message_id, b"\0\xff", 7)
    assert await database.fetch(_FIND, {**parameters, "part": 1}) == []


async def test_missing_parameter_raises_key_error(database: Database) -> None:
    with pytest.raises(KeyError, match="wanted"):
        await database.fetch(_FIND, {})


async def test_event_listeners_are_called_for_success_and_failure(engine: AsyncEngine, database: Database) -> None:
    events: list[tuple[str, Any]] = []

    def begin(*call: Any) -> None:
        _, _, statement, _, context, _ = call
        context.begun = statement

    def end(*call: Any) -> None:
        events.append(("end", call[4].begun))

    def fail(failure: Any) -> None:
        events.append(("error", failure.execution_context.begun))

    await database.fetch(_FIND, {"wanted": []})
    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
    await database.fetch(_FIND, {"wanted": []})
    with pytest.raises(StoreUnavailable):
        await database.fetch(_MISSPELT, {})
    statement = compile_statement(engine.dialect, _FIND).text
    assert events == [("end", statement), ("error", _MISSPELT.text)]


async def test_statement_whose_text_depends_on_parameters_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(ValueError, match="a list as one parameter"):
        compile_statement(engine.dialect, select(blobs.c.id).where(blobs.c.id.in_(bindparam("several"))))


async def test_run_without_a_transaction_raises(engine: AsyncEngine) -> None:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        with pytest.raises(RuntimeError, match="no transaction"):
            await connection.run_sync(lambda connection: run(connection, _FIND, {"wanted": []}))


async def test_a_transaction_begins_before_its_first_statement(database: Database) -> None:
    assert await database.transact(lambda connection: run(connection, _FIND, {"wanted": []})) == []


async def test_driver_and_sqlalchemy_share_a_transaction(
    database: Database,
) -> None:
    by_driver, by_sqlalchemy = ({"id": uuid4(), "part": 0, "octets": octets} for octets in (b"driver", b"sqlalchemy"))

    def work(connection: Connection) -> tuple[list[Any], int]:
        connection.execute(insert(blobs), by_sqlalchemy)
        run_many(connection, _ADD, [by_driver])
        ids = [by_driver["id"], by_sqlalchemy["id"]]
        return run(connection, _FIND, {"wanted": ids}), connection.execute(_REMOVE).rowcount

    found, removed = await database.transact(work)
    assert ({row.octets for row in found}, removed) == ({b"driver", b"sqlalchemy"}, 2)
