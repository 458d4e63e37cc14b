"""Keys as JSON."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, FailFast, Field

from relate_accounts.types import Scope
from relate_api.schemas import Input, Moment, Page, View


class KeyRequest(Input):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
    scopes: Annotated[list[Scope], FailFast(), Field(min_length=1, max_length=len(Scope))]
    expires: Moment | None = None


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
