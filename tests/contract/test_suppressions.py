"""The suppression list: bounces are stored with what tells of them, found again, and forgotten in time."""

import asyncio
from dataclasses import replace

import pytest

from relate_mailstore.errors import OverQuota
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, Claimed, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.suppression_types import EXPIRY_SECONDS, Suppression, SuppressionSource, suppress_bounced
from relate_mailstore.types import AccountId, Destination
from tests.contract.outgoing import START_SECONDS, Clock, sent
from tests.support.factories import delivery

Store = MemoryMailStore | SqlMailStore

BY_OPERATOR = Suppression("eve@a.example", SuppressionSource.OPERATOR, START_SECONDS, text="asked us to stop")


def bounced(address: str, now: float = START_SECONDS, text: str = "550 5.1.1 unknown") -> Suppression:
    entry = suppress_bounced(address, SuppressionSource.REPLY, "5.1.1", text, now)
    assert entry is not None
    return entry


async def claimed(mail: Store, account: AccountId, *addresses: str) -> list[Claimed]:
    await mail.deliver(sent(account, *addresses))
    return [*await mail.queue.claim("one", 100, 100, {})]


async def listed(mail: Store) -> list[Suppression]:
    return [*await mail.suppressions.page(100)]


async def test_a_result_lists_the_address_that_was_refused(mail: Store, alice: AccountId) -> None:
    bob, eve = await claimed(mail, alice, "bob@a.example", "eve@a.example")
    entry = bounced("bob@a.example")
    results = [
        AttemptResult(bob.lease, QueueState.FAILED, "550 5.1.1 unknown", "5.1.1", suppression=entry),
        AttemptResult(eve.lease, QueueState.DELIVERED),
    ]
    assert await mail.queue.settle(results) == []
    assert await listed(mail) == [entry]
    assert await mail.suppressions.find(["bob@a.example", "eve@a.example"]) == {"bob@a.example": entry}


async def test_a_lost_lease_lists_nothing(mail: Store, alice: AccountId, clock: Clock) -> None:
    (bob,) = await claimed(mail, alice, "bob@a.example")
    await mail.queue.end_leases(["one"])
    await mail.queue.claim("another", 100, 100, {})
    result = AttemptResult(bob.lease, QueueState.FAILED, suppression=bounced("bob@a.example"))
    assert await mail.queue.settle([result]) == [bob.lease]
    assert await listed(mail) == []


async def test_a_report_lists_addresses_with_its_delivery(mail: Store, alice: AccountId) -> None:
    entries = (bounced("eve@a.example"), bounced("bob@a.example"))
    await mail.deliver(replace(delivery(alice), suppressions=entries))
    assert await listed(mail) == [*reversed(entries)]


async def test_a_refused_delivery_lists_nothing(mail: Store, alice: AccountId) -> None:
    refused = replace(delivery(Destination(alice, quota=1)), suppressions=(bounced("bob@a.example"),))
    with pytest.raises(OverQuota):
        await mail.deliver(refused)
    assert await listed(mail) == []


async def test_a_report_in_the_same_transaction_as_results_lists_addresses(mail: Store, alice: AccountId) -> None:
    (bob,) = await claimed(mail, alice, "bob@a.example")
    report = replace(delivery(alice), suppressions=(bounced("eve@a.example"),))
    await mail.queue.settle([AttemptResult(bob.lease, QueueState.DELIVERED)], [report])
    assert await listed(mail) == [bounced("eve@a.example")]


async def test_an_entry_expires(mail: Store, clock: Clock) -> None:
    await mail.suppressions.add(bounced("bob@a.example"))
    await mail.suppressions.add(BY_OPERATOR)
    clock.now = START_SECONDS + EXPIRY_SECONDS - 1
    assert await mail.suppressions.trim() == 0
    assert len(await listed(mail)) == 2
    clock.now += 1
    assert await listed(mail) == [BY_OPERATOR]
    assert await mail.suppressions.find(["bob@a.example"]) == {}
    assert not await mail.suppressions.remove("bob@a.example")
    assert await mail.suppressions.trim() <= 1  # in memory it is gone
    assert await mail.suppressions.trim() == 0
    assert await listed(mail) == [BY_OPERATOR]


