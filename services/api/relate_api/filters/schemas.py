"""JSON schemas of filters."""

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StrictBool

from relate_api.schemas import IS_NUMBER, Page, RequestModel, ResponseModel
from relate_mailstore.filter_types import Actions, Conditions, Filter, FilterRule, LabelId
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS

MAX_TEXT_CHARACTERS = 200
MAX_PRIORITIES = 1_000_000
MAX_OCTETS = 2**40
MAX_TESTED_MESSAGES = 100

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, pattern=_NO_CONTROLS)]
Octets = Annotated[int, Field(ge=0, le=MAX_OCTETS), IS_NUMBER]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, pattern=_NO_CONTROLS)]
MailboxName = Annotated[str, Field(max_length=MAX_NAME_OCTETS, pattern=_NO_CONTROLS)]


class FilterRequest(RequestModel):
    """A filter to create, or what an existing one becomes. All conditions must hold; without any it takes all mail."""

    name: Name
    is_enabled: StrictBool = True
    priority: Annotated[int, Field(ge=0, le=MAX_PRIORITIES, description="Filters act from the lowest."), IS_NUMBER] = (
        100
    )
    from_address_contains: Annotated[Text | None, Field(description="In an address of From, in any case.")] = None
    to_address_contains: Annotated[Text | None, Field(description="In an address of To or Cc, in any case.")] = None
    subject_contains: Annotated[Text | None, Field(description="Compared as a search does.")] = None
    body_contains: Annotated[Text | None, Field(description="In the text that a search finds.")] = None
    has_attachments: StrictBool | None = None
    larger: Annotated[Octets | None, Field(description="Octets that the message exceeds.")] = None
    mark_as_read: StrictBool = False
    assign_label_id: Annotated[UUID | None, Field(description="A label of the user.")] = None
    move_to_mailbox: Annotated[MailboxName | None, Field(description="The name of a mailbox.")] = None
    delete: Annotated[
        StrictBool,
        Field(description="Enter it in the mailbox with the special use \\Trash, whatever `moveToMailbox` is."),
    ] = False
    stop: Annotated[StrictBool, Field(description="No filter after this one acts.")] = False

    def rule(self) -> FilterRule:
        """Convert to what the store keeps."""
        conditions = Conditions(
            self.from_address_contains or "",
            self.to_address_contains or "",
            self.subject_contains or "",
            self.body_contains or "",
            self.has_attachments,
            self.larger,
        )
        label_id = None if self.assign_label_id is None else LabelId(self.assign_label_id)
        actions = Actions(self.mark_as_read, label_id, self.move_to_mailbox or "", self.delete, self.stop)
        return FilterRule(self.name, conditions, actions, self.priority, self.is_enabled)


class FilterDetails(ResponseModel):
    """A filter, and how often it has acted."""

    id: UUID
    name: str
    is_enabled: bool
    priority: int
    from_address_contains: str | None
    to_address_contains: str | None
    subject_contains: str | None
    body_contains: str | None
    has_attachments: bool | None
    larger: int | None
    mark_as_read: bool
    assign_label_id: UUID | None
    move_to_mailbox: str | None
    delete: bool
    stop: bool
    times_applied: int
    last_applied_at: datetime | None

    @classmethod
    def of(cls, stored: Filter) -> Self:
        """Convert a filter."""
        rule, conditions, actions = stored.rule, stored.rule.conditions, stored.rule.actions
        last = stored.last_applied
        return cls(
            id=stored.id,
            name=rule.name,
            is_enabled=rule.is_enabled,
            priority=rule.priority,
            from_address_contains=conditions.from_address or None,
            to_address_contains=conditions.to_address or None,
            subject_contains=conditions.subject or None,
            body_contains=conditions.body or None,
            has_attachments=conditions.has_attachments,
            larger=conditions.larger,
            mark_as_read=actions.mark_read,
            assign_label_id=actions.label_id,
            move_to_mailbox=actions.mailbox or None,
            delete=actions.delete,
            stop=actions.stop,
            times_applied=stored.times_applied,
            last_applied_at=None if last is None else datetime.fromtimestamp(last, UTC),
        )


class FilterList(Page[FilterDetails]):
    """All filters of the user in the order in which they act, on one page."""


class FilterTestQuery(RequestModel):
    """How much a test looks at."""

    limit: Annotated[
        int, Field(ge=1, le=MAX_TESTED_MESSAGES, description="The newest messages of all mailboxes that are tested.")
    ] = MAX_TESTED_MESSAGES


class FilterTestResult(ResponseModel):
    """The messages that meet the conditions of a filter, newest first."""

    match_count: int
    matched_email_ids: list[UUID]
