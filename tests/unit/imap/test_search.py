"""SEARCH: every key against hand-made messages, what it may read for that, and every form of the answer."""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.commands import Fetch, Item, Search
from relate_imap.conversation import Extension
from relate_imap.handlers.fetch import on_fetch
from relate_imap.handlers.search import on_search
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
    Larger,
    ModifiedSince,
    Not,
    Numbered,
    Or,
    Recent,
    SaveDateSupported,
    SearchKey,
    Smaller,
    Within,
)
from relate_imap.search.match import Known, match
from relate_imap.search.run import find
from relate_imap.selected.sequence_set import SAVED, STAR, make_set
from relate_mailstore.entry_list import EntryList
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Entry, Flag, MessageId, NewMessage, Snapshot, Summary, TextPart
from tests.support import factories
from tests.unit.imap.mailroom import NOW, Mailroom, Spoken, open_mailroom

DAY = 86_400
TODAY = NOW // DAY
UNSEEN = Not(HasFlag(Flag.SEEN))

# Three messages that differ in everything; UIDs 1, 2 and 3.
ANN = NewMessage(
    factories.simple(
        "Grüße", headers=("X-Spam: =?utf-8?q?n=C3=B6?=", "References: <a@b>"), body="The Straße is long.\r\n"
    ),
    Flag.SEEN,
    ("$Label", "Work"),
    NOW - 10 * DAY,
)
BOB = NewMessage(
    factories.simple(
        "Re: figures",
        sender="Bob <bob@example.net>",
        to="ann@example.org",
        cc="Carol <carol@example.com>",
        body="x" * 500,
    ).replace(b"Tue, 14 Jul 2026 09:30:00 +0200", b"Mon, 13 Jul 2026 23:30:00 -0500"),
    Flag.FLAGGED | Flag.ANSWERED,
    (),
    NOW - 60,
)
BARE = NewMessage(b"Bcc: dan@example.com\r\nMessage-ID: <Bare@Example>\r\n\r\nnothing\r\n", 0, ("work",), NOW)


async def messages() -> Mailroom:
    return await open_mailroom(ANN, BOB, BARE)


def day(year_month_day: str) -> int:
    return date.fromisoformat(year_month_day).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (All(), [1, 2, 3]),
        (HasFlag(Flag.SEEN), [1]),
        (UNSEEN, [2, 3]),
        (HasFlag(Flag.DELETED), []),
        (HasKeyword("WORK"), [1, 3]),
        (HasKeyword("$label"), [1]),
        (HasKeyword("Wor"), []),
        (Not(HasKeyword("work")), [2]),
        (Recent(), [3]),
        (Numbered(make_set([(2, 9)])), [2, 3]),
        (Numbered(make_set([(STAR, STAR)])), [3]),
        (Numbered(make_set([(1, 1), (3, 3)]), uid=True), [1, 3]),
        (Numbered(make_set([(7, STAR)]), uid=True), [3]),
        (Numbered(make_set([(7, 8)]), uid=True), []),
        (Numbered(SAVED), [2]),
        (Numbered(SAVED, uid=True), [2]),
        (Larger(500), [2]),
        (Smaller(100), [3]),
        (Larger(len(BARE.raw)), [1, 2]),
        (Smaller(len(BARE.raw)), []),
        (Dated(DateOf.INTERNAL, TODAY, None), [2, 3]),
        (Dated(DateOf.INTERNAL, None, TODAY), [1]),
        (Dated(DateOf.INTERNAL, TODAY - 10, TODAY - 9), [1]),
        (Dated(DateOf.SENT, day("2026-07-14"), day("2026-07-15")), [1]),
        (Dated(DateOf.SENT, day("2026-07-13"), day("2026-07-14")), [2]),  # as it was written
        (Dated(DateOf.SENT, None, day("2030-01-01")), [1, 2]),  # who has no date has none
        (Dated(DateOf.SAVED, TODAY, None), [1, 2, 3]),
        (Dated(DateOf.SAVED, None, TODAY - 100), []),
        (Within(60, older=True), [1, 2]),
        (Within(60, older=False), [2, 3]),
        (Within(59, older=False), [3]),
        (HasAddress(AddressField.FROM, "ANN@"), [1]),
        (HasAddress(AddressField.FROM, "Ann Example <ann"), [1]),
        (HasAddress(AddressField.TO, "example"), [1, 2]),
        (HasAddress(AddressField.CC, "carol"), [2]),
        (HasAddress(AddressField.BCC, "Dan"), [3]),
        (HasAddress(AddressField.CC, ""), [2]),
        (HasSubject("GRÜSSE"), [1]),
        (HasSubject("re: f"), [2]),
        (HasSubject(""), [1, 2]),
        (HasHeader("SUBJECT", "figures"), [2]),
        (HasHeader("SUBJECT", ""), [1, 2]),
        (HasHeader("MESSAGE-ID", "<bare@example>"), [3]),
        (HasHeader("X-SPAM", ""), [1]),
        (HasHeader("X-SPAM", "NÖ"), [1]),
        (HasHeader("X-SPAM", "?q?"), [1]),
        (HasHeader("X-SPAM", "no"), []),
        (HasHeader("REFERENCES", "<A@B>"), [1]),
        (HasText("STRASSE", body_only=True), [1]),
        (HasText("figures", body_only=True), []),
        (HasText("figures", body_only=False), [2]),
        (SaveDateSupported(), [1, 2, 3]),
        (HasEmailId("M00000000000000000000000000000000"), []),
        (HasThreadId("T0"), []),
        (Not(All()), []),
        (Or(HasSubject("figures"), HasFlag(Flag.SEEN)), [1, 2]),
        (Or(HasText("figures", body_only=False), HasHeader("X-SPAM", "")), [1, 2]),
        (And((UNSEEN, HasKeyword("work"))), [3]),
        (And((HasText("example", body_only=False), HasSubject("e"), UNSEEN)), [2]),
        (And((And((All(), UNSEEN)), Not(Or(Recent(), HasFlag(Flag.SEEN))))), [2]),
        (Not(And((UNSEEN, HasText("nothing", body_only=True)))), [1, 2]),
        (And(()), [1, 2, 3]),
    ],
)
async def test_key(key: SearchKey, found: list[int]) -> None:
    room = await messages()
    await room.select(first_recent=3)
    room.conversation.saved = (2, 77)
    assert [place + 1 for place in (await find(room.conversation, key)).places] == found


