"""`EntryList` against a dictionary as its model, and the deltas between its states."""

from collections.abc import Iterable
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore import entry_list as module
from relate_mailstore.entry_columns import COLUMNS_OCTETS, EntryColumns, NumberField
from relate_mailstore.entry_list import Delta, EntryList
from relate_mailstore.types import Entry, Flag, MessageId, ModSeq, Uid
from tests.support.examples import examples
from tests.support.factories import uids

KEYWORDS = ((), (), ("a",), ("a", "b"))


def entry(uid: int, modseq: int = 1) -> Entry:
    """An entry with a size and times that depend on the UID, and flags and keywords that depend on the modseq too."""
    size, date = (2**40, -uid) if uid % 7 == 0 else (10 * uid, 1_784_000_000 + uid)
    keywords = KEYWORDS[(uid + modseq) % len(KEYWORDS)] if uid > 8 else ()
    return Entry(
        Uid(uid), MessageId(UUID(int=uid)), size, (uid + modseq) % 32, keywords, date, ModSeq(modseq), date + 5
    )


def entries(uids: Iterable[int], modseq: int = 1) -> tuple[Entry, ...]:
    return tuple(entry(uid, modseq) for uid in sorted(uids))


uid_sets = st.sets(st.integers(1, 24).map(Uid))
histories = st.lists(st.tuples(uid_sets, uid_sets), max_size=6)


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAF_ENTRIES", 4)


def history(initial: set[Uid], steps: list[tuple[set[Uid], set[Uid]]]) -> list[tuple[EntryList, dict[Uid, Entry]]]:
    """States, each with its model. A removed UID is never used again."""
    model, removed = {one.uid: one for one in entries(initial)}, set[Uid]()
    states = [(EntryList(model.values(), ModSeq(1)), model)]
    for modseq, (changed, leaving) in enumerate(steps, 2):
        removed |= leaving - changed
        model = model | {uid: entry(uid, modseq) for uid in changed - removed}
        model = {uid: model[uid] for uid in sorted(model.keys() - removed)}
        states.append(
            (states[-1][0].after(ModSeq(modseq), entries(changed - removed, modseq), leaving - changed), model)
        )
    return states


