"""Messages that one store removed are not readable in another one, once it has received the notice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from relate_mailstore.errors import MailboxNotFound, MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Destination,
    Flag,
    FlagChange,
    MailboxId,
    MessageId,
    MessageQuery,
    NewMessage,
    Snapshot,
)
from tests.support.factories import big, delivery, simple, uids

Stores = tuple[MailStore, MailStore]
Remove = Callable[[MailStore, Snapshot], Awaitable[object]]

WAIT_SECONDS = 30.0  # for a notice; then the test fails
FOLDER = "Folder"
MANY_MESSAGES = 60  # more than a notice can list
LARGE_OCTETS = 200_000  # read in parts, and not cached


async def expunge(store: MailStore, folder: Snapshot) -> object:
    return await store.expunge(folder.mailbox.account_id, folder.mailbox.id, [entry.uid for entry in folder.entries])


async def delete_messages(store: MailStore, folder: Snapshot) -> None:
    for entry in folder.entries:
        await store.delete_message(folder.mailbox.account_id, entry.message_id)


async def delete_mailbox(store: MailStore, folder: Snapshot) -> None:
    await store.delete_mailbox(folder.mailbox.account_id, FOLDER)


async def replace(store: MailStore, folder: Snapshot) -> None:
    for entry in folder.entries:
        replaced = folder.mailbox.id, entry.uid
        await store.append(folder.mailbox.account_id, "INBOX", [NewMessage(b"new")], replaced)


async def move_and_expunge(store: MailStore, folder: Snapshot) -> None:
    account = folder.mailbox.account_id
    moved = await store.move(account, folder.mailbox.id, [entry.uid for entry in folder.entries], "Trash")
    await store.expunge(account, (await store.mailbox(account, "Trash")).id, [uid for _, uid in moved.uids])


async def rename_and_expunge(store: MailStore, folder: Snapshot) -> None:
    await store.rename_mailbox(folder.mailbox.account_id, FOLDER, "Renamed")
    await expunge(store, folder)


@pytest.fixture
async def reader(stores: Stores) -> MailStore:
    return stores[0]


@pytest.fixture
async def other(stores: Stores) -> MailStore:
    return stores[1]


async def fill(store: MailStore, account: AccountId, messages: int) -> Snapshot:
    """Fill a folder with small messages and a final large one."""
    await store.create_mailbox(account, FOLDER)
    small = [delivery(Destination(account, FOLDER), raw=simple(f"{number}")) for number in range(messages)]
    await asyncio.gather(*map(store.deliver, small))
    await store.deliver(delivery(Destination(account, FOLDER), raw=big(LARGE_OCTETS)))
    return await store.snapshot(account, FOLDER)


async def read(store: MailStore, account: AccountId, ids: Sequence[MessageId]) -> list[bool]:
    """Which of the messages can be read, which must be the same for every method."""
    opened = await store.open_all(account, ids, ids)
    results = [
        opened,
        await store.renderings(account, ids),
        await store.headers(account, ids),
        await store.indexes(account, ids),
        [await none_if_not_found(store.open(account, one, ids)) for one in ids],
        [await none_if_not_found(store.message(account, one)) for one in ids],
    ]
    readable = [[one is not None for one in result] for result in results]
    assert readable == [readable[0]] * len(readable)
    found = {listed.message.id for listed in (await store.find(account, MessageQuery(mailbox=None, limit=1000))).items}
    assert [one in found for one in ids] == readable[0]
    return readable[0]


async def none_if_not_found(result: Awaitable[object]) -> object | None:
    try:
        return await result
    except MessageNotFound:
        return None


async def modseqs(store: MailStore, account: AccountId) -> dict[MailboxId, int]:
    return {mailbox.id: mailbox.highest_modseq for mailbox in await store.mailboxes(account)}


@asynccontextmanager
async def notices_received(reader: MailStore, other: MailStore, account: AccountId) -> AsyncIterator[None]:
    """Wait on exit until the reader has received a notice of every change that was made in the block."""
    before = await modseqs(other, account)
    async with reader.listen(account) as changes:
        yield
        now = await modseqs(other, account)
        missing = {mailbox_id: modseq for mailbox_id, modseq in now.items() if modseq != before.get(mailbox_id)}
        missing |= {deleted: before[deleted] + 1 for deleted in before.keys() - now.keys()}
        async with asyncio.timeout(WAIT_SECONDS):
            while missing:
                change = await anext(changes)
                if change.modseq >= missing.get(change.mailbox_id, change.modseq + 1):
                    del missing[change.mailbox_id]


@pytest.mark.parametrize("messages", [2, MANY_MESSAGES])
@pytest.mark.parametrize(
    "remove", [expunge, delete_messages, delete_mailbox, replace, move_and_expunge, rename_and_expunge]
)
async def test_messages_removed_by_another_store_are_not_readable_after_its_notice(
    reader: MailStore, other: MailStore, alice: AccountId, remove: Remove, messages: int
) -> None:
    stays = (await reader.deliver(delivery(alice))).message_id
    folder = await fill(reader, alice, messages)
    ids = [entry.message_id for entry in folder.entries]
    assert all(await read(reader, alice, [*ids, stays]))
    async with notices_received(reader, other, alice):
        await remove(other, folder)
    assert await read(reader, alice, [*ids, stays]) == [*[False] * len(ids), True]


async def test_messages_removed_by_another_store_are_in_no_summary_or_search(
    reader: MailStore, other: MailStore, alice: AccountId
) -> None:
    folder = await fill(reader, alice, 3)
    assert {summary.subject for summary in await reader.summaries(folder)} == {"0", "1", "2", "big"}
    async with notices_received(reader, other, alice):
        await other.expunge(alice, folder.mailbox.id, uids(1, 2, 3))
    left = await reader.refresh(folder)
    assert [entry.uid for entry in left.entries] == [4]
    assert len(await reader.summaries(left)) == 1


async def test_a_mailbox_deleted_or_renamed_by_another_store_loses_its_name(
    reader: MailStore, other: MailStore, alice: AccountId
) -> None:
    for name in ("Deleted", "Renamed"):
        await reader.create_mailbox(alice, name)
    deleted, renamed = await reader.snapshot(alice, "Deleted"), await reader.snapshot(alice, "Renamed")
    async with notices_received(reader, other, alice):
        await other.delete_mailbox(alice, "Deleted")
        await other.rename_mailbox(alice, "Renamed", "New")
    for name in ("Deleted", "Renamed"):
        with pytest.raises(MailboxNotFound):
            await reader.snapshot(alice, name)
    with pytest.raises(MailboxNotFound):
        await reader.refresh(deleted)
    assert (await reader.refresh(renamed)).mailbox.name == "New"
    assert not {"Deleted", "Renamed"} & {mailbox.name for mailbox in await reader.mailboxes(alice)}


async def test_other_changes_by_another_store_leave_all_messages_readable(
    reader: MailStore, other: MailStore, alice: AccountId
) -> None:
    folder = await fill(reader, alice, 3)
    ids = [entry.message_id for entry in folder.entries]
    assert all(await read(reader, alice, ids))
    await other.set_flags(alice, folder.mailbox.id, uids(1), FlagChange(Flag.SEEN))
    await other.deliver(delivery(Destination(alice, FOLDER)))
    await other.move(alice, folder.mailbox.id, uids(2), "Trash")
    await other.copy(alice, folder.mailbox.id, uids(3), "Trash")
    await other.expunge(alice, folder.mailbox.id, uids(3))
    assert all(await read(reader, alice, ids))


async def test_concurrent_removals_of_the_last_two_entries_remove_the_message(
    reader: MailStore, other: MailStore, alice: AccountId
) -> None:
    for _ in range(20):
        receipt = await reader.deliver(delivery(alice, Destination(alice, "Sent")))
        inbox, sent = await reader.mailbox(alice), await reader.mailbox(alice, "Sent")
        assert await read(reader, alice, [receipt.message_id]) == [True]
        (_, in_inbox), (_, in_sent) = receipt.entered
        async with notices_received(reader, other, alice):
            await asyncio.gather(reader.expunge(alice, inbox.id, [in_inbox]), other.expunge(alice, sent.id, [in_sent]))
        assert await read(reader, alice, [receipt.message_id]) == [False]


async def test_quota_freed_by_another_store_is_available_at_once(
    reader: MailStore, other: MailStore, alice: AccountId
) -> None:
    await reader.deliver(delivery(alice, raw=big(900)))
    await reader.check_quota(alice, 100, 1000)
    await other.expunge(alice, (await other.mailbox(alice)).id, uids(1))
    await reader.check_quota(alice, 900, 1000)


async def test_subscriptions_and_flags_changed_by_another_store_are_seen(
    reader: MailStore, other: MailStore, alice: AccountId
) -> None:
    await reader.deliver(delivery(alice))
    inbox = await reader.snapshot(alice)
    await reader.subscriptions(alice)
    async with notices_received(reader, other, alice):
        await other.subscribe(alice, "Sent", subscribed=False)
        await other.set_flags(alice, inbox.mailbox.id, uids(1), FlagChange(Flag.SEEN))
    assert "Sent" not in await reader.subscriptions(alice)
    assert (await reader.refresh(inbox)).entries[0].flags == Flag.SEEN
