"""The recipients elsewhere that accounts have sent to, in memory."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from relate_mailstore.identifiers import AccountId
from relate_mailstore.queue_types import Excess, Outgoing, SendingLimit
from relate_mailstore.sending_rules import Counts, Key, added, count, find_excesses, was_told


class MemorySending:
    """The counts of all accounts. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts = defaultdict[Key, Counts](dict)
        self._told: Mapping[Key, float] = {}

    def count(self, outgoing: Outgoing) -> Excess | None:
        """Count the recipients of a message; its excess, if it must be held."""
        now = self._clock()
        for key, recipients in added([outgoing]).items():
            self._counts[key] = count(self._counts[key], recipients, key[1], now)
        sent = {key: sum(counts.values()) for key, counts in self._counts.items()}
        (excess,) = find_excesses([outgoing], sent, defaultdict(float, self._told), now)
        return excess

    def tell(self, account_id: AccountId, limit: SendingLimit) -> bool:
        """Note that the owner is told that mail is held; False if that is noted in this period."""
        key, now = (account_id, limit.period_seconds), self._clock()
        if key not in self._counts or was_told(self._told.get(key, 0.0), limit, now):
            return False
        self._told = {**self._told, key: now}
        return True
