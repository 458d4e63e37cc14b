"""The suppression list."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from relate_mailstore.suppression_types import Suppression


class Suppressions(Protocol):
    """The suppression list of the system. Bounces are added by `QueueStore.settle` and `MailStore.deliver`.

    Addresses are canonical. An entry that has expired counts as none. Every method may raise StoreUnavailable.
    """

    async def find(self, addresses: Collection[str]) -> Mapping[str, Suppression]:
        """The entries of those of these addresses that are listed."""

    async def page(self, limit: int, after: str = "") -> Sequence[Suppression]:
        """At most `limit` entries in the order of their addresses, from the first after one."""

    async def add(self, suppression: Suppression) -> None:
        """Add an entry; one of the same address is replaced."""

    async def remove(self, address: str) -> bool:
        """Remove an entry; whether there was one."""
