"""Search texts and the trigram index: which process makes a text and when, and when a search uses the index."""

import asyncio
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.read import search
from relate_mailstore.sql.read.search import like_pattern, match_trigrams
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, TextPart
from tests.support.factories import delivery, simple
from tests.unit.mailstore.sql.helpers import Statements, opened

INDEX_OPERATORS = {"sqlite": "MATCH", "postgresql": "LIKE"}


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        number: int = await connection.scalar(text(f"SELECT count(*) FROM {table}"))
        return number


async def test_texts_are_made_after_delivery_and_removed_with_messages(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipts = [await store.deliver(delivery(alice, raw=simple(body=f"needle {number}"))) for number in range(3)]
    assert (await count(engine, "untexted"), await count(engine, "texts")) == (3, 0)
    assert await store._texts.make_some(50) == 3
    assert await store._texts.make_some(50) == 0
    assert (await count(engine, "untexted"), await count(engine, "texts")) == (0, 3)
    await store.deliver(delivery(alice))
    inbox = await store.snapshot(alice)
    await store.expunge(alice, inbox.mailbox.id, [1, 4])
    await store.delete_message(alice, receipts[1].message_id)
    assert (await count(engine, "untexted"), await count(engine, "texts")) == (0, 1)
    assert await store.containing(await store.snapshot(alice), "needle", TextPart.BODY) == {3}


async def test_the_text_of_a_message_removed_meanwhile_is_not_stored(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice))
    await store.delete_message(alice, receipt.message_id)
    await store._texts._make(alice, [receipt.message_id])
    assert await count(engine, "texts") == 0


async def test_claimed_messages_are_skipped_until_the_claim_expires(
    database_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url) as (engine, here), opened(database_url) as (_, there):
        await here.deliver(delivery(alice))
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE untexted SET claimed = :now"), {"now": int(time.time())})
        assert await there._texts.make_some(50) == 0
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE untexted SET claimed = :now"), {"now": int(time.time()) - 1000})
        made = await asyncio.gather(here._texts.make_some(50), there._texts.make_some(50))
        assert sorted(made) == [0, 1]
        assert await count(engine, "texts") == 1


async def test_a_search_makes_only_the_missing_texts_of_its_mailbox(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    await store.deliver(delivery(Destination(alice, "Sent")))
    assert await store.containing(await store.snapshot(alice), "needle", TextPart.BODY) == {1}
    assert await count(engine, "untexted") == 1


async def test_a_repeated_search_searches_only_new_messages(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for number in range(3):
        await store.deliver(delivery(alice, raw=simple(body=f"needle {number}")))
    inbox = await store.snapshot(alice)
    assert await store.containing(inbox, "needle", TextPart.BODY) == {1, 2, 3}
    with Statements(engine) as statements:
        assert await store.containing(inbox, "NEEDLE", TextPart.BODY) == {1, 2, 3}
    assert not statements
    last = await store.deliver(delivery(alice, raw=simple(body="needle 3")))
    inbox = await store.snapshot(alice)
    await store._texts.make_some(50)
    requested: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._texts, "make_for", lambda account, wanted: _record(requested, *wanted))
        assert await store.containing(inbox, "needle", TextPart.BODY) == {1, 2, 3, 4}
    assert requested == [last.message_id]


async def _record(requested: list[object], *wanted: object) -> None:
    requested.extend(wanted)


async def test_a_search_in_many_messages_uses_the_index(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW_MESSAGES", 1)
    monkeypatch.setattr(search, "MOST_CANDIDATES", 2)
    await store.deliver(delivery(alice, raw=simple(body="100% needle", subject="of hay")))
    await store.deliver(delivery(alice, raw=simple(body="hay", subject="of needle")))
    inbox = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.containing(inbox, "needle", TextPart.BODY) == {1}
        assert await store.containing(inbox, "needle", TextPart.ANYWHERE) == {1, 2}
        assert await store.containing(inbox, "0% n", TextPart.BODY) == {1}
        assert await store.containing(inbox, "0_ n", TextPart.BODY) == set()
    assert sum(INDEX_OPERATORS[engine.dialect.name] in statement for statement in statements) == 4


async def test_a_text_in_too_many_messages_is_scanned_for(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW_MESSAGES", 1)
    monkeypatch.setattr(search, "MOST_CANDIDATES", 0.5)
    for number in range(10):
        await store.deliver(delivery(alice, raw=simple(body=f"needle {number}" if number else "hay")))
    inbox = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.containing(inbox, "needle", TextPart.BODY) == set(range(2, 11))
        assert await store.containing(inbox, "needle 7", TextPart.BODY) == {8}
    scans = [statement for statement in statements if "instr" in statement or "strpos" in statement]
    assert ["texts.id" in statement for statement in scans] == [False, True]


async def test_without_the_index_every_text_is_scanned(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW_MESSAGES", 0)
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    async with engine.begin() as connection:
        for statement in (
            ["DROP TRIGGER texts_added", "DROP TRIGGER texts_removed", "DROP TABLE texts_trigrams"]
            if engine.dialect.name == "sqlite"
            else ["DROP INDEX ix_texts_trigrams"]
        ):
            await connection.execute(text(statement))
    with Statements(engine) as statements:
        assert await store.containing(await store.snapshot(alice), "NEEDLE", TextPart.BODY) == {1}
    assert not any(INDEX_OPERATORS[engine.dialect.name] in statement for statement in statements)


def test_wildcards_of_like_are_escaped() -> None:
    assert like_pattern("100%_\\") == "%100\\%\\_\\\\%"


@pytest.mark.parametrize(
    ("folded", "query"),
    [
        ("abc", '"abc"'),
        ("abcde", '"abc" AND "bcd" AND "cde"'),
        ('a"b', '"a""b"'),
        ("aaaaa", '"aaa"'),
    ],
)
def test_a_short_text_is_matched_by_all_its_trigrams(folded: str, query: str) -> None:
    assert match_trigrams(folded) == query


def test_a_long_text_is_matched_by_a_few_of_its_trigrams() -> None:
    folded = "".join(map(str, range(200)))
    trigrams = match_trigrams(folded).replace('"', "").split(" AND ")
    assert 10 <= len(trigrams) <= 17
    assert trigrams[0] == folded[:3]
    assert trigrams[-1] == folded[-3:]
