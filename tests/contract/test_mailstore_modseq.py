"""CONDSTORE and QRESYNC: conditional changes, replaced flags, vanished UIDs, refreshed mailboxes."""

import asyncio

import pytest

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Destination,
    Flag,
    FlagChange,
    Flagged,
    MailboxId,
    MailboxNotice,
    ModSeq,
    Snapshot,
    Uid,
)
from tests.contract.stores import opened
from tests.support.factories import delivery, uids

SEEN, FLAGGED, DELETED = Flag.SEEN, Flag.FLAGGED, Flag.DELETED
WAIT_SECONDS = 10.0  # then the test fails


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (FlagChange(add=SEEN, add_keywords=("b",), replace=True), (SEEN, ("b",))),
        (FlagChange(replace=True), (0, ())),
        (FlagChange(add=FLAGGED, replace=True), (FLAGGED, ())),
        (FlagChange(add_keywords=("a", "c", "a"), replace=True), (0, ("a", "c"))),
    ],
)
async def test_flags_are_replaced(
    store: MailStore, alice: AccountId, change: FlagChange, expected: tuple[int, tuple[str, ...]]
) -> None:
    await store.deliver(delivery(Destination(alice, flags=FLAGGED | DELETED, keywords=("a",))))
    (entry,) = (await store.set_flags(alice, (await store.mailbox(alice)).id, uids(1), change)).entries
    assert (entry.flags, entry.keywords) == expected
    assert (await store.snapshot(alice)).entries == (entry,)


async def test_flags_replaced_by_themselves_change_nothing(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(Destination(alice, flags=SEEN, keywords=("a",))))
    before = await store.snapshot(alice)
    change = FlagChange(add=SEEN, add_keywords=("a",), replace=True)
    await store.set_flags(alice, before.mailbox.id, uids(1), change)
    assert await store.snapshot(alice) is before


async def test_entries_changed_since_the_modseq_are_not_changed(store: MailStore, alice: AccountId) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    known = await store.snapshot(alice)
    (flagged,) = (await store.set_flags(alice, known.mailbox.id, uids(2), FlagChange(FLAGGED))).entries
    answer = await store.set_flags(
        alice, known.mailbox.id, uids(1, 2, 4, 99), FlagChange(SEEN), known.mailbox.highest_modseq
    )
    assert answer.modified == (2,)
    assert [(entry.uid, entry.flags) for entry in answer.entries] == [(1, SEEN), (2, FLAGGED), (4, SEEN)]
    assert answer.entries[1] == flagged
    assert [entry.flags for entry in (await store.snapshot(alice)).entries] == [SEEN, FLAGGED, 0, SEEN]


