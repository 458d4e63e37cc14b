"""Everything that one account has in memory: its mailboxes by name, its messages, its subscriptions."""

import time
from collections.abc import Collection, Iterator

from relate_mailstore.errors import MailboxExists, MailboxNotFound, MessageNotFound
from relate_mailstore.memory.mailbox import Held, Marks, MemoryMailbox, Tell
from relate_mailstore.rules import PROVISIONED, canonical_name, check_room, find_name, place_name, renamed_names
from relate_mailstore.types import INBOX, AccountId, Copied, Mailbox, MailboxId, Message, MessageId

ORIGINS = 32  # told of a copy


class MemoryAccount:
    """An account. Whoever calls looks up all that may be missing before anything is changed."""

    def __init__(self, account_id: AccountId, mailbox_ids: Iterator[MailboxId], tell: Tell) -> None:
        self.id = account_id
        self._mailbox_ids = mailbox_ids
        self._tell = tell
        self._uid_validity = 0
        self.mailboxes: dict[str, MemoryMailbox] = {}
        self.messages: dict[MessageId, Held] = {}
        self.subscriptions: set[str] = set()
        self.maildrop_held = False

    async def take_maildrop(self) -> bool:
        """Whether the maildrop was free, and is the caller's now."""
        taken, self.maildrop_held = not self.maildrop_held, True
        return taken

    def provision(self) -> None:
        """Make the mailboxes that every account has, once."""
        if not self.mailboxes:
            for name, special_use in PROVISIONED.items():
                self._add(name, special_use)
            self.subscriptions.update(PROVISIONED)

    def create(self, name: str, special_use: str) -> MemoryMailbox:
        """Make a mailbox. Raises MailboxExists, TooManyMailboxes."""
        self.provision()
        if find_name(self.mailboxes, name) is not None:
            raise MailboxExists(f"account {self.id}")
        check_room(len(self.mailboxes))
        return self._add(place_name(self.mailboxes, name), special_use)

    def delete(self, name: str) -> None:
        """Remove a mailbox and its entries. Raises MailboxNotFound."""
        mailbox = self.mailbox(name)
        self.expunge(mailbox, [*mailbox.entries])
        del self.mailboxes[mailbox.state.name]
        mailbox.advance()

    def rename(self, name: str, new_name: str) -> None:
        """Rename a mailbox and those below it. Raises MailboxNotFound, MailboxExists."""
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
        """Raise MailboxNotFound unless there is one of that name, or will be when the account is provisioned."""
        if find_name(self.mailboxes or PROVISIONED, canonical_name(name)) is None:
            raise MailboxNotFound(f"account {self.id}")

    def mailbox(self, name: str) -> MemoryMailbox:
        """One by name. Raises MailboxNotFound."""
        found = find_name(self.mailboxes, canonical_name(name))
        if found is None:
            raise MailboxNotFound(f"account {self.id}")
        return self.mailboxes[found]

    def subscribe(self, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it. Raises TooManyMailboxes."""
        there = find_name(self.subscriptions, name)
        if not subscribed:
            self.subscriptions.discard(there or name)
        elif there is None:
            check_room(len(self.subscriptions))
            self.subscriptions.add(name)

    def mailbox_by_id(self, mailbox_id: MailboxId) -> MemoryMailbox:
        """One by id. Raises MailboxNotFound."""
        for mailbox in self.mailboxes.values():
            if mailbox.state.id == mailbox_id:
                return mailbox
        raise MailboxNotFound(f"mailbox {mailbox_id} in account {self.id}")

    def held(self, message_id: MessageId) -> Held:
        """A message. Raises MessageNotFound."""
        try:
            return self.messages[message_id]
        except KeyError:
            raise MessageNotFound(f"message {message_id} in account {self.id}") from None

    def enter(self, mailbox: MemoryMailbox, message: Message, raw: bytes, marks: Marks) -> int:
        """Enter a message into a mailbox; its UID."""
        held = self.messages.setdefault(message.id, Held(message, raw))
        uid = mailbox.enter(message, marks)
        held.places.append((mailbox, uid))
        return uid

    def copy(self, source: MemoryMailbox, uids: Collection[int], target: MemoryMailbox) -> Copied:
        """Enter messages into another mailbox too."""
        copied: list[tuple[int, int]] = []
        origins: list[str] = []
        for uid in sorted(source.entries.keys() & set(uids)):
            entry, held = source.entries[uid], self.messages[source.entries[uid].message_id]
            marks = Marks(entry.flags, entry.keywords, entry.internal_date)
            new = self.enter(target, held.message, held.raw, marks)
            copied.append((uid, new))
            origins += [held.message.origin] if held.message.origin else []
        return Copied(target.state.uid_validity, tuple(copied), tuple(dict.fromkeys(origins))[:ORIGINS])

    def move(self, source: MemoryMailbox, uids: Collection[int], target: MemoryMailbox) -> Copied:
        """Enter messages into another mailbox instead."""
        copied = self.copy(source, uids, target)
        self.expunge(source, [uid for uid, _ in copied.uids])
        return copied

    def expunge(self, mailbox: MemoryMailbox, uids: Collection[int]) -> list[int]:
        """Remove entries, and messages that are entered nowhere any more; the UIDs that were there, ascending."""
        removed = mailbox.remove(uids)
        for entry in removed:
            places = self.messages[entry.message_id].places
            places.remove((mailbox, entry.uid))
            if not places:
                del self.messages[entry.message_id]
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
            uid_next=1,
            highest_modseq=1,
            special_use=special_use,
            messages=0,
            octets=0,
            recent=1,
        )
        self.mailboxes[name] = MemoryMailbox(state, self._tell)
        return self.mailboxes[name]
