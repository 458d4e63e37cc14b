"""`POST /api/emails`, and `/reply`, `/reply-all` and `/forward` of a message.

A key needs `api:write` or `app` for them; the scope `smtp` is that of mail clients.
"""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter

from relate_api.compose.answers import find_answered, forward_subject, reply_subject
from relate_api.compose.exchange import Sender, answer_once, body_of
from relate_api.compose.once import Key
from relate_api.compose.refusals import SendingRoute
from relate_api.compose.schemas import NewEmail, NewForward, NewReply, SentEmail
from relate_api.compose.sending import Caller, Written, normalise_lines, send
from relate_api.compose.uploads import JSON, MESSAGE, Upload
from relate_api.compose.writing import write_named
from relate_mailstore.types import MessageId

router = APIRouter(prefix="/api/emails", tags=["sending"], route_class=SendingRoute)


@router.post("", status_code=HTTPStatus.CREATED, openapi_extra=body_of("NewEmail", or_message=True))
async def send_email(caller: Sender) -> SentEmail:
    """Send a message, in JSON or as it is. It is stored in \\Sent, and reaches all of its recipients or none.

    Of a message as it is, the recipients are those in To, Cc and Bcc; Bcc is removed from it.
    """

    async def make(upload: Upload, key: Key) -> SentEmail:
        if upload.media_type == JSON:
            return await _send_written(caller, await upload.parse(NewEmail), key)
        body = upload.take()
        written = Written(await caller.offload(len(body), lambda: normalise_lines(body)))
        return await send(caller, written, caller.reception(), key)

    return await answer_once(caller, (JSON, MESSAGE), make)


@router.post("/{email_id:uuid}/reply", status_code=HTTPStatus.CREATED, openapi_extra=body_of("NewReply"))
async def reply_to_email(email_id: UUID, caller: Sender) -> SentEmail:
    """Reply to the author of a message, or where its Reply-To says. The message is marked as answered."""
    return await _reply(email_id, caller, to_all=False)


@router.post("/{email_id:uuid}/reply-all", status_code=HTTPStatus.CREATED, openapi_extra=body_of("NewReply"))
async def reply_to_all(email_id: UUID, caller: Sender) -> SentEmail:
    """Reply to the author and to all other recipients of a message."""
    return await _reply(email_id, caller, to_all=True)


@router.post("/{email_id:uuid}/forward", status_code=HTTPStatus.CREATED, openapi_extra=body_of("NewForward"))
async def forward_email(email_id: UUID, caller: Sender) -> SentEmail:
    """Send a message to others as an attachment. It is marked as forwarded."""

    async def make(upload: Upload, key: Key) -> SentEmail:
        original = await find_answered(caller.services, caller.principal, MessageId(email_id))
        new = await upload.parse(NewForward)
        subject = forward_subject(original.index.subject)
        return await _send_written(caller, _email(new, subject=subject, forward_email_id=email_id), key)

    return await answer_once(caller, (JSON,), make)


async def _reply(email_id: UUID, caller: Caller, *, to_all: bool) -> SentEmail:
    async def make(upload: Upload, key: Key) -> SentEmail:
        answered = await find_answered(caller.services, caller.principal, MessageId(email_id))
        new = await upload.parse(NewReply)
        to, cc = answered.all_recipients() if to_all else (answered.recipients(), ())
        subject = reply_subject(answered.index.subject)
        email = _email(new, to=to, cc=(*cc, *new.cc), subject=subject, reply_to_email_id=email_id)
        return await _send_written(caller, email, key)

    return await answer_once(caller, (JSON,), make)


def _email(new: NewReply | NewForward, **others: object) -> NewEmail:
    """The message of a request that has only some of its properties. Their values are valid already."""
    defaults = {name: field.default for name, field in NewEmail.model_fields.items()}
    return NewEmail.model_construct(**defaults | dict(new) | others)


async def _send_written(caller: Caller, email: NewEmail, key: Key) -> SentEmail:
    reception = caller.reception()
    return await send(caller, await write_named(caller, email, reception), reception, key)
