"""Finds the database when no setting names one, from any working directory.

A server records its database URL in the user's state directory (XDG Base Directory Specification) and locks that file
while it runs. Commands read this record first, so they discover the database of the running server from any directory.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from relate_config import ConfigurationError
from relate_config.private import DATA_FOLDER, make_private_folder, open_private
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.driver.engine import DATABASE_VARIABLE, describe_url, parse_database_url

FILE_NAME = "relate.db"

log = structlog.get_logger(__name__)


class DiscoveredDatabase(NamedTuple):
    """An SQLite database that no setting names, and why it was chosen."""

    path: Path
    reason: str

    @property
    def url(self) -> str:
        """The value for `ConnectionStrings__DefaultConnection`."""
        return f"sqlite:///{self.path}"


class ServerRecord(NamedTuple):
    """The database URL of the last server, without its password, and whether that server is running."""

    url: str
    running: bool


def discover(*, serving: bool) -> DiscoveredDatabase:
    """The database of the running server, else of the working directory, else of the last server, else a new path.

    `serving` skips the running server. Raises ConfigurationError if the running server uses PostgreSQL, because the
    record contains no password.
    """
    record = read_record()
    recorded_path = None if record is None else _sqlite_path(record.url)
    local = (DATA_FOLDER / FILE_NAME).absolute()
    if record is not None and record.running and not serving:
        if recorded_path is None:
            raise ConfigurationError(
                f"the running server uses {record.url}: set {DATABASE_VARIABLE} to it, with the password"
            )
        return DiscoveredDatabase(recorded_path, "of the running server")
    if local.exists():
        return DiscoveredDatabase(local, "in the working directory")
    if recorded_path is not None and recorded_path.exists():
        return DiscoveredDatabase(recorded_path, "of the last server")
    return DiscoveredDatabase(local, "new")


def read_record() -> ServerRecord | None:
    """Read the record; None if there is none or it is unreadable."""
    path = record_path()
    if path is None or not path.exists():
        return None
    try:
        with path.open(encoding="utf-8") as file:
            return ServerRecord(file.read().strip(), _is_locked(file.fileno()))
    except (OSError, UnicodeDecodeError) as error:
        log.warning("the record of the server's database cannot be read", path=str(path), error=str(error))
        return None


def record_database(url: str) -> None:
    """Record a database that a command created, unless a server is running."""
    record = read_record()
    if record is None or not record.running:
        with record_running_server(url):
            pass


@contextmanager
def record_running_server(url: str) -> Iterator[None]:
    """Record the database of a running server, and lock the record inside the block.

    If the state directory is not writable, this is logged and the server runs without a record.
    """
    descriptor = _open_record()
    if descriptor is None:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: several servers may run, and the last one wins
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _without_password(url).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def record_path() -> Path | None:
    """The path of the record; None for a user without a home directory."""
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        # The specification requires that relative paths are ignored.
        folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return folder / "relate-mail" / "database"


def _open_record() -> int | None:
    path = record_path()
    if path is None:
        return None
    try:
        make_private_folder(path.parent)
        return open_private(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        log.info("commands will not find this server's database by themselves", path=str(path), error=str(error))
        return None


def _is_locked(descriptor: int) -> bool:
    """Whether a server holds the lock. The lock taken by this probe ends when the caller closes the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _sqlite_path(url: str) -> Path | None:
    try:
        parsed = parse_database_url(url)
    except ValueError:
        return None
    return Path(parsed.database or "") if parsed.get_backend_name() == SQLITE else None


def _without_password(url: str) -> str:
    described = describe_url(url)
    return described if _sqlite_path(url) is None else f"sqlite:///{described}"
