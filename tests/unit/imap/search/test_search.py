"""SEARCH: every key on sample messages, the data that it loads, and every form of the response."""

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
from relate_imap.search import keys
from relate_imap.search.match import SearchData, match
from relate_imap.search.run import run_search
from relate_imap.selected.sequence_set import SAVED, STAR, make_set
from relate_mailstore.entry_list import EntryList
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import (
    AccountId,
    Entry,
    Flag,
    MessageId,
    ModSeq,
    NewMessage,
    Snapshot,
    Summary,
    TextPart,
    Uid,
)
from tests.support import factories
from tests.unit.imap.handler_harness import NOW, HandlerHarness, HandlerResult, open_harness

DAY_SECONDS = 86_400
TODAY = NOW // DAY_SECONDS
UNSEEN = keys.Not(keys.HasFlag(Flag.SEEN))

# Three messages that differ in everything; UIDs 1, 2 and 3.
ANN = NewMessage(
    factories.simple(
        "Grüße", headers=("X-Spam: =?utf-8?q?n=C3=B6?=", "References: <a@b>"), body="The Straße is long.\r\n"
    ),
    Flag.SEEN,
    ("$Label", "Work"),
    NOW - 10 * DAY_SECONDS,
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


async def messages() -> HandlerHarness:
    return await open_harness(ANN, BOB, BARE)


def day(year_month_day: str) -> int:
    return date.fromisoformat(year_month_day).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (keys.All(), [1, 2, 3]),
        (keys.HasFlag(Flag.SEEN), [1]),
        (UNSEEN, [2, 3]),
        (keys.HasFlag(Flag.DELETED), []),
        (keys.HasKeyword("WORK"), [1, 3]),
        (keys.HasKeyword("$label"), [1]),
        (keys.HasKeyword("Wor"), []),
        (keys.Not(keys.HasKeyword("work")), [2]),
        (keys.Recent(), [3]),
        (keys.InSequenceSet(make_set([(2, 9)])), [2, 3]),
        (keys.InSequenceSet(make_set([(STAR, STAR)])), [3]),
        (keys.InSequenceSet(make_set([(1, 1), (3, 3)]), uid=True), [1, 3]),
        (keys.InSequenceSet(make_set([(7, STAR)]), uid=True), [3]),
        (keys.InSequenceSet(make_set([(7, 8)]), uid=True), []),
        (keys.InSequenceSet(SAVED), [2]),
        (keys.InSequenceSet(SAVED, uid=True), [2]),
        (keys.Larger(500), [2]),
        (keys.Smaller(100), [3]),
        (keys.Larger(len(BARE.raw)), [1, 2]),
        (keys.Smaller(len(BARE.raw)), []),
        (keys.Dated(keys.DateOf.INTERNAL, TODAY, None), [2, 3]),
        (keys.Dated(keys.DateOf.INTERNAL, None, TODAY), [1]),
        (keys.Dated(keys.DateOf.INTERNAL, TODAY - 10, TODAY - 9), [1]),
        (keys.Dated(keys.DateOf.SENT, day("2026-07-14"), day("2026-07-15")), [1]),
        (keys.Dated(keys.DateOf.SENT, day("2026-07-13"), day("2026-07-14")), [2]),  # in the sender's zone
        (keys.Dated(keys.DateOf.SENT, None, day("2030-01-01")), [1, 2]),  # a message without a date matches no date
        (keys.Dated(keys.DateOf.SAVED, TODAY, None), [1, 2, 3]),
        (keys.Dated(keys.DateOf.SAVED, None, TODAY - 100), []),
        (keys.Within(60, older=True), [1, 2]),
        (keys.Within(60, older=False), [2, 3]),
        (keys.Within(59, older=False), [3]),
        (keys.HasAddress(keys.AddressField.FROM, "ANN@"), [1]),
        (keys.HasAddress(keys.AddressField.FROM, "Ann Example <ann"), [1]),
        (keys.HasAddress(keys.AddressField.TO, "example"), [1, 2]),
        (keys.HasAddress(keys.AddressField.CC, "carol"), [2]),
        (keys.HasAddress(keys.AddressField.BCC, "Dan"), [3]),
        (keys.HasAddress(keys.AddressField.CC, ""), [2]),
        (keys.HasSubject("GRÜSSE"), [1]),
        (keys.HasSubject("re: f"), [2]),
        (keys.HasSubject(""), [1, 2]),
        (keys.HasHeader("SUBJECT", "figures"), [2]),
        (keys.HasHeader("SUBJECT", ""), [1, 2]),
        (keys.HasHeader("MESSAGE-ID", "<bare@example>"), [3]),
        (keys.HasHeader("X-SPAM", ""), [1]),
        (keys.HasHeader("X-SPAM", "NÖ"), [1]),
        (keys.HasHeader("X-SPAM", "?q?"), [1]),
        (keys.HasHeader("X-SPAM", "no"), []),
        (keys.HasHeader("REFERENCES", "<A@B>"), [1]),
        (keys.HasText("STRASSE", body_only=True), [1]),
        (keys.HasText("figures", body_only=True), []),
        (keys.HasText("figures", body_only=False), [2]),
        (keys.SaveDateSupported(), [1, 2, 3]),
        (keys.HasEmailId("M00000000000000000000000000000000"), []),
        (keys.HasThreadId("T0"), []),
        (keys.Not(keys.All()), []),
        (keys.Or(keys.HasSubject("figures"), keys.HasFlag(Flag.SEEN)), [1, 2]),
        (keys.Or(keys.HasText("figures", body_only=False), keys.HasHeader("X-SPAM", "")), [1, 2]),
        (keys.And((UNSEEN, keys.HasKeyword("work"))), [3]),
        (keys.And((keys.HasText("example", body_only=False), keys.HasSubject("e"), UNSEEN)), [2]),
        (keys.And((keys.And((keys.All(), UNSEEN)), keys.Not(keys.Or(keys.Recent(), keys.HasFlag(Flag.SEEN))))), [2]),
        (keys.Not(keys.And((UNSEEN, keys.HasText("nothing", body_only=True)))), [1, 2]),
        (keys.And(()), [1, 2, 3]),
    ],
)
async def test_keys_match_messages(key: keys.SearchKey, found: list[int]) -> None:
    harness = await messages()
    await harness.select(first_recent=3)
    harness.conversation.saved_uids = (Uid(2), Uid(77))
    assert [position + 1 for position in (await run_search(harness.conversation, key)).positions] == found