@settings(max_examples=examples(200))
@given(initial=uid_sets, steps=histories)
def test_every_state_equals_its_model(initial: set[Uid], steps: list[tuple[set[Uid], set[Uid]]]) -> None:
    for state, model in history(initial, steps):
        expected = tuple(model.values())
        assert state == expected
        assert (len(state), tuple(state)) == (len(expected), expected)
        assert [state[index] for index in range(len(state))] == list(state)
        assert [state.find(Uid(uid)) for uid in range(26)] == [model.get(Uid(uid)) for uid in range(26)]
        assert state._leaves_octets == sum(leaf.octets for leaf in state._leaves)
        assert all(0 < len(leaf) <= module.LEAF_ENTRIES for leaf in state._leaves)
        assert len(state._leaves) <= module.MAX_LEAVES_RATIO * (len(state) // module.LEAF_ENTRIES + 1)


@settings(max_examples=examples(200))
@given(initial=uid_sets, steps=histories, start=st.integers(0, 26), stop=st.integers(0, 26))
def test_columns_equal_the_fields_of_the_entries(
    initial: set[Uid], steps: list[tuple[set[Uid], set[Uid]]], start: int, stop: int
) -> None:
    state = history(initial, steps)[-1][0]
    entries, piece = tuple(state), tuple(state)[start:stop]
    assert state.cut(start, stop) == tuple(state.between(start, stop)) == piece
    assert state.cut(start, stop) == EntryColumns.of(piece)
    assert state.pick(range(start, max(start, stop))) == piece
    assert state.pick([*range(len(state))][start:stop:2]) == piece[::2]
    for name in get_args(NumberField):
        assert [*state.column(name)] == [getattr(each, name) for each in entries]
        assert [*state.column(name, start, stop)] == [getattr(each, name) for each in piece]
    assert [*state.keyword_sets] == [each.keywords for each in entries]
    assert {(), *state.distinct_keywords} == {(), *(each.keywords for each in entries)}
    assert state.cut(start, stop).message_ids == [each.message_id for each in piece]


@settings(max_examples=examples(100))
@given(initial=uid_sets, steps=histories, flag=st.sampled_from(Flag), modseq=st.integers(0, 8))
def test_positions_and_masks_equal_those_found_entry_by_entry(
    initial: set[Uid], steps: list[tuple[set[Uid], set[Uid]]], flag: Flag, modseq: int
) -> None:
    state = history(initial, steps)[-1][0]
    entries = tuple(state)
    assert [*state.with_flag(flag)] == [bool(each.flags & flag) for each in entries]
    assert state.uids_with_flag(flag) == [each.uid for each in entries if each.flags & flag]
    assert [*state.changed_since(modseq)] == [position for position, each in enumerate(entries) if each.modseq > modseq]
    for position, each in enumerate(entries):
        assert [*state.positions_of(each.message_id.bytes)] == [position]
    assert [*state.positions_of(bytes(16))] == []


@given(uid_sets, uid_sets)
def test_list_with_more_entries_descends_from_none(some: set[Uid], others: set[Uid]) -> None:
    state = EntryList(entries(some), ModSeq(5))
    more = state.with_entries(entries(others - some))
    assert more == entries(some | others)
    assert more.delta_since(state) is None


def test_entry_takes_few_octets() -> None:
    many = EntryList(entry(uid) for uid in range(8, 2_000) if uid % 7)
    without_keywords = EntryList(each._replace(keywords=()) for each in many)
    assert len(without_keywords._leaves) > 400
    leaf = without_keywords._leaves[0]
    assert leaf.octets - COLUMNS_OCTETS == 41 * len(leaf)


def test_change_of_flags_shares_what_does_not_change() -> None:
    before = EntryList(entries(range(1, 5)), ModSeq(1))
    (old,), (new,) = before._leaves, before.after(ModSeq(2), [entry(2, 2)])._leaves
    assert (new.uid, new.message_id, new.size, new.saved) == (old.uid, old.message_id, old.size, old.saved)
    assert new.uid is old.uid
    assert new.message_id is old.message_id
    assert new.modseq is not old.modseq


def test_log_of_deltas_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DELTAS", 2)
    state = EntryList(entries([1, 2]), ModSeq(1))
    for modseq in range(2, 6):
        state = state.after(ModSeq(modseq), entries([1, 2][: modseq % 2 + 1], modseq))
    assert state.octets - state._leaves_octets == sum(delta.octets for _, delta in state._deltas)
    assert len(state._deltas) == 2
    monkeypatch.setattr(module, "MAX_DELTA_ENTRIES", 1)
    assert state.after(ModSeq(9), entries([1, 2], 9))._deltas_octets == 0


@given(uids=uid_sets, start=st.integers(-26, 26), stop=st.integers(-26, 26), step=st.sampled_from([None, 1, 2, -1]))
def test_slice_equals_that_of_a_tuple(uids: set[int], start: int, stop: int, step: int | None) -> None:
    expected = entries(uids)
    assert tuple(EntryList(expected)[start:stop:step]) == expected[start:stop:step]


@settings(max_examples=examples(200))
@given(initial=uid_sets, steps=histories)
def test_delta_leads_from_the_earlier_state_to_the_later(
    initial: set[Uid], steps: list[tuple[set[Uid], set[Uid]]]
) -> None:
    states = history(initial, steps)
    for number, (earlier, _) in enumerate(states):
        for later, _ in states[number:]:
            delta = later.delta_since(earlier)
            assert delta is not None
            assert all(one.modseq > earlier.modseq for one in delta.changed)
            assert EntryList(earlier).after(later.modseq, delta.changed, delta.removed) == later


def test_a_change_shares_all_other_leaves() -> None:
    before = EntryList(entries(range(1, 100)), ModSeq(1))
    after = before.after(ModSeq(2), [entry(50, 2)])
    assert [one is other for one, other in zip(before._leaves, after._leaves, strict=True)].count(False) == 1
    grown = before.after(ModSeq(2), [entry(200, 2)])
    assert all(one is other for one, other in zip(before._leaves[:-1], grown._leaves, strict=False))


def test_delta_has_each_entry_once() -> None:
    first = EntryList(entries([1, 2, 3]), ModSeq(1))
    last = (
        first.after(ModSeq(2), entries([1, 2, 4], 2))
        .after(ModSeq(3), entries([2, 5], 3), uids(1))
        .after(ModSeq(4), [], uids(4))
    )
    assert last.delta_since(first) == Delta([entry(2, 3), entry(5, 3)], {Uid(1), Uid(4)})
    assert last.delta_since(last) == Delta()


def test_delta_since_a_state_between_two_logged_ones_is_known() -> None:
    first = EntryList(entries([1, 2, 3]), ModSeq(1))
    between = first.after(ModSeq(2), [entry(1, 2)])
    later = first.after(ModSeq(3), [entry(1, 2), entry(2, 3)], uids(3))  # skips the state between
    assert later.delta_since(between) == Delta([entry(2, 3)], {Uid(3)})


def test_log_of_deltas_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DELTAS", 3)
    states = [EntryList(entries([1]), ModSeq(1))]
    for modseq in range(2, 8):
        states.append(states[-1].after(ModSeq(modseq), [entry(1, modseq)]))
    assert [states[-1].delta_since(state) is None for state in states] == [True, True, True, False, False, False, False]
    monkeypatch.setattr(module, "MAX_DELTA_ENTRIES", 2)
    many = states[-1].after(ModSeq(9), entries([1, 2], 9), uids(3))
    assert many.delta_since(states[-1]) is None
    assert many.after(ModSeq(10), entries([1], 10)).delta_since(many) == Delta([entry(1, 10)])
    assert many.after(ModSeq(10), entries([1], 10)).delta_since(states[-1]) is None


def test_delta_since_an_unrelated_or_later_state_is_unknown() -> None:
    one, other = EntryList(entries([1]), ModSeq(1)), EntryList(entries([1]), ModSeq(1))
    assert one.after(ModSeq(2), [entry(1, 2)]).delta_since(other) is None
    assert one.delta_since(one.after(ModSeq(2), [entry(1, 2)])) is None
