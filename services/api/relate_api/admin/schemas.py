"""What the schemas of administration share: ids, addresses, pages and times."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path
from pydantic import Field

from relate_accounts.addresses import MAX_ADDRESS_OCTETS, MAX_DOMAIN_OCTETS
from relate_api.schemas import RequestModel

MAX_PAGE_ITEMS = 100
MAX_ID = 2**53 - 1
"""The largest integer that every reader of JSON reads exactly (RFC 8259 §6); far more than there are rows."""

Id = Annotated[int, Field(ge=1, le=MAX_ID)]
PathId = Annotated[int, Path(ge=1, le=MAX_ID)]
Address = Annotated[str, Field(max_length=MAX_ADDRESS_OCTETS, pattern=r"^.+@.+$")]
PathAddress = Annotated[str, Path(min_length=1, max_length=MAX_ADDRESS_OCTETS)]
DomainName = Annotated[str, Field(min_length=1, max_length=MAX_DOMAIN_OCTETS)]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE_ITEMS)]


def to_time(seconds: float) -> datetime:
    """A time that the store has in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def require_number(value: object) -> object:
    """A validator of a property that is a number in JSON; pydantic would also accept true and "1"."""
    if isinstance(value, bool | str):
        raise ValueError("expected a number")
    return value


class IdPageRequest(RequestModel):
    """A page of a list that is sorted by id."""

    cursor: Annotated[str | None, Field(pattern=r"^[0-9]{1,18}$", description="`nextCursor` of the previous page.")] = (
        None
    )
    limit: Limit = 50

    @property
    def after(self) -> int:
        """The last id of the previous page, 0 if there is none."""
        return int(self.cursor or 0)
