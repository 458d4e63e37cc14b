"""SORT: base subjects, each criterion, and a naive model (RFC 5256 §2, §3)."""

from functools import cmp_to_key
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.commands import Sort
from relate_imap.handlers.sort import on_sort
from relate_imap.search import keys
from relate_imap.search.sort import mailbox_of, order
from relate_imap.search.subject import base_subject
from relate_mailstore.entry_list import EntryList
from relate_mailstore.types import Entry, Flag, MessageId, ModSeq, NewMessage, Summary, Uid
from tests.support import factories
from tests.support.growth import super_linear
from tests.unit.imap.handler_harness import NOW, HandlerHarness, open_harness

CRITERIA = ("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO")


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("", "", False),
        ("hello", "hello", False),
        ("  hello \t there ", "hello there", False),
        ("re: hello", "hello", True),
        ("re : re[2]: fw: fwd : hello", "hello", True),
        ("re [2] : hello", "hello", True),
        ("regarding: hello", "regarding: hello", False),
        ("fwdd: hello", "fwdd: hello", False),
        ("hello (fwd)", "hello", True),
        ("hello (fwd) (fwd)(fwd) ", "hello", True),
        ("[list] hello", "hello", False),
        ("[list] re: hello", "hello", True),
        ("re: [list] hello", "hello", True),
        ("[a] [b] re: [c] fwd: [d] hello", "hello", True),
        ("[list]", "[list]", False),
        ("[a][b]", "[b]", False),
        ("re:", "", True),
        ("re: [list]", "[list]", True),
        ("[fwd: hello]", "hello", True),
        ("[fwd: re: [fwd: [list] hello (fwd)]]", "hello", True),
        ("[fwd: hello] there", "there", False),
        ("[fwd:]", "", True),
        ("(fwd)", "", True),
        ("hello re: you", "hello re: you", False),
        ("[un[closed] hello", "[un[closed] hello", False),
    ],
)
def test_base_subject(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


@pytest.mark.parametrize(
    ("start", "end"),
    [("re: ", ""), ("[a]", ""), ("[", ""), ("[fwd:", "]"), ("", " (fwd)"), ("[fwd: re: [a] ", "(fwd)]"), ("re [", "]")],
)
def test_base_subject_is_linear(start: str, end: str) -> None:
    assert super_linear(base_subject.__wrapped__, lambda size: start * size + end * size) is None


@pytest.mark.parametrize(
    ("addresses", "mailbox"),
    [
        ("", ""),
        ("<ann@example.org>", "ann"),
        ("ann example <ann@example.org>, <bob@example.org>", "ann"),
        ("odd <name> here <ann@example.org>, x <b@c>", "ann"),
        ('<"a@b"@example.org>', '"a@b"'),
        ("<postmaster>", "postmaster"),
        ("<>", ""),
    ],
)
def test_mailbox_of_first_address(addresses: str, mailbox: str) -> None:
    assert mailbox_of(addresses) == mailbox


def message(date: str, *, arrived: int, body: str = "", **fields: str) -> NewMessage:
    raw = factories.simple(body=body, **fields)  # type: ignore[arg-type]
    return NewMessage(raw.replace(b"Tue, 14 Jul 2026 09:30:00 +0200", date.encode()), 0, (), NOW + arrived)


async def some() -> HandlerHarness:
    return await open_harness(
        message(
            "Mon, 13 Jul 2026 10:00:00 +0200", arrived=3, subject="Re: b", sender="Zoe <carl@x>", to="<T@x>", cc="<b@x>"
        ),
        message("Mon, 13 Jul 2026 09:00:00 +0000", arrived=1, subject="A", sender="<anna@x>", to="<s@x>", body="xx"),
        message(
            "no date", arrived=2, subject="[list] B", sender="Ann <Bert@x>, <a@x>", to="<t@x>", cc="<A@x>", body="x"
        ),
    )


@pytest.mark.parametrize(
    ("criteria", "numbers"),
    [
        (["ARRIVAL"], "2 3 1"),
        (["REVERSE ARRIVAL"], "1 3 2"),
        (["CC"], "2 3 1"),
        (["DATE"], "1 2 3"),
        (["REVERSE DATE"], "3 2 1"),
        (["FROM"], "2 3 1"),
        (["SIZE"], "2 3 1"),
        (["SUBJECT"], "2 1 3"),
        (["REVERSE SUBJECT"], "1 3 2"),
        (["SUBJECT", "REVERSE ARRIVAL"], "2 1 3"),
        (["SUBJECT", "ARRIVAL"], "2 3 1"),
        (["REVERSE TO", "CC"], "3 1 2"),
        (["TO"], "2 1 3"),
    ],
)
async def test_sort_criteria(criteria: list[str], numbers: str) -> None:
    pairs = tuple((criterion.split()[-1], criterion.startswith("REVERSE")) for criterion in criteria)
    result = await (await some()).execute(on_sort, Sort("a1", "SORT", pairs, keys.All()))
    assert result.line == f"* SORT {numbers}"


async def test_sort_uses_unicode_casemap() -> None:
    subjects = ("_x", "zoo", "Abc", "[only]", "^y")
    harness = await open_harness(*(message("no date", arrived=0, subject=subject) for subject in subjects))
    result = await harness.execute(on_sort, Sort("a1", "SORT", (("SUBJECT", False),), keys.All()))
    assert result.line == "* SORT 3 2 4 5 1"


async def test_group_name_is_searched_and_sorted() -> None:
    recipients = ("<m@x>", "Kitchen: <z@x>;", "undisclosed-recipients:;", "<a@x>")
    harness = await open_harness(*(message("no date", arrived=0, to=to) for to in recipients))
    result = await harness.execute(on_sort, Sort("a1", "SORT", (("TO", False),), keys.All()))
    assert result.line == "* SORT 4 2 1 3"
    result = await harness.execute(
        on_sort, Sort("a1", "SORT", (("TO", False),), keys.HasAddress(keys.AddressField.TO, "KITCH"))
    )
    assert result.line == "* SORT 2"


@pytest.mark.parametrize(
    ("verb", "key", "line"),
    [
        ("UID SORT", keys.All(), "* SORT 3 1"),
        ("SORT", keys.All(), "* SORT 2 1"),
        ("SORT", keys.HasFlag(Flag.SEEN), "* SORT"),
        ("SORT", keys.Not(keys.HasFlag(Flag.SEEN)), "* SORT 2 1"),
        ("UID SORT", keys.And((keys.ModifiedSince(ModSeq(1)),)), "* SORT 3 1 (MODSEQ 5)"),
    ],
)
async def test_sort_responses(verb: str, key: keys.SearchKey, line: str) -> None:
    harness = await some()
    await harness.expunge(2)
    await harness.select()
    harness.selected._entries = EntryList(entry._replace(modseq=ModSeq(entry.uid + 2)) for entry in harness.entries)
    assert (await harness.execute(on_sort, Sort("a1", verb, (("ARRIVAL", False),), key))).line == line


ENTRIES = [
    Entry(Uid(position + 1), MessageId(UUID(int=position)), position * 7 % 5, 0, (), position * 11 % 7, ModSeq(1), 0)
    for position in range(30)
]
SUMMARIES = [
    Summary(
        ["", "x", "re: x", "[l] y", "y (fwd)"][position % 5],
        f"<{'abc'[position % 3]}@{position}>",
        ["", "<b@x>", "n <a@y>, <z@z>"][position % 3],
        ["", "<q@x>"][position % 2],
        "",
        None if position % 4 == 0 else position * 13 % 6,
        0,
        "",
        (),
        "",
    )
    for position in range(30)
]


def naive_value(name: str, position: int) -> int | str:
    entry, summary = ENTRIES[position], SUMMARIES[position]
    match name:
        case "ARRIVAL":
            return entry.internal_date
        case "SIZE":
            return entry.size
        case "DATE":
            return entry.internal_date if summary.date is None else summary.date
        case "SUBJECT":
            return summary.subject[-1:] if "fwd" not in summary.subject else "y"
    addresses = {"FROM": summary.sender, "TO": summary.to, "CC": summary.cc}[name]
    return addresses.partition("<")[2].partition("@")[0]


@given(
    st.lists(st.tuples(st.sampled_from(CRITERIA), st.booleans()), min_size=1, max_size=4),
    st.sets(st.integers(0, 29)),
)
def test_order_equals_pairwise_comparison(criteria: list[tuple[str, bool]], positions: set[int]) -> None:
    def compare(one: int, other: int) -> int:
        for name, reverse in criteria:
            left, right = naive_value(name, one), naive_value(name, other)
            if left != right:
                return (-1 if left < right else 1) * (-1 if reverse else 1)  # type: ignore[operator]
        return one - other

    assert order(positions, criteria, EntryList(ENTRIES), SUMMARIES) == sorted(positions, key=cmp_to_key(compare))
