"""What is done in the background: when it is quiet, once, and not at the expense of closing."""

import asyncio
import itertools
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.deltas import Committed, MailboxDelta
from relate_mailstore.sql.read import search
from relate_mailstore.sql.read.search import like_pattern, match_trigrams
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.sql.upkeep import background, tombstones
from relate_mailstore.sql.upkeep.background import Upkeep
from relate_mailstore.sql.upkeep.cpu_idle import CpuSample
from relate_mailstore.types import AccountId, Destination, Mailbox, MailboxId, TextPart
from relate_supervisor import Backoff, Supervisor
from tests.support.factories import delivery, simple
from tests.unit.mailstore.sql.helpers import Statements, opened

ASKS_INDEX = {"sqlite": "MATCH", "postgresql": "LIKE"}

PATIENCE = 10.0  # seconds until what does not come fails its test


DELIVERED = Committed(
    None,
    [MailboxDelta(Mailbox(MailboxId(1), AccountId(1), "INBOX", 1, 1, 1, "", 0, 0, 1), dirty=True, arrived=1)],
)


class Work:
    """Batches that are to be done; each call does one."""

    def __init__(self, *batches: int | Exception) -> None:
        self.batches = list(batches)
        self.done = asyncio.Event()
        self.asked: list[int] = []  # how many messages each was to be

    async def make_some(self, count: int) -> int:
        self.asked.append(count)
        batch = self.batches.pop(0) if self.batches else 0
        if not self.batches:
            self.done.set()
        if isinstance(batch, Exception):
            raise batch
        return batch

    async def trim(self) -> int:
        return 0


def still() -> int:
    """Nobody's mail comes or changes."""
    return 0


