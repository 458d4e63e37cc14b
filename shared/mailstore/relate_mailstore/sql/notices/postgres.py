"""Notices of change, sent in the transaction that changes and received by every process; on SQLite see `watch`.

A notice says what to look at, not what it is: a process that missed one catches up by modseq. So a notice may be merged
with another, or stand for several, but a reader is never left without one. It also names the messages that their
account has no more, so that every process evicts them.
"""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import NamedTuple, Protocol
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import Connection, bindparam, column, func, select

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.sql.driver.coalesce import Gathered
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ListOf, numbers, one_of
from relate_mailstore.sql.driver.session_connection import SideConnection
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.mailboxes import STEP, Step, advanced_by
from relate_mailstore.sql.notices.freshness import Heard
from relate_mailstore.sql.schema.tables import mailboxes
from relate_mailstore.types import AccountId, MailboxNotice, MessageId
from relate_supervisor import Supervisor

CHANNEL = "relate_mail"
PAYLOAD_OCTETS = 7_999  # PostgreSQL's own limit of a notice is "shorter than 8000"
REMOVED_IDS = 50  # that a notice names; of more, evicting all that is cached of the account costs no more
ID_OCTETS = 16
ACCOUNTS_PER_LOOK = 1_000  # subscribed accounts whose mailboxes are looked up together
LOOK_AGAIN_SECONDS = 1.0  # when looking fails; the side connection's own retries come beside it

_STEP = (
    func.unnest(*(bindparam(name, type_=ListOf(kind)) for name, kind in STEP.items()))
    .table_valued(*(column(name, kind) for name, kind in STEP.items()))
    .render_derived(name="step")
)
_ADVANCE = select(func.pg_notify(CHANNEL, bindparam("payload"))).add_cte(
    advanced_by({name: _STEP.c[name] for name in STEP}).cte("advanced")
)
_LOOK = select(
    mailboxes.c.account_id, mailboxes.c.id, mailboxes.c.highest_modseq, mailboxes.c.origin, mailboxes.c.changed
).where(one_of(mailboxes.c.account_id, numbers("accounts")))

_log = structlog.get_logger(__name__)


class Removal(NamedTuple):
    """Messages that an account has no more; None are more than a notice names: any may be gone."""

    account_id: AccountId
    message_ids: Collection[MessageId] | None


class Notice(NamedTuple):
    """What a payload says: changes, a removal, and the accounts of whose changes it names none; None for all."""

    changes: Collection[MailboxNotice] = ()
    removal: Removal | None = None
    accounts: Collection[AccountId] | None = ()


class Notices(Protocol):
    """How notices get from a transaction to the subscribers of all processes, and to what this process has heard."""

    heard: Heard

    def epoch(self) -> object:
        """The epoch of `heard`, without delay."""

    def advance(self, connection: Connection, steps: Sequence[Step], removal: Removal | None = None) -> None:
        """Within the transaction: write what the steps did to their mailboxes, to be told of if it commits."""

    def committed(self, changes: Collection[MailboxNotice]) -> None:
        """The transaction is durable."""

    async def catch_up(self) -> bool:
        """Hear of all that was committed before this was called, by whomever; whether that could be done."""

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """The changes of an account, from now on."""

    def start(self) -> None:
        """Begin to receive."""

    async def close(self) -> None:
        """Receive no more."""


