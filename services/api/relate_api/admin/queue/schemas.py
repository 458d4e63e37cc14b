"""JSON schemas of the queue of outgoing mail: envelopes and replies, no content."""

import time
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, field_validator

from relate_accounts.addresses import canonical_domain
from relate_api.admin.schemas import DomainName, Id, IdPageRequest, require_number, to_time
from relate_api.schemas import Page, RequestModel, ResponseModel
from relate_mailstore.queue_types import QueuedRecipient, QueueFilter, QueueState, RecipientId
from relate_mailstore.types import AccountId

HOUR_SECONDS = 3_600.0
MAX_HOURS = 24 * 365 * 10.0

Hours = Annotated[float, Field(ge=0, le=MAX_HOURS, description="Only mail that is older than so many hours.")]


class QueuedRecipientDetails(ResponseModel):
    """A recipient of a message that waits to be sent to another server."""

    id: int
    message_id: UUID
    header_message_id: str
    user_id: int
    sender: str
    recipient: str
    domain: str
    state: QueueState
    requested: QueueState | None
    size_bytes: int
    arrived: datetime
    attempts: int
    next_attempt: datetime | None
    last_reply: str
    status: str
    trace_id: str

    @classmethod
    def of(cls, row: QueuedRecipient) -> "QueuedRecipientDetails":
        """Convert a row of the queue."""
        return cls(
            id=row.recipient_id,
            message_id=row.message_id,
            header_message_id=row.header_message_id,
            user_id=row.account_id,
            sender=row.sender,
            recipient=row.address,
            domain=row.domain,
            state=row.state,
            requested=row.requested,
            size_bytes=row.size,
            arrived=to_time(row.arrived),
            attempts=row.attempts,
            next_attempt=None if row.due is None else to_time(row.due),
            last_reply=row.reply,
            status=row.status,
            trace_id=row.trace,
        )


class QueueList(Page[QueuedRecipientDetails]):
    """A page of the queue, in the order of arrival."""


class _Filters(RequestModel):
    """The filters that lists and changes share."""

    domain: Annotated[DomainName | None, Field(description="Only recipients in this domain.")] = None
    user_id: Annotated[Id | None, Field(description="Only mail of this user.")] = None
    older_than_hours: Hours | None = None

    def query(self, recipient_id: int | None = None, state: QueueState | None = None) -> QueueFilter:
        """Convert to a filter of the queue. Raises InvalidAddress if the domain is not valid."""
        hours = self.older_than_hours
        return QueueFilter(
            recipient_id=None if recipient_id is None else RecipientId(recipient_id),
            domain=None if self.domain is None else canonical_domain(self.domain),
            account_id=None if self.user_id is None else AccountId(self.user_id),
            state=state,
            older_than=None if hours is None else time.time() - hours * HOUR_SECONDS,
        )


class QueueFilters(_Filters, IdPageRequest):
    """Which recipients to list."""

    state: QueueState | None = None


class QueueSelection(_Filters):
    """The recipients to change: those that match every given property, of which at least one is required."""

    id: Id | None = None

    _numbers = field_validator("id", "user_id", "older_than_hours", mode="before")(require_number)


class QueueChanged(ResponseModel):
    """The number of recipients that were changed."""

    changed: int
