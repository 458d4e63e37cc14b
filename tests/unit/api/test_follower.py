"""Positions and followers: whatever changes, and wherever a client is cut off, it is told of each change once."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Collection
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_api.live import follower
from relate_api.live.follower import Follower, Told, find_position
from relate_api.live.position import MAX_TOKEN_MAILBOXES, Position, Progress, State, States, parse_token
from relate_api.live.schemas import EventKind, MessageEvent, RemovedMailboxEvent, RemovedMessageEvent
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.live_types import NO_MAILBOX
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Flag, FlagChange, MailboxId, MailboxNotice, ModSeq, Uid
from tests.support.examples import examples
from tests.support.factories import delivery

ALICE = AccountId(7)
NUMBERS = st.integers(0, 2**63 - 1)
STATES = st.builds(State, NUMBERS.map(ModSeq), NUMBERS.map(Uid))
PROGRESS = st.builds(Progress, *[NUMBERS] * 6)
POSITIONS = st.builds(
    Position,
    NUMBERS.map(AccountId),
    NUMBERS,
    st.dictionaries(NUMBERS.map(MailboxId), STATES, max_size=20).map(States),
    st.none() | PROGRESS,
)
Place = tuple[int, int]


@given(POSITIONS)
def test_a_token_is_parsed_to_its_position(position: Position) -> None:
    assert parse_token(position.token) == position


@given(st.text() | st.text("AQEBgID_-", max_size=40))
def test_any_text_is_a_position_or_none(text: str) -> None:
    position = parse_token(text)
    assert position is None or parse_token(position.token) == position


def test_the_token_of_the_most_mailboxes_fits_in_a_request() -> None:
    state = State(ModSeq(2**42), Uid(2**32 - 1))
    states = States({MailboxId(2**30 + number): state for number in range(MAX_TOKEN_MAILBOXES)})
    assert parse_token(Position(ALICE, 2**30, states).token) is not None


class Client:
    """A client that keeps what it was told, and resumes by the token of the last event."""

    def __init__(self, position: Position) -> None:
        self.token = position.token
        self.messages: dict[Place, tuple[bool, bool]] = {}
        self.told = Counter[tuple[EventKind, Place]]()
        self.outcomes: list[str] = []

    async def read(self, store: MemoryMailStore, limit: int) -> int:
        """Connect, read at most `limit` events, and be cut off; how many."""
        count = 0
        events = Follower(store, ALICE, parse_token(self.token)).events()
        while count < limit and (told := await anext(events, None)) is not None:
            count += 1
            self.token = told.position.token
            self.hear(told)
        await events.aclose()
        return count

    def hear(self, told: Told) -> None:
        match told.data:
            case MessageEvent() as message:
                place = (message.mailbox_id, message.uid)
                assert (place in self.messages) is (told.kind is EventKind.CHANGED)
                self.messages[place] = (message.is_read, message.is_flagged)
                self.told[told.kind, place] += 1
            case RemovedMessageEvent() as removed:
                place = (removed.mailbox_id, removed.uid)
                self.messages.pop(place, None)  # it may have left before it was told
                self.told[told.kind, place] += 1
            case RemovedMailboxEvent(mailbox_id=mailbox_id):
                self.messages = {place: flags for place, flags in self.messages.items() if place[0] != mailbox_id}
            case other:
                assert told.kind is EventKind.SENT, other
                self.outcomes.append(other.recipient)  # type: ignore[union-attr]


class Account:
    """An account that changes; counts the changes of each entry."""

    def __init__(self) -> None:
        self.store = MemoryMailStore()
        self.changes = Counter[Place]()
        self.outcomes: list[str] = []
        self._numbers = itertools.count()

    async def apply(self, action: str, numbers: Collection[int]) -> None:
        """Apply an action to the entries that these numbers choose."""
        mailboxes = await self.store.mailboxes(ALICE)
        name = mailboxes[sum(numbers) % len(mailboxes)].name
        snapshot = await self.store.snapshot(ALICE, name)
        uids = [snapshot.entries[number % len(snapshot.entries)].uid for number in numbers if len(snapshot.entries)]
        match action:
            case "deliver":
                for _ in numbers:
                    await self.store.deliver(delivery(ALICE))
            case "flag":
                change = FlagChange(add=Flag.SEEN if sum(numbers) % 2 else Flag.FLAGGED)
                await self.store.set_flags(ALICE, snapshot.mailbox.id, uids, change)
                self.changes.update((snapshot.mailbox.id, uid) for uid in set(uids))
            case "expunge":
                await self.store.expunge(ALICE, snapshot.mailbox.id, uids)
            case "move":
                await self.store.move(ALICE, snapshot.mailbox.id, uids, "Archive")
            case "create":
                await self.store.create_mailbox(ALICE, f"new {next(self._numbers)}")
            case "delete" if name.startswith("new"):
                await self.store.delete_mailbox(ALICE, name)
            case "send":
                self.outcomes += [f"{len(self.outcomes)}@example.org"]
                self.store.events.add([Event(EventName.RELAYED, account_id=ALICE, recipient=self.outcomes[-1])])
            case _:
                return

    async def messages(self) -> dict[Place, tuple[bool, bool]]:
        """What is in the store now."""
        return {
            (mailbox.id, entry.uid): (bool(entry.flags & Flag.SEEN), bool(entry.flags & Flag.FLAGGED))
            for mailbox in await self.store.mailboxes(ALICE)
            for entry in (await self.store.snapshot(ALICE, mailbox.name)).entries
        }


ACTIONS = st.tuples(
    st.sampled_from(["deliver", "flag", "flag", "expunge", "move", "create", "delete", "send"]),
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.integers(0, 5),
)


@settings(max_examples=examples(300))
@given(st.lists(ACTIONS, max_size=25))
def test_a_client_that_is_cut_off_anywhere_is_told_of_everything_once(
    steps: list[tuple[str, list[int], int]],
) -> None:
    async def run() -> None:
        account = Account()
        await account.store.provision(ALICE)
        client = Client(await find_position(account.store, ALICE))
        with patch.object(follower, "PAGE_CHANGES", 2):
            for action, numbers, limit in steps:
                names = {mailbox.name for mailbox in await account.store.mailboxes(ALICE)}
                if action != "create" or len(names) < 12:
                    await account.apply(action, numbers)
                await client.read(account.store, limit)
            while await client.read(account.store, 3):
                pass
        assert client.messages == await account.messages()
        assert client.outcomes == account.outcomes
        for (kind, place), times in client.told.items():
            assert times <= (account.changes[place] if kind is EventKind.CHANGED else 1)

    asyncio.run(run())


async def test_a_message_that_changes_often_is_told_once_in_its_last_state() -> None:
    store = MemoryMailStore()
    await store.provision(ALICE)
    client = Client(await find_position(store, ALICE))
    await store.deliver(delivery(ALICE))
    mailbox = await store.mailbox(ALICE)
    for flag in (Flag.SEEN, Flag.FLAGGED):
        await store.set_flags(ALICE, mailbox.id, [Uid(1)], FlagChange(add=flag))
    assert await client.read(store, 10) == 1
    assert client.messages == {(mailbox.id, 1): (True, True)}


async def test_a_notice_of_an_unknown_mailbox_is_not_taken_for_an_outcome() -> None:
    store = MemoryMailStore()
    position = await find_position(store, ALICE)
    follower_ = Follower(store, ALICE, position._replace(outcome=5))
    assert follower_.knows(MailboxNotice(ALICE, NO_MAILBOX, ModSeq(5)))
    assert not follower_.knows(MailboxNotice(ALICE, NO_MAILBOX, ModSeq(6)))
    assert not follower_.knows(MailboxNotice(ALICE, MailboxId(9), ModSeq(3)))


async def test_more_changes_than_a_list_is_long_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "PAGE_CHANGES", 2)
    monkeypatch.setattr(follower, "MAX_CHANGES", 4)
    store = MemoryMailStore()
    for _ in range(6):
        await store.deliver(delivery(ALICE))
    position, mailbox = await find_position(store, ALICE), await store.mailbox(ALICE)
    uids = [Uid(uid) for uid in range(1, 7)]
    await store.set_flags(ALICE, mailbox.id, uids, FlagChange(add=Flag.SEEN))
    told = [each async for each in Follower(store, ALICE, position).events()]
    assert [each.kind for each in told] == [EventKind.CHANGED] * 4 + [EventKind.RESET]
    assert [each async for each in Follower(store, ALICE, told[-1].position).events()] == []
