"""FETCH: every item, modifiers, implicit \\Seen, batches, expunged messages and store errors."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from relate_imap.commands import Attribute, BinarySize, Body, Fetch, Item, Section, SectionText
from relate_imap.conversation import Extension
from relate_imap.fetch import contents
from relate_imap.fetch.contents import UnfinishedLiteral
from relate_imap.handlers import fetch
from relate_imap.handlers.fetch import on_fetch
from relate_imap.selected.sequence_set import SAVED, STAR, SequenceSet, make_set
from relate_imap.selected.updates import pending_updates
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore, MemoryRawMessage
from relate_mailstore.types import AccountId, Flag, FlagChange, MessageId, NewMessage, Rendering, Uid
from tests.support import corpus, factories
from tests.support.factories import uids
from tests.unit.imap.handler_harness import ACCOUNT, NOW, HandlerHarness, HandlerResult, open_harness

SIMPLE = factories.simple()
TEXT = b"A short text.\r\n"
EVERYTHING = make_set([(1, STAR)])
WHOLE = Body(Section(), b"BODY[]", peek=True)


def command(
    *attributes: Attribute | str, sequence_set: SequenceSet = EVERYTHING, verb: str = "FETCH", **modifiers: object
) -> Fetch:
    items = tuple(Item(each) if isinstance(each, str) else each for each in attributes)
    return Fetch("a1", verb, sequence_set, items, **modifiers)  # type: ignore[arg-type]


async def fetched(harness: HandlerHarness, *attributes: Attribute | str, **more: object) -> HandlerResult:
    return await harness.execute(on_fetch, command(*attributes, **more))  # type: ignore[arg-type]


async def one(*attributes: Attribute | str, raw: bytes = SIMPLE) -> HandlerResult:
    return await fetched(await open_harness(raw), *attributes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UID", b"UID 1"),
        ("FLAGS", b"FLAGS (\\Seen \\Draft $Label)"),
        ("INTERNALDATE", b'INTERNALDATE "14-Jul-2026 03:33:20 +0000"'),
        ("RFC822.SIZE", b"RFC822.SIZE %d" % len(SIMPLE)),
        ("PREVIEW", b'PREVIEW "A short text."'),
        ("BODY", b'BODY ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 15 1)'),
        ("BODYSTRUCTURE", b'BODYSTRUCTURE ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 15 1 NIL NIL NIL NIL)'),
    ],
)
async def test_entry_items(name: str, value: bytes) -> None:
    harness = await open_harness(NewMessage(SIMPLE, Flag.SEEN | Flag.DRAFT, ("$Label",), NOW))
    assert (await fetched(harness, name)).octets == b"* 1 FETCH (%b)\r\n" % value


@pytest.mark.parametrize("partial", [None, (0, 10), (5, 100_000), (100_000, 1)])
@pytest.mark.parametrize("text", SectionText)
@pytest.mark.parametrize("part", ["", "1", "1.1", "2", "7"])
async def test_buffered_and_streamed_responses_are_equal(
    part: str, text: SectionText, partial: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await open_harness(factories.multipart() + b"\0")
    body = Body(Section(part, text, ("SUBJECT", "TO")), b"BODY[x]", peek=True, partial=partial)
    small = await fetched(harness, "UID", body, WHOLE)
    monkeypatch.setattr(contents, "COALESCE_OCTETS", 0)
    large = await fetched(harness, "UID", body, WHOLE)
    assert small.octets == large.octets
    assert small.tagged == large.tagged


async def test_store_generated_items() -> None:
    harness = await open_harness(SIMPLE)
    [entry] = harness.entries
    [rendering] = await harness.store.renderings(ACCOUNT, [entry.message_id])
    assert rendering is not None
    result = await fetched(harness, "MODSEQ", "EMAILID", "THREADID", "ENVELOPE")
    assert result.octets == b"* 1 FETCH (MODSEQ (%d) EMAILID (M%b) THREADID (T%b) ENVELOPE %b)\r\n" % (
        entry.modseq,
        entry.message_id.hex.encode(),
        rendering.thread.encode(),
        rendering.envelope,
    )
    assert (await fetched(harness, "SAVEDATE")).fetched[1]["SAVEDATE"]


async def test_single_digit_day_is_padded_with_space() -> None:
    harness = await open_harness(NewMessage(SIMPLE, 0, (), 0))
    assert (
        await fetched(harness, "INTERNALDATE")
    ).octets == b'* 1 FETCH (INTERNALDATE " 1-Jan-1970 00:00:00 +0000")\r\n'


async def test_recent_is_omitted_for_rev2() -> None:
    harness = await open_harness(SIMPLE, SIMPLE)
    await harness.select(first_recent=2)
    assert (await fetched(harness, "FLAGS")).octets == b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Recent))\r\n"
    harness.conversation.enabled.add(Extension.REV2)
    assert (await fetched(harness, "FLAGS")).octets == b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\n"


async def test_preview_is_quoted_utf8_only_if_enabled() -> None:
    harness = await open_harness(factories.simple(body="grüßt"))
    assert (await fetched(harness, "PREVIEW")).octets == "* 1 FETCH (PREVIEW {7}\r\ngrüßt)\r\n".encode()
    harness.conversation.enabled.add(Extension.UTF8)
    assert (await fetched(harness, "PREVIEW")).octets == '* 1 FETCH (PREVIEW "grüßt")\r\n'.encode()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (Body(Section(), b"RFC822"), b"RFC822 {%d}\r\n%b" % (len(SIMPLE), SIMPLE)),
        (Body(Section("", SectionText.TEXT), b"BODY[TEXT]"), b"BODY[TEXT] {15}\r\n" + TEXT),
        (Body(Section("", SectionText.TEXT), b"BODY[TEXT]", partial=(2, 5)), b"BODY[TEXT]<2> {5}\r\nshort"),
        (Body(Section("", SectionText.TEXT), b"BODY[TEXT]", partial=(13, 99)), b"BODY[TEXT]<13> {2}\r\n\r\n"),
        (Body(Section("", SectionText.TEXT), b"BODY[TEXT]", partial=(15, 1)), b"BODY[TEXT]<15> {0}\r\n"),
        (Body(Section("1"), b"BODY[1]"), b"BODY[1] {15}\r\n" + TEXT),
        (Body(Section("2"), b"BODY[2]"), b"BODY[2] NIL"),
        (Body(Section("2"), b"BODY[2]", partial=(0, 9)), b"BODY[2]<0> NIL"),
        (Body(Section("1", SectionText.TEXT), b"BODY[1.TEXT]"), b"BODY[1.TEXT] NIL"),
        (
            Body(Section("", SectionText.FIELDS, ("TO",)), b"BODY[HEADER.FIELDS (To)]"),
            b"BODY[HEADER.FIELDS (To)] {37}\r\nTo: Bob Example <bob@example.net>\r\n\r\n",
        ),
        (
            Body(Section("", SectionText.FIELDS, ("TO",)), b"BODY[HEADER.FIELDS (%)]", partial=(4, 3)),
            b"BODY[HEADER.FIELDS (%)]<4> {3}\r\nBob",
        ),
        (BinarySize(Section("1"), b"BINARY.SIZE[1]"), b"BINARY.SIZE[1] 15"),
        (BinarySize(Section(), b"BINARY.SIZE[]"), b"BINARY.SIZE[] %d" % len(SIMPLE)),
        (BinarySize(Section("9"), b"BINARY.SIZE[9]"), b"BINARY.SIZE[9] 0"),
        (Body(Section("9"), b"BINARY[9]", binary=True), b"BINARY[9] NIL"),
    ],
)
async def test_body_sections(body: Body | BinarySize, answer: bytes) -> None:
    harness = await open_harness(NewMessage(SIMPLE, Flag.SEEN))
    assert (await fetched(harness, body)).octets == b"* 1 FETCH (" + answer + b")\r\n"


async def test_bodies_follow_other_items() -> None:
    result = await one(WHOLE, "UID", Body(Section("1"), b"BODY[1]", peek=True), "FLAGS")
    assert result.octets == b"* 1 FETCH (UID 1 FLAGS () BODY[] {%d}\r\n%b BODY[1] {15}\r\n%b)\r\n" % (
        len(SIMPLE),
        SIMPLE,
        TEXT,
    )


async def test_repeated_attribute_is_sent_once() -> None:
    assert (await one("UID", "UID", WHOLE, WHOLE)).octets.count(b"BODY[]") == 1


async def test_nul_is_sent_only_in_binary() -> None:
    raw = b"Content-Type: application/x; y\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b"
    result = await one(Body(Section("1"), b"BODY[1]", peek=True), raw=raw)
    assert result.octets == b"* 1 FETCH (BODY[1] {3}\r\na\x80b)\r\n"
    result = await one(Body(Section("1"), b"BINARY[1]", peek=True, binary=True), raw=raw)
    assert result.octets == b"* 1 FETCH (BINARY[1] ~{3}\r\na\0b)\r\n"
    result = await one(Body(Section(), b"BINARY[]", peek=True, binary=True), raw=raw)
    assert result.octets == b"* 1 FETCH (BINARY[] ~{%d}\r\n%b)\r\n" % (len(raw), raw)


async def test_unknown_encoding_is_no_and_others_are_sent() -> None:
    odd = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n" + b"x" * 100_000
    harness = await open_harness(odd, SIMPLE)
    for body in (Body(Section("1"), b"BINARY[1]", peek=True, binary=True), BinarySize(Section("1"), b"BINARY.SIZE[1]")):
        result = await fetched(harness, WHOLE, body)
        assert [*result.fetched] == [2]
        assert (result.tagged.status, result.tagged.code) == ("NO", "UNKNOWN-CTE")


# --- implicit \Seen


async def test_fetch_sets_seen_and_sends_flags() -> None:
    harness = await open_harness(SIMPLE, NewMessage(SIMPLE, Flag.SEEN))
    before = harness.selected.snapshot
    result = await fetched(harness, Body(Section("", SectionText.TEXT), b"BODY[TEXT]"))
    assert [values["FLAGS"] for values in result.fetched.values()] == [(b"\\Seen",), (b"\\Seen",)]
    after = await harness.store.refresh(before)
    assert after.mailbox.highest_modseq == before.mailbox.highest_modseq + 1
    assert not harness.selected.advance(after, may_expunge=True).changed  # it was announced


async def test_flags_are_sent_once_with_modseq_for_condstore() -> None:
    harness = await open_harness(SIMPLE)
    harness.conversation.enabled.add(Extension.CONDSTORE)
    result = await fetched(harness, "FLAGS", Body(Section(), b"BODY[]"))
    modseq = (await harness.store.snapshot(ACCOUNT)).entries[0].modseq
    assert result.octets.startswith(b"* 1 FETCH (FLAGS (\\Seen) MODSEQ (%d) BODY[] " % modseq)


async def test_peek_and_read_only_mailbox_keep_flags() -> None:
    harness = await open_harness(SIMPLE)
    await fetched(harness, WHOLE)
    await harness.select(read_only=True)
    result = await fetched(harness, Body(Section(), b"BODY[]"))
    assert b"FLAGS" not in result.octets
    assert (await harness.store.snapshot(ACCOUNT)).entries == harness.entries


# --- modifiers


async def test_uid_fetch_sends_uids() -> None:
    harness = await open_harness(SIMPLE, SIMPLE, SIMPLE)
    await harness.expunge(1)
    await harness.select()
    result = await fetched(harness, "FLAGS", verb="UID FETCH", sequence_set=make_set([(3, STAR)]))
    assert result.octets == b"* 2 FETCH (UID 3 FLAGS ())\r\n"


async def test_changedsince_sends_modseq_and_enables_condstore() -> None:
    harness = await open_harness(SIMPLE, SIMPLE)
    modseq = harness.selected.snapshot.mailbox.highest_modseq
    await harness.store.set_flags(ACCOUNT, harness.selected.snapshot.mailbox.id, uids(2), FlagChange(add=Flag.FLAGGED))
    await harness.select()
    result = await fetched(harness, "FLAGS", changed_since=modseq)
    assert result.octets == b"* 2 FETCH (FLAGS (\\Flagged) MODSEQ (%d))\r\n" % (modseq + 1)
    assert Extension.CONDSTORE in harness.conversation.enabled


async def test_modseq_enables_condstore() -> None:
    harness = await open_harness(SIMPLE)
    await fetched(harness, "UID")
    assert not harness.conversation.enabled
    await fetched(harness, "MODSEQ")
    assert harness.conversation.enabled == {Extension.CONDSTORE}


async def test_vanished_requires_qresync() -> None:
    harness = await open_harness(SIMPLE)
    result = await fetched(harness, "FLAGS", verb="UID FETCH", changed_since=1, vanished=True)
    assert result.tagged.status == "BAD"


@pytest.mark.parametrize(
    ("sequence_set", "expected"), [(EVERYTHING, b"2:3"), (make_set([(3, 4)]), b"3"), (SAVED, b"2")]
)
async def test_vanished_lists_requested_expunged_uids(sequence_set: SequenceSet, expected: bytes) -> None:
    harness = await open_harness(SIMPLE, SIMPLE, SIMPLE, SIMPLE)
    harness.conversation.enabled.add(Extension.QRESYNC)
    harness.conversation.saved_uids = (Uid(1), Uid(2))
    modseq = harness.selected.snapshot.mailbox.highest_modseq
    await harness.expunge(2, 3)
    await harness.select()
    result = await fetched(
        harness, "FLAGS", verb="UID FETCH", sequence_set=sequence_set, changed_since=modseq, vanished=True
    )
    assert result.octets == b"* VANISHED (EARLIER) %b\r\n" % expected


@pytest.mark.parametrize(
    ("partial", "uids"),
    [((1, 2), [1, 2]), ((3, 2), [2, 3]), ((5, 9), []), ((-1, -1), [4]), ((-2, -9), [1, 2, 3]), ((-5, -9), [])],
)
async def test_partial_selects_page_of_messages(partial: tuple[int, int], uids: list[int]) -> None:
    harness = await open_harness(*[SIMPLE] * 4)
    assert [*(await fetched(harness, "UID", verb="UID FETCH", partial=partial)).fetched] == uids


async def test_fetch_accepts_saved_result() -> None:
    harness = await open_harness(*[SIMPLE] * 3)
    harness.conversation.saved_uids = (Uid(1), Uid(3), Uid(9))
    assert [*(await fetched(harness, "UID", sequence_set=SAVED)).fetched] == [1, 3]


async def test_invalid_number_is_bad() -> None:
    harness = await open_harness(SIMPLE)
    assert (await fetched(harness, "UID", sequence_set=make_set([(2, 2)]))).tagged.status == "BAD"
    assert (await fetched(harness, "UID", verb="UID FETCH", sequence_set=make_set([(2, 2)]))).tagged.status == "OK"


# --- telemetry


@pytest.mark.parametrize(
    ("body", "retrieved"),
    [
        (WHOLE, 2),
        (Body(Section("", SectionText.TEXT), b"RFC822.TEXT"), 2),
        (Body(Section("1"), b"BINARY[1]", binary=True), 2),
        (Body(Section("1", SectionText.MIME), b"BODY[1.MIME]"), 0),
        (Body(Section("", SectionText.HEADER), b"RFC822.HEADER", peek=True), 0),
        (BinarySize(Section("1"), b"BINARY.SIZE[1]"), 0),
        (Item("BODYSTRUCTURE"), 0),
    ],
)
async def test_sent_content_counts_as_retrieved(body: Attribute, retrieved: int) -> None:
    result = await fetched(await open_harness(SIMPLE, SIMPLE), body)
    assert result.tagged.facts.messages_retrieved == retrieved


# --- many and large messages


@pytest.mark.parametrize(
    "attribute", ["FLAGS", "ENVELOPE", Body(Section("", SectionText.HEADER), b"RFC822.HEADER"), WHOLE]
)
async def test_batches_keep_message_order(attribute: Attribute | str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (
        "FLAGS_BATCH_MESSAGES",
        "RENDERINGS_BATCH_MESSAGES",
        "HEADERS_BATCH_MESSAGES",
        "BODIES_BATCH_MESSAGES",
    ):
        monkeypatch.setattr(fetch, limit, 3)
    messages = [factories.simple(f"Number {number}") for number in range(10)]
    result = await fetched(await open_harness(*messages), "UID", attribute)
    assert [(number, values["UID"]) for number, values in result.fetched.items()] == [
        (number, b"%d" % number) for number in range(1, 11)
    ]


async def test_large_message_is_streamed() -> None:
    raw = corpus.odd()["binary"].replace(b"\0", b"\1")
    harness = await open_harness(raw)
    answer = await on_fetch(harness.conversation, command(WHOLE))
    assert answer.body is not None
    chunks = [chunk async for chunk in answer.body if isinstance(chunk, bytes)]
    assert b"".join(chunks) == b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(raw), raw)
    assert max(map(len, chunks)) < 2 * 65_536 + 100


# --- expunged messages and store errors


class FailingStore(MemoryMailStore):
    """A store that fails for one message, or loses one."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: MessageId | None = None
        self.readable_octets = 0
        self.expunged_id: MessageId | None = None
        self.opened: list[tuple[int, int]] = []  # (opened, prefetched) messages per call

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[MemoryRawMessage | None]:
        self.opened.append((len(message_ids), len(ahead)))
        opened = await super().open_all(account_id, message_ids, ahead)
        return [
            BrokenMessage(raw.raw, raw.origin, self.readable_octets) if raw and message_id == self.unreadable else raw
            for message_id, raw in zip(message_ids, opened, strict=True)
        ]

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        renderings = await super().renderings(account_id, message_ids)
        return [
            None if message_id == self.expunged_id else rendering
            for message_id, rendering in zip(message_ids, renderings, strict=True)
        ]


