"""The queue in memory and in SQL do the same, whatever runners and operators do in whatever order."""

import asyncio
from pathlib import Path
from shutil import copy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relate_mailstore.event_types import EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, Claimed, QueueFilter, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
from tests.contract.outgoing import Clock, sent
from tests.contract.stores import opened
from tests.support.examples import examples

Store = MemoryMailStore | SqlMailStore

ALICE = AccountId(1)

DOMAINS = st.sampled_from(["a.example", "b.example", "c.example"])
FILTERS = st.builds(QueueFilter, domain=st.none() | DOMAINS, state=st.none() | st.sampled_from(QueueState))
ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.lists(DOMAINS, min_size=1, max_size=4)),
    st.tuples(st.just("claim"), st.integers(1, 3)),
    st.tuples(st.just("settle"), st.sampled_from(sorted(set(QueueState) - {QueueState.LEASED}))),
    st.tuples(st.sampled_from(["hold", "release", "retry", "drop"]), FILTERS),
    st.tuples(st.sampled_from(["suspend", "resume"]), DOMAINS),
    st.tuples(st.just("end"), st.just(["one"])),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 60.0, 300.0, -5.0])),
)


class Run:
    """Actions on one store, with the claims that were not told yet."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.claimed: list[Claimed] = []
        self.number = 0

    async def do(self, name: str, what: object) -> object:
        """Do an action; what it returned, without the ids of messages, which differ between the stores."""
        queue = self.store.queue
        if name == "send":
            assert isinstance(what, list)
            self.number += 1
            addresses = (f"{self.number}.{place}@{domain}" for place, domain in enumerate(what))
            return (await self.store.deliver(sent(ALICE, *addresses))).queued
        if name == "claim":
            assert isinstance(what, int)
            claimed = await queue.claim("one", 1_000, what * 1_000, {"a.example": 1_000})
            self.claimed += claimed
            return [(one.address, one.attempts, one.suspended, one.is_probe) for one in claimed]
        if name == "settle":
            assert isinstance(what, QueueState)
            told, self.claimed = self.claimed[:2], self.claimed[2:]
            until = self.clock.now + 300 if what is QueueState.QUEUED else None
            return list(
                await queue.settle([AttemptResult(one.lease, what, "4", "4.4.1", next_attempt=until) for one in told])
            )
        if name == "suspend":
            await queue.suspend(str(what), "no route")
            return None
        if name == "end":
            assert isinstance(what, list)
            return await queue.end_leases(what)
        if name == "wait":
            assert isinstance(what, float)
            self.clock.now += what
            return None
        return await getattr(queue, name)(what)

    async def state(self) -> object:
        """All rows of the queue and all events, without the ids of messages."""
        rows = (await self.store.queue.find(QueueFilter(), 1_000)).items
        events = await self.store.events.find(EventQuery(limit=10_000))
        return (
            [(row.address, row.state, row.requested, row.due, row.attempts, row.reply) for row in rows],
            await self.store.queue.next_due(["b.example"]),
            await self.store.queue.statistics(),
            sorted((event.name, event.recipient) for event in events),
        )


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_stores_agree(tmp_path: Path, sqlite_template: Path, actions: list[tuple[str, object]]) -> None:
    copy(sqlite_template, tmp_path / "twins.db")
    asyncio.run(compare(f"sqlite:///{tmp_path / 'twins.db'}", actions))


async def compare(url: str, actions: list[tuple[str, object]]) -> None:
    clock, other = Clock(), Clock()
    async with opened(url, clock) as store:
        one, two = Run(store, clock), Run(MemoryMailStore(clock=other), other)
        for name, what in actions:
            assert await one.do(name, what) == await two.do(name, what), (name, what)
            assert await one.state() == await two.state(), (name, what)
