"""The port of the mail store: what sessions and endpoints call. One method is one transaction; errors are in `errors`.

Three implementations pass one contract suite (`tests/contract`): memory, SQLite, PostgreSQL. Every method that reads
or writes mail takes the account, so that rows can be sharded by account without a change in a protocol.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from relate_mailstore.change_events import Actor
from relate_mailstore.event_types import Event, EventQuery
from relate_mailstore.filter_types import Filter, FilterId, FilterRule, Label, LabelId, LabelStyle
from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.queue_types import (
    AttemptResult,
    Claimed,
    Lease,
    QueueFilter,
    QueuePage,
    QueueStatistics,
    RecipientId,
    SendingLimit,
    StsPolicy,
)
from relate_mailstore.suppression_types import Suppression
from relate_mailstore.types import (
    INBOX,
    AccountId,
    AnsweredRequest,
    Appended,
    Copied,
    Delivery,
    FlagChange,
    Flagged,
    ListedMessage,
    Mailbox,
    MailboxId,
    MailboxNotice,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Rendering,
    Snapshot,
    Summary,
    TextPart,
    Uid,
)
from relate_mailstore.webhook_rules import Settled
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    NewWebhook,
    Webhook,
    WebhookDelivery,
    WebhookId,
    WebhookReply,
)
from relate_mime import MessageIndex

__all__ = [
    "ActingStore",
    "EventLog",
    "Filters",
    "Labels",
    "LiveStore",
    "MailStore",
    "QueueStore",
    "RawMessage",
    "RawStore",
    "SearchStore",
    "Suppressions",
    "Webhooks",
]


class RawMessage(Protocol):
    """A raw message, opened for reading."""

    @property
    def size(self) -> int:
        """Octets of the message."""

    @property
    def origin(self) -> str | None:
        """The traceparent of the transaction that delivered it."""

    @property
    def buffered(self) -> bytes | None:
        """All octets, if the message is small and in memory; else None."""

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop) in bounded chunks. Raises MessageNotFound, StoreUnavailable."""

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop) in one piece: only for a range that is known to be small."""


class RawStore(Protocol):
    """Raw messages, and the data computed from them at delivery."""

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Open a raw message of this account for reading. Raises MessageNotFound.

        `ahead` is a hint: the messages that will be opened next. Small ones are prefetched in the background.
        """

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Open several raw messages, the small ones with one query; None for an expunged one. `ahead` as in `open`."""

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw header of each message, with the empty line at its end; None for an expunged one."""

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """The FETCH data items of each message that need no raw message; None for an expunged one."""

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The index of each message, with the offsets of its parts; None for an expunged one."""


class SearchStore(Protocol):
    """SEARCH, SORT, THREAD, and the message lists of the REST API."""

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary of each entry, in the order of the snapshot; an empty one for an expunged message.

        Cached and updated by the process: a repeated call costs next to nothing.
        """

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains this substring, case-insensitively.

        Exact: an index only preselects the candidates. Words that a line break separates match with a space.
        """

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """A message with its index and flags. Raises MessageNotFound."""

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match, newest first. Raises ValueError for an invalid cursor."""

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """How many messages match, on all pages. Counters and an index answer for a whole mailbox."""

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """The distinct addresses of the senders of the messages in a mailbox, sorted, at most MAX_SENDERS."""


class LiveStore(Protocol):
    """What changed since a client was told last. Pages are bounded by `limit`."""

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """The entries with UIDs from `since` up to `before`, exclusive, ascending."""

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """The changed and expunged entries of a span; None if tombstones since then were trimmed.

        Raises MailboxNotFound.
        """

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Store the outcomes of an account's mail from now on, if that was not so; the number of the last one."""

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """The outcomes with numbers above `after`, ascending.

        None if any of them was trimmed, if there never was the number `after`, or if none are stored.
        """

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Remove an account's outcomes and webhooks, and store none from now on. Idempotent."""


