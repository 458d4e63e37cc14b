"""The version of an SQLite file, by which a process learns of the commits of others.

SQLite counts the commits of all processes; `PRAGMA data_version` reads that count from shared memory in microseconds.
"""

import sqlite3
import time
from pathlib import Path

POLL_SECONDS = 0.01  # how late a commit of another process is noticed


class FileVersion:
    """The version of a database file, cached for POLL_SECONDS. It differs after every commit of another connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._expires = 0.0
        self._failures = 0

    def get(self) -> int:
        """The version, refreshed if the cached one has expired."""
        if time.monotonic() >= self._expires:
            self.refresh()
        return self._version

    def refresh(self) -> None:
        """Read the version from the file: some microseconds."""
        self._version = self._read()
        self._expires = time.monotonic() + POLL_SECONDS

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> int:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:  # reported by the next use of the store; here: assume that anything may have changed
            self._failures += 1
            return -self._failures
        return version
