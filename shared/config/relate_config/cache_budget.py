"""One budget of memory for all caches of a process, divided into fixed shares.

`Limits__CacheMemoryBytes` sets the budget. docs/architecture/mailstore.md says what each cache holds.
"""

from collections.abc import Mapping

MEBIBYTE_OCTETS = 1024 * 1024

CACHE_OCTETS = 256 * MEBIBYTE_OCTETS
"""The budget of a process, unless it is configured."""

MIN_CACHE_OCTETS = 16 * MEBIBYTE_OCTETS
"""The smallest budget: below it a page of messages would evict the page before it."""

CACHE_SHARES: Mapping[str, int] = {
    "blobs": 17,
    "renderings": 17,
    "indexes": 4,
    "headers": 4,
    "mailboxes": 20,
    "pending_deltas": 1,
    "summaries": 16,
    "search_answers": 3,
    "freshness": 4,
    "generations": 3,
    "quota": 1,
    "verdicts": 4,
    "directory": 4,
    "wrong_logins": 2,
}
"""The share of each cache, in percent of the budget."""


def share_octets(cache: str, budget_octets: int = CACHE_OCTETS) -> int:
    """The octets of one cache's share."""
    return budget_octets * CACHE_SHARES[cache] // 100