class MailStore(RawStore, SearchStore, LiveStore, Protocol):
    """The mail of all accounts. Every method may raise StoreUnavailable."""

    # --- Accounts

    async def provision(self, account_id: AccountId) -> None:
        """Create INBOX and the special-use mailboxes (RFC 6154) of an account. Idempotent."""

    async def usage(self, account_id: AccountId) -> int:
        """The octets of all mailboxes of an account."""

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota if another `octets` would exceed `quota` (None = no limit).

        For a refusal before the content is sent: only `deliver` is exact, because it sees concurrent deliveries.
        """

    # --- Mailboxes

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """A mailbox by name (INBOX in any case). Raises MailboxNotFound.

        In every method, a name without an exact match means the mailbox whose name has the same normal form.
        """

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account, by name, INBOX first."""

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Create a mailbox, its name in Normalization Form C, its UIDVALIDITY the highest that the account ever had.

        Raises TooManyMailboxes, and MailboxExists, also for a name that has the same normal form.
        """

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries, but not its inferiors.

        Raises MailboxNotFound, and ValueError for INBOX.
        """

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and its inferiors. For INBOX, move its messages to the new mailbox (RFC 9051 §6.3.6).

        Raises MailboxNotFound if neither the mailbox nor an inferior exists, MailboxExists if any new name does.
        """

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to, with or without a mailbox of that name."""

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it; idempotent. `provision` subscribes to all mailboxes.

        Raises TooManyMailboxes for more names than an account may have mailboxes.
        """

    # --- State of a mailbox

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries. Costs one small query if the process has the current state cached.

        Raises MailboxNotFound.
        """

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The current state of the same mailbox, by its id. The same object, without a query, if it did not change.

        Commits of this process are visible at once, others' when their notice arrives (within milliseconds). Raises
        MailboxNotFound if the mailbox was deleted.
        """

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Advance `first_recent_uid` and return what it was: from there on messages are \\Recent (RFC 3501 §2.3.2).

        Takes all UIDs, or those below `until`; 0 takes none. Writes only if there are any. Raises MailboxNotFound.
        """

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """UIDs expunged after `modseq`, ascending; None if tombstones since then were trimmed (RFC 7162 §3.2.5.1).

        Raises MailboxNotFound.
        """

    # --- Storing messages

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message, enter it for every destination and queue it, in one transaction; wait until that is durable.

        Provisions an account that has no mailboxes. Raises MailboxNotFound for any other missing mailbox, and OverQuota
        if any account would exceed its destination's quota. Mail beyond a limit of the account is queued, but held.
        For its `sending` raises MessageNotFound if the draft no longer exists, RequestRepeated if the request was
        answered within the last day.
        """

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request of the last day by which an account has sent a message with this Idempotency-Key."""

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Deliver a message that tells that mail of this account is held because of a limit.

        Once in a period of the limit, also if several processes call: then nothing is stored, and False returned.
        """

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Append messages to a mailbox, and expunge the entry (mailbox id, UID) that they replace, atomically.

        Raises MailboxNotFound, MessageNotFound if the entry to replace does not exist, and OverQuota if the account
        would exceed `quota` octets.
        """

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Enter messages in another mailbox as well, with their flags and internal dates.

        Raises MailboxNotFound, and OverQuota if the account would exceed `quota` octets.
        """

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """`copy` and `expunge` in one transaction (RFC 6851). Raises MailboxNotFound."""

    # --- Flags and removal

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None = None,
    ) -> Flagged:
        """Change flags of entries, except those with a modseq above `unchanged_since`.

        Keywords are case-insensitive: see `keywords`. Raises MailboxNotFound, TooManyKeywords.
        """

    async def flag_message(
        self, account_id: AccountId, message_id: MessageId, change: FlagChange, expected: MessageState | None = None
    ) -> ListedMessage:
        """Change flags of a message in every mailbox that has it, with keywords as these mailboxes spell them.

        Raises MessageNotFound, TooManyKeywords, and MessageChanged if its state is not `expected`.
        """

    async def mark_messages(
        self, account_id: AccountId, message_ids: Collection[MessageId], add: int = 0, remove: int = 0
    ) -> int:
        """Add and remove system flags of messages in all their mailboxes, in one transaction.

        How many of them the account has; the others are skipped.
        """

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        """Remove entries; returns the removed UIDs, ascending. Of concurrent calls, one returns a given UID."""

    async def delete_message(
        self, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
    ) -> None:
        """Remove a message from every mailbox of this account (and of no other).

        Raises MessageNotFound, and MessageChanged if its state is not `expected`.
        """

    async def delete_messages(self, account_id: AccountId, message_ids: Collection[MessageId]) -> int:
        """Remove messages from every mailbox of this account, in one transaction; how many of them it had."""

    # --- Locks and notifications

    def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop lock, exclusive over all processes (RFC 1939 §4).

        Raises MaildropInUse on entry if another session still holds it after `wait_seconds`.
        """

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Iterate over the account's notices, from every process. For a slow reader notices coalesce; none is lost.

        A notice of `live_types.NO_MAILBOX` tells of outcomes.
        """

    # --- Operation

    async def ping(self) -> None:
        """Query the database, for readiness checks. Raises StoreUnavailable."""

    async def close(self) -> None:
        """Finish accepted deliveries, then close the connections."""


class ActingStore(MailStore, Protocol):
    """A store that can tell the event log which service changes mail."""

    def acting(self, actor: Actor) -> MailStore:
        """The same store, whose changes the event log tells of: appended, read for the first time, moved, deleted.

        In the transaction of the change, but for what was read, which is stored soon after it, once per message.
        """


class QueueStore(Protocol):
    """Outgoing mail: a row per recipient, queued by `MailStore.deliver`. Every method may raise StoreUnavailable.

    Runners of several processes share the queue. A delivery is attempted at least once: if a runner ends between the
    other server's reply and the commit of `settle`, the recipient is attempted again when the runner's leases end.
    """

    async def claim(self, runner: str, limit: int, per_destination: int, busy: Mapping[str, int]) -> Sequence[Claimed]:
        """Lease up to `limit` recipients that are due, in the order in which their destinations became due.

        Of each destination at most `per_destination` less its number in `busy` (recipients by domain that this runner
        has leased), so that one with many does not hide others. Of a suspended destination whose probe is due the
        first message is the probe, of one runner, and the next probe is due after a pause. A lease lasts until its
        result, or until `end_leases`. Durable at the return.
        """

    async def beat(self, runner: str) -> Mapping[str, int]:
        """Show the other runners that this one lives; the number of beats of each runner, by its name."""

    async def end_leases(self, runners: Collection[str]) -> int:
        """Make due at once what these runners have leased, because they have ended, and forget them; how many.

        What an operator requested of a recipient takes effect.
        """

    async def suspend(self, domain: str, reply: str) -> None:
        """Suspend a destination, because of a reply, for the first pause before a probe. Idempotent."""

    async def resume(self, domain: str) -> None:
        """End a suspension, and make due at once what waits because the destination was not reached. Idempotent."""

    async def settle(
        self,
        results: Sequence[AttemptResult],
        deliveries: Sequence[Delivery] = (),
        events: Sequence[Event] = (),
    ) -> Sequence[Lease]:
        """Store the results of attempts, deliveries (reports to local senders) and events in one durable transaction.

        Messages whose recipients are all in a final state leave the queue. A lease is lost when the recipient was
        claimed again, or its result is stored already, so that a repeated call changes nothing: then nothing at all is
        stored, and the lost leases are returned. Raises MailboxNotFound, OverQuota for a delivery; nothing is stored.
        """

    async def next_due(self, except_domains: Collection[str] = ()) -> float | None:
        """When the first recipient is due, in seconds since the epoch; None if none waits for an attempt.

        Without those of some destinations: a runner names the ones that it does not connect to now.
        """

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over changes of what is due, by every process. They coalesce; the last one is never lost."""

    async def open(self, message_id: MessageId) -> RawMessage:
        """Open the raw message of a recipient in the queue. Raises MessageNotFound."""

    async def find(self, query: QueueFilter, limit: int, cursor: RecipientId | None = None) -> QueuePage:
        """One page of the recipients that match; `cursor` is `next_cursor` of the page before."""

    async def hold(self, query: QueueFilter) -> int:
        """Hold the queued recipients that match; the number of those that were changed. Leased ones as `drop`."""

    async def release(self, query: QueueFilter) -> int:
        """Queue the held recipients that match, due at once, and take back the request to hold leased ones."""

    async def retry(self, query: QueueFilter) -> int:
        """Make the queued recipients that match due at once; the number of those that were not.

        Their destinations, if suspended, are probed at once.
        """

    async def drop(self, query: QueueFilter) -> int:
        """Cancel the recipients that match and are not in a final state; the number of those that were changed.

        A leased recipient is not changed: the request takes effect when its lease ends without a final result.
        """

    async def statistics(self) -> QueueStatistics:
        """Counts for metrics: one query that reads the queue once."""

    async def sts_policies(self, limit: int) -> Sequence[StsPolicy]:
        """The policies that were fetched last and have not expired, the newest last."""

    async def store_sts_policy(self, policy: StsPolicy) -> None:
        """Store the policy of a domain in place of its last one, so that it holds after a restart (RFC 8461 §10.2)."""


