"""Change notices on PostgreSQL: NOTIFY in the transaction, LISTEN on the session connection of every process.

Where a notice was too large to name the mailboxes, or none arrived because the connection was down, the mailboxes of
the accounts with listeners are looked up instead.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Any

import asyncpg
import structlog
from sqlalchemy import Connection, bindparam, column, func, select

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed, Removal
from relate_mailstore.sql.driver.coalesce import Coalescer
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ListOf
from relate_mailstore.sql.driver.session_connection import SessionConnection
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.mailboxes import DELTA_COLUMNS, advance_statement, delta_row
from relate_mailstore.sql.notices.freshness import Freshness
from relate_mailstore.sql.notices.payload import encode_notice, parse_notice
from relate_mailstore.sql.notices.ports import ACCOUNTS_PER_QUERY, look_up
from relate_mailstore.types import AccountId, MailboxNotice
from relate_supervisor import Supervisor

CHANNEL = "relate_mail"
LOOKUP_RETRY_SECONDS = 1.0  # the session connection has retries of its own

_DELTA = (
    func.unnest(*(bindparam(name, type_=ListOf(kind)) for name, kind in DELTA_COLUMNS.items()))
    .table_valued(*(column(name, kind) for name, kind in DELTA_COLUMNS.items()))
    .render_derived(name="delta")
)
_ADVANCE = select(func.pg_notify(CHANNEL, bindparam("payload"))).add_cte(
    advance_statement({name: _DELTA.c[name] for name in DELTA_COLUMNS}).cte("advanced")
)

_log = structlog.get_logger(__name__)


class PostgresNotices:
    """`Notices` by NOTIFY and LISTEN. `evict` is called with each removal that a notice names."""

    def __init__(
        self,
        database: Database,
        side: SessionConnection,
        evict: Callable[[Removal], None],
        supervisor: Supervisor,
        caches: Caches,
    ) -> None:
        self.freshness = Freshness(self.epoch, caches)
        self._evict = evict
        self._listeners = ChangeListeners()
        self._database = database
        self._side = side
        self._supervisor = supervisor
        self._round_trip: Coalescer[None, None] = Coalescer(self._make_round_trip)
        self._gaps = 0  # times that notices may have been missed, or did not name the mailboxes
        self._accounts_to_look_up: set[AccountId] = set()
        self._lookup_wanted = asyncio.Event()
        self._lookups: asyncio.Task[None] | None = None
        side.on_connect(self._listen)

    def epoch(self) -> object:
        """The number of gaps in listening so far; None while this process does not listen."""
        return self._gaps if self._side.up else None

    def advance(self, connection: Connection, committed: Committed[Any]) -> None:
        """Write the rows of the mailboxes and send the notice with one statement; NOTIFY is delivered at COMMIT."""
        rows = [delta_row(delta) for delta in committed.deltas]
        parameters: dict[str, object] = {name: [row[name] for row in rows] for name in DELTA_COLUMNS}
        payload = encode_notice(committed.notices, committed.removal)
        run(connection, _ADVANCE, {**parameters, "payload": payload})

    def on_commit(self, committed: Committed[Any]) -> None:
        """Record the commit. The listeners of this process get it from PostgreSQL, like those of any other."""
        self.freshness.record(committed.notices)

    async def catch_up(self) -> bool:
        """Make a round trip on the connection that listens; concurrent callers share one."""
        try:
            await self._round_trip(None)
        except StoreUnavailable:
            return False
        return True

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the notices of an account."""
        return self._listeners.listen(account_id)

    def start(self) -> None:
        """Start the task that looks mailboxes up; the session connection starts listening when it connects."""
        self._lookups = self._supervisor.keep("mailstore.notices", self._run_lookups)

    async def close(self) -> None:
        """Stop the task."""
        await self._round_trip.close()
        if self._lookups is not None:
            self._lookups.cancel()
            await asyncio.wait([self._lookups])

    async def _make_round_trip(self, callers: Sequence[None]) -> Sequence[None]:
        """PostgreSQL sends pending notices before a reply, and queues a notice before its COMMIT is acknowledged."""
        await self._side.round_trip()
        return callers

    async def _listen(self, connection: asyncpg.Connection) -> None:
        with self._side.events(f'LISTEN "{CHANNEL}"'):
            await connection.add_listener(CHANNEL, self._on_notice)
        self._gaps += 1
        self._request_lookup(self._listeners.accounts)

    def _on_notice(self, connection: object, pid: int, channel: str, payload: object) -> None:
        changes, removal, accounts = parse_notice(str(payload))
        if removal is not None:
            self._evict(removal)
        self.freshness.record(changes)
        self._listeners.notify(changes)
        if accounts is None or accounts:
            self._gaps += 1
        self._request_lookup(self._listeners.accounts if accounts is None else accounts)

    def _request_lookup(self, accounts: Collection[AccountId]) -> None:
        self._accounts_to_look_up.update(self._listeners.accounts & set(accounts))
        if self._accounts_to_look_up:
            self._lookup_wanted.set()

    async def _run_lookups(self) -> None:
        self._request_lookup(self._accounts_to_look_up)  # the task may have been restarted after a failed look-up
        while True:
            await self._lookup_wanted.wait()
            self._lookup_wanted.clear()
            try:
                with self._supervisor.tracing.work("mailstore.notices.look_up"):
                    await self._look_up()
            except StoreUnavailable as error:
                _log.warning("notices.look_failed", error=str(error))
                await asyncio.sleep(LOOKUP_RETRY_SECONDS)
                self._lookup_wanted.set()

    async def _look_up(self) -> None:
        while self._accounts_to_look_up:
            accounts = set(islice(self._accounts_to_look_up, ACCOUNTS_PER_QUERY))
            self._accounts_to_look_up -= accounts  # first: a change during the query requests another one
            try:
                self._listeners.notify(await look_up(self._database, accounts))
            except BaseException:
                self._accounts_to_look_up |= accounts
                raise
