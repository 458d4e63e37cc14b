"""Keeps MTA-STS policies in the database, so that they hold after a restart (RFC 8461 §10.2)."""

import asyncio
from collections.abc import Iterator, Sequence

import structlog

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.ports import QueueStore
from relate_mailstore.queue_types import StsPolicy
from relate_relay.routing.mta_sts import (
    MAX_STORED_POLICIES,
    MemoryPolicyStore,
    StoredPolicy,
    format_policy,
    parse_policy,
)

log = structlog.get_logger(__name__)


class QueuedPolicyStore:
    """`PolicyStore` in memory and in the database, which is read once: a policy is looked up for each connection."""

    def __init__(self, queue: QueueStore) -> None:
        self._queue = queue
        self._memory = MemoryPolicyStore()
        self._loading = asyncio.Lock()
        self._is_loaded = False

    async def get(self, domain: str) -> StoredPolicy | None:
        """See `PolicyStore`. Raises StoreUnavailable: without the policies nothing may be sent."""
        async with self._loading:
            if not self._is_loaded:
                await self._load()
                self._is_loaded = True
        return await self._memory.get(domain)

    async def put(self, domain: str, stored: StoredPolicy) -> None:
        """See `PolicyStore`."""
        await self._memory.put(domain, stored)
        text, expires = format_policy(stored.policy).decode(), stored.fetched + stored.policy.max_age
        try:
            await self._queue.store_sts_policy(StsPolicy(domain, stored.id, stored.fetched, expires, text))
        except StoreUnavailable:
            log.warning("policy not stored", destination=domain, hint="it is fetched again after a restart")

    async def _load(self) -> None:
        for domain, stored in _parse(await self._queue.sts_policies(MAX_STORED_POLICIES)):
            await self._memory.put(domain, stored)


def _parse(policies: Sequence[StsPolicy]) -> Iterator[tuple[str, StoredPolicy]]:
    for each in policies:
        policy = parse_policy(each.text.encode())
        if policy is not None:
            yield each.domain, StoredPolicy(policy, each.id, each.fetched)
