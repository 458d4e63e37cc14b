"""JSON schemas of the suppression list."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from relate_api.admin.schemas import Address, Limit, to_time
from relate_api.schemas import Page, RequestModel, ResponseModel
from relate_mailstore.suppression_types import MAX_TEXT_CHARACTERS, Suppression, SuppressionSource


class SuppressionDetails(ResponseModel):
    """An address elsewhere to which nothing is sent. `expires` is null if it stays until it is removed."""

    address: str
    source: SuppressionSource
    status: str
    reason: str
    added: datetime
    expires: datetime | None

    @classmethod
    def of(cls, entry: Suppression) -> "SuppressionDetails":
        """Convert an entry of the list."""
        return cls(
            address=entry.address,
            source=entry.source,
            status=entry.status,
            reason=entry.text,
            added=to_time(entry.added),
            expires=None if entry.expires is None else to_time(entry.expires),
        )


class SuppressionPage(Page[SuppressionDetails]):
    """A page of the list, by address."""


class SuppressionPageRequest(RequestModel):
    """A page of a list that is sorted by address."""

    cursor: Annotated[Address | None, Field(description="`nextCursor` of the previous page.")] = None
    limit: Limit = 50


class NewSuppressionRequest(RequestModel):
    """The address to list, and why; the sender of a message to it is told."""

    address: Address
    reason: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
