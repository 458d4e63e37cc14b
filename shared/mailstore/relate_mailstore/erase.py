"""Erase all mail of an account, through the port."""

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import INBOX, AccountId

BATCH_MESSAGES = 1_000  # per transaction


async def erase(store: MailStore, account_id: AccountId) -> int:
    """Remove an account's messages, mailboxes, subscriptions, outcomes and webhooks, except an empty INBOX.

    Returns the number of messages.

    Idempotent. If it raises StoreUnavailable, part of the mail is removed, and a retry removes the rest.
    """
    removed = 0
    for mailbox in await store.mailboxes(account_id):
        try:
            removed += await empty_mailbox(store, account_id, mailbox.name)
            if mailbox.name != INBOX:
                await store.delete_mailbox(account_id, mailbox.name)
        except MailboxNotFound:
            continue  # another session has deleted it
    for name in list(await store.subscriptions(account_id)):
        await store.subscribe(account_id, name, subscribed=False)
    await store.forget_subscribers(account_id)
    return removed


async def empty_mailbox(store: MailStore, account_id: AccountId, name: str) -> int:
    """Expunge all messages of a mailbox; returns their number. Raises MailboxNotFound."""
    snapshot = await store.snapshot(account_id, name)
    uids = [entry.uid for entry in snapshot.entries]
    removed = 0
    for start in range(0, len(uids), BATCH_MESSAGES):
        batch = uids[start : start + BATCH_MESSAGES]
        removed += len(await store.expunge(account_id, snapshot.mailbox.id, batch))
    return removed
