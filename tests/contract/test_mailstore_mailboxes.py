"""Mailboxes: provisioned once, found by name, with exact counters and a modseq that rises with each change."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from relate_mailstore.errors import MailboxNotFound, OverQuota
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Mailbox, MessageQuery
from tests.support.factories import big, delivery, simple, uids

Action = Callable[[MailStore, Mailbox], Awaitable[object]]

CHANGES: dict[str, Action] = {
    "deliver": lambda store, inbox: store.deliver(delivery(inbox.account_id)),
    "set_flags": lambda store, inbox: store.set_flags(inbox.account_id, inbox.id, uids(1), FlagChange(Flag.SEEN)),
    "expunge": lambda store, inbox: store.expunge(inbox.account_id, inbox.id, uids(1)),
}


async def test_provision_creates_inbox_and_the_special_use_mailboxes(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    assert {mailbox.name: mailbox.special_use for mailbox in await store.mailboxes(alice)} == {
        "INBOX": "",
        "Archive": "\\Archive",
        "Drafts": "\\Drafts",
        "Junk": "\\Junk",
        "Sent": "\\Sent",
        "Trash": "\\Trash",
    }


async def test_a_new_mailbox_is_empty_with_valid_numbers(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    inbox = await store.mailbox(alice)
    assert (inbox.account_id, inbox.name) == (alice, "INBOX")
    assert (inbox.messages, inbox.octets, inbox.uid_next) == (0, 0, 1)
    assert inbox.highest_modseq >= 1  # RFC 7162 §3.1.1: never 0
    assert 0 < inbox.uid_validity < 2**32  # RFC 9051 §9: nz-number


async def test_provision_is_idempotent(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    await store.deliver(delivery(alice))
    before = await store.mailboxes(alice)
    await store.provision(alice)
    assert list(await store.mailboxes(alice)) == list(before)


async def test_concurrent_provision_creates_one_set_of_mailboxes(store: MailStore, alice: AccountId) -> None:
    await asyncio.gather(*(store.provision(alice) for _ in range(10)))
    assert len(await store.mailboxes(alice)) == 6


async def test_mailboxes_are_sorted_by_name_with_inbox_first(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    names = [mailbox.name for mailbox in await store.mailboxes(alice)]
    assert names == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]


async def test_every_account_has_mailboxes_of_its_own(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await store.provision(alice)
    await store.provision(bob)
    hers, his = await store.mailboxes(alice), await store.mailboxes(bob)
    assert {mailbox.account_id for mailbox in hers} == {alice}
    assert {mailbox.id for mailbox in hers}.isdisjoint({mailbox.id for mailbox in his})


@pytest.mark.parametrize("name", ["INBOX", "inbox", "InBoX"])
async def test_inbox_is_one_mailbox_in_any_case(store: MailStore, alice: AccountId, name: str) -> None:
    await store.deliver(delivery(Destination(alice, name)))
    inbox = await store.mailbox(alice)
    assert inbox.messages == 1
    assert await store.mailbox(alice, name) == inbox
    assert (await store.snapshot(alice, name)).mailbox == inbox
    assert len((await store.find(alice, MessageQuery(mailbox=name))).items) == 1


@pytest.mark.parametrize("name", ["Nowhere", "", "INBOX/", "Sent%", "S_nt"])
async def test_a_missing_mailbox_is_not_found(store: MailStore, alice: AccountId, name: str) -> None:
    await store.provision(alice)
    with pytest.raises(MailboxNotFound):
        await store.mailbox(alice, name)
    with pytest.raises(MailboxNotFound):
        await store.snapshot(alice, name)


async def test_an_unknown_account_has_no_mailboxes(store: MailStore, alice: AccountId) -> None:
    assert list(await store.mailboxes(alice)) == []
    with pytest.raises(MailboxNotFound):
        await store.mailbox(alice)
    with pytest.raises(MailboxNotFound):
        await store.snapshot(alice)
    assert (await store.find(alice, MessageQuery())).items == ()


async def test_counters_are_exact_through_deliveries_and_removals(store: MailStore, alice: AccountId) -> None:
    raws = [simple(body="x" * size) for size in (0, 10, 1000)] + [big(100_000)]
    receipts = [await store.deliver(delivery(alice, raw=raw)) for raw in raws]
    inbox = await store.mailbox(alice)
    assert (inbox.messages, inbox.octets) == (4, sum(map(len, raws)))

    await store.expunge(alice, inbox.id, uids(1, 1, 77))
    inbox = await store.mailbox(alice)
    assert (inbox.messages, inbox.octets) == (3, sum(map(len, raws[1:])))

    await store.delete_message(alice, receipts[3].message_id)
    inbox = await store.mailbox(alice)
    assert (inbox.messages, inbox.octets) == (2, len(raws[1]) + len(raws[2]))
    assert (await store.mailbox(alice, "Archive")).messages == 0


@pytest.mark.parametrize("change", CHANGES)
async def test_modseq_rises_with_each_change(store: MailStore, alice: AccountId, change: str) -> None:
    await store.deliver(delivery(alice))
    before = await store.mailbox(alice)
    await CHANGES[change](store, before)
    assert (await store.mailbox(alice)).highest_modseq > before.highest_modseq


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_leaves_other_mailboxes_unchanged(
    store: MailStore, alice: AccountId, bob: AccountId, change: str
) -> None:
    await store.deliver(delivery(alice, Destination(alice, "Sent"), bob))
    before = [await store.snapshot(alice, "Sent"), await store.snapshot(bob)]
    await CHANGES[change](store, await store.mailbox(alice))
    assert [await store.snapshot(alice, "Sent"), await store.snapshot(bob)] == before


@pytest.mark.parametrize("change", CHANGES)
async def test_uidvalidity_never_changes(store: MailStore, alice: AccountId, change: str) -> None:
    await store.deliver(delivery(alice))
    before = await store.mailbox(alice)
    await CHANGES[change](store, before)
    assert (await store.mailbox(alice)).uid_validity == before.uid_validity


async def test_quota_counts_all_mailboxes_of_an_account(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice, raw=big(600)))
    await store.deliver(delivery(Destination(alice, "Sent"), raw=big(400)))
    await store.check_quota(alice, 1000, 2000)
    with pytest.raises(OverQuota) as refused:
        await store.check_quota(alice, 1001, 2000)
    assert refused.value.temporary


async def test_a_message_above_the_whole_quota_never_fits(store: MailStore, alice: AccountId) -> None:
    await store.check_quota(alice, 2000, 2000)
    with pytest.raises(OverQuota) as refused:
        await store.check_quota(alice, 2001, 2000)
    assert not refused.value.temporary


async def test_no_quota_is_no_limit(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    await store.check_quota(alice, 10**15, None)


async def test_expunged_octets_are_subtracted_from_the_usage(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice, raw=big(600)))
    await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))
    await store.check_quota(alice, 1000, 1000)


async def test_quota_is_per_account(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await store.deliver(delivery(bob, raw=big(600)))
    await store.check_quota(alice, 1000, 1000)


async def test_an_open_store_responds_to_ping(store: MailStore) -> None:
    await store.ping()
