"""Deliveries and appended messages: indexed before their transaction, then stored in batches."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from sqlalchemy import Connection

from relate_mailstore.change_events import ChangedBy, appended_event
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.keywords import new_keywords
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.disk_reserve import DiskReserve
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.mailboxes import find_equivalent_name
from relate_mailstore.sql.schema.rows import index_row
from relate_mailstore.sql.write.append_copy import append
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.deliver import DeliveryResult, store_batch
from relate_mailstore.sql.write.group_commit import GroupCommit, QueuedDelivery
from relate_mailstore.sql.write.held_notice import enter_once
from relate_mailstore.sql.write.namespace import provision_for
from relate_mailstore.sql.write.send import send
from relate_mailstore.sql.write.told import Telling
from relate_mailstore.types import (
    AccountId,
    Appended,
    Delivery,
    Destination,
    MailboxId,
    MessageId,
    NewMessage,
    Receipt,
    Sending,
    Uid,
)
from relate_mime import MessageIndex
from relate_mime.cost import is_cheap_to_index
from relate_supervisor import Supervisor

GROUP_COMMIT_WAIT = "relate.group_commit.wait"  # an attribute, as in relate_telemetry.names

Index = Callable[[bytes], MessageIndex]


class Deliveries:
    """Stores new messages. `reserve` limits the transactions on a disk that is nearly full (SQLite only).

    `clock` returns seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        committer: Committer,
        reserve: DiskReserve | None,
        index: Index,
        supervisor: Supervisor,
        *,
        writer: EventWriter,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._committer = committer
        self._reserve = reserve
        self._index = index
        self._supervisor = supervisor
        self._writer = writer
        self._clock = clock
        self._message_ids = generate_message_ids()
        self._queue: GroupCommit[QueuedDelivery, Receipt] = GroupCommit(self._store_batch, supervisor)

    def start(self) -> None:
        """Start the writer task."""
        self._queue.start()

    async def close(self) -> None:
        """Store the queued messages and refuse new ones."""
        await self._queue.close()

    async def deliver(self, delivery: Delivery) -> Receipt:
        """See `MailStore.deliver`."""
        queued = await self.prepare(delivery)
        commit = self._commit if delivery.sending is None else partial(self._send, sending=delivery.sending)
        try:
            return await commit(queued)
        except MailboxNotFound:
            provisioned = await self.provision(queued)
        return await commit(provisioned)

    async def prepare(self, delivery: Delivery) -> QueuedDelivery:
        """Assign the message's id, and index it; without a destination no index is stored. Raises TooManyKeywords."""
        for to in delivery.destinations:
            new_keywords(to.keywords)
        message_id = next(self._message_ids)
        columns = await self._index_columns(delivery.raw, message_id) if delivery.destinations else {}
        return QueuedDelivery(delivery, message_id, columns)

    async def provision(self, queued: QueuedDelivery) -> QueuedDelivery:
        """Provision the accounts of a delivery that met a missing mailbox; the delivery to retry.

        Raises MailboxNotFound if a mailbox would still be missing.
        """
        delivery = queued.delivery
        destinations = tuple([await self._with_equivalent_name(to) for to in delivery.destinations])
        await provision_for(self._database, self._committer, destinations)
        return QueuedDelivery(replace(delivery, destinations=destinations), queued.message_id, queued.columns)

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None,
        *,
        quota: int | None,
        by: ChangedBy | None,
    ) -> Appended:
        """See `MailStore.append`. A single message shares the transaction of the queued deliveries.

        `by` is the author of the change, for the event log.
        """
        prepare = partial(self._prepare_appended, account_id, mailbox, by)
        if replaces is None and len(messages) == 1:
            receipt = await self._commit(await prepare(messages[0], quota))
            (uid_validity, uid), *_ = receipt.entered
            return Appended(uid_validity, (uid,))
        batch = [await prepare(message) for message in messages]
        work = partial(append, account_id=account_id, batch=batch, replaces=replaces, quota=quota, writer=self._writer)
        return await self._committer.run(Telling(self._writer, by)(work))

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: bytes) -> bool:
        """See `MailStore.tell_held`."""
        queued = await self.prepare(Delivery(notice, (Destination(account_id),)))
        enter = partial(self._enter_once, account_id=account_id, limit=limit)
        try:
            return await self._committer.run(partial(enter, queued=queued))
        except MailboxNotFound:
            provisioned = await self.provision(queued)
        return await self._committer.run(partial(enter, queued=provisioned))

    async def _with_equivalent_name(self, to: Destination) -> Destination:
        equivalent = await find_equivalent_name(self._database, to.account_id, to.mailbox)
        return replace(to, mailbox=equivalent) if equivalent else to

    async def _prepare_appended(
        self,
        account_id: AccountId,
        mailbox: str,
        by: ChangedBy | None,
        message: NewMessage,
        quota: int | None = None,
    ) -> QueuedDelivery:
        events = () if by is None else (appended_event(by, account_id),)
        to = Destination(account_id, mailbox, message.flags, new_keywords(message.keywords), quota)
        return await self.prepare(Delivery(message.raw, (to,), message.internal_date, message.origin, events=events))

    async def _index_columns(self, raw: bytes, message_id: MessageId) -> dict[str, Any]:
        with self._supervisor.tracing.part("mailstore.delivery.index"):
            if is_cheap_to_index(raw):
                return index_row(self._index(raw), message_id)
            return await asyncio.to_thread(lambda: index_row(self._index(raw), message_id))

    async def _commit(self, queued: QueuedDelivery) -> Receipt:
        with self._supervisor.tracing.part("mailstore.delivery.group_commit") as span:
            queued.context = copy_context()
            waits_since = perf_counter()
            receipt = await self._queue.submit(queued)
            span.set(GROUP_COMMIT_WAIT, queued.began - waits_since)
            if receipt.leader != queued.delivery.origin:
                span.link(receipt.leader)  # whose trace has the statements
            return receipt

    async def _send(self, queued: QueuedDelivery, sending: Sending) -> Receipt:
        return await self._committer.run(partial(self._send_within_reserve, queued=queued, sending=sending))

    async def _store_batch(self, batch: Sequence[QueuedDelivery]) -> Sequence[DeliveryResult]:
        began = perf_counter()
        for queued in batch:
            queued.began = began
        return await self._committer.run_batch(partial(self._store_within_reserve, batch=batch))

    def _enter_once(
        self, connection: Connection, account_id: AccountId, limit: SendingLimit, queued: QueuedDelivery
    ) -> Committed[bool]:
        if self._reserve:
            self._reserve.ration(connection, queued.weight)
        return enter_once(connection, account_id, limit, queued, self._clock())

    def _send_within_reserve(
        self, connection: Connection, queued: QueuedDelivery, sending: Sending
    ) -> Committed[Receipt]:
        if self._reserve:
            self._reserve.ration(connection, queued.weight)
        return send(connection, queued, sending, self._writer, self._clock())

    def _store_within_reserve(
        self, connection: Connection, batch: Sequence[QueuedDelivery]
    ) -> Committed[Sequence[DeliveryResult]]:
        if self._reserve:
            self._reserve.ration(connection, sum(queued.weight for queued in batch))
        return store_batch(connection, batch, self._writer, self._clock())
