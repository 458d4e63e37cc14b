"""Databases that go away and come back: a PostgreSQL cluster to be stopped, a disk to be filled."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import NoPostgresError, Server, cluster, find_binaries, temporary_directory

START_SECONDS = 30  # for a cluster to recover and to answer
NO_FSYNC = ("-c fsync=off",)  # commits reach the kernel, which survives; so a cluster that is killed loses none


@dataclass(frozen=True)
class Cluster:
    """A cluster of our own, running."""

    server: Server
    binaries: Path
    directory: Path

    async def stop(self) -> None:
        """Kill it, and every connection with it."""
        await asyncio.to_thread(self._control, "stop", "--mode=immediate")

    async def start(self) -> None:
        """Start it again; it answers when this returns."""
        listen = f"-c listen_addresses= -c unix_socket_directories={self.directory}"
        options = " ".join((listen, *NO_FSYNC))
        await asyncio.to_thread(self._control, "start", f"--log={self.directory / 'log'}", f"--options={options}")

    async def end_sessions(self) -> None:
        """End every session but the one that asks, as an administrator does."""
        everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        await asyncio.to_thread(self.server.execute, f"{everybody} AND backend_type = 'client backend'")

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
    """A cluster that nobody else uses. Raises NoPostgresError."""
    binaries = find_binaries()
    if binaries is None:
        raise NoPostgresError("there is no initdb: somebody else's server is not ours to stop")
    with temporary_directory() as directory, cluster(binaries, directory / "cluster", NO_FSYNC) as server:
        yield Cluster(server, binaries, directory / "cluster")


@contextmanager
def small_disk(directory: Path, octets: int) -> Iterator[None]:
    """A file system of that size in a directory. Raises PermissionError where nothing may be mounted."""
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", directory]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise PermissionError("no file system may be mounted here")
    try:
        yield
    finally:
        # Lazily: a thread of the driver's may still be closing its files.
        subprocess.run(["umount", "--lazy", directory], check=True)
