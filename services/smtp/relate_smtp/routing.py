"""Routing: the destination of an address. `LocalOnly` relays nothing; a relay would be another `Routing`."""

from enum import Enum, auto
from typing import Protocol

from relate_accounts.ports import Directory
from relate_accounts.types import Recipient, User


class Unroutable(Enum):
    """The reason why a recipient is refused."""

    NO_SUCH_USER = auto()
    NOT_LOCAL = auto()


class Routing(Protocol):
    """Decides on each recipient of a transaction."""

    async def route(self, address: str, sender: User | None) -> Recipient | Unroutable:
        """The account of an address. `sender` is the user who is logged in, if any. Raises AccountsUnavailable."""


class LocalOnly:
    """`Routing` to local users only, for every sender."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def route(self, address: str, sender: User | None) -> Recipient | Unroutable:
        """See `Routing`."""
        recipient = await self._directory.resolve(address)
        if recipient is not None:
            return recipient
        local = await self._directory.is_local(address.rpartition("@")[2])
        return Unroutable.NO_SUCH_USER if local else Unroutable.NOT_LOCAL