async def test_id_and_modseq_keys() -> None:
    harness = await messages()
    second = harness.entries[1]
    summary = (await harness.store.summaries(harness.selected.snapshot))[1]
    assert [*(await run_search(harness.conversation, keys.HasEmailId(f"M{second.message_id.hex}"))).positions] == [1]
    assert [*(await run_search(harness.conversation, keys.HasThreadId(f"T{summary.thread}"))).positions] == [1]
    assert [*(await run_search(harness.conversation, keys.ModifiedSince(second.modseq))).positions] == [
        position for position, entry in enumerate(harness.entries) if entry.modseq >= second.modseq
    ]
    assert Extension.CONDSTORE in harness.conversation.enabled


# --- loaded data


class RecordingStore(MemoryMailStore):
    """Records calls, and fails on request."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.failing = False

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        self.calls.append("summaries")
        if self.failing:
            raise StoreUnavailable("marked-detail")
        return await super().summaries(snapshot)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        self.calls.append(f"{len(message_ids)} headers")
        return await super().headers(account_id, message_ids)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        self.calls.append("containing")
        return await super().containing(snapshot, text, part)


@pytest.mark.parametrize(
    ("key", "calls"),
    [
        (keys.And((UNSEEN, keys.Larger(1), keys.Dated(keys.DateOf.INTERNAL, 1, None))), []),
        (keys.And((keys.HasSubject("x"), keys.Not(keys.All()))), []),
        (keys.And((keys.HasSubject("figures"), keys.Dated(keys.DateOf.SENT, 1, None))), ["summaries"]),
        (keys.HasText("x", body_only=True), ["containing"]),
        (keys.And((keys.HasHeader("X-SPAM", ""), UNSEEN)), ["2 headers"]),
        (keys.And((keys.HasHeader("X-SPAM", ""), keys.HasSubject("figures"))), ["summaries", "1 headers"]),
        (keys.And((keys.HasText("x", body_only=True), keys.HasText("x", body_only=True))), ["containing"]),
        (keys.Or(keys.HasText("x", body_only=True), keys.HasSubject("x")), ["summaries", "containing"]),
    ],
)
async def test_search_queries_only_needed_data(key: keys.SearchKey, calls: list[str]) -> None:
    store = RecordingStore()
    harness = await open_harness(ANN, BOB, BARE, store=store)
    await run_search(harness.conversation, key)
    assert store.calls == calls


async def test_long_header_value_is_searched_completely() -> None:
    ids = "\r\n ".join(f"<{number:060}@example.org>" for number in range(100))
    harness = await open_harness(factories.simple(headers=(f"References: {ids}",)))
    assert [
        *(await run_search(harness.conversation, keys.HasHeader("REFERENCES", f"<{99:060}@example.org>"))).positions
    ] == [0]


async def test_expunged_message_keeps_number_and_matches_cached_data() -> None:
    harness = await messages()
    await harness.expunge(1)
    harness.selected.advance(await harness.store.refresh(harness.selected.snapshot), may_expunge=False)
    assert [*(await run_search(harness.conversation, keys.HasSubject("figures"))).positions] == [1]
    assert [*(await run_search(harness.conversation, keys.All())).positions] == [0, 1, 2]
    assert [*(await run_search(harness.conversation, keys.HasText("nothing", body_only=True))).positions] == [2]
    result = await harness.execute(on_fetch, Fetch("a", "FETCH", make_set([(1, STAR)]), (Item("UID"),)))
    assert [*result.fetched] == [1, 2, 3]


# --- responses


async def searched(
    harness: HandlerHarness, key: keys.SearchKey, *returning: str, verb: str = "SEARCH", **more: object
) -> HandlerResult:
    options = frozenset(returning) if returning else None
    return await harness.execute(on_search, Search("a1", verb, key, options, **more))  # type: ignore[arg-type]


async def ten_messages() -> HandlerHarness:
    """A mailbox with UIDs 11 to 20."""
    harness = await open_harness(*[BARE] * 20)
    await harness.expunge(*range(1, 11))
    await harness.select()
    return harness


SOME = keys.InSequenceSet(make_set([(2, 3), (5, 5), (8, 10)]))


async def test_untagged_search() -> None:
    harness = await ten_messages()
    assert (await searched(harness, SOME)).line == "* SEARCH 2 3 5 8 9 10"
    assert (await searched(harness, SOME, verb="UID SEARCH")).line == "* SEARCH 12 13 15 18 19 20"
    assert (await searched(harness, keys.Not(keys.All()))).line == "* SEARCH"
    modseq = harness.entries[9].modseq
    assert (
        await searched(harness, keys.And((SOME, keys.ModifiedSince(ModSeq(1)))))
    ).line == f"* SEARCH 2 3 5 8 9 10 (MODSEQ {modseq})"
    assert (await searched(harness, keys.And((keys.Not(keys.All()), keys.ModifiedSince(ModSeq(1)))))).line == "* SEARCH"


async def test_rev2_uses_esearch() -> None:
    harness = await ten_messages()
    harness.conversation.enabled.add(Extension.REV2)
    assert (await searched(harness, SOME)).line == '* ESEARCH (TAG "a1") ALL 2:3,5,8:10'
    assert (await searched(harness, SOME, verb="UID SEARCH")).line == '* ESEARCH (TAG "a1") UID ALL 12:13,15,18:20'
    assert (await searched(harness, keys.Not(keys.All()))).line == '* ESEARCH (TAG "a1")'


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
async def test_esearch_return_options(returning: list[str], line: str) -> None:
    assert (await searched(await ten_messages(), SOME, *returning)).line == f'* ESEARCH (TAG "a1") {line}'


async def test_esearch_with_empty_result() -> None:
    harness = await ten_messages()
    assert (await searched(harness, keys.Not(keys.All()), "MIN", "MAX", "ALL")).line == '* ESEARCH (TAG "a1")'
    result = await searched(harness, keys.Not(keys.All()), "COUNT", "MIN", verb="UID SEARCH")
    assert result.line == '* ESEARCH (TAG "a1") UID COUNT 0'


@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        ((1, 2), "(1:2 2:3)"),
        ((2, 4), "(2:4 3,5,8)"),
        ((6, 99), "(6:99 10)"),
        ((7, 9), "(7:9 NIL)"),
        ((-1, -2), "(-1:-2 9:10)"),
        ((-9, -5), "(-9:-5 2:3)"),
    ],
)
async def test_esearch_partial(partial: tuple[int, int], expected: str) -> None:
    result = await searched(await ten_messages(), SOME, "PARTIAL", partial=partial)
    assert result.line == f'* ESEARCH (TAG "a1") PARTIAL {expected}'


@pytest.mark.parametrize(
    ("returning", "positions"),
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
async def test_save_and_modseq_cover_returned_messages(returning: list[str], positions: list[int]) -> None:
    harness = await ten_messages()
    entries = [entry._replace(modseq=ModSeq(100 - entry.uid)) for entry in harness.entries]
    harness.selected._entries = EntryList(entries)
    key, partial = keys.And((SOME, keys.ModifiedSince(ModSeq(1)))), (2, 3) if "PARTIAL" in returning else None
    result = await searched(harness, key, *returning, "SAVE", partial=partial)
    assert harness.conversation.saved_uids == tuple(entries[position].uid for position in positions)
    assert result.line.endswith(f" MODSEQ {entries[positions[0]].modseq}")


async def test_save_alone_sends_nothing_and_sets_result() -> None:
    harness = await ten_messages()
    result = await searched(harness, SOME, "SAVE")
    assert (result.octets, result.tagged.status) == (b"", "OK")
    assert (
        await searched(harness, keys.And((keys.InSequenceSet(SAVED), keys.InSequenceSet(make_set([(1, 4)])))))
    ).line == "* SEARCH 2 3"
    await searched(harness, keys.Not(keys.All()), "SAVE")
    assert harness.conversation.saved_uids == ()


async def test_search_without_save_keeps_saved_result() -> None:
    harness = await ten_messages()
    await searched(harness, SOME, "SAVE", "MIN")
    await searched(harness, keys.All(), "ALL")
    assert harness.conversation.saved_uids == (12,)


async def test_failed_save_clears_saved_result() -> None:
    store = RecordingStore()
    harness = await open_harness(BARE, store=store)
    await searched(harness, keys.All(), "SAVE")
    store.failing = True
    for returning, saved in ((("ALL",), (1,)), (("SAVE",), ())):
        with pytest.raises(StoreUnavailable):
            await searched(harness, keys.HasSubject("x"), *returning)
        assert harness.conversation.saved_uids == saved


# --- a model

ENTRIES = [
    Entry(
        Uid(uid),
        MessageId(UUID(int=uid)),
        uid * 10,
        uid % 32,
        ("a",) if uid % 3 else ("a", "b"),
        uid * 50_000,
        ModSeq(uid % 7),
        uid,
    )
    for uid in range(2, 80, 3)
]
SUMMARIES = [
    Summary(f"s{entry.uid % 5}", "<f@x>", "", "", "", entry.uid * 70_000 if entry.uid % 4 else None, 60, "", (), "t")
    for entry in ENTRIES
]
FLAGS = st.sampled_from([int(flag) for flag in Flag])
LEAVES: st.SearchStrategy[keys.SearchKey] = st.one_of(
    st.just(keys.All()),
    st.builds(keys.HasFlag, FLAGS),
    st.builds(keys.HasKeyword, st.sampled_from("abc")),
    st.builds(keys.Larger, st.integers(0, 800)),
    st.builds(keys.Smaller, st.integers(0, 800)),
    st.builds(keys.ModifiedSince, st.integers(0, 8)),
    st.builds(keys.HasSubject, st.sampled_from(["s1", "s2", "s", "x"])),
    st.builds(
        keys.Dated,
        st.sampled_from([keys.DateOf.INTERNAL, keys.DateOf.SENT]),
        st.none() | st.integers(0, 60),
        st.integers(0, 60),
    ),
    st.builds(
        lambda pairs, uid: keys.InSequenceSet(make_set(pairs), uid),
        st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90) | st.just(STAR)), max_size=4),
        st.booleans(),
    ),
)
KEYS = st.recursive(
    LEAVES,
    lambda search_keys: st.one_of(
        st.builds(keys.Not, search_keys),
        st.builds(keys.Or, search_keys, search_keys),
        st.builds(keys.And, st.lists(search_keys, max_size=3).map(tuple)),
    ),
    max_leaves=12,
)


def matches(key: keys.SearchKey, position: int) -> bool:  # noqa: C901 - a table
    """Whether one message matches a key, per RFC."""
    entry, summary = ENTRIES[position], SUMMARIES[position]
    match key:
        case keys.All():
            return True
        case keys.HasFlag(flag):
            return bool(entry.flags & flag)
        case keys.HasKeyword(keyword):
            return keyword in entry.keywords
        case keys.Larger(octets):
            return entry.size > octets
        case keys.Smaller(octets):
            return entry.size < octets
        case keys.ModifiedSince(modseq):
            return entry.modseq >= modseq
        case keys.HasSubject(text):
            return text in summary.subject
        case keys.Dated(of, first, end):
            seconds = entry.internal_date if of is keys.DateOf.INTERNAL else summary.date
            days = None if seconds is None else (seconds + (3600 if of is keys.DateOf.SENT else 0)) // DAY_SECONDS
            return days is not None and (first is None or first <= days) and (end is None or days < end)
        case keys.InSequenceSet(numbers, uid):
            number, largest = (entry.uid, ENTRIES[-1].uid) if uid else (position + 1, len(ENTRIES))
            return any(
                min(first, largest) <= number <= min(last, largest)
                for first, last in numbers.ranges
                if first <= largest or last == STAR
            )
        case keys.Not(inside):
            return not matches(inside, position)
        case keys.Or(one, other):
            return matches(one, position) or matches(other, position)
        case keys.And(inside):
            return all(matches(each, position) for each in inside)
    raise AssertionError(key)


@given(KEYS, st.sets(st.integers(0, len(ENTRIES) - 1)))
def test_match_equals_per_message_model(key: keys.SearchKey, positions: set[int]) -> None:
    data = SearchData(EntryList(ENTRIES), summaries=SUMMARIES)
    assert [*match(key, data, sorted(positions))] == [
        position for position in sorted(positions) if matches(key, position)
    ]
    assert [*match(key, data, range(len(ENTRIES)))] == [
        position for position in range(len(ENTRIES)) if matches(key, position)
    ]
