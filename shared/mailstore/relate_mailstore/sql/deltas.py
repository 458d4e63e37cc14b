"""What a transaction changed: a `MailboxDelta` per mailbox, removed messages, and a value for the caller. Pure."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

from relate_mailstore.change_events import Move
from relate_mailstore.event_types import Event
from relate_mailstore.identifiers import allocate_uid
from relate_mailstore.types import AccountId, Entry, Mailbox, MailboxId, MailboxNotice, MessageId, ModSeq, Uid

T = TypeVar("T")


class MailboxKey(NamedTuple):
    """A mailbox by its account and id."""

    account_id: AccountId
    mailbox_id: MailboxId


class MailboxName(NamedTuple):
    """A mailbox by its account and canonical name."""

    account_id: AccountId
    name: str


class Removal(NamedTuple):
    """Messages that were removed from an account; None if they are too many to list, so that any may be removed."""

    account_id: AccountId
    message_ids: Collection[MessageId] | None


@dataclass(slots=True)
class MailboxDelta:
    """The pending change of one locked mailbox. It takes the next modseq, which all changed entries share."""

    mailbox: Mailbox  # as it was when its row was locked
    dirty: bool = False  # the row must be written; other mailboxes may only have been locked
    arrived: int = 0  # messages, and so UIDs, that were added
    messages: int = 0  # added less removed
    octets: int = 0  # added less removed
    origin: str | None = None  # traceparent of the last message that arrived
    modseq_count: int = 1  # one for each successive change of the same entry in a batch
    changed_entries: list[Entry] = field(default_factory=list)  # new and changed ones, in their final state
    removed_uids: list[Uid] = field(default_factory=list)
    complete: bool = True  # applying the delta to a cached mailbox gives the new state; not so after a rename
    changed_at: float = field(default_factory=time.time)  # seconds since the epoch
    read: list[Event] = field(default_factory=list)  # that messages were read, for the event log

    @property
    def modseq(self) -> ModSeq:
        """The last modseq that this change takes.

        At least the time in milliseconds, so that a modseq lost in a crash with an asynchronous commit
        (docs/decisions/0007) is never assigned again.
        """
        return ModSeq(max(self.mailbox.highest_modseq + 1, int(self.changed_at * 1000)) + self.modseq_count - 1)

    @property
    def key(self) -> MailboxKey:
        """The key of the mailbox."""
        return MailboxKey(self.mailbox.account_id, self.mailbox.id)

    @property
    def notice(self) -> MailboxNotice:
        """The notice for other sessions and processes."""
        return MailboxNotice(self.mailbox.account_id, self.mailbox.id, self.modseq, self.origin, self.changed_at)

    def add_message(self, size: int, origin: str | None) -> Uid:
        """Assign a UID to a new message of `size` octets. Raises MailboxFull."""
        uid = allocate_uid(self.mailbox.uid_next + self.arrived)
        self.dirty = True
        self.arrived += 1
        self.messages += 1
        self.octets += size
        self.origin = origin
        return uid

    def remove_entries(self, uids: Collection[Uid], octets: int) -> None:
        """Record that entries of `octets` octets in total were removed."""
        self.dirty = True
        self.removed_uids += uids
        self.messages -= len(uids)
        self.octets -= octets

    def apply(self, before: Mailbox) -> Mailbox:
        """The mailbox after this change; `before` is its state when the row was locked."""
        return replace(
            before,
            uid_next=Uid(before.uid_next + self.arrived),
            highest_modseq=self.modseq,
            messages=before.messages + self.messages,
            octets=before.octets + self.octets,
        )


class Announced(NamedTuple):
    """What `EventWriter.add` has stored that others wait for: notices of outcomes, and deliveries to webhooks."""

    outcomes: Sequence[MailboxNotice] = ()
    has_deliveries: bool = False


NOTHING_ANNOUNCED = Announced()


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """The result of a transaction: a value for its caller, and what it changed.

    There is one delta per changed mailbox. Removed messages are those of which their account has no entry left; all
    are of one account, that of the first delta, and so are moved ones. `queue_changed` means that recipients of the
    queue became due, or that when they are due has changed. `announced` is from `EventWriter.add`.
    """

    value: T
    deltas: Sequence[MailboxDelta]
    removed_messages: Collection[MessageId] = ()
    queue_changed: bool = False
    move: Move | None = None
    announced: Announced = NOTHING_ANNOUNCED

    @property
    def notices(self) -> Sequence[MailboxNotice]:
        """The notices for other sessions and processes."""
        return [*(delta.notice for delta in self.deltas), *self.announced.outcomes]

    @property
    def removal(self) -> Removal | None:
        """The removed messages with their account."""
        return Removal(self.deltas[0].mailbox.account_id, self.removed_messages) if self.removed_messages else None


def dirty(deltas: Iterable[MailboxDelta]) -> list[MailboxDelta]:
    """The deltas whose mailboxes must be written."""
    return [delta for delta in deltas if delta.dirty]
