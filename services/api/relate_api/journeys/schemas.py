"""JSON schemas of journeys: envelopes and what happened, never a subject or a body."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from relate_api.schemas import Page, RequestModel, ResponseModel, TimeCursor, UtcDatetime
from relate_mailstore.event_rules import MAX_ADDRESS_CHARACTERS, MAX_NAME_CHARACTERS
from relate_mailstore.journey_search import JourneySearch
from relate_mailstore.journey_views import NO_NAMES, Names, step_of
from relate_mailstore.journeys import EndState, Journey

MAX_PAGE_JOURNEYS = 50  # with a hundred recipients each, about 3 MB of JSON

Address = Annotated[str | None, Field(max_length=MAX_ADDRESS_CHARACTERS)]


class JourneyStep(ResponseModel):
    """Something that happened. `detail` depends on the event; `traceId` is empty without telemetry."""

    event: str
    time: datetime
    service: str
    recipient: str
    reply: str
    trace_id: str
    detail: Mapping[str, str | int | float | bool | None]


class RecipientState(ResponseModel):
    """Where the message is for one recipient, and since when. The recipient is empty for a copy without an address."""

    recipient: str
    state: EndState
    since: datetime


class MessageJourney(ResponseModel):
    """What happened to one message. `id` is null for mail that was refused, because it was not stored."""

    id: UUID | None
    message_id: str
    sender: Annotated[str, Field(serialization_alias="from")]
    recipients: list[RecipientState]
    steps: list[JourneyStep]

    @classmethod
    def of(cls, journey: Journey, names: Names = NO_NAMES) -> Self:
        """Convert a journey; `names` are the addresses of accounts that the caller may know."""
        steps = [step_of(event, names)._asdict() for event in journey.events]
        return cls(
            id=journey.message_id and UUID(str(journey.message_id)),
            message_id=journey.header_message_id,
            sender=journey.sender,
            recipients=[
                RecipientState(recipient=end.recipient, state=end.state, since=_moment(end.event.time))
                for end in journey.ends
            ],
            steps=[JourneyStep(**{**step, "time": _moment(step["time"])}) for step in steps],
        )


class JourneyPage(Page[MessageJourney]):
    """A page of journeys, newest first. It may be empty and have a `nextCursor`, if a filter matched none of it."""


class JourneyFilters(RequestModel):
    """Which journeys to list."""

    message_id: Annotated[
        str | None, Field(max_length=MAX_NAME_CHARACTERS + 2, description="The Message-ID, with or without brackets.")
    ] = None
    sender: Annotated[Address, Field(alias="from", description="The envelope's sender.")] = None
    to: Annotated[Address, Field(description="A recipient.")] = None
    since: Annotated[UtcDatetime | None, Field(description="Begun at this time or later.")] = None
    cursor: TimeCursor = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_JOURNEYS)] = 20

    def search(self) -> JourneySearch:
        """Convert to a search of the event log."""
        return JourneySearch(
            header_message_id=None if self.message_id is None else bare_message_id(self.message_id),
            sender=self.sender,
            recipient=self.to,
            since=0.0 if self.since is None else self.since.timestamp(),
            before=None if self.cursor is None else float(self.cursor),
            limit=self.limit,
        )


def bare_message_id(text: str) -> str:
    """A Message-ID without the brackets and the space around it."""
    return text.strip().removeprefix("<").removesuffix(">")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
