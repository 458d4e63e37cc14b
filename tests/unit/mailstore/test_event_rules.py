"""What is stored of an event: addresses in clear or as hashes, and bounded texts."""

import pytest

from relate_mailstore.event_rules import (
    MAX_DETAIL_CHARACTERS,
    EventRules,
    encode_detail,
    of_delivery,
    parse_detail,
    parse_origin,
    places_of,
)
from relate_mailstore.event_types import Detail, Event, EventName
from relate_mailstore.types import AccountId, AssignedUid, Delivery, Destination, Uid
from relate_telemetry.redaction import user_names
from tests.support.factories import UNKNOWN_MESSAGE

EVENT = Event(
    EventName.BOUNCED,
    sender="Ann@Example.org",
    recipient="bob@example.net",
    reply="550 5.1.1 <bob@example.net>: User unknown (see bob@example.net)",
    detail={"original": "bob@example.net", "attempts": 3},
)


def test_addresses_are_folded_in_clear() -> None:
    (stored,) = EventRules().stored([EVENT], 5.0)
    assert (stored.sender, stored.recipient, stored.reply) == ("ann@example.org", "bob@example.net", EVENT.reply)


def test_no_address_is_stored_where_they_are_hashed() -> None:
    rules = EventRules(addresses="hash")
    (stored,) = rules.stored([EVENT], 5.0)
    assert "@" not in repr(stored)
    assert stored.recipient == rules.address("BOB@example.net")
    assert stored.recipient in stored.reply
    assert stored.detail == {"original": stored.recipient, "attempts": 3}
    assert rules.address("") == ""


def test_a_hash_is_that_of_telemetry() -> None:
    assert EventRules(addresses="hash").address("Ann@Example.org") == user_names("hash")("Ann@Example.org")


def test_events_of_one_commit_keep_their_order_and_times_that_are_given() -> None:
    events = [EVENT, EVENT, Event(EventName.QUEUED, 7.0)]
    first, second, given = [event.time for event in EventRules().stored(events, 5.0)]
    assert 5.0 == first < second < 5.001
    assert given == 7.0


@pytest.mark.parametrize("detail", [{}, {"a": "ü"}, {"a": 1, "b": None, "c": 1.5, "d": False}], ids=str)
def test_a_detail_is_stored_as_it_is(detail: Detail) -> None:
    assert parse_detail(encode_detail(detail)) == detail


def test_a_detail_that_is_too_long_is_left_out() -> None:
    for detail in ({"a": "x" * 400, "b": "ü" * 400}, {f"{number}": number for number in range(1_000)}):
        (stored,) = EventRules().stored([Event(EventName.QUEUED, detail=detail)], 5.0)
        assert stored.detail == {"cut": True}
        assert len(encode_detail(stored.detail)) <= MAX_DETAIL_CHARACTERS


def test_the_trace_is_that_of_the_delivery() -> None:
    assert parse_origin("00-aa-bb-01") == ("aa", "bb")
    assert parse_origin(None) == parse_origin("nonsense") == ("", "")
    delivery = Delivery(
        b"",
        (Destination(AccountId(7)),),
        origin="00-aa-bb-01",
        events=(Event(EventName.QUEUED, span_id="cc"), Event(EventName.DELIVERED, account_id=AccountId(7))),
    )
    event, delivered = of_delivery(
        delivery.events, UNKNOWN_MESSAGE, "x@y", delivery.origin, places_of(delivery, [AssignedUid(1, Uid(9))])
    )
    assert delivered.detail == {"mailbox": "INBOX", "uid": 9}
    assert (event.message_id, event.header_message_id, event.trace_id, event.span_id) == (
        UNKNOWN_MESSAGE,
        "x@y",
        "aa",
        "cc",
    )
