"""Which database is meant where no setting names one: not just that of the working directory.

A server writes down its database in the user's state directory (XDG Base Directory Specification), and holds a lock on
that file as long as it runs. Commands look there first, so they find the running server's database from anywhere.
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


class Found(NamedTuple):
    """An SQLite database that no setting names, and why it is meant."""

    path: Path
    reason: str

    @property
    def url(self) -> str:
        """For `ConnectionStrings__DefaultConnection`."""
        return f"sqlite:///{self.path}"


class Record(NamedTuple):
    """What is written down: the URL of the last server's database without its password, and whether one runs."""

    url: str
    running: bool


def find(*, serving: bool) -> Found:
    """The database of the running server, of the working directory, of the last server; else a new one's place.

    A server that starts does not look for a running one. Raises ConfigurationError where the running server uses
    PostgreSQL, because its password is not written down.
    """
    record = read_record()
    recorded = None if record is None else _sqlite_path(record.url)
    local = (DATA_FOLDER / FILE_NAME).absolute()
    if record is not None and record.running and not serving:
        if recorded is None:
            raise ConfigurationError(
                f"the running server uses {record.url}: set {DATABASE_VARIABLE} to it, with the password"
            )
        return Found(recorded, "of the running server")
    if local.exists():
        return Found(local, "in the working directory")
    if recorded is not None and recorded.exists():
        return Found(recorded, "of the last server")
    return Found(local, "new")


def read_record() -> Record | None:
    """What is written down; None where nothing is, or it cannot be read."""
    path = record_path()
    if path is None or not path.exists():
        return None
    try:
        with path.open(encoding="utf-8") as file:
            return Record(file.read().strip(), _is_locked(file.fileno()))
    except (OSError, UnicodeDecodeError) as error:
        log.warning("the record of the server's database cannot be read", path=str(path), error=str(error))
        return None


def remember(url: str) -> None:
    """Write down the database of a command that made one, unless a server runs."""
    record = read_record()
    if record is None or not record.running:
        with recorded(url):
            pass


@contextmanager
def recorded(url: str) -> Iterator[None]:
    """Inside, a server with this database runs. Where the state directory cannot be written, the log says so."""
    descriptor = _open_record()
    if descriptor is None:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # several servers may run: the last one is found
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _without_password(url).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def record_path() -> Path | None:
    """Where the record is; None for a user without a home directory."""
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        # Relative paths are to be ignored, says the specification.
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
    """Whether a server holds the lock. Ours, if we get it, ends when the file is closed."""
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