class Suppressions(Protocol):
    """The suppression list of the system. Bounces are added by `QueueStore.settle` and `MailStore.deliver`.

    Addresses are canonical. An entry that has expired counts as none. Every method may raise StoreUnavailable.
    """

    async def find(self, addresses: Collection[str]) -> Mapping[str, Suppression]:
        """The entries of those of these addresses that are listed."""

    async def page(self, limit: int, after: str = "") -> Sequence[Suppression]:
        """At most `limit` entries in the order of their addresses, from the first after one."""

    async def add(self, suppression: Suppression) -> None:
        """Add an entry; one of the same address is replaced."""

    async def remove(self, address: str) -> bool:
        """Remove an entry; whether there was one."""


class Labels(Protocol):
    """The labels of accounts: IMAP keywords with a name, a colour and a place. Every method may raise StoreUnavailable.

    A label's id is derived from its keyword, so that keywords of messages for which no label is stored have one too.
    """

    async def all(self, account_id: AccountId) -> Sequence[Label]:
        """The stored labels and those of other keywords that messages have, in order of `sort_order` and name."""

    async def find(self, account_id: AccountId, label_id: LabelId) -> Label:
        """One of `all`. Raises LabelNotFound."""

    async def add(self, account_id: AccountId, style: LabelStyle) -> Label:
        """Store a label. A keyword of messages that is its name becomes its keyword; else the keyword is a new one.

        Raises LabelExists, TooManyLabels.
        """

    async def change(self, account_id: AccountId, label_id: LabelId, style: LabelStyle) -> Label:
        """Change a label, or store that of a keyword. The keyword remains. Raises LabelNotFound, LabelExists,
        TooManyLabels.
        """

    async def remove(self, account_id: AccountId, label_id: LabelId) -> None:
        """Remove a label, then its keyword from all messages, in batches of which sessions are told.

        If that raises StoreUnavailable, a repeated call removes the rest. Raises LabelNotFound.
        """

    async def erase(self, account_id: AccountId) -> None:
        """Forget the stored labels of an account, whose mail is erased."""


