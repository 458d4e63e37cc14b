"""Criteria of lists, apart and negated; counts; threads; pages by offset and in both directions."""

import pytest

from relate_mailstore.criteria import (
    Condition,
    Criterion,
    HasAttachment,
    HasFlag,
    HasKeyword,
    HasText,
    InMailbox,
    IsLarger,
    IsSince,
    Place,
)
from relate_mailstore.identifiers import thread_id
from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Destination,
    Flag,
    FlagChange,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
    Uid,
)
from tests.support.factories import big, delivery, multipart, simple

SECOND = 1_700_000_000
EVERYWHERE = MessageQuery(mailbox=None)


def subjects(page: MessagePage) -> list[str]:
    return [row.message.index.subject for row in page.items]


async def matching(store: MailStore, account: AccountId, *conditions: Condition, negated: bool = False) -> list[str]:
    criteria = tuple(Criterion(condition, negated) for condition in conditions)
    query = MessageQuery(mailbox=None, criteria=criteria)
    page = await store.find(account, query)
    assert (await store.counts(account, query)).total == len(page.items)
    return subjects(page)


async def deliver(store: MailStore, *to: AccountId | Destination, raw: bytes, at: int = SECOND) -> MessageId:
    return (await store.deliver(delivery(*to, raw=raw, internal_date=at))).message_id


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place.SUBJECT, "ÉTÉ"),
        (Place.FROM, "ann ex"),
        (Place.FROM, "<ann@"),
        (Place.TO, "bob@example.net"),
        (Place.CC, "Carol"),
    ],
)
async def test_a_text_is_found_in_its_field_only(store: MailStore, alice: AccountId, place: Place, text: str) -> None:
    raw = simple("L'été", sender="Ann Exact <ann@a.example>", cc="Carol <c@c.example>")
    await deliver(store, alice, raw=raw)
    assert await matching(store, alice, HasText(text, place)) == ["L'été"]
    assert await matching(store, alice, HasText(text)) == ["L'été"]
    for other in {*Place} - {place}:
        assert await matching(store, alice, HasText(text, other)) == []
        assert await matching(store, alice, HasText(text, other), negated=True) == ["L'été"]


async def test_a_text_does_not_span_two_fields(store: MailStore, alice: AccountId) -> None:
    await deliver(store, alice, raw=simple("one", sender="two@example.org"))
    for text in ("one <two", "one\n<two", "\n"):
        assert await matching(store, alice, HasText(text, Place.SUBJECT)) == []


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (HasFlag(Flag.SEEN), ["read"]),
        (HasFlag(Flag.FLAGGED), ["flagged"]),
        (HasKeyword("WORK"), ["flagged"]),
        (HasKeyword("wor"), []),
        (InMailbox("Sent"), ["big", "flagged"]),
        (InMailbox("Nowhere"), []),
        (HasAttachment(), ["attached"]),
        (IsSince(SECOND + 3), ["big", "attached"]),
        (IsLarger(len(simple("read"))), ["big", "attached", "flagged"]),
    ],
)
async def test_a_condition_and_its_negation_divide_the_mail(
    store: MailStore, alice: AccountId, condition: Condition, found: list[str]
) -> None:
    await deliver(store, Destination(alice, flags=Flag.SEEN), raw=simple("read"), at=SECOND + 1)
    flagged = Destination(alice, "Sent", flags=Flag.FLAGGED, keywords=("work", "home"))
    await deliver(store, flagged, raw=simple("flagged"), at=SECOND + 2)
    await deliver(store, alice, raw=multipart("attached"), at=SECOND + 3)
    await deliver(store, Destination(alice, "Sent"), raw=big(5_000).replace(b"Big", b"big", 1), at=SECOND + 4)
    everything = ["big", "attached", "flagged", "read"]
    assert await matching(store, alice, condition) == found
    assert await matching(store, alice, condition, negated=True) == [one for one in everything if one not in found]


async def test_criteria_are_combined_with_and_among_each_other_and_with_filters(
    store: MailStore, alice: AccountId
) -> None:
    for number in range(4):
        flags = Flag.FLAGGED if number > 1 else 0
        await deliver(store, Destination(alice, flags=flags), raw=simple(f"{number}"), at=SECOND + number)
    assert await matching(store, alice, IsSince(SECOND + 1), HasFlag(Flag.FLAGGED)) == ["3", "2"]
    query = MessageQuery(before=SECOND + 3, criteria=(Criterion(HasFlag(Flag.FLAGGED)),))
    assert subjects(await store.find(alice, query)) == ["2"]


