"""How messages are moved: those of each mailbox in one transaction."""

from collections.abc import Collection, Iterable

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Mailbox, MessageId


async def move_messages(
    store: MailStore,
    account_id: AccountId,
    message_ids: Collection[MessageId],
    target: Mailbox,
    mailboxes: Iterable[str],
) -> int:
    """Move messages from these mailboxes; how many were there. What is in the target already is only removed."""
    there = {*(await store.snapshot(account_id, target.name)).entries.uids_of(message_ids)}
    for name in mailboxes:
        if name == target.name:
            continue
        try:
            source = await store.snapshot(account_id, name)
        except MailboxNotFound:  # deleted since
            continue
        found = source.entries.uids_of(message_ids)
        arriving = [uids[0] for message_id, uids in found.items() if message_id not in there]
        repeated = {uid for uids in found.values() for uid in uids}.difference(arriving)
        if arriving:
            await store.move(account_id, source.mailbox.id, arriving, target.name)
        if repeated:
            await store.expunge(account_id, source.mailbox.id, repeated)
        there |= found.keys()
    return len(there)
