"""Backup of an SQLite database while servers use it, and restore while none does.

A backup is a consistent snapshot made with SQLite's online backup API: it contains everything that was committed before
it started, and nothing later. For PostgreSQL the error names pg_dump and pg_restore.
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

PAGES_PER_STEP = 4096  # 16 MB between two progress reports
LOCK_WAIT_SECONDS = 1.0  # a server holds its lock until it stops, so a longer wait would not help
LOG_SUFFIXES = ("-wal", "-shm", "-journal")

ProgressCallback = Callable[[int, int], object]
"""Called with the number of copied pages and of all pages."""


class BackupError(CommandError):
    """The database cannot be backed up or restored."""


class Restored(NamedTuple):
    """The result of a restore; `replaced` is the new path of the previous database."""

    database: Path
    replaced: Path | None


def database_path(url: str, file: Path) -> Path:
    """The file of an SQLite database. Raises BackupError for PostgreSQL; the message contains the commands to use."""
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == SQLITE:
        return Path(parsed.database or "")
    shown = without_password(parsed)
    raise BackupError(
        f"PostgreSQL is backed up with its own tools: pg_dump --format=custom --file={file} --dbname={shown}; "
        f"and restored into an empty database: pg_restore --exit-on-error --no-owner --dbname={shown} {file}"
    )


def back_up(database: Path, file: Path, on_progress: ProgressCallback = lambda done, total: None) -> int:
    """Copy the database to a new file atomically; returns its size in octets. Raises BackupError, OSError."""
    if not database.exists():
        raise BackupError(f"there is no database at {database}")
    if file.exists():
        raise BackupError(f"{file} already exists")
    partial = file.with_name(f"{file.name}.partial")
    with _removing_partial(partial):
        _copy(database, "rw", partial, on_progress)  # read-write, because SQLite updates the WAL index even for readers
        partial.rename(file)
    _flush(file.parent)
    return file.stat().st_size


def restore(
    file: Path, database: Path, replace: bool, on_progress: ProgressCallback = lambda done, total: None
) -> Restored:
    """Replace the database by a backup. With `replace` an existing database is renamed, else it is an error.

    Raises BackupError, also if a server uses the existing database; OSError.
    """
    _validate(file)
    make_private_folder(database.parent)
    if database.exists() and not replace:
        raise BackupError(f"{database} already exists: --replace renames it")
    partial = database.with_name(f"{database.name}.restoring")
    with _removing_partial(partial), _locked_exclusively(database):
        _copy(file, "ro", partial, on_progress)
        replaced = _rename_aside(database)
        partial.rename(database)
    _flush(database.parent)
    return Restored(database, replaced)


def _copy(source: Path, mode: str, partial: Path, on_progress: ProgressCallback) -> None:
    create_private(partial)
    with _sqlite_errors(source), closing(_open(source, mode)) as reader, closing(_open(partial, "rw")) as writer:
        writer.execute("PRAGMA synchronous=OFF")  # the file is flushed once at the end
        # One transaction for all steps, so that they read one snapshot and a server's commits do not restart the copy.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reader.backup(
            writer, pages=PAGES_PER_STEP, progress=lambda _, left, total: on_progress(total - left, total), sleep=0.01
        )
        writer.execute("PRAGMA journal_mode=DELETE")  # a single file without a WAL
    _flush(partial)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    """Connect to an existing file without implicit transactions."""
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, timeout=LOCK_WAIT_SECONDS, uri=True, isolation_level=None)


def _validate(file: Path) -> None:
    """Raise BackupError for a file that is not a backup, is damaged, or was created by a newer version."""
    if not file.is_file():
        raise BackupError(f"there is no {file}")
    with _sqlite_errors(file), closing(_open(file, "ro")) as backup:
        result = backup.execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise BackupError(f"{file} is damaged: {result}")
        try:
            revision = backup.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        except (sqlite3.OperationalError, TypeError):
            raise BackupError(f"{file} is not a backup of Relate Mail") from None
    if revision not in revisions():
        raise BackupError(f"{file} has schema {revision}, but this version supports {revisions()[-1]} at most")


@contextmanager
def _locked_exclusively(database: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing database. Raises BackupError while another process uses it."""
    if not database.exists():
        yield
        return
    with closing(_open(database, "rw")) as connection:
        try:
            # Succeeds for the last connection only; SQLite then writes the WAL back into the database file.
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise BackupError(f"{database} is in use ({error}): stop the services first") from None
        except sqlite3.DatabaseError:
            pass  # damaged: renamed as it is
        yield


def _rename_aside(database: Path) -> Path | None:
    """Rename a database with its WAL, which SQLite would replay into the restored file; returns the new path."""
    replaced = database.with_name(f"{database.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    if replaced.exists():
        raise BackupError(f"{replaced} already exists")
    existed = database.exists()
    for suffix in ("", *LOG_SUFFIXES):
        with suppress(FileNotFoundError):
            _with_suffix(database, suffix).rename(_with_suffix(replaced, suffix))
    return replaced if existed else None


@contextmanager
def _removing_partial(partial: Path) -> Iterator[None]:
    """Remove the partial file of this copy if it fails, and of earlier ones."""
    partial.unlink(missing_ok=True)
    try:
        yield
    finally:
        for suffix in ("", *LOG_SUFFIXES):
            _with_suffix(partial, suffix).unlink(missing_ok=True)


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@contextmanager
def _sqlite_errors(source: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"{source}: {error}") from None


def _flush(path: Path) -> None:
    """Flush a file or a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
