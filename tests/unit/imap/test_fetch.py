"""FETCH: every attribute, what is owed beside it, what becomes of messages that are gone and of a store in trouble."""

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
from relate_imap.selected.updates import news
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore, MemoryRawMessage
from relate_mailstore.types import AccountId, Flag, FlagChange, MessageId, NewMessage, Rendering
from tests.support import corpus, factories
from tests.unit.imap.mailroom import ACCOUNT, NOW, Mailroom, Spoken, open_mailroom

SIMPLE = factories.simple()
TEXT = b"A short text.\r\n"
EVERYTHING = make_set([(1, STAR)])
WHOLE = Body(Section(), b"BODY[]", peek=True)


def command(
    *attributes: Attribute | str, numbers: SequenceSet = EVERYTHING, verb: str = "FETCH", **modifiers: object
) -> Fetch:
    items = tuple(Item(each) if isinstance(each, str) else each for each in attributes)
    return Fetch("a1", verb, numbers, items, **modifiers)  # type: ignore[arg-type]


async def fetched(room: Mailroom, *attributes: Attribute | str, **more: object) -> Spoken:
    return await room.ask(on_fetch, command(*attributes, **more))  # type: ignore[arg-type]


async def one(*attributes: Attribute | str, raw: bytes = SIMPLE) -> Spoken:
    return await fetched(await open_mailroom(raw), *attributes)


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
async def test_item(name: str, value: bytes) -> None:
    room = await open_mailroom(NewMessage(SIMPLE, Flag.SEEN | Flag.DRAFT, ("$Label",), NOW))
    assert (await fetched(room, name)).octets == b"* 1 FETCH (%b)\r\n" % value


@pytest.mark.parametrize("partial", [None, (0, 10), (5, 100_000), (100_000, 1)])
@pytest.mark.parametrize("text", SectionText)
@pytest.mark.parametrize("part", ["", "1", "1.1", "2", "7"])
async def test_small_and_large_messages_are_answered_alike(
    part: str, text: SectionText, partial: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await open_mailroom(factories.multipart() + b"\0")
    body = Body(Section(part, text, ("SUBJECT", "TO")), b"BODY[x]", peek=True, partial=partial)
    small = await fetched(room, "UID", body, WHOLE)
    monkeypatch.setattr(contents, "GATHERED", 0)
    large = await fetched(room, "UID", body, WHOLE)
    assert small.octets == large.octets
    assert small.answer == large.answer


async def test_items_that_the_store_chooses() -> None:
    room = await open_mailroom(SIMPLE)
    [entry] = room.entries
    [rendering] = await room.store.renderings(ACCOUNT, [entry.message_id])
    assert rendering is not None
    spoken = await fetched(room, "MODSEQ", "EMAILID", "THREADID", "ENVELOPE")
    assert spoken.octets == b"* 1 FETCH (MODSEQ (%d) EMAILID (M%b) THREADID (T%b) ENVELOPE %b)\r\n" % (
        entry.modseq,
        entry.message_id.hex.encode(),
        rendering.thread.encode(),
        rendering.envelope,
    )
    assert (await fetched(room, "SAVEDATE")).fetched[1]["SAVEDATE"]


async def test_first_date_of_a_month_has_a_space() -> None:
    room = await open_mailroom(NewMessage(SIMPLE, 0, (), 0))
    assert (await fetched(room, "INTERNALDATE")).octets == b'* 1 FETCH (INTERNALDATE " 1-Jan-1970 00:00:00 +0000")\r\n'


async def test_recent_is_for_those_who_know_it() -> None:
    room = await open_mailroom(SIMPLE, SIMPLE)
    await room.select(first_recent=2)
    assert (await fetched(room, "FLAGS")).octets == b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Recent))\r\n"
    room.conversation.enabled.add(Extension.REV2)
    assert (await fetched(room, "FLAGS")).octets == b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\n"


