"""Values that are cached by message: per account, and dropped if a message was removed while it was read."""

from uuid import UUID

from relate_mailstore.sql.cache.lru import LruCache
from relate_mailstore.sql.read.generations import Generation
from relate_mailstore.sql.read.message_cache import MessageCache
from relate_mailstore.types import AccountId, MessageId


def test_least_recently_found_values_are_evicted() -> None:
    lru = LruCache[tuple[Generation, MessageId], bytes](10, len)
    cache = MessageCache(lru)
    ann, ids = Generation(AccountId(1), 1), [MessageId(UUID(int=number)) for number in range(5)]
    for message_id in ids[:3]:
        cache.put(ann, {message_id: b"abc"}, 0)
    assert cache.find(ann, [ids[0], ids[4]]) == [b"abc", None]
    cache.put(ann, {ids[3]: b"abcd"}, 0)
    assert cache.find(ann, ids) == [b"abc", None, b"abc", b"abcd", None]
    cache.put(ann, {ids[3]: b""}, 0)
    assert (len(lru), lru.octets) == (3, 6)


def test_peek_does_not_delay_an_eviction() -> None:
    lru = LruCache[tuple[Generation, MessageId], bytes](6, len)
    cache = MessageCache(lru)
    ann, ids = Generation(AccountId(1), 1), [MessageId(UUID(int=number)) for number in range(3)]
    for message_id in ids[:2]:
        cache.put(ann, {message_id: b"abc"}, 0)
    assert cache.peek(ann, ids) == [b"abc", b"abc", None]
    cache.put(ann, {ids[2]: b"abc"}, 0)
    assert cache.peek(ann, ids) == [None, b"abc", b"abc"]
    assert (lru.hits, lru.misses) == (0, 0)


def test_value_is_cached_for_one_account() -> None:
    cache = MessageCache(LruCache[tuple[Generation, MessageId], bytes](10, len))
    ann, bob, message_id = Generation(AccountId(1), 1), Generation(AccountId(2), 1), MessageId(UUID(int=1))
    cache.put(ann, {message_id: b"a"}, 0)
    assert cache.find(bob, [message_id]) == [None]
    cache.evict(bob, [message_id])
    bob.removals += 1
    cache.put(bob, {message_id: b"b"}, 0)  # read before the removal
    assert (cache.find(ann, [message_id]), cache.find(bob, [message_id])) == ([b"a"], [None])
