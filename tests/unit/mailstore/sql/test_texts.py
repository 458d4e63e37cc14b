"""Texts that fail, texts that are outdated, and large messages: searches go on, and find what is there."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from relate_mailstore.mime import index_message
from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.sql.read import search_texts as sql_texts
from relate_mailstore.sql.read.blobs import SMALL_OCTETS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, MessageQuery, Part, TextPart
from tests.support.factories import delivery, simple

BODY = TextPart.BODY
# As the program of revision 0004 made them: folded by case only, and without groups.
AS_BEFORE = (
    "UPDATE messages SET search = 'ｗｉｄｅ' || substr(search, instr(search, char(10)))",
    "UPDATE messages SET search = 'ｗｉｄｅ' || substr(search, strpos(search, chr(10)))",
)

MARK_ALL = "INSERT INTO untexted (account_id, message_id, outdated) SELECT account_id, id, true FROM messages"


async def rows(engine: AsyncEngine, statement: str) -> list[tuple[object, ...]]:
    async with engine.begin() as connection:
        result = await connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


async def make_outdated(engine: AsyncEngine) -> None:
    """As migration 0006 finds the database of an older program."""
    await rows(engine, AS_BEFORE[engine.dialect.name == "postgresql"])
    await rows(engine, "UPDATE texts SET text = 'old', body = 3")
    await rows(engine, MARK_ALL)


@pytest.fixture
async def old_mail(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> SqlMailStore:
    await store.deliver(delivery(alice, raw=simple("Wide", to="Team: bob@x;", body="Ｔｅｘｔ " + "x" * 3_000)))
    await store.deliver(delivery(alice, raw=simple("Wide", body="other")))
    await store._texts.make_some(50)
    await make_outdated(engine)
    return store


async def test_outdated_mail_is_searched_as_new_mail_is(
    old_mail: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    inbox = await old_mail.snapshot(alice)
    assert await old_mail.containing(inbox, "text", BODY) == {1}
    assert await old_mail.containing(inbox, "old", BODY) == set()
    assert [summary.subject for summary in await old_mail.summaries(inbox)] == ["wide", "wide"]
    assert (await old_mail.summaries(inbox))[0].to == "<team>, <bob@x>"


async def test_lists_are_searched_before_their_texts_are_made_again(
    old_mail: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    assert len((await old_mail.find(alice, MessageQuery(text="WIDE"))).items) == 2
    assert await rows(engine, "SELECT count(*) FROM untexted WHERE outdated") == [(0,)]
    assert await rows(engine, "SELECT count(*) FROM untexted") == [(2,)]
    with pytest.MonkeyPatch.context() as patch:  # once is enough
        patch.setattr(old_mail._texts, "_among", None)
        assert len((await old_mail.find(alice, MessageQuery(text="team"))).items) == 1


async def test_upkeep_makes_outdated_mail_again(old_mail: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    index = "SELECT id, envelope, bodystructure, preview FROM messages ORDER BY id"
    before = await rows(engine, index)
    assert await old_mail._texts.make_some(50) == 2
    assert await old_mail._texts.make_some(50) == 0
    assert await rows(engine, index) == before
    assert len((await old_mail.find(alice, MessageQuery(text="wide"))).items) == 2
    assert await old_mail.containing(await old_mail.snapshot(alice), "text", BODY) == {1}
    assert await rows(engine, "SELECT count(*) FROM texts") == [(2,)]


async def test_a_text_that_is_as_it_was_is_not_written_again(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    await store._texts.make_some(50)
    before = await rows(engine, "SELECT id FROM texts")
    await rows(engine, MARK_ALL)
    assert await store._texts.make_some(50) == 1
    assert await rows(engine, "SELECT id FROM texts") == before


async def test_a_message_that_no_text_can_be_made_of_is_set_aside_and_the_others_are_searched(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(raw: bytes, parts: list[Part]) -> SearchText:
        if b"poison" in raw:
            raise ValueError(raw.decode())
        return message_text(raw, parts)

    monkeypatch.setattr(sql_texts, "message_text", make)
    for body in ("needle", "needle poison", "needle"):
        await store.deliver(delivery(alice, raw=simple(body=body)))
    inbox = await store.snapshot(alice)
    with capture_logs() as logs:
        assert await store.containing(inbox, "needle", BODY) == {1, 3}
        assert await store._texts.make_some(50) == 0
        assert await store.containing(inbox, "nothing", BODY) == set()
    (log,) = [log for log in logs if log["event"] == "text.failed"]
    assert (log["reason"], "in make" in log["trace"], "needle" in str(log)) == ("ValueError", True, False)
    assert await rows(engine, "SELECT failed FROM untexted") == [("ValueError",)]


async def test_upkeep_goes_on_after_a_message_that_no_text_can_be_made_of(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.deliver(delivery(alice))
    with monkeypatch.context() as patch:
        patch.setattr(sql_texts, "message_text", None)
        assert await store._texts.make_some(50) == 1
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    assert await store._texts.make_some(50) == 1
    assert await store.containing(await store.snapshot(alice), "needle", BODY) == {2}


async def test_a_message_whose_header_fails_is_listed_as_it_was(
    old_mail: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_texts, "index_message", None)
    assert (await old_mail.summaries(await old_mail.snapshot(alice)))[0].subject == "ｗｉｄｅ"


def large(parts: int, body: str = "x") -> bytes:
    part = f"--b\r\nContent-Type: text/plain; charset=utf-8\r\nX-Part: header\r\n\r\n{body}\r\n"
    head = "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return f"{head}{part * parts}--b\r\nContent-Type: text/plain\r\n\r\nlast\r\n--b--\r\n".encode()


async def test_a_large_message_is_read_part_by_part_and_its_text_is_that_of_the_whole(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    raw = large(700, "Grüße " * 60)
    assert len(raw) > SMALL_OCTETS
    await store.deliver(delivery(alice, raw=raw))
    await store._texts.make_some(50)
    expected = message_text(raw, index_message(raw).parts)
    assert await rows(engine, "SELECT text, body FROM texts") == [
        (f"{expected.body}\n{expected.header}", len(expected.body))
    ]
    assert expected.body.endswith("\nlast")


async def test_no_part_is_read_when_there_is_no_room_for_its_text(
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
    await store._texts.make_some(50)
    assert read < 10


async def test_a_long_text_is_made_beside_the_loop(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by = []

    def make(raw: bytes, parts: list[Part]) -> SearchText:
        made_by.append((len(raw), threading.current_thread() is threading.main_thread()))
        return message_text(raw, parts)

    monkeypatch.setattr(sql_texts, "message_text", make)
    for octets in (100, 3 * sql_texts.INLINE_OCTETS):
        await store.deliver(delivery(alice, raw=simple(body="x" * octets)))
    await store._texts.make_some(50)
    assert [in_loop for _, in_loop in sorted(made_by)] == [True, False]
