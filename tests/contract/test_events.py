"""The event log: events are stored with what they tell of, found again, and bounded."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from relate_mailstore.errors import OverQuota
from relate_mailstore.event_rules import MAX_REPLY_CHARACTERS
from relate_mailstore.event_types import NO_DETAIL, Detail, Event, EventName, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, QueueFilter, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Delivery, Destination
from tests.contract.outgoing import START_SECONDS, Clock, outgoing, sent
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple

Store = MemoryMailStore | SqlMailStore

ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECEIVED = Event(
    EventName.RECEIVED,
    sender="ann@example.org",
    client="192.0.2.1",
    service="smtp",
    reply="250 2.0.0 Ok",
    detail={"tls": True, "octets": 7},
)
DELIVERED = Event(EventName.DELIVERED, recipient="bob@example.net")
REFUSED = Event(EventName.REFUSED, recipient="nobody@example.net", client="192.0.2.1", reply="550 5.1.1 Unknown")
DAY_SECONDS = 24 * 3600


PLACE: Detail = {"mailbox": "INBOX", "uid": 1}


async def test_events_are_stored_with_the_delivery(mail: Store, alice: AccountId, clock: Clock) -> None:
    events = (RECEIVED, DELIVERED._replace(account_id=alice))
    receipt = await mail.deliver(replace(delivery(alice, origin=ORIGIN), events=events))
    found = await mail.events.find(EventQuery(message_id=receipt.message_id))
    assert [event._replace(time=0.0) for event in found] == [
        event._replace(
            message_id=receipt.message_id,
            header_message_id="simple@example.org",
            detail={**event.detail, **place},
            trace_id=TRACE_ID,
            span_id=SPAN_ID,
        )
        for event, place in zip(events, (NO_DETAIL, PLACE), strict=True)
    ]
    assert [event.time for event in found] == pytest.approx([clock.now] * 2, abs=0.001)


async def test_a_refused_delivery_stores_no_event(mail: Store, alice: AccountId) -> None:
    with pytest.raises(OverQuota):
        await mail.deliver(replace(delivery(Destination(alice, quota=1)), events=(RECEIVED,)))
    assert await mail.events.find(EventQuery()) == []


async def test_a_batch_stores_the_events_of_all_its_deliveries(mail: Store, alice: AccountId) -> None:
    deliveries = [replace(delivery(alice), events=(RECEIVED, DELIVERED)) for _ in range(50)]
    receipts = await asyncio.gather(*(mail.deliver(one) for one in deliveries))
    for receipt in receipts:
        found = await mail.events.find(EventQuery(message_id=receipt.message_id))
        assert [event.name for event in found] == [EventName.RECEIVED, EventName.DELIVERED]


async def test_outgoing_mail_names_its_message(mail: Store, alice: AccountId) -> None:
    envelope = replace(outgoing(alice, "carol@a.example"), header_message_id="out@example.org")
    queued = Event(EventName.QUEUED, recipient="carol@a.example", trace_id="ff")
    receipt = await mail.deliver(Delivery(b"Subject: x\r\n\r\n", (), outgoing=envelope, events=(queued,)))
    (event,) = await mail.events.find(EventQuery(header_message_id="out@example.org"))
    assert (event.message_id, event.trace_id) == (receipt.message_id, "ff")


async def test_events_are_found_by_what_they_name(mail: Store, alice: AccountId, bob: AccountId, clock: Clock) -> None:
    events = (DELIVERED._replace(account_id=alice), DELIVERED._replace(recipient="Carol@Example.net", account_id=bob))
    await mail.deliver(replace(delivery(alice, bob), events=(RECEIVED, *events)))
    clock.now += 10
    await mail.deliver(replace(delivery(alice, raw=simple().replace(b"<simple@", b"<other@")), events=(RECEIVED,)))
    for query, count in (
        (EventQuery(), 4),
        (EventQuery(recipient="carol@example.NET"), 1),
        (EventQuery(sender="ANN@example.org"), 2),
        (EventQuery(account_id=alice), 1),
        (EventQuery(header_message_id="simple@example.org"), 3),
        (EventQuery(message_id=UNKNOWN_MESSAGE), 0),
        (EventQuery(since=clock.now), 1),
        (EventQuery(sender="ann@example.org", account_id=bob), 0),
    ):
        assert len(await mail.events.find(query)) == count
    newest = await mail.events.find(EventQuery(limit=2))
    assert [event.header_message_id for event in newest] == ["simple@example.org", "other@example.org"]


async def test_results_of_attempts_store_their_events(mail: Store, alice: AccountId, bob: AccountId) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example"))
    (claimed,) = await mail.queue.claim("one", 10, 10, {})
    bounced = Event(EventName.BOUNCED, message_id=receipt.message_id, reply="550 5.1.1 No", trace_id="aa")
    report = replace(delivery(bob), events=(DELIVERED,))
    failed = AttemptResult(claimed.lease, QueueState.FAILED)
    assert await mail.queue.settle([failed], [report], [bounced]) == []
    assert [event.name for event in await mail.events.find(EventQuery())] == [EventName.BOUNCED, EventName.DELIVERED]
    assert await mail.queue.settle([failed], [report], [bounced]) == [claimed.lease]
    assert len(await mail.events.find(EventQuery())) == 2


async def test_an_operators_change_is_an_event(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    everything = QueueFilter()
    for operate in (mail.queue.hold, mail.queue.hold, mail.queue.release, mail.queue.retry):
        await operate(everything)
        clock.now += 1
    (claimed,) = await mail.queue.claim("one", 10, 10, {})
    await mail.queue.drop(everything)
    deferred = AttemptResult(claimed.lease, QueueState.QUEUED, next_attempt=clock.now)
    await mail.queue.settle([deferred])
    found = await mail.events.find(EventQuery())
    assert [event.name for event in found] == [EventName.HELD, EventName.RELEASED, EventName.CANCELLED]
    assert {(event.account_id, event.sender, event.recipient) for event in found} == {
        (alice, "ann@example.org", "carol@a.example")
    }


async def test_refusals_are_stored_up_to_a_limit_then_summarised(mail: Store, clock: Clock) -> None:
    mail.events.refused([REFUSED] * 250)
    mail.events.refused([REFUSED._replace(client="192.0.2.2")])
    await mail.events.flush()
    found = await mail.events.find(EventQuery(limit=1_000))
    assert Counter(event.client for event in found) == {"192.0.2.1": 100, "192.0.2.2": 1}
    clock.now += 3600
    mail.events.refused([REFUSED])
    await mail.events.flush()
    summary, single = await mail.events.find(EventQuery(since=clock.now))
    assert (summary.client, summary.detail["omitted"]) == ("192.0.2.1", 150)
    assert (single.client, single.detail) == ("192.0.2.1", {})


async def test_old_events_are_trimmed(mail: Store, alice: AccountId, clock: Clock) -> None:
    clock.now = START_SECONDS - START_SECONDS % DAY_SECONDS
    for _ in range(3):
        await mail.deliver(replace(delivery(alice), events=(RECEIVED,)))
        clock.now += DAY_SECONDS
    assert await mail.events.trim(clock.now - DAY_SECONDS) == 2
    assert await mail.events.trim(clock.now - DAY_SECONDS) == 0
    (event,) = await mail.events.find(EventQuery())
    assert event.time >= clock.now - DAY_SECONDS


async def test_what_strangers_send_is_cut_to_the_limits(mail: Store) -> None:
    long = "x" * 100_000
    mail.events.refused(
        [REFUSED._replace(reply=long, sender=f"{long}@a", detail={"verb": long}, header_message_id=long)]
    )
    mail.events.refused([REFUSED._replace(reply="5\0\udc80", recipient="\0@a")])
    await mail.events.flush()
    cut, unstorable = await mail.events.find(EventQuery())
    assert len(cut.reply) == MAX_REPLY_CHARACTERS
    assert len(repr(cut)) < 3_000
    assert unstorable.reply.startswith("5")


async def test_an_event_may_tell_of_another_message_than_its_delivery(mail: Store, alice: AccountId) -> None:
    sent_before = await mail.deliver(delivery(alice))
    bounced = Event(EventName.BOUNCED, message_id=sent_before.message_id, header_message_id="1@example.org")
    await mail.deliver(replace(delivery(alice), events=(bounced,)))
    (found,) = await mail.events.find(EventQuery(name=EventName.BOUNCED))
    assert (found.message_id, found.header_message_id) == (sent_before.message_id, "1@example.org")


async def test_events_are_found_by_name(mail: Store, alice: AccountId) -> None:
    await mail.deliver(replace(delivery(alice), events=(RECEIVED, DELIVERED._replace(header_message_id="1@b.example"))))
    found = await mail.events.find(EventQuery(name=EventName.DELIVERED, header_message_id="1@b.example"))
    assert [event.name for event in found] == [EventName.DELIVERED]
    assert await mail.events.find(EventQuery(name=EventName.RELAYED)) == []


async def test_messages_are_found_by_the_events_that_begin_them(
    mail: Store, alice: AccountId, bob: AccountId, clock: Clock
) -> None:
    delivered = [DELIVERED._replace(account_id=alice, sender=RECEIVED.sender)]
    delivered += [DELIVERED._replace(account_id=bob, sender=RECEIVED.sender, recipient="carol@example.net")]
    receipt = await mail.deliver(replace(delivery(alice, bob), events=(RECEIVED, *delivered)))
    clock.now += 1
    mail.events.refused([REFUSED])
    await mail.events.flush()
    for query, names in (
        (EventQuery(header_message_id="simple@example.org"), ["received"]),
        (EventQuery(sender="Ann@example.org"), ["received"]),
        (EventQuery(recipient="Carol@example.net"), ["delivered"]),
        (EventQuery(recipient="nobody@example.net"), ["refused"]),
        (EventQuery(recipient="carol@example.net", sender="ann@example.org"), ["delivered"]),
        (EventQuery(recipient="carol@example.net", sender="other@example.org"), []),
        (EventQuery(account_id=bob), ["delivered"]),
        (EventQuery(), ["received", "refused"]),
        (EventQuery(before=clock.now), ["received"]),
        (EventQuery(before=clock.now + 1), ["received", "refused"]),
    ):
        found = await mail.events.find(replace(query, heads=True))
        assert [event.name.value for event in found] == names
    found = await mail.events.find(EventQuery(message_ids=[receipt.message_id, UNKNOWN_MESSAGE]))
    assert [event.name.value for event in found] == ["received", "delivered", "delivered"]
    assert await mail.events.find(EventQuery(message_ids=[])) == []
