"""Lists: newest first, filters alone and combined, pages without gaps or repetitions."""

import pytest

from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Destination,
    Flag,
    FlagChange,
    ListedMessage,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
)
from tests.support.factories import delivery, multipart, simple

SECOND = 1_700_000_000


def subjects(page: MessagePage) -> list[str]:
    return [row.message.index.subject for row in page.items]


async def deliver(
    store: MailStore, destination: AccountId | Destination, subject: str, received: int = SECOND
) -> MessageId:
    receipt = await store.deliver(delivery(destination, raw=simple(subject), internal_date=received))
    return receipt.message_id


async def read_pages(store: MailStore, account: AccountId, query: MessageQuery) -> list[MessagePage]:
    pages = [await store.find(account, query)]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(await store.find(account, MessageQuery(limit=query.limit, cursor=cursor)))
    return pages


async def test_the_newest_message_is_first(store: MailStore, alice: AccountId) -> None:
    for number in range(5):
        await deliver(store, alice, f"{number}", received=SECOND + number)
    assert subjects(await store.find(alice, MessageQuery())) == ["4", "3", "2", "1", "0"]


async def test_within_a_second_the_last_delivered_message_is_first(store: MailStore, alice: AccountId) -> None:
    for number in range(5):
        await deliver(store, alice, f"{number}")
    assert subjects(await store.find(alice, MessageQuery())) == ["4", "3", "2", "1", "0"]


async def test_rows_equal_the_result_of_message(store: MailStore, alice: AccountId) -> None:
    destinations = (
        Destination(alice, flags=Flag.SEEN, keywords=("b",)),
        Destination(alice, "Sent", flags=Flag.DRAFT, keywords=("a", "b")),
    )
    receipt = await store.deliver(delivery(*destinations, raw=multipart(), origin="00-1-2-01"))
    (row,) = (await store.find(alice, MessageQuery())).items
    assert row == await store.message(alice, receipt.message_id)
    assert row == ListedMessage(row.message, Flag.DRAFT, ("a", "b"), ("INBOX", "Sent"))


async def test_one_mailbox_or_all_are_listed(store: MailStore, alice: AccountId) -> None:
    await deliver(store, alice, "in")
    await deliver(store, Destination(alice, "Sent"), "out")
    await store.deliver(delivery(alice, Destination(alice, "Sent"), raw=simple("both"), internal_date=SECOND))
    assert subjects(await store.find(alice, MessageQuery())) == ["both", "in"]
    assert subjects(await store.find(alice, MessageQuery(mailbox="Sent"))) == ["both", "out"]
    assert subjects(await store.find(alice, MessageQuery(mailbox="Trash"))) == []
    assert subjects(await store.find(alice, MessageQuery(mailbox=None))) == ["both", "out", "in"]


async def test_mail_of_another_account_is_not_found(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await deliver(store, alice, "hers")
    await deliver(store, bob, "his")
    assert subjects(await store.find(alice, MessageQuery(mailbox=None))) == ["hers"]
    assert subjects(await store.find(bob, MessageQuery(mailbox=None, text="hers"))) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("budget", id="subject"),
        pytest.param("BUDGET", id="subject in another case"),
        pytest.param("ündige", id="not ascii"),
        pytest.param("GRÜNDIGE", id="not ascii in another case"),
        pytest.param("ann ex", id="name of the sender"),
        pytest.param("ann@EXAMPLE.org", id="address of the sender"),
        pytest.param("bob ex", id="name of a recipient"),
        pytest.param("bob@example.net", id="address of a recipient"),
        pytest.param("carol", id="recipient of a copy"),
        pytest.param("fountain pen", id="preview"),
    ],
)
async def test_sender_recipients_subject_and_preview_are_searched(
    store: MailStore, alice: AccountId, text: str
) -> None:
    raw = simple(
        "Gründige Budget review",
        sender="Ann Exact <ann@example.org>",
        to="Bob Expert <bob@example.net>",
        cc="carol@example.com",
        body="Please bring a fountain pen.\r\n",
    )
    other = simple("Other", sender="dora@example.com", to="emil@example.com", body="Nothing.\r\n")
    await store.deliver(delivery(alice, raw=raw))
    await store.deliver(delivery(alice, raw=other))
    assert subjects(await store.find(alice, MessageQuery(text=text))) == ["Gründige Budget review"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100%", ["100% wool"]),
        ("%", ["100% wool"]),
        ("snake_case", ["snake_case"]),
        ("_", ["snake_case"]),
        ("a_b", []),
        ("\\", ["back\\slash"]),
        ("'", ["it's"]),
        ("*", ["a*b"]),
        ("a?b", []),
        ("100% w", ["100% wool"]),
    ],
)
async def test_text_has_no_wildcards(store: MailStore, alice: AccountId, text: str, expected: list[str]) -> None:
    for subject in ("100% wool", "100 percent wool", "snake_case", "snakecase", "back\\slash", "it's", "a*b", "axb"):
        await deliver(store, alice, subject)
    assert subjects(await store.find(alice, MessageQuery(text=text))) == expected


