"""A client's view of its mailbox: a table of what happens to the mailbox, and what the client is told when."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from relate_imap.selected.mailbox import Update, View
from relate_imap.selected.recent import Uids
from relate_imap.selected.sequence_set import STAR, SequenceSet, make_set
from relate_imap.selected.vanished import vanished_since
from relate_mailstore.entry_list import EntryList
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Entry, Flag, Mailbox, MailboxId, MessageId, Snapshot
from tests.unit.imap.mailroom import open_mailroom

SEEN = int(Flag.SEEN)


def entry(uid: int, flags: int = 0, modseq: int = 1) -> Entry:
    return Entry(uid, MessageId(UUID(int=uid)), 100, flags, (), 0, modseq, 0)


def snapshot(entries: Iterable[Entry], modseq: int = 1, uid_next: int = 0) -> Snapshot:
    """A mailbox with these entries; UIDNEXT is behind the last one unless it is said to be further."""
    held = tuple(entries)
    after = max((one.uid + 1 for one in held), default=1)
    mailbox = Mailbox(
        id=MailboxId(1),
        account_id=AccountId(1),
        name="INBOX",
        uid_validity=1,
        uid_next=max(uid_next, after),
        highest_modseq=modseq,
        special_use="",
        messages=len(held),
        octets=100 * len(held),
        first_recent_uid=1,
    )
    return Snapshot(mailbox, EntryList(held, modseq))


THREE = snapshot([entry(1), entry(2), entry(3)])


@dataclass(frozen=True)
class Case:
    """What becomes of the three messages 1, 2 and 3, and what the client is to be told of it."""

    name: str
    after: Snapshot
    told: Update
    told_while_in_use: Update | None = None  # as `told`, unless something is expunged


CASES = [
    Case("nothing", THREE, Update()),
    Case(
        "one arrived",
        snapshot([entry(1), entry(2), entry(3), entry(4, modseq=2)], 2),
        Update(exists=4, arrived=(entry(4, modseq=2),)),
    ),
    Case(
        "one was flagged",
        snapshot([entry(1), entry(2, SEEN, 2), entry(3)], 2),
        Update(changed=((2, entry(2, SEEN, 2)),)),
    ),
    Case("one is gone", snapshot([entry(1), entry(3)], 2, 4), Update(expunged=((2, 2),)), Update()),
    Case("all are gone", snapshot([], 2, 4), Update(expunged=((1, 1), (2, 2), (3, 3))), Update()),
    Case(
        "one is gone, another was flagged, one arrived",
        snapshot([entry(1), entry(3, SEEN, 3), entry(4, modseq=4)], 4),
        Update(((2, 2),), 3, (entry(4, modseq=4),), ((2, entry(3, SEEN, 3)),)),
        Update((), 4, (entry(4, modseq=4),), ((3, entry(3, SEEN, 3)),)),
    ),
    Case("one came and went in between", snapshot([entry(1), entry(2), entry(3)], 3, 5), Update()),
    Case(
        "one came and went, another came",
        snapshot([entry(1), entry(2), entry(3), entry(5, modseq=4)], 4),
        Update(exists=4, arrived=(entry(5, modseq=4),)),
    ),
]


def as_remembered(case: Case) -> Case:
    """The same, where the entries remember what has become of the three: it need not be found by comparing."""
    after, mailbox = case.after.entries, case.after.mailbox
    changed = [one for one in after if one.modseq > 1]
    gone = [one.uid for one in THREE.entries if after.find(one.uid) is None]
    remembering = THREE.entries.after(mailbox.highest_modseq, changed, gone)
    assert remembering.delta_since(THREE.entries) is not None
    return replace(case, name=f"{case.name}, remembered", after=Snapshot(mailbox, remembering))


CASES += [as_remembered(case) for case in CASES[1:]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_is_told_what_has_changed(case: Case) -> None:
    view = View(THREE, read_only=False)
    assert view.advance(case.after, may_expunge=True) == case.told
    assert view.entries == case.after.entries


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_while_numbers_are_in_use_no_message_is_said_to_be_gone(case: Case) -> None:
    view = View(THREE, read_only=False)
    told = case.told if case.told_while_in_use is None else case.told_while_in_use
    assert view.advance(case.after, may_expunge=False) == told
    assert [one.uid for one in view.entries][:3] == [1, 2, 3]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_held_back_is_told_at_the_next_occasion(case: Case) -> None:
    view = View(THREE, read_only=False)
    view.advance(case.after, may_expunge=False)
    assert view.is_as_the_snapshot is not bool(case.told.expunged)
    assert view.advance(case.after, may_expunge=True).expunged == case.told.expunged
    assert view.entries == case.after.entries
    assert view.advance(case.after, may_expunge=True) == Update()


def test_what_a_client_heard_from_its_own_command_is_not_told_again() -> None:
    view, seen = View(THREE, read_only=False), entry(2, SEEN, 2)
    view.tell([seen])
    assert view.advance(snapshot([entry(1), seen, entry(3)], 2), may_expunge=False) == Update()


def test_what_others_changed_after_its_own_command_is_told() -> None:
    view, later = View(THREE, read_only=False), entry(2, 0, 3)
    view.tell([entry(2, SEEN, 2)])
    update = view.advance(snapshot([entry(1), later, entry(3)], 3), may_expunge=False)
    assert update.changed == ((2, later),)


def test_a_client_that_was_told_has_nothing_to_hear_of_the_same_snapshot() -> None:
    view = View(THREE, read_only=False)
    assert view.has_told(THREE)
    assert not view.has_told(replace(THREE))


PICKS = [
    (make_set([(1, 1)]), [1]),
    (make_set([(2, 3), (1, 1)]), [1, 2, 3]),
    (make_set([(1, STAR)]), [1, 2, 3]),
    (make_set([(STAR, STAR)]), [3]),
    (make_set([(3, STAR)]), [3]),
]


@pytest.mark.parametrize(("numbers", "expected"), PICKS)
def test_messages_are_picked_by_number(numbers: SequenceSet, expected: list[int]) -> None:
    view = View(snapshot([entry(10), entry(20), entry(30)]), read_only=False)
    assert [number for number, _ in view.pick(numbers, uid=False)] == expected


UID_PICKS = [
    (make_set([(10, 10)]), [(1, 10)]),
    (make_set([(11, 19)]), []),
    (make_set([(11, 30)]), [(2, 20), (3, 30)]),
    (make_set([(1, 10), (30, 99)]), [(1, 10), (3, 30)]),
    (make_set([(STAR, STAR)]), [(3, 30)]),
    (make_set([(99, STAR)]), [(3, 30)]),  # RFC 9051 §9: whichever end is first
]


@pytest.mark.parametrize(("numbers", "expected"), UID_PICKS)
def test_messages_are_picked_by_uid(numbers: SequenceSet, expected: list[tuple[int, int]]) -> None:
    view = View(snapshot([entry(10), entry(20), entry(30)]), read_only=False)
    assert [(number, one.uid) for number, one in view.pick(numbers, uid=True)] == expected


def test_a_run_is_the_list_that_it_stands_for() -> None:
    run = View(THREE, read_only=False).pick(make_set([(1, STAR)]), uid=False)
    as_list = list(enumerate(THREE.entries, 1))
    assert (list(run), len(run), run[0], run[-1]) == (as_list, 3, as_list[0], as_list[-1])
    for start in range(-4, 5):
        for stop in range(-4, 5):
            assert list(run[start:stop]) == as_list[start:stop]
            assert list(run[1:][start:stop]) == as_list[1:][start:stop]


@pytest.mark.parametrize("numbers", [make_set([(4, 4)]), make_set([(1, 4)]), make_set([(4, STAR)])])
def test_a_number_of_no_message_is_an_error(numbers: SequenceSet) -> None:
    with pytest.raises(IndexError):
        View(THREE, read_only=False).pick(numbers, uid=False)


def test_in_an_empty_mailbox_everything_is_nothing() -> None:
    view = View(snapshot([]), read_only=False)
    assert view.pick(make_set([(1, STAR)]), uid=True) == []
    assert view.pick(make_set([(STAR, STAR)]), uid=False) == []


def test_recent_are_those_that_no_session_saw_before() -> None:
    view = View(THREE, read_only=False)
    view.add_recent(Uids(2, 2))
    assert view.recent == 0
    view.add_recent(Uids(1, 2))
    view.add_recent(Uids(3, 4))
    assert view.recent == 2
    assert [one.uid in view.recent_uids for one in view.entries] == [True, False, True]


def test_flags_at_a_glance_are_those_of_now() -> None:
    view = View(snapshot([entry(1), entry(2, Flag.SEEN)]), read_only=False)
    assert view.flags == bytes([0, Flag.SEEN])
    view.advance(snapshot([entry(1, Flag.DELETED, modseq=2), entry(3)], modseq=2), may_expunge=False)
    assert view.flags == bytes([Flag.DELETED, Flag.SEEN, 0])


def many(count: int, size: int = 100) -> View:
    return View(snapshot([entry(uid)._replace(size=size) for uid in range(1, count + 1)]), read_only=False)


def ahead(view: View, first: int, last: int | None = None) -> list[int]:
    return [number for number, _ in view.upcoming(first, last or first)]


def test_who_reads_in_order_is_read_ahead_for_once_in_a_while() -> None:
    view = many(100)
    assert ahead(view, 1) == list(range(2, 66))
    assert [ahead(view, number) for number in range(2, 33)] == [[]] * 31
    assert ahead(view, 33) == list(range(66, 98))
    assert ahead(view, 34, 65) == list(range(98, 101))
    assert [ahead(view, number) for number in range(66, 101)] == [[]] * 35


def test_who_reads_here_and_there_is_not_read_ahead_for() -> None:
    view = many(100)
    assert ahead(view, 50) == ahead(view, 7) == ahead(view, 6) == []
    assert ahead(view, 7) == list(range(8, 72))


def test_what_comes_while_it_holds_on_to_something_is_told_too() -> None:
    view = View(THREE, read_only=False)
    without = THREE.entries.after(2, [], [2])
    view.advance(Snapshot(THREE.mailbox, without), may_expunge=False)
    flagged = without.after(3, [entry(3, SEEN, 3)])
    later = Snapshot(replace(THREE.mailbox, highest_modseq=3), flagged)
    assert view.advance(later, may_expunge=False).changed == ((3, entry(3, SEEN, 3)),)
    assert view.advance(later, may_expunge=True) == Update(expunged=((2, 2),))
    assert view.entries == flagged


def test_flags_at_a_glance_follow_what_is_remembered() -> None:
    view = View(THREE, read_only=False)
    assert view.flags == bytes(3)
    view.advance(Snapshot(THREE.mailbox, THREE.entries.after(2, [entry(2, SEEN, 2)])), may_expunge=True)
    assert view.flags == bytes([0, SEEN, 0])


def test_what_is_read_ahead_has_its_numbers() -> None:
    view = View(snapshot([entry(10), entry(20), entry(30)]), read_only=False)
    assert [(number, one.uid) for number, one in view.upcoming(1, 1)] == [(2, 20), (3, 30)]


class Forgetful(MemoryMailStore):
    """A store that does not know any more what was removed."""

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> None:
        return None


async def test_what_is_missing_is_told_as_gaps_however_many_uids_they_hold() -> None:
    room = await open_mailroom(b"one", store=Forgetful())
    few = snapshot([entry(5), entry(6), entry(4_000_000_000)], uid_next=4_000_000_010)
    room.conversation.view = View(few, read_only=False)
    assert await vanished_since(room.conversation, 1) == [(1, 4), (7, 3_999_999_999), (4_000_000_001, 4_000_000_009)]
    assert await vanished_since(room.conversation, 1, make_set([(2, 5), (8, 9)])) == [(2, 4), (8, 9)]
