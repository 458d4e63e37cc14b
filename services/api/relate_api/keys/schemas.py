"""Keys as JSON."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, FailFast, Field

from relate_accounts.clock import utc_now
from relate_accounts.keys import KEY_NAME_PATTERN, MAX_KEY_NAME_CHARACTERS
from relate_accounts.types import Scope
from relate_api.schemas import Input, Moment, Page, View


def _in_the_future(moment: datetime) -> datetime:
    if moment <= utc_now():
        raise ValueError("the time is in the past")
    return moment


class KeyRequest(Input):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_KEY_NAME_CHARACTERS, pattern=KEY_NAME_PATTERN)]
    scopes: Annotated[list[Scope], FailFast(), Field(min_length=1, max_length=len(Scope))]
    expires: Annotated[Moment, AfterValidator(_in_the_future)] | None = None


class KeyView(View):
    """A key as it may be shown."""

    id: int
    name: str
    prefix: str
    scopes: Annotated[list[Scope], BeforeValidator(sorted)]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None


class CreatedKey(View):
    """A key just made, with its secret: shown this once."""

    key: str
    details: KeyView


class KeyList(Page[KeyView]):
    """All keys of a user, on one page."""
