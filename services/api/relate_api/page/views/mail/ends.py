"""Where a sent message is for each of its recipients, in words. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from relate_api.journeys.schemas import MessageJourney
from relate_api.page.timeline import NEXT_ATTEMPT, TONES, WORDS
from relate_mailstore.event_types import EventName
from relate_mailstore.journeys import EndState

_REPLIES = frozenset({EventName.BOUNCED, EventName.EXPIRED, EventName.RELAYED, EventName.DEFERRED})
"""The events with a reply of another server."""
_WITH_REPLY = frozenset({EndState.BOUNCED, EndState.EXPIRED, EndState.RELAYED})


class RecipientEnd(NamedTuple):
    """The state of a recipient, the last reply of another server, and until when, in seconds since the epoch."""

    recipient: str
    words: str
    tone: str
    reply: str = ""
    until: float | None = None


def ends_of(journey: MessageJourney) -> Iterator[RecipientEnd]:
    """The ends of the recipients, without the sender's own copy."""
    for end in journey.recipients:
        if not end.recipient:
            continue
        replies = [step for step in journey.steps if step.recipient == end.recipient and step.event in _REPLIES]
        last = replies[-1] if replies else None
        if last is not None and last.event == EventName.DEFERRED and end.state is EndState.QUEUED:
            until = last.detail.get(NEXT_ATTEMPT)
            until = until if isinstance(until, int | float) else None
            yield RecipientEnd(end.recipient, WORDS[last.event], TONES[last.event], last.reply, until)
        else:
            reply = last.reply if last is not None and end.state in _WITH_REPLY else ""
            yield RecipientEnd(end.recipient, WORDS[end.state], TONES.get(end.state, ""), reply)
