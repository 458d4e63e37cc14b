"""The recipients of a message that is submitted by its header: To, Cc and Bcc, each routed, all or none accepted."""

from collections.abc import Iterator
from http import HTTPStatus

from fastapi import HTTPException

from relate_accounts.types import Recipient, User
from relate_api.access.dependencies import Services
from relate_api.http.errors import RecipientsRefused, RefusedRecipient
from relate_mailstore.errors import OverQuota
from relate_mailstore.queue_types import OutgoingRecipient
from relate_mailstore.types import AccountId
from relate_mime.address_lists import read_address_list
from relate_mime.addresses import LIST_LIMIT_OCTETS, MAX_ADDRESSES
from relate_submission.envelope import AcceptedRecipient
from relate_submission.header import Header
from relate_submission.paths import is_address
from relate_submission.routing import Elsewhere, Unroutable

RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")

_REASONS = {
    Unroutable.NO_SUCH_USER: "there is no such user here",
    Unroutable.NOT_LOCAL: "mail to other servers is not sent from here",
}
_INVALID = "not an email address"
_FULL = "the mailbox has no room for the message"


class Accepted:
    """Recipients with an account here, and those on other servers."""

    def __init__(self) -> None:
        self.local: list[AcceptedRecipient] = []
        self.outgoing: list[OutgoingRecipient] = []


def find_recipients(header: Header, limit: int) -> list[str]:
    """The addresses of the recipients, each once, in order.

    Raises HTTPException with 422 if there are none, more than `limit`, or a field is too long; TooManyFields.
    """
    addresses = {address.casefold(): address for address in _addresses(header)}
    if not addresses:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "the message has no recipient")
    if len(addresses) > limit:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"a message has at most {limit} recipients")
    return [*addresses.values()]


async def accept_recipients(services: Services, user: User, addresses: list[str], octets: int) -> Accepted:
    """Route each recipient of a message of so many octets. Raises RecipientsRefused, AccountsUnavailable."""
    accepted, refused = Accepted(), []
    for address in addresses:
        reason = await _accept(services, user, address, octets, accepted)
        if reason:
            refused.append(RefusedRecipient(address=address, reason=reason))
    if refused:
        raise RecipientsRefused(refused)
    return accepted


def _addresses(header: Header) -> Iterator[str]:
    for name in RECIPIENT_FIELDS:
        for field in header.fields(name):
            listed = read_address_list(field.value).addresses
            if len(field.value) > LIST_LIMIT_OCTETS or len(listed) >= MAX_ADDRESSES:
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"the field {name.decode()} is too long")
            yield from (address for _, address in listed)


async def _accept(services: Services, user: User, address: str, octets: int, accepted: Accepted) -> str:
    """Add a recipient; else the reason why it is refused."""
    if not is_address(address):
        return _INVALID
    found = await services.submission.routing.route(address, user)
    if isinstance(found, Unroutable):
        return _REASONS[found]
    if isinstance(found, Elsewhere):
        accepted.outgoing.append(OutgoingRecipient(address, found.domain))
        return ""
    if not await _has_room(services, found, octets):
        return _FULL
    accepted.local.append(AcceptedRecipient(address, found))
    return ""


async def _has_room(services: Services, recipient: Recipient, octets: int) -> bool:
    if recipient.quota is None:
        return True
    try:
        await services.store.check_quota(AccountId(recipient.user_id), octets, recipient.quota)
    except OverQuota:
        return False
    return True