class PostgresNotices:
    """NOTIFY and LISTEN. What could not be said in a notice's size, or was said while nobody listened, is looked up."""

    def __init__(
        self,
        database: Database,
        side: SideConnection,
        evict: Callable[[Removal], None],
        supervisor: Supervisor,
    ) -> None:
        self.heard = Heard(self.epoch)
        self._evict = evict
        self._listeners = ChangeListeners()
        self._database = database
        self._side = side
        self._supervisor = supervisor
        self._round_trip: Gathered[None, None] = Gathered(self._ask)
        self._breaks = 0  # in listening, and notices that did not say enough
        self._unseen: set[AccountId] = set()
        self._look = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        side.on_connect(self._listen)

    def epoch(self) -> object:
        """A number that grows with each break in listening; None while this process does not listen."""
        return self._breaks if self._side.up else None

    def advance(self, connection: Connection, steps: Sequence[Step], removal: Removal | None = None) -> None:
        """All mailboxes and one notice, which PostgreSQL sends at the commit, by one statement."""
        rows = [step.row() for step in steps]
        parameters: dict[str, object] = {name: [row[name] for row in rows] for name in rows[0]}
        payload = encode_notice([step.change for step in steps], removal)
        run(connection, _ADVANCE, {**parameters, "payload": payload})

    def committed(self, changes: Collection[MailboxNotice]) -> None:
        """PostgreSQL tells the subscribers of this process, too."""
        self.heard.hear(changes)

    async def catch_up(self) -> bool:
        """Ask the connection that listens for an answer; those who wait at the same time share it."""
        try:
            await self._round_trip(None)
        except StoreUnavailable:
            return False
        return True

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """The changes of an account, from now on."""
        return self._listeners.listen(account_id)

    def start(self) -> None:
        """Begin to look up; the side connection begins to listen."""
        self._looking = self._supervisor.keep("mailstore.notices", self._keep_looking)

    async def close(self) -> None:
        """Look up no more."""
        await self._round_trip.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _ask(self, waiting: Sequence[None]) -> Sequence[None]:
        """PostgreSQL gives notices before it answers, and has them before whoever committed is answered."""
        await self._side.round_trip()
        return waiting

    async def _listen(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener(CHANNEL, self._on_notice)
        self._breaks += 1
        self._look_at(self._listeners.accounts)

    def _on_notice(self, connection: object, pid: int, channel: str, payload: object) -> None:
        changes, removal, accounts = parse_notice(str(payload))
        if removal is not None:
            self._evict(removal)
        self.heard.hear(changes)
        self._listeners.notify(changes)
        if accounts is None or accounts:
            self._breaks += 1
        self._look_at(self._listeners.accounts if accounts is None else accounts)

    def _look_at(self, accounts: Collection[AccountId]) -> None:
        self._unseen.update(self._listeners.accounts & set(accounts))
        if self._unseen:
            self._look.set()

    async def _keep_looking(self) -> None:
        self._look_at(self._unseen)  # left from a look that failed
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                await self._look_up()
            except StoreUnavailable as error:
                _log.warning("notices.look_failed", error=str(error))
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                self._look.set()

    async def _look_up(self) -> None:
        while self._unseen:
            accounts = set(islice(self._unseen, ACCOUNTS_PER_LOOK))
            self._unseen -= accounts  # before the look: what changes during it is looked at again
            try:
                self._listeners.notify(await look_up(self._database, accounts))
            except BaseException:
                self._unseen |= accounts
                raise


async def look_up(database: Database, accounts: Collection[AccountId]) -> Collection[MailboxNotice]:
    """The last change of each mailbox of these accounts."""
    return [MailboxNotice(*row) for row in await database.fetch(_LOOK, {"accounts": accounts})]


def encode_notice(changes: Collection[MailboxNotice], removal: Removal | None = None) -> str:
    """The payload for some changes: the changes, or just their accounts, or just that something changed.

    A process that is not told the changes takes it that any message of the accounts may be gone.
    """
    notice: dict[str, object] = {"changes": changes}
    if removal is not None:
        notice["gone"] = _encode_removal(removal)
    exact = json.dumps(notice, separators=(",", ":"))
    if len(exact) <= PAYLOAD_OCTETS:
        return exact
    accounts = json.dumps({"accounts": sorted({change.account_id for change in changes})}, separators=(",", ":"))
    return accounts if len(accounts) <= PAYLOAD_OCTETS else "{}"


def encode_change(change: MailboxNotice) -> str:
    """One of those that a payload names."""
    return json.dumps(change, separators=(",", ":"))


def parse_notice(payload: str) -> Notice:
    """What a payload says."""
    notice = json.loads(payload)
    if "changes" not in notice:
        return Notice(accounts=notice.get("accounts"))
    gone = notice.get("gone")
    return Notice([MailboxNotice(*change) for change in notice["changes"]], _parse_removal(*gone) if gone else None)


def _encode_removal(removal: Removal) -> Sequence[object]:
    """All ids in one text: 50 take 1,068 octets."""
    if removal.message_ids is None or len(removal.message_ids) > REMOVED_IDS:
        return [removal.account_id]
    return [removal.account_id, b64encode(b"".join([one.bytes for one in removal.message_ids])).decode()]


def _parse_removal(account_id: AccountId, encoded: str | None = None) -> Removal:
    if encoded is None:
        return Removal(account_id, None)
    octets = b64decode(encoded)
    starts = range(0, len(octets), ID_OCTETS)
    return Removal(account_id, [MessageId(UUID(bytes=octets[start : start + ID_OCTETS])) for start in starts])
