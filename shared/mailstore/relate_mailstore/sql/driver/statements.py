"""Statements handed to the driver itself: what SQLAlchemy does for an execution costs four times what the driver does.

SQLAlchemy writes them all the same, once for a dialect, and lends the connections; and its listeners are told of each
execution as it tells them itself, so that a statement is traced whichever way it goes.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from asyncpg.pgproto.pgproto import UUID
from sqlalchemy import Connection, Dialect, Executable, LargeBinary, Uuid
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_only

from relate_mailstore.sql.driver.dialects import POSTGRESQL

Processor = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as a driver takes it: its text, its parameters in their order, and what makes rows of the answer."""

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
        if self.columns is None or not records:
            return [*map(self.make_row, records)]
        columns = zip(self.columns, zip(*records, strict=True), strict=True)
        read = [values if process is None else map(process, values) for process, values in columns]
        return [*map(self.make_row, zip(*read, strict=True))]


_prepared: WeakKeyDictionary[Dialect, WeakKeyDictionary[Executable, Prepared]] = WeakKeyDictionary()


def prepare(dialect: Dialect, statement: Executable) -> Prepared:
    """A constant of its module, for a dialect; kept. Raises ValueError for one whose text depends on its parameters."""
    of_dialect = _prepared.setdefault(dialect, WeakKeyDictionary())
    prepared = of_dialect.get(statement)
    if prepared is None:
        prepared = of_dialect[statement] = _compile(dialect, statement)
    return prepared


def _compile(dialect: Dialect, statement: Any) -> Prepared:
    compiled = statement.compile(dialect=dialect)
    if compiled.literal_execute_params or compiled.post_compile_params:
        raise ValueError("a statement of a fixed text is needed: a list is one parameter, see dialects.ListOf")
    binds = {name: compiled.binds[name] for name in compiled.positiontup or ()}
    processors = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
    columns = compiled._result_columns
    readers = [None if dialect.name == POSTGRESQL else _reader(dialect, column.type) for column in columns]
    row: Any = namedtuple("Row", " ".join(column.keyname for column in columns), rename=True)  # type: ignore[misc]
    return Prepared(
        compiled.string,
        parameters=[(name, processors[name]) for name in compiled.positiontup or ()],
        constants={name: bind.effective_value for name, bind in binds.items() if not bind.required},
        columns=readers if any(readers) else None,
        make_row=row._make if columns else tuple,
    )


def _reader(dialect: Dialect, of: TypeEngine[Any]) -> Processor:
    """asyncpg's values are Python's own already; SQLite's octets are, but it knows neither UUIDs nor truth.

    UUIDs are asyncpg's either way: they are made, hashed and compared in a fraction of the time that Python's take.
    """
    if isinstance(of, Uuid):
        return _read_uuid
    return None if isinstance(of, LargeBinary) else of.dialect_impl(dialect).result_processor(dialect, None)


def _read_uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def run(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> list[Any]:
    """The rows of a statement in a transaction that has begun, as `connection.execute` has them."""
    prepared, driver = _in_transaction(connection, statement)
    arguments = prepared.arguments(parameters)
    with Announced(connection, prepared.text, arguments):
        return prepared.rows(await_only(driver.fetch(prepared.text, *arguments)))


def run_many(connection: Connection, statement: Executable, rows: Iterable[Mapping[str, Any]]) -> None:
    """A statement for each of these rows, in a transaction that has begun."""
    prepared, driver = _in_transaction(connection, statement)
    arguments = [prepared.arguments(row) for row in rows]
    with Announced(connection, prepared.text, arguments, several=True):
        await_only(driver.executemany(prepared.text, arguments))


def say(connection: Connection, text: str) -> None:
    """A statement without parameters or an answer, as BEGIN is."""
    driver: Any = connection.connection.driver_connection
    with Announced(connection, text, ()):
        await_only(driver.fetch(text))


def _in_transaction(connection: Connection, statement: Executable) -> tuple[Prepared, Any]:
    driver: Any = connection.connection.driver_connection
    # SQLAlchemy begins a transaction with the first statement that it executes: the one that locks.
    if not driver.is_in_transaction():
        raise RuntimeError("no transaction has begun: this would be committed by itself")
    return prepare(connection.dialect, statement), driver


class Announced:
    """A `with` block around an execution: SQLAlchemy's listeners hear of it as of its own."""

    __slots__ = ("_connection", "_context", "_dispatch", "_several", "_told")

    def __init__(self, connection: Connection, text: str, arguments: Sequence[Any], *, several: bool = False) -> None:
        self._connection = connection
        self._dispatch: Any = connection.dispatch
        self._several = several
        self._context = SimpleNamespace(executemany=several)  # listeners keep what is theirs in it
        self._told = text, arguments

    def __enter__(self) -> None:
        for listener in self._dispatch.before_cursor_execute:
            listener(self._connection, None, *self._told, self._context, self._several)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            for listener in self._dispatch.after_cursor_execute:
                listener(self._connection, None, *self._told, self._context, self._several)
        else:
            failure = SimpleNamespace(execution_context=self._context, original_exception=error)
            for listener in self._connection.dialect.dispatch.handle_error:
                listener(failure)
