"""Extraction of searchable texts: failures, outdated texts and large messages."""

import asyncio
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.sql.read import search_texts as sql_texts
from relate_mailstore.sql.read.blobs import SMALL_OCTETS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, MessageQuery, TextPart
from relate_mime import Part, index_message
from tests.support.factories import delivery, simple, uids
from tests.unit.mailstore.sql.helpers import opened

BODY = TextPart.BODY
# As of revision 0004: folded by case only, and without groups.
OLD_SEARCH = (
    "UPDATE messages SET search = 'ｗｉｄｅ' || substr(search, instr(search, char(10)))",
    "UPDATE messages SET search = 'ｗｉｄｅ' || substr(search, strpos(search, chr(10)))",
)

MARK_ALL = "INSERT INTO untexted (account_id, message_id, outdated) SELECT account_id, id, true FROM messages"


async def rows(engine: AsyncEngine, statement: str) -> list[tuple[object, ...]]:
    async with engine.begin() as connection:
        result = await connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


async def make_outdated(engine: AsyncEngine) -> None:
    """Leave the database as migration 0006 does: texts of an older version, all marked as outdated."""
    await rows(engine, OLD_SEARCH[engine.dialect.name == "postgresql"])
    await rows(engine, "UPDATE texts SET text = 'old', body = 3")
    await rows(engine, MARK_ALL)


