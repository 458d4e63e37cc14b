"""The cache whose entries expire."""

from relate_outbound.dns.ttl_cache import TtlCache


class Clock:
    """A clock that a test sets, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_an_entry_is_returned_with_the_rest_of_its_time() -> None:
    clock = Clock()
    cache: TtlCache[str, int] = TtlCache(2, clock)
    cache.put("a", 1, 10)
    clock.seconds += 4
    assert cache.get("a") == (1, 6)


def test_an_entry_ends_with_its_time() -> None:
    clock = Clock()
    cache: TtlCache[str, int] = TtlCache(2, clock)
    cache.put("a", 1, 10)
    clock.seconds += 10
    assert cache.get("a") is None
    assert len(cache) == 0


def test_the_least_recently_used_entry_is_evicted() -> None:
    cache: TtlCache[str, int] = TtlCache(2, Clock())
    cache.put("a", 1, 10)
    cache.put("b", 2, 10)
    cache.get("a")
    cache.put("c", 3, 10)
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]


def test_a_new_value_replaces_the_old_one_and_its_time() -> None:
    clock = Clock()
    cache: TtlCache[str, int] = TtlCache(2, clock)
    cache.put("a", 1, 10)
    clock.seconds += 5
    cache.put("a", 2, 10)
    assert cache.get("a") == (2, 10)
