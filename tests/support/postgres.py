"""A PostgreSQL server for tests: the one of RELATE_TEST_POSTGRES, else a temporary cluster, else a container.

RELATE_TEST_POSTGRES is the SQLAlchemy URL of a server on which databases may be created. A temporary cluster is made
by this machine's binaries in a temporary directory, listens only on a Unix socket there, and runs as another user where
the tests run as root.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import make_url

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate

VARIABLE = "RELATE_TEST_POSTGRES"
IMAGE = "postgres:18.6"
START_SECONDS = 30  # including initdb

# Most tests need no durability, and are four times as fast without.
_NOT_DURABLE = ("-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off")

# Stops the cluster when its standard input is closed, which happens even when the test process is killed.
_STOP_AT_EOF = 'cat; "$0" stop --pgdata "$1" --mode=immediate --silent; rm -rf "$1"'

T = TypeVar("T")


class NoPostgresError(Exception):
    """This machine has no PostgreSQL. The message names what was searched."""


class Server:
    """A running server, given by the URL of one of its databases."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql")

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def create(self, database: str, template: str = "template0") -> str:
        """Create a database; returns its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def create_migrated(self, database: str) -> str:
        """Create a database with the newest schema; returns its URL."""
        url = self.create(database)
        wait_for(migrate_url(url))
        return url

    def drop(self, database: str) -> None:
        """Drop a database, even while it has connections."""
        self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Execute a statement as the server's owner."""
        wait_for(_execute(self._url.render_as_string(hide_password=False), statement))


@contextmanager
def server() -> Iterator[Server]:
    """A server for tests; a temporary one is removed at the end. Raises NoPostgresError."""
    if url := os.environ.get(VARIABLE):
        yield Server(url)
    elif binaries := find_binaries():
        with temporary_directory() as directory, cluster(binaries, directory / "cluster", _NOT_DURABLE) as started:
            yield started
    else:
        with _container() as started:
            yield started


@contextmanager
def durable_cluster(directory: Path) -> Iterator[Server | None]:
    """A cluster in `directory` that flushes as in production; None without the binaries."""
    binaries = find_binaries()
    if binaries is None:
        yield None
    else:
        # Twelve connections of each process: a benchmark runs twelve processes, with telemetry on and off at once.
        with cluster(binaries, directory, ("-c shared_buffers=512MB", "-c max_connections=200")) as started:
            yield started


@contextmanager
def cluster(binaries: Path, directory: Path, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """Create a cluster in `directory` and run it until the end of the block."""
    directory.mkdir()
    user = _unprivileged_user()
    if user is not None:
        shutil.chown(directory, user)
    data = directory / "data"
    process_options: Any = {"user": user, "cwd": directory, "env": {"PATH": os.defpath, "LC_ALL": "C"}}

    def run(program: str, *arguments: str) -> None:
        command: list[Path | str] = [binaries / program, "--pgdata", data, *arguments]
        subprocess.run(command, check=True, timeout=START_SECONDS, stdout=subprocess.DEVNULL, **process_options)

    run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    listen = f"-c listen_addresses= -c unix_socket_directories={directory}"
    run("pg_ctl", "start", "--wait", f"--log={directory / 'log'}", f"--options={' '.join((listen, *options))}")
    stopper: list[Path | str] = ["sh", "-c", _STOP_AT_EOF, binaries / "pg_ctl", data]
    with subprocess.Popen(stopper, stdin=subprocess.PIPE, start_new_session=True, **process_options):
        yield Server(f"postgresql://postgres@/postgres?host={directory}&port=5432")


def find_binaries() -> Path | None:
    """The directory of the newest server binaries, on PATH or where Debian puts them; None without any."""
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    return next((path for path in reversed(candidates) if (path / "initdb").exists()), None)


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A directory that the cluster's user can enter, with a name short enough for a socket's path."""
    directory = Path(tempfile.mkdtemp(prefix="relate-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


async def migrate_url(url: str) -> None:
    """Migrate the database at a URL to the newest schema."""
    engine = open_engine(url)
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in another thread because a loop may be running in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


def _version(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdigit() else 0


def _unprivileged_user() -> str | None:
    """The user to run PostgreSQL as, because it refuses to run as root; None if this process is not root's."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def _container() -> Iterator[Server]:
    """A container, if Docker runs and has the image. Nothing is pulled."""
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode
    ):
        raise NoPostgresError(f"{VARIABLE} is not set, there is no initdb, and no Docker that has {IMAGE}")
    from testcontainers.core.config import testcontainers_config
    from testcontainers.postgres import PostgresContainer

    testcontainers_config.ryuk_disabled = True  # its image would have to be pulled
    with PostgresContainer(IMAGE, driver=None) as container:
        yield Server(container.get_connection_url())


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
