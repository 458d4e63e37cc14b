"""What changes with a message that an account sends: its draft, the message that it answers, its request."""

import asyncio
from dataclasses import replace

import pytest

from relate_mailstore.errors import MailboxNotFound, MessageNotFound, OverQuota, RequestRepeated
from relate_mailstore.event_types import EventName, EventQuery
from relate_mailstore.keywords import MAX_MESSAGE_KEYWORDS
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import QueueFilter, SendingLimit
from relate_mailstore.request_rules import RETENTION_SECONDS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import (
    AccountId,
    AnsweredRequest,
    Delivery,
    Destination,
    Flag,
    FlagChange,
    KeyedRequest,
    MessageId,
    NewMessage,
    Sending,
)
from tests.contract.outgoing import Clock, sent
from tests.contract.stores import opened
from tests.support.factories import UNKNOWN_MESSAGE, simple

Mail = MemoryMailStore | SqlMailStore

ALICE, BOB = AccountId(1), AccountId(2)
REQUEST = KeyedRequest("a key", "a content", '{"a": 1}')
ANSWERED = FlagChange(add=Flag.ANSWERED)


def sending(delivery: Delivery, change: Sending) -> Delivery:
    copy = Destination(ALICE, "Sent", Flag.SEEN)
    return replace(delivery, destinations=(copy, *delivery.destinations), sending=change)


def to_bob(change: Sending) -> Delivery:
    return sending(Delivery(simple(), (Destination(BOB),)), change)


async def draft(mail: Mail) -> MessageId:
    await mail.provision(ALICE)
    await mail.append(ALICE, "Drafts", [NewMessage(simple("a draft"), Flag.DRAFT | Flag.SEEN)])
    return (await mail.snapshot(ALICE, "Drafts")).entries[-1].message_id


async def count(mail: Mail, account_id: AccountId, name: str) -> int:
    try:
        return len((await mail.snapshot(account_id, name)).entries)
    except MailboxNotFound:
        return 0


async def test_a_sent_message_is_in_the_senders_mailbox_with_its_flags(mail: Mail) -> None:
    receipt = await mail.deliver(to_bob(Sending(ALICE)))
    (copy,) = (await mail.snapshot(ALICE, "Sent")).entries
    (received,) = (await mail.snapshot(BOB)).entries
    assert (copy.flags, received.flags) == (Flag.SEEN, 0)
    assert copy.message_id == received.message_id == receipt.message_id
    assert [one.uid for one in receipt.entered] == [1, 1]


async def test_the_draft_is_removed_with_the_delivery(mail: Mail) -> None:
    unsent = await draft(mail)
    before = await mail.snapshot(ALICE, "Drafts")
    await mail.deliver(to_bob(Sending(ALICE, draft=unsent)))
    assert await count(mail, ALICE, "Drafts") == 0
    assert await mail.vanished(ALICE, before.mailbox.id, before.mailbox.highest_modseq) == [1]
    assert (await mail.refresh(before)).mailbox.messages == 0
    with pytest.raises(MessageNotFound):
        await mail.open(ALICE, unsent)


async def test_a_draft_that_was_sent_or_deleted_is_not_sent(mail: Mail) -> None:
    unsent = await draft(mail)
    await mail.deliver(to_bob(Sending(ALICE, draft=unsent)))
    for gone in (unsent, UNKNOWN_MESSAGE):
        with pytest.raises(MessageNotFound):
            await mail.deliver(to_bob(Sending(ALICE, draft=gone, request=REQUEST)))
    assert await count(mail, BOB, "INBOX") == 1
    assert await mail.answered_request(ALICE, REQUEST.key_hash) is None


async def test_two_processes_send_a_draft_once(mails: tuple[Mail, Mail]) -> None:
    unsent = await draft(mails[0])
    attempts = [store.deliver(to_bob(Sending(ALICE, draft=unsent))) for store in mails * 3]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, MessageNotFound) for result in results) == 5
    assert await count(mails[0], BOB, "INBOX") == 1


async def test_the_answered_message_gets_its_flag_in_each_mailbox(mail: Mail) -> None:
    question = (await mail.deliver(Delivery(simple(), (Destination(ALICE), Destination(ALICE, "Archive"))))).message_id
    before = await mail.snapshot(ALICE)
    await mail.deliver(to_bob(Sending(ALICE, answered=question, change=ANSWERED)))
    after = await mail.refresh(before)
    assert [entry.flags for entry in after.entries] == [Flag.ANSWERED]
    assert after.mailbox.highest_modseq > before.mailbox.highest_modseq
    assert [entry.flags for entry in (await mail.snapshot(ALICE, "Archive")).entries] == [Flag.ANSWERED]
    assert [entry.flags for entry in (await mail.snapshot(BOB)).entries] == [0]


async def test_the_answered_message_and_the_copy_may_be_in_one_mailbox(mail: Mail) -> None:
    question = (await mail.deliver(Delivery(simple(), (Destination(ALICE, "Sent"),)))).message_id
    before = await mail.snapshot(ALICE, "Sent")
    await mail.deliver(to_bob(Sending(ALICE, answered=question, change=ANSWERED)))
    assert [entry.flags for entry in (await mail.refresh(before)).entries] == [Flag.ANSWERED, Flag.SEEN]


