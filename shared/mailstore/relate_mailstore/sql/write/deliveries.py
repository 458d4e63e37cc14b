"""Deliveries and appended messages: indexed before their transaction, then stored in batches."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from relate_mailstore.change_events import ChangedBy, appended_event
from relate_mailstore.errors import MailboxNotFound, StoreError
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
from relate_mailstore.sql.write.filtering import TextNeeded, find_texts
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

_log = structlog.get_logger(__name__)

T = TypeVar("T")
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
        commit = self._commit if delivery.sending is None else partial(self._send, sending=delivery.sending)
        return await self.attempt([await self.prepare(delivery)], lambda batch: commit(*batch))

    async def attempt(
        self, batch: Sequence[QueuedDelivery], store: Callable[[Sequence[QueuedDelivery]], Awaitable[T]]
    ) -> T:
        """Store prepared deliveries, and again once accounts are provisioned, or what filters ask of texts is known.

        Raises what `store` raises, MailboxNotFound if a mailbox would still be missing.
        """
        remedies = {MailboxNotFound: self._provision, TextNeeded: self._look_for_texts}
        while True:
            try:
                return await store(batch)
            except (MailboxNotFound, TextNeeded) as error:
                refusal, remedy = error, remedies.pop(type(error), None)
                if remedy is None:
                    raise
            batch = [await remedy(queued, refusal) for queued in batch]

    async def prepare(self, delivery: Delivery) -> QueuedDelivery:
        """Assign the message's id, and index it; without a destination no index is stored. Raises TooManyKeywords."""
        for to in delivery.destinations:
            new_keywords(to.keywords)
        message_id = next(self._message_ids)
        if not delivery.destinations:
            return QueuedDelivery(delivery, message_id, {})
        index, columns = await self._index_message(delivery.raw, message_id)
        return QueuedDelivery(delivery, message_id, columns, index=index)

    async def _provision(self, queued: QueuedDelivery, _: StoreError) -> QueuedDelivery:
        """Provision the accounts of a delivery that met a missing mailbox; the delivery to retry.

        Raises MailboxNotFound if a mailbox would still be missing.
        """
        delivery = queued.delivery
        destinations = tuple([await self._with_equivalent_name(to) for to in delivery.destinations])
        await provision_for(self._database, self._committer, destinations)
        return _again(queued, replace(delivery, destinations=destinations), queued.texts)

    async def _look_for_texts(self, queued: QueuedDelivery, refusal: StoreError) -> QueuedDelivery:
        """Look for the texts that filters ask for in the body of a delivery; the delivery to retry.

        If that fails, the filters find none: no mail is lost because of a filter.
        """
        index, raw = queued.index, queued.delivery.raw
        if index is None or not isinstance(refusal, TextNeeded):
            return _again(queued, queued.delivery, queued.texts)
        try:
            with self._supervisor.tracing.part("mailstore.delivery.filter_text"):
                texts = await asyncio.to_thread(find_texts, raw, index, refusal.texts)
        except Exception as error:  # noqa: BLE001 - of a defect in the extraction
            _log.error("filter.text_failed", message_id=str(queued.message_id), reason=type(error).__name__)
            texts = frozenset()
        return _again(queued, queued.delivery, texts)

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
            receipt = await self.attempt([await prepare(messages[0], quota)], lambda batch: self._commit(*batch))
            (uid_validity, uid), *_ = receipt.entered
            return Appended(uid_validity, (uid,))
        batch = [await prepare(message) for message in messages]
        work = partial(append, account_id=account_id, batch=batch, replaces=replaces, quota=quota, writer=self._writer)
        return await self._committer.run(Telling(self._writer, by)(work))

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """See `MailStore.tell_held`."""
        queued = await self.prepare(notice)
        enter = partial(self._enter_once, account_id=account_id, limit=limit)
        return await self.attempt([queued], lambda batch: self._committer.run(partial(enter, queued=batch[0])))

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
        return await self.prepare(
            Delivery(message.raw, (to,), message.internal_date, message.origin, events=events, is_filtered=False)
        )

    async def _index_message(self, raw: bytes, message_id: MessageId) -> tuple[MessageIndex, dict[str, Any]]:
        def compute() -> tuple[MessageIndex, dict[str, Any]]:
            index = self._index(raw)
            return index, index_row(index, message_id)

        with self._supervisor.tracing.part("mailstore.delivery.index"):
            return compute() if is_cheap_to_index(raw) else await asyncio.to_thread(compute)

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
        return enter_once(connection, account_id, limit, queued, self._writer, self._clock())

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


def _again(queued: QueuedDelivery, delivery: Delivery, texts: frozenset[str] | None) -> QueuedDelivery:
    """A delivery to queue once more, with a result of its own."""
    return QueuedDelivery(delivery, queued.message_id, queued.columns, index=queued.index, texts=texts)
