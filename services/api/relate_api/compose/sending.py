"""Sends a message by the rules of submission, as SMTP does, and stores it in \\Sent in the same transaction."""

import json
import re
import secrets
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from uuid import UUID

from fastapi import HTTPException, Request, Response

from relate_api.access.dependencies import Principal, Services
from relate_api.compose.once import Key, find_answer, keyed
from relate_api.compose.recipients import accept_recipients, find_recipients
from relate_api.compose.refusals import note_envelope
from relate_api.compose.schemas import RecipientState, SentEmail, SentRecipient
from relate_api.compose.special import find_special
from relate_api.compose.uploads import Offload, too_large
from relate_api.config import SERVICE
from relate_api.http.forwarded import RequestClient
from relate_mailstore.errors import OverQuota, RequestRepeated
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import thread_id
from relate_mailstore.mailbox_names import SENT
from relate_mailstore.types import (
    AnsweredRequest,
    Delivery,
    Destination,
    Flag,
    FlagChange,
    KeyedRequest,
    MessageId,
    Sending,
)
from relate_mime import index_message
from relate_submission.authorship import author_of, check_authorship
from relate_submission.delivery import prepare_delivery
from relate_submission.envelope import Envelope, Reception
from relate_submission.events import accepted
from relate_submission.header import Header, TooManyFields
from relate_submission.held_notice import tell_held
from relate_submission.message import build_message, has_looped
from relate_submission.paths import address_literal

PROTOCOL = "HTTP"
"""The clause `with` of Received: an Atom, as RFC 5321 §4.4 has it (Attdl-Protocol), and what webmail usually writes.

IANA's registry of these names has none for HTTP. ESMTPA is the nearest, but says that SMTP was spoken: that is untrue.
"""

IDENTIFIER_OCTETS = 16

_BARE_LF = re.compile(rb"(?<!\r)\n")
_NO_ID = UUID(int=0)


NO_CHANGE = FlagChange()


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes with the message: the draft that is removed, the message that is marked as answered or forwarded."""

    draft: MessageId | None = None
    answered: MessageId | None = None
    mark: FlagChange = NO_CHANGE


NO_CHANGES = Changes()


@dataclass(slots=True)
class Written:
    """A message that was written, with its Bcc field, and what changes when it is sent."""

    message: bytes
    changes: Changes = NO_CHANGES

    def take(self) -> bytes:
        """Return the message and forget it, so that the caller can free it."""
        message, self.message = self.message, b""
        return message


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends, with the request and the response."""

    request: Request
    response: Response
    services: Services
    principal: Principal
    idempotency_key: str | None = None

    @property
    def client(self) -> RequestClient:
        """The client of the request."""
        client: RequestClient = self.request.state.client
        return client

    @property
    def offload(self) -> Offload:
        """Works on large messages."""
        offload: Offload = self.request.app.state.offload
        return offload

    def keyed(self, fingerprint: str, *, waits: bool = False) -> AbstractAsyncContextManager[Key]:
        """Work on the request, whose hash is given, inside the block: see `once.keyed`."""
        return keyed(self.request, self.principal, self.services, self.idempotency_key, fingerprint, waits=waits)

    def reception(self) -> Reception:
        """How a message is received now. Of the client's TLS only a proxy may know more than that it is there."""
        rules = self.services.submission
        return Reception(
            secrets.token_hex(IDENTIFIER_OCTETS),
            SERVICE,
            PROTOCOL,
            client_name=address_literal(self.client.address) if self.client.address else "unknown",
            client=self.client.address,
            tls="",
            server_name=rules.server_name,
            time=rules.now(),
        )


async def send(caller: Caller, written: Written, reception: Reception, key: Key) -> SentEmail:
    """Send a message to the addresses in its To, Cc and Bcc fields, to all or to none.

    Raises HTTPException with 413 or 422, RecipientsRefused, MessageNotFound for a draft that is gone, StoreUnavailable.
    """
    try:
        return await _send(caller, written, reception, key)
    except TooManyFields:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "a header field occurs too often") from None


async def with_author(caller: Caller, message: bytes) -> bytes:
    """The message with its author, by default the primary address. Raises HTTPException with 422, TooManyFields.

    The author must be one, and one of the caller's verified addresses.
    """
    header = Header(message)
    user = caller.principal.user
    if next(header.fields(b"from"), None) is None:
        return f"From: {user.address}\r\n".encode() + message
    author = author_of(header)
    if author is None or not await caller.services.submission.directory.owns(user.id, author):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "From must be one of your verified addresses")
    return message


def normalise_lines(message: bytes) -> bytes:
    """A message with CRLF at its line ends. Raises HTTPException with 422 for a bare CR, which is no line end."""
    if message.count(b"\r") != message.count(b"\r\n"):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "the message has a bare CR")
    return message if message.count(b"\n") == message.count(b"\r\n") else _BARE_LF.sub(b"\r\n", message)


