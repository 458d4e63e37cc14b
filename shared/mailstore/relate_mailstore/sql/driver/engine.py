"""Opens an engine for the configured database: SQLite on one host, PostgreSQL for many processes.

Errors never show parameters (`hide_parameters`), because they are mail. Every wait for the database has a timeout.
"""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import await_only

from relate_config import Section
from relate_config.private import make_private_folder
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver import sqlite
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE
from relate_mailstore.sql.driver.disk_reserve import DiskReserve
from relate_mailstore.sql.driver.statements import ExecutionEvents

DATABASE_VARIABLE = "ConnectionStrings__DefaultConnection"

# The writers of mail and of flags, the session connection, 4 readers, 5 others. 8 processes fit into PostgreSQL's 100.
POSTGRESQL_CONNECTIONS = 12
SQLITE_CONNECTIONS = 8  # each is a thread; only one of them writes
POOL_SECONDS = 10  # for a free connection; a longer wait means overload, and the client is asked to retry later
CONNECT_SECONDS = 5  # a server that is up accepts at once
COMMAND_SECONDS = 30  # for a statement; the longest, flags of a hundred thousand entries, takes a tenth
LOCK_SECONDS = 10  # for a row that another process has locked; a batch locks its mailboxes for milliseconds
ABANDONED_SECONDS = 60  # then PostgreSQL ends an idle transaction, which releases its locks

# Those of SQLite (which gives them the mode of the database), and ours.
_FILE_SUFFIXES = ("", "-wal", "-shm", "-journal", ".reserve", ".maildrops")

_DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


class DatabaseSettings(Section):
    """`ConnectionStrings__DefaultConnection`: an SQLAlchemy URL; the driver is optional."""

    prefix: ClassVar[str] = "ConnectionStrings"
    default_connection: str = Field(default="sqlite+aiosqlite:///var/relate.db", repr=False)  # may hold a password

    @field_validator("default_connection")
    @classmethod
    def _with_driver(cls, text: str) -> str:
        return parse_database_url(text).render_as_string(hide_password=False)


def parse_database_url(text: str) -> URL:
    """Parse a database URL and set our driver. Raises ValueError, whose message does not contain the password."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError("not a database URL; expected postgresql://… or sqlite:///…") from None
    if url.drivername not in _DRIVERS:
        raise ValueError(f"no such database here: {url.drivername}; expected postgresql://… or sqlite:///…")
    if url.get_backend_name() == SQLITE and url.database in {None, "", ":memory:"}:
        raise ValueError("SQLite needs a file: sqlite:///path")
    return url.set(drivername=_DRIVERS[url.drivername])


def without_password(url: URL) -> str:
    """A PostgreSQL URL without the password, in the form that PostgreSQL's own tools accept."""
    return URL.create(POSTGRESQL, url.username, None, url.host, url.port, url.database, url.query).render_as_string()


def open_engine(url: str) -> AsyncEngine:
    """An engine for a database URL; it connects at its first use. Raises ValueError for an unsupported URL."""
    parsed = parse_database_url(url)
    return _open_postgresql(parsed) if parsed.get_backend_name() == POSTGRESQL else _open_sqlite(parsed)


def describe_url(url: str | URL) -> str:
    """A description for logs: the absolute path of an SQLite file, or a URL without the password."""
    parsed = make_url(url)
    if parsed.get_backend_name() == SQLITE:
        return str(Path(parsed.database or "").absolute())
    return parsed.set(drivername=POSTGRESQL).render_as_string(hide_password=True)


def database_file(engine: AsyncEngine) -> Path:
    """The file of an SQLite database."""
    return Path(engine.url.database or "")


def database_files(url: str) -> list[Path]:
    """The files that an SQLite database can consist of, which may not exist; none for PostgreSQL."""
    parsed = parse_database_url(url)
    if parsed.get_backend_name() != SQLITE:
        return []
    file = Path(parsed.database or "")
    return [file.with_name(f"{file.name}{suffix}") for suffix in _FILE_SUFFIXES]


def _open_postgresql(url: URL) -> AsyncEngine:
    server_settings = {
        "application_name": "relate-mail",
        "jit": "off",  # compiling takes longer than any of our statements
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{ABANDONED_SECONDS}s",
    }
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_use_lifo=True,  # the last connection used has the warmest caches in the server
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": COMMAND_SECONDS,
            "server_settings": server_settings,
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "begin", _begin_at_once)
    return engine


def _begin_at_once(connection: Connection) -> None:
    """Send BEGIN: SQLAlchemy's adapter would send it with the first statement, whose span would include its time."""
    adapter: Any = connection.connection.dbapi_connection
    if adapter.autocommit:
        return
    try:
        with ExecutionEvents(connection, "BEGIN", ()):
            await_only(adapter._start_transaction())
    except BaseException as error:  # noqa: BLE001 - SQLAlchemy translates it and raises, as for its own BEGIN
        connection._handle_dbapi_exception(error, "BEGIN", None, None, None)


def _refuse_closed(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    """Discard a connection that the server has closed, and all others of the pool."""
    driver: Any = record.driver_connection
    if driver.is_closed():
        raise InvalidatePoolError


def _open_sqlite(url: URL) -> AsyncEngine:
    path = Path(url.database or "")
    try:
        make_private_folder(path.parent)
    except OSError as error:
        folder = f"the folder {path.parent.absolute()} cannot be made: {error.strerror}"
        raise StoreUnavailable(f"{folder}; {DATABASE_VARIABLE} names the database") from None
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        async_creator=partial(sqlite.connect, path),
    )
    event.listen(engine.sync_engine, "connect", sqlite.on_connect)
    event.listen(engine.sync_engine, "begin", sqlite.on_begin)
    event.listen(engine.sync_engine, "begin", DiskReserve(path).on_begin)  # after sqlite.on_begin, which takes the lock
    return engine
