"""Sends one message of the developers' mode to other servers, because an administrator requests it."""

import time
from http import HTTPStatus

from fastapi import HTTPException

from relate_accounts.addresses import canonical_address, domain_of
from relate_accounts.errors import InvalidAddress
from relate_accounts.types import Recipient
from relate_api.access.dependencies import Services
from relate_api.config import SERVICE
from relate_api.developers.schemas import ReleaseRequest
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.types import AccountId, Delivery, MessageId
from relate_submission.header import Header
from relate_submission.paths import is_address


async def release(services: Services, request: ReleaseRequest, mailbox: Recipient) -> int:
    """Queue a message of a mailbox; returns the number of its recipients.

    Raises MessageNotFound, StoreUnavailable, and HTTPException with 422 for an address that is none.
    """
    recipients = tuple(OutgoingRecipient(address, _domain(address)) for address in dict.fromkeys(request.to))
    if request.sender and not is_address(request.sender):
        raise _no_address()
    account_id = AccountId(mailbox.user_id)
    listed = await services.store.message(account_id, MessageId(request.email_id))
    raw = await services.store.open(account_id, listed.message.id)
    message = await raw.read()
    addresses = (request.sender, *request.to)
    outgoing = Outgoing(
        request.sender,
        recipients,
        account_id,
        is_8bit=not message.isascii(),
        is_utf8=not (Header(message).octets.isascii() and all(map(str.isascii, addresses))),
        header_message_id=listed.message.index.header_message_id,
        due=time.time(),
    )
    await services.store.deliver(Delivery(message, (), outgoing=outgoing, events=_events(outgoing)))
    return len(recipients)


def _events(outgoing: Outgoing) -> tuple[Event, ...]:
    return tuple(
        Event(
            EventName.QUEUED,
            account_id=outgoing.account_id,
            sender=outgoing.sender,
            header_message_id=outgoing.header_message_id,
            recipient=to.address,
            service=SERVICE,
            detail={"destination": to.domain},
        )
        for to in outgoing.recipients
    )


def _domain(address: str) -> str:
    if not is_address(address):
        raise _no_address()
    try:
        return domain_of(canonical_address(address))
    except InvalidAddress:
        raise _no_address() from None


def _no_address() -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "an address is a local part, @ and a domain")