async def test_counts_of_a_mailbox_follow_arrivals_flags_moves_and_deletions(
    store: MailStore, alice: AccountId
) -> None:
    ids = [await deliver(store, alice, raw=simple(f"{number}")) for number in range(4)]
    inbox = (await store.mailbox(alice)).id
    assert await store.counts(alice, MessageQuery()) == (4, 4)
    await store.flag_message(alice, ids[0], FlagChange(add=Flag.SEEN))
    assert await store.counts(alice, MessageQuery()) == (4, 3)
    await store.move(alice, inbox, [Uid(2)], "Archive")
    assert await store.counts(alice, MessageQuery()) == (3, 2)
    assert await store.counts(alice, MessageQuery("Archive")) == (1, 1)
    await store.delete_message(alice, ids[3])
    assert await store.counts(alice, MessageQuery()) == (2, 1)
    assert await store.counts(alice, MessageQuery("Nowhere")) == (0, 0)
    assert await store.counts(alice, EVERYWHERE) == (3, 2)


async def test_counts_are_of_all_pages_and_unread_ones_of_the_whole_mailbox(store: MailStore, alice: AccountId) -> None:
    for number in range(5):
        flags = Flag.SEEN if number < 2 else 0
        await deliver(store, Destination(alice, flags=flags), raw=simple(f"{number}"), at=SECOND + number)
    page = MessageQuery(limit=2, offset=2)
    assert await store.counts(alice, page) == MessageCounts(5, 3)
    assert await store.counts(alice, MessageQuery(before=SECOND + 1)) == MessageCounts(1, 3)
    assert await store.counts(alice, MessageQuery(seen=False, limit=1)) == MessageCounts(3, 3)
    assert await store.counts(alice, MessageQuery(text="nothing like it")) == MessageCounts(0, 3)


async def test_a_message_in_two_mailboxes_is_one_in_all(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await deliver(store, alice, Destination(alice, "Sent"), bob, raw=simple())
    assert await store.counts(alice, EVERYWHERE) == (1, 1)


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_offsets_and_cursors_lead_to_the_same_pages(
    store: MailStore, alice: AccountId, oldest_first: bool
) -> None:
    for number in range(5):
        await deliver(store, alice, raw=simple(f"{number}"), at=SECOND + number // 2)
    by_offset, by_cursor, cursor = list[str](), list[str](), None
    for offset in (0, 2, 4):
        page = await store.find(alice, MessageQuery(limit=2, offset=offset, oldest_first=oldest_first))
        by_offset += subjects(page)
        page = await store.find(alice, MessageQuery(limit=2, cursor=cursor, oldest_first=oldest_first))
        by_cursor, cursor = by_cursor + subjects(page), page.next_cursor
    assert by_offset == by_cursor == (list("01234") if oldest_first else list("43210"))
    assert cursor is None
    beyond = await store.find(alice, MessageQuery(offset=5))
    assert (beyond.items, beyond.next_cursor) == ((), None)


async def test_a_thread_has_the_messages_with_the_same_root(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    root = simple("root")
    reply = simple("reply", headers=("References: <simple@example.org>",)).replace(b"<simple@", b"<reply@", 1)
    other = simple("other").replace(b"<simple@", b"<other@")
    for account in (alice, bob):
        for number, raw in enumerate((root, reply, other)):
            await deliver(store, account, raw=raw, at=SECOND + number)
    (listed,) = (await store.find(alice, MessageQuery(criteria=(Criterion(HasText("root", Place.SUBJECT)),)))).items
    index = listed.message.index
    thread = thread_id(index.references, index.header_message_id, listed.message.id)
    query = MessageQuery(mailbox=None, thread=thread)
    assert subjects(await store.find(alice, query)) == ["reply", "root"]
    assert (await store.counts(alice, query)).total == 2
    for unknown in ("0" * 16, "", "\0", "\ud800"):
        assert subjects(await store.find(alice, MessageQuery(mailbox=None, thread=unknown))) == []


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\0b"])
async def test_a_text_that_no_message_can_have_finds_nothing(store: MailStore, alice: AccountId, text: str) -> None:
    await deliver(store, alice, raw=simple())
    for condition in (HasText(text), HasText(text, Place.FROM), HasKeyword(text), InMailbox(text)):
        assert await matching(store, alice, condition) == []
    assert await store.senders(alice, text) == []


async def test_senders_are_those_of_one_mailbox_each_once(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    for sender in ("b@example.org", "a@example.org", "b@example.org"):
        await deliver(store, Destination(alice, "Sent"), raw=simple(sender=sender))
    await deliver(store, alice, Destination(bob, "Sent"), raw=simple(sender="c@example.org"))
    await deliver(store, Destination(alice, "Sent"), raw=b"Subject: none\r\n\r\n")
    assert await store.senders(alice, "Sent") == ["a@example.org", "b@example.org"]
    assert await store.senders(alice, "inbox") == ["c@example.org"]
    assert await store.senders(alice, "Nowhere") == []