@pytest.mark.parametrize("keywords", [(), tuple(f"k{number}" for number in range(100, 100 + MAX_MESSAGE_KEYWORDS))])
async def test_a_message_that_cannot_be_marked_does_not_prevent_the_answer(
    mail: Mail, keywords: tuple[str, ...]
) -> None:
    question = (await mail.deliver(Delivery(simple(), (Destination(ALICE, keywords=keywords),)))).message_id
    forwarded = FlagChange(add_keywords=("$Forwarded",))
    if not keywords:
        await mail.delete_message(ALICE, question)
    await mail.deliver(to_bob(Sending(ALICE, answered=question, change=forwarded)))
    assert await count(mail, BOB, "INBOX") == 1
    assert [entry.keywords for entry in (await mail.snapshot(ALICE)).entries] == ([keywords] if keywords else [])


async def test_a_request_is_answered_once(mail: Mail, clock: Clock) -> None:
    receipt = await mail.deliver(to_bob(Sending(ALICE, request=REQUEST)))
    answered = AnsweredRequest(REQUEST.fingerprint, REQUEST.response, receipt.message_id, is_held=False)
    assert await mail.answered_request(ALICE, REQUEST.key_hash) == answered
    for request in (REQUEST, REQUEST._replace(fingerprint="another content")):
        with pytest.raises(RequestRepeated):
            await mail.deliver(to_bob(Sending(ALICE, request=request)))
    assert await count(mail, BOB, "INBOX") == 1
    clock.now += RETENTION_SECONDS - 1
    assert await mail.answered_request(ALICE, REQUEST.key_hash) == answered


async def test_a_key_is_the_accounts_own(mail: Mail) -> None:
    await mail.deliver(to_bob(Sending(ALICE, request=REQUEST)))
    assert await mail.answered_request(BOB, REQUEST.key_hash) is None
    await mail.deliver(to_bob(Sending(BOB, request=REQUEST)))
    assert await count(mail, BOB, "INBOX") == 2


async def test_a_request_is_forgotten_after_a_day(mail: Mail, clock: Clock) -> None:
    await mail.deliver(to_bob(Sending(ALICE, request=REQUEST)))
    clock.now += RETENTION_SECONDS
    assert await mail.answered_request(ALICE, REQUEST.key_hash) is None
    again = await mail.deliver(to_bob(Sending(ALICE, request=REQUEST._replace(fingerprint="new"))))
    answered = await mail.answered_request(ALICE, REQUEST.key_hash)
    assert answered is not None
    assert (answered.fingerprint, answered.message_id) == ("new", again.message_id)


async def test_concurrent_requests_with_one_key_send_once(mails: tuple[Mail, Mail]) -> None:
    for account_id in (ALICE, BOB):
        await mails[0].provision(account_id)
    attempts = [store.deliver(to_bob(Sending(ALICE, request=REQUEST))) for store in mails * 3]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, RequestRepeated) for result in results) == 5
    assert await count(mails[0], BOB, "INBOX") == 1


async def test_a_refused_request_is_not_answered(mail: Mail) -> None:
    delivery = to_bob(Sending(ALICE, request=REQUEST))
    full = replace(delivery, destinations=(*delivery.destinations, Destination(BOB, quota=1)))
    with pytest.raises(OverQuota):
        await mail.deliver(full)
    with pytest.raises(MailboxNotFound):
        await mail.deliver(replace(delivery, destinations=(Destination(ALICE, "missing"),)))
    assert await mail.answered_request(ALICE, REQUEST.key_hash) is None
    assert await count(mail, ALICE, "Sent") == 0


async def test_recipients_elsewhere_are_queued_or_held_and_told(mail: Mail) -> None:
    limit = SendingLimit(86_400, 1)
    for number in range(2):
        delivery = sent(ALICE, f"{number}@example.com")
        assert delivery.outgoing is not None
        delivery = replace(delivery, outgoing=replace(delivery.outgoing, limits=(limit,)))
        request = REQUEST._replace(key_hash=str(number))
        receipt = await mail.deliver(sending(delivery, Sending(ALICE, request=request)))
        assert (receipt.queued, receipt.excess is not None) == (1, number == 1)
        answered = await mail.answered_request(ALICE, str(number))
        assert answered is not None
        assert answered.is_held is (number == 1)
    assert len((await mail.queue.find(QueueFilter(), 10)).items) == 2
    assert [event.name for event in await mail.events.find(EventQuery())] == [EventName.HELD]
    assert len(await mail.queue.claim("one", 10, 10, {})) == 1


async def test_expired_requests_are_trimmed(fresh_database: str, clock: Clock) -> None:

    async with opened(fresh_database, clock) as store:
        await store.deliver(to_bob(Sending(ALICE, request=REQUEST)))
        assert await store._parts.requests.trim() == 0
        clock.now += RETENTION_SECONDS
        assert await store._parts.requests.trim() == 1
