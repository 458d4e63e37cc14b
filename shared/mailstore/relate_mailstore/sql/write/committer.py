"""The write protocol: one `Committer` runs every transaction that changes mail, and nothing else may begin one.

`run` begins the transaction, calls the work, writes the rows of the changed mailboxes and the notice in the same
transaction, commits, and calls the observers in the order in which they registered. A cache that must follow
commits registers with `on_commit`; no other code has to know it. tests/unit/mailstore/sql/test_write_protocol.py
fails when any other module calls `Database.transact`. The protocol in full: docs/architecture/mailstore.md.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database, Work
from relate_mailstore.sql.driver.disk_reserve import DiskReserve, Removals
from relate_mailstore.sql.notices.ports import Notices
from relate_supervisor import Supervisor

T = TypeVar("T")
Observer = Callable[[Committed[Any]], None]


class Committer:
    """Runs transactions and tells the observers what they committed.

    Work is a function that takes a connection; it locks the mailboxes that it changes and returns a `Committed`.
    `durable=False` commits without waiting for the disk. `removes=True` marks work that frees space: on SQLite it
    may use the disk reserve.
    """

    def __init__(
        self, database: Database, notices: Notices, reserve: DiskReserve | None, supervisor: Supervisor
    ) -> None:
        self._database = database
        self._notices = notices
        self._remove = Removals(database, reserve)
        self._supervisor = supervisor
        self._observers: list[Observer] = [notices.on_commit]
        self._running: set[asyncio.Task[Any]] = set()

    def on_commit(self, observer: Observer) -> None:
        """Call `observer` after each commit, after the observers that are registered already."""
        self._observers.append(observer)

    async def run(self, work: Work[Committed[T]], *, durable: bool = True, removes: bool = False) -> T:
        """Run `work` in a transaction of its own and return its value.

        A transaction that has begun is finished even if the caller is cancelled, so that every commit is observed.
        """
        task = asyncio.create_task(self.run_batch(work, durable=durable, removes=removes))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._supervisor.watch("mailstore.change", task)  # reports a failure, which no caller would see
            raise

    async def run_batch(self, work: Work[Committed[T]], *, durable: bool = True, removes: bool = False) -> T:
        """`run` without a task of its own, for a writer task (`GroupCommit`), which no caller cancels."""
        advancing = partial(self._run_and_advance, work=work)
        return self._observe(await self.run_without_notice(advancing, durable=durable, removes=removes))

    async def run_statement(self, execute: Callable[[Database], Awaitable[Committed[T]]]) -> T:
        """Execute a change that is a single autocommitted statement and return its value.

        The statement itself must do what `run` does in a transaction: lock the mailboxes, write their rows and send
        the notice. Only `flags_optimistic` has such a statement.
        """
        return self._observe(await execute(self._database))

    async def run_without_notice(self, work: Work[T], *, durable: bool = True, removes: bool = False) -> T:
        """Run `work` in a transaction of which no session, process or cache needs to learn.

        That is right only where neither an entry nor a mailbox that a session may have selected or cached changes:

        - new mailboxes (provisioning, CREATE) and subscriptions: LIST and LSUB always query the database;
        - `mailboxes.recent`: it has no modseq, and the \\Recent flag may be given to two sessions (RFC 3501 §2.3.2);
        - claims of recipients in the queue, which belong to the runner that makes them;
        - events, suppressions, labels and filters, which the database is always queried for;
        - tombstones, search texts, and rows that garbage collection finds unreferenced: no reply depends on them.
        """
        if removes:
            return await self._remove(work)
        return await self._database.transact(work, durable)

    async def close(self) -> None:
        """Wait for the transactions whose callers were cancelled."""
        if self._running:
            await asyncio.wait(self._running)

    def _run_and_advance(self, connection: Connection, work: Work[Committed[T]]) -> Committed[T]:
        committed = work(connection)
        if committed.deltas or committed.announced.outcomes:
            self._notices.advance(connection, committed)
        return committed

    def _observe(self, committed: Committed[T]) -> T:
        for observe in self._observers:
            observe(committed)
        return committed.value
