"""JSON schemas of labels."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from relate_api.emails.filters import MailboxName, Paging
from relate_api.schemas import IS_NUMBER, Page, RequestModel, ResponseModel
from relate_mailstore.filter_types import Label, LabelId, LabelStyle
from relate_mailstore.types import MessageQuery

MAX_NAME_CHARACTERS = 64
MAX_PLACES = 1_000_000

# No control characters, and no space at either end, where it is not visible.
NAME_PATTERN = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"


class LabelRequest(RequestModel):
    """A label to create, or what an existing one becomes."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_NAME_CHARACTERS,
            pattern=NAME_PATTERN,
            description="Unique for the user, in any case.",
        ),
    ]
    color: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$", examples=["#3b82f6"])]
    sort_order: Annotated[
        int, Field(ge=0, le=MAX_PLACES, description="Labels are listed from the lowest."), IS_NUMBER
    ] = 0

    def style(self) -> LabelStyle:
        """Convert to what the store keeps."""
        return LabelStyle(self.name, self.color.lower(), self.sort_order)


class LabelDetails(ResponseModel):
    """A label. `keyword` is the IMAP keyword that its messages have; a new name does not change it.

    With `isStored` false the label is a keyword that a mail client has set; a PUT gives it a name and a colour.
    """

    id: UUID
    name: str
    color: str
    sort_order: int
    keyword: str
    is_stored: bool

    @classmethod
    def of(cls, label: Label) -> Self:
        """Convert a label."""
        style = label.style
        return cls(
            id=label.id,
            name=style.name,
            color=style.color,
            sort_order=style.sort_order,
            keyword=label.keyword,
            is_stored=label.is_stored,
        )


class LabelList(Page[LabelDetails]):
    """All labels of the user, on one page."""


class LabelAssignment(RequestModel):
    """The label that a message gets."""

    label_id: UUID

    @property
    def id(self) -> LabelId:
        """The id of the label."""
        return LabelId(self.label_id)


class LabelledEmails(Paging):
    """The page of a list of messages with a label."""

    mailbox: MailboxName = ""

    def query(self, keyword: str) -> MessageQuery:
        """Convert to a query of the mail store."""
        mailbox = self.mailbox or None
        return MessageQuery(mailbox=mailbox, keyword=keyword, cursor=self.cursor, limit=self.size, offset=self.offset)
