"""The mailboxes of an account: created, deleted, renamed, subscribed; and their recent messages."""

import asyncio

import pytest
from sqlalchemy import update

from relate_mailstore import mailbox_names
from relate_mailstore.errors import (
    InvalidMailboxName,
    MailboxExists,
    MailboxNotFound,
    MessageNotFound,
    TooManyMailboxes,
)
from relate_mailstore.mailbox_names import DEFAULT_MAILBOXES, MAX_NAME_OCTETS
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.tables import mailboxes
from relate_mailstore.types import AccountId, Destination, Flag, MailboxId, MessageQuery, NewMessage, Uid
from tests.contract.stores import opened
from tests.support.factories import delivery, simple, uids


async def names(store: MailStore, account: AccountId) -> list[str]:
    return [mailbox.name for mailbox in await store.mailboxes(account) if mailbox.name not in DEFAULT_MAILBOXES]


async def test_a_created_mailbox_is_listed_and_empty(store: MailStore, alice: AccountId) -> None:
    made = await store.create_mailbox(alice, "Projects/Mail", "\\Flagged")
    assert made == await store.mailbox(alice, "Projects/Mail")
    assert (made.name, made.special_use, made.messages, made.uid_next) == ("Projects/Mail", "\\Flagged", 0, 1)
    assert await names(store, alice) == ["Projects/Mail"]  # its parent is not created
    await store.deliver(delivery(Destination(alice, "Projects/Mail")))
    assert (await store.snapshot(alice, "Projects/Mail")).entries[0].uid == 1


@pytest.mark.parametrize("name", ["INBOX", "inbox", "Sent", "Mine"])
async def test_an_existing_mailbox_is_not_created_again(store: MailStore, alice: AccountId, name: str) -> None:
    await store.create_mailbox(alice, "Mine")
    with pytest.raises(MailboxExists):
        await store.create_mailbox(alice, name)


