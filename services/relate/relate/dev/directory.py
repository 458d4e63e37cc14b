"""A directory that knows every recipient."""

from relate.dev.mailboxes import Mailboxes
from relate_accounts.types import Recipient, UserId


class OpenDirectory:
    """A `Directory` in which each address has a mailbox of its own, `+detail` included, and every domain is local.

    So no address is on another server, and nothing is relayed.
    """

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def resolve(self, address: str) -> Recipient | None:
        """See `Directory`. None for what cannot be an address, such as one with an address literal."""
        user = await self._mailboxes.owner(address)
        return None if user is None else Recipient(user.id, user.address, user.quota)

    async def owns(self, user_id: UserId, address: str) -> bool:
        """See `Directory`: every user may send as every address, as an application does."""
        return True

    async def is_local(self, domain: str) -> bool:
        """See `Directory`."""
        return True
