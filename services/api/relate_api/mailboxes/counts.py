"""All mailboxes of an account with their counts."""

from collections.abc import Sequence

from relate_api.mailboxes.schemas import MailboxDetails
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId


async def count_mailboxes(store: MailStore, account_id: AccountId) -> Sequence[MailboxDetails]:
    """The mailboxes, INBOX first; those of a new account are created."""
    await store.provision(account_id)
    subscribed = await store.subscriptions(account_id)
    counted = []
    for mailbox in await store.mailboxes(account_id):
        try:
            snapshot = await store.snapshot(account_id, mailbox.name)
        except MailboxNotFound:  # deleted since
            continue
        counted.append(MailboxDetails.of(snapshot, subscribed=mailbox.name in subscribed))
    return counted
