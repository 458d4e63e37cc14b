"""All accounts in memory."""

import itertools
from collections.abc import Sequence

from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.memory.mailbox import Notify, StoredMessage
from relate_mailstore.types import AccountId, MailboxId, MessageId


class MemoryAccounts:
    """Accounts by id. `notify` passes notices of their mailboxes to the listeners."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._mailbox_ids = map(MailboxId, itertools.count(1))
        self._accounts: dict[AccountId, MemoryAccount] = {}

    def account(self, account_id: AccountId) -> MemoryAccount:
        """The account with this id, which exists once it is named."""
        return self._accounts.setdefault(account_id, MemoryAccount(account_id, self._mailbox_ids, self._notify))

    def messages(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[StoredMessage | None]:
        """These messages; None for one that the account does not have."""
        return [*map(self.account(account_id).messages.get, message_ids)]

    def usage(self, account_id: AccountId) -> int:
        """The octets of all mailboxes of an account."""
        return sum(mailbox.state.octets for mailbox in self.account(account_id).mailboxes.values())
