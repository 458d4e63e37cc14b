"""SQL constructs that SQLite and PostgreSQL spell differently: lists as parameters, INSERT … ON CONFLICT, text search.

A list is one parameter of any length, so the text of a statement is constant and is cached once, compiled and prepared:
PostgreSQL has `= ANY ($1)`, SQLite `IN (SELECT value FROM json_each(?))`.
"""

import json
from collections.abc import Collection
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Dialect,
    Executable,
    Integer,
    Table,
    Text,
    Uuid,
    bindparam,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

POSTGRESQL = "postgresql"
SQLITE = "sqlite"


def insert_once(table: Table, *key: str) -> dict[str, Executable]:
    """INSERT … ON CONFLICT DO NOTHING by dialect: SQLAlchemy has a class for each."""
    return {
        POSTGRESQL: postgresql.insert(table).on_conflict_do_nothing(index_elements=key),
        SQLITE: sqlite.insert(table).on_conflict_do_nothing(index_elements=key),
    }


def insert_or_update(table: Table, key: str, where: ColumnElement[bool] | None = None) -> dict[str, Executable]:
    """INSERT … ON CONFLICT DO UPDATE of all other columns by dialect; with `where`, only of rows that match it."""
    others = [column.name for column in table.columns if column.name != key]
    of_postgresql, of_sqlite = postgresql.insert(table), sqlite.insert(table)
    return {
        POSTGRESQL: of_postgresql.on_conflict_do_update(
            index_elements=[key], set_={name: of_postgresql.excluded[name] for name in others}, where=where
        ),
        SQLITE: of_sqlite.on_conflict_do_update(
            index_elements=[key], set_={name: of_sqlite.excluded[name] for name in others}, where=where
        ),
    }


class ListOf(TypeDecorator[Collection[Any]]):
    """A list as one parameter: an array for PostgreSQL, JSON for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """ARRAY on PostgreSQL, else TEXT."""
        if dialect.name == POSTGRESQL:
            return dialect.type_descriptor(postgresql.ARRAY(self.item))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        """Convert any collection, including a range."""
        items = list(value or ())
        if dialect.name == POSTGRESQL:
            return items
        return _encode([*map(_hex, items)] if isinstance(self.item, Uuid) else items)


_hex = attrgetter("hex")
_encode = json.JSONEncoder().encode  # json.dumps checks its options at each call


def numbers(name: str) -> BindParameter[Any]:
    """A parameter that is a list of integers."""
    return bindparam(name, type_=ListOf(BigInteger()))


def texts(name: str) -> BindParameter[Any]:
    """A parameter that is a list of texts."""
    return bindparam(name, type_=ListOf(Text()))


def ids(name: str) -> BindParameter[Any]:
    """A parameter that is a list of message ids."""
    return bindparam(name, type_=ListOf(Uuid()))


class one_of(FunctionElement[bool]):  # noqa: N801 - reads as an operator in statements
    """`one_of(column, parameter)`: whether the column's value is in the list."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> "one_of":
        """The condition itself: SQLite uses no index for `(…) = 1`, which SQLAlchemy would write."""
        return self


@compiles(one_of, POSTGRESQL)
def _compile_any(element: one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(one_of, SQLITE)
def _compile_json_each(element: one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - of compiled parts


class number_of(FunctionElement[int]):  # noqa: N801 - reads as a function in statements
    """`number_of(parameter, key)`: the value of a key in a mapping of text to integers, as JSON; NULL without it."""

    type = Integer()
    inherit_cache = True


@compiles(number_of, POSTGRESQL)
def _compile_jsonb(element: number_of, compiler: SQLCompiler, **options: Any) -> str:
    mapping, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(CAST({mapping} AS JSONB) ->> {key} AS INTEGER)"


@compiles(number_of, SQLITE)
def _compile_json_value(element: number_of, compiler: SQLCompiler, **options: Any) -> str:
    mapping, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(SELECT value FROM json_each({mapping}) AS pair WHERE pair.key = {key})"  # noqa: S608 - of compiled parts


class place_of_text(FunctionElement[int]):  # noqa: N801 - reads as a function in statements
    """`place_of_text(column, text)`: the first position of the text in the column, from 1; 0 if there is none.

    No character is a wildcard.
    """

    type = Integer()
    inherit_cache = True


@compiles(place_of_text, POSTGRESQL)
def _compile_strpos(element: place_of_text, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(place_of_text, SQLITE)
def _compile_instr(element: place_of_text, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


def has_text(column: ColumnElement[str], text: BindParameter[str] | ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the column contains the text."""
    return place_of_text(column, text) > 0


def has_word(column: ColumnElement[str], word: BindParameter[str]) -> ColumnElement[bool]:
    """Whether a column of words, separated by single spaces, contains exactly this word."""
    return has_text(" " + column + " ", " " + word + " ")


class unindexed(FunctionElement[int]):  # noqa: N801 - reads as a function in statements
    """`unindexed(column)`: the number, for which SQLite uses no index; PostgreSQL's planner needs no such hint."""

    type = BigInteger()
    inherit_cache = True


@compiles(unindexed, POSTGRESQL)
def _compile_plain(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(unindexed, SQLITE)
def _compile_unary_plus(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


def line_of(column: ColumnElement[str], number: int) -> ColumnElement[str]:
    """A line of a text, from 0, that is not its last."""
    return _line_of(column, literal_column(str(number), Integer))


class _line_of(FunctionElement[str]):  # noqa: N801 - a function in statements
    type = Text()
    inherit_cache = True


@compiles(_line_of, POSTGRESQL)
def _compile_split_part(element: _line_of, compiler: SQLCompiler, **options: Any) -> str:
    column, number = (compiler.process(clause, **options) for clause in element.clauses)
    return f"split_part({column}, chr(10), {number} + 1)"


@compiles(_line_of, SQLITE)
def _compile_nested_substr(element: _line_of, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite has no function that splits. Each subquery removes a line, so that the text appears once, not 2^n times.
    rest, number = (compiler.process(clause, **options) for clause in element.clauses)
    for _ in range(int(number)):
        rest = f"(SELECT substr(rest, instr(rest, char(10)) + 1) FROM (SELECT {rest} AS rest))"  # noqa: S608 - compiled
    return f"(SELECT substr(rest, 1, instr(rest, char(10)) - 1) FROM (SELECT {rest} AS rest))"  # noqa: S608 - compiled
