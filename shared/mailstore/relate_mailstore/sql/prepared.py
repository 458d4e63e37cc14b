"""SELECTs handed to the driver itself: what SQLAlchemy does for each execution costs four times what the driver does.

SQLAlchemy writes them all the same, once for a dialect, and lends the connections; and its listeners are told of each
execution as it tells them itself, so that a statement is traced whichever way it goes.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from relate_mailstore.sql.dialects import POSTGRESQL

Processor = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A SELECT as a driver takes it: its text, its parameters in their order, and what makes rows of the answer."""

    text: str
    parameters: Sequence[tuple[str, Processor]]  # names, and how their values are made ready
    constants: Mapping[str, Any]  # values that the statement itself has
    columns: Sequence[Processor] | None  # how values are read; None if they are as they should be
    make_row: Callable[[Iterable[Any]], Any]

    def arguments(self, given: Mapping[str, Any]) -> Sequence[Any]:
        """The parameters' values. Raises KeyError for one that is missing."""
        values = {**self.constants, **given}
        return [values[name] if process is None else process(values[name]) for name, process in self.parameters]

    def rows(self, records: Sequence[Sequence[Any]]) -> list[Any]:
        """Named tuples of the driver's records."""
        columns = self.columns
        if columns is None:
            return [*map(self.make_row, records)]
        return [self.make_row(_read(columns, record)) for record in records]


def _read(columns: Sequence[Processor], record: Sequence[Any]) -> list[Any]:
    return [value if process is None else process(value) for process, value in zip(columns, record, strict=True)]


class PreparedStatements:
    """Those of one dialect, made when first asked for. Each is a constant of its module, and told by identity."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, Prepared] = WeakKeyDictionary()

    def find(self, statement: Executable) -> Prepared:
        """The statement, prepared. Raises ValueError for one whose text depends on its parameters."""
        prepared = self._known.get(statement)
        if prepared is None:
            prepared = self._known[statement] = self._prepare(statement)
        return prepared

    def _prepare(self, statement: Any) -> Prepared:
        dialect = self._dialect
        compiled = statement.compile(dialect=dialect)
        if compiled.literal_execute_params or compiled.post_compile_params:
            raise ValueError("a statement of a fixed text is needed: a list is one parameter, see dialects.ListOf")
        binds = {name: compiled.binds[name] for name in compiled.positiontup or ()}
        processors = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        columns = compiled._result_columns
        # asyncpg's values are Python's own already; SQLite knows neither UUIDs nor truth.
        readers = [
            None if dialect.name == POSTGRESQL else column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in columns
        ]
        row: Any = namedtuple("Row", " ".join(column.keyname for column in columns), rename=True)  # type: ignore[misc]
        return Prepared(
            compiled.string,
            parameters=[(name, processors[name]) for name in compiled.positiontup or ()],
            constants={name: bind.effective_value for name, bind in binds.items() if not bind.required},
            columns=readers if any(readers) else None,
            make_row=row._make if columns else tuple,
        )


class Announced:
    """A `with` block around an execution: SQLAlchemy's listeners hear of it as of its own."""

    __slots__ = ("_connection", "_context", "_dispatch", "_told")

    def __init__(self, connection: AsyncConnection, text: str, arguments: Sequence[Any]) -> None:
        lent: Any = connection.sync_connection
        self._connection = lent
        self._dispatch = lent.dispatch
        self._context = SimpleNamespace(executemany=False)  # listeners keep what is theirs in it
        self._told = text, arguments

    def __enter__(self) -> None:
        for listener in self._dispatch.before_cursor_execute:
            listener(self._connection, None, *self._told, self._context, False)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            for listener in self._dispatch.after_cursor_execute:
                listener(self._connection, None, *self._told, self._context, False)
        else:
            failure = SimpleNamespace(execution_context=self._context, original_exception=error)
            for listener in self._connection.dialect.dispatch.handle_error:
                listener(failure)
