"""Backs up an SQLite database while servers use it, and restores it when none does.

A backup is a consistent copy by SQLite's online backup API: all that was committed before it began, and nothing of what
came later. For PostgreSQL its own tools are better, and are named.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from relate.errors import CommandError
from relate_config.private import create_private, make_private_folder
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.driver.engine import parse_database_url, without_password
from relate_mailstore.sql.schema.migrate import revisions

STEP_PAGES = 4096  # 16 MB are copied between two reports of progress
LOCK_SECONDS = 1.0  # a server holds the database as long as it runs: longer waiting changes nothing
LOG_SUFFIXES = ("-wal", "-shm", "-journal")

Progressed = Callable[[int, int], object]
"""Is called with the pages that are copied, and with all pages."""


class BackupError(CommandError):
    """The database cannot be backed up, or restored."""


class Restored(NamedTuple):
    """`replaced`: where the database that was there before is now."""

    database: Path
    replaced: Path | None


def database_of(url: str, file: Path) -> Path:
    """The file of an SQLite database. Raises BackupError for PostgreSQL, with the lines that back it up."""
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == SQLITE:
        return Path(parsed.database or "")
    shown = without_password(parsed)
    raise BackupError(
        f"PostgreSQL has tools of its own: pg_dump --format=custom --file={file} --dbname={shown}; "
        f"and, into an empty database: pg_restore --exit-on-error --no-owner --dbname={shown} {file}"
    )


def back_up(database: Path, file: Path, progressed: Progressed = lambda done, total: None) -> int:
    """Copy the database to a new file, whole or not at all; its octets. Raises BackupError, OSError."""
    if not database.exists():
        raise BackupError(f"there is no database at {database}")
    if file.exists():
        raise BackupError(f"{file} is there already")
    made = file.with_name(f"{file.name}.partial")
    with _complete_or_removed(made):
        _copy(database, "rw", made, progressed)  # SQLite writes beside what it reads, in its index of the log
        made.rename(file)
    _flush(file.parent)
    return file.stat().st_size


def restore(file: Path, database: Path, replace: bool, progressed: Progressed = lambda done, total: None) -> Restored:
    """Make a backup the database. One that is there is moved aside where `replace` allows it.

    Raises BackupError, also while a server uses the database that is there; OSError.
    """
    _check(file)
    make_private_folder(database.parent)
    if database.exists() and not replace:
        raise BackupError(f"there is a database at {database}: --replace moves it aside")
    made = database.with_name(f"{database.name}.restoring")
    with _complete_or_removed(made), _unused(database):
        _copy(file, "ro", made, progressed)
        replaced = _move_aside(database)
        made.rename(database)
    _flush(database.parent)
    return Restored(database, replaced)


def _copy(source: Path, mode: str, made: Path, progressed: Progressed) -> None:
    create_private(made)
    with _translated(source), closing(_open(source, mode)) as reader, closing(_open(made, "rw")) as writer:
        writer.execute("PRAGMA synchronous=OFF")  # it is flushed once, at the end
        # Held to the end: each step reads of the same snapshot, and no commit of a server makes it begin again.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reader.backup(
            writer, pages=STEP_PAGES, progress=lambda _, left, total: progressed(total - left, total), sleep=0.01
        )
        writer.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    _flush(made)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    """A connection to a file that exists; transactions are begun by us."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", LOCK_SECONDS, uri=True, isolation_level=None)


def _check(file: Path) -> None:
    """Raise BackupError for what is no backup, is damaged, or is newer than this program."""
    if not file.is_file():
        raise BackupError(f"there is no {file}")
    with _translated(file), closing(_open(file, "ro")) as backup:
        found = backup.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise BackupError(f"{file} is damaged: {found}")
        try:
            revision = backup.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        except (sqlite3.OperationalError, TypeError):
            raise BackupError(f"{file} is no backup of Relate Mail") from None
    if revision not in revisions():
        raise BackupError(f"{file} has schema {revision}, this program knows {revisions()[-1]} at most")


@contextmanager
def _unused(database: Path) -> Iterator[None]:
    """Keep others from a database, if there is one. Raises BackupError while any process uses it."""
    if not database.exists():
        yield
        return
    with closing(_open(database, "rw")) as connection:
        try:
            # SQLite leaves its write-ahead log only for the last connection, and puts what is in it into the file.
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise BackupError(f"{database} is in use ({error}): stop the services first") from None
        except sqlite3.DatabaseError:
            pass  # damaged: it is moved aside as it is
        yield


def _move_aside(database: Path) -> Path | None:
    """Rename a database; its new name. A log beside it goes with it, as SQLite would play it into the restored one."""
    replaced = database.with_name(f"{database.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    if replaced.exists():
        raise BackupError(f"{replaced} is there already")
    there = database.exists()
    for suffix in ("", *LOG_SUFFIXES):
        with suppress(FileNotFoundError):
            _beside(database, suffix).rename(_beside(replaced, suffix))
    return replaced if there else None


@contextmanager
def _complete_or_removed(made: Path) -> Iterator[None]:
    """Remove what an interrupted copy, or an earlier one, left."""
    made.unlink(missing_ok=True)
    try:
        yield
    finally:
        for suffix in ("", *LOG_SUFFIXES):
            _beside(made, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@contextmanager
def _translated(source: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"{source}: {error}") from None


def _flush(path: Path) -> None:
    """Have a file, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