@pytest.fixture
async def old_mail(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> SqlMailStore:
    await store.deliver(delivery(alice, raw=simple("Wide", to="Team: bob@x;", body="Ｔｅｘｔ " + "x" * 3_000)))
    await store.deliver(delivery(alice, raw=simple("Wide", body="other")))
    await store._reading.texts.make_some(50)
    await make_outdated(engine)
    return store


async def test_outdated_messages_are_found_like_new_ones(
    old_mail: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    inbox = await old_mail.snapshot(alice)
    assert await old_mail.containing(inbox, "text", BODY) == {1}
    assert await old_mail.containing(inbox, "old", BODY) == set()
    assert [summary.subject for summary in await old_mail.summaries(inbox)] == ["wide", "wide"]
    assert (await old_mail.summaries(inbox))[0].to == "<team>, <bob@x>"


async def test_list_recomputes_outdated_searches_before_the_texts(
    old_mail: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    assert len((await old_mail.find(alice, MessageQuery(text="WIDE"))).items) == 2
    assert await rows(engine, "SELECT count(*) FROM untexted WHERE outdated") == [(0,)]
    assert await rows(engine, "SELECT count(*) FROM untexted") == [(2,)]
    with pytest.MonkeyPatch.context() as patch:  # no second query
        patch.setattr(old_mail._reading.texts, "_batches", None)
        assert len((await old_mail.find(alice, MessageQuery(text="team"))).items) == 1


async def test_background_work_extracts_outdated_texts_again(
    old_mail: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    index = "SELECT id, envelope, bodystructure, preview FROM messages ORDER BY id"
    before = await rows(engine, index)
    assert await old_mail._reading.texts.make_some(50) == 2
    assert await old_mail._reading.texts.make_some(50) == 0
    assert await rows(engine, index) == before
    assert len((await old_mail.find(alice, MessageQuery(text="wide"))).items) == 2
    assert await old_mail.containing(await old_mail.snapshot(alice), "text", BODY) == {1}
    assert await rows(engine, "SELECT count(*) FROM texts") == [(2,)]


async def test_unchanged_text_is_not_written_again(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    await store._reading.texts.make_some(50)
    before = await rows(engine, "SELECT id FROM texts")
    await rows(engine, MARK_ALL)
    assert await store._reading.texts.make_some(50) == 1
    assert await rows(engine, "SELECT id FROM texts") == before


async def test_failed_message_is_marked_and_others_are_found(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extract(raw: bytes, parts: list[Part]) -> SearchText:
        if b"poison" in raw:
            raise ValueError(raw.decode())
        return message_text(raw, parts)

    monkeypatch.setattr(sql_texts, "message_text", extract)
    for body in ("needle", "needle poison", "needle"):
        await store.deliver(delivery(alice, raw=simple(body=body)))
    inbox = await store.snapshot(alice)
    with capture_logs() as logs:
        assert await store.containing(inbox, "needle", BODY) == {1, 3}
        assert await store._reading.texts.make_some(50) == 0
        assert await store.containing(inbox, "nothing", BODY) == set()
    (log,) = [log for log in logs if log["event"] == "text.failed"]
    assert (log["reason"], "in extract" in log["trace"], "needle" in str(log)) == ("ValueError", True, False)
    assert await rows(engine, "SELECT failed FROM untexted") == [("ValueError",)]


async def test_background_work_continues_after_a_failed_message(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.deliver(delivery(alice))
    with monkeypatch.context() as patch:
        patch.setattr(sql_texts, "message_text", None)
        assert await store._reading.texts.make_some(50) == 1
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    assert await store._reading.texts.make_some(50) == 1
    assert await store.containing(await store.snapshot(alice), "needle", BODY) == {2}


async def test_message_whose_header_fails_keeps_its_old_search(
    old_mail: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_texts, "index_message", None)
    assert (await old_mail.summaries(await old_mail.snapshot(alice)))[0].subject == "ｗｉｄｅ"


def large(parts: int, body: str = "x") -> bytes:
    part = f"--b\r\nContent-Type: text/plain; charset=utf-8\r\nX-Part: header\r\n\r\n{body}\r\n"
    head = "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return f"{head}{part * parts}--b\r\nContent-Type: text/plain\r\n\r\nlast\r\n--b--\r\n".encode()


async def test_text_of_a_large_message_equals_that_of_the_whole(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    raw = large(700, "Grüße " * 60)
    assert len(raw) > SMALL_OCTETS
    await store.deliver(delivery(alice, raw=raw))
    await store._reading.texts.make_some(50)
    expected = message_text(raw, index_message(raw).parts)
    assert await rows(engine, "SELECT text, body FROM texts") == [
        (f"{expected.body}\n{expected.header}", len(expected.body))
    ]
    assert expected.body.endswith("\nlast")


async def test_parts_beyond_the_text_limit_are_not_read(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relate_mailstore.search_text.TEXT_CHARACTERS", 1_000)
    read = 0
    window = sql_texts._Window.read

    async def count(self: sql_texts._Window, start: int, stop: int) -> bytes:
        nonlocal read
        read += 1
        return await window(self, start, stop)

    monkeypatch.setattr(sql_texts._Window, "read", count)
    await store.deliver(delivery(alice, raw=large(500, "y" * 400)))
    await store._reading.texts.make_some(50)
    assert read < 10


async def test_long_text_is_extracted_in_a_thread(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted_by = []

    def extract(raw: bytes, parts: list[Part]) -> SearchText:
        extracted_by.append((len(raw), threading.current_thread() is threading.main_thread()))
        return message_text(raw, parts)

    monkeypatch.setattr(sql_texts, "message_text", extract)
    for octets in (100, 3 * sql_texts.INLINE_OCTETS):
        await store.deliver(delivery(alice, raw=simple(body="x" * octets)))
    await store._reading.texts.make_some(50)
    assert [in_loop for _, in_loop in sorted(extracted_by)] == [True, False]


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        number: int = await connection.scalar(text(f"SELECT count(*) FROM {table}"))
        return number


async def test_texts_are_extracted_after_delivery_and_removed_with_messages(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipts = [await store.deliver(delivery(alice, raw=simple(body=f"needle {number}"))) for number in range(3)]
    assert (await count(engine, "untexted"), await count(engine, "texts")) == (3, 0)
    assert await store._reading.texts.make_some(50) == 3
    assert await store._reading.texts.make_some(50) == 0
    assert (await count(engine, "untexted"), await count(engine, "texts")) == (0, 3)
    await store.deliver(delivery(alice))
    inbox = await store.snapshot(alice)
    await store.expunge(alice, inbox.mailbox.id, uids(1, 4))
    await store.delete_message(alice, receipts[1].message_id)
    assert (await count(engine, "untexted"), await count(engine, "texts")) == (0, 1)
    assert await store.containing(await store.snapshot(alice), "needle", TextPart.BODY) == {3}


async def test_text_of_a_removed_message_is_not_stored(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice))
    await store.delete_message(alice, receipt.message_id)
    await store._reading.texts._make(alice, [receipt.message_id])
    assert await count(engine, "texts") == 0


async def test_claimed_message_is_skipped_until_its_claim_expires(
    database_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url) as (engine, here), opened(database_url) as (_, there):
        await here.deliver(delivery(alice))
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE untexted SET claimed = :now"), {"now": int(time.time())})
        assert await there._reading.texts.make_some(50) == 0
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE untexted SET claimed = :now"), {"now": int(time.time()) - 1000})
        counts = await asyncio.gather(here._reading.texts.make_some(50), there._reading.texts.make_some(50))
        assert sorted(counts) == [0, 1]
        assert await count(engine, "texts") == 1


async def test_search_extracts_missing_texts_of_its_mailbox_only(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    await store.deliver(delivery(Destination(alice, "Sent")))
    assert await store.containing(await store.snapshot(alice), "needle", TextPart.BODY) == {1}
    assert await count(engine, "untexted") == 1