async def test_a_later_bounce_replaces_an_earlier_one(mail: Store, alice: AccountId) -> None:
    later = bounced("bob@a.example", START_SECONDS + 60, "550 5.1.1 still unknown")
    for entry in (bounced("bob@a.example"), later):
        await mail.deliver(replace(delivery(alice), suppressions=(entry,)))
    assert await listed(mail) == [later]


async def test_a_bounce_does_not_replace_an_operators_entry(mail: Store, alice: AccountId) -> None:
    await mail.suppressions.add(BY_OPERATOR)
    await mail.deliver(replace(delivery(alice), suppressions=(bounced("eve@a.example"),)))
    assert await listed(mail) == [BY_OPERATOR]


async def test_an_operators_entry_replaces_a_bounce(mail: Store) -> None:
    await mail.suppressions.add(bounced("eve@a.example"))
    await mail.suppressions.add(BY_OPERATOR)
    assert await listed(mail) == [BY_OPERATOR]


async def test_an_entry_is_removed_once(mail: Store) -> None:
    await mail.suppressions.add(BY_OPERATOR)
    assert await mail.suppressions.remove("eve@a.example")
    assert not await mail.suppressions.remove("eve@a.example")
    assert await listed(mail) == []


async def test_pages_are_in_the_order_of_addresses(mail: Store) -> None:
    entries = [bounced(f"{number:03}@a.example") for number in range(7)]
    for entry in reversed(entries):
        await mail.suppressions.add(entry)
    pages = []
    after = ""
    while page := await mail.suppressions.page(3, after):
        pages.append([*page])
        after = page[-1].address
    assert pages == [entries[:3], entries[3:6], entries[6:]]


async def test_another_process_finds_an_entry_at_once(mails: tuple[Store, Store]) -> None:
    one, other = mails
    await one.suppressions.add(BY_OPERATOR)
    assert await other.suppressions.find(["eve@a.example"]) == {"eve@a.example": BY_OPERATOR}


async def test_the_same_addresses_in_any_order_do_not_deadlock(mails: tuple[Store, Store], alice: AccountId) -> None:
    entries = tuple(bounced(f"{number}@a.example") for number in range(20))
    deliveries = [replace(delivery(alice), suppressions=entries[:: 1 if number % 2 else -1]) for number in range(20)]
    await asyncio.gather(*(mails[number % 2].deliver(each) for number, each in enumerate(deliveries)))
    assert len(await listed(mails[0])) == 20


async def test_a_text_that_no_column_holds_is_stored(mail: Store, alice: AccountId) -> None:
    await mail.deliver(replace(delivery(alice), suppressions=(bounced("bob@a.example", text="550 a\0b\ud800"),)))
    assert [entry.address for entry in await listed(mail)] == ["bob@a.example"]


@pytest.mark.parametrize("status", ["", "5.0.0", "5.1.2", "5.2.1", "5.2.2", "5.7.1", "4.1.1", "2.1.5"])
def test_only_an_address_that_accepts_no_mail_is_listed(status: str) -> None:
    assert suppress_bounced("bob@a.example", SuppressionSource.REPLY, status, "", 0.0) is None


@pytest.mark.parametrize("status", ["5.1.1", "5.1.6", "5.1.10"])
def test_an_address_that_accepts_no_mail_is_listed(status: str) -> None:
    entry = suppress_bounced("bob@a.example", SuppressionSource.REPORT, status, "no", 7.0)
    assert entry == Suppression("bob@a.example", SuppressionSource.REPORT, 7.0, 7.0 + EXPIRY_SECONDS, status, "no")
    assert suppress_bounced(None, SuppressionSource.REPORT, status, "no", 7.0) is None