async def test_preview_is_utf8_only_where_that_is_enabled() -> None:
    room = await open_mailroom(factories.simple(body="grüßt"))
    assert (await fetched(room, "PREVIEW")).octets == "* 1 FETCH (PREVIEW {7}\r\ngrüßt)\r\n".encode()
    room.conversation.enabled.add(Extension.UTF8)
    assert (await fetched(room, "PREVIEW")).octets == '* 1 FETCH (PREVIEW "grüßt")\r\n'.encode()


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
async def test_section(body: Body | BinarySize, answer: bytes) -> None:
    room = await open_mailroom(NewMessage(SIMPLE, Flag.SEEN))
    assert (await fetched(room, body)).octets == b"* 1 FETCH (" + answer + b")\r\n"


async def test_columns_come_first_and_contents_after_them() -> None:
    spoken = await one(WHOLE, "UID", Body(Section("1"), b"BODY[1]", peek=True), "FLAGS")
    assert spoken.octets == b"* 1 FETCH (UID 1 FLAGS () BODY[] {%d}\r\n%b BODY[1] {15}\r\n%b)\r\n" % (
        len(SIMPLE),
        SIMPLE,
        TEXT,
    )


async def test_attribute_named_twice_is_answered_once() -> None:
    assert (await one("UID", "UID", WHOLE, WHOLE)).octets.count(b"BODY[]") == 1


async def test_nul_is_told_only_in_binary() -> None:
    raw = b"Content-Type: application/x; y\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b"
    spoken = await one(Body(Section("1"), b"BODY[1]", peek=True), raw=raw)
    assert spoken.octets == b"* 1 FETCH (BODY[1] {3}\r\na\x80b)\r\n"
    spoken = await one(Body(Section("1"), b"BINARY[1]", peek=True, binary=True), raw=raw)
    assert spoken.octets == b"* 1 FETCH (BINARY[1] ~{3}\r\na\0b)\r\n"
    spoken = await one(Body(Section(), b"BINARY[]", peek=True, binary=True), raw=raw)
    assert spoken.octets == b"* 1 FETCH (BINARY[] ~{%d}\r\n%b)\r\n" % (len(raw), raw)


async def test_binary_of_an_unknown_encoding_is_no_and_the_others_come() -> None:
    odd = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n" + b"x" * 100_000
    room = await open_mailroom(odd, SIMPLE)
    for body in (Body(Section("1"), b"BINARY[1]", peek=True, binary=True), BinarySize(Section("1"), b"BINARY.SIZE[1]")):
        spoken = await fetched(room, WHOLE, body)
        assert [*spoken.fetched] == [2]
        assert (spoken.answer.status, spoken.answer.code) == ("NO", "UNKNOWN-CTE")


# --- what is read is seen


async def test_fetch_marks_seen_and_tells_the_new_flags_in_the_same_response() -> None:
    room = await open_mailroom(SIMPLE, NewMessage(SIMPLE, Flag.SEEN))
    before = room.view.snapshot
    spoken = await fetched(room, Body(Section("", SectionText.TEXT), b"BODY[TEXT]"))
    assert [values["FLAGS"] for values in spoken.fetched.values()] == [(b"\\Seen",), (b"\\Seen",)]
    after = await room.store.refresh(before)
    assert after.mailbox.highest_modseq == before.mailbox.highest_modseq + 1
    assert not room.view.advance(after, may_expunge=True).changed  # it was told


async def test_flags_come_once_and_with_modseq_where_condstore_is_on() -> None:
    room = await open_mailroom(SIMPLE)
    room.conversation.enabled.add(Extension.CONDSTORE)
    spoken = await fetched(room, "FLAGS", Body(Section(), b"BODY[]"))
    modseq = (await room.store.snapshot(ACCOUNT)).entries[0].modseq
    assert spoken.octets.startswith(b"* 1 FETCH (FLAGS (\\Seen) MODSEQ (%d) BODY[] " % modseq)


async def test_fetch_marks_nothing_with_peek_or_in_a_mailbox_for_reading_only() -> None:
    room = await open_mailroom(SIMPLE)
    await fetched(room, WHOLE)
    await room.select(read_only=True)
    spoken = await fetched(room, Body(Section(), b"BODY[]"))
    assert b"FLAGS" not in spoken.octets
    assert (await room.store.snapshot(ACCOUNT)).entries == room.entries


