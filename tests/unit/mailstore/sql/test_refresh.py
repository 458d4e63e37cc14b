"""What is kept by the process: asked for again, it costs no query, and it is let go of within its bounds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.notices import freshness as heard_module
from relate_mailstore.sql.notices.freshness import Freshness
from relate_mailstore.sql.read import summaries
from relate_mailstore.sql.read.generations import Generation
from relate_mailstore.sql.read.lru import Kept, KeptOfMessages
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, MailboxId, MailboxNotice, MessageId
from tests.support.factories import delivery, simple
from tests.unit.mailstore.sql.helpers import Statements, opened

PATIENCE = 10.0  # seconds until what does not come fails its test
Ask = Callable[[AccountId, Sequence[MessageId]], Awaitable[Sequence[object]]]
ANN, INBOX, SENT = AccountId(1), MailboxId(2), MailboxId(3)


def test_what_was_read_is_current_until_something_later_is_heard() -> None:
    heard = Freshness(lambda: 1)
    heard.mark_read(INBOX, heard.stamp())
    assert heard.is_current(INBOX, 5)
    heard.record([MailboxNotice(ANN, INBOX, 5), MailboxNotice(ANN, SENT, 9)])
    assert heard.is_current(INBOX, 5)
    heard.record([MailboxNotice(ANN, INBOX, 6), MailboxNotice(ANN, INBOX, 4)])
    assert not heard.is_current(INBOX, 5)
    assert heard.is_current(INBOX, 6)


def test_what_was_never_read_is_not_current() -> None:
    assert not Freshness(lambda: 1).is_current(INBOX, 10**9)


def test_what_was_heard_during_the_first_read_makes_it_uncertain() -> None:
    heard = Freshness(lambda: 1)
    stamp = heard.stamp()
    heard.record([MailboxNotice(ANN, SENT, 9)])
    heard.mark_read(INBOX, stamp)
    assert not heard.is_current(INBOX, 5)
    stamp = heard.stamp()
    heard.record([MailboxNotice(ANN, INBOX, 7)])
    heard.mark_read(INBOX, stamp)
    assert not heard.is_current(INBOX, 5)
    assert heard.is_current(INBOX, 7)


def test_nothing_is_current_beyond_its_epoch_or_while_nobody_listens() -> None:
    epoch: list[object] = [1]
    heard = Freshness(lambda: epoch[0])
    heard.mark_read(INBOX, heard.stamp())
    for now, current in ((1, True), (None, False), (2, False), (1, True)):
        epoch[0] = now
        assert heard.is_current(INBOX, 5) is current
    epoch[0] = None
    heard.mark_read(INBOX, heard.stamp())
    assert not heard.is_current(INBOX, 5)


def test_what_is_heard_of_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_module, "MAX_MAILBOXES", 2)
    heard = Freshness(lambda: 1)
    for number in (1, 2, 3):
        heard.mark_read(MailboxId(number), heard.stamp())
    assert [heard.is_current(MailboxId(number), 5) for number in (1, 2, 3)] == [False, True, True]


def test_a_cache_holds_to_its_octets_and_lets_go_of_the_oldest() -> None:
    kept: Kept[str, int] = Kept(10)
    for number, key in enumerate("abc"):
        kept.keep(key, number, 3)
    assert kept.get("a") == 0
    kept.keep("d", 3, 4)
    assert [kept.get(key) for key in "abcd"] == [0, None, 2, 3]
    kept.keep("d", 4, 1)
    kept.keep("e", 5, 3)
    assert [kept.get(key) for key in "acde"] == [0, 2, 4, 5]
    kept.keep("f", 6, 11)
    assert len(kept) == 0
    kept.forget("f")


async def test_a_mailbox_of_which_nothing_was_heard_costs_no_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    snapshot = await store.refresh(await store.snapshot(alice))
    with Statements(engine) as statements:
        for _ in range(100):
            assert await store.refresh(snapshot) is snapshot
    assert statements == []


@pytest.mark.postgres
async def test_the_database_is_asked_while_nobody_listens(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store), opened(postgres_url) as (_, other):
        await store.deliver(delivery(alice))
        snapshot = await store.refresh(await store.snapshot(alice))
        assert store._side is not None
        assert store._side._connection is not None
        store._side._connection.terminate()
        await asyncio.sleep(0)
        await other.deliver(delivery(alice))
        with Statements(engine) as statements:
            assert len((await store.refresh(snapshot)).entries) == 2
        assert len([statement for statement in statements if "mailboxes" in statement]) == 1


async def test_what_fetch_asks_for_again_costs_no_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipts = [await store.deliver(delivery(alice)) for _ in range(5)]
    ids = [receipt.message_id for receipt in receipts]
    first = [await ask(alice, ids) for ask in (store.renderings, store.headers, store.indexes)]
    with Statements(engine) as statements:
        again = [await ask(alice, ids) for ask in (store.renderings, store.headers, store.indexes)]
    assert again == first
    assert statements == []


async def test_what_is_deleted_is_kept_no_longer(store: SqlMailStore, alice: AccountId) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    await store.renderings(alice, [message_id])
    await store.headers(alice, [message_id])
    await store.indexes(alice, [message_id])
    await store.delete_message(alice, message_id)
    contents = store._contents
    assert [len(kept) for kept in (contents._renderings, contents._headers, contents._indexes)] == [0, 0, 0]


def questions(store: SqlMailStore) -> dict[KeptOfMessages[Any], Ask]:
    """What is kept of messages, and what is asked to have it kept."""
    return {
        store._contents._renderings: store.renderings,
        store._contents._indexes: store.indexes,
        store._contents._headers: store.headers,
        store._blobs._kept: store.open_all,
    }


@pytest.mark.parametrize("place", range(4))
async def test_what_is_deleted_while_it_is_read_is_not_kept(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    kept, ask = [*questions(store).items()][place]
    fetch, there = store._database.fetch, {message_id}

    async def overtaken(statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        rows = await fetch(statement, parameters)
        if "message_ids" in parameters and there:
            await store.delete_message(alice, there.pop())
        return rows

    monkeypatch.setattr(store._database, "fetch", overtaken)
    assert None not in await ask(alice, [message_id])  # it was there when this was asked
    assert (len(kept), kept.octets) == (0, 0)
    assert await ask(alice, [message_id]) == [None]


def test_what_is_kept_of_messages_holds_to_its_octets_and_lets_go_of_the_oldest() -> None:
    kept: KeptOfMessages[bytes] = KeptOfMessages(10, len)
    ann, ids = Generation(ANN, 1), [MessageId(UUID(int=number)) for number in range(5)]
    for message_id in ids[:3]:
        kept.keep(ann, {message_id: b"abc"}, 0)
    assert kept.find(ann, [ids[0], ids[4]]) == [b"abc", None]
    kept.keep(ann, {ids[3]: b"abcd"}, 0)
    assert kept.find(ann, ids) == [b"abc", None, b"abc", b"abcd", None]
    kept.keep(ann, {ids[3]: b""}, 0)
    assert (len(kept), kept.octets) == (3, 6)
    kept.keep(ann, {ids[4]: bytes(11)}, 0)
    assert (len(kept), kept.octets) == (0, 0)


def test_what_is_kept_of_messages_is_kept_for_an_account() -> None:
    kept: KeptOfMessages[bytes] = KeptOfMessages(10, len)
    ann, bob, message_id = Generation(ANN, 1), Generation(AccountId(2), 1), MessageId(UUID(int=1))
    kept.keep(ann, {message_id: b"a"}, 0)
    assert kept.find(bob, [message_id]) == [None]
    kept.forget(bob, [message_id])
    bob.removals += 1
    kept.keep(bob, {message_id: b"b"}, 0)  # was asked for before that
    assert (kept.find(ann, [message_id]), kept.find(bob, [message_id])) == ([b"a"], [None])


async def test_summaries_are_read_once_each(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    for number in range(3):
        await store.deliver(delivery(alice, raw=simple(f"{number}")))
    snapshot = await store.snapshot(alice)
    first = await store.summaries(snapshot)
    await store.deliver(delivery(alice, raw=simple("3")))
    longer = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.summaries(snapshot) is first
        again = await store.summaries(longer)
        assert await store.summaries(longer) is again
    assert len(statements) == 1
    assert all(one is other for one, other in zip(first, again[:3], strict=True))


async def test_summaries_of_mailboxes_that_nobody_searches_make_room(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "CACHE_SUMMARIES", 3)
    for name in ("INBOX", "Sent"):
        await store.deliver(delivery(Destination(alice, name)))
        await store.summaries(await store.snapshot(alice, name))
    sent, inbox = await store.snapshot(alice, "Sent"), await store.snapshot(alice)
    with Statements(engine) as statements:
        await store.summaries(sent)
        await store.summaries(inbox)
    assert len(statements) == 1


async def test_summaries_asked_for_by_many_at_once_are_all_right(store: SqlMailStore, alice: AccountId) -> None:
    for number in range(6):
        await store.deliver(delivery(alice, raw=simple(f"{number}")))
    old = await store.snapshot(alice)
    await store.expunge(alice, old.mailbox.id, [2])
    await store.deliver(delivery(alice, raw=simple("6")))
    new = await store.snapshot(alice)
    answers = await asyncio.gather(*(store.summaries(snapshot) for snapshot in (old, new, old, new)))
    for answer in (answers[1], answers[3]):
        assert [summary.subject for summary in answer] == ["0", "2", "3", "4", "5", "6"]
    assert [summary.subject for summary in answers[0]][2:] == ["2", "3", "4", "5"]
