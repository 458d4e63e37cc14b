"""How messages are moved: those of each mailbox in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.keywords import key_of
from relate_mailstore.listing import PlacedEntry, merge_entries
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Entry, Flag, FlagChange, Mailbox, MailboxId, MessageId, Uid

_NO_CHANGE = FlagChange()


class _Copy(NamedTuple):
    """An entry of a message, and its mailbox."""

    mailbox: Mailbox
    entry: Entry


async def move_messages(
    store: MailStore,
    account_id: AccountId,
    message_ids: Collection[MessageId],
    target: Mailbox,
    mailboxes: Iterable[str],
) -> int:
    """Move messages from these mailboxes; how many were there. What is in the target already is only removed.

    Of several copies one stays, with what all of them have. Raises MailboxNotFound, TooManyKeywords.
    """
    copies = await _find_copies(store, account_id, message_ids, target, mailboxes)
    changed = defaultdict[tuple[MailboxId, FlagChange], list[Uid]](list)
    arriving, repeated = defaultdict[MailboxId, list[Uid]](list), defaultdict[MailboxId, list[Uid]](list)
    for kept, *others in copies.values():
        if kept.mailbox.id != target.id:
            arriving[kept.mailbox.id].append(kept.entry.uid)
        removed = [other for other in others if other.mailbox.id != target.id]
        for other in removed:
            repeated[other.mailbox.id].append(other.entry.uid)
        if removed and (change := _merge([kept, *others])) != _NO_CHANGE:
            changed[kept.mailbox.id, change].append(kept.entry.uid)
    for (mailbox_id, change), uids in changed.items():  # first, because a removed copy cannot be read again
        await store.set_flags(account_id, mailbox_id, uids, change)
    for mailbox_id, uids in arriving.items():
        await store.move(account_id, mailbox_id, uids, target.name)
    for mailbox_id, uids in repeated.items():
        await store.expunge(account_id, mailbox_id, uids)
    return len(copies)


async def _find_copies(
    store: MailStore,
    account_id: AccountId,
    message_ids: Collection[MessageId],
    target: Mailbox,
    mailboxes: Iterable[str],
) -> dict[MessageId, list[_Copy]]:
    """The copies of messages in these mailboxes and in the target, whose copies are first. Raises MailboxNotFound."""
    copies = defaultdict[MessageId, list[_Copy]](list)
    for name in (target.name, *(name for name in mailboxes if name != target.name)):
        try:
            snapshot = await store.snapshot(account_id, name)
        except MailboxNotFound:
            if name == target.name:
                raise
            continue  # deleted since
        for message_id, uids in snapshot.entries.uids_of(message_ids).items():
            copies[message_id] += [
                _Copy(snapshot.mailbox, entry) for entry in map(snapshot.entries.find, uids) if entry
            ]
    return copies


def _merge(copies: Sequence[_Copy]) -> FlagChange:
    """What changes with the first copy, if it stands for all of them.

    \\Deleted counts if each has it: it is a mark on the copy that a client will remove, not on the message.
    """
    kept = copies[0].entry
    placed = [PlacedEntry(mailbox.name, entry.flags, entry.keywords) for mailbox, entry in copies]
    flags, keywords, _ = merge_entries(placed)
    if not all(entry.flags & Flag.DELETED for _, entry in copies):
        flags &= ~Flag.DELETED
    own = {*map(key_of, kept.keywords)}
    added = tuple(keyword for keyword in keywords if key_of(keyword) not in own)
    return FlagChange(flags & ~kept.flags, kept.flags & ~flags, added)