async def test_ids_and_modseqs() -> None:
    room = await messages()
    second = room.entries[1]
    summary = (await room.store.summaries(room.view.snapshot))[1]
    assert [*(await find(room.conversation, HasEmailId(f"M{second.message_id.hex}"))).places] == [1]
    assert [*(await find(room.conversation, HasThreadId(f"T{summary.thread}"))).places] == [1]
    assert [*(await find(room.conversation, ModifiedSince(second.modseq))).places] == [
        place for place, entry in enumerate(room.entries) if entry.modseq >= second.modseq
    ]
    assert Extension.CONDSTORE in room.conversation.enabled


# --- what is read


class Watched(MemoryMailStore):
    """Notes what it was asked, and fails where a test wants it to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.failing = False

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        self.asked.append("summaries")
        if self.failing:
            raise StoreUnavailable("marked-detail")
        return await super().summaries(snapshot)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        self.asked.append(f"{len(message_ids)} headers")
        return await super().headers(account_id, message_ids)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[int]:
        self.asked.append("containing")
        return await super().containing(snapshot, text, part)


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        (And((UNSEEN, Larger(1), Dated(DateOf.INTERNAL, 1, None))), []),
        (And((HasSubject("x"), Not(All()))), []),
        (And((HasSubject("figures"), Dated(DateOf.SENT, 1, None))), ["summaries"]),
        (HasText("x", body_only=True), ["containing"]),
        (And((HasHeader("X-SPAM", ""), UNSEEN)), ["2 headers"]),
        (And((HasHeader("X-SPAM", ""), HasSubject("figures"))), ["summaries", "1 headers"]),
        (And((HasText("x", body_only=True), HasText("x", body_only=True))), ["containing"]),
        (Or(HasText("x", body_only=True), HasSubject("x")), ["summaries", "containing"]),
    ],
)
async def test_no_more_is_read_than_the_keys_need(key: SearchKey, asked: list[str]) -> None:
    store = Watched()
    room = await open_mailroom(ANN, BOB, BARE, store=store)
    await find(room.conversation, key)
    assert store.asked == asked


async def test_long_value_of_a_field_is_searched_to_its_end() -> None:
    ids = "\r\n ".join(f"<{number:060}@example.org>" for number in range(100))
    room = await open_mailroom(factories.simple(headers=(f"References: {ids}",)))
    assert [*(await find(room.conversation, HasHeader("REFERENCES", f"<{99:060}@example.org>"))).places] == [0]


async def test_message_that_is_gone_keeps_its_number_and_matches_what_memory_knows() -> None:
    room = await messages()
    await room.expunge(1)
    room.view.advance(await room.store.refresh(room.view.snapshot), may_expunge=False)
    assert [*(await find(room.conversation, HasSubject("figures"))).places] == [1]
    assert [*(await find(room.conversation, All())).places] == [0, 1, 2]
    assert [*(await find(room.conversation, HasText("nothing", body_only=True))).places] == [2]
    spoken = await room.ask(on_fetch, Fetch("a", "FETCH", make_set([(1, STAR)]), (Item("UID"),)))
    assert [*spoken.fetched] == [1, 2, 3]


# --- answers


async def searched(room: Mailroom, key: SearchKey, *returning: str, verb: str = "SEARCH", **more: object) -> Spoken:
    options = frozenset(returning) if returning else None
    return await room.ask(on_search, Search("a1", verb, key, options, **more))  # type: ignore[arg-type]


async def ten() -> Mailroom:
    """UIDs 11 to 20."""
    room = await open_mailroom(*[BARE] * 20)
    await room.expunge(*range(1, 11))
    await room.select()
    return room


SOME = Numbered(make_set([(2, 3), (5, 5), (8, 10)]))


async def test_old_answers() -> None:
    room = await ten()
    assert (await searched(room, SOME)).line == "* SEARCH 2 3 5 8 9 10"
    assert (await searched(room, SOME, verb="UID SEARCH")).line == "* SEARCH 12 13 15 18 19 20"
    assert (await searched(room, Not(All()))).line == "* SEARCH"
    modseq = room.entries[9].modseq
    assert (await searched(room, And((SOME, ModifiedSince(1))))).line == f"* SEARCH 2 3 5 8 9 10 (MODSEQ {modseq})"
    assert (await searched(room, And((Not(All()), ModifiedSince(1))))).line == "* SEARCH"


async def test_rev2_has_no_old_answers() -> None:
    room = await ten()
    room.conversation.enabled.add(Extension.REV2)
    assert (await searched(room, SOME)).line == '* ESEARCH (TAG "a1") ALL 2:3,5,8:10'
    assert (await searched(room, SOME, verb="UID SEARCH")).line == '* ESEARCH (TAG "a1") UID ALL 12:13,15,18:20'
    assert (await searched(room, Not(All()))).line == '* ESEARCH (TAG "a1")'


@pytest.mark.parametrize(
    ("returning", "line"),
    [
        (["MIN"], "MIN 2"),
        (["MAX"], "MAX 10"),
        (["ALL"], "ALL 2:3,5,8:10"),
        (["COUNT"], "COUNT 6"),
        (["COUNT", "MAX", "MIN", "ALL"], "MIN 2 MAX 10 ALL 2:3,5,8:10 COUNT 6"),
        (["SAVE", "COUNT"], "COUNT 6"),
    ],
)
async def test_esearch(returning: list[str], line: str) -> None:
    assert (await searched(await ten(), SOME, *returning)).line == f'* ESEARCH (TAG "a1") {line}'


async def test_esearch_of_nothing() -> None:
    room = await ten()
    assert (await searched(room, Not(All()), "MIN", "MAX", "ALL")).line == '* ESEARCH (TAG "a1")'
    spoken = await searched(room, Not(All()), "COUNT", "MIN", verb="UID SEARCH")
    assert spoken.line == '* ESEARCH (TAG "a1") UID COUNT 0'


@pytest.mark.parametrize(
    ("partial", "told"),
    [
        ((1, 2), "(1:2 2:3)"),
        ((2, 4), "(2:4 3,5,8)"),
        ((6, 99), "(6:99 10)"),
        ((7, 9), "(7:9 NIL)"),
        ((-1, -2), "(-1:-2 9:10)"),
        ((-9, -5), "(-9:-5 2:3)"),
    ],
)
async def test_partial(partial: tuple[int, int], told: str) -> None:
    spoken = await searched(await ten(), SOME, "PARTIAL", partial=partial)
    assert spoken.line == f'* ESEARCH (TAG "a1") PARTIAL {told}'


@pytest.mark.parametrize(
    ("returning", "places"),
    [
        (["MIN"], [1]),
        (["MAX"], [9]),
        (["MIN", "MAX"], [1, 9]),
        (["MIN", "COUNT"], [1, 2, 4, 7, 8, 9]),
        (["ALL"], [1, 2, 4, 7, 8, 9]),
        (["PARTIAL"], [2, 4]),
        (["PARTIAL", "MAX"], [2, 4, 9]),
        (["PARTIAL", "COUNT"], [1, 2, 4, 7, 8, 9]),
    ],
)
async def test_what_is_saved_and_whose_modseq_counts(returning: list[str], places: list[int]) -> None:
    room = await ten()
    entries = [entry._replace(modseq=100 - entry.uid) for entry in room.entries]
    room.view._entries = EntryList(entries)
    key, partial = And((SOME, ModifiedSince(1))), (2, 3) if "PARTIAL" in returning else None
    spoken = await searched(room, key, *returning, "SAVE", partial=partial)
    assert room.conversation.saved == tuple(entries[place].uid for place in places)
    assert spoken.line.endswith(f" MODSEQ {entries[places[0]].modseq}")


async def test_save_alone_is_silent_and_its_result_can_be_used() -> None:
    room = await ten()
    spoken = await searched(room, SOME, "SAVE")
    assert (spoken.octets, spoken.answer.status) == (b"", "OK")
    assert (await searched(room, And((Numbered(SAVED), Numbered(make_set([(1, 4)])))))).line == "* SEARCH 2 3"
    await searched(room, Not(All()), "SAVE")
    assert room.conversation.saved == ()


async def test_search_without_save_leaves_what_was_saved() -> None:
    room = await ten()
    await searched(room, SOME, "SAVE", "MIN")
    await searched(room, All(), "ALL")
    assert room.conversation.saved == (12,)


async def test_save_that_fails_leaves_nothing_saved() -> None:
    store = Watched()
    room = await open_mailroom(BARE, store=store)
    await searched(room, All(), "SAVE")
    store.failing = True
    for returning, saved in ((("ALL",), (1,)), (("SAVE",), ())):
        with pytest.raises(StoreUnavailable):
            await searched(room, HasSubject("x"), *returning)
        assert room.conversation.saved == saved


# --- a model

ENTRIES = [
    Entry(
        uid, MessageId(UUID(int=uid)), uid * 10, uid % 32, ("a",) if uid % 3 else ("a", "b"), uid * 50_000, uid % 7, uid
    )
    for uid in range(2, 80, 3)
]
SUMMARIES = [
    Summary(f"s{entry.uid % 5}", "<f@x>", "", "", "", entry.uid * 70_000 if entry.uid % 4 else None, 60, "", (), "t")
    for entry in ENTRIES
]
FLAGS = st.sampled_from([int(flag) for flag in Flag])
LEAVES: st.SearchStrategy[SearchKey] = st.one_of(
    st.just(All()),
    st.builds(HasFlag, FLAGS),
    st.builds(HasKeyword, st.sampled_from("abc")),
    st.builds(Larger, st.integers(0, 800)),
    st.builds(Smaller, st.integers(0, 800)),
    st.builds(ModifiedSince, st.integers(0, 8)),
    st.builds(HasSubject, st.sampled_from(["s1", "s2", "s", "x"])),
    st.builds(
        Dated, st.sampled_from([DateOf.INTERNAL, DateOf.SENT]), st.none() | st.integers(0, 60), st.integers(0, 60)
    ),
    st.builds(
        lambda pairs, uid: Numbered(make_set(pairs), uid),
        st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90) | st.just(STAR)), max_size=4),
        st.booleans(),
    ),
)
KEYS = st.recursive(
    LEAVES,
    lambda keys: st.one_of(
        st.builds(Not, keys), st.builds(Or, keys, keys), st.builds(And, st.lists(keys, max_size=3).map(tuple))
    ),
    max_leaves=12,
)


def holds(key: SearchKey, place: int) -> bool:  # noqa: C901 - a table
    """One message, one key, as the RFC says it."""
    entry, summary = ENTRIES[place], SUMMARIES[place]
    match key:
        case All():
            return True
        case HasFlag(flag):
            return bool(entry.flags & flag)
        case HasKeyword(keyword):
            return keyword in entry.keywords
        case Larger(octets):
            return entry.size > octets
        case Smaller(octets):
            return entry.size < octets
        case ModifiedSince(modseq):
            return entry.modseq >= modseq
        case HasSubject(text):
            return text in summary.subject
        case Dated(of, first, end):
            seconds = entry.internal_date if of is DateOf.INTERNAL else summary.date
            days = None if seconds is None else (seconds + (3600 if of is DateOf.SENT else 0)) // DAY
            return days is not None and (first is None or first <= days) and (end is None or days < end)
        case Numbered(numbers, uid):
            number, largest = (entry.uid, ENTRIES[-1].uid) if uid else (place + 1, len(ENTRIES))
            return any(
                min(first, largest) <= number <= min(last, largest)
                for first, last in numbers.ranges
                if first <= largest or last == STAR
            )
        case Not(inside):
            return not holds(inside, place)
        case Or(one, other):
            return holds(one, place) or holds(other, place)
        case And(inside):
            return all(holds(each, place) for each in inside)
    raise AssertionError(key)


@given(KEYS, st.sets(st.integers(0, len(ENTRIES) - 1)))
def test_keys_match_as_one_message_after_the_other_would(key: SearchKey, places: set[int]) -> None:
    known = Known(ENTRIES, bytes(entry.flags for entry in ENTRIES), summaries=SUMMARIES)
    assert [*match(key, known, sorted(places))] == [place for place in sorted(places) if holds(key, place)]
    assert [*match(key, known, range(len(ENTRIES)))] == [place for place in range(len(ENTRIES)) if holds(key, place)]
