"""The committer: the order of its observers, and which transactions they see."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MailboxId
from tests.support.factories import delivery, uids
from tests.unit.mailstore.sql.helpers import Statements


@pytest.fixture
def commits(store: SqlMailStore) -> list[Committed[Any]]:
    observed: list[Committed[Any]] = []
    store._committer.on_commit(observed.append)
    return observed


async def test_observers_are_called_in_the_order_of_registration(store: SqlMailStore, alice: AccountId) -> None:
    await store.provision(alice)
    order: list[str] = []
    store._committer.on_commit(lambda committed: order.append("first"))
    store._committer.on_commit(lambda committed: order.append("second"))
    await store.deliver(delivery(alice))
    assert order == ["first", "second"]


async def test_every_change_of_mail_is_observed(
    store: SqlMailStore, commits: list[Committed[Any]], alice: AccountId
) -> None:
    await store.provision(alice)
    receipt = await store.deliver(delivery(alice))
    inbox = (await store.snapshot(alice)).mailbox
    await store.set_flags(alice, inbox.id, uids(1), FlagChange(add=Flag.SEEN))
    await store.copy(alice, inbox.id, uids(1), "Sent")
    await store.expunge(alice, inbox.id, uids(1))
    await store.rename_mailbox(alice, "Sent", "Old")
    await store.delete_mailbox(alice, "Old")
    assert [[delta.modseq > 1 for delta in one.deltas] for one in commits] == [[True]] * 6
    assert [list(one.removed_messages) for one in commits] == [[]] * 5 + [[receipt.message_id]]


async def test_transactions_without_notice_are_not_observed(
    store: SqlMailStore, commits: list[Committed[Any]], engine: AsyncEngine, alice: AccountId
) -> None:
    with Statements(engine) as statements:
        mailbox = await store.create_mailbox(alice, "New")
        await store.subscribe(alice, "New", True)
        await store.take_recent(alice, mailbox.id)
        await store.collect_garbage()
    assert commits == []
    assert not any("pg_notify" in statement for statement in statements)


async def test_a_transaction_that_fails_is_not_observed(
    store: SqlMailStore, commits: list[Committed[Any]], alice: AccountId
) -> None:
    with pytest.raises(MailboxNotFound):
        await store.expunge(alice, MailboxId(0), uids(1))
    with pytest.raises(MailboxNotFound):
        await store.deliver(delivery(Destination(alice, "Nowhere")))
    assert [one for one in commits if one.deltas] == []