class BrokenMessage(MemoryRawMessage):
    """Fails after a number of octets."""

    def __init__(self, raw: bytes, origin: str | None, readable_octets: int) -> None:
        super().__init__(raw, origin)
        object.__setattr__(self, "readable_octets", readable_octets)

    @property
    def buffered(self) -> bytes | None:
        return None

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        if readable_octets := getattr(self, "readable_octets", 0):
            yield self.raw[:readable_octets]
        raise StoreUnavailable("marked-detail")

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        raise StoreUnavailable("marked-detail")


async def test_expunged_message_is_skipped_unless_cached() -> None:
    harness = await open_harness(SIMPLE, SIMPLE, SIMPLE)
    await harness.expunge(2)
    assert [*(await fetched(harness, "FLAGS")).fetched] == [1, 2, 3]
    header = Body(Section("", SectionText.HEADER), b"BODY[HEADER]", peek=True)
    for attribute in ("ENVELOPE", WHOLE, header, Body(Section(), b"BODY[]")):
        result = await fetched(harness, "UID", attribute)
        assert [*result.fetched] == [1, 3]
        assert (result.tagged.status, result.tagged.code) == ("OK", "EXPUNGEISSUED")


async def test_message_expunged_between_queries_is_skipped() -> None:
    store = FailingStore()
    harness = await open_harness(factories.simple("One"), factories.simple("Two"), store=store)
    store.expunged_id = harness.entries[0].message_id
    header = Body(Section("", SectionText.FIELDS, ("SUBJECT",)), b"BODY[HEADER.FIELDS (SUBJECT)]", peek=True)
    result = await fetched(harness, "PREVIEW", header)
    assert [*result.fetched] == [2]
    assert b"Subject: Two" in result.octets


