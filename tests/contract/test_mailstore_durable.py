"""State that survives a process, and concurrent processes on one database."""

import asyncio
import traceback

import pytest

from relate_mailstore.errors import MaildropInUse, MessageNotFound, StoreUnavailable
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MessageQuery, Receipt
from tests.contract.stores import opened
from tests.support.factories import big, delivery, multipart, uids

UNREACHABLE = "postgresql://relate:tanstaaf@127.0.0.1:1/relate"  # no server listens on port 1
WAIT_SECONDS = 10.0  # for a notice; then the test fails
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_everything_is_the_same_after_reopening(database: str, alice: AccountId) -> None:
    async with opened(database) as store:
        destination = Destination(alice, flags=Flag.SEEN, keywords=("work",))
        receipts = [
            await store.deliver(delivery(destination, raw=raw, origin=TRACEPARENT))
            for raw in (multipart(), big(200_000))
        ]
        before = await store.snapshot(alice), await store.mailboxes(alice), await store.find(alice, MessageQuery())
    async with opened(database) as store:
        after = await store.snapshot(alice), await store.mailboxes(alice), await store.find(alice, MessageQuery())
        assert after == before
        raws = [await store.open(alice, receipt.message_id) for receipt in receipts]
        assert [await raw.read() for raw in raws] == [multipart(), big(200_000)]
        assert {raw.origin for raw in raws} == {TRACEPARENT}


async def test_uidvalidity_and_uids_continue_after_reopening(database: str, alice: AccountId) -> None:
    async with opened(database) as store:
        first = await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        await store.expunge(alice, inbox.id, uids(1))
        emptied = await store.mailbox(alice)
    async with opened(database) as store:
        await store.provision(alice)
        second = await store.deliver(delivery(alice))
        assert second.entered == ((inbox.uid_validity, 2),)
        assert second.message_id > first.message_id
        assert (await store.mailbox(alice)).highest_modseq > emptied.highest_modseq


async def test_close_stores_queued_deliveries(database: str, alice: AccountId) -> None:
    async with opened(database) as store:
        await store.provision(alice)
        under_way = [asyncio.create_task(store.deliver(delivery(alice))) for _ in range(20)]
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        await store.close()
        results = await asyncio.gather(*under_way, return_exceptions=True)
    receipts = [result for result in results if isinstance(result, Receipt)]
    assert all(isinstance(result, Receipt | StoreUnavailable) for result in results)
    async with opened(database) as store:
        entries = (await store.snapshot(alice)).entries
        assert {entry.message_id for entry in entries} == {receipt.message_id for receipt in receipts}


async def test_a_closed_store_is_unavailable(database: str, alice: AccountId) -> None:
    async with opened(database) as store:
        await store.close()
        with pytest.raises(StoreUnavailable):
            await store.deliver(delivery(alice))


async def test_changes_of_one_process_are_visible_to_another_at_once(database: str, alice: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        receipts = [await here.deliver(delivery(alice)) for _ in range(3)]
        inbox = (await there.snapshot(alice)).mailbox
        await here.set_flags(alice, inbox.id, uids(2), FlagChange(Flag.SEEN))
        assert (await there.snapshot(alice)).entries[1].flags == Flag.SEEN
        await here.expunge(alice, inbox.id, uids(1))
        await here.deliver(delivery(alice))
        assert await there.snapshot(alice) == await here.snapshot(alice)
        await there.delete_message(alice, receipts[2].message_id)
        assert [entry.uid for entry in (await here.snapshot(alice)).entries] == [2, 4]


async def test_concurrent_processes_never_assign_the_same_uid(database: str, alice: AccountId, bob: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        receipts = await asyncio.gather(
            *(here.deliver(delivery(alice, bob)) for _ in range(40)),
            *(there.deliver(delivery(bob, alice)) for _ in range(40)),
        )
        snapshots = [await here.snapshot(alice), await there.snapshot(bob)]
    for snapshot in snapshots:
        assert [entry.uid for entry in snapshot.entries] == list(range(1, 81))
        assert snapshot.mailbox.messages == len({receipt.message_id for receipt in receipts}) == 80


async def test_concurrent_processes_expunge_each_entry_once(database: str, alice: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        await asyncio.gather(*(here.deliver(delivery(alice)) for _ in range(20)))
        inbox = await here.mailbox(alice)
        answers = await asyncio.gather(
            here.expunge(alice, inbox.id, uids(*range(1, 16))), there.expunge(alice, inbox.id, uids(*range(6, 21)))
        )
        assert sorted([*answers[0], *answers[1]]) == list(range(1, 21))
        assert (await there.mailbox(alice)).messages == 0


async def test_a_maildrop_lock_excludes_other_processes(database: str, alice: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        async with here.lock_maildrop(alice):
            with pytest.raises(MaildropInUse):
                await there.lock_maildrop(alice).__aenter__()
        async with there.lock_maildrop(alice):
            pass


async def test_a_maildrop_lock_is_released_when_its_holder_closes(database: str, alice: AccountId) -> None:
    async with opened(database) as there:
        async with opened(database) as here, here.lock_maildrop(alice):
            pass
        async with there.lock_maildrop(alice):
            pass


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # SQLite serves one process
async def test_every_process_is_notified_of_changes(database: str, alice: AccountId, bob: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        await here.provision(alice)
        async with there.listen(alice) as changes, asyncio.timeout(WAIT_SECONDS):
            await here.deliver(delivery(bob))
            await here.deliver(delivery(alice, origin=TRACEPARENT))
            change = await anext(changes)
        inbox = await here.mailbox(alice)
        assert change[:-1] == (alice, inbox.id, inbox.highest_modseq, TRACEPARENT)


async def test_a_message_deleted_by_another_process_is_not_found(database: str, alice: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        receipt = await here.deliver(delivery(alice))
        await there.delete_message(alice, receipt.message_id)
        with pytest.raises(MessageNotFound):
            await here.message(alice, receipt.message_id)
        with pytest.raises(MessageNotFound):
            await there.open(alice, receipt.message_id)


async def test_an_unreachable_database_is_unavailable_and_its_password_is_not_logged() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        await opened(UNREACHABLE).__aenter__()
    assert "tanstaaf" not in "".join(traceback.format_exception(refused.value))
