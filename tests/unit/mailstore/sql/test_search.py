"""Text search finds what a naive search finds, with and without the index of trigrams."""

import random

import pytest
from sqlalchemy import text as sql_text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.folding import fold
from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.sql.read import search
from relate_mailstore.sql.read.search import like_pattern, match_trigrams
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, NewMessage, Snapshot, TextPart, Uid
from tests.support.factories import delivery, simple
from tests.unit.mailstore.sql.helpers import Statements

LETTERS = 'ab aB ébß%_\\"*日'
INDEX_OPERATORS = {"sqlite": "MATCH", "postgresql": "LIKE"}
SEARCHED_MESSAGES = 60
SEARCHED_TEXTS = 100


@pytest.mark.parametrize("like_characters", [3, 32])
@pytest.mark.parametrize("candidates_ratio", [0, 0.3, 1_000])
async def test_search_finds_what_a_naive_search_finds(
    store: SqlMailStore,
    alice: AccountId,
    monkeypatch: pytest.MonkeyPatch,
    candidates_ratio: float,
    like_characters: int,
) -> None:
    monkeypatch.setattr(search, "LIKE_CHARACTERS", like_characters)  # a longer text is compared in Python
    monkeypatch.setattr(search, "SCAN_MESSAGES", 0)
    monkeypatch.setattr(search, "MAX_CANDIDATES_RATIO", candidates_ratio)
    rng = random.Random(candidates_ratio)
    bob = AccountId(alice + 1)
    await store.provision(alice)
    await store.provision(bob)
    await store.append(alice, "INBOX", [NewMessage(_raw(rng)) for _ in range(SEARCHED_MESSAGES)])
    for account, name in ((alice, "Sent"), (bob, "INBOX")):  # these are not searched
        await store.deliver(delivery(Destination(account, name), raw=_raw(rng)))
    inbox = await store.snapshot(alice)
    texts = await _texts(store, alice, inbox)
    for _ in range(SEARCHED_TEXTS):
        needle, part = _letters(rng, rng.choice((1, 2, 3, 4, 6))), rng.choice(list(TextPart))
        expected = {uid for uid, text in texts.items() if text.has(fold(needle), part)}
        assert set(await store.containing(inbox, needle, part)) == expected, (needle, part)


async def _texts(store: SqlMailStore, account: AccountId, snapshot: Snapshot) -> dict[Uid, SearchText]:
    texts = {}
    for entry in snapshot.entries:
        raw = await store.open(account, entry.message_id)
        parts = (await store.message(account, entry.message_id)).message.index.parts
        texts[entry.uid] = message_text(await raw.read(0, entry.size), parts)
    return texts


def _raw(rng: random.Random) -> bytes:
    return simple(subject=_letters(rng, 4), body=_letters(rng, rng.choice((0, 5, 40, 300))))


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(LETTERS, k=count))


async def test_repeated_search_compares_only_messages_that_arrived_since(
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
    await store._reading.texts.make_some(50)
    extracted: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._reading.texts, "make_for", lambda account, wanted: _record(extracted, *wanted))
        assert await store.containing(inbox, "needle", TextPart.BODY) == {1, 2, 3, 4}
    assert extracted == [last.message_id]


async def _record(extracted: list[object], *wanted: object) -> None:
    extracted.extend(wanted)


async def test_index_selects_candidates_among_many_messages(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SCAN_MESSAGES", 1)
    monkeypatch.setattr(search, "MAX_CANDIDATES_RATIO", 2)
    await store.deliver(delivery(alice, raw=simple(body="100% needle", subject="of hay")))
    await store.deliver(delivery(alice, raw=simple(body="hay", subject="of needle")))
    inbox = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.containing(inbox, "needle", TextPart.BODY) == {1}
        assert await store.containing(inbox, "needle", TextPart.ANYWHERE) == {1, 2}
        assert await store.containing(inbox, "0% n", TextPart.BODY) == {1}
        assert await store.containing(inbox, "0_ n", TextPart.BODY) == set()
    assert sum(INDEX_OPERATORS[engine.dialect.name] in statement for statement in statements) == 4


async def test_text_with_too_many_candidates_is_compared_in_all_messages(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SCAN_MESSAGES", 1)
    monkeypatch.setattr(search, "MAX_CANDIDATES_RATIO", 0.5)
    for number in range(10):
        await store.deliver(delivery(alice, raw=simple(body=f"needle {number}" if number else "hay")))
    inbox = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.containing(inbox, "needle", TextPart.BODY) == set(range(2, 11))
        assert await store.containing(inbox, "needle 7", TextPart.BODY) == {8}
    comparisons = [statement for statement in statements if "instr" in statement or "strpos" in statement]
    assert ["texts.id" in statement for statement in comparisons] == [False, True]


async def test_all_texts_are_compared_without_the_index(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SCAN_MESSAGES", 0)
    await store.deliver(delivery(alice, raw=simple(body="needle")))
    async with engine.begin() as connection:
        for statement in (
            ["DROP TRIGGER texts_added", "DROP TRIGGER texts_removed", "DROP TABLE texts_trigrams"]
            if engine.dialect.name == "sqlite"
            else ["DROP INDEX ix_texts_trigrams"]
        ):
            await connection.execute(sql_text(statement))
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
def test_index_query_has_the_trigrams_of_the_text(folded: str, query: str) -> None:
    assert match_trigrams(folded) == query


def test_index_query_of_a_long_text_has_a_few_trigrams() -> None:
    folded = "".join(map(str, range(200)))
    trigrams = match_trigrams(folded).replace('"', "").split(" AND ")
    assert 10 <= len(trigrams) <= 17
    assert trigrams[0] == folded[:3]
    assert trigrams[-1] == folded[-3:]
