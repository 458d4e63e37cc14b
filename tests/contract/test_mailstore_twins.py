"""Differential test: after random histories, a store on a database has the same state as the store in memory.

Values that a store chooses itself are omitted or numbered: ids of messages and mailboxes, UIDVALIDITY, modseqs.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relate_mailstore.errors import StoreError
from relate_mailstore.identifiers import NO_MODSEQ
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Copied,
    Destination,
    Flag,
    FlagChange,
    ListedMessage,
    MailboxId,
    MessageId,
    MessageQuery,
    ModSeq,
    NewMessage,
    Snapshot,
    Uid,
)
from tests.support.factories import UNKNOWN_MESSAGE, delivery, new_account, simple

PEOPLE = 2
MAILBOXES = ("INBOX", "Sent")
MIN_STEPS, MAX_STEPS = 8, 20
METHODS = (
    "deliver",
    "append",
    "copy",
    "move",
    "set_flags",
    "replace_flags",
    "flag_message",
    "expunge",
    "delete_message",
    "take_recent",
    "rename_and_back",
)
SECOND = 1_700_000_000
Transfer = Callable[[AccountId, MailboxId, Collection[Uid], str], Awaitable[Copied]]
LISTED = MessageQuery(mailbox=None, limit=2)


@dataclass(frozen=True)
class Step:
    """One call of a method, which uses the fields that it needs."""

    method: str
    person: int
    mailbox: str
    others: tuple[tuple[int, str], ...]  # further destinations of a delivery
    number: int  # of a message, in order of delivery; also its date in seconds
    uids: tuple[Uid, ...]
    change: FlagChange


flags = st.integers(0, sum(Flag))
keywords = st.lists(st.sampled_from(["todo", "$Junk", "work", "Work", "TODO"]), max_size=2).map(tuple)
people = st.integers(0, PEOPLE - 1)
mailboxes = st.sampled_from(MAILBOXES)
places = st.tuples(people, mailboxes) | st.tuples(people, st.just("Nowhere"))
steps = st.builds(
    Step,
    method=st.sampled_from(METHODS),
    person=people,
    mailbox=mailboxes,
    others=st.lists(places, max_size=2).map(tuple),
    number=st.integers(0, 5),
    uids=st.lists(st.integers(1, 5).map(Uid), min_size=1, max_size=4).map(tuple),
    change=st.builds(FlagChange, flags, flags, keywords, keywords),
)

# Every history begins with mail in all mailboxes, so that there is something to change.
BEGINNING = [
    Step("deliver", 0, "INBOX", ((1, "INBOX"),), 0, (), FlagChange()),
    Step("deliver", 0, "INBOX", ((0, "Sent"),), 1, (), FlagChange(Flag.SEEN)),
    Step("deliver", 1, "Sent", ((1, "INBOX"), (0, "Sent")), 2, (), FlagChange(add_keywords=("todo",))),
]


class Twin:
    """A store, an account for each person, and the messages in order of delivery."""

    def __init__(self, store: MailStore) -> None:
        self.store = store
        self.people = [new_account() for _ in range(PEOPLE)]
        self.messages: list[MessageId] = []
        self.last: dict[tuple[int, str], Snapshot] = {}

    async def perform(self, step: Step) -> object:
        """Perform a step: its result, or the type of error that it raised."""
        try:
            return await getattr(self, step.method)(step)
        except StoreError as error:
            return type(error)

    async def deliver(self, step: Step) -> object:
        targets = dict.fromkeys([(step.person, step.mailbox), *step.others])
        destinations = [
            Destination(self.people[person], name, step.change.add, step.change.add_keywords)
            for person, name in targets
        ]
        raw = simple(f"message {len(self.messages)}", body="x" * step.number)
        receipt = await self.store.deliver(delivery(*destinations, raw=raw, internal_date=SECOND + step.number))
        self.messages.append(receipt.message_id)
        return [uid for _, uid in receipt.entered]

    async def set_flags(self, step: Step) -> object:
        account, mailbox = await self._selected(step)
        entries = (await self.store.set_flags(account, mailbox, step.uids, step.change)).entries
        return [(entry.uid, entry.flags, entry.keywords) for entry in entries]

    async def replace_flags(self, step: Step) -> object:
        account, mailbox = await self._selected(step)
        before = self.last.get((step.person, step.mailbox))
        since = before.mailbox.highest_modseq if before and step.number % 2 else NO_MODSEQ
        flagged = await self.store.set_flags(account, mailbox, step.uids, replace(step.change, replace=True), since)
        return flagged.modified, [(entry.uid, entry.flags, entry.keywords) for entry in flagged.entries]

    async def append(self, step: Step) -> object:
        account, mailbox = await self._selected(step)
        raws = [simple(f"message {len(self.messages) + number}") for number in range(step.number % 3 + 1)]
        messages = [NewMessage(raw, step.change.add, step.change.add_keywords, SECOND) for raw in raws]
        name = "Nowhere" if step.others and step.others[0][1] == "Nowhere" else step.mailbox
        appended = await self.store.append(
            account, name, messages, (mailbox, step.uids[0]) if step.number > 2 else None
        )
        entries = (await self.store.snapshot(account, step.mailbox)).entries
        self.messages += [entry.message_id for entry in entries if entry.uid in appended.uids]
        return appended.uids

    async def copy(self, step: Step) -> object:
        return await self._transfer(step, self.store.copy)

    async def move(self, step: Step) -> object:
        return await self._transfer(step, self.store.move)

    async def take_recent(self, step: Step) -> object:
        return await self.store.take_recent(*await self._selected(step))

    async def rename_and_back(self, step: Step) -> object:
        account, _ = await self._selected(step)
        await self.store.rename_mailbox(account, "Sent", "Elsewhere")
        await self.store.rename_mailbox(account, "Elsewhere", "Sent")
        return None

    async def flag_message(self, step: Step) -> object:
        return self._row(await self.store.flag_message(*self._message(step), step.change))

    async def expunge(self, step: Step) -> object:
        account, mailbox = await self._selected(step)
        return list(await self.store.expunge(account, mailbox, step.uids))

    async def delete_message(self, step: Step) -> object:
        await self.store.delete_message(*self._message(step))
        return None

    async def state(self) -> object:
        """Every mailbox as a session sees it, and the entries that changed since the last call (RFC 7162)."""
        return {
            (person, name): await self._mailbox_state(person, name) for person in range(PEOPLE) for name in MAILBOXES
        }

    async def pages(self) -> object:
        """All pages of all lists."""
        rows = []
        for account in self.people:
            page = await self.store.find(account, LISTED)
            rows.append([self._row(row) for row in page.items])
            while page.next_cursor is not None:
                page = await self.store.find(account, replace(LISTED, cursor=page.next_cursor))
                rows.append([self._row(row) for row in page.items])
        return rows

    async def _transfer(self, step: Step, transfer: Transfer) -> object:
        account, mailbox = await self._selected(step)
        target = step.others[0][1] if step.others else "Sent"
        copied = await transfer(account, mailbox, step.uids, target)
        return copied.uids

    async def _selected(self, step: Step) -> tuple[AccountId, MailboxId]:
        account = self.people[step.person]
        return account, (await self.store.mailbox(account, step.mailbox)).id

    def _message(self, step: Step) -> tuple[AccountId, MessageId]:
        exists = step.number < len(self.messages)
        return self.people[step.person], self.messages[step.number] if exists else UNKNOWN_MESSAGE

    async def _mailbox_state(self, person: int, name: str) -> object:
        snapshot = await self.store.snapshot(self.people[person], name)
        before = self.last.get((person, name))
        self.last[person, name] = snapshot
        seen = before.mailbox.highest_modseq if before else 0
        mailbox = snapshot.mailbox
        summaries = await self.store.summaries(snapshot)
        if before is not None:
            assert (await self.store.refresh(before)).entries == snapshot.entries
        return (
            (
                mailbox.messages,
                mailbox.octets,
                mailbox.uid_next,
                mailbox.highest_modseq > seen,
                mailbox.first_recent_uid,
            ),
            await self.store.vanished(self.people[person], mailbox.id, ModSeq(seen)),
            [summary.subject for summary in summaries],
            [
                (entry.uid, self._number(entry.message_id), entry.size, entry.flags, entry.keywords)
                for entry in snapshot.entries
            ],
            [entry.uid for entry in snapshot.entries if entry.modseq > seen],
        )

    def _row(self, row: ListedMessage) -> object:
        number = self._number(row.message.id)
        return number, row.flags, row.keywords, row.mailboxes, row.message.received, row.message.index.subject

    def _number(self, message_id: MessageId) -> int:
        return self.messages.index(message_id)


@settings(
    max_examples=25,
    # Each example has new accounts, so they may share the store.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(steps, min_size=MIN_STEPS, max_size=MAX_STEPS))
async def test_a_random_history_gives_the_same_state_in_every_store(sql_store: MailStore, history: list[Step]) -> None:
    memory, database = Twin(MemoryMailStore()), Twin(sql_store)
    for step in BEGINNING + history:
        assert await database.perform(step) == await memory.perform(step)
        assert await database.state() == await memory.state()
    assert await database.pages() == await memory.pages()
