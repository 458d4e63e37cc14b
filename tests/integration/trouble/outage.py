"""Database outages: a PostgreSQL cluster that a test stops and starts, a file system that it fills."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import NoPostgresError, Server, cluster, find_binaries, temporary_directory

START_SECONDS = 30  # including recovery
NO_FSYNC = ("-c fsync=off",)  # commits reach the kernel, which outlives a killed cluster


@dataclass(frozen=True)
class Cluster:
    """A running cluster that only the test uses."""

    server: Server
    binaries: Path
    directory: Path

    async def stop(self) -> None:
        """Stop it in immediate mode, which drops all connections."""
        await asyncio.to_thread(self._control, "stop", "--mode=immediate")

    async def start(self) -> None:
        """Start it again; returns when it accepts connections."""
        listen = f"-c listen_addresses= -c unix_socket_directories={self.directory}"
        options = " ".join((listen, *NO_FSYNC))
        await asyncio.to_thread(self._control, "start", f"--log={self.directory / 'log'}", f"--options={options}")

    async def end_sessions(self) -> None:
        """Terminate all other client sessions, as an administrator does."""
        terminate_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        await asyncio.to_thread(self.server.execute, f"{terminate_others} AND backend_type = 'client backend'")

    def _control(self, verb: str, *options: str) -> None:
        subprocess.run(
            [self.binaries / "pg_ctl", verb, "--wait", "--pgdata", self.directory / "data", *options],
            check=True,
            timeout=START_SECONDS,
            stdout=subprocess.DEVNULL,
            user=self.directory.owner(),
            cwd=self.directory,
            env={"PATH": os.defpath, "LC_ALL": "C"},
        )


@contextmanager
def private_cluster() -> Iterator[Cluster]:
    """A cluster that only the test uses. Raises NoPostgresError."""
    binaries = find_binaries()
    if binaries is None:
        raise NoPostgresError("there is no initdb, and a shared server must not be stopped")
    with temporary_directory() as directory, cluster(binaries, directory / "cluster", NO_FSYNC) as server:
        yield Cluster(server, binaries, directory / "cluster")


@contextmanager
def small_disk(directory: Path, octets: int) -> Iterator[None]:
    """Mount a file system of that size on a directory. Raises PermissionError if mounting is not permitted."""
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", directory]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise PermissionError("mounting a file system is not permitted")
    try:
        yield
    finally:
        # Lazily, because a thread of the driver may still be closing its files.
        subprocess.run(["umount", "--lazy", directory], check=True)
