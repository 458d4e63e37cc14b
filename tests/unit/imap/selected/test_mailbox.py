"""`SelectedMailbox`: a table of changes and the updates that they cause, message numbers, prefetching."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from relate_imap.selected.mailbox import SelectedMailbox, Update
from relate_imap.selected.recent import UidRange
from relate_imap.selected.sequence_set import STAR, SequenceSet, make_set
from relate_imap.selected.vanished import vanished_since
from relate_mailstore.entry_list import EntryList
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Entry, Flag, Mailbox, MailboxId, MessageId, ModSeq, Snapshot, Uid
from tests.support.factories import uids
from tests.unit.imap.handler_harness import open_harness

SEEN = int(Flag.SEEN)


def entry(uid: int, flags: int = 0, modseq: int = 1) -> Entry:
    return Entry(Uid(uid), MessageId(UUID(int=uid)), 100, flags, (), 0, ModSeq(modseq), 0)


def snapshot(entries: Iterable[Entry], modseq: int = 1, uid_next: int = 0) -> Snapshot:
    """A snapshot with these entries; `uid_next` is at least the last UID plus 1."""
    items = tuple(entries)
    after = max((one.uid + 1 for one in items), default=1)
    mailbox = Mailbox(
        id=MailboxId(1),
        account_id=AccountId(1),
        name="INBOX",
        uid_validity=1,
        uid_next=Uid(max(uid_next, after)),
        highest_modseq=ModSeq(modseq),
        special_use="",
        messages=len(items),
        octets=100 * len(items),
        first_recent_uid=Uid(1),
    )
    return Snapshot(mailbox, EntryList(items, ModSeq(modseq)))


THREE = snapshot([entry(1), entry(2), entry(3)])


@dataclass(frozen=True)
class Case:
    """A change of messages 1, 2 and 3, and the update that it causes."""

    name: str
    after: Snapshot
    update: Update
    update_while_in_use: Update | None = None  # like `update`, unless a message is expunged


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
    Case("one is gone", snapshot([entry(1), entry(3)], 2, 4), Update(expunged=((2, Uid(2)),)), Update()),
    Case("all are gone", snapshot([], 2, 4), Update(expunged=tuple(enumerate(uids(1, 2, 3), 1))), Update()),
    Case(
        "one is gone, another was flagged, one arrived",
        snapshot([entry(1), entry(3, SEEN, 3), entry(4, modseq=4)], 4),
        Update(((2, Uid(2)),), 3, (entry(4, modseq=4),), ((2, entry(3, SEEN, 3)),)),
        Update((), 4, (entry(4, modseq=4),), ((3, entry(3, SEEN, 3)),)),
    ),
    Case("one came and went in between", snapshot([entry(1), entry(2), entry(3)], 3, 5), Update()),
    Case(
        "one came and went, another came",
        snapshot([entry(1), entry(2), entry(3), entry(5, modseq=4)], 4),
        Update(exists=4, arrived=(entry(5, modseq=4),)),
    ),
]


def with_change_log(case: Case) -> Case:
    """The same case with a change log in the entries, so that they need not be compared."""
    after, mailbox = case.after.entries, case.after.mailbox
    changed = [one for one in after if one.modseq > 1]
    gone = [one.uid for one in THREE.entries if after.find(one.uid) is None]
    logged = THREE.entries.after(mailbox.highest_modseq, changed, gone)
    assert logged.delta_since(THREE.entries) is not None
    return replace(case, name=f"{case.name}, logged", after=Snapshot(mailbox, logged))


CASES += [with_change_log(case) for case in CASES[1:]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_advance_returns_changes(case: Case) -> None:
    selected = SelectedMailbox(THREE, read_only=False)
    assert selected.advance(case.after, may_expunge=True) == case.update
    assert selected.entries == case.after.entries


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_expunges_are_held_back_while_numbers_are_in_use(case: Case) -> None:
    selected = SelectedMailbox(THREE, read_only=False)
    update = case.update if case.update_while_in_use is None else case.update_while_in_use
    assert selected.advance(case.after, may_expunge=False) == update
    assert [one.uid for one in selected.entries][:3] == [1, 2, 3]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_held_back_expunges_are_sent_later(case: Case) -> None:
    selected = SelectedMailbox(THREE, read_only=False)
    selected.advance(case.after, may_expunge=False)
    assert selected.matches_snapshot is not bool(case.update.expunged)
    assert selected.advance(case.after, may_expunge=True).expunged == case.update.expunged
    assert selected.entries == case.after.entries
    assert selected.advance(case.after, may_expunge=True) == Update()


def test_announced_changes_are_not_sent_again() -> None:
    selected, seen = SelectedMailbox(THREE, read_only=False), entry(2, SEEN, 2)
    selected.mark_announced([seen])
    assert selected.advance(snapshot([entry(1), seen, entry(3)], 2), may_expunge=False) == Update()


def test_changes_after_announced_ones_are_sent() -> None:
    selected, later = SelectedMailbox(THREE, read_only=False), entry(2, 0, 3)
    selected.mark_announced([entry(2, SEEN, 2)])
    update = selected.advance(snapshot([entry(1), later, entry(3)], 3), may_expunge=False)
    assert update.changed == ((2, later),)


def test_is_current_for_same_snapshot() -> None:
    selected = SelectedMailbox(THREE, read_only=False)
    assert selected.is_current(THREE)
    assert not selected.is_current(replace(THREE))


BY_NUMBER = [
    (make_set([(1, 1)]), [1]),
    (make_set([(2, 3), (1, 1)]), [1, 2, 3]),
    (make_set([(1, STAR)]), [1, 2, 3]),
    (make_set([(STAR, STAR)]), [3]),
    (make_set([(3, STAR)]), [3]),
]


@pytest.mark.parametrize(("numbers", "expected"), BY_NUMBER)
def test_messages_in_numbers(numbers: SequenceSet, expected: list[int]) -> None:
    selected = SelectedMailbox(snapshot([entry(10), entry(20), entry(30)]), read_only=False)
    assert [number for number, _ in selected.messages_in(numbers, uid=False)] == expected


BY_UID = [
    (make_set([(10, 10)]), [(1, 10)]),
    (make_set([(11, 19)]), []),
    (make_set([(11, 30)]), [(2, 20), (3, 30)]),
    (make_set([(1, 10), (30, 99)]), [(1, 10), (3, 30)]),
    (make_set([(STAR, STAR)]), [(3, 30)]),
    (make_set([(99, STAR)]), [(3, 30)]),  # RFC 9051 §9: either end may be first
]


@pytest.mark.parametrize(("numbers", "expected"), BY_UID)
def test_messages_in_uids(numbers: SequenceSet, expected: list[tuple[int, int]]) -> None:
    selected = SelectedMailbox(snapshot([entry(10), entry(20), entry(30)]), read_only=False)
    assert [(number, one.uid) for number, one in selected.messages_in(numbers, uid=True)] == expected


def test_numbered_slice_equals_list() -> None:
    numbered = SelectedMailbox(THREE, read_only=False).messages_in(make_set([(1, STAR)]), uid=False)
    as_list = list(enumerate(THREE.entries, 1))
    assert (list(numbered), len(numbered), numbered[0], numbered[-1]) == (as_list, 3, as_list[0], as_list[-1])
    for start in range(-4, 5):
        for stop in range(-4, 5):
            assert list(numbered[start:stop]) == as_list[start:stop]
            assert list(numbered[1:][start:stop]) == as_list[1:][start:stop]


@pytest.mark.parametrize("numbers", [make_set([(4, 4)]), make_set([(1, 4)]), make_set([(4, STAR)])])
def test_invalid_number_raises(numbers: SequenceSet) -> None:
    with pytest.raises(IndexError):
        SelectedMailbox(THREE, read_only=False).messages_in(numbers, uid=False)


def test_empty_mailbox_has_no_messages() -> None:
    selected = SelectedMailbox(snapshot([]), read_only=False)
    assert len(selected.messages_in(make_set([(1, STAR)]), uid=True)) == 0
    assert len(selected.messages_in(make_set([(STAR, STAR)]), uid=False)) == 0


def test_recent_messages_are_counted() -> None:
    selected = SelectedMailbox(THREE, read_only=False)
    selected.add_recent(UidRange(Uid(2), Uid(2)))
    assert selected.recent_count == 0
    selected.add_recent(UidRange(Uid(1), Uid(2)))
    selected.add_recent(UidRange(Uid(3), Uid(4)))
    assert selected.recent_count == 2
    assert [selected.recent_uids.includes(one.uid) for one in selected.entries] == [True, False, True]


def test_kept_messages_have_their_last_flags_and_others_the_current_ones() -> None:
    selected = SelectedMailbox(snapshot([entry(1), entry(2, Flag.SEEN)]), read_only=False)
    selected.advance(snapshot([entry(1, Flag.DELETED, modseq=2), entry(3)], modseq=2), may_expunge=False)
    assert [one.flags for one in selected.entries] == [Flag.DELETED, Flag.SEEN, 0]


def selected_of_size(count: int, size: int = 100) -> SelectedMailbox:
    return SelectedMailbox(snapshot([entry(uid)._replace(size=size) for uid in range(1, count + 1)]), read_only=False)


def prefetched_numbers(selected: SelectedMailbox, first: int, last: int | None = None) -> list[int]:
    return [number for number, _ in selected.prefetch_candidates(first, last or first)]


def test_sequential_reads_prefetch_in_windows() -> None:
    selected = selected_of_size(100)
    assert prefetched_numbers(selected, 1) == list(range(2, 66))
    assert [prefetched_numbers(selected, number) for number in range(2, 33)] == [[]] * 31
    assert prefetched_numbers(selected, 33) == list(range(66, 98))
    assert prefetched_numbers(selected, 34, 65) == list(range(98, 101))
    assert [prefetched_numbers(selected, number) for number in range(66, 101)] == [[]] * 35


def test_random_reads_do_not_prefetch() -> None:
    selected = selected_of_size(100)
    assert prefetched_numbers(selected, 50) == prefetched_numbers(selected, 7) == prefetched_numbers(selected, 6) == []
    assert prefetched_numbers(selected, 7) == list(range(8, 72))


def test_changes_are_sent_while_expunges_are_held_back() -> None:
    selected = SelectedMailbox(THREE, read_only=False)
    without = THREE.entries.after(ModSeq(2), [], uids(2))
    selected.advance(Snapshot(THREE.mailbox, without), may_expunge=False)
    flagged = without.after(ModSeq(3), [entry(3, SEEN, 3)])
    later = Snapshot(replace(THREE.mailbox, highest_modseq=ModSeq(3)), flagged)
    assert selected.advance(later, may_expunge=False).changed == ((3, entry(3, SEEN, 3)),)
    assert selected.advance(later, may_expunge=True) == Update(expunged=((2, Uid(2)),))
    assert selected.entries == flagged


def test_prefetch_candidates_have_numbers() -> None:
    selected = SelectedMailbox(snapshot([entry(10), entry(20), entry(30)]), read_only=False)
    assert [(number, one.uid) for number, one in selected.prefetch_candidates(1, 1)] == [(2, 20), (3, 30)]


class StoreWithoutHistory(MemoryMailStore):
    """A store without a history of expunged messages."""

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> None:
        return None


async def test_missing_uids_are_reported_as_ranges() -> None:
    harness = await open_harness(b"one", store=StoreWithoutHistory())
    few = snapshot([entry(5), entry(6), entry(4_000_000_000)], uid_next=4_000_000_010)
    harness.conversation.selected_mailbox = SelectedMailbox(few, read_only=False)
    assert await vanished_since(harness.conversation, ModSeq(1)) == [
        (1, 4),
        (7, 3_999_999_999),
        (4_000_000_001, 4_000_000_009),
    ]
    assert await vanished_since(harness.conversation, ModSeq(1), make_set([(2, 5), (8, 9)])) == [(2, 4), (8, 9)]
