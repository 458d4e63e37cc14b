"""Data of messages that need not be opened: renderings, indexes, headers, summaries."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from relate_mailstore.identifiers import thread_id
from relate_mailstore.ports import MailStore
from relate_mailstore.summary_text import EMPTY_SUMMARY
from relate_mailstore.types import AccountId, Destination, MessageId, NewMessage, Rendering, Summary
from relate_mime import index_message
from tests.support.factories import UNKNOWN_MESSAGE, big, delivery, eight_bit, multipart, simple, uids

ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LONG_HEADER = b"Subject: long\r\n" + b"X-Long: %b\r\n" % (b"x" * 70) * 10_000 + b"\r\nbody"  # the header has 800 KB


def lookups(store: MailStore) -> list[Callable[[AccountId, Sequence[MessageId]], Awaitable[Sequence[object]]]]:
    return [store.renderings, store.indexes, store.headers]


@pytest.mark.parametrize(
    "raw", [simple(), multipart(), eight_bit(), b"", b"no header at all", big(700_000), LONG_HEADER]
)
async def test_renderings_indexes_and_headers_need_no_opened_message(
    store: MailStore, alice: AccountId, raw: bytes
) -> None:
    message_id = (await store.deliver(delivery(alice, raw=raw, origin=ORIGIN))).message_id
    index = index_message(raw)
    thread = thread_id(index.references, index.header_message_id, message_id)
    for _ in range(2):  # the second time from the cache
        assert await store.indexes(alice, [message_id]) == [index]
        rendering = Rendering(index.envelope, index.bodystructure, index.preview, thread, ORIGIN)
        assert await store.renderings(alice, [message_id, message_id]) == [rendering, rendering]
        assert await store.headers(alice, [message_id]) == [raw[: index.parts[0].body]]
    assert (await store.message(alice, message_id)).message.index == index


async def test_many_messages_are_read_together_with_none_for_missing_ones(store: MailStore, alice: AccountId) -> None:
    receipts = [await store.deliver(delivery(alice, raw=simple(f"{number}"))) for number in range(5)]
    stored = [receipt.message_id for receipt in receipts]
    for ask in lookups(store):
        before = await ask(alice, stored)
        assert None not in before
        assert [*(await ask(alice, stored[::-1]))] == [*before][::-1]
    await store.delete_message(alice, stored[1])
    requested = [UNKNOWN_MESSAGE, *stored]
    for ask in lookups(store):
        assert [one is not None for one in await ask(alice, requested)] == [False, True, False, True, True, True]
        assert not await ask(alice, [])


async def test_messages_of_another_account_are_missing(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    await store.provision(bob)
    for ask in lookups(store):
        assert await ask(alice, [message_id]) != [None]
        assert await ask(bob, [message_id]) == [None]


async def test_a_summary_has_decoded_and_case_folded_fields(store: MailStore, alice: AccountId) -> None:
    raw = b"\r\n".join(
        [
            b"From: =?utf-8?q?J=C3=B6rg?= <Joerg@Example.net>, ann@example.org",
            b"To: Bob Example <BOB@example.net>",
            b"Cc: undisclosed-recipients:;",
            b"Bcc: Carol <carol@example.com>",
            b"Subject: =?utf-8?q?GR=C3=9CSSE?=",
            b" again",
            b"Date: Tue, 14 Jul 2026 09:30:00 +0530",
            b"Message-ID: <Own@Example.org>",
            b"References: <Root@example.org> <b@example.org>",
            b"In-Reply-To: <b@example.org>",
            b"",
            b"",
        ]
    )
    await store.provision(alice)
    await store.append(alice, "INBOX", [NewMessage(raw)])
    (summary,) = await store.summaries(await store.snapshot(alice))
    assert summary == Summary(
        subject="grüsse again",
        sender="jörg <joerg@example.net>, <ann@example.org>",
        to="bob example <bob@example.net>",
        cc="<undisclosed-recipients>",
        bcc="carol <carol@example.com>",
        date=1_784_001_600,
        zone=330,
        header_message_id="Own@Example.org",
        references=("Root@example.org", "b@example.org"),
        thread=thread_id(["Root@example.org"], "", UNKNOWN_MESSAGE),
    )


async def test_summaries_follow_the_mailbox(store: MailStore, alice: AccountId) -> None:
    async def subjects() -> list[str]:
        return [summary.subject for summary in await store.summaries(await store.snapshot(alice))]

    await store.provision(alice)
    assert await subjects() == []
    for number in range(4):
        await store.deliver(delivery(alice, raw=simple(f"s{number}")))
    inbox = await store.snapshot(alice)
    assert await subjects() == ["s0", "s1", "s2", "s3"]
    assert await store.summaries(inbox) == await store.summaries(inbox)
    await store.expunge(alice, inbox.mailbox.id, uids(2))
    await store.deliver(delivery(alice, raw=simple("s4")))
    assert await subjects() == ["s0", "s2", "s3", "s4"]
    old = await store.summaries(inbox)  # of a session with the old snapshot
    assert [summary.subject for summary in old if summary != EMPTY_SUMMARY] in (
        ["s0", "s2", "s3"],
        ["s0", "s1", "s2", "s3"],
    )
    assert len(old) == 4
    assert await subjects() == ["s0", "s2", "s3", "s4"]


async def test_a_reply_is_in_the_thread_of_the_first_message(store: MailStore, alice: AccountId) -> None:
    root = await store.deliver(delivery(alice, raw=simple("root")))  # <simple@example.org>
    answer = simple("answer", headers=("References: <simple@example.org> <x@example.org>",)).replace(
        b"Message-ID: <simple@", b"Message-ID: <answer@"
    )
    first = await store.deliver(delivery(Destination(alice, "Sent"), raw=answer))
    alone = [await store.deliver(delivery(alice, raw=b"Subject: alone\r\n\r\n")) for _ in range(2)]
    ids = [root.message_id, first.message_id, *(receipt.message_id for receipt in alone)]
    renderings = await store.renderings(alice, ids)
    threads = [rendering and rendering.thread for rendering in renderings]
    assert threads[0] == threads[1]
    assert len(set(threads)) == 3
    assert None not in threads


async def test_usage_is_the_size_of_all_mailboxes(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    assert await store.usage(alice) == 0
    await store.deliver(delivery(alice, Destination(alice, "Sent"), bob, raw=big(600)))
    assert await store.usage(alice) == 1200
    await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))
    assert await store.usage(alice) == 600
