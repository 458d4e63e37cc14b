"""The parameters and bodies of requests."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, FailFast, Field, StrictBool, model_validator

from relate_api.emails.criteria import KEYWORD_PATTERN, LABEL_PATTERN
from relate_api.schemas import Moment, RequestModel, first_second, second_after
from relate_mailstore.criteria import Criterion
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS
from relate_mailstore.types import INBOX, Flag, FlagChange, MessageQuery

MAX_PAGE_ITEMS = 100  # a few hundred kB of JSON
MAX_PAGES = 10_000  # a million messages: the database passes over all of the pages before
MAX_LABELS = 32  # per request, added or removed
MAX_QUERY_CHARACTERS = 1_000
MAX_BULK_ITEMS = 500  # one transaction, which holds the locks of the account's mailboxes

_ID_EXAMPLE = "019f1e2d-3c4b-7a59-8867-1f2e3d4c5b6a"

Label = Annotated[
    str, Field(pattern=KEYWORD_PATTERN, description="A keyword of messages, which a mail client may set.")
]
NewLabel = Annotated[str, Field(pattern=LABEL_PATTERN)]
# Fail on the first invalid item, because reporting one costs a hundred times as much as accepting one.
Labels = Annotated[tuple[Label, ...], FailFast(), Field(max_length=MAX_LABELS)]
NewLabels = Annotated[tuple[NewLabel, ...], FailFast(), Field(max_length=MAX_LABELS)]
EmailIds = Annotated[
    tuple[UUID, ...],
    FailFast(),
    Field(max_length=MAX_BULK_ITEMS, description="Ids of messages; those of others are skipped."),
]
MailboxName = Annotated[
    str, Field(max_length=MAX_NAME_OCTETS, description="The mailbox name; empty for all mailboxes.")
]


class Paging(RequestModel):
    """Which page of a list: by cursor, which no change of the list shifts, or by number."""

    cursor: Annotated[str | None, Field(max_length=200, description="`nextCursor` of the previous page.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ITEMS)] = 50
    page: Annotated[int | None, Field(ge=1, le=MAX_PAGES, description="From 1; not with a cursor.")] = None
    page_size: Annotated[
        int | None, Field(ge=1, le=MAX_PAGE_ITEMS, description="The same as `limit`; not beside it.")
    ] = None

    @model_validator(mode="after")
    def _choose(self) -> Self:
        if self.page is not None and self.cursor is not None:
            raise ValueError("send a page or a cursor, not both")
        if self.page_size is not None and "limit" in self.model_fields_set:
            raise ValueError("send limit or pageSize, not both")
        return self

    @property
    def size(self) -> int:
        """Items of a page."""
        return self.page_size or self.limit

    @property
    def number(self) -> int | None:
        """The number of the page; None if a cursor leads to it."""
        return None if self.cursor is not None else self.page or 1

    @property
    def offset(self) -> int:
        """Items before the page."""
        return ((self.number or 1) - 1) * self.size


class EmailFilters(Paging):
    """Filters of a list."""

    mailbox: MailboxName = INBOX
    since: Annotated[Moment | None, Field(description="Received at this time, or on this day (UTC), or later.")] = None
    before: Annotated[Moment | None, Field(description="Received before this time, or before this day (UTC).")] = None
    from_date: Annotated[Moment | None, Field(description="The same as `since`.")] = None
    to_date: Annotated[Moment | None, Field(description="Received at this time, or on this day, or before.")] = None
    is_read: bool | None = None
    has_attachments: bool | None = None
    label: Label | None = None

    def query(self, criteria: tuple[Criterion, ...] = (), everywhere: bool = False) -> MessageQuery:
        """Convert to a query of the mail store. `everywhere` unless the request names a mailbox."""
        searches_all = everywhere and "mailbox" not in self.model_fields_set
        return MessageQuery(
            mailbox=None if searches_all else self.mailbox or None,
            since=_latest(self.since, self.from_date),
            before=_earliest(self.before, self.to_date),
            seen=self.is_read,
            has_attachments=self.has_attachments,
            keyword=self.label,
            cursor=self.cursor,
            limit=self.size,
            offset=self.offset,
            criteria=criteria,
        )


class EmailSearch(EmailFilters):
    """A search with the same filters."""

    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_QUERY_CHARACTERS,
            description=(
                "Words and quoted phrases, found in sender, recipients, subject or preview, and the operators `from:`, "
                "`to:`, `cc:`, `subject:`, `has:attachment`, `is:unread`, `is:read`, `is:flagged`, `in:<mailbox>`, "
                "`label:`, `before:`, `after:`, `larger:`, `smaller:`. All must match; `-` negates one."
            ),
            examples=['from:ann subject:"annual report" -label:done has:attachment after:2026-11-01'],
        ),
    ]


class SentFilters(Paging):
    """Filters of sent messages."""

    from_address: Annotated[
        str | None, Field(min_length=1, max_length=320, description="The address that a message was sent from.")
    ] = None


class ExportFilters(RequestModel):
    """Which messages are exported."""

    mailbox: MailboxName = ""
    from_date: Annotated[Moment | None, Field(description="Received at this time, or on this day (UTC), or later.")] = (
        None
    )
    to_date: Annotated[Moment | None, Field(description="Received at this time, or on this day, or before.")] = None

    def query(self, limit: int) -> MessageQuery:
        """Convert to a query for pages of `limit` messages, oldest first."""
        return MessageQuery(
            mailbox=self.mailbox or None,
            since=_latest(self.from_date),
            before=_earliest(None, self.to_date),
            limit=limit,
            oldest_first=True,
        )


class EmailPatch(RequestModel):
    """Changes to a message. Omitted properties stay as they are; a label that is both added and removed is added."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"isRead": True, "addLabels": ["work"]}]})

    is_read: StrictBool | None = None
    is_flagged: StrictBool | None = None
    add_labels: NewLabels = ()
    remove_labels: Labels = ()

    def change(self) -> FlagChange:
        """Convert to a flag change of the mail store."""
        wanted = {Flag.SEEN: self.is_read, Flag.FLAGGED: self.is_flagged}
        return FlagChange(
            add=sum(flag for flag, on in wanted.items() if on is True),
            remove=sum(flag for flag, on in wanted.items() if on is False),
            add_keywords=self.add_labels,
            remove_keywords=self.remove_labels,
        )


class BulkDelete(RequestModel):
    """Messages to delete."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"emailIds": [_ID_EXAMPLE]}]})

    email_ids: EmailIds


class BulkMarkRead(RequestModel):
    """Messages to mark as read, or as unread."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"emailIds": [_ID_EXAMPLE], "isRead": True}]})

    email_ids: EmailIds
    is_read: StrictBool = True


def _latest(*moments: datetime | date | None) -> int | None:
    return max((first_second(moment) for moment in moments if moment is not None), default=None)


def _earliest(before: datetime | date | None, until: datetime | date | None) -> int | None:
    bounds = [] if before is None else [first_second(before)]
    return min([*bounds, *([] if until is None else [second_after(until)])], default=None)