async def test_since_is_inclusive_and_before_is_exclusive(store: MailStore, alice: AccountId) -> None:
    for number in range(5):
        await deliver(store, alice, f"{number}", received=SECOND + number)
    since, before = SECOND + 1, SECOND + 3
    assert subjects(await store.find(alice, MessageQuery(since=since))) == ["4", "3", "2", "1"]
    assert subjects(await store.find(alice, MessageQuery(before=before))) == ["2", "1", "0"]
    assert subjects(await store.find(alice, MessageQuery(since=since, before=before))) == ["2", "1"]


async def test_the_seen_filter_has_three_values(store: MailStore, alice: AccountId) -> None:
    await deliver(store, Destination(alice, flags=Flag.SEEN | Flag.FLAGGED), "read")
    await deliver(store, Destination(alice, flags=Flag.FLAGGED), "unread")
    assert subjects(await store.find(alice, MessageQuery(seen=True))) == ["read"]
    assert subjects(await store.find(alice, MessageQuery(seen=False))) == ["unread"]
    assert subjects(await store.find(alice, MessageQuery())) == ["unread", "read"]


async def test_the_attachment_filter_has_three_values(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice, raw=multipart("with"), internal_date=SECOND))
    await deliver(store, alice, "without")
    assert subjects(await store.find(alice, MessageQuery(has_attachments=True))) == ["with"]
    assert subjects(await store.find(alice, MessageQuery(has_attachments=False))) == ["without"]
    assert subjects(await store.find(alice, MessageQuery())) == ["without", "with"]


async def test_a_keyword_is_matched_whole(store: MailStore, alice: AccountId) -> None:
    await deliver(store, Destination(alice, keywords=("work", "urgent")), "one")
    await deliver(store, Destination(alice, keywords=("homework",)), "two")
    await deliver(store, Destination(alice, keywords=("w_rk",)), "three")
    assert subjects(await store.find(alice, MessageQuery(keyword="work"))) == ["one"]
    assert subjects(await store.find(alice, MessageQuery(keyword="urgent"))) == ["one"]
    assert subjects(await store.find(alice, MessageQuery(keyword="w_rk"))) == ["three"]
    assert subjects(await store.find(alice, MessageQuery(keyword="wor"))) == []


async def test_filters_use_the_current_flags(store: MailStore, alice: AccountId) -> None:
    message_id = await deliver(store, alice, "one")
    await store.flag_message(alice, message_id, FlagChange(add=Flag.SEEN, add_keywords=("done",)))
    assert subjects(await store.find(alice, MessageQuery(seen=False))) == []
    assert subjects(await store.find(alice, MessageQuery(seen=True, keyword="done"))) == ["one"]


async def test_mail_to_oneself_is_unread_until_the_copy_in_inbox_is_read(store: MailStore, alice: AccountId) -> None:
    await deliver(store, Destination(alice, "Sent", flags=Flag.SEEN), "to another")
    sent = Destination(alice, "Sent", flags=Flag.SEEN)
    await store.deliver(delivery(alice, sent, raw=simple("to myself")))
    for mailbox in (None, "INBOX", "Sent"):
        (unread,) = (await store.find(alice, MessageQuery(mailbox=mailbox, seen=False))).items
        assert (unread.message.index.subject, unread.flags) == ("to myself", 0)
    assert subjects(await store.find(alice, MessageQuery(mailbox=None, seen=True))) == ["to another"]
    assert (await store.counts(alice, MessageQuery(seen=False))) == MessageCounts(1, 1)
    inbox = await store.snapshot(alice)
    await store.set_flags(alice, inbox.mailbox.id, [inbox.entries[0].uid], FlagChange(add=Flag.SEEN))
    assert subjects(await store.find(alice, MessageQuery(seen=False))) == []
    assert subjects(await store.find(alice, MessageQuery(mailbox="INBOX", seen=True))) == ["to myself"]


