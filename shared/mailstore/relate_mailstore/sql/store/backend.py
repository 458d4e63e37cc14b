"""What differs between the databases: how processes learn of each other's changes, and how they exclude each other."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Removal
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.disk_reserve import DiskReserve
from relate_mailstore.sql.driver.engine import database_file
from relate_mailstore.sql.driver.session_connection import SessionConnection
from relate_mailstore.sql.due_changes import QUEUE_CHANNEL, WEBHOOK_CHANNEL, DueChanges, open_changes
from relate_mailstore.sql.notices.maildrop_lock import AdvisoryLocks, LockFile, MaildropLocks
from relate_mailstore.sql.notices.ports import Notices
from relate_mailstore.sql.notices.postgres import PostgresNotices
from relate_mailstore.sql.notices.sqlite import FileNotices
from relate_supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Backend:
    """A database and its notices and locks. `side` is None on SQLite, `reserve` on PostgreSQL."""

    database: Database
    notices: Notices
    locks: MaildropLocks
    queue_changes: DueChanges
    webhook_changes: DueChanges
    side: SessionConnection | None = None
    reserve: DiskReserve | None = None

    @property
    def is_disk_nearly_full(self) -> bool:
        """Whether what can wait shall take no space. On PostgreSQL the database knows."""
        return self.reserve is not None and self.reserve.is_nearly_full

    async def start(self) -> None:
        """Start the reception of notices. Raises StoreUnavailable."""
        if self.side:
            await self.side.start()
        self.notices.start()

    async def close(self) -> None:
        """Stop the reception, then close the connections."""
        await self.notices.close()
        self.queue_changes.close()
        self.webhook_changes.close()
        if self.side:
            await self.side.close()
        await self.database.close()


def make_backend(
    engine: AsyncEngine, evict: Callable[[Removal], None], supervisor: Supervisor, caches: Caches
) -> Backend:
    """The backend of an engine's dialect. `evict` is called for messages that other processes have removed."""
    database = Database(engine)
    if database.dialect == POSTGRESQL:
        side = SessionConnection(engine, supervisor)
        notices = PostgresNotices(database, side, evict, supervisor, caches)
        return Backend(
            database,
            notices,
            AdvisoryLocks(side),
            open_changes(side, QUEUE_CHANNEL),
            open_changes(side, WEBHOOK_CHANNEL),
            side=side,
        )
    file = database_file(engine)
    return Backend(
        database,
        FileNotices(database, file, supervisor, caches),
        LockFile.beside(file),
        open_changes(file, QUEUE_CHANNEL),
        open_changes(file, WEBHOOK_CHANNEL),
        reserve=DiskReserve(file),
    )
