"""Empties the mailboxes of a namespace."""

from relate_accounts.ports import AccountStore
from relate_accounts.types import UserId
from relate_api.developers.namespaces import namespace_of
from relate_mailstore.erase import empty_mailbox
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId

PAGE_USERS = 500


async def empty_namespace(accounts: AccountStore, store: MailStore, namespace: str) -> int:
    """Delete the messages of all users in a namespace; returns their number. Mailboxes remain."""
    removed, last = 0, UserId(0)
    while page := await accounts.users_after(last, PAGE_USERS):
        for user in page:
            if namespace_of(user.address) == namespace:
                removed += await _empty_account(store, AccountId(user.id))
        last = page[-1].id
    return removed


async def _empty_account(store: MailStore, account_id: AccountId) -> int:
    removed = 0
    for mailbox in await store.mailboxes(account_id):
        if not mailbox.messages:
            continue
        try:
            removed += await empty_mailbox(store, account_id, mailbox.name)
        except MailboxNotFound:
            continue  # another session has deleted it
    return removed