async def test_store_error_between_messages_is_tagged_no() -> None:
    store = FailingStore()
    harness = await open_harness(SIMPLE, SIMPLE, SIMPLE, store=store)
    store.unreadable = harness.entries[1].message_id
    result = await fetched(harness, WHOLE)
    assert [*result.fetched] == [1]
    assert result.tagged.status == "NO"
    assert result.tagged.trouble is not None
    assert result.tagged.facts.messages_retrieved == 1


async def test_unsent_flags_become_pending_updates() -> None:
    store = FailingStore()
    harness = await open_harness(SIMPLE, SIMPLE, store=store)
    store.unreadable = harness.entries[1].message_id
    await fetched(harness, Body(Section(), b"BODY[]"))
    assert b"* 2 FETCH (FLAGS (\\Seen))" in await pending_updates(harness.conversation, "FETCH")


async def test_sent_flags_are_not_pending_updates() -> None:
    harness = await open_harness(SIMPLE, SIMPLE)
    await fetched(harness, Body(Section(), b"BODY[]"))
    assert await pending_updates(harness.conversation, "FETCH") == b""


async def test_store_error_within_literal_is_raised() -> None:
    store, raw = FailingStore(), corpus.odd()["binary"]
    harness = await open_harness(raw, store=store)
    store.unreadable, store.readable_octets = harness.entries[0].message_id, 100_000
    answer = await on_fetch(harness.conversation, command(WHOLE))
    assert answer.body is not None
    with pytest.raises(UnfinishedLiteral):
        async for _ in answer.body:
            pass


