"""Journeys are found in every event log, by the ids and addresses of messages, page by page."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from relate_mailstore.event_rules import EventRules
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.journey_search import JourneySearch, find_journey, find_journeys, find_own_journeys
from relate_mailstore.journeys import EndState, Journey
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, MessageId
from tests.contract.outgoing import Clock, sent
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple
from tests.unit.mailstore.sql.helpers import opened_engine

Store = MemoryMailStore | SqlMailStore

EVE = "eve@a.example"


def received(sender: str = EVE, account_id: AccountId | None = None) -> Event:
    return Event(EventName.RECEIVED, account_id=account_id, sender=sender, client="192.0.2.1")


def delivered(account_id: AccountId, recipient: str, sender: str = EVE) -> Event:
    return Event(EventName.DELIVERED, account_id=account_id, sender=sender, recipient=recipient)


async def deliver_to(mail: Store, *events: Event, header: str = "simple") -> MessageId:
    accounts = [event.account_id for event in events if event.name is EventName.DELIVERED and event.account_id]
    raw = simple().replace(b"<simple@", b"<%b@" % header.encode())
    return (await mail.deliver(replace(delivery(*accounts, raw=raw), events=events))).message_id


def names(journeys: Sequence[Journey]) -> list[str]:
    return [one.header_message_id.partition("@")[0] for one in journeys]


async def test_a_relayed_message_is_followed_to_its_end(mail: Store, alice: AccountId, clock: Clock) -> None:
    queued = Event(EventName.QUEUED, account_id=alice, sender="ann@example.org", recipient="carol@b.example")
    receipt = await mail.deliver(
        replace(sent(alice, "carol@b.example"), events=(received("ann@example.org", alice), queued))
    )
    clock.now += 60
    (claimed,) = await mail.queue.claim("one", 10, 10, {})
    relayed = queued._replace(name=EventName.RELAYED, message_id=receipt.message_id, reply="250 Ok")
    await mail.queue.settle([AttemptResult(claimed.lease, QueueState.DELIVERED)], events=[relayed])
    for account in (None, alice):
        journey = await find_journey(mail.events, receipt.message_id, account)
        assert journey is not None
        assert [event.name.value for event in journey.events] == ["received", "queued", "relayed"]
        (end,) = journey.ends
        assert (end.recipient, end.state) == ("carol@b.example", EndState.RELAYED)


async def test_an_unknown_message_has_no_journey(mail: Store, alice: AccountId, bob: AccountId) -> None:
    message_id = await deliver_to(mail, received(), delivered(alice, "alice@example.org"))
    assert await find_journey(mail.events, UNKNOWN_MESSAGE) is None
    assert await find_journey(mail.events, message_id, bob) is None
    assert await find_journey(mail.events, message_id, alice) is not None


async def test_journeys_are_found_by_what_they_name(
    mail: Store, alice: AccountId, bob: AccountId, clock: Clock
) -> None:
    await deliver_to(mail, received(), delivered(alice, "alice@example.org"), header="one")
    clock.now += 1
    both = (delivered(alice, "alice@example.org", "ann@b.example"), delivered(bob, "bob@example.net", "ann@b.example"))
    await deliver_to(mail, received("ann@b.example"), *both, header="two")
    for search, found, own in (
        (JourneySearch(), ["two", "one"], ["two", "one"]),
        (JourneySearch("two@example.org"), ["two"], ["two"]),
        (JourneySearch("three@example.org"), [], []),
        (JourneySearch(sender="Eve@a.example"), ["one"], ["one"]),
        (JourneySearch(recipient="alice@example.org"), ["two", "one"], ["two", "one"]),
        (JourneySearch(recipient="bob@example.net"), ["two"], []),  # which Alice may not learn
        (JourneySearch("two@example.org", recipient="bob@example.net"), ["two"], []),
        (JourneySearch(sender="ann@b.example", recipient="bob@example.net"), ["two"], []),
        (JourneySearch(since=clock.now), ["two"], ["two"]),
        (JourneySearch(before=clock.now), ["one"], ["one"]),
    ):
        assert names([*(await find_journeys(mail.events, search)).journeys]) == found, search
        assert names([*(await find_own_journeys(mail.events, alice, search)).journeys]) == own, search


@pytest.mark.parametrize("is_filtered", [False, True])
async def test_pages_show_each_journey_once(mail: Store, alice: AccountId, clock: Clock, is_filtered: bool) -> None:
    for number in range(5):
        clock.now += 1
        events = received("ann@b.example", alice), delivered(alice, "alice@example.org", "ann@b.example")
        await deliver_to(mail, *events, header=f"{number}")
    shown: list[str] = []
    search = JourneySearch(limit=2, sender="ann@b.example" if is_filtered else None)
    while True:
        page = await find_own_journeys(mail.events, alice, search)
        shown += names(page.journeys)
        if page.next_before is None:
            break
        search = replace(search, before=page.next_before)
    assert shown == ["4", "3", "2", "1", "0"]


async def test_a_message_with_several_heads_is_on_one_page(mail: Store, alice: AccountId, clock: Clock) -> None:
    """A user has sent it to herself, and has a copy."""
    address = "alice@example.org"
    copy = Event(EventName.APPENDED, account_id=alice)
    for header in ("one", "two"):
        clock.now += 1
        await deliver_to(mail, received(address, alice), delivered(alice, address, address), copy, header=header)
    for search in (JourneySearch(), JourneySearch(sender=address), JourneySearch(recipient=address)):
        found: list[str] = []
        before: float | None = clock.now + 60
        while before is not None:
            page = await find_journeys(mail.events, replace(search, limit=1, before=before))
            found += names(page.journeys)
            before = page.next_before
        assert found == ["two", "one"]


async def test_what_no_column_can_hold_is_not_found(mail: Store) -> None:
    for text in ("\0@a.example", "\ud800@a.example"):
        for search in (JourneySearch(text), JourneySearch(sender=text), JourneySearch(recipient=text)):
            assert (await find_journeys(mail.events, search)).journeys == []


async def test_addresses_are_found_by_their_hashes(fresh_database: str, alice: AccountId) -> None:
    rules = EventRules(addresses="hash")
    async with opened_engine(fresh_database) as engine, open_store(engine, event_rules=rules) as mail:
        await deliver_to(mail, received(), delivered(alice, "alice@example.org"))
        for search in (JourneySearch(sender=EVE), JourneySearch(recipient="Alice@example.org")):
            (journey,) = (await find_journeys(mail.events, search)).journeys
            assert "@" not in journey.sender
            assert len((await find_own_journeys(mail.events, alice, search)).journeys) == 1


async def test_refusals_are_journeys_by_themselves(mail: Store, clock: Clock) -> None:
    for number in range(2):
        mail.events.refused([Event(EventName.REFUSED, clock.now + number, recipient=EVE, client="192.0.2.1")])
    await mail.events.flush()
    page = await find_journeys(mail.events, JourneySearch(recipient=EVE))
    assert [(one.message_id, [end.state for end in one.ends]) for one in page.journeys] == [
        (None, [EndState.REFUSED])
    ] * 2
    assert await find_journey(mail.events, MessageId(UUID(int=0))) is None
