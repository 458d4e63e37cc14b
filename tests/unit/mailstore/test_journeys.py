"""A message's journey: each recipient has exactly one end state, in whichever order the events are found."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.journey_views import step_of, visible_to
from relate_mailstore.journeys import COPY_EVENTS, EndState, find_end, journeys_of
from tests.support.examples import examples

ALICE, BOB, CAROL = AccountId(1), AccountId(2), AccountId(3)
MESSAGE, OTHER = MessageId(UUID(int=1)), MessageId(UUID(int=2))

# The events of one recipient as they can happen, in their order, and the end.
LIFE: dict[str, EndState] = {
    "refused": EndState.REFUSED,
    "received": EndState.RECEIVED,
    "refused received delivered": EndState.DELIVERED,
    "received filtered delivered": EndState.DELIVERED,
    "received delivered read": EndState.READ,
    "received delivered moved": EndState.DELIVERED,
    "received delivered read moved": EndState.READ,
    "received delivered read moved deleted": EndState.DELETED,
    "received delivered deleted read": EndState.DELETED,  # \Seen is told after the fact
    "appended": EndState.APPENDED,
    "appended moved": EndState.APPENDED,
    "appended read deleted": EndState.DELETED,
    "moved": EndState.DELIVERED,
    "received queued": EndState.QUEUED,
    "received queued attempted": EndState.QUEUED,
    "received queued attempted deferred": EndState.QUEUED,
    "received queued attempted deferred attempted relayed": EndState.RELAYED,
    "received queued attempted relayed bounced": EndState.BOUNCED,
    "received queued attempted bounced": EndState.BOUNCED,
    "received queued attempted deferred expired": EndState.EXPIRED,
    "received queued held": EndState.HELD,
    "received queued held released": EndState.QUEUED,
    "received queued held released held": EndState.HELD,
    "received queued attempted held deferred": EndState.HELD,
    "received queued held cancelled": EndState.CANCELLED,
    "attempted deferred": EndState.QUEUED,
}


def lived(names: str, **fields: object) -> list[Event]:
    return [Event(EventName(name), time=float(time), **fields) for time, name in enumerate(names.split(), 1)]  # type: ignore[arg-type]


@pytest.mark.parametrize("names", LIFE)
def test_a_recipient_has_one_end_state(names: str) -> None:
    state, event = find_end(lived(names))
    assert state is LIFE[names]
    assert event.name.value in names.split()


@settings(max_examples=examples(300))
@given(st.data())
def test_the_order_in_which_events_are_found_does_not_matter(data: st.DataObject) -> None:
    names = data.draw(st.sampled_from([*LIFE]))
    events = lived(names, message_id=MESSAGE, recipient="bob@example.net", account_id=BOB)
    shuffled = data.draw(st.permutations([*events, *events]))
    assert find_end(shuffled)[0] is LIFE[names]
    (journey,) = journeys_of([event for event in shuffled if event.name is not EventName.REFUSED] or events[:1])
    (end,) = journey.ends
    assert end.state is LIFE[names]


ANY_EVENT = st.builds(
    Event,
    st.sampled_from(EventName),
    time=st.integers(0, 5).map(float),
    account_id=st.sampled_from([None, ALICE, BOB]),
    message_id=st.just(MESSAGE),
    recipient=st.sampled_from(["", "ann@example.org", "bob@example.net"]),
)


@settings(max_examples=examples(300))
@given(st.lists(ANY_EVENT, min_size=1, max_size=12), st.data())
def test_any_events_give_each_recipient_exactly_one_end(events: list[Event], data: st.DataObject) -> None:
    (journey,) = journeys_of(events)
    states = {(end.recipient, end.state) for end in journey.ends}
    named = {event.recipient for event in events if event.name in {EventName.DELIVERED, EventName.QUEUED}}
    assert named <= {end.recipient for end in journey.ends}
    assert [end.recipient for end in journey.ends if end.recipient] == sorted(
        {end.recipient for end in journey.ends if end.recipient}
    )
    (again,) = journeys_of(data.draw(st.permutations(events)))
    assert {(end.recipient, end.state) for end in again.ends} == states


SUBMITTED = [
    Event(
        EventName.RECEIVED,
        1.0,
        ALICE,
        MESSAGE,
        "1@example.org",
        "alice@example.org",
        client="192.0.2.1",
        service="smtp",
        detail={"octets": 7, "recipients": 3},
        trace_id="aa",
    ),
    Event(EventName.DELIVERED, 1.1, BOB, MESSAGE, recipient="bob@example.net", detail={"mailbox": "Spam", "uid": 1}),
    Event(EventName.DELIVERED, 1.2, CAROL, MESSAGE, recipient="carol@example.net", detail={"mailbox": "INBOX"}),
    Event(EventName.QUEUED, 1.3, ALICE, MESSAGE, recipient="dan@a.example"),
    Event(EventName.READ, 2.0, BOB, MESSAGE, service="imap"),
    Event(EventName.ATTEMPTED, 3.0, ALICE, MESSAGE, recipient="dan@a.example"),
    Event(EventName.RELAYED, 3.1, ALICE, MESSAGE, recipient="dan@a.example", reply="250 Ok"),
    Event(EventName.DELETED, 4.0, CAROL, MESSAGE, service="pop3"),
]


def test_copies_are_told_apart_by_their_accounts() -> None:
    (journey,) = journeys_of(reversed(SUBMITTED))
    assert [(end.recipient, end.state) for end in journey.ends] == [
        ("bob@example.net", EndState.READ),
        ("carol@example.net", EndState.DELETED),
        ("dan@a.example", EndState.RELAYED),
    ]
    assert (journey.message_id, journey.header_message_id, journey.sender) == (
        MESSAGE,
        "1@example.org",
        "alice@example.org",
    )


def test_a_copy_that_two_addresses_share_ends_for_both() -> None:
    copies = [SUBMITTED[1], SUBMITTED[1]._replace(recipient="b@example.net"), SUBMITTED[4]]
    (journey,) = journeys_of(copies)
    assert [end.state for end in journey.ends] == [EndState.READ, EndState.READ]


def test_the_senders_copy_is_apart_from_the_recipients() -> None:
    own = Event(EventName.APPENDED, 1.4, ALICE, MESSAGE, detail={"mailbox": "Sent"})
    (journey,) = journeys_of([*SUBMITTED, own, Event(EventName.DELETED, 9.0, ALICE, MESSAGE)])
    ends = {end.recipient: end.state for end in journey.ends}
    assert (ends[""], ends["dan@a.example"]) == (EndState.DELETED, EndState.RELAYED)


def test_messages_and_refusals_have_journeys_of_their_own() -> None:
    refusals = [Event(EventName.REFUSED, time, recipient="bob@example.net") for time in (0.5, 5.0)]
    journeys = journeys_of([*SUBMITTED, *refusals, SUBMITTED[0]._replace(message_id=OTHER, time=2.5)])
    assert [(journey.message_id, len(journey.events)) for journey in journeys] == [
        (None, 1),
        (MESSAGE, 8),
        (OTHER, 1),
        (None, 1),
    ]


def test_a_recipient_sees_the_receipt_and_the_own_copy_only() -> None:
    seen = visible_to(BOB, SUBMITTED)
    assert [event.name for event in seen] == [EventName.RECEIVED, EventName.DELIVERED, EventName.READ]
    shown = repr(seen)
    assert "carol" not in shown
    assert "dan" not in shown
    assert "recipients" not in shown
    assert "192.0.2.1" not in shown  # of another user


def test_the_sole_recipient_of_another_is_not_shown() -> None:
    alone = [SUBMITTED[0]._replace(recipient="dan@a.example"), SUBMITTED[1]]
    assert "dan" not in repr(visible_to(BOB, alone))
    alone[0] = alone[0]._replace(recipient="bob@example.net", account_id=None)
    receipt, _ = visible_to(BOB, alone)
    assert (receipt.recipient, receipt.client) == ("bob@example.net", "192.0.2.1")


def test_the_sender_sees_all_recipients_but_not_what_users_do_with_their_copies() -> None:
    seen = visible_to(ALICE, SUBMITTED)
    (journey,) = journeys_of(seen)
    assert [(end.recipient, end.state) for end in journey.ends] == [
        ("bob@example.net", EndState.DELIVERED),
        ("carol@example.net", EndState.DELIVERED),
        ("dan@a.example", EndState.RELAYED),
    ]
    assert "Spam" not in repr(seen)


def test_what_a_user_does_with_a_copy_names_the_recipient() -> None:
    (journey,) = journeys_of([*SUBMITTED, Event(EventName.DELETED, 9.0, ALICE, MESSAGE)])
    copies = [(event.name.value, event.recipient) for event in journey.events if event.name in COPY_EVENTS]
    assert copies == [("read", "bob@example.net"), ("deleted", "carol@example.net"), ("deleted", "")]


def test_a_copy_that_was_delivered_for_two_addresses_names_the_first() -> None:
    (journey,) = journeys_of([*SUBMITTED, SUBMITTED[1]._replace(time=1.15, recipient="office@example.net")])
    (read,) = (event for event in journey.events if event.name is EventName.READ)
    assert read.recipient == "bob@example.net"
    assert [end.recipient for end in journey.ends if end.event is read] == ["bob@example.net", "office@example.net"]


def test_a_stranger_sees_nothing() -> None:
    assert visible_to(AccountId(99), SUBMITTED) == []


def test_a_step_has_the_ids_and_says_which_client_brought_the_message() -> None:
    received, delivered = (step_of(event, {ALICE: "alice@example.org"}) for event in SUBMITTED[:2])
    assert received == (
        "received",
        1.0,
        "smtp",
        "",
        "",
        "aa",
        {
            "id": str(MESSAGE),
            "messageId": "1@example.org",
            "sender": "alice@example.org",
            "client": "192.0.2.1",
            "authenticatedAs": "alice@example.org",
            "octets": 7,
            "recipients": 3,
        },
    )
    assert delivered.detail == {"id": str(MESSAGE), "mailbox": "Spam", "uid": 1}
