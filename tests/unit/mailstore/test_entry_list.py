"""`EntryList` against a dictionary as its model, and the deltas between its states."""

from collections.abc import Iterable
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore import entry_list as module
from relate_mailstore.entry_list import Delta, EntryList
from relate_mailstore.types import Entry, MessageId, ModSeq, Uid
from tests.support.examples import examples
from tests.support.factories import uids


def entry(uid: int, modseq: int = 1) -> Entry:
    return Entry(Uid(uid), MessageId(UUID(int=uid)), 10, 0, (), 0, ModSeq(modseq), 0)


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
        assert (len(state), state.as_tuple) == (len(expected), expected)
        assert [state[index] for index in range(len(state))] == list(state)
        assert [state.find(Uid(uid)) for uid in range(26)] == [model.get(Uid(uid)) for uid in range(26)]


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
