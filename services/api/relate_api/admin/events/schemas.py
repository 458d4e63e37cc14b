"""JSON schemas of the event log: envelopes and replies, no content."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from relate_api.admin.schemas import Address, Id, Limit, to_time
from relate_api.schemas import Page, RequestModel, ResponseModel, TimeCursor, UtcDatetime
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.types import AccountId, MessageId

MAX_HEADER_ID_CHARACTERS = 256


class EventDetails(ResponseModel):
    """What happened to a message; empty values are unknown."""

    event: EventName
    time: datetime
    user_id: int | None
    message_id: UUID | None
    header_message_id: str
    sender: str
    recipient: str
    client: str
    service: str
    reply: str
    detail: dict[str, str | int | float | bool | None]
    trace_id: str

    @classmethod
    def of(cls, event: Event) -> "EventDetails":
        """Convert an event of the log."""
        return cls(
            event=event.name,
            time=to_time(event.time),
            user_id=event.account_id,
            message_id=event.message_id,
            header_message_id=event.header_message_id,
            sender=event.sender,
            recipient=event.recipient,
            client=event.client,
            service=event.service,
            reply=event.reply,
            detail=dict(event.detail),
            trace_id=event.trace_id,
        )


class EventPage(Page[EventDetails]):
    """A page of events, newest first. Events of the same time are on one page, which may then exceed the limit."""


class EventFilters(RequestModel):
    """Which events to list."""

    event: EventName | None = None
    message_id: UUID | None = None
    header_message_id: Annotated[
        str | None, Field(max_length=MAX_HEADER_ID_CHARACTERS, description="Message-ID without angle brackets.")
    ] = None
    sender: Address | None = None
    recipient: Address | None = None
    user_id: Id | None = None
    since: UtcDatetime | None = None
    cursor: TimeCursor = None
    limit: Limit = 100

    def query(self) -> EventQuery:
        """Convert to a query of the event log."""
        return EventQuery(
            name=self.event,
            message_id=None if self.message_id is None else MessageId(self.message_id),
            header_message_id=self.header_message_id,
            recipient=self.recipient,
            sender=self.sender,
            account_id=None if self.user_id is None else AccountId(self.user_id),
            since=0.0 if self.since is None else self.since.timestamp(),
            before=None if self.cursor is None else float(self.cursor),
            limit=self.limit,
        )
