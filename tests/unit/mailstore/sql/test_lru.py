"""The LRU cache: it evicts the least recently used entries, and stays within its limit whatever is done with it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_config.cache_budget import CACHE_OCTETS, CACHE_SHARES, MIN_CACHE_OCTETS, share_octets
from relate_mailstore.sql.cache.lru import Caches, LruCache

LIMIT_OCTETS = 20

keys = st.integers(0, 5)
calls = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(0, LIMIT_OCTETS + 5)),
        st.tuples(st.sampled_from(["get", "peek", "touch", "pop"]), keys),
        st.tuples(st.just("get_many"), st.lists(keys)),
        st.tuples(st.just("clear")),
    ),
    max_size=60,
)


class Model:
    """The same cache as a list of pairs, the least recently used one first. A value weighs itself."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def put(self, key: int, value: int) -> None:
        self.pop(key)
        if value <= LIMIT_OCTETS:
            self.pairs.append((key, value))
        while sum(value for _, value in self.pairs) > LIMIT_OCTETS:
            del self.pairs[0]

    def peek(self, key: int) -> int | None:
        return dict(self.pairs).get(key)

    def get(self, key: int) -> int | None:
        value = self.peek(key)
        self.touch(key)
        return value

    def get_many(self, keys: Sequence[int]) -> list[int | None]:
        return [self.get(key) for key in keys]

    def touch(self, key: int) -> None:
        self.pairs.sort(key=lambda pair: pair[0] == key)

    def pop(self, key: int) -> int | None:
        value = self.peek(key)
        self.pairs = [pair for pair in self.pairs if pair[0] != key]
        return value

    def clear(self) -> None:
        self.pairs = []


def weigh(octets: int) -> int:
    return octets


def test_least_recently_used_entries_are_evicted() -> None:
    cache = LruCache[str, int](10, lambda _: 3)
    for number, key in enumerate("abc"):
        cache.put(key, number)
    assert cache.get("a") == 0
    cache.put("d", 3)
    assert [cache.peek(key) for key in "abcd"] == [0, None, 2, 3]
    cache.touch("c")
    cache.put("e", 4)
    assert [cache.peek(key) for key in "acde"] == [None, 2, 3, 4]


def test_value_is_weighed_again_by_the_next_put() -> None:
    cache = LruCache[str, list[int]](10, len)
    value = [0] * 4
    cache.put("a", value)
    value += [0] * 5
    assert cache.octets == 4
    cache.put("a", value)
    assert (cache.octets, len(cache)) == (9, 1)


def test_value_heavier_than_the_limit_replaces_only_its_predecessor() -> None:
    evicted: list[tuple[str, int]] = []
    cache = LruCache[str, int](LIMIT_OCTETS, weigh, lambda key, value: evicted.append((key, value)))
    cache.put("a", 5)
    cache.put("b", 5)
    cache.put("a", LIMIT_OCTETS + 1)
    assert (cache.peek("a"), cache.peek("b"), cache.octets) == (None, 5, 5)
    assert evicted == [("a", LIMIT_OCTETS + 1)]


def test_only_evicted_entries_are_reported() -> None:
    evicted: list[str] = []
    cache = LruCache[str, int](LIMIT_OCTETS, weigh, lambda key, _: evicted.append(key))
    for key in "abcde":
        cache.put(key, 5)
    cache.put("e", 4)
    cache.pop("d")
    cache.clear()
    assert evicted == ["a"]


def test_hits_and_misses_are_counted_by_get_alone() -> None:
    cache = LruCache[str, int](LIMIT_OCTETS, weigh)
    cache.put("a", 1)
    assert cache.get("a") == 1
    assert cache.get("b") is None
    assert cache.get_many(["a", "a", "b"]) == [1, 1, None]
    cache.peek("a")
    cache.touch("b")
    assert (cache.hits, cache.misses) == (3, 2)


@given(calls=calls)
def test_cache_equals_the_model_and_never_exceeds_its_limit(calls: Sequence[tuple[Any, ...]]) -> None:
    cache, model = LruCache[int, int](LIMIT_OCTETS, weigh), Model()
    for method, *arguments in calls:
        assert getattr(cache, method)(*arguments) == getattr(model, method)(*arguments)
        assert cache.octets == sum(value for _, value in model.pairs) <= LIMIT_OCTETS
        assert len(cache) == len(model.pairs)


def test_caches_get_their_shares_of_the_budget() -> None:
    caches = Caches(1000)
    cache: LruCache[str, int] = caches.add("blobs", weigh)
    assert cache.limit_octets == 10 * CACHE_SHARES["blobs"]
    assert dict(caches) == {"blobs": cache}
    with pytest.raises(KeyError):
        caches.add("other", weigh)


def test_shares_are_the_whole_budget_at_most() -> None:
    assert sum(CACHE_SHARES.values()) <= 100
    for budget_octets in (MIN_CACHE_OCTETS, MIN_CACHE_OCTETS + 99, CACHE_OCTETS):
        assert 0 < sum(share_octets(name, budget_octets) for name in CACHE_SHARES) <= budget_octets
