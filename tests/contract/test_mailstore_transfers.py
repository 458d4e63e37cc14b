"""APPEND, COPY and MOVE: all messages or none, each with a UID of its own."""

import asyncio
import time
from collections.abc import Collection

import pytest

from relate_mailstore.errors import MailboxNotFound, MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Appended,
    Copied,
    CopiedUid,
    Destination,
    Entry,
    Flag,
    FlagChange,
    MailboxId,
    NewMessage,
    Uid,
)
from tests.contract.stores import opened
from tests.support.factories import big, delivery, simple, uids

NOWHERE = MailboxId(2**40)
ORIGINS = [f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333{number}-01" for number in range(3)]


async def entries(store: MailStore, account: AccountId, name: str = "INBOX") -> tuple[Entry, ...]:
    snapshot = await store.snapshot(account, name)
    assert snapshot.mailbox.messages == len(snapshot.entries)
    assert snapshot.mailbox.octets == sum(entry.size for entry in snapshot.entries)
    return tuple(snapshot.entries)


async def test_an_appended_message_has_the_given_attributes(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    before = time.time()
    incoming = NewMessage(big(200_000), Flag.SEEN | Flag.DRAFT, ("b", "a", "b"), 1_000_000_000, ORIGINS[0])
    appended = await store.append(alice, "Drafts", [incoming])
    drafts = await store.mailbox(alice, "Drafts")
    assert appended == Appended(drafts.uid_validity, (Uid(1),))
    (entry,) = await entries(store, alice, "Drafts")
    assert (entry.flags, entry.keywords, entry.internal_date) == (Flag.SEEN | Flag.DRAFT, ("a", "b"), 1_000_000_000)
    assert int(before) <= entry.saved <= time.time()
    raw = await store.open(alice, entry.message_id)
    assert (await raw.read(), raw.origin) == (incoming.raw, ORIGINS[0])


async def test_several_messages_are_appended_in_order_with_one_modseq(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    before = await store.mailbox(alice)
    raws = [simple(f"{number}") for number in range(5)]
    appended = await store.append(alice, "inbox", [NewMessage(raw) for raw in raws])
    assert appended.uids == (2, 3, 4, 5, 6)
    for entry, raw in zip((await entries(store, alice))[1:], raws, strict=True):
        assert await (await store.open(alice, entry.message_id)).read() == raw
        assert entry.modseq > before.highest_modseq


async def test_appending_to_a_missing_mailbox_raises_not_found(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    for messages, replaces in (
        ([NewMessage(simple())], None),
        ([NewMessage(simple())] * 2, None),
        ([NewMessage(simple())], ((await store.mailbox(alice)).id, Uid(1))),
    ):
        with pytest.raises(MailboxNotFound):
            await store.append(alice, "Nowhere", messages, replaces)
    assert len(await entries(store, alice)) == 1


async def test_a_message_is_replaced_atomically(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(Destination(alice, "Drafts")))
    before = await store.mailbox(alice, "Drafts")
    appended = await store.append(alice, "Drafts", [NewMessage(simple("better"))], (before.id, Uid(1)))
    assert appended.uids == (2,)
    assert [entry.uid for entry in await entries(store, alice, "Drafts")] == [2]
    assert await store.vanished(alice, before.id, before.highest_modseq) == [1]
    with pytest.raises(MessageNotFound):
        await store.open(alice, receipt.message_id)


async def test_a_replacement_may_go_to_another_mailbox(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(Destination(alice, "Drafts")))
    drafts = await store.mailbox(alice, "Drafts")
    await store.append(alice, "Sent", [NewMessage(simple("sent"))], (drafts.id, Uid(1)))
    assert await entries(store, alice, "Drafts") == ()
    assert [entry.uid for entry in await entries(store, alice, "Sent")] == [1]


async def test_replacing_a_missing_message_appends_nothing(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    with pytest.raises(MessageNotFound):
        await store.append(alice, "INBOX", [NewMessage(simple())], (inbox.id, Uid(2)))
    with pytest.raises(MailboxNotFound):
        await store.append(alice, "INBOX", [NewMessage(simple())], (NOWHERE, Uid(1)))
    assert await store.mailbox(alice) == inbox


async def test_a_copy_has_the_same_message_flags_and_date(store: MailStore, alice: AccountId) -> None:
    for number, origin in enumerate(ORIGINS):
        to = Destination(alice, flags=Flag.SEEN, keywords=("todo", f"k{number}"))
        await store.deliver(delivery(to, internal_date=1_000_000_000 + number, origin=origin))
    await store.deliver(delivery(Destination(alice, "Archive")))
    inbox = await store.snapshot(alice)
    before = time.time()
    copied = await store.copy(alice, inbox.mailbox.id, uids(3, 1, 99, 3), "Archive")
    archive = await store.mailbox(alice, "Archive")
    assert copied == Copied(
        archive.uid_validity, (CopiedUid(Uid(1), Uid(2)), CopiedUid(Uid(3), Uid(3))), copied.origins
    )
    assert set(copied.origins) == {ORIGINS[0], ORIGINS[2]}
    copies = (await entries(store, alice, "Archive"))[1:]
    for copy, original in zip(copies, (inbox.entries[0], inbox.entries[2]), strict=True):
        assert copy == original._replace(uid=copy.uid, modseq=copy.modseq, saved=copy.saved)
        assert int(before) <= copy.saved <= time.time()
    assert await store.snapshot(alice) == inbox


async def test_a_copy_is_independent_of_its_source(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    await store.copy(alice, inbox.id, uids(1), "Archive")
    archive = await store.mailbox(alice, "Archive")
    await store.set_flags(alice, archive.id, uids(1), FlagChange(Flag.FLAGGED))
    assert (await entries(store, alice))[0].flags == 0
    await store.expunge(alice, inbox.id, uids(1))
    assert await (await store.open(alice, receipt.message_id)).read() == simple()
    assert await store.usage(alice) == len(simple())


async def test_a_message_is_copied_into_its_own_mailbox(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    assert (await store.copy(alice, inbox.id, uids(1), "inbox")).uids == ((1, 2),)
    first, second = await entries(store, alice)
    assert first.message_id == second.message_id


async def test_a_moved_message_is_only_in_the_target(store: MailStore, alice: AccountId) -> None:
    receipts = [await store.deliver(delivery(alice)) for _ in range(3)]
    inbox = await store.mailbox(alice)
    moved = await store.move(alice, inbox.id, uids(2, 3, 99), "Trash")
    assert moved.uids == ((2, 1), (3, 2))
    assert [entry.uid for entry in await entries(store, alice)] == [1]
    assert [entry.message_id for entry in await entries(store, alice, "Trash")] == [
        receipt.message_id for receipt in receipts[1:]
    ]
    assert await store.vanished(alice, inbox.id, inbox.highest_modseq) == [2, 3]
    assert await (await store.open(alice, receipts[1].message_id)).read() == simple()


async def test_a_message_moved_within_its_mailbox_has_a_new_uid(store: MailStore, alice: AccountId) -> None:
    for _ in range(2):
        await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    assert (await store.move(alice, inbox.id, uids(1), "INBOX")).uids == ((1, 3),)
    assert [entry.uid for entry in await entries(store, alice)] == [2, 3]
    assert await store.vanished(alice, inbox.id, inbox.highest_modseq) == [1]


@pytest.mark.parametrize("method", ["copy", "move"])
async def test_transfers_with_a_missing_mailbox_raise_not_found(
    store: MailStore, alice: AccountId, bob: AccountId, method: str
) -> None:
    await store.deliver(delivery(alice, bob))
    before = await store.snapshot(alice)
    transfer = getattr(store, method)
    for account, source, target in (
        (alice, before.mailbox.id, "Nowhere"),
        (alice, NOWHERE, "Sent"),
        (bob, before.mailbox.id, "Sent"),
    ):
        with pytest.raises(MailboxNotFound):
            await transfer(account, source, [1], target)
    assert await store.snapshot(alice) == before


@pytest.mark.parametrize("method", ["copy", "move"])
@pytest.mark.parametrize("uids", [(), (7, 8)])
async def test_transfers_of_no_message_change_nothing(
    store: MailStore, alice: AccountId, method: str, uids: Collection[int]
) -> None:
    await store.deliver(delivery(alice))
    before = [await store.mailbox(alice), await store.mailbox(alice, "Sent")]
    copied = await getattr(store, method)(alice, before[0].id, uids, "Sent")
    assert copied == Copied(before[1].uid_validity, ())
    assert [await store.mailbox(alice), await store.mailbox(alice, "Sent")] == before


async def test_a_message_moved_concurrently_is_moved_once(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    targets = ["Archive", "Trash", "Junk", "Sent"] * 2
    moved = await asyncio.gather(*(store.move(alice, inbox.id, uids(1), target) for target in targets))
    assert sorted(len(copied.uids) for copied in moved) == [0] * 7 + [1]
    assert sum(mailbox.messages for mailbox in await store.mailboxes(alice)) == 1


async def test_concurrent_moves_between_processes_lose_no_message(database: str, alice: AccountId) -> None:
    async def shuffle(store: MailStore, source: str, target: str) -> set[int]:
        given: set[int] = set()
        for _ in range(10):
            snapshot = await store.snapshot(alice, source)
            copied = await store.move(alice, snapshot.mailbox.id, [entry.uid for entry in snapshot.entries], target)
            fresh = {uid for _, uid in copied.uids}
            assert given.isdisjoint(fresh)
            given |= fresh
        return given

    async with opened(database) as here, opened(database) as there:
        receipts = [await here.deliver(delivery(alice)) for _ in range(6)]
        await asyncio.gather(shuffle(here, "INBOX", "Archive"), shuffle(there, "Archive", "INBOX"))
        found = [*await entries(there, alice), *await entries(here, alice, "Archive")]
        assert sorted(entry.message_id for entry in found) == sorted(receipt.message_id for receipt in receipts)