# --- modifiers


async def test_uid_fetch_tells_uids() -> None:
    room = await open_mailroom(SIMPLE, SIMPLE, SIMPLE)
    await room.expunge(1)
    await room.select()
    spoken = await fetched(room, "FLAGS", verb="UID FETCH", numbers=make_set([(3, STAR)]))
    assert spoken.octets == b"* 2 FETCH (UID 3 FLAGS ())\r\n"


async def test_changedsince_tells_modseq_and_enables_condstore() -> None:
    room = await open_mailroom(SIMPLE, SIMPLE)
    modseq = room.view.snapshot.mailbox.highest_modseq
    await room.store.set_flags(ACCOUNT, room.view.snapshot.mailbox.id, [2], FlagChange(add=Flag.FLAGGED))
    await room.select()
    spoken = await fetched(room, "FLAGS", changed_since=modseq)
    assert spoken.octets == b"* 2 FETCH (FLAGS (\\Flagged) MODSEQ (%d))\r\n" % (modseq + 1)
    assert Extension.CONDSTORE in room.conversation.enabled


async def test_modseq_enables_condstore() -> None:
    room = await open_mailroom(SIMPLE)
    await fetched(room, "UID")
    assert not room.conversation.enabled
    await fetched(room, "MODSEQ")
    assert room.conversation.enabled == {Extension.CONDSTORE}


async def test_vanished_needs_qresync() -> None:
    room = await open_mailroom(SIMPLE)
    spoken = await fetched(room, "FLAGS", verb="UID FETCH", changed_since=1, vanished=True)
    assert spoken.answer.status == "BAD"


@pytest.mark.parametrize(("numbers", "told"), [(EVERYTHING, b"2:3"), (make_set([(3, 4)]), b"3"), (SAVED, b"2")])
async def test_vanished_tells_what_is_gone_of_what_was_asked_for(numbers: SequenceSet, told: bytes) -> None:
    room = await open_mailroom(SIMPLE, SIMPLE, SIMPLE, SIMPLE)
    room.conversation.enabled.add(Extension.QRESYNC)
    room.conversation.saved = (1, 2)
    modseq = room.view.snapshot.mailbox.highest_modseq
    await room.expunge(2, 3)
    await room.select()
    spoken = await fetched(room, "FLAGS", verb="UID FETCH", numbers=numbers, changed_since=modseq, vanished=True)
    assert spoken.octets == b"* VANISHED (EARLIER) %b\r\n" % told


@pytest.mark.parametrize(
    ("partial", "uids"),
    [((1, 2), [1, 2]), ((3, 2), [2, 3]), ((5, 9), []), ((-1, -1), [4]), ((-2, -9), [1, 2, 3]), ((-5, -9), [])],
)
async def test_partial_is_a_page_of_the_messages(partial: tuple[int, int], uids: list[int]) -> None:
    room = await open_mailroom(*[SIMPLE] * 4)
    assert [*(await fetched(room, "UID", verb="UID FETCH", partial=partial)).fetched] == uids


async def test_saved_result() -> None:
    room = await open_mailroom(*[SIMPLE] * 3)
    room.conversation.saved = (1, 3, 9)
    assert [*(await fetched(room, "UID", numbers=SAVED)).fetched] == [1, 3]


async def test_number_of_no_message_is_bad() -> None:
    room = await open_mailroom(SIMPLE)
    assert (await fetched(room, "UID", numbers=make_set([(2, 2)]))).answer.status == "BAD"
    assert (await fetched(room, "UID", verb="UID FETCH", numbers=make_set([(2, 2)]))).answer.status == "OK"


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
async def test_messages_count_as_retrieved_when_their_content_was_sent(body: Attribute, retrieved: int) -> None:
    spoken = await fetched(await open_mailroom(SIMPLE, SIMPLE), body)
    assert spoken.answer.facts.messages_retrieved == retrieved


# --- many, and long ones


