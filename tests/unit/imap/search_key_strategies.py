"""Hypothesis strategies for names, flags, sequence sets and search keys."""

import string

from hypothesis import strategies as st

from relate_imap.commands import (
    FlagList,
)
from relate_imap.search import keys
from relate_imap.selected.sequence_set import MAX_NUMBER, SAVED, STAR, make_set
from relate_mailstore.types import Flag, ModSeq

DAYS = 2_900_000  # since 1970, to the last year of four digits

tags = st.text(string.ascii_letters + string.digits + ".-]}", min_size=1, max_size=8)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
mailboxes = text.filter(lambda name: not name.lower().startswith("inbox")) | st.just("INBOX")
keywords = st.text(string.ascii_letters + "$-_.", min_size=1, max_size=8).filter(lambda word: word != "$")
flag_lists = st.builds(FlagList, st.integers(0, 31), st.lists(keywords, unique_by=str.upper, max_size=3).map(tuple))
number = st.integers(1, 50) | st.integers(1, MAX_NUMBER)
number64 = st.integers(0, 2**63 - 1)
modseqs = number64.map(ModSeq)
plain_sets = st.lists(st.tuples(number, number), min_size=1, max_size=5).map(make_set)
sets = st.lists(st.tuples(number | st.just(STAR), number), min_size=1, max_size=5).map(make_set) | st.just(SAVED)
partials = st.tuples(number, number) | st.tuples(number, number).map(lambda pair: (-pair[0], -pair[1]))
object_ids = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20)
days = st.integers(-365, DAYS)


def dated(of: keys.DateOf, day: int, kind: int) -> keys.SearchKey:
    return (keys.Dated(of, None, day), keys.Dated(of, day, day + 1), keys.Dated(of, day, None))[kind]


leaves: st.SearchStrategy[keys.SearchKey] = st.one_of(
    st.just(keys.All()),
    st.just(keys.Recent()),
    st.just(keys.SaveDateSupported()),
    st.builds(keys.HasFlag, st.sampled_from(list(Flag))),
    st.builds(keys.HasKeyword, keywords),
    st.builds(keys.InSequenceSet, sets, st.booleans()),
    st.builds(keys.Larger, number64),
    st.builds(keys.Smaller, number64),
    st.builds(keys.ModifiedSince, modseqs),
    st.builds(dated, st.sampled_from(keys.DateOf), days, st.integers(0, 2)),
    st.builds(keys.Within, number, st.booleans()),
    st.builds(keys.HasAddress, st.sampled_from(keys.AddressField), text.filter(bool)),  # else it is HasHeader
    st.builds(keys.HasSubject, text.filter(bool)),
    st.builds(keys.HasHeader, text.map(str.upper), text),
    st.builds(keys.HasText, text, st.booleans()),
    st.builds(keys.HasEmailId, object_ids),
    st.builds(keys.HasThreadId, object_ids),
)
search_keys: st.SearchStrategy[keys.SearchKey] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(keys.Not, inner),
        st.builds(keys.Or, inner, inner),
        st.builds(keys.And, st.lists(inner, min_size=2, max_size=4).map(tuple)),
    ),
    max_leaves=12,
)

parts = st.lists(st.integers(1, 30).map(str), max_size=4).map(".".join)
fields = st.lists(st.text(string.ascii_letters + '- "\\', max_size=8), min_size=1, max_size=3)
