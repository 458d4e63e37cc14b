"""Executes compiled statements by the driver, because SQLAlchemy's execution costs four times as much as the driver's.

SQLAlchemy still compiles each statement, once per dialect, and pools the connections. Its event listeners are called as
for its own executions, so that every statement is traced.
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
class CompiledStatement:
    """A statement as the driver takes it: its text, its positional parameters, and the conversion of its rows."""

    text: str
    parameters: Sequence[tuple[str, Processor]]  # names, with the conversion of their values
    constants: Mapping[str, Any]  # values that are part of the statement
    columns: Sequence[Processor] | None  # conversions of result columns; None if no column needs one
    make_row: Callable[[Iterable[Any]], Any]

    def arguments(self, given: Mapping[str, Any]) -> Sequence[Any]:
        """The values of the positional parameters. Raises KeyError for a missing one."""
        values = {**self.constants, **given}
        return [values[name] if process is None else process(values[name]) for name, process in self.parameters]

    def rows(self, records: Sequence[Sequence[Any]]) -> list[Any]:
        """Named tuples of the driver's records."""
        if self.columns is None or not records:
            return [*map(self.make_row, records)]
        columns = zip(self.columns, zip(*records, strict=True), strict=True)
        read = [values if process is None else map(process, values) for process, values in columns]
        return [*map(self.make_row, zip(*read, strict=True))]


_compiled: WeakKeyDictionary[Dialect, WeakKeyDictionary[Executable, CompiledStatement]] = WeakKeyDictionary()


def compile_statement(dialect: Dialect, statement: Executable) -> CompiledStatement:
    """Compile a statement that is a module constant, once per dialect.

    Raises ValueError for one whose text depends on its parameters.
    """
    by_statement = _compiled.setdefault(dialect, WeakKeyDictionary())
    compiled = by_statement.get(statement)
    if compiled is None:
        compiled = by_statement[statement] = _compile(dialect, statement)
    return compiled


def _compile(dialect: Dialect, statement: Any) -> CompiledStatement:
    compiled = statement.compile(dialect=dialect)
    if compiled.literal_execute_params or compiled.post_compile_params:
        raise ValueError("the statement's text is not constant: pass a list as one parameter, see dialects.ListOf")
    binds = {name: compiled.binds[name] for name in compiled.positiontup or ()}
    processors = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
    columns = compiled._result_columns
    readers = [None if dialect.name == POSTGRESQL else _reader(dialect, column.type) for column in columns]
    row: Any = namedtuple("Row", " ".join(column.keyname for column in columns), rename=True)  # type: ignore[misc]
    return CompiledStatement(
        compiled.string,
        parameters=[(name, processors[name]) for name in compiled.positiontup or ()],
        constants={name: bind.effective_value for name, bind in binds.items() if not bind.required},
        columns=readers if any(readers) else None,
        make_row=row._make if columns else tuple,
    )


def _reader(dialect: Dialect, of: TypeEngine[Any]) -> Processor:
    """The conversion of SQLite's values, which has neither UUIDs nor booleans. asyncpg's values need none.

    UUIDs are asyncpg's on both: creating, hashing and comparing them takes a fraction of the time of Python's.
    """
    if isinstance(of, Uuid):
        return _read_uuid
    return None if isinstance(of, LargeBinary) else of.dialect_impl(dialect).result_processor(dialect, None)


def _read_uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def run(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> list[Any]:
    """Execute a statement in a transaction that has begun; its rows, like those of `connection.execute`."""
    compiled, driver = _in_transaction(connection, statement)
    arguments = compiled.arguments(parameters)
    with ExecutionEvents(connection, compiled.text, arguments):
        return compiled.rows(await_only(driver.fetch(compiled.text, *arguments)))


def run_many(connection: Connection, statement: Executable, rows: Iterable[Mapping[str, Any]]) -> None:
    """Execute a statement for each of the rows, in a transaction that has begun."""
    compiled, driver = _in_transaction(connection, statement)
    arguments = [compiled.arguments(row) for row in rows]
    with ExecutionEvents(connection, compiled.text, arguments, executemany=True):
        await_only(driver.executemany(compiled.text, arguments))


def run_text(connection: Connection, text: str) -> None:
    """Execute a statement without parameters and rows, such as BEGIN."""
    driver: Any = connection.connection.driver_connection
    with ExecutionEvents(connection, text, ()):
        await_only(driver.fetch(text))


def _in_transaction(connection: Connection, statement: Executable) -> tuple[CompiledStatement, Any]:
    driver: Any = connection.connection.driver_connection
    if not driver.is_in_transaction():
        raise RuntimeError("no transaction has begun: the statement would be committed by itself")
    return compile_statement(connection.dialect, statement), driver


class ExecutionEvents:
    """A `with` block around an execution, which calls SQLAlchemy's event listeners."""

    __slots__ = ("_connection", "_context", "_dispatch", "_executemany", "_statement")

    def __init__(
        self, connection: Connection, text: str, arguments: Sequence[Any], *, executemany: bool = False
    ) -> None:
        self._connection = connection
        self._dispatch: Any = connection.dispatch
        self._executemany = executemany
        self._context = SimpleNamespace(executemany=executemany)  # listeners set attributes of their own
        self._statement = text, arguments

    def __enter__(self) -> None:
        for listener in self._dispatch.before_cursor_execute:
            listener(self._connection, None, *self._statement, self._context, self._executemany)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            for listener in self._dispatch.after_cursor_execute:
                listener(self._connection, None, *self._statement, self._context, self._executemany)
        else:
            failure = SimpleNamespace(execution_context=self._context, original_exception=error)
            for listener in self._connection.dialect.dispatch.handle_error:
                listener(failure)
