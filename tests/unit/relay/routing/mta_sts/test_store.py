"""The store of policies in memory."""

from relate_relay.routing.mta_sts import MemoryPolicyStore, Mode, Policy, StoredPolicy

STORED = StoredPolicy(Policy(Mode.ENFORCE, ("a.test",), 100), "1", 1_000.0)


async def test_a_stored_policy_is_returned_until_it_is_replaced() -> None:
    store = MemoryPolicyStore()
    await store.put("example.test", STORED)
    assert await store.get("example.test") == STORED
    newer = StoredPolicy(STORED.policy, "2", 1_001.0)
    await store.put("example.test", newer)
    assert await store.get("example.test") == newer
    assert await store.get("other.test") is None


async def test_the_least_recently_used_policy_is_evicted() -> None:
    store = MemoryPolicyStore(max_policies=2)
    for domain in ("a.test", "b.test", "a.test", "c.test"):
        if await store.get(domain) is None:
            await store.put(domain, STORED)
    assert [await store.get(domain) is not None for domain in ("a.test", "b.test", "c.test")] == [True, False, True]


def test_a_policy_is_valid_for_its_max_age() -> None:
    assert STORED.is_valid(1_099.0)
    assert not STORED.is_valid(1_100.0)


def test_a_policy_stays_valid_if_the_clock_is_set_back() -> None:
    assert STORED.is_valid(500.0)
