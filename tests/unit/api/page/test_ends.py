"""What the page tells of a sent message's recipients."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from relate_api.journeys.schemas import MessageJourney
from relate_api.page.shown import moment
from relate_api.page.views.mail.ends import RecipientEnd, ends_of
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.journeys import journeys_of
from relate_mailstore.types import AccountId, MessageId

EVE = "eve@elsewhere.example"
MESSAGE = MessageId(uuid4())


def event(name: EventName, time: float, reply: str = "", recipient: str = EVE, **detail: float) -> Event:
    return Event(name, time=time, message_id=MESSAGE, recipient=recipient, reply=reply, detail=detail)


QUEUED = event(EventName.QUEUED, 1.0)
DEFERRED = event(EventName.DEFERRED, 2.0, "450 4.2.0 Later", next_attempt=300.0)
APPENDED = event(EventName.APPENDED, 1.0, recipient="")._replace(account_id=AccountId(1))


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([QUEUED], RecipientEnd(EVE, "Queued", "waiting")),
        ([QUEUED, event(EventName.ATTEMPTED, 2.0)], RecipientEnd(EVE, "Queued", "waiting")),
        ([QUEUED, DEFERRED], RecipientEnd(EVE, "Deferred", "waiting", "450 4.2.0 Later", 300.0)),
        (
            [QUEUED, DEFERRED, event(EventName.RELAYED, 3.0, "250 2.0.0 Ok")],
            RecipientEnd(EVE, "Accepted by the next server", "good", "250 2.0.0 Ok"),
        ),
        (
            [QUEUED, DEFERRED, event(EventName.BOUNCED, 3.0, "550 5.1.1 Unknown")],
            RecipientEnd(EVE, "Bounced", "bad", "550 5.1.1 Unknown"),
        ),
        ([QUEUED, event(EventName.HELD, 2.0)], RecipientEnd(EVE, "Held", "waiting")),
        ([QUEUED, DEFERRED, event(EventName.HELD, 3.0)], RecipientEnd(EVE, "Held", "waiting")),
        ([QUEUED, event(EventName.CANCELLED, 2.0)], RecipientEnd(EVE, "Cancelled", "bad")),
    ],
    ids=["queued", "attempted", "deferred", "relayed", "bounced", "held", "held later", "cancelled"],
)
def test_a_recipient_has_one_end_in_words(events: list[Event], end: RecipientEnd) -> None:
    (journey,) = journeys_of([*events, APPENDED])
    assert [*ends_of(MessageJourney.of(journey))] == [end]


def test_seconds_since_the_epoch_are_shown_as_times() -> None:
    assert moment(300.0) == moment(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