async def test_texts_that_another_process_makes_are_no_mail(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        before = store._upkeep._notice_count()
        assert await other._texts.make_some(10) == 1
        await store.snapshot(alice)
        assert store._upkeep._notice_count() == before


async def test_all_batches_are_done_when_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    work = Work(5, 5, 1)
    one = Upkeep(work.make_some, work.trim, still, Supervisor())
    one.start()
    async with asyncio.timeout(PATIENCE):
        await work.done.wait()
    await one.close()


@pytest.mark.parametrize(
    ("quiet", "batch"), [(True, background.IDLE_BATCH_MESSAGES), (False, background.BUSY_BATCH_MESSAGES)]
)
async def test_batches_are_small_while_others_are_busy(
    monkeypatch: pytest.MonkeyPatch, quiet: bool, batch: int
) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(CpuSample, "is_idle_until", lambda before, after: quiet)
    work = Work(5, 1)
    one = Upkeep(work.make_some, work.trim, still, Supervisor())
    one.start()
    async with asyncio.timeout(PATIENCE):
        await work.done.wait()
    await one.close()
    assert work.asked[:2] == [batch, batch]


async def test_mail_that_comes_to_others_is_no_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(CpuSample, "is_idle_until", lambda before, after: True)
    work, notices = Work(5, 1), itertools.count()
    one = Upkeep(work.make_some, work.trim, lambda: next(notices), Supervisor())
    one.start()
    async with asyncio.timeout(PATIENCE):
        await work.done.wait()
    await one.close()
    assert work.asked[:2] == [background.BUSY_BATCH_MESSAGES, background.BUSY_BATCH_MESSAGES]


def test_the_longer_it_is_behind_the_larger_its_share() -> None:
    one = Upkeep(Work().make_some, Work().trim, still, Supervisor())
    one._pending_since = time.monotonic()
    assert one._pause(0.02) == pytest.approx(0.02 * 99, rel=0.01)
    one._pending_since -= background.OVERDUE_SECONDS
    assert one._pause(0.2) == pytest.approx(0.2 * 9, rel=0.01)
    assert one._pause(60) == background.MAX_PAUSE_SECONDS
    assert one._pause(0) == background.MEASURE_SECONDS


async def test_deliveries_wake_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    work = Work(0)
    one = Upkeep(work.make_some, work.trim, still, Supervisor())
    one.start()
    async with asyncio.timeout(PATIENCE):
        await work.done.wait()
        await asyncio.sleep(0.02)
        work.batches, work.done = [3], asyncio.Event()
        one.on_commit(DELIVERED)
        await work.done.wait()
    await one.close()


async def test_a_database_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    work = Work(StoreUnavailable("away"), StoreUnavailable("away"), 2)
    one = Upkeep(work.make_some, work.trim, still, Supervisor())
    with capture_logs() as logs:
        one.start()
        async with asyncio.timeout(PATIENCE):
            await work.done.wait()
        await one.close()
    assert [entry["event"] for entry in logs] == ["upkeep.failed"]  # once, not each time


@pytest.mark.parametrize("error", [ValueError("a bug"), RecursionError(), MemoryError()])
async def test_a_batch_that_fails_by_a_bug_is_reported_and_the_next_ones_are_done(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    work, supervisor = Work(error, error, 2), Supervisor(Backoff(0.001, 0.001, 60.0))
    one = Upkeep(work.make_some, work.trim, still, supervisor)
    with capture_logs() as logs:
        one.start()
        async with asyncio.timeout(PATIENCE):
            await work.done.wait()
        await one.close()
    assert supervisor.failures == {"mailstore.upkeep": 2}
    assert [entry["exc_info"] for entry in logs] == [error, error]


async def test_a_trim_that_fails_by_a_bug_does_not_keep_texts_from_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(background, "FIRST_TRIM_SECONDS", -1.0)
    work, supervisor = Work(2), Supervisor(Backoff(0.001, 0.001, 60.0))

    async def trim() -> int:
        raise ValueError("a bug")

    one = Upkeep(work.make_some, trim, still, supervisor)
    with capture_logs():
        one.start()
        async with asyncio.timeout(PATIENCE):
            await work.done.wait()
        await one.close()
    assert supervisor.failures == {"mailstore.upkeep": 1}


async def test_closing_does_not_wait_for_a_rest_after_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.0)
    work = Work(ValueError("a bug"))
    one = Upkeep(work.make_some, work.trim, still, Supervisor(Backoff(3600.0, 3600.0, 7200.0)))
    with capture_logs():
        one.start()
        async with asyncio.timeout(PATIENCE):
            await work.done.wait()
            await one.close()


async def test_closing_does_not_wait_for_quiet() -> None:
    work = Work(5)
    one = Upkeep(work.make_some, work.trim, still, Supervisor())
    one.start()
    await asyncio.sleep(0)
    began = time.monotonic()
    await one.close()
    assert time.monotonic() - began < background.SETTLE_SECONDS / 2
    assert work.batches == [5]


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        number: int = await connection.scalar(text(f"SELECT count(*) FROM {table}"))
        return number


async def test_texts_are_made_after_delivery_and_go_with_their_messages(
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


async def test_a_text_of_a_message_that_goes_meanwhile_is_not_kept(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice))
    await store.delete_message(alice, receipt.message_id)
    await store._texts._make(alice, [receipt.message_id])
    assert await count(engine, "texts") == 0


async def test_what_one_process_claimed_another_leaves_until_it_is_taken_for_dead(
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


async def test_a_search_makes_what_its_mailbox_lacks_and_no_more(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    await store.deliver(delivery(Destination(alice, "Sent")))
    assert await store.containing(await store.snapshot(alice), "needle", TextPart.BODY) == {1}
    assert await count(engine, "untexted") == 1


async def test_a_search_that_is_repeated_looks_at_what_arrived_since(
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
    asked: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._texts, "make_for", lambda account, wanted: _note(asked, *wanted))
        assert await store.containing(inbox, "needle", TextPart.BODY) == {1, 2, 3, 4}
    assert asked == [last.message_id]


async def _note(asked: list[object], *wanted: object) -> None:
    asked.extend(wanted)


async def test_of_many_messages_the_index_is_asked(
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
    assert sum(ASKS_INDEX[engine.dialect.name] in statement for statement in statements) == 4


async def test_of_what_is_in_many_messages_the_index_is_asked_only_that(
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
    looked = [statement for statement in statements if "instr" in statement or "strpos" in statement]
    assert ["texts.id" in statement for statement in looked] == [False, True]


async def test_without_the_index_every_text_is_looked_at(
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
    assert not any(ASKS_INDEX[engine.dialect.name] in statement for statement in statements)


async def test_tombstones_that_are_too_old_are_trimmed_up_to_a_horizon(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    first = await store.snapshot(alice)
    await store.expunge(alice, first.mailbox.id, [1])
    second = await store.mailbox(alice)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE expunged SET removed = 0"))
    await store.expunge(alice, first.mailbox.id, [2])
    assert await store.trim_tombstones() == 1
    assert await store.trim_tombstones() == 0
    assert await store.vanished(alice, first.mailbox.id, first.mailbox.highest_modseq) is None
    assert await store.vanished(alice, first.mailbox.id, second.highest_modseq) == [2]
    assert [entry.uid for entry in (await store.refresh(first)).entries] == [3, 4]
    assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [3, 4]


async def test_of_too_many_tombstones_the_last_are_kept(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "MAX_TOMBSTONES", 2)
    for _ in range(5):
        await store.deliver(delivery(alice))
    inbox = await store.snapshot(alice)
    modseqs = []
    for uid in (1, 2, 3, 4):
        await store.expunge(alice, inbox.mailbox.id, [uid])
        modseqs.append((await store.mailbox(alice)).highest_modseq)
    assert await store.trim_tombstones() == 2
    assert await store.vanished(alice, inbox.mailbox.id, modseqs[0]) is None
    assert await store.vanished(alice, inbox.mailbox.id, modseqs[1]) == [3, 4]
    assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [5]


def test_what_like_takes_for_a_wildcard_is_escaped() -> None:
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
def test_the_trigrams_of_a_text_are_asked_for(folded: str, query: str) -> None:
    assert match_trigrams(folded) == query


def test_a_long_text_is_asked_for_by_a_few_of_its_trigrams() -> None:
    folded = "".join(map(str, range(200)))
    trigrams = match_trigrams(folded).replace('"', "").split(" AND ")
    assert 10 <= len(trigrams) <= 17
    assert trigrams[0] == folded[:3]
    assert trigrams[-1] == folded[-3:]
