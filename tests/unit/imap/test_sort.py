"""SORT: base subjects, each criterion, and a naive model of the whole (RFC 5256 §2, §3)."""

from functools import cmp_to_key
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.commands import Sort
from relate_imap.handlers.sort import on_sort
from relate_imap.search.keys import AddressField, All, And, HasAddress, HasFlag, ModifiedSince, Not, SearchKey
from relate_imap.search.sort import mailbox_of, order
from relate_imap.search.subject import base_subject
from relate_mailstore.entry_list import EntryList
from relate_mailstore.types import Entry, Flag, MessageId, NewMessage, Summary
from tests.support import factories
from tests.support.growth import super_linear
from tests.unit.imap.mailroom import NOW, Mailroom, open_mailroom

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
def test_base_subject_of_nonsense_is_found_in_time(start: str, end: str) -> None:
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
def test_mailbox_of(addresses: str, mailbox: str) -> None:
    assert mailbox_of(addresses) == mailbox


def message(date: str, *, arrived: int, body: str = "", **fields: str) -> NewMessage:
    raw = factories.simple(body=body, **fields)  # type: ignore[arg-type]
    return NewMessage(raw.replace(b"Tue, 14 Jul 2026 09:30:00 +0200", date.encode()), 0, (), NOW + arrived)


async def some() -> Mailroom:
    return await open_mailroom(
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
async def test_sort(criteria: list[str], numbers: str) -> None:
    pairs = tuple((criterion.split()[-1], criterion.startswith("REVERSE")) for criterion in criteria)
    spoken = await (await some()).ask(on_sort, Sort("a1", "SORT", pairs, All()))
    assert spoken.line == f"* SORT {numbers}"


async def test_sort_is_by_unicode_casemap() -> None:
    subjects = ("_x", "zoo", "Abc", "[only]", "^y")
    room = await open_mailroom(*(message("no date", arrived=0, subject=subject) for subject in subjects))
    spoken = await room.ask(on_sort, Sort("a1", "SORT", (("SUBJECT", False),), All()))
    assert spoken.line == "* SORT 3 2 4 5 1"


async def test_the_name_of_a_group_is_searched_and_sorted_by() -> None:
    recipients = ("<m@x>", "Kitchen: <z@x>;", "undisclosed-recipients:;", "<a@x>")
    room = await open_mailroom(*(message("no date", arrived=0, to=to) for to in recipients))
    spoken = await room.ask(on_sort, Sort("a1", "SORT", (("TO", False),), All()))
    assert spoken.line == "* SORT 4 2 1 3"
    spoken = await room.ask(on_sort, Sort("a1", "SORT", (("TO", False),), HasAddress(AddressField.TO, "KITCH")))
    assert spoken.line == "* SORT 2"


@pytest.mark.parametrize(
    ("verb", "key", "line"),
    [
        ("UID SORT", All(), "* SORT 3 1"),
        ("SORT", All(), "* SORT 2 1"),
        ("SORT", HasFlag(Flag.SEEN), "* SORT"),
        ("SORT", Not(HasFlag(Flag.SEEN)), "* SORT 2 1"),
        ("UID SORT", And((ModifiedSince(1),)), "* SORT 3 1 (MODSEQ 5)"),
    ],
)
async def test_sort_answers(verb: str, key: SearchKey, line: str) -> None:
    room = await some()
    await room.expunge(2)
    await room.select()
    room.view._entries = EntryList(entry._replace(modseq=entry.uid + 2) for entry in room.entries)
    assert (await room.ask(on_sort, Sort("a1", verb, (("ARRIVAL", False),), key))).line == line


ENTRIES = [
    Entry(place + 1, MessageId(UUID(int=place)), place * 7 % 5, 0, (), place * 11 % 7, 1, 0) for place in range(30)
]
SUMMARIES = [
    Summary(
        ["", "x", "re: x", "[l] y", "y (fwd)"][place % 5],
        f"<{'abc'[place % 3]}@{place}>",
        ["", "<b@x>", "n <a@y>, <z@z>"][place % 3],
        ["", "<q@x>"][place % 2],
        "",
        None if place % 4 == 0 else place * 13 % 6,
        0,
        "",
        (),
        "",
    )
    for place in range(30)
]


def naive_value(name: str, place: int) -> int | str:
    entry, summary = ENTRIES[place], SUMMARIES[place]
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
def test_order_is_that_of_comparing_two_messages_criterion_by_criterion(
    criteria: list[tuple[str, bool]], places: set[int]
) -> None:
    def compare(one: int, other: int) -> int:
        for name, reverse in criteria:
            left, right = naive_value(name, one), naive_value(name, other)
            if left != right:
                return (-1 if left < right else 1) * (-1 if reverse else 1)  # type: ignore[operator]
        return one - other

    assert order(places, criteria, ENTRIES, SUMMARIES) == sorted(places, key=cmp_to_key(compare))
