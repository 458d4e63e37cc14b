"""JSON schemas of mailboxes, and of moves and copies."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import FailFast, Field, StrictBool

from relate_api.schemas import Page, RequestModel, ResponseModel
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS
from relate_mailstore.types import Flag, Snapshot

MAX_EMAILS = 1000  # per request; their ids are 39 KB of JSON

MailboxName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_OCTETS)]


class MailboxDetails(ResponseModel):
    """A mailbox. Levels of its name are separated by "/". `specialUse` is that of RFC 6154, null for none."""

    id: int
    name: str
    special_use: str | None
    total: int
    unread: int
    size_bytes: int
    uid_validity: int
    subscribed: bool

    @classmethod
    def of(cls, snapshot: Snapshot, *, subscribed: bool) -> Self:
        """Convert a mailbox with its entries."""
        mailbox = snapshot.mailbox
        return cls(
            id=mailbox.id,
            name=mailbox.name,
            special_use=mailbox.special_use or None,
            total=mailbox.messages,
            unread=snapshot.entries.with_flag(Flag.SEEN).count(0),
            size_bytes=mailbox.octets,
            uid_validity=mailbox.uid_validity,
            subscribed=subscribed,
        )


class MailboxList(Page[MailboxDetails]):
    """All mailboxes, INBOX first, on one page."""


class NewMailbox(RequestModel):
    """The mailbox to create. Missing levels above it are created, too."""

    name: MailboxName


class MailboxPatch(RequestModel):
    """Changes to a mailbox. The mailboxes below it are renamed with it."""

    name: MailboxName | None = None
    subscribed: StrictBool | None = None


class Target(RequestModel):
    """The mailbox that a message is moved or copied to."""

    mailbox: MailboxName


class BulkMove(Target):
    """Messages to move. Those that no longer exist are skipped."""

    email_ids: Annotated[tuple[UUID, ...], FailFast(), Field(min_length=1, max_length=MAX_EMAILS)]


class Moved(ResponseModel):
    """The number of messages that were moved."""

    moved_count: int
