"""JSON schemas of API keys."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, FailFast, Field

from relate_accounts.clock import utc_now
from relate_accounts.keys import KEY_NAME_PATTERN, MAX_KEY_NAME_CHARACTERS
from relate_accounts.types import Scope
from relate_api.schemas import Page, RequestModel, ResponseModel, UtcDatetime


def _in_the_future(time: datetime) -> datetime:
    if time <= utc_now():
        raise ValueError("the time is in the past")
    return time


class NewKeyRequest(RequestModel):
    """The key to create."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_KEY_NAME_CHARACTERS, pattern=KEY_NAME_PATTERN)]
    scopes: Annotated[list[Scope], FailFast(), Field(min_length=1, max_length=len(Scope))]
    expires: Annotated[UtcDatetime, AfterValidator(_in_the_future)] | None = None


class KeyDetails(ResponseModel):
    """A key without its secret."""

    id: int
    name: str
    prefix: str
    scopes: Annotated[list[Scope], BeforeValidator(sorted)]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None


class CreatedKey(ResponseModel):
    """A new key with its secret, which cannot be shown again."""

    key: str
    details: KeyDetails


class KeyList(Page[KeyDetails]):
    """All keys of the user, on one page."""
