"""Deliveries in memory: each message is entered into the mailboxes of its destinations, and queued."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from relate_mailstore.event_rules import of_delivery, places_of
from relate_mailstore.keywords import new_keywords
from relate_mailstore.memory.accounts import MemoryAccounts
from relate_mailstore.memory.events import MemoryEventLog
from relate_mailstore.memory.filters import MemoryFilters
from relate_mailstore.memory.mailbox import MessageAttributes
from relate_mailstore.memory.sending import MemorySending
from relate_mailstore.memory.suppressions import MemorySuppressions
from relate_mailstore.queue_types import Outgoing
from relate_mailstore.quota import check_quota, octets_by_account
from relate_mailstore.sending_rules import held_events, held_reply
from relate_mailstore.types import AccountId, AssignedUid, Delivery, Message, MessageId, Receipt
from relate_mime import MessageIndex

Index = Callable[[bytes], MessageIndex]
Queue = Callable[[MessageId, Outgoing, bytes, str | None, str], None]


class MemoryDeliveries:
    """Stores deliveries, with their events and suppressions. `queue` stores outgoing mail, as `MemoryQueue.add`."""

    def __init__(
        self,
        accounts: MemoryAccounts,
        index: Index,
        message_ids: Iterator[MessageId],
        *,
        filters: MemoryFilters,
        events: MemoryEventLog,
        suppressions: MemorySuppressions,
        sending: MemorySending,
        queue: Queue,
    ) -> None:
        self._accounts = accounts
        self._index = index
        self._message_ids = message_ids
        self._filters = filters
        self._events = events
        self._suppressions = suppressions
        self._sending = sending
        self._queue = queue

    def deliver_all(self, deliveries: Sequence[Delivery]) -> Sequence[Receipt]:
        """Deliver all or none. Raises MailboxNotFound, OverQuota."""
        for delivery in deliveries:
            for destination in delivery.destinations:
                new_keywords(destination.keywords)
                self._accounts.account(destination.account_id).expect_mailbox(destination.mailbox)
        added = Counter[AccountId]()
        for delivery in deliveries:
            added.update(octets_by_account(delivery))
            for to in delivery.destinations:
                check_quota(self._accounts.usage(to.account_id), added[to.account_id], to.quota)
        return [self._deliver(delivery) for delivery in deliveries]

    def _deliver(self, delivery: Delivery) -> Receipt:
        message_id, index = next(self._message_ids), self._index(delivery.raw)
        for to in delivery.destinations:
            self._accounts.account(to.account_id).provision()
        delivery = self._filters.apply(delivery, index)
        entered = self._enter(delivery, message_id, index)
        header_message_id = index.header_message_id or (
            delivery.outgoing.header_message_id if delivery.outgoing else ""
        )
        places = places_of(delivery, entered)
        self._events.add(of_delivery(delivery.events, message_id, header_message_id, delivery.origin, places))
        self._suppressions.suppress(delivery.suppressions)
        receipt = Receipt(message_id, tuple(entered), leader=delivery.origin)
        return receipt if delivery.outgoing is None else self._send(receipt, delivery, delivery.outgoing)

    def _enter(self, delivery: Delivery, message_id: MessageId, index: MessageIndex) -> list[AssignedUid]:
        received = or_now(delivery.internal_date)
        entered: list[AssignedUid] = []
        for to in delivery.destinations:
            account = self._accounts.account(to.account_id)
            message = Message(message_id, account.id, index, received, delivery.origin)
            mailbox = account.mailbox(to.mailbox)
            attributes = MessageAttributes(to.flags, new_keywords(to.keywords), received)
            uid = account.enter(mailbox, message, delivery.raw, attributes)
            entered.append(AssignedUid(mailbox.state.uid_validity, uid))
        return entered

    def _send(self, receipt: Receipt, delivery: Delivery, outgoing: Outgoing) -> Receipt:
        excess, reply = self._sending.count(outgoing), ""
        if excess is not None:
            outgoing, reply = replace(outgoing, is_held=True), held_reply(excess)
            events = held_events(outgoing, excess)
            self._events.add(of_delivery(events, receipt.message_id, outgoing.header_message_id, delivery.origin))
        self._queue(receipt.message_id, outgoing, delivery.raw, delivery.origin, reply)
        return replace(receipt, queued=len(outgoing.recipients), excess=excess)


def or_now(seconds: int | None) -> int:
    """A time in seconds since the epoch, or the present one."""
    return int(time.time()) if seconds is None else seconds
