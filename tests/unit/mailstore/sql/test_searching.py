"""Whichever way a search goes, it finds what a naive one would: no more, no less."""

import random

import pytest

from relate_mailstore.folding import fold
from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.sql.read import search
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, NewMessage, Snapshot, TextPart
from tests.support.factories import delivery, simple

LETTERS = 'ab aB ébß%_\\"*日'
MESSAGES = 60
NEEDLES = 100


@pytest.mark.parametrize("like", [3, 32])
@pytest.mark.parametrize("most", [0, 0.3, 1_000])
async def test_a_search_finds_what_is_there(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch, most: float, like: int
) -> None:
    monkeypatch.setattr(search, "LIKE_CHARACTERS", like)  # a longer text is looked for by Python
    monkeypatch.setattr(search, "FEW_MESSAGES", 0)
    monkeypatch.setattr(search, "MOST_CANDIDATES", most)
    rng = random.Random(most)
    bob = AccountId(alice + 1)
    await store.provision(alice)
    await store.provision(bob)
    await store.append(alice, "INBOX", [NewMessage(_raw(rng)) for _ in range(MESSAGES)])
    for account, name in ((alice, "Sent"), (bob, "INBOX")):  # these are not searched
        await store.deliver(delivery(Destination(account, name), raw=_raw(rng)))
    inbox = await store.snapshot(alice)
    known = await _texts(store, alice, inbox)
    for _ in range(NEEDLES):
        needle, part = _letters(rng, rng.choice((1, 2, 3, 4, 6))), rng.choice(list(TextPart))
        expected = {uid for uid, text in known.items() if text.has(fold(needle), part)}
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
