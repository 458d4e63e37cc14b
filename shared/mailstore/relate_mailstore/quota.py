"""Quotas of accounts: a message counts once in every mailbox that it is entered in. Pure."""

from collections import Counter
from collections.abc import Mapping

from relate_mailstore.errors import OverQuota
from relate_mailstore.types import AccountId, Delivery


def check_quota(used: int, added: int, quota: int | None) -> None:
    """Raise OverQuota if `added` octets would take an account that uses `used` octets beyond its quota."""
    if quota is not None and 0 < added > quota - used:
        raise OverQuota(f"{added} octets exceed a quota of {quota} with {used} in use", temporary=added <= quota)


def octets_by_account(delivery: Delivery) -> Mapping[AccountId, int]:
    """The octets that a delivery adds to each account."""
    entries = Counter(to.account_id for to in delivery.destinations)
    return {account_id: count * len(delivery.raw) for account_id, count in entries.items()}
