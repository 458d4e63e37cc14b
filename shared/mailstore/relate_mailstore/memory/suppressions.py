"""`Suppressions` in memory."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from relate_mailstore.suppression_types import Suppression


class MemorySuppressions:
    """`Suppressions` without persistence. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, Suppression] = {}

    def suppress(self, entries: Iterable[Suppression]) -> None:
        """Add entries of bounces. One of an operator remains as it is."""
        for entry in entries:
            known = self._entries.get(entry.address)
            if known is None or known.expires is not None:
                self._entries[entry.address] = entry

    async def find(self, addresses: Collection[str]) -> Mapping[str, Suppression]:
        """The entries of these addresses."""
        return {address: entry for address, entry in self._valid().items() if address in addresses}

    async def page(self, limit: int, after: str = "") -> Sequence[Suppression]:
        """The entries after an address."""
        valid = self._valid()
        return [valid[address] for address in sorted(valid) if address > after][:limit]

    async def add(self, suppression: Suppression) -> None:
        """Add an entry, or replace it."""
        self._entries[suppression.address] = suppression

    async def remove(self, address: str) -> bool:
        """Remove an entry."""
        was_valid = address in self._valid()
        self._entries.pop(address, None)
        return was_valid

    async def trim(self) -> int:
        """Remove the entries that have expired."""
        valid = self._valid()
        removed, self._entries = len(self._entries) - len(valid), valid
        return removed

    def _valid(self) -> dict[str, Suppression]:
        now = self._clock()
        return {
            address: entry for address, entry in self._entries.items() if entry.expires is None or entry.expires > now
        }
