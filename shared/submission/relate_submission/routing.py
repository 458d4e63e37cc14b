"""Routing: the destination of an address. `LocalOnly` relays nothing, `Relaying` relays for users."""

from enum import Enum, auto
from typing import NamedTuple, Protocol

from relate_accounts.addresses import canonical_domain
from relate_accounts.errors import InvalidAddress
from relate_accounts.ports import Directory
from relate_accounts.types import Recipient, User


class Unroutable(Enum):
    """The reason why a recipient is refused."""

    NO_SUCH_USER = auto()
    NOT_LOCAL = auto()


class Elsewhere(NamedTuple):
    """The destination of a recipient on another server: the domain in A-labels, or an address literal."""

    domain: str


class Routing(Protocol):
    """Decides on each recipient of a transaction."""

    async def route(self, address: str, sender: User | None) -> Recipient | Elsewhere | Unroutable:
        """The account of an address. `sender` is the user who is logged in, if any. Raises AccountsUnavailable."""


class LocalOnly:
    """`Routing` to local users only, for every sender."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def route(self, address: str, sender: User | None) -> Recipient | Elsewhere | Unroutable:
        """See `Routing`."""
        recipient = await self._directory.resolve(address)
        if recipient is not None:
            return recipient
        local = await self._directory.is_local(address.rpartition("@")[2])
        return Unroutable.NO_SUCH_USER if local else Unroutable.NOT_LOCAL


class Relaying(LocalOnly):
    """`Routing` that sends a user's mail to other servers, and relays for no other client."""

    async def route(self, address: str, sender: User | None) -> Recipient | Elsewhere | Unroutable:
        """See `Routing`."""
        found = await super().route(address, sender)
        if found is not Unroutable.NOT_LOCAL or sender is None:
            return found
        domain = address.rpartition("@")[2]
        if domain.startswith("["):  # an address literal, which the relay parses (RFC 5321 §4.1.3)
            return Elsewhere(domain.lower())
        try:
            return Elsewhere(canonical_domain(domain))
        except InvalidAddress:
            return Unroutable.NOT_LOCAL
