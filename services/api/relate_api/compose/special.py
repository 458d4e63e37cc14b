"""The mailboxes that sending writes to: Sent and Drafts, by their special use (RFC 6154 §2)."""

from relate_api.access.dependencies import Services
from relate_mailstore.errors import MailboxExists
from relate_mailstore.mailbox_names import DEFAULT_MAILBOXES
from relate_mailstore.types import AccountId

_DEFAULT_NAMES = {use: name for name, use in DEFAULT_MAILBOXES.items()}


async def find_special(services: Services, account_id: AccountId, special_use: str) -> str:
    """The name of the mailbox with this use; without one, that of the mailbox that a new account has, created anew."""
    default = _DEFAULT_NAMES[special_use]
    mailboxes = await services.store.mailboxes(account_id)
    for mailbox in mailboxes:
        if mailbox.special_use == special_use:
            return mailbox.name
    if not mailboxes:
        await services.store.provision(account_id)
    elif default not in {mailbox.name for mailbox in mailboxes}:
        try:
            await services.store.create_mailbox(account_id, default, special_use)
        except MailboxExists:  # another request has created it
            return default
    return default
