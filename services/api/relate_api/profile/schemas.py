"""JSON schemas of the profile and its addresses."""

from datetime import datetime
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field

from relate_accounts.addresses import MAX_ADDRESS_OCTETS
from relate_accounts.claims import CODE_CHARACTERS
from relate_accounts.types import UserId
from relate_api.schemas import RequestModel, ResponseModel

MAX_DISPLAY_NAME_CHARACTERS = 200
# No control characters: a name is shown on terminals, and becomes part of header fields.
DISPLAY_NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"


def address_id(user_id: UserId, address: str) -> UUID:
    """The id of an address of a user: the same before and after it is proved."""
    return uuid5(NAMESPACE_URL, f"relate-mail address {user_id} {address}")


class ProfileAddress(ResponseModel):
    """An address. One that is not verified receives nothing, and the user may not send from it.

    `isGiven`: an administrator gave it, and it receives mail here. The user has proved the others, which only permit to
    send from them: their mail arrives at the servers of their domains.
    """

    id: UUID
    address: str
    is_verified: bool
    is_primary: bool
    is_given: bool


class Profile(ResponseModel):
    """The user. `quota` and `usage` are in octets; no limit is null."""

    id: int
    address: str
    display_name: str
    addresses: list[ProfileAddress]
    created: datetime
    quota: int | None
    usage: int


class ProfilePatch(RequestModel):
    """What the user changes of the profile."""

    display_name: Annotated[str, Field(max_length=MAX_DISPLAY_NAME_CHARACTERS, pattern=DISPLAY_NAME_PATTERN)]


class NewAddressRequest(RequestModel):
    """The address to claim, in a domain of other servers."""

    address: Annotated[str, Field(min_length=3, max_length=MAX_ADDRESS_OCTETS)]


class VerificationRequest(RequestModel):
    """The code that was mailed to the address."""

    code: Annotated[str, Field(min_length=1, max_length=2 * CODE_CHARACTERS)]
