"""The TRANSACTION state: what a client does with its maildrop, and what QUIT makes of that (RFC 1939 §5, §6)."""

from collections.abc import Sequence

from relate_mailstore.ports import MailStore, RawMessage
from relate_mailstore.types import Entry, Flag, FlagChange, MessageId
from relate_pop3 import content, replies
from relate_pop3.commands import Bare, Listing, Numbered, Top
from relate_pop3.maildrop import Maildrop
from relate_wire.reply import Facts, Reply

RETRIEVED = Facts(messages_retrieved=1)


class Transaction:
    """The commands on a maildrop. Nothing is changed in the store before `update`."""

    def __init__(self, store: MailStore, maildrop: Maildrop, utf8: bool) -> None:
        self._store = store
        self._maildrop = maildrop
        self._utf8 = utf8

    def __str__(self) -> str:
        """For people: `2 messages (320 octets)`."""
        return str(self._maildrop)

    async def on_stat(self, _: Bare) -> Reply:
        """RFC 1939 §5: how many messages, how many octets."""
        return replies.ok(f"{len(self._maildrop)} {self._maildrop.octets}")

    async def on_list(self, command: Listing) -> Reply:
        """RFC 1939 §5: sizes."""
        maildrop, number = self._maildrop, command.number
        if number is None:
            return replies.listing(str(maildrop), maildrop.sizes())
        return replies.ok(f"{number} {maildrop.entry(number).size}")

    async def on_uidl(self, command: Listing) -> Reply:
        """RFC 1939 §7: unique-ids."""
        maildrop, number = self._maildrop, command.number
        if number is None:
            return replies.listing(str(maildrop), maildrop.unique_ids())
        return replies.ok(f"{number} {maildrop.unique_id(maildrop.entry(number))}")

    async def on_retr(self, command: Numbered) -> Reply:
        """RFC 1939 §5: a message. Whether it was seen is written at QUIT."""
        entry = self._maildrop.entry(command.number)
        raw = await self._open(entry, self._maildrop.upcoming(command.number))
        octets, chunks = await content.whole(raw, self._utf8)
        self._maildrop.mark_retrieved(command.number)
        return replies.content(f"{octets} octets", chunks, RETRIEVED)

    async def on_top(self, command: Top) -> Reply:
        """RFC 1939 §7: a look, which is no reading: nothing is marked as seen."""
        raw = await self._open(self._maildrop.entry(command.number))
        return replies.content("Top of message follows", await content.top(raw, self._utf8, command.lines))

    async def on_dele(self, command: Numbered) -> Reply:
        """RFC 1939 §5: a mark, until QUIT."""
        self._maildrop.mark_deleted(command.number)
        return replies.ok(f"Message {command.number} deleted")

    async def on_rset(self, _: Bare) -> Reply:
        """RFC 1939 §5: all messages are back. What was retrieved stays so."""
        self._maildrop.unmark_deleted()
        return replies.ok(f"Maildrop has {self._maildrop}")

    async def on_noop(self, _: Bare) -> Reply:
        """RFC 1939 §5"""
        return replies.ok("Still here")

    async def update(self) -> None:
        """RFC 1939 §6. Flags first: when that fails, nothing was removed yet."""
        maildrop = self._maildrop
        if seen := maildrop.newly_seen():
            change = FlagChange(add=Flag.SEEN)
            await self._store.set_flags(maildrop.account_id, maildrop.mailbox_id, seen, change)
        if deleted := maildrop.deleted():
            await self._store.expunge(maildrop.account_id, maildrop.mailbox_id, deleted)

    async def _open(self, entry: Entry, ahead: Sequence[MessageId] = ()) -> RawMessage:
        return await self._store.open(self._maildrop.account_id, entry.message_id, ahead)