async def test_one_of_many_concurrent_creations_succeeds(store: MailStore, alice: AccountId) -> None:
    results = await asyncio.gather(*(store.create_mailbox(alice, "Mine") for _ in range(8)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Mailbox"] + ["MailboxExists"] * 7


async def test_accounts_have_separate_names(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    hers, his = await store.create_mailbox(alice, "Mine"), await store.create_mailbox(bob, "Mine")
    assert hers.id != his.id
    await store.delete_mailbox(bob, "Mine")
    assert await names(store, alice) == ["Mine"]


async def test_a_recreated_mailbox_has_a_higher_uidvalidity(store: MailStore, alice: AccountId) -> None:
    validities = []
    for _ in range(4):
        made = await store.create_mailbox(alice, "Mine")
        validities.append(made.uid_validity)
        await store.delete_mailbox(alice, "Mine")
    assert validities == sorted(set(validities))
    assert validities[0] > max(mailbox.uid_validity for mailbox in await store.mailboxes(alice))


async def test_deleting_a_mailbox_deletes_messages_without_other_entries(store: MailStore, alice: AccountId) -> None:
    await store.create_mailbox(alice, "Mine")
    only = await store.deliver(delivery(Destination(alice, "Mine")))
    both = await store.deliver(delivery(alice, Destination(alice, "Mine")))
    mine = await store.snapshot(alice, "Mine")
    await store.delete_mailbox(alice, "Mine")
    for gone in (store.mailbox(alice, "Mine"), store.snapshot(alice, "Mine"), store.refresh(mine)):
        with pytest.raises(MailboxNotFound):
            await gone
    with pytest.raises(MessageNotFound):
        await store.open(alice, only.message_id)
    assert (await store.message(alice, both.message_id)).mailboxes == ("INBOX",)
    assert await store.usage(alice) == (await store.mailbox(alice)).octets == len(simple())


async def test_children_of_a_deleted_mailbox_remain(store: MailStore, alice: AccountId) -> None:
    for name in ("a", "a/b", "ab"):
        await store.create_mailbox(alice, name)
    await store.delete_mailbox(alice, "a")
    assert await names(store, alice) == ["a/b", "ab"]


async def test_missing_mailboxes_and_inbox_cannot_be_deleted(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    with pytest.raises(MailboxNotFound):
        await store.delete_mailbox(alice, "Nowhere")
    with pytest.raises(ValueError, match="INBOX"):
        await store.delete_mailbox(alice, "inbox")
    assert await store.mailbox(alice)


async def test_a_renamed_mailbox_retains_its_mail_and_its_children(store: MailStore, alice: AccountId) -> None:
    for name in ("a", "a/b", "a/b/c", "ab"):
        await store.create_mailbox(alice, name)
    receipt = await store.deliver(delivery(Destination(alice, "a/b", flags=Flag.SEEN)))
    before = await store.snapshot(alice, "a/b")
    await store.rename_mailbox(alice, "a", "z/y")
    assert await names(store, alice) == ["ab", "z/y", "z/y/b", "z/y/b/c"]
    after = await store.snapshot(alice, "z/y/b")
    assert after.entries == before.entries
    assert (after.mailbox.id, after.mailbox.uid_validity) == (before.mailbox.id, before.mailbox.uid_validity)
    assert (await store.refresh(before)).mailbox.name == "z/y/b"
    assert (await store.message(alice, receipt.message_id)).mailboxes == ("z/y/b",)


async def test_a_mailbox_may_be_renamed_below_itself(store: MailStore, alice: AccountId) -> None:
    await store.create_mailbox(alice, "a")
    await store.rename_mailbox(alice, "a", "a/b")
    assert await names(store, alice) == ["a/b"]


async def test_a_parent_without_a_mailbox_is_renamed_with_its_children(store: MailStore, alice: AccountId) -> None:
    await store.create_mailbox(alice, "a/b")
    await store.rename_mailbox(alice, "a", "z")
    assert await names(store, alice) == ["z/b"]


@pytest.mark.parametrize(
    ("name", "new_name", "error"),
    [
        ("Nowhere", "new", MailboxNotFound),
        ("a", "Sent", MailboxExists),
        ("a", "inbox", MailboxExists),
        ("a", "a", MailboxExists),
        ("a", "x", MailboxExists),  # x/b exists
        ("INBOX", "Sent", MailboxExists),
        ("a", "x" * MAX_NAME_OCTETS, InvalidMailboxName),  # of a/b
    ],
)
async def test_a_refused_rename_changes_nothing(
    store: MailStore, alice: AccountId, name: str, new_name: str, error: type[Exception]
) -> None:
    for there in ("a", "a/b", "x/b"):
        await store.create_mailbox(alice, there)
    before = await store.mailboxes(alice)
    with pytest.raises(error):
        await store.rename_mailbox(alice, name, new_name)
    assert await store.mailboxes(alice) == before


async def test_renaming_inbox_moves_its_messages_and_nothing_else(store: MailStore, alice: AccountId) -> None:
    receipts = [await store.deliver(delivery(Destination(alice, flags=flags))) for flags in (0, Flag.SEEN)]
    await store.create_mailbox(alice, "INBOX/sub")
    before = await store.mailbox(alice)
    await store.rename_mailbox(alice, "inbox", "Old")
    assert await names(store, alice) == ["INBOX/sub", "Old"]
    inbox, old = await store.snapshot(alice), await store.snapshot(alice, "Old")
    assert inbox.entries == ()
    assert (inbox.mailbox.id, inbox.mailbox.uid_next) == (before.id, before.uid_next)
    assert [entry.message_id for entry in old.entries] == [receipt.message_id for receipt in receipts]
    assert [entry.flags for entry in old.entries] == [0, Flag.SEEN]
    assert await store.vanished(alice, before.id, before.highest_modseq) == [1, 2]


async def test_a_new_account_is_subscribed_to_all_mailboxes(store: MailStore, alice: AccountId) -> None:
    assert set(await store.subscriptions(alice)) == set()
    await store.provision(alice)
    assert set(await store.subscriptions(alice)) == set(DEFAULT_MAILBOXES)


async def test_subscriptions_are_independent_of_mailboxes(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await store.provision(alice)
    for name in ("Nowhere", "Nowhere", "Sent"):
        await store.subscribe(alice, name, True)
    for name in ("inbox", "inbox", "Trash"):
        await store.subscribe(alice, name, False)
    expected = set(DEFAULT_MAILBOXES) - {"INBOX", "Trash"} | {"Nowhere"}
    assert set(await store.subscriptions(alice)) == expected
    await store.rename_mailbox(alice, "Sent", "Out")
    await store.delete_mailbox(alice, "Junk")
    assert set(await store.subscriptions(alice)) == expected
    assert set(await store.subscriptions(bob)) == set()


async def test_a_message_is_recent_once(store: MailStore, alice: AccountId) -> None:
    for _ in range(2):
        await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    assert inbox.first_recent_uid == 1
    assert await store.take_recent(alice, inbox.id) == 1
    assert await store.take_recent(alice, inbox.id) == 3
    await store.append(alice, "INBOX", [NewMessage(simple())])
    assert (await store.mailbox(alice)).first_recent_uid == 3
    assert await store.take_recent(alice, inbox.id) == 3
    assert (await store.mailbox(alice)).first_recent_uid == 4
    assert (await store.mailbox(alice)).highest_modseq == (await store.snapshot(alice)).mailbox.highest_modseq


async def test_one_of_many_concurrent_sessions_gets_recent_messages(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    assert sorted(await asyncio.gather(*(store.take_recent(alice, inbox.id) for _ in range(6)))) == [1] + [2] * 5


async def test_recent_of_a_missing_mailbox_raises_not_found(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await store.provision(alice)
    for account, mailbox in ((alice, MailboxId(2**40)), (bob, (await store.mailbox(alice)).id)):
        with pytest.raises(MailboxNotFound):
            await store.take_recent(account, mailbox)


async def test_two_processes_create_and_delete_mailboxes_of_one_account(database: str, alice: AccountId) -> None:
    async def churn(store: MailStore, name: str) -> list[int]:
        validities = []
        for _ in range(5):
            validities.append((await store.create_mailbox(alice, name)).uid_validity)
            await store.delete_mailbox(alice, name)
        return validities

    async with opened(database) as here, opened(database) as there:
        await here.provision(alice)
        given = await asyncio.gather(churn(here, "a"), churn(there, "b"), churn(there, "c"))
        assert len({*given[0], *given[1], *given[2]}) == 15
        assert all(validities == sorted(validities) for validities in given)


async def test_recent_messages_are_taken_up_to_a_uid(store: MailStore, alice: AccountId) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    assert [await store.take_recent(alice, inbox.id, Uid(until)) for until in (0, 3, 2, 0, 99, 0)] == [1, 1, 3, 3, 3, 5]


COMPOSED, DECOMPOSED = "Entw\u00fcrfe", "Entwu\u0308rfe"


@pytest.mark.parametrize("made", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("requested", [COMPOSED, DECOMPOSED])
async def test_a_name_is_equal_to_its_other_normal_forms(
    store: MailStore, alice: AccountId, made: str, requested: str
) -> None:
    mailbox = await store.create_mailbox(alice, made)
    assert mailbox.name == COMPOSED
    with pytest.raises(MailboxExists):
        await store.create_mailbox(alice, requested)
    assert await store.mailbox(alice, requested) == mailbox
    await store.deliver(delivery(Destination(alice, requested)))
    await store.append(alice, requested, [NewMessage(simple())])
    await store.append(alice, requested, [NewMessage(simple()), NewMessage(simple())])
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    await store.copy(alice, inbox.id, uids(1), requested)
    await store.move(alice, inbox.id, uids(1), requested)
    assert len((await store.snapshot(alice, requested)).entries) == 6
    assert len((await store.find(alice, MessageQuery(mailbox=requested))).items) == 5
    await store.subscribe(alice, mailbox.name, True)
    await store.subscribe(alice, requested, True)
    assert COMPOSED in await store.subscriptions(alice)
    await store.subscribe(alice, requested, False)
    assert not {COMPOSED, DECOMPOSED} & {*await store.subscriptions(alice)}
    await store.rename_mailbox(alice, requested, "Plans")
    with pytest.raises(MailboxNotFound):
        await store.mailbox(alice, requested)
    await store.rename_mailbox(alice, "Plans", requested)
    await store.delete_mailbox(alice, requested)
    assert await names(store, alice) == []


async def test_old_mailboxes_with_equivalent_names_are_found_by_exact_name(database: str, alice: AccountId) -> None:
    async with opened(database) as store:
        composed, twin = await store.create_mailbox(alice, COMPOSED), await store.create_mailbox(alice, "Twin")
        engine = open_engine(database)
        async with engine.begin() as connection:
            await connection.execute(update(mailboxes).where(mailboxes.c.id == twin.id).values(name=DECOMPOSED))
        await engine.dispose()
    async with opened(database) as store:
        assert (await store.mailbox(alice, COMPOSED)).id == composed.id
        assert (await store.mailbox(alice, DECOMPOSED)).id == twin.id
        with pytest.raises(MailboxExists):
            await store.create_mailbox(alice, DECOMPOSED)
        below = await store.create_mailbox(alice, f"{COMPOSED}/Old")
        assert below.name == f"{COMPOSED}/Old"
        await store.delete_mailbox(alice, COMPOSED)
        assert (await store.mailbox(alice, COMPOSED)).id == twin.id
        await store.rename_mailbox(alice, DECOMPOSED, "Plans")
        assert (await store.mailbox(alice, "Plans")).id == twin.id


async def test_the_mailboxes_of_an_account_are_limited(
    store: MailStore, alice: AccountId, bob: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_names, "MAX_MAILBOXES", len(DEFAULT_MAILBOXES) + 2)
    await store.create_mailbox(alice, "One")
    await store.create_mailbox(alice, "Two")
    with pytest.raises(TooManyMailboxes):
        await store.create_mailbox(alice, "Three")
    await store.create_mailbox(bob, "Three")
    await store.subscribe(alice, "One", True)
    await store.subscribe(alice, "Two", True)
    with pytest.raises(TooManyMailboxes):
        await store.subscribe(alice, "Three", True)
    await store.subscribe(alice, "Two", True)
    await store.delete_mailbox(alice, "One")
    await store.create_mailbox(alice, "Three")
