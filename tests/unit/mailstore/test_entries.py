"""Entries in leaves: what a tuple would be, whatever happens; and what happened since, as far as it is remembered."""

from collections.abc import Iterable
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore import entry_list as module
from relate_mailstore.entry_list import Delta, EntryList
from relate_mailstore.types import Entry, MessageId
from tests.support.examples import examples


def entry(uid: int, modseq: int = 1) -> Entry:
    return Entry(uid, MessageId(UUID(int=uid)), 10, 0, (), 0, modseq, 0)


def some(uids: Iterable[int], modseq: int = 1) -> tuple[Entry, ...]:
    return tuple(entry(uid, modseq) for uid in sorted(uids))


uid_sets = st.sets(st.integers(1, 24))
steps = st.lists(st.tuples(uid_sets, uid_sets), max_size=6)


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAF", 4)


def history(known: set[int], turns: list[tuple[set[int], set[int]]]) -> list[tuple[EntryList, dict[int, Entry]]]:
    """States, and what a dictionary would hold. No UID comes back that was gone."""
    model, gone = {one.uid: one for one in some(known)}, set[int]()
    states = [(EntryList(model.values(), 1), model)]
    for modseq, (changed, going) in enumerate(turns, 2):
        gone |= going - changed
        model = model | {uid: entry(uid, modseq) for uid in changed - gone}
        model = {uid: model[uid] for uid in sorted(model.keys() - gone)}
        states.append((states[-1][0].after(modseq, some(changed - gone, modseq), going - changed), model))
    return states


@settings(max_examples=examples(200))
@given(known=uid_sets, turns=steps)
def test_every_state_is_what_a_dictionary_would_be(known: set[int], turns: list[tuple[set[int], set[int]]]) -> None:
    for state, model in history(known, turns):
        expected = tuple(model.values())
        assert state == expected
        assert (len(state), state.whole) == (len(expected), expected)
        assert [state[place] for place in range(len(state))] == list(state)
        assert [state.find(uid) for uid in range(26)] == [model.get(uid) for uid in range(26)]


@given(known=uid_sets, start=st.integers(-26, 26), stop=st.integers(-26, 26), step=st.sampled_from([None, 1, 2, -1]))
def test_a_part_is_a_part_of_the_whole(known: set[int], start: int, stop: int, step: int | None) -> None:
    whole = some(known)
    assert tuple(EntryList(whole)[start:stop:step]) == whole[start:stop:step]


@settings(max_examples=examples(200))
@given(known=uid_sets, turns=steps)
def test_what_happened_since_leads_from_one_state_to_the_other(
    known: set[int], turns: list[tuple[set[int], set[int]]]
) -> None:
    states = history(known, turns)
    for number, (earlier, _) in enumerate(states):
        for later, _ in states[number:]:
            turn = later.since(earlier)
            assert turn is not None
            assert all(one.modseq > earlier.modseq for one in turn.changed)
            assert EntryList(earlier).after(later.modseq, turn.changed, turn.gone) == later


def test_a_change_leaves_all_other_leaves_as_they_are() -> None:
    before = EntryList(some(range(1, 100)), 1)
    after = before.after(2, [entry(50, 2)])
    assert [one is other for one, other in zip(before._leaves, after._leaves, strict=True)].count(False) == 1
    grown = before.after(2, [entry(200, 2)])
    assert all(one is other for one, other in zip(before._leaves[:-1], grown._leaves, strict=False))


def test_what_became_of_an_entry_meanwhile_is_told_once() -> None:
    first = EntryList(some([1, 2, 3]), 1)
    last = first.after(2, some([1, 2, 4], 2)).after(3, some([2, 5], 3), [1]).after(4, [], [4])
    assert last.since(first) == Delta([entry(2, 3), entry(5, 3)], {1, 4})
    assert last.since(last) == Delta()


def test_states_between_those_that_are_remembered_are_known_too() -> None:
    first = EntryList(some([1, 2, 3]), 1)
    between = first.after(2, [entry(1, 2)])
    later = first.after(3, [entry(1, 2), entry(2, 3)], [3])  # as one who did not see what was between
    assert later.since(between) == Delta([entry(2, 3)], {3})


def test_what_is_remembered_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURNS", 3)
    states = [EntryList(some([1]), 1)]
    for modseq in range(2, 8):
        states.append(states[-1].after(modseq, [entry(1, modseq)]))
    assert [states[-1].since(state) is None for state in states] == [True, True, True, False, False, False, False]
    monkeypatch.setattr(module, "TURN_ENTRIES", 2)
    many = states[-1].after(9, some([1, 2], 9), [3])
    assert many.since(states[-1]) is None
    assert many.after(10, some([1], 10)).since(many) == Delta([entry(1, 10)])
    assert many.after(10, some([1], 10)).since(states[-1]) is None


def test_nothing_is_known_of_states_that_came_of_others_or_are_later() -> None:
    one, other = EntryList(some([1]), 1), EntryList(some([1]), 1)
    assert one.after(2, [entry(1, 2)]).since(other) is None
    assert one.since(one.after(2, [entry(1, 2)])) is None
