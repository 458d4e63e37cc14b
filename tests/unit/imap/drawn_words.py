"""Strategies for what commands are made of: names, flags, sets, search keys."""

import string

from hypothesis import strategies as st

from relate_imap.commands import (
    FlagList,
)
from relate_imap.search.keys import (
    AddressField,
    All,
    And,
    Dated,
    DateOf,
    HasAddress,
    HasEmailId,
    HasFlag,
    HasHeader,
    HasKeyword,
    HasSubject,
    HasText,
    HasThreadId,
    InSequenceSet,
    Larger,
    ModifiedSince,
    Not,
    Or,
    Recent,
    SaveDateSupported,
    SearchKey,
    Smaller,
    Within,
)
from relate_imap.selected.sequence_set import MAX_NUMBER, SAVED, STAR, make_set
from relate_mailstore.types import Flag

DAYS = 2_900_000  # since 1970: the last that has four digits of a year

tags = st.text(string.ascii_letters + string.digits + ".-]}", min_size=1, max_size=8)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
mailboxes = text.filter(lambda name: not name.lower().startswith("inbox")) | st.just("INBOX")
keywords = st.text(string.ascii_letters + "$-_.", min_size=1, max_size=8).filter(lambda word: word != "$")
flag_lists = st.builds(FlagList, st.integers(0, 31), st.lists(keywords, unique_by=str.upper, max_size=3).map(tuple))
number = st.integers(1, 50) | st.integers(1, MAX_NUMBER)
number64 = st.integers(0, 2**63 - 1)
plain_sets = st.lists(st.tuples(number, number), min_size=1, max_size=5).map(make_set)
sets = st.lists(st.tuples(number | st.just(STAR), number), min_size=1, max_size=5).map(make_set) | st.just(SAVED)
partials = st.tuples(number, number) | st.tuples(number, number).map(lambda pair: (-pair[0], -pair[1]))
object_ids = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20)
days = st.integers(-365, DAYS)


def dated(of: DateOf, day: int, kind: int) -> SearchKey:
    return (Dated(of, None, day), Dated(of, day, day + 1), Dated(of, day, None))[kind]


leaves: st.SearchStrategy[SearchKey] = st.one_of(
    st.just(All()),
    st.just(Recent()),
    st.just(SaveDateSupported()),
    st.builds(HasFlag, st.sampled_from(list(Flag))),
    st.builds(HasKeyword, keywords),
    st.builds(InSequenceSet, sets, st.booleans()),
    st.builds(Larger, number64),
    st.builds(Smaller, number64),
    st.builds(ModifiedSince, number64),
    st.builds(dated, st.sampled_from(DateOf), days, st.integers(0, 2)),
    st.builds(Within, number, st.booleans()),
    st.builds(HasAddress, st.sampled_from(AddressField), text.filter(bool)),  # else it is the field that is asked for
    st.builds(HasSubject, text.filter(bool)),
    st.builds(HasHeader, text.map(str.upper), text),
    st.builds(HasText, text, st.booleans()),
    st.builds(HasEmailId, object_ids),
    st.builds(HasThreadId, object_ids),
)
keys: st.SearchStrategy[SearchKey] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple)),
    ),
    max_leaves=12,
)

parts = st.lists(st.integers(1, 30).map(str), max_size=4).map(".".join)
fields = st.lists(st.text(string.ascii_letters + '- "\\', max_size=8), min_size=1, max_size=3)
