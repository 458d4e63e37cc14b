"""What sessions and endpoints ask of a store. One method is one transaction; errors are those of `errors`.

Three implementations pass one contract suite (`tests/contract`): memory, SQLite, PostgreSQL. Every method that reads
or writes mail names its account, so that rows can be spread by account without a change in a protocol.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from relate_mailstore.types import (
    INBOX,
    AccountId,
    Appended,
    Copied,
    Delivery,
    FlagChange,
    Flagged,
    Incoming,
    Listed,
    Mailbox,
    MailboxId,
    MailboxNotice,
    MessageId,
    MessageIndex,
    MessageQuery,
    Page,
    Receipt,
    Rendering,
    Snapshot,
    Summary,
    TextPart,
)


class RawMessage(Protocol):
    """A raw message, opened for reading."""

    @property
    def size(self) -> int:
        """Octets of the whole message."""

    @property
    def origin(self) -> str | None:
        """The traceparent of the transaction that delivered it."""

    @property
    def at_hand(self) -> bytes | None:
        """All of it, if it is small and was fetched already."""

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop) in bounded chunks. Raises MessageNotFound, StoreUnavailable."""

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop) at once: for what is known to be small."""


class MailStore(Protocol):
    """The mail of all accounts. Every method may raise StoreUnavailable."""

    async def provision(self, account_id: AccountId) -> None:
        """Give an account INBOX and the special-use mailboxes (RFC 6154). Harmless when repeated."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message and enter it for every destination; returns when that is durable.

        An account without mailboxes is provisioned. Raises MailboxNotFound for any other missing mailbox, OverQuota
        where any of the accounts would hold more than the quota of its destination; nothing is stored then.
        """

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more seem to fit under `quota` octets (None = no limit).

        For a refusal before the content is sent: what others store meanwhile is counted by `deliver`.
        """

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name (INBOX in any case). Raises MailboxNotFound.

        Here and everywhere, where no mailbox has just this name, one is meant whose name has the same normal form.
        """

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account, by name, INBOX first."""

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries. Unchanged since the last call in this process, it costs one small query.

        Raises MailboxNotFound.
        """

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The same mailbox, by its id, as it is now; the same object where nothing changed: then it costs no query.

        This process's own commits are seen at once, others' as soon as their notice has come (within some
        milliseconds). Raises MailboxNotFound when the mailbox is gone.
        """

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Make a mailbox, with a UIDVALIDITY above all that the account ever had; its name is in Normalization Form C.

        Raises MailboxExists, also where a name is the same in another normal form, and TooManyMailboxes.
        """

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries; those of names below it stay.

        Raises MailboxNotFound, and ValueError for INBOX.
        """

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and all below it. INBOX stays, and its messages move to the new name (RFC 9051 §6.3.6).

        Raises MailboxNotFound when there is neither such a mailbox nor one below it, MailboxExists when any of the new
        names is taken.
        """

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to, whether there are mailboxes of these names or not."""

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it; idempotent. New accounts have all of theirs.

        Raises TooManyMailboxes for more names than an account may have mailboxes.
        """

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: int | None = None) -> int:
        """The first UID that no call has taken before: messages from there on are \\Recent (RFC 3501 §2.3.2).

        All that are there are taken, or those below `until`; with 0 none are. Costs a write only where some are.
        Raises MailboxNotFound.
        """

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[Incoming],
        replaces: tuple[MailboxId, int] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Put messages into a mailbox, all or none; and in the same transaction expunge the entry they replace.

        Raises MailboxNotFound, MessageNotFound when what is to be replaced is not there, and OverQuota where the
        account would grow beyond `quota` octets.
        """

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Enter messages into another mailbox too, with their flags and internal dates.

        Raises MailboxNotFound, and OverQuota where the account would grow beyond `quota` octets.
        """

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int], target: str) -> Copied:
        """`copy`, and expunge, in one transaction (RFC 6851). Raises MailboxNotFound."""

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> Sequence[int] | None:
        """UIDs expunged after `modseq`, ascending; None where that is too long ago to be known (RFC 7162 §3.2.5.1).

        Raises MailboxNotFound.
        """

    async def usage(self, account_id: AccountId) -> int:
        """Octets that the account's mailboxes hold."""

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """What FETCH answers of each of these messages without opening it; None for one that is gone."""

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """Where the parts of each of these messages lie; None for one that is gone."""

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw header of each of these messages, empty line included; None for one that is gone."""

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each of the snapshot's entries, in their order; an empty one for a message that is gone.

        Kept by the process and brought up to date: asked for again, it costs next to nothing.
        """

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[int]:
        """UIDs of the entries whose text contains this as a substring, without regard to case.

        Exact: an index only chooses the candidates. Words broken by line ends match with a space.
        """

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Open a raw message of this account for reading. Raises MessageNotFound.

        `ahead` is a hint: these will be opened next. The small ones are fetched meanwhile, and not waited for.
        """

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Open several raw messages, the small ones fetched together; None for one that is gone. `ahead` as above."""

    async def message(self, account_id: AccountId, message_id: MessageId) -> Listed:
        """One message with its index and flags. Raises MessageNotFound."""

    async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
        """One page of the messages that match, newest first."""

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        change: FlagChange,
        unchanged_since: int | None = None,
    ) -> Flagged:
        """Change flags of entries, but of none with a later modseq than `unchanged_since`.

        Keywords know no case: see `keywords`. Raises MailboxNotFound, TooManyKeywords.
        """

    async def flag_message(self, account_id: AccountId, message_id: MessageId, change: FlagChange) -> Listed:
        """Change flags of a message in every mailbox it is entered in; keywords are spelled as in these mailboxes.

        Raises MessageNotFound, TooManyKeywords.
        """

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]) -> Sequence[int]:
        """Remove entries for good; the UIDs that were there, ascending. Each is removed once, whoever asks."""

    async def delete_message(self, account_id: AccountId, message_id: MessageId) -> None:
        """Remove a message from every mailbox of this account (and of no other). Raises MessageNotFound."""

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop, over all processes (RFC 1939 §4).

        Raises MaildropInUse on entry when somebody else holds it, and goes on holding it for `patience` seconds.
        """

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the account's changes, from every process. Slow readers see changes merged, never lost."""

    async def ping(self) -> None:
        """Answer, or raise StoreUnavailable: for readiness checks."""

    async def close(self) -> None:
        """Finish what was accepted, then let go of the database."""
