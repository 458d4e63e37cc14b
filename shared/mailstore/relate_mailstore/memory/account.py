"""An account in memory: its mailboxes by name, its messages, its subscriptions."""

import time
from collections.abc import Collection, Iterator

from relate_mailstore.change_events import Move
from relate_mailstore.errors import MailboxExists, MailboxNotFound, MessageNotFound
from relate_mailstore.mailbox_names import (
    DEFAULT_MAILBOXES,
    canonical_name,
    check_mailbox_limit,
    find_name,
    normalise_new_name,
    renamed_names,
)
from relate_mailstore.memory.mailbox import MemoryMailbox, MessageAttributes, Notify, StoredMessage
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Copied,
    CopiedUid,
    Mailbox,
    MailboxId,
    Message,
    MessageId,
    ModSeq,
    Uid,
)

MAX_ORIGINS = 32  # of one copy


class MemoryAccount:
    """An account. Callers look up every mailbox and message before the first change, so that each call is atomic."""

    def __init__(self, account_id: AccountId, mailbox_ids: Iterator[MailboxId], notify: Notify) -> None:
        self.id = account_id
        self._mailbox_ids = mailbox_ids
        self._notify = notify
        self._uid_validity = 0
        self.mailboxes: dict[str, MemoryMailbox] = {}
        self.messages: dict[MessageId, StoredMessage] = {}
        self.subscriptions: set[str] = set()
        self.maildrop_locked = False
        self.removed: list[MessageId] = []
        """Messages without an entry, and moves, of the present call, for the event log."""
        self.moves: list[Move] = []

    async def lock_maildrop(self) -> bool:
        """Lock the maildrop; False if it is locked already."""
        acquired, self.maildrop_locked = not self.maildrop_locked, True
        return acquired

    def provision(self) -> None:
        """Create the default mailboxes. Idempotent."""
        if not self.mailboxes:
            for name, special_use in DEFAULT_MAILBOXES.items():
                self._add(name, special_use)
            self.subscriptions.update(DEFAULT_MAILBOXES)

    def create(self, name: str, special_use: str) -> MemoryMailbox:
        """Create a mailbox. Raises MailboxExists, TooManyMailboxes."""
        self.provision()
        if find_name(self.mailboxes, name) is not None:
            raise MailboxExists(f"account {self.id}")
        check_mailbox_limit(len(self.mailboxes))
        return self._add(normalise_new_name(self.mailboxes, name), special_use)

    def delete(self, name: str) -> None:
        """Remove a mailbox and its entries. Raises MailboxNotFound."""
        mailbox = self.mailbox(name)
        self.expunge(mailbox, [*mailbox.entries])
        del self.mailboxes[mailbox.state.name]
        mailbox.advance()

    def rename(self, name: str, new_name: str) -> None:
        """Rename a mailbox and its inferiors. Raises MailboxNotFound, MailboxExists, InvalidMailboxName."""
        if name == INBOX:
            self._move_inbox(new_name)
            return
        renamed = renamed_names(self.mailboxes, name, new_name)
        if not renamed:
            raise MailboxNotFound(f"account {self.id}")
        for old, new in renamed.items():
            self.mailboxes[new] = self.mailboxes.pop(old)
            self.mailboxes[new].advance(name=new)

    def expect_mailbox(self, name: str) -> None:
        """Raise MailboxNotFound unless the mailbox exists, or will once the account is provisioned."""
        if find_name(self.mailboxes or DEFAULT_MAILBOXES, canonical_name(name)) is None:
            raise MailboxNotFound(f"account {self.id}")

    def mailbox(self, name: str) -> MemoryMailbox:
        """A mailbox by name. Raises MailboxNotFound."""
        found = find_name(self.mailboxes, canonical_name(name))
        if found is None:
            raise MailboxNotFound(f"account {self.id}")
        return self.mailboxes[found]

    def subscribe(self, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it. Raises TooManyMailboxes."""
        existing = find_name(self.subscriptions, name)
        if not subscribed:
            self.subscriptions.discard(existing or name)
        elif existing is None:
            check_mailbox_limit(len(self.subscriptions))
            self.subscriptions.add(name)

    def mailbox_by_id(self, mailbox_id: MailboxId) -> MemoryMailbox:
        """A mailbox by id. Raises MailboxNotFound."""
        for mailbox in self.mailboxes.values():
            if mailbox.state.id == mailbox_id:
                return mailbox
        raise MailboxNotFound(f"mailbox {mailbox_id} in account {self.id}")

    def message(self, message_id: MessageId) -> StoredMessage:
        """A message. Raises MessageNotFound."""
        try:
            return self.messages[message_id]
        except KeyError:
            raise MessageNotFound(f"message {message_id} in account {self.id}") from None

    def enter(self, mailbox: MemoryMailbox, message: Message, raw: bytes, attributes: MessageAttributes) -> Uid:
        """Enter a message into a mailbox and return its UID."""
        stored = self.messages.setdefault(message.id, StoredMessage(message, raw))
        uid = mailbox.enter(message, attributes)
        stored.locations.append((mailbox, uid))
        return uid

    def copy(self, source: MemoryMailbox, uids: Collection[Uid], target: MemoryMailbox) -> Copied:
        """Enter messages into another mailbox as well."""
        copied: list[CopiedUid] = []
        origins: list[str] = []
        for uid in sorted(source.entries.keys() & set(uids)):
            entry = source.entries[uid]
            stored = self.messages[entry.message_id]
            attributes = MessageAttributes(entry.flags, entry.keywords, entry.internal_date)
            new = self.enter(target, stored.message, stored.raw, attributes)
            copied.append(CopiedUid(uid, new))
            origins += [stored.message.origin] if stored.message.origin else []
        return Copied(target.state.uid_validity, tuple(copied), tuple(dict.fromkeys(origins))[:MAX_ORIGINS])

    def move(self, source: MemoryMailbox, uids: Collection[Uid], target: MemoryMailbox) -> Copied:
        """Copy messages to another mailbox and expunge them in this one."""
        copied = self.copy(source, uids, target)
        self.expunge(source, [uid for uid, _ in copied.uids])
        self.moves.append(Move(source.state.name, target.state.name, [target.entries[new] for _, new in copied.uids]))
        return copied

    def expunge(self, mailbox: MemoryMailbox, uids: Collection[Uid]) -> list[Uid]:
        """Remove entries, and messages without any other entry; returns the removed UIDs, ascending."""
        removed = mailbox.remove(uids)
        for entry in removed:
            locations = self.messages[entry.message_id].locations
            locations.remove((mailbox, entry.uid))
            if not locations:
                del self.messages[entry.message_id]
                self.removed.append(entry.message_id)
        return [entry.uid for entry in removed]

    def _move_inbox(self, new_name: str) -> None:
        inbox = self.mailbox(INBOX)
        self.move(inbox, [*inbox.entries], self.create(new_name, ""))

    def _add(self, name: str, special_use: str) -> MemoryMailbox:
        self._uid_validity = max(self._uid_validity + 1, int(time.time()))
        state = Mailbox(
            next(self._mailbox_ids),
            self.id,
            name,
            uid_validity=self._uid_validity,
            uid_next=Uid(1),
            highest_modseq=ModSeq(1),
            special_use=special_use,
            messages=0,
            octets=0,
            first_recent_uid=Uid(1),
        )
        self.mailboxes[name] = MemoryMailbox(state, self._notify)
        return self.mailboxes[name]
