"""The memory budget of the caches: the shares in the documentation, and a store that stays within a small budget."""

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relate_config.cache_budget import CACHE_SHARES, MEBIBYTE_OCTETS, share_octets
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Flag, FlagChange, TextPart
from tests.support.examples import examples
from tests.support.factories import delivery, new_account, simple

PAGE = Path(__file__).parents[4] / "docs" / "architecture" / "mailstore.md"
ROW = re.compile(r"^\| `(\w+)` \|.*\| (\d+) % \| ([\d.]+) MiB \|", re.MULTILINE)
CACHES_OF_ACCOUNTS = {"verdicts", "directory", "wrong_logins"}

SMALL_CACHES = {"blobs": 3_000, "renderings": 3_000, "indexes": 5_000, "headers": 1_500, "mailboxes": 3_500}
SMALL_CACHES |= {"pending_deltas": 3_000, "summaries": 3_500, "search_answers": 1_300, "generations": 600}

accounts = st.integers(0, 2)
commands = st.lists(
    st.tuples(st.sampled_from(["deliver", "flag", "expunge", "fetch", "search"]), accounts), min_size=1, max_size=12
)


def test_table_of_caches_has_the_shares_and_their_octets() -> None:
    caches = PAGE.read_text().partition("\n## Caches\n")[2]
    documented = {name: (int(share), float(mebibytes)) for name, share, mebibytes in ROW.findall(caches)}
    assert documented == {
        name: (share, round(share_octets(name) / MEBIBYTE_OCTETS, 1)) for name, share in CACHE_SHARES.items()
    }


async def test_store_has_a_cache_for_each_share(store: SqlMailStore) -> None:
    assert store.caches.keys() == CACHE_SHARES.keys() - CACHES_OF_ACCOUNTS
    assert {name: cache.limit_octets for name, cache in store.caches.items()} == {
        name: share_octets(name) for name in store.caches
    }


async def run_command(store: SqlMailStore, command: str, account: AccountId) -> None:
    snapshot = await store.snapshot(account)
    uids = [entry.uid for entry in snapshot.entries][:2]
    ids = [entry.message_id for entry in snapshot.entries]
    match command:
        case "deliver":
            await store.deliver(delivery(account, raw=simple("one", body="word " * 100)))
        case "flag":
            await store.set_flags(account, snapshot.mailbox.id, uids, FlagChange(Flag.SEEN))
        case "expunge":
            await store.expunge(account, snapshot.mailbox.id, uids)
        case "fetch":
            for read in (store.open_all, store.headers, store.renderings, store.indexes):
                assert None not in await read(account, ids)
        case _:
            assert len(await store.summaries(snapshot)) == len(ids)
            assert await store.containing(snapshot, "word", TextPart.BODY) == {entry.uid for entry in snapshot.entries}


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=commands)
async def test_no_cache_of_a_store_exceeds_its_limit(store: SqlMailStore, commands: list[tuple[str, int]]) -> None:
    for name, limit_octets in SMALL_CACHES.items():
        store.caches[name].limit_octets = limit_octets
    people = [new_account() for _ in range(3)]
    for account in people:
        await store.deliver(delivery(account, raw=simple("first", body="word")))
    for command, number in commands:
        await run_command(store, command, people[number])
        for name, cache in store.caches.items():
            assert cache.octets <= cache.limit_octets, name