def repeat_answer(answered: AnsweredRequest) -> SentEmail:
    """The answer to a request whose message was sent by an earlier one."""
    told = json.loads(answered.response)
    sent = SentEmail(
        id=_NO_ID,
        message_id=told["messageId"],
        thread_id=told["threadId"],
        recipients=[SentRecipient(address=address, state=state) for address, state in told["recipients"]],
    )
    sent = _identified(sent, answered.message_id)
    return _held(sent) if answered.is_held else sent


async def _send(caller: Caller, written: Written, reception: Reception, key: Key) -> SentEmail:
    services, user, rules = caller.services, caller.principal.user, caller.services.submission
    message = await with_author(caller, written.take())
    if len(message) > rules.max_content:
        raise too_large(services)
    header = Header(message)
    if has_looped(header):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "the message has too many Received fields")
    sender = author_of(header) or user.address
    # A hostile header costs a microsecond per octet.
    addresses = await caller.offload(len(header.octets), partial(find_recipients, header, rules.max_recipients))
    note_envelope(caller.request, sender, addresses)
    recipients = await accept_recipients(services, user, addresses, len(message))
    is_utf8 = not (header.octets.isascii() and all(map(str.isascii, (sender, *addresses))))
    envelope = Envelope(sender, recipients.local, recipients.outgoing, is_8bit=not message.isascii(), is_utf8=is_utf8)
    edit = await check_authorship(header, sender, user, rules.directory, is_utf8=is_utf8)
    build = partial(build_message, header, message, envelope, reception, is_submission=True, sender_edit=edit)
    octets = len(message)
    del message  # so that `built` is the only copy during the delivery
    built = await caller.offload(octets, build)
    del build
    sent = await caller.offload(len(header.octets), partial(_describe, built, envelope))
    delivery = prepare_delivery(
        envelope,
        user,
        built,
        sent.message_id,
        events=accepted(envelope, reception, user, len(built)),
        limits=rules.sending_limits,
    )
    return await _deliver(caller, delivery, reception, written.changes, _Answer(sent, key))


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer if the message is delivered, and the request that it answers."""

    sent: SentEmail
    key: Key

    @property
    def request(self) -> KeyedRequest | None:
        if not self.key.hash:
            return None
        recipients = [(each.address, each.state) for each in self.sent.recipients]
        told = {"messageId": self.sent.message_id, "threadId": self.sent.thread_id, "recipients": recipients}
        return KeyedRequest(self.key.hash, self.key.fingerprint, json.dumps(told))


async def _deliver(
    caller: Caller, delivery: Delivery, reception: Reception, changes: Changes, answer: _Answer
) -> SentEmail:
    services, principal = caller.services, caller.principal
    mailbox = await find_special(services, principal.account_id, SENT)
    copy = Destination(principal.account_id, mailbox, Flag.SEEN, quota=principal.user.quota)
    sending = None  # nothing but a delivery, which shares its transaction with others
    if changes != NO_CHANGES or answer.request is not None:
        sending = Sending(principal.account_id, changes.draft, changes.answered, changes.mark, answer.request)
    # The copy is first: of an account's destinations, events name the last.
    destinations, events = (copy, *delivery.destinations), delivery.events
    if copy.account_id not in {to.account_id for to in delivery.destinations}:  # else the copy is told as delivered
        appended = Event(EventName.APPENDED, account_id=copy.account_id, service=reception.service)
        events = (*events, appended)
    delivery = replace(delivery, destinations=destinations, events=events, sending=sending)
    try:
        receipt = await services.store.deliver(delivery)
    except OverQuota:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "nothing was sent: your mailbox or a recipient's has no room for the message",
        ) from None
    except RequestRepeated:  # by another process, since the key was looked up
        answered = await find_answer(services, principal.account_id, answer.key.hash, answer.key.fingerprint)
        if answered is None:
            raise HTTPException(HTTPStatus.CONFLICT, "the request was repeated: try again") from None
        return repeat_answer(answered)
    await tell_held(services.store, principal.user, receipt, reception)
    sent = _identified(answer.sent, receipt.message_id)
    return sent if receipt.excess is None else _held(sent)


def _describe(message: bytes, envelope: Envelope) -> SentEmail:
    """The answer, without the id that the store will assign."""
    index = index_message(Header(message).octets + b"\r\n")
    local = [SentRecipient(address=to.address, state=RecipientState.DELIVERED) for to in envelope.recipients]
    queued = [SentRecipient(address=to.address, state=RecipientState.QUEUED) for to in envelope.outgoing]
    has_thread = bool(index.references or index.header_message_id)
    return SentEmail(
        id=_NO_ID,
        message_id=index.header_message_id,
        thread_id=thread_id(index.references, index.header_message_id, MessageId(_NO_ID)) if has_thread else "",
        recipients=local + queued,
    )


def _identified(sent: SentEmail, message_id: MessageId) -> SentEmail:
    """The answer with the id that the store has assigned; a message with an empty Message-ID is a thread by it."""
    return sent.model_copy(update={"id": message_id, "thread_id": sent.thread_id or thread_id((), "", message_id)})


def _held(sent: SentEmail) -> SentEmail:
    recipients = [
        each.model_copy(update={"state": RecipientState.HELD}) if each.state is RecipientState.QUEUED else each
        for each in sent.recipients
    ]
    return sent.model_copy(update={"recipients": recipients})
