"""Writes the message of a `NewEmail`, with what it takes from the message that it answers or forwards."""

from functools import partial
from http import HTTPStatus
from uuid import UUID

from fastapi import HTTPException

from relate_api.compose.answers import FORWARDED, REPLIED, Answered, find_answered, forward
from relate_api.compose.mime import Heading, InvalidAttachment, write_message
from relate_api.compose.older import NOTHING_OLDER, Older
from relate_api.compose.schemas import Correspondent, NewEmail
from relate_api.compose.sending import Caller, Changes, Written
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.types import MessageId
from relate_submission.envelope import Reception


async def write(caller: Caller, email: NewEmail, reception: Reception, older: Older = NOTHING_OLDER) -> Written:
    """The message, with what changes when it is sent. `older` is what it keeps of the draft that it was before.

    Raises HTTPException with 422 for what cannot be written, MessageNotFound.
    """
    _check(email)
    services, principal = caller.services, caller.principal
    replied = await _find(caller, email.reply_to_email_id)
    original = await _find(caller, email.forward_email_id)
    forwarded = await forward(services, principal, original) if original else None
    answered = replied or original
    heading = Heading(
        email.sender or _author(caller, answered.addressed() if answered else None),
        f"{reception.identifier}@{reception.server_name}",
        reception.time,
        replied.in_reply_to if replied else older.in_reply_to,
        replied.references if replied else older.references,
    )
    octets = _octets(email, forwarded.message if forwarded else b"", *older.parts)
    try:
        message = await caller.offload(octets, partial(write_message, email, heading, forwarded, older.parts))
    except InvalidAttachment as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    if answered is None:
        return Written(message, older.changes)
    return Written(message, Changes(answered=answered.listed.message.id, mark=REPLIED if replied else FORWARDED))


async def write_named(caller: Caller, email: NewEmail, reception: Reception) -> Written:
    """As `write`, for a request whose body names the message that it answers. Raises HTTPException with 404 and 422."""
    try:
        return await write(caller, email, reception)
    except MessageNotFound:
        raise HTTPException(
            HTTPStatus.NOT_FOUND, "there is no message with the id in replyToEmailId or forwardEmailId"
        ) from None


def _check(email: NewEmail) -> None:
    """Raise HTTPException with 422 for what no message can be."""
    if email.reply_to_email_id is not None and email.forward_email_id is not None:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "a message has replyToEmailId or forwardEmailId, but not both"
        )
    if any("\0" in text for text in (email.text_body, email.html_body) if text):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "a text has NUL, which mail cannot have")  # RFC 2045 §2.7


async def _find(caller: Caller, email_id: UUID | None) -> Answered | None:
    return None if email_id is None else await find_answered(caller.services, caller.principal, MessageId(email_id))


def _author(caller: Caller, address: str | None) -> Correspondent:
    """The caller, writing as one of the own addresses."""
    user = caller.principal.user
    return Correspondent.model_construct(address=address or user.address, name=user.display_name)


def _octets(email: NewEmail, *others: bytes) -> int:
    """About the size of the message."""
    texts = (email.text_body, email.html_body, *(each.content_base64 for each in email.attachments), *others)
    return sum(len(text) for text in texts if text)
