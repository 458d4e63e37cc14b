"""Finds the policy of a domain: by its TXT record, from the cache, or by HTTPS (RFC 8461 §3.3, §5.1)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from relate_outbound.dns.ports import Dns, DnsError
from relate_outbound.dns.shared_calls import SharedCalls
from relate_outbound.dns.sts_record import find_id
from relate_outbound.dns.ttl_cache import TtlCache
from relate_relay.routing.mta_sts.policy import Policy, StsFault
from relate_relay.routing.mta_sts.store import PolicyStore, StoredPolicy

REFRESH_SECONDS = 86_400.0
"""A policy is fetched again after a day, even with the same id, so that it does not expire while it is used (§3.3)."""
RETRY_SECONDS = 300.0
"""After a failed fetch the same version is not fetched again for this time (§3.3)."""
MAX_FAILED_FETCHES = 2_048
"""The failed fetches that are remembered."""


class Fetcher(Protocol):
    """Fetches a policy from its host."""

    async def fetch(self, domain: str) -> Policy | StsFault:
        """See `PolicyFetcher.fetch`."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The policy to apply, None without one, and why the announced one was not obtained, if it was not.

    Both are present if an older policy applies because the new one was not obtained.
    """

    policy: Policy | None = None
    fault: StsFault | None = None


class MtaSts:
    """The policies of recipients' domains.

    `clock` returns seconds since the epoch, because a store may outlive the process; `monotonic` returns seconds for
    the limit on failed fetches.
    """

    def __init__(
        self,
        dns: Dns,
        fetcher: Fetcher,
        store: PolicyStore,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dns = dns
        self._fetcher = fetcher
        self._store = store
        self._clock = clock
        self._failed: TtlCache[tuple[str, str], StsFault] = TtlCache(MAX_FAILED_FETCHES, monotonic)
        self._pending: SharedCalls[tuple[str, str], StsFault | None] = SharedCalls()

    async def find(self, domain: str) -> Lookup:
        """The policy of a domain in A-labels, never one of its parents (§3.4); an address literal has none.

        A domain without a usable TXT record, and one whose policy cannot be fetched, has the cached policy until that
        expires (§5.1): otherwise an attacker who blocks either would disable it.
        """
        if domain.startswith("["):
            return Lookup()
        stored = await self._valid(domain)
        announced = await self._announced(domain)
        if announced is None or (stored is not None and not self._is_stale(stored, announced)):
            return Lookup(None if stored is None else stored.policy)
        fault = await self._pending.run((domain, announced), partial(self._refresh, domain, announced))
        stored = await self._valid(domain) if fault is None else stored
        return Lookup(None if stored is None else stored.policy, fault)

    async def close(self) -> None:
        """Cancel the pending fetches."""
        await self._pending.close()

    async def _valid(self, domain: str) -> StoredPolicy | None:
        stored = await self._store.get(domain)
        return stored if stored is not None and stored.is_valid(self._clock()) else None

    async def _announced(self, domain: str) -> str | None:
        """The id of the TXT record; None without a usable record."""
        try:
            return find_id((await self._dns.txt(f"_mta-sts.{domain}")).items)
        except DnsError:
            return None

    def _is_stale(self, stored: StoredPolicy, announced: str) -> bool:
        age_seconds = self._clock() - stored.fetched  # negative if the clock was set back
        return stored.id != announced or not 0 <= age_seconds < REFRESH_SECONDS

    async def _refresh(self, domain: str, announced: str) -> StsFault | None:
        """Fetch and store the policy; returns why that failed, None if it succeeded."""
        key = (domain, announced)
        failed = self._failed.get(key)
        if failed is not None:
            return failed[0]
        fetched = await self._fetcher.fetch(domain)
        if isinstance(fetched, StsFault):
            self._failed.put(key, fetched, RETRY_SECONDS)
            return fetched
        await self._store.put(domain, StoredPolicy(fetched, announced, self._clock()))
        return None
