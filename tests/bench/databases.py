"""The databases of a run: SQLite files in a directory and, with a cluster, databases of PostgreSQL."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.postgres import Server

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


class Databases:
    """Creates and copies databases. `label` names one of a kind; `kinds` are the available ones."""

    def __init__(self, directory: Path, cluster: Server | None) -> None:
        self._directory = directory
        self._cluster = cluster
        self.kinds = [SQLITE] if cluster is None else [SQLITE, POSTGRESQL]

    def create(self, kind: str, label: str) -> str:
        """The URL of a new database; an SQLite file is made by its first connection."""
        if kind == POSTGRESQL and self._cluster is not None:
            return self._cluster.create(label)
        return f"sqlite:///{self._file(label)}"

    def copy(self, kind: str, label: str, new_label: str) -> str:
        """The URL of a new database with the contents of another one, to which no server is connected."""
        if kind == POSTGRESQL and self._cluster is not None:
            return self._cluster.create(new_label, label)
        with (
            closing(sqlite3.connect(self._file(label))) as source,
            closing(sqlite3.connect(self._file(new_label))) as to,
        ):
            source.backup(to)
        return self.create(kind, new_label)

    def remove(self, kind: str, label: str) -> None:
        """Remove a database, to free its space on the disk."""
        if kind == POSTGRESQL and self._cluster is not None:
            self._cluster.drop(label)
        else:
            for file in self._directory.glob(f"{label}.db*"):
                file.unlink()

    def _file(self, label: str) -> Path:
        return self._directory / f"{label}.db"
