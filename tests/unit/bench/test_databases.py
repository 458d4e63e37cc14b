"""The databases of a run."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.bench.databases import SQLITE, Databases


def numbers(url: str) -> list[int]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return [number for (number,) in connection.execute("select number from numbers")]


def test_a_copy_has_what_is_in_the_log_only_and_is_independent(tmp_path: Path) -> None:
    databases = Databases(tmp_path, None)
    original = databases.create(SQLITE, "filled")
    with closing(sqlite3.connect(original.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table numbers (number integer)")
        connection.execute("insert into numbers values (1)")
        copy = databases.copy(SQLITE, "filled", "on")
        connection.execute("insert into numbers values (2)")
    assert (numbers(original), numbers(copy)) == ([1, 2], [1])


def test_a_removed_database_leaves_the_others(tmp_path: Path) -> None:
    databases = Databases(tmp_path, None)
    for label in ("on", "off"):
        (tmp_path / f"{label}.db").touch()
    (tmp_path / "on.db-wal").touch()
    databases.remove(SQLITE, "on")
    assert [file.name for file in tmp_path.iterdir()] == ["off.db"]


def test_without_a_cluster_there_is_only_sqlite(tmp_path: Path) -> None:
    assert Databases(tmp_path, None).kinds == [SQLITE]