@pytest.mark.parametrize(
    "attribute", ["FLAGS", "ENVELOPE", Body(Section("", SectionText.HEADER), b"RFC822.HEADER"), WHOLE]
)
async def test_all_messages_come_in_order_however_they_are_batched(
    attribute: Attribute | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("FROM_MEMORY", "RENDERED", "WITH_HEADERS", "WITH_BODIES"):
        monkeypatch.setattr(fetch, limit, 3)
    messages = [factories.simple(f"Number {number}") for number in range(10)]
    spoken = await fetched(await open_mailroom(*messages), "UID", attribute)
    assert [(number, values["UID"]) for number, values in spoken.fetched.items()] == [
        (number, b"%d" % number) for number in range(1, 11)
    ]


async def test_long_message_is_never_held_whole() -> None:
    raw = corpus.odd()["binary"].replace(b"\0", b"\1")
    room = await open_mailroom(raw)
    answer = await on_fetch(room.conversation, command(WHOLE))
    assert answer.body is not None
    chunks = [chunk async for chunk in answer.body if isinstance(chunk, bytes)]
    assert b"".join(chunks) == b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(raw), raw)
    assert max(map(len, chunks)) < 2 * 65_536 + 100


# --- what is gone, and what fails


class Failing(MemoryMailStore):
    """A store that fails, or loses messages, where a test wants it to."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: MessageId | None = None
        self.reach = 0
        self.lost: MessageId | None = None
        self.opened: list[tuple[int, int]] = []  # so many together, so many ahead

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[MemoryRawMessage | None]:
        self.opened.append((len(message_ids), len(ahead)))
        opened = await super().open_all(account_id, message_ids, ahead)
        return [
            Broken(raw.raw, raw.origin, self.reach) if raw and message_id == self.unreadable else raw
            for message_id, raw in zip(message_ids, opened, strict=True)
        ]

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        renderings = await super().renderings(account_id, message_ids)
        return [
            None if message_id == self.lost else rendering
            for message_id, rendering in zip(message_ids, renderings, strict=True)
        ]


class Broken(MemoryRawMessage):
    """Comes only so far."""

    def __init__(self, raw: bytes, origin: str | None, reach: int) -> None:
        super().__init__(raw, origin)
        object.__setattr__(self, "reach", reach)

    @property
    def buffered(self) -> bytes | None:
        return None

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        if reach := getattr(self, "reach", 0):
            yield self.raw[:reach]
        raise StoreUnavailable("marked-detail")

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        raise StoreUnavailable("marked-detail")


async def test_message_that_is_gone_is_left_out_and_what_memory_has_is_still_told() -> None:
    room = await open_mailroom(SIMPLE, SIMPLE, SIMPLE)
    await room.expunge(2)
    assert [*(await fetched(room, "FLAGS")).fetched] == [1, 2, 3]
    header = Body(Section("", SectionText.HEADER), b"BODY[HEADER]", peek=True)
    for attribute in ("ENVELOPE", WHOLE, header, Body(Section(), b"BODY[]")):
        spoken = await fetched(room, "UID", attribute)
        assert [*spoken.fetched] == [1, 3]
        assert (spoken.answer.status, spoken.answer.code) == ("OK", "EXPUNGEISSUED")


async def test_message_gone_between_two_questions_is_left_out_of_both() -> None:
    store = Failing()
    room = await open_mailroom(factories.simple("One"), factories.simple("Two"), store=store)
    store.lost = room.entries[0].message_id
    header = Body(Section("", SectionText.FIELDS, ("SUBJECT",)), b"BODY[HEADER.FIELDS (SUBJECT)]", peek=True)
    spoken = await fetched(room, "PREVIEW", header)
    assert [*spoken.fetched] == [2]
    assert b"Subject: Two" in spoken.octets


async def test_trouble_between_two_messages_is_a_tagged_no() -> None:
    store = Failing()
    room = await open_mailroom(SIMPLE, SIMPLE, SIMPLE, store=store)
    store.unreadable = room.entries[1].message_id
    spoken = await fetched(room, WHOLE)
    assert [*spoken.fetched] == [1]
    assert spoken.answer.status == "NO"
    assert spoken.answer.trouble is not None
    assert spoken.answer.facts.messages_retrieved == 1


async def test_flags_that_were_not_told_for_trouble_are_told_as_news() -> None:
    store = Failing()
    room = await open_mailroom(SIMPLE, SIMPLE, store=store)
    store.unreadable = room.entries[1].message_id
    await fetched(room, Body(Section(), b"BODY[]"))
    assert b"* 2 FETCH (FLAGS (\\Seen))" in await news(room.conversation, "FETCH")


async def test_flags_that_were_told_are_no_news() -> None:
    room = await open_mailroom(SIMPLE, SIMPLE)
    await fetched(room, Body(Section(), b"BODY[]"))
    assert await news(room.conversation, "FETCH") == b""


async def test_trouble_within_a_literal_ends_everything() -> None:
    store, raw = Failing(), corpus.odd()["binary"]
    room = await open_mailroom(raw, store=store)
    store.unreadable, store.reach = room.entries[0].message_id, 100_000
    answer = await on_fetch(room.conversation, command(WHOLE))
    assert answer.body is not None
    with pytest.raises(UnfinishedLiteral):
        async for _ in answer.body:
            pass


async def test_bodies_are_opened_together_and_the_next_ones_ahead() -> None:
    store = Failing()
    room = await open_mailroom(*[SIMPLE] * 150, store=store)
    assert [*(await fetched(room, WHOLE)).fetched] == [*range(1, 151)]
    assert store.opened == [(64, 64), (64, 22), (22, 0)]


async def test_no_more_octets_are_opened_together_than_fit_into_memory() -> None:
    store = Failing()
    room = await open_mailroom(*[factories.big(400_000)] * 3, SIMPLE, factories.big(1_500_000), SIMPLE, store=store)
    await fetched(room, WHOLE)
    assert store.opened == [(2, 2), (2, 1), (1, 1), (1, 0)]


async def test_who_reads_one_by_one_in_order_has_the_next_ones_fetched_meanwhile() -> None:
    store = Failing()
    room = await open_mailroom(*[SIMPLE] * 100, store=store)
    for number in range(1, 101):
        await on_fetch(room.conversation, replace(command(WHOLE), numbers=make_set([(number, number)])))
    assert {together for together, _ in store.opened} == {1}
    assert {number: ahead for number, (_, ahead) in enumerate(store.opened, 1) if ahead} == {1: 64, 33: 32, 65: 3}


@pytest.mark.parametrize("raw", corpus.odd().values(), ids=corpus.odd())
async def test_whatever_a_message_is_its_response_can_be_read(raw: bytes) -> None:
    room = await open_mailroom(raw)
    sections = [Section("", text) for text in (SectionText.CONTENT, SectionText.HEADER, SectionText.TEXT)]
    bodies = [Body(section, f"BODY[{section.text}]".encode(), peek=True) for section in sections]
    binary = Body(Section("1"), b"BINARY[1]", peek=True, binary=True)
    size = BinarySize(Section("1"), b"BINARY.SIZE[1]")
    spoken = await fetched(room, "ENVELOPE", "BODY", "BODYSTRUCTURE", "PREVIEW", *bodies)
    whole, header, text = (spoken.fetched[1][body.label.decode()] for body in bodies)
    assert whole == raw.replace(b"\0", b"\x80")
    assert isinstance(header, bytes)
    assert isinstance(text, bytes)
    assert header + text == whole
    spoken = await fetched(room, binary, size)
    if spoken.answer.status == "OK":
        decoded = spoken.fetched[1]["BINARY[1]"]
        assert spoken.fetched[1]["BINARY.SIZE[1]"] == b"%d" % len(decoded or b"")


async def test_messages_fetched_one_by_one_are_all_answered_while_every_tenth_is_expunged() -> None:
    room = await open_mailroom(*[SIMPLE] * 300)
    uids = [entry.uid for entry in room.entries]
    for uid in uids:
        spoken = await fetched(room, WHOLE, numbers=make_set([(uid, uid)]), verb="UID FETCH")
        assert spoken.answer.status == "OK"
        assert [attributes["UID"] for attributes in spoken.fetched.values()] == [b"%d" % uid]
        if uid % 10 == 0:
            await room.expunge(uid)
            await news(room.conversation, "NOOP")
    assert len(room.view) == 270