class Filters(Protocol):
    """The filters of accounts; `MailStore.deliver` applies them. Every method may raise StoreUnavailable."""

    async def all(self, account_id: AccountId) -> Sequence[Filter]:
        """All filters in the order in which they act."""

    async def find(self, account_id: AccountId, filter_id: FilterId) -> Filter:
        """The filter with this id. Raises FilterNotFound."""

    async def add(self, account_id: AccountId, rule: FilterRule) -> Filter:
        """Store a filter. Raises TooManyFilters, and LabelNotFound unless its label is stored."""

    async def change(self, account_id: AccountId, filter_id: FilterId, rule: FilterRule) -> Filter:
        """Replace what a filter does; its counts remain. Raises FilterNotFound, LabelNotFound."""

    async def remove(self, account_id: AccountId, filter_id: FilterId) -> None:
        """Remove a filter. Raises FilterNotFound."""

    async def test(self, account_id: AccountId, filter_id: FilterId, limit: int) -> Sequence[MessageId]:
        """Those of the newest `limit` messages of all mailboxes that meet the filter's conditions, newest first.

        Raises FilterNotFound.
        """

    async def erase(self, account_id: AccountId) -> None:
        """Remove all filters of an account."""


class EventLog(Protocol):
    """What happened to messages. Deliveries and results of attempts store their events in their own transaction.

    Operators' changes of the queue add their events themselves.
    """

    def refused(self, events: Sequence[Event]) -> None:
        """Store refusals soon after the replies, without waiting for the disk.

        At most a number for each client address and hour; then one summary, whose detail has the number of `omitted`.
        """

    async def flush(self) -> None:
        """Store the refusals that wait. Raises StoreUnavailable."""

    async def find(self, query: EventQuery) -> Sequence[Event]:
        """The newest events that match, in the order of their times. Raises StoreUnavailable."""

    async def trim(self, before: float) -> int:
        """Remove the events of before this time, in seconds since the epoch; how many.

        On PostgreSQL those of whole days (UTC), with their partitions. Raises StoreUnavailable.
        """


