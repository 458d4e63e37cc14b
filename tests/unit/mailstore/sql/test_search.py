"""Text search finds what a naive search finds, with and without the index of trigrams."""

import random

import pytest

from relate_mailstore.folding import fold
from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.sql.read import search
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, Incoming, Snapshot, TextPart
from tests.support.factories import delivery, simple

LETTERS = 'ab aB ébß%_\\"*日'
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
    await store.append(alice, "INBOX", [Incoming(_raw(rng)) for _ in range(SEARCHED_MESSAGES)])
    for account, name in ((alice, "Sent"), (bob, "INBOX")):  # these are not searched
        await store.deliver(delivery(Destination(account, name), raw=_raw(rng)))
    inbox = await store.snapshot(alice)
    texts = await _texts(store, alice, inbox)
    for _ in range(SEARCHED_TEXTS):
        needle, part = _letters(rng, rng.choice((1, 2, 3, 4, 6))), rng.choice(list(TextPart))
        expected = {uid for uid, text in texts.items() if text.has(fold(needle), part)}
        assert set(await store.containing(inbox, needle, part)) == expected, (needle, part)


async def _texts(store: SqlMailStore, account: AccountId, snapshot: Snapshot) -> dict[int, SearchText]:
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
