"""A mailbox that the filler makes is one that deliveries could have made."""

import pytest
from sqlalchemy import func, select

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.tables import untexted
from relate_mailstore.types import AccountId, Flag
from tests.bench import filler
from tests.contract.stores import opened
from tests.support.factories import delivery, new_account

COUNT = 55


@pytest.fixture
async def account(database: str, monkeypatch: pytest.MonkeyPatch) -> AccountId:
    """An account whose INBOX was filled in several transactions."""
    monkeypatch.setattr(filler, "CHUNK_MESSAGES", 20)
    account = new_account()
    await filler.fill_mailbox(database, account, COUNT)
    return account


async def test_uids_modseqs_and_dates_ascend_without_gaps(database: str, account: AccountId) -> None:
    async with opened(database) as store:
        snapshot = await store.snapshot(account)
    entries = list(snapshot.entries)
    assert [entry.uid for entry in entries] == list(range(1, COUNT + 1))
    assert snapshot.mailbox.uid_next == COUNT + 1
    added = entries[filler.TEMPLATES :]
    last = snapshot.mailbox.highest_modseq
    assert [entry.modseq for entry in added] == list(range(last - len(added) + 1, last + 1))
    assert [entry.internal_date for entry in entries] == sorted({entry.internal_date for entry in entries})


async def test_counts_and_octets_are_those_of_the_entries(database: str, account: AccountId) -> None:
    async with opened(database) as store:
        snapshot = await store.snapshot(account)
        used = await store.usage(account)
    assert snapshot.mailbox.messages == len(snapshot.entries) == COUNT
    assert snapshot.mailbox.octets == sum(entry.size for entry in snapshot.entries) == used


async def test_a_tenth_is_unseen(database: str, account: AccountId) -> None:
    async with opened(database) as store:
        snapshot = await store.snapshot(account)
    unseen = [entry.uid for entry in snapshot.entries if not entry.flags & Flag.SEEN]
    assert unseen == list(range(1, COUNT + 1, 10))


async def test_each_message_has_its_own_row_and_octets(database: str, account: AccountId) -> None:
    async with opened(database) as store:
        entries = list((await store.snapshot(account)).entries)
        ids = [entry.message_id for entry in entries]
        raw = [await (await store.open(account, message_id)).read() for message_id in ids]
        renderings = await store.renderings(account, ids)
    assert len(set(ids)) == COUNT
    assert [len(octets) for octets in raw] == [entry.size for entry in entries]
    assert None not in renderings


async def test_a_delivery_gets_the_next_uid_and_a_later_modseq(database: str, account: AccountId) -> None:
    async with opened(database) as store:
        before = await store.mailbox(account)
        receipt = await store.deliver(delivery(account))
        after = await store.mailbox(account)
    assert [entered.uid for entered in receipt.entered] == [COUNT + 1]
    assert after.highest_modseq > before.highest_modseq


async def test_no_process_makes_search_texts_of_filled_messages(database: str, account: AccountId) -> None:
    engine = open_engine(database)
    async with engine.connect() as connection:
        statement = select(func.count()).where(untexted.c.account_id == account, untexted.c.failed.is_not(None))
        assert await connection.scalar(statement) == COUNT - filler.TEMPLATES
    await engine.dispose()