class Webhooks(Protocol):
    """The webhooks of all accounts, and the deliveries that wait for them. Every method may raise StoreUnavailable.

    Deliveries are stored in the transactions of the events that they tell of. Each webhook gets its deliveries in that
    order, at least once: if a process ends after an attempt and before `settle`, it is attempted again.
    """

    async def create(self, account_id: AccountId, settings: NewWebhook, secret: str) -> Webhook:
        """Create a webhook. Raises TooManyWebhooks."""

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The webhooks of an account, the oldest first."""

    async def get(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook:
        """A webhook. Raises WebhookNotFound."""

    async def update(self, account_id: AccountId, webhook_id: WebhookId, settings: NewWebhook) -> Webhook:
        """Change a webhook; one that is enabled attempts what waits at once. Raises WebhookNotFound."""

    async def rotate(self, account_id: AccountId, webhook_id: WebhookId, secret: str) -> Webhook:
        """Give it another secret; the former one signs too for ROTATION_SECONDS. Raises WebhookNotFound."""

    async def remove(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Remove a webhook with its deliveries. Raises WebhookNotFound."""

    async def forget(self, account_id: AccountId) -> None:
        """Remove all webhooks of an account. Idempotent."""

    async def test(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookDelivery:
        """Add a delivery that tells of nothing. Raises WebhookNotFound."""

    async def deliveries(
        self, account_id: AccountId, webhook_id: WebhookId, limit: int, before: int | None = None
    ) -> Sequence[tuple[int, WebhookDelivery]]:
        """Deliveries with their numbers, the newest first, with numbers below `before`. Raises WebhookNotFound."""

    async def replay(self, account_id: AccountId, webhook_id: WebhookId, delivery_id: UUID) -> WebhookDelivery:
        """Deliver again, after what waits, with the same id. Raises WebhookNotFound, also for the delivery."""

    async def claim(self, limit: int) -> Sequence[ClaimedWebhook]:
        """Lease webhooks that are due, for LEASE_SECONDS, each with its first pending delivery."""

    async def settle(self, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled) -> bool:
        """Store the result of an attempt; False, and nothing is stored, if the lease has ended."""
