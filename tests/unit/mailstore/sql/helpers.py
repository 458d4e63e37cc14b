"""A second store with its own engine, like that of another process; the statements that an engine executes; a plan."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mime import MessageIndex, index_message


@asynccontextmanager
async def opened_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine that is always disposed of: the event loop cannot close while connections are open."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def opened(
    url: str, index: Callable[[bytes], MessageIndex] = index_message
) -> AsyncIterator[tuple[AsyncEngine, SqlMailStore]]:
    """A store and its engine."""
    async with opened_engine(url) as engine, open_store(engine, index) as store:
        yield engine, store


ROUND_TRIP = "SELECT"


class Statements(list[str]):
    """The texts of the statements that are executed in the `with` block, as an event listener receives them.

    Without those of the side connection's round trips, which read nothing.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self._engine = engine.sync_engine

    def __enter__(self) -> "Statements":
        event.listen(self._engine, "before_cursor_execute", self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        event.remove(self._engine, "before_cursor_execute", self._record)

    def _record(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement != ROUND_TRIP:
            self.append(statement)


class Explained:
    """The only statement that an engine executes in the `with` block, and its plan."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._statement: tuple[str, Any] | None = None

    def __enter__(self) -> "Explained":
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        event.remove(self._engine.sync_engine, "before_cursor_execute", self._record)

    def _record(self, connection: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        if statement != ROUND_TRIP:
            assert self._statement is None, "several statements"
            self._statement = statement, parameters

    async def plan(self) -> list[str]:
        """The steps of the plan, each in a line."""
        assert self._statement is not None, "no statement"
        text, parameters = self._statement
        explain = "EXPLAIN QUERY PLAN" if self._engine.dialect.name == "sqlite" else "EXPLAIN"
        async with self._engine.connect() as connection:
            if explain == "EXPLAIN":  # an empty table is scanned, whatever indexes it has
                await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            return [str(row) for row in (await connection.exec_driver_sql(f"{explain} {text}", parameters)).all()]
