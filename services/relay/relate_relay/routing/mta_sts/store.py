"""Where policies are cached: the port `PolicyStore`, and its implementation in memory."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from relate_relay.routing.mta_sts.policy import Policy

MAX_STORED_POLICIES = 4_096
"""The policies of the memory store: 50 MiB, if each has as many patterns as `policy.MAX_PATTERNS` allows."""


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy, the id of the TXT record that announced it, and when it was fetched, in seconds since the epoch."""

    policy: Policy
    id: str
    fetched: float

    def is_valid(self, now: float) -> bool:
        """Whether the policy has not expired."""
        return now - self.fetched < self.policy.max_age


class PolicyStore(Protocol):
    """The last policy of each domain (RFC 8461 §3.3). Expired ones may be dropped; valid ones only if it is full."""

    async def get(self, domain: str) -> StoredPolicy | None:
        """The last policy of a domain, also if it has expired."""

    async def put(self, domain: str, stored: StoredPolicy) -> None:
        """Store a policy; it replaces the domain's last one."""


class MemoryPolicyStore:
    """`PolicyStore` in memory; the least recently used policy is evicted when it is full."""

    def __init__(self, max_policies: int = MAX_STORED_POLICIES) -> None:
        self._max_policies = max_policies
        self._policies: OrderedDict[str, StoredPolicy] = OrderedDict()

    async def get(self, domain: str) -> StoredPolicy | None:
        """See `PolicyStore`."""
        stored = self._policies.get(domain)
        if stored is not None:
            self._policies.move_to_end(domain)
        return stored

    async def put(self, domain: str, stored: StoredPolicy) -> None:
        """See `PolicyStore`."""
        self._policies[domain] = stored
        self._policies.move_to_end(domain)
        if len(self._policies) > self._max_policies:
            self._policies.popitem(last=False)
