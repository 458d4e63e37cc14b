"""What is asked of messages without opening them: renderings, indexes, headers, summaries of whole mailboxes."""

import pytest

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.mime import index_message
from relate_mailstore.ports import MailStore
from relate_mailstore.rules import NO_SUMMARY, thread_id
from relate_mailstore.types import AccountId, Destination, Incoming, Rendering, Summary
from tests.support.factories import UNKNOWN_MESSAGE, big, delivery, eight_bit, multipart, simple

ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LONG = b"Subject: long\r\n" + b"X-Long: %b\r\n" % (b"x" * 70) * 10_000 + b"\r\nbody"  # the header alone has 800 KB


@pytest.mark.parametrize("raw", [simple(), multipart(), eight_bit(), b"", b"no header at all", big(700_000), LONG])
async def test_a_message_is_told_without_being_opened(store: MailStore, alice: AccountId, raw: bytes) -> None:
    message_id = (await store.deliver(delivery(alice, raw=raw, origin=ORIGIN))).message_id
    index = index_message(raw)
    thread = thread_id(index.references, index.message_id, message_id)
    for _ in range(2):  # the second time it is kept
        assert await store.index(alice, message_id) == (await store.message(alice, message_id)).message.index
        told = await store.renderings(alice, [message_id, message_id])
        assert told[message_id].envelope == index.envelope
        assert told[message_id].bodystructure == index.bodystructure
        assert told[message_id].thread == thread
        assert told[message_id].origin == ORIGIN
        assert await store.headers(alice, [message_id]) == {message_id: raw[: index.parts[0].body]}
    assert (await store.index(alice, message_id)).parts == index.parts


async def test_many_are_told_together_without_those_that_are_gone(store: MailStore, alice: AccountId) -> None:
    receipts = [await store.deliver(delivery(alice, raw=simple(f"{number}"))) for number in range(5)]
    kept = [receipt.message_id for receipt in receipts]
    await store.renderings(alice, kept)
    await store.headers(alice, kept)
    await store.delete_message(alice, kept[1])
    asked = [*kept, UNKNOWN_MESSAGE]
    expected = set(kept) - {kept[1]}
    assert set(await store.renderings(alice, asked)) == set(await store.headers(alice, asked)) == expected
    assert not await store.renderings(alice, [])
    assert not await store.headers(alice, [])
    with pytest.raises(MessageNotFound):
        await store.index(alice, kept[1])


async def test_nobody_is_told_of_the_mail_of_another_account(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    await store.provision(bob)
    await store.index(alice, message_id)
    assert await store.renderings(alice, [message_id])
    assert await store.headers(alice, [message_id])
    assert not await store.renderings(bob, [message_id])
    assert not await store.headers(bob, [message_id])
    with pytest.raises(MessageNotFound):
        await store.index(bob, message_id)


async def test_a_summary_has_the_header_decoded_and_without_case(store: MailStore, alice: AccountId) -> None:
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
    await store.append(alice, "INBOX", [Incoming(raw)])
    (summary,) = await store.summaries(await store.snapshot(alice))
    assert summary == Summary(
        subject="grüsse again",
        sender="jörg <joerg@example.net>, <ann@example.org>",
        to="bob example <bob@example.net>",
        cc="",
        bcc="carol <carol@example.com>",
        date=1_784_001_600,
        zone=330,
        message_id="Own@Example.org",
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
    await store.expunge(alice, inbox.mailbox.id, [2])
    await store.deliver(delivery(alice, raw=simple("s4")))
    assert await subjects() == ["s0", "s2", "s3", "s4"]
    old = await store.summaries(inbox)  # of a reader who was not told yet
    assert [summary.subject for summary in old if summary != NO_SUMMARY] in (
        ["s0", "s2", "s3"],
        ["s0", "s1", "s2", "s3"],
    )
    assert len(old) == 4
    assert await subjects() == ["s0", "s2", "s3", "s4"]


async def test_an_answer_is_in_the_thread_of_the_first_message(store: MailStore, alice: AccountId) -> None:
    root = await store.deliver(delivery(alice, raw=simple("root")))  # <simple@example.org>
    answer = simple("answer", headers=("References: <simple@example.org> <x@example.org>",)).replace(
        b"Message-ID: <simple@", b"Message-ID: <answer@"
    )
    first = await store.deliver(delivery(Destination(alice, "Sent"), raw=answer))
    alone = [await store.deliver(delivery(alice, raw=b"Subject: alone\r\n\r\n")) for _ in range(2)]
    ids = [root.message_id, first.message_id, *(receipt.message_id for receipt in alone)]
    told = await store.renderings(alice, ids)
    threads = [told[message_id].thread for message_id in ids]
    assert threads[0] == threads[1]
    assert len(set(threads)) == 3
    assert isinstance(told[ids[0]], Rendering)


async def test_usage_is_what_all_mailboxes_hold(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    assert await store.usage(alice) == 0
    await store.deliver(delivery(alice, Destination(alice, "Sent"), bob, raw=big(600)))
    assert await store.usage(alice) == 1200
    await store.expunge(alice, (await store.mailbox(alice)).id, [1])
    assert await store.usage(alice) == 600
