"""MTA-STS policies hold after a restart."""

import pytest

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.memory.queue import MemoryQueue
from relate_mailstore.queue_types import StsPolicy
from relate_relay.queue.policy_store import QueuedPolicyStore
from relate_relay.routing.mta_sts import Mode, Policy, StoredPolicy

POLICY = StoredPolicy(Policy(Mode.ENFORCE, ("mx.a.example", "*.b.example"), 86_400), "2026", 1_000_000_000.0)


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryMailStore(clock=lambda: 1_000_000_000.0).queue


async def test_a_policy_is_there_after_a_restart(queue: MemoryQueue) -> None:
    await QueuedPolicyStore(queue).put("a.example", POLICY)
    restarted = QueuedPolicyStore(queue)
    assert await restarted.get("a.example") == POLICY
    assert await restarted.get("b.example") is None


async def test_a_policy_that_cannot_be_parsed_is_fetched_again(queue: MemoryQueue) -> None:
    await queue.store_sts_policy(StsPolicy("a.example", "1", 1_000_000_000.0, 2_000_000_000.0, "nonsense"))
    assert await QueuedPolicyStore(queue).get("a.example") is None


async def test_nothing_is_known_without_the_database(queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as away:
        away.setattr(queue, "sts_policies", fail)
        away.setattr(queue, "store_sts_policy", fail)
        store = QueuedPolicyStore(queue)
        with pytest.raises(StoreUnavailable):
            await store.get("a.example")
        await store.put("a.example", POLICY)
    assert await store.get("a.example") == POLICY
