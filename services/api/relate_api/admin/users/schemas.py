"""JSON schemas of users, as administrators see them."""

from datetime import datetime
from typing import Annotated

from pydantic import FailFast, Field, StrictBool, field_validator

from relate_api.admin.schemas import MAX_ID, Address, IdPageRequest, require_number
from relate_api.schemas import Page, RequestModel, ResponseModel
from relate_service.users import Profile

MAX_NAME_CHARACTERS = 200
MAX_QUOTA_OCTETS = MAX_ID
MAX_ADDRESSES_ITEMS = 100
"""Of one request."""

# No control characters: names are shown on terminals.
DisplayName = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*$")]
Quota = Annotated[int, Field(ge=0, le=MAX_QUOTA_OCTETS, description="Octets; null for no limit.")]


class AdminUser(ResponseModel):
    """A user. `address` is the primary address, empty if the user has none."""

    id: int
    address: str
    display_name: str
    quota: int | None
    created: datetime
    disabled: datetime | None


class AdminUserDetail(AdminUser):
    """A user with all addresses and usage figures."""

    addresses: list[str]
    used_bytes: int
    messages: int
    mailboxes: int
    usable_keys: int

    @classmethod
    def of(cls, profile: Profile) -> "AdminUserDetail":
        """Convert a profile."""
        return cls(
            **AdminUser.model_validate(profile.user).model_dump(),
            addresses=list(profile.addresses),
            used_bytes=profile.usage,
            messages=profile.messages,
            mailboxes=profile.mailboxes,
            usable_keys=profile.usable_keys,
        )


class AdminUserPage(Page[AdminUser]):
    """A page of users, by id."""


class AddressList(ResponseModel):
    """The addresses of a user, the primary one first."""

    addresses: list[str]


class UserFilters(IdPageRequest):
    """Which users to list."""

    address: Annotated[Address | None, Field(description="Only the user with this address.")] = None


class NewUserRequest(RequestModel):
    """The user to create."""

    address: Address
    display_name: DisplayName = ""
    aliases: Annotated[tuple[Address, ...], FailFast(), Field(max_length=MAX_ADDRESSES_ITEMS)] = ()
    quota: Quota | None = None

    _numbers = field_validator("quota", mode="before")(require_number)


class UserPatch(RequestModel):
    """Changes to a user. Omitted properties stay as they are; a quota that is null is no limit."""

    display_name: DisplayName | None = None
    quota: Quota | None = None
    disabled: StrictBool | None = None

    _numbers = field_validator("quota", mode="before")(require_number)


class NewAddressRequest(RequestModel):
    """The address to add, or `*@domain` for all unknown addresses of a domain."""

    address: Address
