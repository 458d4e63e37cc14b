"""Where mail for an address goes: the port behind which relaying would be found, and the server that relays none."""

from enum import Enum, auto
from typing import Protocol

from relate_accounts.ports import Directory
from relate_accounts.types import Recipient, User


class Unroutable(Enum):
    """Why there is no way to a recipient."""

    NO_SUCH_USER = auto()
    NOT_LOCAL = auto()


class Routing(Protocol):
    """Asked once for each recipient. Raises AccountsUnavailable."""

    async def route(self, address: str, sender: User | None) -> Recipient | Unroutable:
        """Whose mail it is. `sender` is the user who logged in; None is a stranger, for whom nothing is relayed."""


class LocalOnly:
    """`Routing` of a server that takes mail for its own users, whoever sends it, and for nobody else."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def route(self, address: str, sender: User | None) -> Recipient | Unroutable:
        """Ask the directory."""
        recipient = await self._directory.resolve(address)
        if recipient is not None:
            return recipient
        local = await self._directory.is_local(address.rpartition("@")[2])
        return Unroutable.NO_SUCH_USER if local else Unroutable.NOT_LOCAL