async def test_filters_are_combined_with_and(store: MailStore, alice: AccountId) -> None:
    await deliver(store, Destination(alice, flags=Flag.SEEN, keywords=("a",)), "tea", SECOND)
    await deliver(store, Destination(alice, keywords=("a",)), "tea", SECOND + 1)
    await deliver(store, Destination(alice, flags=Flag.SEEN), "tea", SECOND + 2)
    await deliver(store, Destination(alice, flags=Flag.SEEN, keywords=("a",)), "coffee", SECOND + 3)
    query = MessageQuery(text="tea", seen=True, keyword="a", has_attachments=False, before=SECOND + 9)
    assert [row.message.received for row in (await store.find(alice, query)).items] == [SECOND]


@pytest.mark.parametrize("received", [0, 1], ids=["all of one second", "a second apart"])
@pytest.mark.parametrize("limit", [1, 3, 4, 7])
async def test_pages_have_every_message_once_in_order(
    store: MailStore, alice: AccountId, limit: int, received: int
) -> None:
    for number in range(8):
        await deliver(store, alice, f"{number}", received=SECOND + number * received)
    pages = await read_pages(store, alice, MessageQuery(limit=limit))
    assert [subject for page in pages for subject in subjects(page)] == list("76543210")
    assert all(len(page.items) == limit for page in pages[:-1])
    assert 0 < len(pages[-1].items) <= limit


async def test_the_last_page_has_no_cursor_even_when_it_is_full(store: MailStore, alice: AccountId) -> None:
    for number in range(3):
        await deliver(store, alice, f"{number}")
    assert (await store.find(alice, MessageQuery(limit=3))).next_cursor is None
    assert (await store.find(alice, MessageQuery(limit=2))).next_cursor is not None
    assert (await store.find(alice, MessageQuery(text="nothing like it"))) == MessagePage(())


async def test_mail_that_arrives_between_pages_does_not_shift_them(store: MailStore, alice: AccountId) -> None:
    for number in range(6):
        await deliver(store, alice, f"{number}")
    seen: list[str] = []
    cursor = None
    for number in range(3):
        page = await store.find(alice, MessageQuery(limit=2, cursor=cursor))
        seen += subjects(page)
        cursor = page.next_cursor
        await deliver(store, alice, f"new {number}")
    assert seen == list("543210")
    assert cursor is None


async def test_mail_that_is_deleted_between_pages_does_not_shift_them(store: MailStore, alice: AccountId) -> None:
    ids = [await deliver(store, alice, f"{number}") for number in range(6)]
    first = await store.find(alice, MessageQuery(limit=2))
    await store.delete_message(alice, ids[4])  # the row of the cursor
    await store.delete_message(alice, ids[2])
    second = await store.find(alice, MessageQuery(limit=2, cursor=first.next_cursor))
    assert subjects(first) + subjects(second) == ["5", "4", "3", "1"]


async def test_pages_keep_to_the_filter(store: MailStore, alice: AccountId) -> None:
    for number in range(6):
        await deliver(store, Destination(alice, flags=Flag.SEEN if number % 2 else 0), f"{number}")
    first = await store.find(alice, MessageQuery(seen=True, limit=2))
    second = await store.find(alice, MessageQuery(seen=True, limit=2, cursor=first.next_cursor))
    assert subjects(first) + subjects(second) == ["5", "3", "1"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "1",
        ".",
        "first",
        "1.first",
        "first.01900000-0000-7000-8000-000000000000",
        " 1.01900000-0000-7000-8000-000000000000",
        "1.01900000000070008000000000000000",
        "99999999999999999999.01900000-0000-7000-8000-000000000000",
    ],
)
async def test_an_invalid_cursor_raises_value_error(store: MailStore, alice: AccountId, cursor: str) -> None:
    await deliver(store, alice, "one")
    with pytest.raises(ValueError, match="cursor"):
        await store.find(alice, MessageQuery(cursor=cursor))