async def test_a_change_with_only_modified_entries_has_no_effect(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    answer = await store.set_flags(alice, before.mailbox.id, uids(1), FlagChange(SEEN), ModSeq(0))
    assert answer == Flagged(tuple(before.entries), (Uid(1),))
    assert await store.snapshot(alice) is before


async def test_one_of_many_changes_on_the_same_condition_succeeds(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    answers = await asyncio.gather(
        *(
            store.set_flags(alice, inbox.id, uids(1), FlagChange(add_keywords=(f"k{number}",)), inbox.highest_modseq)
            for number in range(8)
        )
    )
    assert sorted(len(answer.modified) for answer in answers) == [0] + [1] * 7
    (entry,) = (await store.snapshot(alice)).entries
    assert len(entry.keywords) == 1


async def test_every_change_of_one_entry_has_a_modseq_of_its_own(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    answers = await asyncio.gather(
        *(store.set_flags(alice, inbox.id, uids(1), FlagChange(add_keywords=(f"k{number}",))) for number in range(12))
    )
    changes = {answer.entries[0].modseq: answer.entries[0].keywords for answer in answers}
    assert len(changes) == 12
    assert [len(changes[modseq]) for modseq in sorted(changes)] == list(range(1, 13))
    (entry,) = (await store.snapshot(alice)).entries
    assert entry.modseq == max(changes) == (await store.mailbox(alice)).highest_modseq


async def test_vanished_returns_uids_by_modseq(store: MailStore, alice: AccountId) -> None:
    for _ in range(6):
        await store.deliver(delivery(alice))
    first = await store.mailbox(alice)
    await store.expunge(alice, first.id, uids(5, 2))
    second = await store.mailbox(alice)
    await store.delete_message(alice, (await store.snapshot(alice)).entries[0].message_id)
    third = await store.mailbox(alice)
    assert await store.vanished(alice, first.id, ModSeq(0)) == [1, 2, 5]
    assert await store.vanished(alice, first.id, first.highest_modseq) == [1, 2, 5]
    assert await store.vanished(alice, first.id, second.highest_modseq) == [1]
    assert await store.vanished(alice, first.id, third.highest_modseq) == []
    assert await store.vanished(alice, first.id, ModSeq(2**62)) == []


async def test_vanished_of_a_missing_mailbox_raises_not_found(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.provision(alice)
    for account, mailbox in ((alice, MailboxId(2**40)), (bob, (await store.mailbox(alice)).id)):
        with pytest.raises(MailboxNotFound):
            await store.vanished(account, mailbox, ModSeq(0))


async def test_an_unchanged_mailbox_is_the_same_object(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    snapshot = await store.snapshot(alice)
    assert await store.refresh(snapshot) is snapshot
    await store.deliver(delivery(Destination(alice, "Sent")))
    assert await store.refresh(snapshot) is snapshot


async def test_own_commits_are_seen_at_once(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    snapshot = await store.snapshot(alice)
    for _ in range(3):
        await store.deliver(delivery(alice))
        snapshot = await store.refresh(snapshot)
        await store.set_flags(alice, snapshot.mailbox.id, [snapshot.entries[-1].uid], FlagChange(SEEN))
        snapshot = await store.refresh(snapshot)
        assert snapshot.entries[-1].flags == SEEN
        await store.move(alice, snapshot.mailbox.id, [snapshot.entries[-1].uid], "Trash")
        snapshot = await store.refresh(snapshot)
        assert len(snapshot.entries) == 1
    assert snapshot == await store.snapshot(alice)


async def test_refreshing_a_deleted_mailbox_raises_not_found(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.create_mailbox(alice, "Mine")
    mine = await store.snapshot(alice, "Mine")
    assert await store.refresh(mine) is mine
    await store.delete_mailbox(alice, "Mine")
    await store.create_mailbox(alice, "Mine")
    with pytest.raises(MailboxNotFound):
        await store.refresh(mine)


async def refreshed(store: MailStore, snapshot: Snapshot) -> Snapshot:
    """Wait for a different state."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (now := await store.refresh(snapshot)) is snapshot:
            await asyncio.sleep(0.01)
    return now


async def test_refresh_sees_changes_of_another_process(database: str, alice: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        for _ in range(3):
            await here.deliver(delivery(alice))
        inbox, trash = await there.snapshot(alice), await there.snapshot(alice, "Trash")
        await here.move(alice, inbox.mailbox.id, uids(2), "Trash")
        inbox, trash = await refreshed(there, inbox), await refreshed(there, trash)
        assert [entry.uid for entry in inbox.entries] == [1, 3]
        assert [entry.uid for entry in trash.entries] == [1]
        await here.set_flags(alice, inbox.mailbox.id, uids(3), FlagChange(SEEN))
        inbox = await refreshed(there, inbox)
        assert [entry.flags for entry in inbox.entries] == [0, SEEN]
        await here.rename_mailbox(alice, "Trash", "Bin")
        trash = await refreshed(there, trash)
        assert trash.mailbox.name == "Bin"
        await here.delete_mailbox(alice, "Bin")
        with pytest.raises(MailboxNotFound):
            await refreshed(there, trash)


async def test_listeners_of_another_process_are_notified(database: str, alice: AccountId, bob: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        await here.deliver(delivery(alice, bob))
        async with there.listen(alice) as changes:
            await here.deliver(delivery(bob))
            receipt = await here.deliver(delivery(alice, origin="00-1-2-01"))
            inbox = await here.mailbox(alice)
            async with asyncio.timeout(WAIT_SECONDS):
                change = MailboxNotice(alice, inbox.id, ModSeq(0))
                while change.modseq < inbox.highest_modseq:
                    change = await anext(changes)
            assert change[:4] == (alice, inbox.id, inbox.highest_modseq, "00-1-2-01")
            assert change.committed > 0
            assert receipt.entered