async def test_bodies_are_opened_in_batches_and_prefetched() -> None:
    store = FailingStore()
    harness = await open_harness(*[SIMPLE] * 150, store=store)
    assert [*(await fetched(harness, WHOLE)).fetched] == [*range(1, 151)]
    assert store.opened == [(64, 64), (64, 22), (22, 0)]


async def test_body_batches_are_limited_in_octets() -> None:
    store = FailingStore()
    harness = await open_harness(*[factories.big(400_000)] * 3, SIMPLE, factories.big(1_500_000), SIMPLE, store=store)
    await fetched(harness, WHOLE)
    assert store.opened == [(2, 2), (2, 1), (1, 1), (1, 0)]


async def test_sequential_fetches_prefetch_following_messages() -> None:
    store = FailingStore()
    harness = await open_harness(*[SIMPLE] * 100, store=store)
    for number in range(1, 101):
        await on_fetch(harness.conversation, replace(command(WHOLE), sequence_set=make_set([(number, number)])))
    assert {together for together, _ in store.opened} == {1}
    assert {number: ahead for number, (_, ahead) in enumerate(store.opened, 1) if ahead} == {1: 64, 33: 32, 65: 3}


@pytest.mark.parametrize("raw", corpus.odd().values(), ids=corpus.odd())
async def test_odd_messages_have_parseable_responses(raw: bytes) -> None:
    harness = await open_harness(raw)
    sections = [Section("", text) for text in (SectionText.CONTENT, SectionText.HEADER, SectionText.TEXT)]
    bodies = [Body(section, f"BODY[{section.text}]".encode(), peek=True) for section in sections]
    binary = Body(Section("1"), b"BINARY[1]", peek=True, binary=True)
    size = BinarySize(Section("1"), b"BINARY.SIZE[1]")
    result = await fetched(harness, "ENVELOPE", "BODY", "BODYSTRUCTURE", "PREVIEW", *bodies)
    whole, header, text = (result.fetched[1][body.label.decode()] for body in bodies)
    assert whole == raw.replace(b"\0", b"\x80")
    assert isinstance(header, bytes)
    assert isinstance(text, bytes)
    assert header + text == whole
    result = await fetched(harness, binary, size)
    if result.tagged.status == "OK":
        decoded = result.fetched[1]["BINARY[1]"]
        assert result.fetched[1]["BINARY.SIZE[1]"] == b"%d" % len(decoded or b"")


async def test_fetch_one_by_one_while_others_expunge() -> None:
    harness = await open_harness(*[SIMPLE] * 300)
    uids = [entry.uid for entry in harness.entries]
    for uid in uids:
        result = await fetched(harness, WHOLE, sequence_set=make_set([(uid, uid)]), verb="UID FETCH")
        assert result.tagged.status == "OK"
        assert [attributes["UID"] for attributes in result.fetched.values()] == [b"%d" % uid]
        if uid % 10 == 0:
            await harness.expunge(uid)
            await pending_updates(harness.conversation, "NOOP")
    assert len(harness.selected) == 270
